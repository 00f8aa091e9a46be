package einvoice

import (
	"encoding/base64"
	"encoding/xml"
	"strings"

	"github.com/flightbill/flightbill/document"
)

// UBL returns an invoice, or a credit note, by Peppol BIS Billing 3: the same bytes each
// time. What master data lack is left out; see Missing.
func UBL(inv *document.Invoice, attachments []Attachment) ([]byte, error) {
	s, err := newStatement(inv, attachments)
	if err != nil {
		return nil, err
	}
	return write(s.ubl())
}

// The types below are UBL's elements, in its order. Of an Invoice and a CreditNote they are
// alike but for a few names.
type (
	ublDocument struct {
		XMLName xml.Name
		NS      string `xml:"xmlns,attr"`
		CAC     string `xml:"xmlns:cac,attr"`
		CBC     string `xml:"xmlns:cbc,attr"`

		Customization string `xml:"cbc:CustomizationID"`
		Profile       string `xml:"cbc:ProfileID"`
		ID            string `xml:"cbc:ID"`
		IssueDate     string `xml:"cbc:IssueDate"`
		DueDate       string `xml:"cbc:DueDate,omitempty"`
		InvoiceType   string `xml:"cbc:InvoiceTypeCode,omitempty"`
		CreditType    string `xml:"cbc:CreditNoteTypeCode,omitempty"`
		Note          string `xml:"cbc:Note,omitempty"`
		Currency      string `xml:"cbc:DocumentCurrencyCode"`
		TaxCurrency   string `xml:"cbc:TaxCurrencyCode,omitempty"`
		Reference     string `xml:"cbc:BuyerReference,omitempty"`

		Period      *ublPeriod      `xml:"cac:InvoicePeriod"`
		Billing     *ublBilling     `xml:"cac:BillingReference"`
		Attachments []ublAttachment `xml:"cac:AdditionalDocumentReference"`
		Supplier    ublParty        `xml:"cac:AccountingSupplierParty>cac:Party"`
		Customer    ublParty        `xml:"cac:AccountingCustomerParty>cac:Party"`
		Payment     *ublPayment     `xml:"cac:PaymentMeans"`
		Terms       *ublTerms       `xml:"cac:PaymentTerms"`
		TaxTotals   []ublTaxTotal   `xml:"cac:TaxTotal"`
		Total       ublTotal        `xml:"cac:LegalMonetaryTotal"`
		Lines       []ublLine       `xml:"cac:InvoiceLine"`
		CreditLines []ublLine       `xml:"cac:CreditNoteLine"`
	}
	ublPeriod struct {
		Start string `xml:"cbc:StartDate"`
		End   string `xml:"cbc:EndDate"`
	}
	ublBilling struct {
		ID     string `xml:"cac:InvoiceDocumentReference>cbc:ID"`
		Issued string `xml:"cac:InvoiceDocumentReference>cbc:IssueDate,omitempty"`
	}
	ublAttachment struct {
		ID          string    `xml:"cbc:ID"`
		Description string    `xml:"cbc:DocumentDescription,omitempty"`
		Data        ublBinary `xml:"cac:Attachment>cbc:EmbeddedDocumentBinaryObject"`
	}
	ublBinary struct {
		MIME string `xml:"mimeCode,attr"`
		Name string `xml:"filename,attr"`
		Data string `xml:",chardata"`
	}
	ublID struct {
		Scheme string `xml:"schemeID,attr,omitempty"`
		ID     string `xml:",chardata"`
	}
	ublParty struct {
		Endpoint *ublID         `xml:"cbc:EndpointID"`
		Address  ublAddress     `xml:"cac:PostalAddress"`
		Taxes    []ublPartyTax  `xml:"cac:PartyTaxScheme"`
		Legal    ublLegalEntity `xml:"cac:PartyLegalEntity"`
		Contact  *ublContact    `xml:"cac:Contact"`
	}
	ublAddress struct {
		Street      string      `xml:"cbc:StreetName,omitempty"`
		City        string      `xml:"cbc:CityName,omitempty"`
		Postcode    string      `xml:"cbc:PostalZone,omitempty"`
		Subdivision string      `xml:"cbc:CountrySubentity,omitempty"`
		Country     *ublCountry `xml:"cac:Country"`
	}
	ublCountry struct {
		Code string `xml:"cbc:IdentificationCode"`
	}
	ublPartyTax struct {
		ID     string `xml:"cbc:CompanyID"`
		Scheme string `xml:"cac:TaxScheme>cbc:ID"`
	}
	ublLegalEntity struct {
		Name string `xml:"cbc:RegistrationName,omitempty"`
		ID   *ublID `xml:"cbc:CompanyID"`
	}
	ublContact struct {
		Name  string `xml:"cbc:Name,omitempty"`
		Phone string `xml:"cbc:Telephone,omitempty"`
		Email string `xml:"cbc:ElectronicMail,omitempty"`
	}
	ublPayment struct {
		Means   string      `xml:"cbc:PaymentMeansCode"`
		ID      string      `xml:"cbc:PaymentID,omitempty"`
		Account *ublAccount `xml:"cac:PayeeFinancialAccount"`
	}
	ublAccount struct {
		IBAN string  `xml:"cbc:ID"`
		Name string  `xml:"cbc:Name,omitempty"`
		Bank *ublBIC `xml:"cac:FinancialInstitutionBranch"`
	}
	ublBIC struct {
		ID string `xml:"cbc:ID"`
	}
	ublTerms struct {
		Note string `xml:"cbc:Note"`
	}
	ublAmount struct {
		Currency string `xml:"currencyID,attr"`
		Amount   string `xml:",chardata"`
	}
	ublTaxTotal struct {
		Tax       ublAmount        `xml:"cbc:TaxAmount"`
		Subtotals []ublTaxSubtotal `xml:"cac:TaxSubtotal"`
	}
	ublTaxSubtotal struct {
		Base     ublAmount   `xml:"cbc:TaxableAmount"`
		Tax      ublAmount   `xml:"cbc:TaxAmount"`
		Category ublCategory `xml:"cac:TaxCategory"`
	}
	ublCategory struct {
		ID         string `xml:"cbc:ID"`
		Percent    string `xml:"cbc:Percent,omitempty"`
		ReasonCode string `xml:"cbc:TaxExemptionReasonCode,omitempty"`
		Reason     string `xml:"cbc:TaxExemptionReason,omitempty"`
		Scheme     string `xml:"cac:TaxScheme>cbc:ID"`
	}
	ublTotal struct {
		Lines      ublAmount `xml:"cbc:LineExtensionAmount"`
		WithoutTax ublAmount `xml:"cbc:TaxExclusiveAmount"`
		WithTax    ublAmount `xml:"cbc:TaxInclusiveAmount"`
		Payable    ublAmount `xml:"cbc:PayableAmount"`
	}
	ublQuantity struct {
		Unit     string `xml:"unitCode,attr"`
		Quantity string `xml:",chardata"`
	}
	ublLine struct {
		ID       string       `xml:"cbc:ID"`
		Note     string       `xml:"cbc:Note,omitempty"`
		Invoiced *ublQuantity `xml:"cbc:InvoicedQuantity"`
		Credited *ublQuantity `xml:"cbc:CreditedQuantity"`
		Amount   ublAmount    `xml:"cbc:LineExtensionAmount"`
		Item     ublItem      `xml:"cac:Item"`
		Price    ublPrice     `xml:"cac:Price"`
	}
	ublItem struct {
		Name     string      `xml:"cbc:Name"`
		Code     *string     `xml:"cac:SellersItemIdentification>cbc:ID"`
		Category ublCategory `xml:"cac:ClassifiedTaxCategory"`
	}
	ublPrice struct {
		Price ublAmount    `xml:"cbc:PriceAmount"`
		Base  *ublQuantity `xml:"cbc:BaseQuantity"`
	}
)

