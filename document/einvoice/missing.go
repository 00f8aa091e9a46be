package einvoice

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/document"
)

// Missing says what of an invoice the rules of Peppol want and will not find, by the names
// of the columns: with any of it, a receiver may refuse the e-invoice. Of what single
// countries want beyond the rest, it knows Germany's.
func Missing(inv *document.Invoice) []string {
	m := missing{inv: inv, seller: partyOf(inv.Issuer.Party), buyer: partyOf(inv.BillTo)}
	for _, t := range inv.Taxes {
		m.categories = append(m.categories, categoryCode(t.Category, t.Rate))
	}
	m.party("issuer", &m.seller)
	m.party("customer", &m.buyer)
	if buyerReference(inv) == "" {
		m.add("customer: buyer_reference")
	}
	m.taxIDs()
	m.germany()
	m.amounts()
	return m.found
}

type missing struct {
	inv           *document.Invoice
	seller, buyer party
	categories    []string
	found         []string
}

func (m *missing) add(format string, args ...any) {
	m.found = append(m.found, fmt.Sprintf(format, args...))
}

func (m *missing) want(value, format string, args ...any) {
	if value == "" {
		m.add(format, args...)
	}
}

func (m *missing) party(who string, p *party) {
	m.want(p.name, "%s: name", who)
	m.want(p.country, "%s: country", who)
	m.want(p.address, "%s: electronic_address", who)
	m.want(p.addressScheme, "%s: electronic_address_scheme", who)
	if p.vatID != "" && !m.inv.OutsideScope && !vatPrefix.MatchString(p.vatID) {
		m.add("%s: vat_id %q does not begin with its country's two letters", who, p.vatID)
	}
}

var vatPrefix = regexp.MustCompile(`^[A-Z]{2}`)

func (m *missing) has(categories ...string) bool {
	return slices.ContainsFunc(m.categories, func(c string) bool { return slices.Contains(categories, c) })
}

func (m *missing) taxIDs() {
	switch outside := m.inv.OutsideScope; {
	case outside && m.seller.legalID == "":
		m.add("issuer: legal_id, since the VAT ids are left out where VAT is out of scope")
	case outside:
	case m.has("G") && m.seller.vatID == "":
		m.add("issuer: vat_id")
	case m.seller.vatID == "" && m.seller.taxRegistration == "":
		m.add("issuer: vat_id or tax_registration")
	case m.seller.vatID == "" && m.seller.legalID == "":
		m.add("issuer: vat_id or legal_id")
	}
	if m.has("AE") && m.buyer.vatID == "" && m.buyer.legalID == "" {
		m.add("customer: vat_id or legal_id, for a reverse charge")
	}
}

// germany is about invoices of one German to another.
func (m *missing) germany() {
	if m.seller.country != "DE" || m.buyer.country != "DE" {
		return
	}
	m.want(m.seller.city, "issuer: city")
	m.want(m.seller.postcode, "issuer: postcode")
	m.want(m.buyer.city, "customer: city")
	m.want(m.buyer.postcode, "customer: postcode")
	m.want(clean(m.inv.Issuer.ContactName), "issuer: contact_name")
	m.want(clean(m.inv.Issuer.ContactPhone), "issuer: contact_phone")
	m.want(clean(m.inv.Issuer.ContactEmail), "issuer: contact_email")
	if paymentOf(m.inv) == nil {
		m.add("issuer: iban")
	}
}

func (m *missing) amounts() {
	if len(m.inv.Lines) == 0 {
		m.add("invoice: a line")
	}
	if declaredElsewhere(m.inv) && m.inv.TaxCurrencyRate == nil {
		m.add("invoice: a rate of %s in %s, in which its tax is declared", m.inv.Currency, m.inv.TaxCurrency)
	}
	for _, t := range m.inv.Taxes {
		if off := t.Tax.Sub(t.Base.Mul(t.Rate)).Abs(); off.GreaterThanOrEqual(decimal.NewFromInt(1)) {
			m.add("invoice: a tax that is %s %% of %s: it is %s off, being rounded line by line", t.Rate.Shift(2), t.Base, off.StringFixed(2))
		}
	}
}
