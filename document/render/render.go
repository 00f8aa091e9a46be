// Package render writes an invoice in each of the formats that it leaves the house in.
package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/flightbill/flightbill/document"
	"github.com/flightbill/flightbill/document/einvoice"
	"github.com/flightbill/flightbill/document/pdf"
)

// Format is what a file of an invoice is.
type Format string

// The formats.
const (
	PDF  Format = "pdf" // with the e-invoice in CII and the flights inside
	UBL  Format = "ubl"
	CII  Format = "cii"
	CSV  Format = "csv"  // a line a charge
	JSON Format = "json" // document.Invoice
)

// Formats are all of them.
var Formats = []Format{PDF, UBL, CII, CSV, JSON}

// IsDocument reports whether customers get a format as their invoice. What one got is kept.
func (f Format) IsDocument() bool { return f == PDF || f == UBL || f == CII }

// Ending is that of a file's name.
func (f Format) Ending() string {
	if f == UBL || f == CII {
		return string(f) + ".xml"
	}
	return string(f)
}

// Write writes an invoice.
func Write(inv *document.Invoice, format Format) ([]byte, error) {
	switch format {
	case PDF:
		return writePDF(inv)
	case UBL:
		return einvoice.UBL(inv, einvoice.Flights(inv))
	case CII:
		return einvoice.CII(inv, einvoice.Flights(inv))
	case CSV:
		return einvoice.FlightsCSV(inv), nil
	case JSON:
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetIndent("", "  ")
		err := encoder.Encode(inv)
		return b.Bytes(), err
	default:
		return nil, fmt.Errorf("format %q is not known", format)
	}
}

// writePDF leaves out an e-invoice that cannot be: the PDF then is all that there is.
func writePDF(inv *document.Invoice) ([]byte, error) {
	var attachments []pdf.Attachment
	xml, err := einvoice.CII(inv, nil)
	if _, cannot := errors.AsType[*einvoice.CurrencyError](err); err != nil && !cannot {
		return nil, err
	}
	if err == nil {
		attachments = append(attachments, pdf.Attachment{Name: pdf.EInvoice, MIME: "text/xml", Relationship: "Alternative", Data: xml})
	}
	if len(inv.Charges) > 0 {
		attachments = append(attachments, pdf.Attachment{Name: "flights.csv", MIME: "text/csv", Relationship: "Supplement", Data: einvoice.FlightsCSV(inv)})
	}
	return pdf.Write(inv, attachments...)
}

// Version is that of the program, which is kept with what it wrote.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