func (s *statement) ubl() *ublDocument {
	d := &ublDocument{
		XMLName: xml.Name{Local: "Invoice"},
		CAC:     "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
		CBC:     "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",

		Customization: "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0",
		Profile:       "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0",
		ID:            s.number, IssueDate: s.issued.String(), DueDate: s.due.String(), InvoiceType: "380",
		Note:     strings.Join(s.notes, "\n"), // one at most
		Currency: s.currency, TaxCurrency: s.taxCurrency, Reference: s.buyerReference,
		Supplier: s.seller.ubl(), Customer: s.buyer.ubl(),
		Total: ublTotal{Lines: s.amount(s.subtotal), WithoutTax: s.amount(s.subtotal), WithTax: s.amount(s.total), Payable: s.amount(s.total)},
		Lines: s.ublLines(),
	}
	if s.creditNote {
		d.XMLName.Local, d.InvoiceType, d.CreditType = "CreditNote", "", "381"
		d.Lines, d.CreditLines = nil, d.Lines
	}
	d.NS = "urn:oasis:names:specification:ubl:schema:xsd:" + d.XMLName.Local + "-2"
	if !s.from.IsZero() {
		d.Period = &ublPeriod{Start: s.from.String(), End: s.to.String()}
	}
	if s.credits != "" {
		d.Billing = &ublBilling{ID: s.credits, Issued: s.creditsIssued.String()}
	}
	for _, a := range s.attachments {
		d.Attachments = append(d.Attachments, ublAttachment{
			ID: clean(a.Name), Description: clean(a.Description),
			Data: ublBinary{MIME: a.MIME, Name: clean(a.Name), Data: base64.StdEncoding.EncodeToString(a.Data)},
		})
	}
	if p := s.payment; p != nil {
		d.Payment = &ublPayment{Means: p.means}
		if p.iban != "" {
			d.Payment.ID = s.number
			d.Payment.Account = &ublAccount{IBAN: p.iban, Name: p.account}
		}
		if p.bic != "" {
			d.Payment.Account.Bank = &ublBIC{ID: p.bic}
		}
	}
	if s.terms != "" {
		d.Terms = &ublTerms{Note: s.terms}
	}
	total := ublTaxTotal{Tax: s.amount(s.tax)}
	for i := range s.taxes {
		t := &s.taxes[i]
		total.Subtotals = append(total.Subtotals, ublTaxSubtotal{
			Base: s.amount(t.base), Tax: s.amount(t.tax),
			Category: ublCategory{ID: t.category, Percent: t.percent, ReasonCode: t.code, Reason: t.reason, Scheme: "VAT"},
		})
	}
	d.TaxTotals = []ublTaxTotal{total}
	if s.taxCurrency != "" {
		d.TaxTotals = append(d.TaxTotals, ublTaxTotal{Tax: ublAmount{Currency: s.taxCurrency, Amount: s.taxInTaxCurrency}})
	}
	return d
}

