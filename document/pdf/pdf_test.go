package pdf_test

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/document"
	"github.com/flightbill/flightbill/document/documenttest"
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

// logo draws one: a tail fin in a blue disc, transparent around it.
func logo() []byte {
	const size = 320
	picture := image.NewNRGBA(image.Rect(0, 0, size, size))
	for x := range size {
		for y := range size {
			dx, dy := x-size/2, y-size/2
			inDisc := dx*dx+dy*dy < size*size/4
			inFin := y > 70 && y < 240 && x > 70+(y-70)*2/3 && x < 150+(y-70)/2
			switch {
			case inDisc && inFin:
				picture.Set(x, y, color.NRGBA{255, 255, 255, 255})
			case inDisc:
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

// several has two rates, a correction, and tax in another currency.
func several() *document.Invoice {
	inv := example(4)
	inv.Lines[0].TaxCategory, inv.Lines[0].TaxRate, inv.Lines[0].TaxReason = billing.TaxStandard, dec("0.19"), ""
	inv.Lines[1].TaxCategory, inv.Lines[1].TaxReason = billing.TaxExempt, "VATEX-EU-148-G"
	correction := inv.Lines[0]
	correction.Quantity, correction.Amount, correction.Correction, correction.Charges = dec("-78"), dec("-409.50"), true, 1
	inv.Lines = append(inv.Lines, correction)
	corrected := inv.Charges[6]
	corrected.Quantity, corrected.Amount, corrected.Correction = correction.Quantity, correction.Amount, true
	inv.Charges = append(inv.Charges, corrected)
	inv.Taxes = []document.Tax{
		{Category: billing.TaxStandard, Rate: dec("0.19"), Base: dec("1228.50"), Tax: dec("233.42")},
		{Category: billing.TaxExempt, Base: dec("8004.92"), Reason: "VATEX-EU-148-G"},
	}
	inv.Subtotal, inv.Tax, inv.Total = dec("9233.42"), dec("233.42"), dec("9466.84")
	rate := dec("0.8571")
	inv.TaxCurrency, inv.TaxCurrencyRate = "GBP", &rate
	return inv
}

// Every kind of invoice: the same bytes twice, and nothing over anything.
func TestEveryKind(t *testing.T) {
	t.Parallel()
	invoices := documenttest.Invoices()
	delete(invoices, "20000-lines") // see TestTwentyThousandFlights
	delete(invoices, "base-rounded")
	invoices["extreme"], invoices["none"], invoices["one"], invoices["credited"] = extreme(), example(0), example(1), credited(several())
	for name, inv := range invoices {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := write(t, inv)
			require.True(t, bytes.Equal(file, write(t, inv)), "the same bytes")
			pages := read(t, file)
			requireTidy(t, pages)
			require.Contains(t, strings.ReplaceAll(allText(pages), "\n", ""), inv.Number)
			for n, pieces := range pages {
				require.Equal(t, 1, strings.Count(textOf(pieces), fmt.Sprintf(pageOf[inv.BillTo.Language], n+1, len(pages))), "page %d", n+1)
			}
		})
	}
}

var pageOf = map[string]string{"": "Page %d of %d", "en": "Page %d of %d", "de": "Seite %d von %d", "fr": "Page %d sur %d", "es": "Página %d de %d"}

// What stands on the page, in each language.
func TestLanguages(t *testing.T) {
	t.Parallel()
	for language, wanted := range map[string][]string{
		"en": {
			"Invoice EIN-000123", "1 Nov 2026 – 30 Nov 2026", "31 December 2026", "Ireland", "Germany", "VAT ID IE9825613N",
			"Landing charge by take-off mass\nLANDING · 4 charges\n312 | t | 5.25 | 19% | 1,638.00", "LANDING · 1 charge · correction", "\n−78 | t | 5.25 | 19% | −409.50",
			"644 | each | 12.43 | 0% | 8,004.92", "Net total | €9,233.42", "VAT 19% on €1,228.50 | €233.42", "VAT 0% (exempt) on €8,004.92 | €0.00", "Total | €9,466.84",
			"VAT in GBP, at 1 EUR = 0.8571 GBP: £200.06", "Exempt: article 148 of Directive 2006/112/EC",
			"Please pay €9,466.84 by 31 December 2026.", "IBAN:  DE89 3704 0044 0532 0130 00", "BIC:  COBADEFFXXX", "Payment reference:  EIN-000123",
			"1 Nov 2026 | EIN330-20261101-BER-0 | EIN330 | EI-DAA | EIDW–EDDB | LANDING, PAX | 2,410.73", "| LANDING (correction) | −409.50", "Page 1 of 1",
		},
		"de": {
			"Rechnung EIN-000123", "31. Dezember 2026", "Irland", "USt-IdNr. IE9825613N", "312 | t | 5,25 | 19 % | 1.638,00", "| −409,50", "Stück", "Summe netto | 9.233,42 €",
			"USt. 0 % (steuerfrei) auf 8.004,92 € | 0,00 €", "Gesamtbetrag | 9.466,84 €", "USt. in GBP, Kurs 1 EUR = 0,8571 GBP: 200,06 £", "Bitte zahlen Sie 9.466,84 € bis zum 31. Dezember 2026.", "01.11.2026 |", "Seite 1 von 1",
		},
		"fr": {
			"Facture EIN-000123", "1er décembre 2026", "Irlande", "Allemagne", "1 638,00", "TVA 0 % (exonéré) sur 8 004,92 € | 0,00 €", "Total TTC | 9 466,84 €", "01/11/2026 |", "Page 1 sur 1",
		},
		"es": {
			"Factura EIN-000123", "1 de diciembre de 2026", "Irlanda", "Alemania", "1.638,00", "IVA 19 % sobre 1.228,50 € | 233,42 €", "Total | 9.466,84 €", "Página 1 de",
		},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			inv := several()
			inv.BillTo.Language = language
			pages := read(t, write(t, inv))
			requireTidy(t, pages)
			text := strings.NewReplacer("\u00a0", " ", "\u202f", " ").Replace(allText(pages))
			for _, part := range wanted {
				require.Contains(t, text, part)
			}
		})
	}
}

