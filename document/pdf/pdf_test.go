package pdf_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/document"
	"github.com/flightbill/flightbill/document/pdf"
)

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

// example is an invoice of an airport to an airline, with so many flights of two charges.
func example(flights int) *document.Invoice {
	inv := &document.Invoice{
		Number: "EIN-000123", Currency: "EUR",
		IssuedOn: billing.NewDate(2026, 12, 1), DueOn: billing.NewDate(2026, 12, 31), IssuedAt: time.Date(2026, 12, 1, 1, 0, 7, 0, time.UTC),
		From: billing.NewDate(2026, 11, 1), To: billing.NewDate(2026, 11, 30),
		Issuer: document.Issuer{
			Party: document.Party{
				Name: "Flughafen Musterstadt GmbH", Street: "Terminalring 1", Postcode: "12529", City: "Musterstadt", Country: "DE",
				VATID: "DE123456789", LegalID: "HRB 12345", Language: "de",
			},
			ContactName: "Accounts Receivable", ContactPhone: "+49 30 1234567", ContactEmail: "billing@musterstadt-airport.example",
			IBAN: "DE89370400440532013000", BIC: "COBADEFFXXX", AccountName: "Flughafen Musterstadt GmbH",
			Note: "Managing directors: A. Muster, B. Beispiel. Commercial register: Amtsgericht Musterstadt, HRB 12345.",
			Logo: logo(),
		},
		BillTo: document.Party{
			Code: "EIN", Name: "Emerald Isle Airways DAC", Street: "Corballis Park, Dublin Airport", Postcode: "K67 P6K0", City: "Dublin", Country: "IE",
			VATID: "IE9825613N", BuyerReference: "PO-2026-4711", Language: "en",
		},
	}
	landing, passengers := decimal.Zero, decimal.Zero
	for i := range flights {
		day := billing.NewDate(2026, 11, 1+i*30/max(flights, 1))
		registration := fmt.Sprintf("EI-D%c%c", 'A'+i%7, 'A'+i%5)
		id := fmt.Sprintf("EIN%d-202611%02d-BER", 330+2*(i%9), 1+i*30/max(flights, 1))
		flight := document.Charge{
			FlightID: fmt.Sprintf("%s-%d", id, i), FlownOn: day, Registration: registration, Callsign: fmt.Sprintf("EIN%d", 330+2*(i%9)), Origin: "EIDW", Destination: "EDDB",
			TaxCategory: billing.TaxReverseCharge, TaxRate: decimal.Zero, Late: i%17 == 3,
		}
		a, b := flight, flight
		a.Code, a.Description, a.UnitCode, a.Quantity, a.UnitRate, a.Amount = "LANDING", "Landing charge by take-off mass", "TNE", dec("78"), dec("5.25"), dec("409.50")
		b.Code, b.Description, b.UnitCode, b.Quantity, b.UnitRate, b.Amount = "PAX", "Passenger charge", "C62", dec("161"), dec("12.43"), dec("2001.23")
		landing, passengers = landing.Add(a.Amount), passengers.Add(b.Amount)
		inv.Charges = append(inv.Charges, a, b)
	}
	n := decimal.NewFromInt(int64(flights))
	inv.Lines = []document.Line{
		{Code: "LANDING", Description: "Landing charge by take-off mass", UnitCode: "TNE", Quantity: dec("78").Mul(n), UnitRate: dec("5.25"), Amount: landing, TaxCategory: billing.TaxReverseCharge, TaxReason: "VATEX-EU-AE", Charges: flights},
		{Code: "PAX", Description: "Passenger charge", UnitCode: "C62", Quantity: dec("161").Mul(n), UnitRate: dec("12.43"), Amount: passengers, TaxCategory: billing.TaxReverseCharge, TaxReason: "VATEX-EU-AE", Charges: flights},
	}
	inv.Subtotal = landing.Add(passengers)
	inv.Total = inv.Subtotal
	inv.Taxes = []document.Tax{{Category: billing.TaxReverseCharge, Base: inv.Subtotal, Reason: "VATEX-EU-AE"}}
	return inv
}

