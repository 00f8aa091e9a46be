package document

import (
	"slices"

	"github.com/flightbill/flightbill/billing"
)

// Gap is what an invoice or its format needs of a party that does not have it.
type Gap struct {
	Column string `json:"column"`
	Why    string `json:"why"` // and the rule
}

// gaps are collected for one party.
type gaps []Gap

// need notes a column that is empty.
func (g *gaps) need(column, value, why string) {
	if value == "" && !slices.ContainsFunc(*g, func(other Gap) bool { return other.Column == column }) {
		*g = append(*g, Gap{column, why})
	}
}

// needID notes a legal id that is none of some schemes.
func (g *gaps) needID(p *Party, why string, schemes ...string) {
	if p.LegalID == "" || !slices.Contains(schemes, p.LegalIDScheme) {
		g.need("legal_id", "", why)
	}
}

const (
	addressLaw  = "on every VAT invoice (directive 2006/112/EC, article 226 (5))"
	endpointFor = "to send invoices by Peppol"
)

// IssuerGaps says what is missing of the issuer, whose tariffs have these tax categories.
// Nil: there is no issuer.
func IssuerGaps(i *Issuer, categories []billing.TaxCategory) []Gap {
	if i == nil {
		return []Gap{{"name", "who issues the invoices: flightbill issuer set name=… country=…"}}
	}
	var g gaps
	g.need("name", i.Name, "every e-invoice (EN 16931, BR-06)")
	g.need("country", i.Country, "every e-invoice (EN 16931, BR-09)")
	if slices.Contains(euCountries, i.Country) {
		g.need("street", i.Street, addressLaw)
		g.need("city", i.City, addressLaw)
	}
	for _, category := range categories {
		switch category {
		case billing.TaxExport:
			g.need("vat_id", i.VATID, "tax_category export (EN 16931, BR-G-02)")
		case billing.TaxOutside: // on invoices of their own, without VAT ids
			g.need("legal_id", i.LegalID, "tax_category outside (EN 16931, BR-O-02, BR-CO-26)")
		default:
			g.need("vat_id", i.VATID+i.TaxRegistration, "e-invoices with tax, or exempt from it; or tax_registration (EN 16931, BR-S-02, BR-E-02, BR-AE-02, BR-Z-02)")
		}
	}
	g.need("legal_id", i.LegalID+i.VATID, "every e-invoice, or vat_id (EN 16931, BR-CO-26)")
	if slices.Contains(peppolCountries, i.Country) {
		g.need("electronic_address", i.ElectronicAddress, endpointFor+" (PEPPOL-EN16931-R020)")
	}
	g.issuerOf(i)
	return g
}

// issuerOf are the rules of the issuer's country.
func (g *gaps) issuerOf(i *Issuer) {
	switch i.Country {
	case "DE":
		g.need("city", i.City, "issuers in Germany (Peppol, DE-R-003)")
		g.need("postcode", i.Postcode, "issuers in Germany (Peppol, DE-R-004)")
		g.need("contact_name", i.ContactName, "issuers in Germany (Peppol, DE-R-005)")
		g.need("contact_phone", i.ContactPhone, "issuers in Germany (Peppol, DE-R-006)")
		g.need("contact_email", i.ContactEmail, "issuers in Germany (Peppol, DE-R-007)")
		g.need("iban", i.IBAN, "issuers in Germany (Peppol, DE-R-001, DE-R-023)")
	case "DK":
		g.needID(&i.Party, "issuers in Denmark: the CVR number, legal_id_scheme 0184 (Peppol, DK-R-002, DK-R-014)", "0184")
	case "FR":
		g.needID(&i.Party, "issuers in France: the SIREN or SIRET, legal_id_scheme 0002 or 0009 (Code de commerce, R123-237)", "0002", "0009")
	case "IS":
		g.needID(&i.Party, "issuers in Iceland: the kennitala, legal_id_scheme 0196 (Peppol, IS-R-002)", "0196")
		g.need("street", i.Street, "issuers in Iceland (Peppol, IS-R-003)")
		g.need("postcode", i.Postcode, "issuers in Iceland (Peppol, IS-R-003)")
	case "IT":
		g.need("postcode", i.Postcode, "issuers in Italy (Peppol, IT-R-004)")
	case "NL":
		g.needID(&i.Party, "issuers in the Netherlands: the KVK number or OIN, legal_id_scheme 0106 or 0190 (Peppol, NL-R-003)", "0106", "0190")
		g.need("postcode", i.Postcode, "issuers in the Netherlands (Peppol, NL-R-002)")
		g.need("iban", i.IBAN, "issuers in the Netherlands (Peppol, NL-R-007)")
	}
}