func (s *statement) amount(a string) ublAmount { return ublAmount{Currency: s.currency, Amount: a} }

func (s *statement) ublLines() []ublLine {
	lines := make([]ublLine, 0, len(s.lines))
	for i := range s.lines {
		l := &s.lines[i]
		out := ublLine{
			ID: l.id, Note: l.note, Amount: s.amount(l.amount),
			Item:  ublItem{Name: l.name, Code: optional(l.code), Category: ublCategory{ID: l.category, Percent: l.percent, Scheme: "VAT"}},
			Price: ublPrice{Price: s.amount(l.price)},
		}
		quantity := &ublQuantity{Unit: l.unit, Quantity: l.quantity}
		if s.creditNote {
			out.Credited = quantity
		} else {
			out.Invoiced = quantity
		}
		if l.base != "" {
			out.Price.Base = &ublQuantity{Unit: l.unit, Quantity: l.base}
		}
		lines = append(lines, out)
	}
	return lines
}

func (p *party) ubl() ublParty {
	out := ublParty{
		Address: ublAddress{Street: p.street, City: p.city, Postcode: p.postcode, Subdivision: p.subdivision},
		Legal:   ublLegalEntity{Name: p.name},
	}
	if p.address != "" {
		out.Endpoint = &ublID{Scheme: p.addressScheme, ID: p.address}
	}
	if p.country != "" {
		out.Address.Country = &ublCountry{Code: p.country}
	}
	if p.vatID != "" {
		out.Taxes = append(out.Taxes, ublPartyTax{ID: p.vatID, Scheme: "VAT"})
	}
	if p.taxRegistration != "" {
		out.Taxes = append(out.Taxes, ublPartyTax{ID: p.taxRegistration, Scheme: "TAX"})
	}
	if p.legalID != "" {
		out.Legal.ID = &ublID{Scheme: p.legalScheme, ID: p.legalID}
	}
	if p.contact+p.phone+p.email != "" {
		out.Contact = &ublContact{Name: p.contact, Phone: p.phone, Email: p.email}
	}
	return out
}
