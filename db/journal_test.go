package db_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// document issues an invoice of a customer with lines (code, account, amount, tax rate, tax),
// and returns its number.
func (b *testBundle) document(t *testing.T, customer, currency, day string, lines ...[]any) string {
	t.Helper()
	b.exec(t, `INSERT INTO invoices (customer_id, kind, currency) SELECT id, 'flight', $2 FROM customers WHERE code = $1`, customer, currency)
	for _, line := range lines {
		b.exec(t, `INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at)
			SELECT 'D' || (SELECT count(*) FROM billed_flights), id, '2026-01-01', '{}', now() FROM customers WHERE code = $1`, customer)
		b.exec(t, `INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on, account)
			SELECT (SELECT max(id) FROM invoices), 'D' || (SELECT count(*) - 1 FROM billed_flights), (SELECT min(id) FROM tariffs), $1, $1, 1, 1, $3::text::numeric, $4::text::numeric, $5::text::numeric, '2026-01-01', nullif($2, '')`, line...)
	}
	b.exec(t, `SELECT issue_drafts(ARRAY[(SELECT max(id) FROM invoices)], at, (at AT TIME ZONE timezone)::date) FROM billing_settings, (SELECT ($1 || ' 12:00Z')::timestamptz) AS t (at)`, day)
	return get[string](t, b, `SELECT number FROM invoices ORDER BY id DESC LIMIT 1`)
}

// line is one of a document.
func line(code, account, amount, rate, tax string) []any {
	return []any{code, account, amount, rate, tax}
}

const journalLines = `SELECT coalesce(string_agg(concat_ws(' ', day, entry, document, customer, what, account, code, tax_category, trim_scale(tax_rate), currency, 'D' || nullif(debit, 0), 'C' || nullif(credit, 0)),
	E'\n' ORDER BY day, entered_at, entry, debit = 0, what, account, code, tax_rate), '') FROM journal`

