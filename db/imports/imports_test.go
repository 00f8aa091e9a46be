package imports_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/db/imports"
)

// testBundle is a migrated database to import into.
type testBundle struct {
	t     *testing.T
	pool  *pgxpool.Pool // with the rights of flightbill_accountant
	owner *pgxpool.Pool // of the tables: what the test does itself
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	url := dbtest.URL(t)
	owner, err := db.Open(t.Context(), url, db.Options{SearchPath: db.Schema})
	require.NoError(t, err)
	t.Cleanup(owner.Close)
	pool, err := db.Open(t.Context(), dbtest.As(t, url, "flightbill_accountant"), db.Options{SearchPath: db.Schema})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return &testBundle{t, pool, owner}
}

func (b *testBundle) read(kind imports.Kind, r io.Reader) (imports.Result, error) {
	b.t.Helper()
	return imports.Load(b.t.Context(), b.pool, kind, "file.csv", r, nil)
}

// load imports lines and expects so many rows added, changed and unchanged.
func (b *testBundle) load(kind imports.Kind, added, changed, unchanged int64, lines ...string) {
	b.t.Helper()
	result, err := b.read(kind, strings.NewReader(csvOf(lines...)))
	require.NoError(b.t, err)
	assert.Equal(b.t, imports.Result{Rows: added + changed + unchanged, Added: added, Changed: changed, Unchanged: unchanged}, result)
}

// refuse imports lines, expects an error with all of these parts, and that the
// import changed nothing.
func (b *testBundle) refuse(kind imports.Kind, content string, parts ...string) {
	b.t.Helper()
	b.refuseFrom(kind, strings.NewReader(content), parts...)
}

func (b *testBundle) refuseFrom(kind imports.Kind, r io.Reader, parts ...string) {
	b.t.Helper()
	before := b.snapshot()
	result, err := b.read(kind, r)
	require.Error(b.t, err)
	assert.Zero(b.t, result)
	for _, part := range parts {
		assert.ErrorContains(b.t, err, part)
	}
	assert.True(b.t, strings.HasPrefix(err.Error(), "file.csv: "), "the file's own words come first, not those of COPY: %v", err)
	assert.Equal(b.t, before, b.snapshot(), "a refused import changes nothing")
}

// snapshot is everything that an import could change, as text.
func (b *testBundle) snapshot() string {
	b.t.Helper()
	return b.value(`SELECT concat(
		(SELECT version FROM price_book),
		(SELECT jsonb_agg(c ORDER BY id) FROM customers c),
		(SELECT jsonb_agg(o ORDER BY operator) FROM customer_operators o),
		(SELECT jsonb_agg(a ORDER BY registration) FROM customer_aircraft a),
		(SELECT jsonb_agg(t ORDER BY id) FROM tariffs t),
		(SELECT jsonb_agg(a ORDER BY id) FROM aircraft a),
		(SELECT jsonb_agg(a ORDER BY aircraft_type) FROM aircraft_types a),
		(SELECT jsonb_agg(a ORDER BY code) FROM airports a),
		(SELECT jsonb_agg(i ORDER BY id) FROM issuers i),
		(SELECT jsonb_agg(r ORDER BY currency, in_currency, day) FROM currency_rates r),
		(SELECT jsonb_agg(f ORDER BY flight_id) FROM flights f))`)
}

func (b *testBundle) value(sql string) (value string) {
	b.t.Helper()
	require.NoError(b.t, b.pool.QueryRow(b.t.Context(), sql).Scan(&value))
	return value
}

// expect compares the rows that a query gives, each as text, one to a line.
func (b *testBundle) expect(sql string, rows ...string) {
	b.t.Helper()
	assert.Equal(b.t, strings.Join(rows, "\n"), b.value(`SELECT coalesce(string_agg(q::text, E'\n'), '') FROM (`+sql+`) AS q`))
}

