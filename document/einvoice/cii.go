package einvoice

import (
	"encoding/base64"
	"encoding/xml"
	"strings"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/document"
)

// CII returns an invoice, or a credit note, as a Cross Industry Invoice: the same bytes
// each time. What master data lack is left out; see Missing.
func CII(inv *document.Invoice, attachments []Attachment) ([]byte, error) {
	s, err := newStatement(inv, attachments)
	if err != nil {
		return nil, err
	}
	return write(s.cii())
}

// The types below are CII's elements, in its order.
type (
	ciiDocument struct {
		XMLName xml.Name `xml:"rsm:CrossIndustryInvoice"`
		RSM     string   `xml:"xmlns:rsm,attr"`
		RAM     string   `xml:"xmlns:ram,attr"`
		QDT     string   `xml:"xmlns:qdt,attr"`
		UDT     string   `xml:"xmlns:udt,attr"`

		Guideline string    `xml:"rsm:ExchangedDocumentContext>ram:GuidelineSpecifiedDocumentContextParameter>ram:ID"`
		Head      ciiHead   `xml:"rsm:ExchangedDocument"`
		Lines     []ciiLine `xml:"rsm:SupplyChainTradeTransaction>ram:IncludedSupplyChainTradeLineItem"`

		Agreement  ciiAgreement  `xml:"rsm:SupplyChainTradeTransaction>ram:ApplicableHeaderTradeAgreement"`
		Delivery   struct{}      `xml:"rsm:SupplyChainTradeTransaction>ram:ApplicableHeaderTradeDelivery"`
		Settlement ciiSettlement `xml:"rsm:SupplyChainTradeTransaction>ram:ApplicableHeaderTradeSettlement"`
	}
	ciiHead struct {
		ID     string    `xml:"ram:ID"`
		Type   string    `xml:"ram:TypeCode"`
		Issued ciiDate   `xml:"ram:IssueDateTime>udt:DateTimeString"`
		Notes  []ciiNote `xml:"ram:IncludedNote"`
	}
	ciiDate struct {
		Format string `xml:"format,attr"`
		Date   string `xml:",chardata"`
	}
	ciiNote struct {
		Text string `xml:"ram:Content"`
	}
	ciiLine struct {
		Line     ciiLineID   `xml:"ram:AssociatedDocumentLineDocument"`
		Product  ciiProduct  `xml:"ram:SpecifiedTradeProduct"`
		Price    ciiPrice    `xml:"ram:SpecifiedLineTradeAgreement>ram:NetPriceProductTradePrice"`
		Quantity ublQuantity `xml:"ram:SpecifiedLineTradeDelivery>ram:BilledQuantity"`
		Tax      ciiTax      `xml:"ram:SpecifiedLineTradeSettlement>ram:ApplicableTradeTax"`
		Amount   string      `xml:"ram:SpecifiedLineTradeSettlement>ram:SpecifiedTradeSettlementLineMonetarySummation>ram:LineTotalAmount"`
	}
	ciiLineID struct {
		ID   string   `xml:"ram:LineID"`
		Note *ciiNote `xml:"ram:IncludedNote"`
	}
	ciiProduct struct {
		Code string `xml:"ram:SellerAssignedID,omitempty"`
		Name string `xml:"ram:Name"`
	}
	ciiPrice struct {
		Price string       `xml:"ram:ChargeAmount"`
		Base  *ublQuantity `xml:"ram:BasisQuantity"`
	}
	ciiTax struct {
		Tax        string `xml:"ram:CalculatedAmount,omitempty"`
		Type       string `xml:"ram:TypeCode"`
		Reason     string `xml:"ram:ExemptionReason,omitempty"`
		Base       string `xml:"ram:BasisAmount,omitempty"`
		Category   string `xml:"ram:CategoryCode"`
		ReasonCode string `xml:"ram:ExemptionReasonCode,omitempty"`
		Percent    string `xml:"ram:RateApplicablePercent,omitempty"`
	}
	ciiAgreement struct {
		Reference   string          `xml:"ram:BuyerReference,omitempty"`
		Seller      ciiParty        `xml:"ram:SellerTradeParty"`
		Buyer       ciiParty        `xml:"ram:BuyerTradeParty"`
		Attachments []ciiAttachment `xml:"ram:AdditionalReferencedDocument"`
	}
	ciiAttachment struct {
		ID   string    `xml:"ram:IssuerAssignedID"`
		Type string    `xml:"ram:TypeCode"`
		Name string    `xml:"ram:Name,omitempty"`
		Data ublBinary `xml:"ram:AttachmentBinaryObject"`
	}
	ciiParty struct {
		Name    string      `xml:"ram:Name,omitempty"`
		Legal   *ublID      `xml:"ram:SpecifiedLegalOrganization>ram:ID"`
		Contact *ciiContact `xml:"ram:DefinedTradeContact"`
		Address *ciiAddress `xml:"ram:PostalTradeAddress"`
		URI     *ublID      `xml:"ram:URIUniversalCommunication>ram:URIID"`
		Taxes   []ciiTaxID  `xml:"ram:SpecifiedTaxRegistration"`
	}
	ciiContact struct {
		Name  string  `xml:"ram:PersonName,omitempty"`
		Phone *string `xml:"ram:TelephoneUniversalCommunication>ram:CompleteNumber"`
		Email *string `xml:"ram:EmailURIUniversalCommunication>ram:URIID"`
	}
	ciiAddress struct {
		Postcode    string `xml:"ram:PostcodeCode,omitempty"`
		Street      string `xml:"ram:LineOne,omitempty"`
		City        string `xml:"ram:CityName,omitempty"`
		Country     string `xml:"ram:CountryID,omitempty"`
		Subdivision string `xml:"ram:CountrySubDivisionName,omitempty"`
	}
	ciiTaxID struct {
		ID ublID `xml:"ram:ID"`
	}
	ciiSettlement struct {
		Reference   string      `xml:"ram:PaymentReference,omitempty"`
		TaxCurrency string      `xml:"ram:TaxCurrencyCode,omitempty"`
		Currency    string      `xml:"ram:InvoiceCurrencyCode"`
		Payment     *ciiPayment `xml:"ram:SpecifiedTradeSettlementPaymentMeans"`
		Taxes       []ciiTax    `xml:"ram:ApplicableTradeTax"`
		From        *ciiDate    `xml:"ram:BillingSpecifiedPeriod>ram:StartDateTime>udt:DateTimeString"`
		To          *ciiDate    `xml:"ram:BillingSpecifiedPeriod>ram:EndDateTime>udt:DateTimeString"`
		Terms       *ciiTerms   `xml:"ram:SpecifiedTradePaymentTerms"`
		Total       ciiTotal    `xml:"ram:SpecifiedTradeSettlementHeaderMonetarySummation"`
		Credits     *ciiCredits `xml:"ram:InvoiceReferencedDocument"`
	}
	ciiPayment struct {
		Means   string      `xml:"ram:TypeCode"`
		Account *ciiAccount `xml:"ram:PayeePartyCreditorFinancialAccount"`
		BIC     *string     `xml:"ram:PayeeSpecifiedCreditorFinancialInstitution>ram:BICID"`
	}
	ciiAccount struct {
		IBAN string `xml:"ram:IBANID"`
		Name string `xml:"ram:AccountName,omitempty"`
	}
	ciiTerms struct {
		Text string   `xml:"ram:Description,omitempty"`
		Due  *ciiDate `xml:"ram:DueDateDateTime>udt:DateTimeString"`
	}
	ciiTotal struct {
		Lines      string      `xml:"ram:LineTotalAmount"`
		WithoutTax string      `xml:"ram:TaxBasisTotalAmount"`
		Taxes      []ublAmount `xml:"ram:TaxTotalAmount"`
		WithTax    string      `xml:"ram:GrandTotalAmount"`
		Payable    string      `xml:"ram:DuePayableAmount"`
	}
	ciiCredits struct {
		ID     string   `xml:"ram:IssuerAssignedID"`
		Issued *ciiDate `xml:"ram:FormattedIssueDateTime>qdt:DateTimeString"`
	}
)

