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
// database has: those of a credit note are below 0.
type Invoice struct {
	Number       string
	CreditNote   bool
	Currency     string       // ISO 4217
	IssuedOn     billing.Date // in the billing zone
	DueOn        billing.Date // no date: of a credit note
	IssuedAt     time.Time
	From, To     billing.Date // the days of its charges, both with; no date: it has none
	OutsideScope bool         // of VAT
	Reason       string       // of a credit note, and of what voids one
	Credits      *Reference   // the document that this one voids; nil: none

	Issuer Issuer
	BillTo Party // Language is set, from the issuer where the customer has none

	Lines   []Line   // by description; corrections last
	Taxes   []Tax    // by category, and from the highest rate down
	Charges []Charge // by day, flight and id

	Subtotal, Tax, Total decimal.Decimal

	// Where tax is declared in another currency.
	TaxCurrency     string           // "": it is not
	TaxCurrencyRate *decimal.Decimal // what one unit of Currency was worth in it; nil: no rate was known
}

// Reference is another document.
type Reference struct {
	Number   string
	IssuedOn billing.Date
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
	Code        string
	Description string
	UnitCode    string // UN/ECE recommendation 20
	Quantity    decimal.Decimal
	UnitRate    decimal.Decimal
	Amount      decimal.Decimal // not always Quantity times UnitRate: there are minimums
	TaxCategory billing.TaxCategory
	TaxRate     decimal.Decimal
	TaxReason   string
	Correction  bool
	Charges     int
}

// Tax is what is due on the sum of the lines of one category and rate.
type Tax struct {
	Category  billing.TaxCategory
	Rate      decimal.Decimal // 0.20 is 20 %
	Base, Tax decimal.Decimal
	Reason    string // why it is not taxed as usual: a code such as VATEX-EU-AE, or words
}

// Charge is one priced line of one flight; without a flight it is interest.
type Charge struct {
	FlightID     string
	FlownOn      billing.Date
	Registration string
	Callsign     string
	Origin       string
	Destination  string
	Code         string
	Description  string
	UnitCode     string
	Quantity     decimal.Decimal
	UnitRate     decimal.Decimal
	Amount       decimal.Decimal
	TaxCategory  billing.TaxCategory
	TaxRate      decimal.Decimal
	Late         bool
	Correction   bool
}