// A credit note says how much is credited: its amounts are above 0, and what was taken
// off the invoice is below.
func TestCreditNote(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(allText(read(t, write(t, credited(several())))), "\u00a0", " ")
	for _, part := range []string{
		"Credit note EIN-CN000007", "This credit note takes back invoice EIN-000123 of 1 December 2026.", "Reason: wrong tariff",
		"312 | t | 5.25 | 19% | 1,638.00", "−78 | t | 5.25 | 19% | −409.50", "VAT 19% on €1,228.50 | €233.42", "Total | €9,466.84",
		"VAT in GBP, at 1 EUR = 0.8571 GBP: £200.06", "Nothing is due from you: €9,466.84 is in your favour.", "| 2,410.73",
	} {
		require.Contains(t, text, part)
	}
	require.NotContains(t, text, "IBAN")
	require.NotContains(t, text, "Due date")
}

// Whose total is 0 has nothing to pay; who has no day of payment is asked without one.
func TestPayment(t *testing.T) {
	t.Parallel()
	text := func(inv *document.Invoice) string {
		return strings.ReplaceAll(allText(read(t, write(t, inv))), "\u00a0", " ")
	}
	require.Contains(t, text(example(0)), "There is nothing to pay.")
	inv := example(1)
	inv.DueOn = billing.Date{}
	require.Contains(t, text(inv), "Please pay €2,410.73.")
	inv.Currency = "JPY"
	require.Contains(t, text(inv), "Please pay JPY 2,410.73.", "digits that a currency does not have are not hidden")
	inv.Credits, inv.Reason = &document.Reference{Number: "EIN-CN000001", IssuedOn: inv.IssuedOn}, "it was right"
	require.Contains(t, text(inv), "This invoice takes back credit note EIN-CN000001 of 1 December 2026.")
	inv.TaxCurrency = "NOK"
	require.Contains(t, text(inv), "VAT in NOK: no exchange rate was known on the day of issue.")
	inv.Issuer.VATID = ""
	require.Contains(t, text(inv), "Tax 0%")
}

