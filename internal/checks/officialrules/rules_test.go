//go:build unix

package officialrules_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/document"
	"github.com/flightbill/flightbill/document/documenttest"
	"github.com/flightbill/flightbill/document/einvoice"
	"github.com/flightbill/flightbill/document/render"
	"github.com/flightbill/flightbill/internal/checks/officialrules"
	"github.com/flightbill/flightbill/internal/javajars"
)

// One program checks everything: to read the rules takes most of its time.
func TestOfficialRules(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{}
	refused := map[string]string{}
	invoices := documenttest.Invoices()
	maps.Copy(invoices, billed(t))
	for name, inv := range invoices {
		assert.Empty(t, einvoice.Missing(inv), name)
		attachments := einvoice.Flights(inv)
		files[name+".ubl.xml"] = written(t, inv, einvoice.UBL, attachments)
		files[name+".cii.xml"] = written(t, inv, einvoice.CII, attachments)
		pdf, err := render.Write(inv, render.PDF)
		require.NoError(t, err)
		files[name+".pdf"] = pdf
	}
	files["refused.pdf"] = bytes.ReplaceAll(files["one-line.pdf"], []byte("/GTS_PDFA1"), []byte("/GTS_PDFX1"))
	refused["refused.pdf"] = "6.2.4.3"
	// With nothing attached, as inside a Factur-X.
	files["bare.ubl.xml"] = written(t, documenttest.Invoice("one-line"), einvoice.UBL, nil)
	files["bare.cii.xml"] = written(t, documenttest.Invoice("one-line"), einvoice.CII, nil)
	for name, c := range incomplete {
		inv := documenttest.Invoice(c.of)
		c.without(inv)
		missing := strings.Join(einvoice.Missing(inv), "\n")
		require.Contains(t, missing, c.missing, name)
		require.NotContains(t, missing, "\n", name)
		refused["refused-"+name+".ubl.xml"] = c.rule
		files["refused-"+name+".ubl.xml"] = written(t, inv, einvoice.UBL, nil)
	}
	files["refused-plain.pdf"] = bytes.Replace(files["one-line.pdf"], []byte("/Type /Metadata"), []byte("/Type /Metadatum"), 1)
	refused["refused-plain.pdf"] = "6.6.2.1"
	for name, c := range broken {
		refused["refused-"+name] = c.rule
		text := string(files[c.of])
		require.Contains(t, text, c.old, name)
		files["refused-"+name] = []byte(strings.Replace(text, c.old, c.new, 1))
	}

	reports := check(t, files)
	require.Len(t, reports, len(files))
	for _, report := range reports {
		if rule, is := refused[report.File]; is {
			assert.Contains(t, strings.Join(report.Errors, "\n"), rule, report.File)
			continue
		}
		t.Logf("%s: %s", report.File, strings.Join(report.Words, "; "))
		assert.NotEmpty(t, report.Words, report.File)
		assert.Empty(t, report.Errors, report.File)
		assert.Empty(t, report.Warnings, report.File)
	}
}

// incomplete are invoices without what the rules want. The rules say so, and Missing has said so before.
var incomplete = map[string]struct {
	of      string
	without func(inv *document.Invoice)
	missing string // and the rule is in it
	rule    string
}{
	"issuer-country": {"outside", func(inv *document.Invoice) { inv.Issuer.Country = "" }, "issuer's country", "BR-09"},
	"issuer-address": {"one-line", func(inv *document.Invoice) { inv.Issuer.ElectronicAddress = "" }, "issuer's electronic_address", "PEPPOL-EN16931-R020"},
	"issuer-vat-id":  {"one-line", func(inv *document.Invoice) { inv.Issuer.VATID = "" }, "issuer's vat_id", "BR-S-02"},
	"issuer-exempt":  {"exempt", func(inv *document.Invoice) { inv.Issuer.VATID, inv.Issuer.TaxRegistration = "", "" }, "issuer's vat_id", "BR-E-02"},
	"issuer-zero":    {"zero", func(inv *document.Invoice) { inv.Issuer.VATID = "" }, "issuer's vat_id", "BR-Z-02"},
	"issuer-reverse": {"reverse-charge", func(inv *document.Invoice) { inv.Issuer.VATID = "" }, "issuer's vat_id", "BR-AE-02"},
	"issuer-export":  {"export", func(inv *document.Invoice) { inv.Issuer.VATID, inv.Issuer.TaxRegistration = "", "1" }, "issuer's vat_id", "BR-G-02"},
	"issuer-outside": {"outside", func(inv *document.Invoice) { inv.Issuer.LegalID = "" }, "issuer's legal_id", "BR-CO-26"},
	"issuer-no-id": {"base-rounded", func(inv *document.Invoice) {
		inv.Issuer.VATID, inv.Issuer.LegalID, inv.Issuer.TaxRegistration = "", "", "1"
	}, "issuer's legal_id", "BR-CO-26"},
	"issuer-city":       {"fixed", func(inv *document.Invoice) { inv.Issuer.City = "" }, "issuer's city", "DE-R-003"},
	"issuer-postcode":   {"fixed", func(inv *document.Invoice) { inv.Issuer.Postcode = "" }, "issuer's postcode", "DE-R-004"},
	"issuer-contact":    {"fixed", func(inv *document.Invoice) { inv.Issuer.ContactName = "" }, "issuer's contact_name", "DE-R-005"},
	"issuer-phone":      {"fixed", func(inv *document.Invoice) { inv.Issuer.ContactPhone = "" }, "issuer's contact_phone", "DE-R-006"},
	"issuer-email":      {"fixed", func(inv *document.Invoice) { inv.Issuer.ContactEmail = "" }, "issuer's contact_email", "DE-R-007"},
	"issuer-iban":       {"fixed", func(inv *document.Invoice) { inv.Issuer.IBAN = "" }, "issuer's iban", "DE-R-001"},
	"customer-country":  {"export", func(inv *document.Invoice) { inv.BillTo.Country = "" }, "customer's country", "BR-11"},
	"customer-address":  {"one-line", func(inv *document.Invoice) { inv.BillTo.ElectronicAddress = "" }, "customer's electronic_address", "PEPPOL-EN16931-R010"},
	"customer-reverse":  {"reverse-charge", func(inv *document.Invoice) { inv.BillTo.VATID, inv.BillTo.LegalID = "", "" }, "customer's vat_id", "BR-AE-02"},
	"customer-city":     {"fixed", func(inv *document.Invoice) { inv.BillTo.City = "" }, "customer's city", "DE-R-008"},
	"customer-postcode": {"fixed", func(inv *document.Invoice) { inv.BillTo.Postcode = "" }, "customer's postcode", "DE-R-009"},
	"tax-line-by-line": {"base-rounded", func(inv *document.Invoice) { // 1,000 lines, each rounded
		inv.Taxes[0].Tax = inv.Taxes[0].Tax.Add(decimal.NewFromInt(2))
		inv.Tax, inv.Total = inv.Tax.Add(decimal.NewFromInt(2)), inv.Total.Add(decimal.NewFromInt(2))
	}, "a tax that is 23 % of 1396.5: it was rounded line by line, and is 2.01 off", "BR-CO-17"},
	"line": {"outside", func(inv *document.Invoice) { inv.Lines = nil }, "a line", "InvoiceLine"},
}

