// Package pdf writes an invoice as PDF/A-3b:
//
//   - pages that people read, in the language of the bill's payer: what is owed and why, on the first ones; then
//     each flight
//   - inside, the files that programs read, such as the e-invoice (Factur-X, ZUGFeRD)
//   - the same bytes each time: its dates are the invoice's
package pdf

import (
	"bytes"
	"fmt"

	"github.com/flightbill/flightbill/document"
)

// Attachment is a file inside of the PDF.
type Attachment struct {
	Name         string // in ASCII, with its ending
	MIME         string
	Relationship string // to the invoice: Alternative, the same as a file; Supplement, more than it says
	Data         []byte
}

// EInvoice is the name that an attachment in CII has. With it inside, the PDF calls itself
// Factur-X, profile EN 16931.
const EInvoice = "factur-x.xml"

// Write writes an invoice with attachments. A letter that no font has, and those of
// scripts other than Latin, Greek and Cyrillic, are written as "?".
func Write(inv *document.Invoice, attachments ...Attachment) (file []byte, err error) {
	defer func() { // the library panics at what it does not expect
		if what := recover(); what != nil {
			file, err = nil, fmt.Errorf("write invoice %s as PDF: %v", inv.Number, what)
		}
	}()
	glyphs, err := printable()
	if err != nil {
		return nil, fmt.Errorf("read the fonts of PDFs: %w", err)
	}
	w, language := languages[inv.BillTo.Language], inv.BillTo.Language
	if w == nil {
		w, language = &english, "en"
	}
	s := newSheet(inv, w, glyphs)
	heading := s.clean(s.title() + " " + inv.Number)
	s.pdf.SetTitle(heading, true)
	s.pdf.SetAuthor(s.clean(inv.Issuer.Name), true)
	s.pdf.SetProducer("flightbill", true)
	s.invoice()
	s.annex()
	s.edges()
	var pages bytes.Buffer
	if err := s.pdf.Output(&pages); err != nil {
		return nil, fmt.Errorf("write invoice %s as PDF: %w", inv.Number, err)
	}
	file, err = archive(pages.Bytes(), about{
		title: heading, author: s.clean(inv.Issuer.Name), language: language, at: inv.IssuedAt.UTC(),
	}, attachments)
	if err != nil {
		return nil, fmt.Errorf("write invoice %s as PDF/A: %w", inv.Number, err)
	}
	return file, nil
}