func TestJournal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Empty(t, get[string](t, b, journalLines))
	b.exec(t, `UPDATE billing_settings SET timezone = 'Pacific/Auckland'`)
	b.document(t, "EACH", "EUR", "2026-03-04",
		line("LAND", "", "100.00", "0.2", "20.00"), line("LAND", "", "50.00", "0.2", "10.00"), line("LAND", "4100", "30.00", "0.1", "3.00"),
		line("PARK", "", "-10.00", "0.2", "-2.00"), line("FREE", "", "0.00", "0", "0.00"))
	b.exec(t, `INSERT INTO invoices (customer_id, kind, closes_on, currency) SELECT id, 'consolidated', '2026-03-08', 'EUR' FROM customers WHERE code = 'WEEK'`)
	today := get[string](t, b, `SELECT (now() AT TIME ZONE 'Pacific/Auckland')::date::text`)
	b.exec(t, `SELECT record_payment('EACH-000001', 250.00, '2026-03-06')`) // 201.00 is due
	b.exec(t, `SELECT void_invoice('EACH-000001', 'wrong')`)
	other := b.document(t, "EACH", "EUR", "2026-03-05", line("LAND", "", "40.25", "0", "0.00"))
	b.exec(t, `SELECT set_off('EACH-CN000001', $1, 40.00)`, other)
	b.exec(t, `SELECT write_off_rounding($1, 'bank charges')`, other)
	b.exec(t, `SELECT reverse_payment((SELECT id FROM payments WHERE amount = 250), 'bounced')`)
	lines := strings.ReplaceAll(get[string](t, b, journalLines), today, "TODAY")
	issued := `2026-03-05 invoice 1 EACH-000001 EACH receivable 1200 EUR D201.00
2026-03-05 invoice 1 EACH-000001 EACH revenue 4000 PARK EUR D10.00
2026-03-05 invoice 1 EACH-000001 EACH revenue 4000 LAND EUR C150.00
2026-03-05 invoice 1 EACH-000001 EACH revenue 4100 LAND EUR C30.00
2026-03-05 invoice 1 EACH-000001 EACH tax 2200 standard 0.1 EUR C3.00
2026-03-05 invoice 1 EACH-000001 EACH tax 2200 standard 0.2 EUR C28.00`
	require.Contains(t, lines, issued)
	require.Contains(t, lines, "TODAY invoice 3 EACH-CN000001 EACH revenue 4000 LAND EUR D150.00\nTODAY invoice 3 EACH-CN000001 EACH revenue 4100 LAND EUR D30.00")
	require.Contains(t, lines, "2026-03-06 payment 1 EACH-000001 EACH bank 1000 EUR D250.00\n2026-03-06 payment 1 EACH-000001 EACH receivable 1200 EUR C250.00")
	require.Contains(t, lines, fmt.Sprintf("EACH receivable 1200 EUR D40.00\nTODAY payment %d %s EACH receivable 1200 EUR C40.00", get[int](t, b, `SELECT id FROM payments WHERE amount = 40`), other))
	require.Contains(t, lines, other+" EACH rounding 4910 EUR D0.25")
	require.Contains(t, lines, "EACH-000001 EACH receivable 1200 EUR D250.00\nTODAY payment "+get[string](t, b, `SELECT id::text FROM payments WHERE amount = -250`)+" EACH-000001 EACH bank 1000 EUR C250.00")
	require.NotContains(t, lines, "FREE", "lines of nothing")
	require.NotContains(t, lines, "WEEK", "drafts")
	b.requireBalanced(t)

	// A tariff's account is that of its charges from then on; those of the ledger are of all.
	b.exec(t, `UPDATE tariffs SET account = '9999'`)
	for _, set := range []string{"receivable=1400", "Revenue = 3400", "tax:standard:0.20=3806", "tax=3800", "bank=1200 Main"} {
		account, err := db.ParseLedgerAccount(strings.ReplaceAll(set, " = ", "="))
		require.NoError(t, err)
		require.NoError(t, db.SetLedgerAccounts(t.Context(), b.pool, []db.LedgerAccount{account}))
	}
	require.Contains(t, get[string](t, b, journalLines), strings.NewReplacer("1200", "1400", "4000", "3400", "tax 2200 standard 0.1", "tax 3800 standard 0.1", "tax 2200", "tax 3806").Replace(issued))
	accounts, err := db.LedgerAccounts(t.Context(), b.pool)
	require.NoError(t, err)
	var names []string
	for _, a := range accounts {
		names = append(names, a.Name()+"="+a.Account)
	}
	require.Equal(t, []string{"receivable=1400", "revenue=3400", "tax=3800", "tax:standard:0.2=3806", "bank=1200 Main", "interest=4900", "rounding=4910"}, names)
	own, err := db.ParseLedgerAccount("tax:standard:.2=")
	require.NoError(t, err)
	require.NoError(t, db.SetLedgerAccounts(t.Context(), b.pool, []db.LedgerAccount{own}))
	require.Contains(t, get[string](t, b, journalLines), "tax 3800 standard 0.2 EUR C28.00")

	day := billing.NewDate(2026, 3, 6)
	rows, err := db.Journal(t.Context(), b.pool, day, day, 10)
	require.NoError(t, err)
	require.Len(t, rows, 4, "the payment, and what was issued at noon in UTC")
	require.Equal(t, "1200 Main", rows[2].Account)
}

func TestLedgerAccountNames(t *testing.T) {
	t.Parallel()
	for text, part := range map[string]string{
		"": "NAME=ACCOUNT", "revenue": "NAME=ACCOUNT", "sales=4000": "receivable, revenue", "revenue=": "give its account", "revenue:standard:0.2=4": "only tax", "tax:standard=4": "only tax",
		"tax:vat:0.2=4": `"vat" is none of standard`, "tax:standard:20=4": "20 % is 0.20", "tax:standard:x=4": `"x" is not one`, "tax:standard:-0.1=4": "0 to 1",
		"tax:standard:" + strings.Repeat("0", 30) + "=4": "too long", "bank=" + strings.Repeat("1", 65): "64 characters",
	} {
		_, err := db.ParseLedgerAccount(text)
		require.ErrorContains(t, err, part, text)
	}
}