func csvOf(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

func openTestdata(t *testing.T, name string) io.Reader {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	return bytes.NewReader(content)
}

func zipped(t *testing.T, content string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, err := w.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func TestRealFilesTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, file := range []struct {
		kind imports.Kind
		name string
		rows int64
	}{
		{imports.Customers, "customers.csv", 16},
		{imports.Tariffs, "tariffs.csv", 7},
		{imports.Flights, "flights-2013-sample.csv.gz", 1683},
	} {
		result, err := b.read(file.kind, openTestdata(t, file.name))
		require.NoError(t, err)
		assert.Equal(t, imports.Result{Rows: file.rows, Added: file.rows}, result, file.name)

		before := b.snapshot()
		result, err = b.read(file.kind, openTestdata(t, file.name))
		require.NoError(t, err)
		assert.Equal(t, imports.Result{Rows: file.rows, Unchanged: file.rows}, result, file.name+" again")
		assert.Equal(t, before, b.snapshot(), "again changes nothing, not even the price book's version")
	}
	b.expect(`SELECT code, name, billing_frequency, week_ends_on, payment_terms_days, billing_hold, operator
		FROM customers c JOIN customer_operators o ON o.customer_id = c.id WHERE code IN ('ASA', 'HAL') ORDER BY code`,
		`(ASA,"Alaska Airlines Inc.",weekly,1,14,f,ASA)`,
		`(HAL,"Hawaiian Airlines Inc.",per_flight,,30,f,HAL)`)
	b.expect(`SELECT code, description, basis, customer_id, airport, applies_to, band_from, band_to, unit_rate::float, minimum, currency,
		tax_rate, valid_from, valid_to FROM tariffs WHERE airport = 'KLGA' OR code = 'ROUTE' ORDER BY valid_from, code`,
		`(ROUTE,"En-route navigation",route,,,any,,,61.75,0,USD,0,2012-01-01,)`,
		`(RUNWAY,"Runway use",per_tonne,,KLGA,departure,0,,6.1,75,USD,0,2012-01-01,2013-07-01)`,
		`(RUNWAY,"Runway use",per_tonne,,KLGA,departure,0,,6.35,75,USD,0,2013-07-01,)`)
	b.expect(`SELECT count(*), count(landed_at), count(mtow_kg), count(registration), count(passengers) FROM flights`,
		`(1683,1640,1413,1671,0)`)
}

func TestReadsWhatSpreadsheetsAndPostgresWrite(t *testing.T) {
	t.Parallel()
	const plain = "code,name,billing_frequency\nACME,Acme,monthly\n"
	for name, content := range map[string]string{
		"byte order mark":        "\ufeff" + plain,
		"CRLF":                   strings.ReplaceAll(plain, "\n", "\r\n"),
		"no newline at the end":  strings.TrimSuffix(plain, "\n"),
		"columns in other order": "billing_frequency,code,name\nmonthly,ACME,Acme\n",
		"header in other case":   "Code, NAME ,Billing_Frequency\nACME,Acme,monthly\n",
		"quotes":                 "\"code\",name,billing_frequency\n\"ACME\",\"Acme\",monthly\n",
		"spaces around":          "code,name,billing_frequency\n ACME , Acme\t, monthly\n",
		"empty lines":            "code,name,billing_frequency\n\nACME,Acme,monthly\n\n",
		"rows of commas":         ",,\n" + strings.ReplaceAll(plain, "\n", "\n , ,\n,,,,\n"),
		"carriage returns":       strings.ReplaceAll(plain, "\n", "\r"),
		"gzip":                   string(zipped(t, plain)),
		"gzip in two parts":      string(zipped(t, plain[:20])) + string(zipped(t, plain[20:])),
		"gzip of a mark":         string(zipped(t, "\ufeff"+plain)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			result, err := b.read(imports.Customers, strings.NewReader(content))
			require.NoError(t, err)
			assert.Equal(t, imports.Result{Rows: 1, Added: 1}, result)
			b.expect(`SELECT code, name, billing_frequency FROM customers`, "(ACME,Acme,monthly)")
		})
	}
}

