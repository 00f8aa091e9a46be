// Package einvoice writes an invoice as software reads it, by EN 16931.
//
//   - UBL is UBL 2.1 by Peppol BIS Billing 3, an Invoice or a CreditNote.
//   - CII is UN/CEFACT's Cross Industry Invoice D16B, which is also what a Factur-X has inside.
//   - FlightsCSV is a line a charge; Flights gives it as attachments of either.
//   - Missing says what of an invoice the rules of either will not find.
//
// Amounts of a credit note are above 0 in all of them, as the rules want.
package einvoice

import (
	"bytes"
	"encoding/xml"
	"fmt"

	"github.com/flightbill/flightbill/billing"
)

// Attachment is a file inside an e-invoice.
type Attachment struct {
	Name        string
	MIME        string // application/pdf, image/png, image/jpeg or text/csv: the rules know few others
	Description string
	Data        []byte
}

// What receivers take: of one attachment, and of all that an e-invoice has.
const (
	maxAttachment  = 5_000_000
	maxAttachments = 10_000_000
)

// CurrencyError is returned where an invoice's currency cannot be written: the rules of
// e-invoices allow 2 decimals.
type CurrencyError struct {
	Number   string // of the invoice
	Currency string
	Tax      bool // it is the one that tax is declared in
}

func (e *CurrencyError) Error() string {
	what := "its currency"
	if e.Tax {
		what = "the currency that its tax is declared in"
	}
	decimals, known := billing.MinorUnits(e.Currency)
	if !known {
		return fmt.Sprintf("invoice %q cannot be an e-invoice: %s %q is none of ISO 4217: send the PDF", e.Number, what, e.Currency)
	}
	return fmt.Sprintf("invoice %q cannot be an e-invoice: %s %s has %d decimals, and the rules of e-invoices allow 2: send the PDF",
		e.Number, what, e.Currency, decimals)
}

// write returns an XML document, indented.
func write(root any) ([]byte, error) {
	b := bytes.NewBufferString(xml.Header)
	enc := xml.NewEncoder(b)
	enc.Indent("", "  ")
	if err := enc.Encode(root); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// optional is nil for "": of an element inside another one, encoding/xml leaves out the
// outer one for nil alone.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
