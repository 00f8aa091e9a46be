// Package document is an issued invoice as its customer gets it: what it says, and how
// that is written. It is pure: it reads no database, no file and no clock, so that one
// invoice gives the same bytes each time.
package document

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
)

// Invoice is an invoice or credit note as it was issued. Amounts have the signs that the
// database has: those of a credit note are below 0. The names in JSON stay as they are:
// flightbill invoices export writes them.
type Invoice struct {
	Number       string       `json:"number"`
	CreditNote   bool         `json:"credit_note"`
	Currency     string       `json:"currency"`  // ISO 4217
	IssuedOn     billing.Date `json:"issued_on"` // in the billing zone
	DueOn        billing.Date `json:"due_on"`    // no date: of a credit note
	IssuedAt     time.Time    `json:"issued_at"`
	From         billing.Date `json:"from"` // the days of its charges, both with; no date: it has none
	To           billing.Date `json:"to"`
	OutsideScope bool         `json:"outside_scope"` // of VAT
	Reason       string       `json:"reason"`        // of a credit note, and of what voids one
	Credits      *Reference   `json:"credits"`       // the document that this one voids; nil: none

	Issuer Issuer `json:"issuer"`
	BillTo Party  `json:"bill_to"` // Language is set, from the issuer where the customer has none

	Lines   []Line   `json:"lines"`   // by description; corrections last
	Taxes   []Tax    `json:"taxes"`   // by category, and from the highest rate down
	Charges []Charge `json:"charges"` // by day, flight and id

	Subtotal decimal.Decimal `json:"subtotal"`
	Tax      decimal.Decimal `json:"tax"`
	Total    decimal.Decimal `json:"total"`

	// Where tax is declared in another currency.
	TaxCurrency     string           `json:"tax_currency"`      // "": it is not
	TaxCurrencyRate *decimal.Decimal `json:"tax_currency_rate"` // what one unit of Currency was worth in it; nil: no rate was known
}

// Reference is another document.
type Reference struct {
	Number   string       `json:"number"`
	IssuedOn billing.Date `json:"issued_on"`
}

// Party is who pays or is paid. What is empty is not known. The names in JSON are those of
// the columns of the tables customers and issuers.
type Party struct {
	Code                    string   `json:"code,omitempty"` // the customer's
	Name                    string   `json:"name"`           // legal
	Street                  string   `json:"street,omitempty"`
	City                    string   `json:"city,omitempty"`
	Postcode                string   `json:"postcode,omitempty"`
	Subdivision             string   `json:"subdivision,omitempty"`
	Country                 string   `json:"country,omitempty"` // ISO 3166, two letters
	VATID                   string   `json:"vat_id,omitempty"`
	TaxRegistration         string   `json:"tax_registration,omitempty"` // where there is no VAT id
	LegalID                 string   `json:"legal_id,omitempty"`
	LegalIDScheme           string   `json:"legal_id_scheme,omitempty"` // ISO 6523
	ElectronicAddress       string   `json:"electronic_address,omitempty"`
	ElectronicAddressScheme string   `json:"electronic_address_scheme,omitempty"` // EAS
	BuyerReference          string   `json:"buyer_reference,omitempty"`           // the customer's own, else its code
	Emails                  []string `json:"emails,omitempty"`
	Language                string   `json:"language,omitempty"` // en, de, fr, es
}

// Issuer is who issues the invoice.
type Issuer struct {
	Party

	ContactName  string `json:"contact_name,omitempty"`
	ContactPhone string `json:"contact_phone,omitempty"`
	ContactEmail string `json:"contact_email,omitempty"`
	MailFrom     string `json:"mail_from,omitempty"`
	IBAN         string `json:"iban,omitempty"`
	BIC          string `json:"bic,omitempty"`
	AccountName  string `json:"account_name,omitempty"`
	TaxCurrency  string `json:"tax_currency,omitempty"`
	Note         string `json:"note,omitempty"` // on each invoice
	Logo         []byte `json:"logo,omitempty"` // PNG or JPEG
}

// Line sums the charges of one tariff, tax rate and category. Corrections are lines of
// their own.
type Line struct {
	Code        string              `json:"code"`
	Description string              `json:"description"`
	UnitCode    string              `json:"unit_code"` // UN/ECE recommendation 20
	Quantity    decimal.Decimal     `json:"quantity"`
	UnitRate    decimal.Decimal     `json:"unit_rate"`
	Amount      decimal.Decimal     `json:"amount"` // not always Quantity times UnitRate: there are minimums
	TaxCategory billing.TaxCategory `json:"tax_category"`
	TaxRate     decimal.Decimal     `json:"tax_rate"`
	TaxReason   string              `json:"tax_reason"`
	Correction  bool                `json:"correction"`
	Charges     int                 `json:"charges"`
}

// Tax is what is due on the sum of the lines of one category and rate.
type Tax struct {
	Category billing.TaxCategory `json:"category"`
	Rate     decimal.Decimal     `json:"rate"` // 0.20 is 20 %
	Base     decimal.Decimal     `json:"base"`
	Tax      decimal.Decimal     `json:"tax"`
	Reason   string              `json:"reason"` // why it is not taxed as usual: a code such as VATEX-EU-AE, or words
}

// Charge is one priced line of one flight; without a flight it is interest.
type Charge struct {
	FlightID     string              `json:"flight_id"`
	FlownOn      billing.Date        `json:"flown_on"`
	Registration string              `json:"registration"`
	Callsign     string              `json:"callsign"`
	Origin       string              `json:"origin"`
	Destination  string              `json:"destination"`
	Code         string              `json:"code"`
	Description  string              `json:"description"`
	UnitCode     string              `json:"unit_code"`
	Quantity     decimal.Decimal     `json:"quantity"`
	UnitRate     decimal.Decimal     `json:"unit_rate"`
	Amount       decimal.Decimal     `json:"amount"`
	TaxCategory  billing.TaxCategory `json:"tax_category"`
	TaxRate      decimal.Decimal     `json:"tax_rate"`
	Late         bool                `json:"late"`
	Correction   bool                `json:"correction"`
}