// CustomerGaps says what is missing of a customer, to which tariffs with these tax
// categories apply.
func CustomerGaps(i *Issuer, p *Party, categories []billing.TaxCategory) []Gap {
	if i == nil {
		i = &Issuer{}
	}
	var g gaps
	g.need("country", p.Country, "every e-invoice (EN 16931, BR-11)")
	if slices.Contains(euCountries, i.Country) {
		g.need("street", p.Street, addressLaw)
		g.need("city", p.City, addressLaw)
	}
	if slices.Contains(peppolCountries, p.Country) {
		g.need("electronic_address", p.ElectronicAddress, endpointFor+" (PEPPOL-EN16931-R010)")
	}
	if slices.Contains(categories, billing.TaxReverseCharge) {
		if slices.Contains(euCountries, i.Country) {
			g.need("vat_id", p.VATID, "tax_category reverse_charge (directive 2006/112/EC, article 226 (4); EN 16931, BR-AE-02)")
		}
		g.need("vat_id", p.VATID+p.LegalID, "tax_category reverse_charge, or legal_id (EN 16931, BR-AE-02)")
	}
	if i.Country == p.Country {
		g.atHome(p)
	}
	return g
}

// atHome are the rules of a country whose issuer and customer are both there.
func (g *gaps) atHome(p *Party) {
	switch p.Country {
	case "DE":
		g.need("city", p.City, "customers in Germany (Peppol, DE-R-008)")
		g.need("postcode", p.Postcode, "customers in Germany (Peppol, DE-R-009)")
	case "FR":
		g.needID(p, "customers in France: the SIREN or SIRET, legal_id_scheme 0002 or 0009 (CGI, annexe II, 242 nonies A)", "0002", "0009")
	case "IS":
		g.needID(p, "customers in Iceland: the kennitala, legal_id_scheme 0196 (Peppol, IS-R-004)", "0196")
		g.need("street", p.Street, "customers in Iceland (Peppol, IS-R-005)")
		g.need("postcode", p.Postcode, "customers in Iceland (Peppol, IS-R-005)")
	case "NL":
		g.need("street", p.Street, "customers in the Netherlands (Peppol, NL-R-004)")
		g.need("city", p.City, "customers in the Netherlands (Peppol, NL-R-004)")
		g.need("postcode", p.Postcode, "customers in the Netherlands (Peppol, NL-R-004)")
		if p.LegalID != "" {
			g.needID(p, "customers in the Netherlands: a KVK number or OIN, legal_id_scheme 0106 or 0190 (Peppol, NL-R-005)", "0106", "0190")
		}
	}
}

// CustomerNotes says what flightbill cannot know to be missing.
func CustomerNotes(p *Party) []string {
	switch {
	case p.Country == "DE" && p.BuyerReference == "":
		return []string{"a public body in Germany gets invoices by its Leitweg-ID: write it in buyer_reference; others get the customer's code"}
	case p.Country == "IT":
		return []string{"between businesses in Italy e-invoices go as FatturaPA through the Sistema di Interscambio, which flightbill does not write"}
	}
	return nil
}
