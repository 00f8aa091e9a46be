package einvoice

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/document"
	"github.com/flightbill/flightbill/internal/csvcell"
)

var flightColumns = []string{
	"flight_id", "flown_on", "registration", "callsign", "origin", "destination", "code", "description",
	"quantity", "unit", "unit_rate", "amount", "currency", "tax_category", "tax_rate", "late", "correction",
}

// FlightsCSV returns a line a charge, with the signs that the e-invoice has.
func FlightsCSV(inv *document.Invoice) []byte {
	var all bytes.Buffer
	for _, part := range csvParts(inv, 0) {
		all.Write(part)
	}
	return all.Bytes()
}

// Flights returns FlightsCSV as attachments, in as many files as it takes, each with its
// head. An invoice without charges has none.
func Flights(inv *document.Invoice) []Attachment {
	if len(inv.Charges) == 0 {
		return nil
	}
	parts := csvParts(inv, maxAttachment)
	attachments := make([]Attachment, len(parts))
	for i, part := range parts {
		attachments[i] = Attachment{Name: "flights.csv", MIME: "text/csv", Description: "A line a charge", Data: part}
		if len(parts) > 1 {
			attachments[i].Name = fmt.Sprintf("flights-%d.csv", i+1)
			attachments[i].Description = fmt.Sprintf("A line a charge, part %d of %d", i+1, len(parts))
		}
	}
	return attachments
}

// csvParts cuts before a part would have more bytes than most; 0 never does.
func csvParts(inv *document.Invoice, most int) [][]byte {
	minor, _ := billing.MinorUnits(inv.Currency)
	var head, row bytes.Buffer
	writeRow(&head, flightColumns)
	part := bytes.NewBuffer(bytes.Clone(head.Bytes()))
	var parts [][]byte
	for i := range inv.Charges {
		c := &inv.Charges[i]
		quantity, amount := c.Quantity, c.Amount
		if inv.CreditNote {
			quantity, amount = quantity.Neg(), amount.Neg()
		}
		row.Reset()
		writeRow(&row, []string{
			c.FlightID, c.FlownOn.String(), clean(c.Registration), clean(c.Callsign), clean(c.Origin), clean(c.Destination),
			clean(c.Code), clean(c.Description), quantity.String(), c.UnitCode, c.UnitRate.String(), amount.StringFixed(minor), inv.Currency,
			string(c.TaxCategory), c.TaxRate.String(), strconv.FormatBool(c.Late), strconv.FormatBool(c.Correction),
		})
		if most > 0 && part.Len()+row.Len() > most {
			parts = append(parts, part.Bytes())
			part = bytes.NewBuffer(bytes.Clone(head.Bytes()))
		}
		part.Write(row.Bytes())
	}
	return append(parts, part.Bytes())
}

// writeRow writes a row, none of whose cells a spreadsheet would run.
func writeRow(b *bytes.Buffer, cells []string) {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		safe[i] = csvcell.Write(cell)
	}
	w := csv.NewWriter(b)
	_ = w.Write(safe) // a buffer takes everything
	w.Flush()
}
