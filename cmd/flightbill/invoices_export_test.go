package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/document"
)

// issuedInvoices has an issued invoice of EACH, one in a currency of
// 3 decimals, and a draft.
const issuedInvoices = `
	UPDATE tariffs SET description = 'Landing';
	INSERT INTO customers (code, name, billing_frequency) VALUES ('KWI', 'Kuwait Air', 'per_flight');
	INSERT INTO tariffs (code, basis, applies_to, unit_rate, currency, valid_from) VALUES ('DINAR', 'per_flight', 'any', 5, 'KWD', '2012-01-01');
	INSERT INTO billed_flights SELECT f, c.id, '2013-01-02', '{"callsign": "EAC1"}', now() FROM (VALUES ('F1', 'EACH'), ('F2', 'KWI'), ('F3', 'EACH')) AS v (f, code) JOIN customers c USING (code);
	INSERT INTO invoices (customer_id, kind, currency) SELECT c.id, 'flight', currency FROM (VALUES ('EACH', 'EUR'), ('KWI', 'KWD'), ('EACH', 'EUR')) AS v (code, currency) JOIN customers c USING (code) ORDER BY c.id;
	INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
		SELECT i.id, f.flight_id, t.id, t.code, t.description, 1, 5, 5, 0, 0, '2013-01-02'
		FROM (SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY id) AS nth FROM invoices) i
		JOIN (SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY flight_id) AS nth FROM billed_flights) f USING (customer_id, nth) JOIN tariffs t ON t.currency = i.currency;
	SELECT issue_drafts(ARRAY[id], '2013-01-03 12:00Z', '2013-01-03') FROM invoices WHERE id <> 2;`

func TestInvoicesExport(t *testing.T) {
	t.Parallel()
	url, pool := queueDatabase(t, 3)
	_, err := pool.Exec(t.Context(), issuedInvoices)
	require.NoError(t, err)
	dir := t.TempDir()
	flightbill := func(want int, args ...string) (stdout, stderr string) {
		t.Helper()
		status, stdout, stderr := runWith(map[string]string{"DATABASE_URL": url, "FLIGHTBILL_DOCUMENT_RETENTION": "10y"}, append([]string{"invoices", "export"}, args...)...)
		require.Equal(t, want, status, "%v: %s", args, stderr)
		return stdout, stderr
	}
	file := func(name string) string {
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return string(content)
	}

	// Each format, by number, to a folder; the PDF with the others inside.
	for format, name := range map[string]string{"pdf": "EACH-000001.pdf", "ubl": "EACH-000001.ubl.xml", "cii": "EACH-000001.cii.xml", "csv": "EACH-000001.csv", "json": "EACH-000001.json"} {
		stdout, _ := flightbill(exitDone, "EACH-000001", "--format", format, "--out", dir)
		require.Contains(t, stdout, "EACH-000001: ")
		require.Contains(t, stdout, "bytes written to "+filepath.Join(dir, name))
		require.Contains(t, file(name), map[string]string{
			"pdf": "factur-x.xml", "ubl": "<cbc:ID>EACH-000001</cbc:ID>", "cii": "<ram:ID>EACH-000001</ram:ID>", "csv": "\nF1,2013-01-02,", "json": `"flight_id": "F1",`,
		}[format])
	}
	var invoice document.Invoice
	require.NoError(t, json.Unmarshal([]byte(file("EACH-000001.json")), &invoice))
	require.Equal(t, "EACH-000001 Single Air 2013-01-03 5", strings.Join([]string{invoice.Number, invoice.BillTo.Name, invoice.IssuedOn.String(), invoice.Total.String()}, " "))

	// Once more the same, also to a file and to standard output.
	pdf := file("EACH-000001.pdf")
	flightbill(exitDone, "EACH-000001", "--out", filepath.Join(dir, "own.pdf"))
	require.Equal(t, pdf, file("own.pdf"))
	stdout, _ := flightbill(exitDone, "EACH-000001", "--out", "-")
	require.Equal(t, pdf, stdout)

	// Several, by day; what cannot be written does not stop the others.
	stdout, _ = flightbill(exitDone, "--from", "2013-01-03", "--to", "2013-01-03", "--out", dir)
	require.Contains(t, stdout, filepath.Join(dir, "KWI-000001.pdf"))
	require.NotContains(t, file("KWI-000001.pdf"), "factur-x.xml", "there is no e-invoice in dinars")
	require.Equal(t, pdf, file("EACH-000001.pdf"))
	stdout, stderr := flightbill(exitFailed, "KWI-000001", "EACH-000001", "--format", "ubl", "--out", dir)
	require.Contains(t, stderr, `invoice "KWI-000001" cannot be an e-invoice: its currency KWD has 3 decimals, and the rules of e-invoices allow 2: send the PDF`)
	require.Contains(t, stdout, "EACH-000001: ")
	stdout, _ = flightbill(exitDone, "--customer", "EACH", "--from", "2013-01-04")
	require.Contains(t, stdout, "no invoice is of this customer and these days")

	// Wrong ones.
	for args, says := range map[string]string{
		"2":                                      "2 is a draft, or the id of an invoice: a draft is no invoice yet",
		"EACH-000009":                            `invoice "EACH-000009" is not known`,
		"--customer NOBODY":                      `customer "NOBODY" is not known`,
		"EACH-000001 --out " + dir + "/none/x.y": "none",
	} {
		_, stderr := flightbill(exitFailed, strings.Fields(args)...)
		require.Contains(t, stderr, says)
	}
	for args, says := range map[string]string{
		"":                                  "say which invoices",
		"EACH-000001 --customer EACH":       "say which invoices",
		"EACH-000001 --format docx":         `--format: "docx" is not one of pdf, ubl, cii, csv, json`,
		"--from 2013-02-30":                 "--from",
		"--from 2013-02-02 --to 2013-02-01": "is before",
		"EACH-000001 KWI-000001 --out " + filepath.Join(dir, "own.pdf"): "it is no folder, and 2 invoices are as many files",
	} {
		_, stderr := flightbill(exitUsage, strings.Fields(args)...)
		require.Contains(t, stderr, says)
	}

	status, stdout, stderr := runWith(map[string]string{"DATABASE_URL": url, "FLIGHTBILL_DOCUMENT_RETENTION": "10y"}, "maintain")
	require.Equal(t, exitDone, status, stderr)
	require.Contains(t, stdout, "invoice_documents: 0 removed, kept for 10 years")
}

func TestDocumentRetention(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"": "", "10y": "10 years", "1y": "1 years", "3653d": "3653 days", "366d": "366 days"} {
		c, err := loadConfig(func(name string) (string, bool) { return value, name == "FLIGHTBILL_DOCUMENT_RETENTION" })
		require.NoError(t, err, value)
		require.Equal(t, want, c.DocumentRetention)
	}
	for _, value := range []string{"10", "y", "365d", "0y", "-1y", "1m", "10 years", "1yd", "9999999999999999999y", "1.5y"} {
		_, err := loadConfig(func(name string) (string, bool) { return value, name == "FLIGHTBILL_DOCUMENT_RETENTION" })
		require.ErrorContains(t, err, "FLIGHTBILL_DOCUMENT_RETENTION: ", value)
	}
}