// logo draws one: a blue disc, transparent around it.
func logo() []byte {
	const size = 160
	picture := image.NewNRGBA(image.Rect(0, 0, 2*size, size))
	for x := range 2 * size {
		for y := range size {
			dx, dy := x-size/2, y-size/2
			if dx*dx+dy*dy < size*size/4 || x > size+10 && (y-size/2)*(y-size/2) < (2*size-x)*12 {
				picture.Set(x, y, color.NRGBA{18, 62, 110, 255})
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func write(t *testing.T, inv *document.Invoice, attachments ...pdf.Attachment) []byte {
	t.Helper()
	file, err := pdf.Write(inv, attachments...)
	require.NoError(t, err)
	if dir := os.Getenv("FLIGHTBILL_TEST_PDFS"); dir != "" { // to look at
		require.NoError(t, os.WriteFile(filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+".pdf"), file, 0o600))
	}
	return file
}

func TestExample(t *testing.T) {
	t.Parallel()
	write(t, example(50), pdf.Attachment{Name: pdf.EInvoice, MIME: "text/xml", Relationship: "Alternative", Data: []byte("<a/>")})
}

// credited turns an invoice into the credit note that takes it back.
func credited(inv *document.Invoice) *document.Invoice {
	note := *inv
	note.Number, note.CreditNote, note.DueOn = "EIN-CN000007", true, billing.Date{}
	note.IssuedOn = billing.NewDate(2026, 12, 11)
	note.Credits, note.Reason = &document.Reference{Number: inv.Number, IssuedOn: inv.IssuedOn}, "wrong tariff"
	note.Lines, note.Taxes, note.Charges = nil, nil, nil
	for _, l := range inv.Lines {
		l.Quantity, l.Amount = l.Quantity.Neg(), l.Amount.Neg()
		note.Lines = append(note.Lines, l)
	}
	for _, t := range inv.Taxes {
		t.Base, t.Tax = t.Base.Neg(), t.Tax.Neg()
		note.Taxes = append(note.Taxes, t)
	}
	for _, c := range inv.Charges {
		c.Quantity, c.Amount = c.Quantity.Neg(), c.Amount.Neg()
		note.Charges = append(note.Charges, c)
	}
	note.Subtotal, note.Tax, note.Total = inv.Subtotal.Neg(), inv.Tax.Neg(), inv.Total.Neg()
	return &note
}

// extreme is an invoice whose every text is as long as it can be.
func extreme() *document.Invoice {
	inv := example(3)
	long := strings.Repeat("Allgemeine Luftverkehrsgesellschaft ", 28) // 1,008 letters
	unbroken := strings.Repeat("W", 1000)
	inv.Issuer.Logo = nil
	inv.Issuer.Name, inv.Issuer.Street, inv.Issuer.City, inv.Issuer.Note = long, long, unbroken, long+"\n"+unbroken
	inv.Issuer.AccountName, inv.Issuer.ContactEmail, inv.Issuer.VATID = long, unbroken, unbroken
	inv.BillTo.Name, inv.BillTo.Street, inv.BillTo.City, inv.BillTo.BuyerReference = unbroken, long, long, unbroken
	inv.Reason = long
	inv.Lines[0].Description, inv.Lines[1].Description = unbroken, strings.Repeat(long, 6)
	inv.Lines[0].Amount, inv.Subtotal, inv.Total = dec("123456789012345678901234567890.12"), dec("123456789012345678901234567890.12"), dec("123456789012345678901234567890.12")
	inv.Lines[0].Quantity, inv.Lines[0].UnitRate = dec("1234567890123456789.123456789"), dec("0.000000000000123456789")
	for i := range inv.Charges {
		inv.Charges[i].FlightID = strings.Repeat("WMW-", 32)[:128]
		inv.Charges[i].Registration, inv.Charges[i].Callsign = unbroken[:200], unbroken[:200]
		inv.Charges[i].Code = fmt.Sprintf("CODE%d", i)
	}
	return inv
}

func TestLooks(t *testing.T) {
	t.Parallel()
	several := example(4)
	several.Lines[0].TaxCategory, several.Lines[0].TaxRate = billing.TaxStandard, dec("0.19")
	several.Lines[1].TaxCategory, several.Lines[1].TaxReason = billing.TaxExempt, "VATEX-EU-148-G"
	several.Lines = append(several.Lines, document.Line{Code: "LANDING", Description: "Landing charge by take-off mass", UnitCode: "TNE", Quantity: dec("-78"), UnitRate: dec("5.25"), Amount: dec("-409.50"), TaxCategory: billing.TaxStandard, TaxRate: dec("0.19"), Correction: true, Charges: 1})
	several.Charges[6].Correction, several.Charges[7].Correction = true, true
	several.Taxes = []document.Tax{
		{Category: billing.TaxStandard, Rate: dec("0.19"), Base: dec("1228.50"), Tax: dec("233.42")},
		{Category: billing.TaxExempt, Base: dec("8004.92"), Reason: "VATEX-EU-148-G"},
	}
	several.Subtotal, several.Tax, several.Total = dec("9233.42"), dec("233.42"), dec("9466.84")
	rate := dec("0.8571")
	several.TaxCurrency, several.TaxCurrencyRate = "GBP", &rate
	for language := range map[string]int{"en": 0, "de": 0, "fr": 0, "es": 0} {
		inv := *several
		inv.BillTo.Language = language
		t.Run(language, func(t *testing.T) { t.Parallel(); write(t, &inv) })
	}
	t.Run("credit", func(t *testing.T) { t.Parallel(); write(t, credited(several)) })
	t.Run("extreme", func(t *testing.T) { t.Parallel(); write(t, extreme()) })
	t.Run("one", func(t *testing.T) { t.Parallel(); write(t, example(1)) })
	t.Run("none", func(t *testing.T) { t.Parallel(); write(t, example(0)) })
}

func TestMany(t *testing.T) {
	start := time.Now()
	inv := example(20000)
	t.Log(time.Since(start))
	start = time.Now()
	f := write(t, inv)
	t.Log(time.Since(start), len(f))
}