func ciiDay(d billing.Date) *ciiDate {
	if d.IsZero() {
		return nil
	}
	return &ciiDate{Format: "102", Date: strings.ReplaceAll(d.String(), "-", "")}
}

func (s *statement) cii() *ciiDocument {
	d := &ciiDocument{
		RSM: "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
		RAM: "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
		QDT: "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
		UDT: "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",

		Guideline: "urn:cen.eu:en16931:2017",
		Head:      ciiHead{ID: s.number, Type: "380"},
		Lines:     s.ciiLines(),
		Agreement: ciiAgreement{Reference: s.buyerReference, Seller: s.seller.cii(), Buyer: s.buyer.cii()},
		Settlement: ciiSettlement{
			TaxCurrency: s.taxCurrency, Currency: s.currency, From: ciiDay(s.from), To: ciiDay(s.to),
			Total: ciiTotal{
				Lines: s.subtotal, WithoutTax: s.subtotal, Taxes: []ublAmount{s.amount(s.tax)}, WithTax: s.total, Payable: s.total,
			},
		},
	}
	if s.creditNote {
		d.Head.Type = "381"
	}
	if day := ciiDay(s.issued); day != nil {
		d.Head.Issued = *day
	}
	for _, note := range s.notes {
		d.Head.Notes = append(d.Head.Notes, ciiNote{note})
	}
	for _, a := range s.attachments {
		d.Agreement.Attachments = append(d.Agreement.Attachments, ciiAttachment{
			ID: clean(a.Name), Type: "916", Name: clean(a.Description),
			Data: ublBinary{MIME: a.MIME, Name: clean(a.Name), Data: base64.StdEncoding.EncodeToString(a.Data)},
		})
	}
	to := &d.Settlement
	if p := s.payment; p != nil {
		to.Payment = &ciiPayment{Means: p.means, BIC: optional(p.bic)}
		if p.iban != "" {
			to.Reference = s.number
			to.Payment.Account = &ciiAccount{IBAN: p.iban, Name: p.account}
		}
	}
	for i := range s.taxes {
		t := &s.taxes[i]
		to.Taxes = append(to.Taxes, ciiTax{
			Tax: t.tax, Type: "VAT", Reason: t.reason, Base: t.base, Category: t.category, ReasonCode: t.code, Percent: t.percent,
		})
	}
	if s.terms != "" || !s.due.IsZero() {
		to.Terms = &ciiTerms{Text: s.terms, Due: ciiDay(s.due)}
	}
	if s.taxCurrency != "" {
		to.Total.Taxes = append(to.Total.Taxes, ublAmount{Currency: s.taxCurrency, Amount: s.taxInTaxCurrency})
	}
	if s.credits != "" {
		to.Credits = &ciiCredits{ID: s.credits, Issued: ciiDay(s.creditsIssued)}
	}
	return d
}

