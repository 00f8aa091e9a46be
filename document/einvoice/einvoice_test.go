package einvoice_test

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/document"
	"github.com/flightbill/flightbill/document/documenttest"
	"github.com/flightbill/flightbill/document/einvoice"
)

type writer = func(*document.Invoice, []einvoice.Attachment) ([]byte, error)

var writers = map[string]writer{"UBL": einvoice.UBL, "CII": einvoice.CII}

// texts returns the texts of the elements of a name, in order.
func texts(t require.TestingT, document []byte, name string) []string {
	var found []string
	decoder := xml.NewDecoder(bytes.NewReader(document))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		if start, is := token.(xml.StartElement); is && start.Name.Local == name {
			var text string
			require.NoError(t, decoder.DecodeElement(&text, &start))
			found = append(found, text)
		}
	}
}

func written(t require.TestingT, inv *document.Invoice, write writer, attachments ...einvoice.Attachment) []byte {
	b, err := write(inv, attachments)
	require.NoError(t, err)
	return b
}

func TestCurrenciesThatOnlyAPDFCanHave(t *testing.T) {
	t.Parallel()
	rate := decimal.NewFromInt(3)
	for _, c := range []struct{ currency, tax, says string }{
		{"KWD", "", `invoice "FR-AIR-000042" cannot be an e-invoice: its currency KWD has 3 decimals, and the rules of e-invoices allow 2: send the PDF`},
		{"CLF", "", "CLF has 4 decimals"},
		{"", "", `its currency "" is none of ISO 4217`},
		{"EUR", "BHD", "the currency that its tax is declared in BHD has 3 decimals"},
	} {
		for name, write := range writers {
			inv := documenttest.Invoice("one-line")
			inv.Currency, inv.TaxCurrency, inv.TaxCurrencyRate = c.currency, c.tax, &rate
			_, err := write(inv, nil)
			var refused *einvoice.CurrencyError
			require.ErrorAs(t, err, &refused, name)
			require.ErrorContains(t, err, c.says, name)
		}
	}
}

// Not all rules refuse an element without anything in it; receivers do.
func TestNoElementIsEmpty(t *testing.T) {
	t.Parallel()
	empty := regexp.MustCompile(`<([a-z]+:\w+)[^>]*>\s*</`)
	invoices := documenttest.Invoices()
	invoices["a phone alone"] = documenttest.Invoice("no-contact")
	invoices["a phone alone"].Issuer.ContactPhone = "1234"
	for name, inv := range invoices {
		for format, write := range writers {
			for _, found := range empty.FindAllSubmatch(written(t, inv, write), -1) {
				if element := string(found[1]); element != "ram:ApplicableHeaderTradeDelivery" { // which must be there
					assert.Fail(t, "an empty element", "%s: %s: %s", name, format, element)
				}
			}
		}
	}
}

// What lacks is left out, and nothing panics.
func TestNothingKnown(t *testing.T) {
	t.Parallel()
	for name, write := range writers {
		for _, credit := range []bool{false, true} {
			b := written(t, &document.Invoice{Currency: "EUR", CreditNote: credit}, write)
			assert.NotContains(t, string(b), "schemeID", name)
		}
	}
	assert.Contains(t, einvoice.Missing(&document.Invoice{}), "a line (EN 16931, BR-16)")
	inv := documenttest.Invoice("tax-currency")
	inv.TaxCurrencyRate = nil
	assert.Equal(t, []string{"the tax in GBP, in which it is declared: no rate was known on 2026-11-30"}, einvoice.Missing(inv))
	assert.Empty(t, texts(t, written(t, inv, einvoice.UBL), "TaxCurrencyCode"))
}