// Why a tax is not due stands in words: the law's own for a reverse charge, and those of a code.
func TestReasons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		category billing.TaxCategory
		reason   string
		text     string
	}{
		{billing.TaxReverseCharge, "", "Reverse charge: VAT is to be accounted for by the recipient"},
		{billing.TaxReverseCharge, "VATEX-EU-AE", "Reverse charge: VAT is to be accounted for by the recipient (VATEX-EU-AE)"},
		{billing.TaxReverseCharge, "Section 13b", "Reverse charge: VAT is to be accounted for by the recipient. Section 13b"},
		{billing.TaxExempt, "vatex-eu-148-g", "Exempt: article 148 of Directive 2006/112/EC, services for aircraft used for reward chiefly on international routes (vatex-eu-148-g)"},
		{billing.TaxExempt, "VATEX-EU-309", "VATEX-EU-309"},
		{billing.TaxExempt, "Artículo 22", "Artículo 22"},
		{billing.TaxExport, "", "VAT 0% (export) on €2,410.73 | €0.00"},
		{billing.TaxOutside, "", "VAT 0% (outside the scope of VAT) on €2,410.73 | €0.00"},
	} {
		inv := example(1)
		inv.Taxes[0].Category, inv.Taxes[0].Reason = c.category, c.reason
		require.Contains(t, allText(read(t, write(t, inv))), "\n"+c.text+"\n")
	}
}

// Latin, Greek and Cyrillic stand as they are written; of what no font can show, and of
// what is written in other directions, there is a question mark, and never a box.
func TestLetters(t *testing.T) {
	t.Parallel()
	for name, printed := range map[string]string{
		"Łódź Çeşme Đà Nẵng Þingeyri Ærø": "Łódź Çeşme Đà Nẵng Þingeyri Ærø",
		"Αθήνα Αεροδρόμιο":                "Αθήνα Αεροδρόμιο",
		"Шереметьево Київ":                "Шереметьево Київ",
		"Cafe\u0301":                      "Café",
		"着陸料":                             "???",
		"שדה":                             "???",
		"a✈\U0001f6e9b":                   "a✈?b",
		"two\nlines\ttabbed":              "two lines tabbed",
		"\u202ereversed\u200b\u00ad":      "reversed",
		"\x00\x1b[31mred":                 "  [31mred",
		"bad \xff bytes":                  "bad ? bytes",
		`(a\b) \)`:                        `(a\b) \)`,
		"{nb}":                            "{nb}",
	} {
		inv := example(1)
		inv.BillTo.Name = name
		pages := read(t, write(t, inv))
		require.Contains(t, allText(pages), strings.TrimSpace(printed), "%q", name)
	}
}

// The flights' head stands on each of their pages, a flight with several charges on one line.
func TestFlights(t *testing.T) {
	t.Parallel()
	pages := read(t, write(t, example(200)))
	require.Greater(t, len(pages), 3)
	lines := 0
	for n, pieces := range pages {
		text := textOf(pieces)
		require.Equal(t, n > 0, strings.Contains(text, "Day | Flight | Callsign | Registration | From – to | Charges | Net (EUR)"), "page %d", n+1)
		require.Equal(t, n > 0, strings.Contains(text, "Invoice EIN-000123 | Flughafen Musterstadt GmbH"), "page %d", n+1)
		lines += strings.Count(text, "| LANDING, PAX")
	}
	require.Equal(t, 200, lines)
	require.Contains(t, allText(pages), "EIN336-20261101-BER-3 | EIN336 | EI-DDD | EIDW–EDDB | LANDING, PAX (late) | 2,410.73")
	interest := example(0)
	interest.Charges = []document.Charge{{FlownOn: interest.IssuedOn, Code: "INTEREST", Description: "Interest on EIN-000100, 31 days", Amount: dec("1.25")}}
	require.Contains(t, allText(read(t, write(t, interest))), "| Interest on EIN-000100, 31 days | INTEREST | 1.25")
}

