package einvoice

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/document"
)

// statement is what an invoice says in either format: texts cleaned, amounts written, and
// those of a credit note with their signs flipped.
type statement struct {
	number, currency string
	creditNote       bool
	issued, due      billing.Date
	from, to         billing.Date
	buyerReference   string
	notes            []string
	credits          string // the number of the document credited
	creditsIssued    billing.Date
	seller, buyer    party
	payment          *payment
	terms            string
	taxCurrency      string // "": that of the invoice
	taxInTaxCurrency string
	lines            []line
	taxes            []tax

	subtotal, tax, total string

	attachments []Attachment
}

type party struct {
	name, street, city, postcode, subdivision, country string
	vatID, taxRegistration                             string
	legalID, legalScheme                               string
	address, addressScheme                             string // electronic
	contact, phone, email                              string
}

type payment struct{ means, iban, bic, account string }

type line struct {
	id, note, name, code, unit string
	quantity, amount           string
	price, base                string // base "": the price is that of 1
	category, percent          string
}

type tax struct {
	category, percent        string
	base, tax                string
	reason, code             string // why it is not taxed as usual
	exactBase, exactTax      decimal.Decimal
	exactRate                decimal.Decimal
	reasons, mustNotBeStated []string
}

// The codes of UNCL4461.
const (
	creditTransfer = "30"
	sepaTransfer   = "58"
	setOff         = "97" // amounts that two owe each other
)

func newStatement(inv *document.Invoice, attachments []Attachment) (*statement, error) {
	minor, known := billing.MinorUnits(inv.Currency)
	if !known || minor > 2 {
		return nil, &CurrencyError{Number: inv.Number, Currency: inv.Currency}
	}
	money := func(d decimal.Decimal) string {
		if inv.CreditNote {
			d = d.Neg()
		}
		return d.StringFixed(minor)
	}
	s := &statement{
		number: clean(inv.Number), currency: inv.Currency, creditNote: inv.CreditNote,
		issued: inv.IssuedOn, due: inv.DueOn, from: inv.From, to: inv.To,
		buyerReference: buyerReference(inv),
		seller:         partyOf(inv.Issuer.Party), buyer: partyOf(inv.BillTo),
		payment: paymentOf(inv),
		lines:   linesOf(inv, money), taxes: taxesOf(inv, money),
		subtotal: money(inv.Subtotal), tax: money(inv.Tax), total: money(inv.Total),
	}
	s.seller.contact, s.seller.phone, s.seller.email = clean(inv.Issuer.ContactName), clean(inv.Issuer.ContactPhone), clean(inv.Issuer.ContactEmail)
	if inv.OutsideScope { // BR-O-02
		s.seller.vatID, s.buyer.vatID = "", ""
	}
	if inv.CreditNote {
		s.due = billing.Date{}
		s.terms = "This amount is set off against invoices, or paid back."
	}
	if inv.Credits != nil {
		s.credits, s.creditsIssued = clean(inv.Credits.Number), inv.Credits.IssuedOn
	}
	if err := s.setTaxCurrency(inv); err != nil {
		return nil, err
	}
	s.setNotes(inv)
	s.attach(attachments)
	return s, nil
}

func buyerReference(inv *document.Invoice) string {
	if own := clean(inv.BillTo.BuyerReference); own != "" {
		return own
	}
	return clean(inv.BillTo.Code)
}

func partyOf(p document.Party) party {
	return party{
		name: clean(p.Name), street: clean(p.Street), city: clean(p.City), postcode: clean(p.Postcode),
		subdivision: clean(p.Subdivision), country: clean(p.Country),
		vatID: clean(p.VATID), taxRegistration: clean(p.TaxRegistration),
		legalID: clean(p.LegalID), legalScheme: clean(p.LegalIDScheme),
		address: clean(p.ElectronicAddress), addressScheme: clean(p.ElectronicAddressScheme),
	}
}