// broken are files with one thing changed: the rules that what this package writes must keep do say no.
var broken = map[string]struct{ of, old, new, rule string }{
	"name.xml":      {"one-line.ubl.xml", "<cbc:RegistrationName>Shannonside Airport DAC</cbc:RegistrationName>", "", "BR-06"},
	"number.xml":    {"one-line.ubl.xml", "<cbc:ID>FR-AIR-000042</cbc:ID>", "<cbc:ID></cbc:ID>", "PEPPOL-EN16931-R008"},
	"reason.xml":    {"exempt-words.cii.xml", "<ram:ExemptionReason>Navegación aérea, art. 22 LIVA</ram:ExemptionReason>", "", "BR-E-10"},
	"quantity.xml":  {"maximum.ubl.xml", `<cbc:BaseQuantity unitCode="TNE">430</cbc:BaseQuantity>`, "", "PEPPOL-EN16931-R120"},
	"decimals.xml":  {"one-line.cii.xml", "<ram:LineTotalAmount>906.26</ram:LineTotalAmount>", "<ram:LineTotalAmount>906.260</ram:LineTotalAmount>", "BR-DEC-23"},
	"sign.xml":      {"correction.ubl.xml", `<cbc:PriceAmount currencyID="EUR">`, `<cbc:PriceAmount currencyID="EUR">-`, "BR-27"},
	"period.xml":    {"late.ubl.xml", "<cbc:StartDate>2026-10-28", "<cbc:StartDate>2027-10-28", "BR-29"},
	"unit.xml":      {"one-line.cii.xml", `unitCode="TNE"`, `unitCode="TONS"`, "BR-CL-23"},
	"total.xml":     {"tax-currency.ubl.xml", `<cbc:TaxAmount currencyID="GBP">`, `<cbc:TaxAmount currencyID="EUR">`, "BR-53"},
	"document.xml":  {"one-line.ubl.xml", "<cbc:ProfileID>", "<cbc:Profile>", "XML"},
	"attached.xml":  {"one-line.ubl.xml", `mimeCode="text/csv"`, `mimeCode="text/html"`, "BR-CL-24"},
	"sequence.xml":  {"one-line.cii.xml", "<ram:TypeCode>380</ram:TypeCode>", "", "TypeCode"},
	"reference.xml": {"credit-note.ubl.xml", "<cbc:CreditNoteTypeCode>381", "<cbc:CreditNoteTypeCode>380", "BR-CL-01"},
}

func written(t *testing.T, inv *document.Invoice, write func(*document.Invoice, []einvoice.Attachment) ([]byte, error), attachments []einvoice.Attachment) []byte {
	t.Helper()
	first, err := write(inv, attachments)
	require.NoError(t, err)
	again, err := write(inv, attachments)
	require.NoError(t, err)
	require.Equal(t, string(first), string(again), "the same bytes")
	return first
}

// check skips the test where this machine has no JDK or Maven.
func check(t *testing.T, files map[string][]byte) []officialrules.Report {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), content, 0o600))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	reports, err := officialrules.Check(ctx, folder, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if _, missing := errors.AsType[*javajars.MissingError](err); missing {
		t.Skipf("needs the official rules: install a JDK, 17 or newer, and Maven: %v", err)
	}
	require.NoError(t, err)
	return reports
}