// Whatever was billed, the line comes to its amount, as rule R120 does the sum; prices are not below 0.
func TestLinesComeToTheirAmounts(t *testing.T) {
	t.Parallel()
	number := func(most int64) *rapid.Generator[decimal.Decimal] {
		return rapid.Custom(func(t *rapid.T) decimal.Decimal {
			return decimal.New(rapid.Int64Range(-most, most).Draw(t, "digits"), -int32(rapid.IntRange(0, 6).Draw(t, "decimals")))
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		inv := documenttest.Invoice("one-line")
		inv.CreditNote = rapid.Bool().Draw(t, "credit note")
		line := &inv.Lines[0]
		line.Quantity, line.UnitRate = number(1_000_000).Draw(t, "quantity"), number(100_000).Draw(t, "rate")
		line.Amount = line.Quantity.Mul(line.UnitRate).Round(2)
		if rapid.Bool().Draw(t, "not the product") {
			line.Amount = number(1_000_000).Draw(t, "amount").Round(2)
		}
		for name, write := range writers {
			b := written(t, inv, write)
			one := func(element string) decimal.Decimal {
				all := texts(t, b, element)
				require.NotEmpty(t, all, element)
				return decimal.RequireFromString(all[len(all)-1])
			}
			quantity, price, base := "InvoicedQuantity", "PriceAmount", "BaseQuantity"
			if inv.CreditNote {
				quantity = "CreditedQuantity"
			}
			if name == "CII" {
				quantity, price, base = "BilledQuantity", "ChargeAmount", "BasisQuantity"
			}
			per := decimal.NewFromInt(1)
			if strings.Contains(string(b), base) {
				per = one(base)
				require.Positive(t, per.Sign())
			}
			require.GreaterOrEqual(t, one(price).Sign(), 0)
			want := line.Amount
			if inv.CreditNote {
				want = want.Neg()
			}
			got := one(quantity).Mul(one(price)).DivRound(per, 12)
			require.True(t, got.Sub(want).Abs().LessThanOrEqual(decimal.New(25, -3)), "%s: %s is not %s", name, got, want)
		}
	})
}

func TestTaxReasons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		category                billing.TaxCategory
		rate, reason            string
		code, reasonCode, words string
		note                    string
	}{
		{billing.TaxStandard, "0.2", "", "S", "", "", ""},
		{billing.TaxStandard, "0", "International flight", "Z", "", "", "International flight"},
		{billing.TaxZero, "0", "", "Z", "", "", ""},
		{billing.TaxExempt, "0", "", "E", "", "Exempt from VAT", ""},
		{billing.TaxExempt, "0", "vatex-eu-148-g", "E", "VATEX-EU-148-G", "Exempt from VAT", ""},
		{billing.TaxExempt, "0", "Article 148", "E", "", "Article 148", ""},
		{billing.TaxExempt, "0", "Article 148; VATEX-EU-148-G; VATEX-EU-132", "E", "VATEX-EU-148-G", "Article 148; VATEX-EU-132", ""},
		{billing.TaxReverseCharge, "0", "", "AE", "", "Reverse charge", ""},
		{billing.TaxExport, "0", "VATEX-EU-G", "G", "VATEX-EU-G", "Export outside the EU", ""},
		{billing.TaxOutside, "0", "", "O", "", "Not subject to VAT", ""},
	} {
		inv := documenttest.Invoice("one-line")
		inv.Issuer.Note = ""
		inv.Taxes[0].Category, inv.Taxes[0].Rate, inv.Taxes[0].Reason = c.category, decimal.RequireFromString(c.rate), c.reason
		ubl, cii := written(t, inv, einvoice.UBL), written(t, inv, einvoice.CII)
		for i, b := range [][]byte{ubl, cii} {
			of := func(names ...string) string { return strings.Join(texts(t, b, names[i]), "|") }
			assert.Equal(t, c.reasonCode, of("TaxExemptionReasonCode", "ExemptionReasonCode"))
			assert.Equal(t, c.words, of("TaxExemptionReason", "ExemptionReason"))
			assert.Equal(t, c.note, of("Note", "Content"))
		}
		assert.Contains(t, texts(t, cii, "CategoryCode"), c.code)
	}
}

func TestFlightsInParts(t *testing.T) {
	t.Parallel()
	inv := documenttest.Invoice("credit-period")
	rows, err := csv.NewReader(bytes.NewReader(einvoice.FlightsCSV(inv))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 4)
	require.Equal(t, "974.07", rows[2][11], "of a credit note, the signs of the e-invoice")

	inv.Charges[0].Description, inv.Charges[0].Registration = "=1+1", "\x00-EI\nABC"
	rows, err = csv.NewReader(bytes.NewReader(einvoice.FlightsCSV(inv))).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"'=1+1", "'-EI ABC", "-12"}, []string{rows[1][7], rows[1][2], rows[1][8]}, "none that a spreadsheet would run")

	require.Len(t, einvoice.Flights(inv), 1)
	inv.Charges = nil
	require.Empty(t, einvoice.Flights(inv))

	inv = documenttest.Invoice("base-rounded")
	whole := einvoice.FlightsCSV(inv)
	for i := range inv.Charges {
		inv.Charges[i].Description = strings.Repeat("x", 7_000)
	}
	parts := einvoice.Flights(inv)
	require.Len(t, parts, 2)
	require.Equal(t, "flights-1.csv", parts[0].Name)
	require.LessOrEqual(t, len(parts[0].Data), 5_000_000)
	head, _, _ := bytes.Cut(whole, []byte("\n"))
	var again []byte
	for i, part := range parts {
		require.True(t, bytes.HasPrefix(part.Data, append(head, '\n')))
		if i > 0 {
			part.Data = part.Data[len(head)+1:]
		}
		again = append(again, part.Data...)
	}
	require.Equal(t, string(einvoice.FlightsCSV(inv)), string(again), "nothing lost, nothing twice")
	require.Len(t, texts(t, written(t, inv, einvoice.UBL, parts...), "EmbeddedDocumentBinaryObject"), 2)

	// More than a receiver takes: not half of it.
	for name, write := range writers {
		b := written(t, inv, write, append(parts, parts...)...)
		require.Empty(t, texts(t, b, "EmbeddedDocumentBinaryObject"), name)
		require.Empty(t, texts(t, b, "AttachmentBinaryObject"), name)
		require.Contains(t, string(b), "Not attached, being larger than an e-invoice may carry: flights-1.csv, flights-2.csv", name)
	}
}

func TestCreditNotesAreAboveZero(t *testing.T) {
	t.Parallel()
	inv := documenttest.Invoice("credit-note")
	ubl, cii := written(t, inv, einvoice.UBL), written(t, inv, einvoice.CII)
	require.Equal(t, []string{inv.Total.Neg().StringFixed(2)}, texts(t, ubl, "PayableAmount"))
	require.Equal(t, []string{inv.Total.Neg().StringFixed(2)}, texts(t, cii, "DuePayableAmount"))
	require.Empty(t, texts(t, ubl, "DueDate"))
	require.Contains(t, texts(t, ubl, "ID"), "IE-AIR-000041")
	require.Equal(t, []string{"381"}, texts(t, ubl, "CreditNoteTypeCode"))

	period := documenttest.Invoice("credit-period")
	require.Equal(t, []string{"The corrections of this period come to more than its charges."}, texts(t, written(t, period, einvoice.UBL), "Note")[:1])
	require.NotContains(t, string(written(t, period, einvoice.UBL)), "BillingReference")
}