// What is attached is inside, and the file says which profile that is only where it is.
func TestAttachments(t *testing.T) {
	t.Parallel()
	invoice := pdf.Attachment{Name: pdf.EInvoice, MIME: "text/xml", Relationship: "Alternative", Data: []byte("<invoice/>")}
	flights := pdf.Attachment{Name: "flights.csv", MIME: "text/csv", Relationship: "Supplement", Data: []byte("flight\nF1\n")}
	with, without := write(t, example(1), flights, invoice), write(t, example(1), flights)
	const profile = "<fx:ConformanceLevel>EN 16931</fx:ConformanceLevel>"
	require.Contains(t, string(with), profile)
	require.NotContains(t, string(without), "factur-x")
	require.Contains(t, string(with), "/Subtype /text#2Fxml")
	require.Contains(t, string(with), "/AFRelationship /Alternative")
	require.Contains(t, string(with), "/AFRelationship /Supplement")
	for _, data := range []string{"<invoice/>", "flight\nF1\n"} {
		var zipped bytes.Buffer
		w := zlib.NewWriter(&zipped)
		_, err := w.Write([]byte(data))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.True(t, bytes.Contains(with, zipped.Bytes()))
	}
	_, err := pdf.Write(example(1), pdf.Attachment{Name: "../x.csv", MIME: "text/csv"})
	require.EqualError(t, err, `write invoice EIN-000123 as PDF/A: the attachment's name "../x.csv" is not one of letters, digits, -, _ and . alone`)
}

// A logo of any kind is drawn; one that cannot be read is left out, and the name stands there.
func TestLogo(t *testing.T) {
	t.Parallel()
	var photo bytes.Buffer
	require.NoError(t, jpeg.Encode(&photo, image.NewCMYK(image.Rect(0, 0, 40, 20)), nil))
	var deep bytes.Buffer
	require.NoError(t, png.Encode(&deep, image.NewNRGBA64(image.Rect(0, 0, 40, 400))))
	for name, c := range map[string]struct {
		logo  []byte
		drawn bool
	}{"PNG": {logo(), true}, "JPEG": {photo.Bytes(), true}, "16 bits": {deep.Bytes(), true}, "cut": {logo()[:200], false}, "none": {nil, false}, "text": {[]byte("logo"), false}} {
		inv := example(1)
		inv.Issuer.Logo = c.logo
		file := write(t, inv)
		require.Equal(t, c.drawn, bytes.Contains(file, []byte("/Subtype /Image")), name)
		require.NotContains(t, string(file), "/SMask", name)
		first := read(t, file)[0][0]
		require.Equal(t, "Flughafen Musterstadt GmbH", first.text, name)
		require.Equal(t, !c.drawn, first.size > 12, name)
	}
}

// 20,000 flights take less than 2 s and 150 MB where nothing else runs: 0.6 s and 124 MB.
// Others' work on the machine does not count against it, and the bounds are twice as wide.
func TestTwentyThousandFlights(t *testing.T) { //nolint:paralleltest // it measures the process
	inv := example(20_000)
	before := usage(t)
	file := write(t, inv)
	after := usage(t)
	const pages = 386
	last := readFrom(t, file, pages-1)
	require.Equal(t, pages, len(last)) //nolint:testifylint // Len prints them
	require.Contains(t, textOf(last[pages-1]), "-19999 | EIN332")
	require.Contains(t, textOf(last[pages-1]), "Page 386 of 386")
	cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	t.Logf("%s of CPU, %d bytes", cpu, len(file))
	require.Less(t, len(file), 4_000_000)
	if !raceDetector {
		require.Less(t, cpu, 4*time.Second)
	}
}

func usage(t *testing.T) (u syscall.Rusage) {
	t.Helper()
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u
}

func BenchmarkTwentyThousandFlights(b *testing.B) {
	inv := example(20_000)
	b.ReportAllocs()
	for b.Loop() {
		_, err := pdf.Write(inv)
		require.NoError(b, err)
	}
}