// requireBalanced: each entry balances in each currency, and what it says customers owe is
// what is open.
func (b *testBundle) requireBalanced(t *testing.T) {
	t.Helper()
	require.Empty(t, get[string](t, b, `SELECT coalesce(string_agg(entry || ' ' || currency || ' ' || off, ', '), '') FROM (
		SELECT entry, currency, sum(debit) - sum(credit) AS off FROM journal GROUP BY 1, 2) AS e WHERE off <> 0`), "an entry is off")
	require.Empty(t, get[string](t, b, `SELECT coalesce(string_agg(number || ' ' || open || ' and not ' || coalesce(j.receivable, 0), ', '), '')
		FROM invoice_balances LEFT JOIN (SELECT document, sum(debit) - sum(credit) AS receivable FROM journal WHERE what = 'receivable' GROUP BY document) AS j ON j.document = number
		WHERE open <> coalesce(j.receivable, 0)`), "what is open differs")
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM journal WHERE account IS NULL OR debit < 0 OR credit < 0 OR (debit = 0) = (credit = 0)`))
}

// Whatever is done at random, the journal balances to the cent, and what it once said of an
// entry it always says.
func TestJournalAtRandom(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	b := setup(t)
	b.exec(t, `UPDATE customers SET late_interest_rate = 0.08 WHERE code = 'EACH'`)
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	// amount is one of the currency's minor units.
	amount := func(currency string, most int) string {
		n := random.IntN(most) + 1
		switch currency {
		case "JPY":
			return fmt.Sprint(n)
		case "KWD":
			return fmt.Sprintf("%d.%03d", n/1000, n%1000)
		}
		return fmt.Sprintf("%d.%02d", n/100, n%100)
	}
	any2 := func() (number, currency string) {
		all := strings.Fields(get[string](t, b, `SELECT coalesce(string_agg(number, ' ' ORDER BY id), '') FROM invoices WHERE number IS NOT NULL`))
		if len(all) == 0 {
			return "", ""
		}
		number = all[random.IntN(len(all))]
		return number, get[string](t, b, `SELECT currency FROM invoices WHERE number = $1`, number)
	}
	try := func(sql string, args ...any) string {
		_, err := b.pool.Exec(t.Context(), sql, args...)
		if err == nil {
			return "done"
		}
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused, sql)
		require.Contains(t, []string{"22023", "55000", "P0002", "P0001", "23505"}, refused.Code, "%s: %v", sql, err)
		return "refused"
	}
	said := map[string]string{}
	did := map[string]int{}
	for range 60 {
		number, currency := any2()
		what := pick("issue", "issue", "pay", "pay", "settle", "over-pay", "reverse", "void", "rebill", "set off", "write off", "interest", "pay out")
		if number == "" {
			what = "issue"
		}
		outcome := "done"
		switch what {
		case "issue":
			currency = pick("EUR", "EUR", "EUR", "JPY", "KWD")
			var lines [][]any
			for range random.IntN(4) + 1 {
				sign := pick("", "", "", "-")
				lines = append(lines, line(pick("LAND", "PARK", "PAX"), pick("", "4100"), sign+amount(currency, 100000), pick("0.2", "0.1", "0"), sign+amount(currency, 20000)))
			}
			b.document(t, pick("EACH", "WEEK"), currency, "2026-03-04", lines...)
		case "pay":
			outcome = try(`SELECT record_payment($1, $2, '2026-03-06')`, number, amount(currency, 50000))
		case "settle":
			outcome = try(`SELECT mark_invoice_paid($1)`, number)
		case "over-pay":
			outcome = try(`SELECT record_payment($1, total + $2, '2026-03-07') FROM invoices WHERE number = $1 AND total > 0`, number, amount(currency, 5000))
		case "pay out":
			outcome = try(`SELECT record_payment($1, open, (now() AT TIME ZONE 'UTC')::date) FROM invoice_balances WHERE number = $1 AND open < 0`, number)
		case "reverse":
			outcome = try(`SELECT reverse_payment((SELECT id FROM payments ORDER BY (id * $1) % 17 LIMIT 1), 'bounced')`, random.IntN(100))
		case "void", "rebill":
			outcome = try(`SELECT void_invoice($1, 'wrong', $2)`, number, what == "rebill")
		case "set off":
			outcome = try(`SELECT set_off(c.number, o.number) FROM invoice_balances c JOIN invoice_balances o ON o.customer = c.customer AND o.currency = c.currency AND o.open > 0
				WHERE c.open < 0 ORDER BY (c.invoice_id * $1) % 17, o.invoice_id LIMIT 1`, random.IntN(100))
		case "write off":
			outcome = try(`SELECT write_off_rounding($1, 'rest')`, number)
		case "interest":
			outcome = try(`SELECT charge_interest('EACH', ((now() AT TIME ZONE 'UTC')::date - $1::int), now(), (now() AT TIME ZONE 'UTC')::date)`, random.IntN(60)+1)
		}
		did[what+" "+outcome]++
		b.requireBalanced(t)
		rows, err := b.pool.Query(t.Context(), `SELECT entry, string_agg(j::text, E'\n' ORDER BY j::text) FROM journal j GROUP BY entry`)
		require.NoError(t, err)
		now := map[string]string{}
		for rows.Next() {
			var entry, lines string
			require.NoError(t, rows.Scan(&entry, &lines))
			now[entry] = lines
		}
		require.NoError(t, rows.Err())
		for entry, lines := range said {
			require.Equal(t, lines, now[entry], "%s changed", what)
		}
		said = now
	}
	t.Log(did)
}