func TestRefusesFilesThatAreNotReadable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const customers = "code,name,billing_frequency\n"
	broken := zipped(t, customers+strings.Repeat("ACME,Acme,monthly\n", 10_000))

	b.refuse(imports.Customers, "", "is empty")
	b.refuse(imports.Customers, "\ufeff", "is empty")
	b.refuse(imports.Customers, string(zipped(t, "")), "is empty")
	b.refuse(imports.Customers, "code,nmae\n", `column "nmae" is not known`, "payment_terms_days")
	b.refuse(imports.Customers, "code,,name\n", `column "" is not known`)
	b.refuse(imports.Customers, "code;name\n", "commas")
	b.refuse(imports.Customers, "code,name,Code\n", "column code is there twice")
	b.refuse(imports.Customers, "name,billing_frequency\n", "column code is missing")
	b.refuse(imports.Tariffs, "code,description\n", "basis, airport, applies_to", "valid_to is missing")
	b.refuse(imports.Flights, "flight_id,passengers\n", "callsign, operator", "distance_km is missing")
	b.refuse(imports.Customers, "\xff\xfec\x00o\x00", "UTF-16")
	b.refuse(imports.Customers, "c\x00o\x00d\x00e\x00", "UTF-16", "save it as UTF-8") // without a mark
	b.refuse(imports.Customers, "\x00c\x00o\x00d\x00e", "UTF-16")
	b.refuse(imports.Customers, "PK\x03\x04\x14\x00", "it is a zip archive or a spreadsheet (.xlsx): unpack it, or save the sheet as CSV")
	b.refuse(imports.Customers, "\xd0\xcf\x11\xe0\xa1\xb1", "it is a spreadsheet (.xls)")
	b.refuse(imports.Customers, ",,\n,\n", "is empty")
	b.refuse(imports.Customers, customers+",,\r\nA,a,daily\r\n", "line 3")
	b.refuse(imports.Customers, customers+"A,Caf\xe9,monthly\n", "line 2", "column name", "UTF-8")
	b.refuse(imports.Customers, customers+"A,a\x00b,monthly\n", "line 2", "column name", "UTF-8")
	b.refuse(imports.Customers, customers+"A,\"two\nlines\",monthly\nB,b\n", "line 4", "2 cells", "3 columns")
	b.refuse(imports.Customers, customers+"A,a,monthly,\n", "line 2", "4 cells")
	b.refuse(imports.Customers, customers+"A,a,monthly\nB,b \"c\" d,monthly\n", "line 3", "not CSV")
	b.refuse(imports.Customers, customers+"A,a,monthly\nB,\"never closed,monthly\n", "line 3", "not CSV")
	b.refuse(imports.Customers, string(broken[:len(broken)-20]), "cannot be read on from here", "unexpected EOF")
	b.refuse(imports.Customers, "\x1f\x8bnot gzip at all", "cannot be read")
	b.refuseFrom(imports.Customers, iotest.ErrReader(errors.New("disk on fire")), "disk on fire")

	_, err := b.read("invoices", strings.NewReader(customers))
	assert.ErrorContains(t, err, `"invoices"`)
}

func TestReportsSeveralWrongRowsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := "code,name,billing_frequency\nA,a,daily\nB,b,monthly\nC,,monthly\n"
	b.refuse(imports.Customers, content, `line 2: column billing_frequency: "daily"`, "line 4: column name is empty")

	_, err := b.read(imports.Customers, strings.NewReader(content+strings.Repeat("D,d,daily\n", 1000)))
	require.Error(t, err)
	assert.ErrorContains(t, err, "there may be more")
	assert.Len(t, strings.Split(err.Error(), "\n"), 11)
}

func TestSaysHowFarItIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var seen []int64
	_, err := imports.Load(t.Context(), b.pool, imports.Flights, "sample", openTestdata(t, "flights-2013-sample.csv.gz"),
		func(rows int64) { seen = append(seen, rows) })
	require.NoError(t, err)
	assert.Equal(t, []int64{1000, 1683}, seen)
}

func TestStopsWhenItIsCancelled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := imports.Load(ctx, b.pool, imports.Flights, "sample", openTestdata(t, "flights-2013-sample.csv.gz"),
		func(int64) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
	b.expect(`SELECT count(*) FROM flights`, "(0)")
}

// A broken file is reported where it breaks, not again for each buffer.
func TestFlightsOfABrokenFile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	content := csvOf(flightHeader, "F1,,,,,,,,,,", "F2,\"a\"b,,,,,,,,,", "F3,,,,,x,,,,,")
	b.refuse(imports.Flights, content, "line 3", "not CSV")
	_, err := b.read(imports.Flights, strings.NewReader(content))
	assert.NotContains(t, err.Error(), "line 4")
}