func (s *statement) ciiLines() []ciiLine {
	lines := make([]ciiLine, 0, len(s.lines))
	for i := range s.lines {
		l := &s.lines[i]
		out := ciiLine{
			Line: ciiLineID{ID: l.id}, Product: ciiProduct{Code: l.code, Name: l.name}, Price: ciiPrice{Price: l.price},
			Quantity: ublQuantity{Unit: l.unit, Quantity: l.quantity},
			Tax:      ciiTax{Type: "VAT", Category: l.category, Percent: l.percent}, Amount: l.amount,
		}
		if l.note != "" {
			out.Line.Note = &ciiNote{l.note}
		}
		if l.base != "" {
			out.Price.Base = &ublQuantity{Unit: l.unit, Quantity: l.base}
		}
		lines = append(lines, out)
	}
	return lines
}

func (p *party) cii() ciiParty {
	out := ciiParty{Name: p.name}
	if p.legalID != "" {
		out.Legal = &ublID{Scheme: p.legalScheme, ID: p.legalID}
	}
	if p.contact+p.phone+p.email != "" {
		out.Contact = &ciiContact{Name: p.contact, Phone: optional(p.phone), Email: optional(p.email)}
	}
	address := ciiAddress{Postcode: p.postcode, Street: p.street, City: p.city, Country: p.country, Subdivision: p.subdivision}
	if address != (ciiAddress{}) {
		out.Address = &address
	}
	if p.address != "" {
		out.URI = &ublID{Scheme: p.addressScheme, ID: p.address}
	}
	if p.vatID != "" {
		out.Taxes = append(out.Taxes, ciiTaxID{ublID{Scheme: "VA", ID: p.vatID}})
	}
	if p.taxRegistration != "" {
		out.Taxes = append(out.Taxes, ciiTaxID{ublID{Scheme: "FC", ID: p.taxRegistration}})
	}
	return out
}