// paymentOf is nil where nobody would know where to pay to.
func paymentOf(inv *document.Invoice) *payment {
	iban := strings.ReplaceAll(clean(inv.Issuer.IBAN), " ", "")
	switch {
	case inv.CreditNote:
		return &payment{means: setOff}
	case iban == "":
		return nil
	}
	p := &payment{means: creditTransfer, iban: iban, bic: clean(inv.Issuer.BIC), account: clean(inv.Issuer.AccountName)}
	if inv.Currency == "EUR" {
		p.means = sepaTransfer
	}
	return p
}

// declaredElsewhere says whether tax is declared in another currency than the invoice's.
func declaredElsewhere(inv *document.Invoice) bool {
	return inv.TaxCurrency != "" && inv.TaxCurrency != inv.Currency && !inv.OutsideScope
}

// setTaxCurrency writes the tax in the currency that it is declared in. Where no rate was
// known, nothing can be said.
func (s *statement) setTaxCurrency(inv *document.Invoice) error {
	if !declaredElsewhere(inv) || inv.TaxCurrencyRate == nil {
		return nil
	}
	minor, known := billing.MinorUnits(inv.TaxCurrency)
	if !known || minor > 2 {
		return &CurrencyError{Number: inv.Number, Currency: inv.TaxCurrency, Tax: true}
	}
	in := inv.Tax.Mul(*inv.TaxCurrencyRate).Round(minor)
	if inv.CreditNote {
		in = in.Neg()
	}
	s.taxCurrency, s.taxInTaxCurrency = inv.TaxCurrency, in.StringFixed(minor)
	return nil
}

func (s *statement) setNotes(inv *document.Invoice) {
	s.note(inv.Reason)
	if inv.CreditNote && inv.Credits == nil && clean(inv.Reason) == "" {
		s.note("The corrections of this period come to more than its charges.")
	}
	for _, t := range s.taxes {
		for _, reason := range t.mustNotBeStated {
			s.note(reason)
		}
	}
	s.note(inv.Issuer.Note)
}

func (s *statement) note(text string) {
	if text = clean(text); text != "" {
		s.notes = append(s.notes, text)
	}
}

// attach takes all attachments or, where they are more than receivers take, none: half a
// list of flights says less than that there is none.
func (s *statement) attach(attachments []Attachment) {
	total, most := 0, 0
	var names []string
	for _, a := range attachments {
		total, most = total+len(a.Data), max(most, len(a.Data))
		names = append(names, a.Name)
	}
	if total <= maxAttachments && most <= maxAttachment {
		s.attachments = attachments
		return
	}
	s.note(fmt.Sprintf("Not attached, being larger than an e-invoice may carry: %s. Ask for it.", strings.Join(names, ", ")))
}

func linesOf(inv *document.Invoice, money func(decimal.Decimal) string) []line {
	lines := make([]line, 0, len(inv.Lines))
	for i := range inv.Lines {
		l := &inv.Lines[i]
		quantity, amount := l.Quantity, l.Amount
		if inv.CreditNote {
			quantity, amount = quantity.Neg(), amount.Neg()
		}
		category := categoryCode(l.TaxCategory, l.TaxRate)
		p := priceOf(quantity, l.UnitRate, amount)
		out := line{
			id: strconv.Itoa(i + 1), name: clean(l.Description), code: clean(l.Code), unit: clean(l.UnitCode),
			quantity: p.quantity.String(), amount: money(l.Amount), price: p.price.String(),
			category: category, percent: percent(l.TaxRate),
		}
		if out.name == "" {
			out.name = out.code
		}
		if category == "O" { // BR-O-05; of the sum, Germany wants a rate
			out.percent = ""
		}
		if out.unit == "" || p.one {
			out.unit = "C62"
		}
		if p.base != nil {
			out.base = p.base.String()
		}
		var notes []string
		if l.Correction {
			notes = append(notes, "Correction.")
		}
		if p.base != nil || p.one {
			notes = append(notes, fmt.Sprintf("Quantity %s at %s: minimums, maximums, fixed parts and the rounding of each flight are in the amount.", quantity, l.UnitRate))
		}
		out.note = strings.Join(notes, " ")
		lines = append(lines, out)
	}
	return lines
}

type price struct {
	quantity, price decimal.Decimal // the price is never below 0: the sign is the quantity's
	base            *decimal.Decimal
	one             bool // there is no quantity that the price could be of
}

// slack is how far a line may be from its quantity times its price: rule PEPPOL-EN16931-R120.
var slack = decimal.New(2, -2)

// priceOf returns a quantity and a price that come to the amount. Where those of the
// tariff do not, the price is the amount, and that of the whole quantity.
func priceOf(quantity, rate, amount decimal.Decimal) price {
	if rate.IsNegative() {
		quantity, rate = quantity.Neg(), rate.Neg()
	}
	switch {
	case quantity.Mul(rate).Round(2).Sub(amount).Abs().LessThanOrEqual(slack):
		return price{quantity: quantity, price: rate}
	case amount.IsZero():
		return price{quantity: quantity}
	case quantity.Sign() != amount.Sign():
		return price{quantity: decimal.NewFromInt(int64(amount.Sign())), price: amount.Abs(), one: true}
	default:
		base := quantity.Abs()
		return price{quantity: quantity, price: amount.Abs(), base: &base}
	}
}

// categoryCode returns the code of UNCL5305. What is taxed as usual, at nothing, is zero rated.
func categoryCode(c billing.TaxCategory, rate decimal.Decimal) string {
	switch c {
	case billing.TaxZero:
		return "Z"
	case billing.TaxExempt:
		return "E"
	case billing.TaxReverseCharge:
		return "AE"
	case billing.TaxExport:
		return "G"
	case billing.TaxOutside:
		return "O"
	case billing.TaxStandard:
	}
	if rate.IsZero() {
		return "Z"
	}
	return "S"
}

func percent(rate decimal.Decimal) string { return rate.Shift(2).String() }

// taxesOf returns the taxes, each code and rate once.
func taxesOf(inv *document.Invoice, money func(decimal.Decimal) string) []tax {
	var taxes []tax
	for _, t := range inv.Taxes {
		category := categoryCode(t.Category, t.Rate)
		i := slices.IndexFunc(taxes, func(o tax) bool { return o.category == category && o.exactRate.Equal(t.Rate) })
		if i < 0 {
			i = len(taxes)
			taxes = append(taxes, tax{category: category, percent: percent(t.Rate), exactRate: t.Rate})
		}
		o := &taxes[i]
		o.exactBase, o.exactTax = o.exactBase.Add(t.Base), o.exactTax.Add(t.Tax)
		for reason := range strings.SplitSeq(t.Reason, ";") { // several tariffs' reasons
			if reason = clean(reason); reason != "" && !slices.Contains(o.reasons, reason) {
				o.reasons = append(o.reasons, reason)
			}
		}
	}
	for i := range taxes {
		o := &taxes[i]
		o.base, o.tax = money(o.exactBase), money(o.exactTax)
		o.setReason()
	}
	return taxes
}

// setReason says why a tax is not as usual: by one code, or in words. Of what is taxed,
// also at zero, the rules refuse reasons.
func (t *tax) setReason() {
	if t.category == "S" || t.category == "Z" {
		t.mustNotBeStated = t.reasons
		return
	}
	var words []string
	for _, reason := range t.reasons {
		if code := strings.ToUpper(reason); strings.HasPrefix(code, "VATEX-") && !strings.Contains(code, " ") && t.code == "" {
			t.code = code
		} else {
			words = append(words, reason)
		}
	}
	if len(words) == 0 {
		words = []string{reasonWords[t.category]}
	}
	t.reason = strings.Join(words, "; ")
}

// reasonWords are the words of the rules themselves.
var reasonWords = map[string]string{
	"E":  "Exempt from VAT",
	"AE": "Reverse charge",
	"G":  "Export outside the EU",
	"O":  "Not subject to VAT",
}
