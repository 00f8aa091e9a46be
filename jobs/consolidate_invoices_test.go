package jobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

func march(day int) billing.Date { return billing.NewDate(2026, time.March, day) }

// bill prices a flight of the source, as the book stands now.
func (b *testBundle) bill(t *testing.T, id string) db.Bill {
	t.Helper()
	books := db.NewPriceBooks(b.pool)
	book, err := books.Current(t.Context())
	require.NoError(t, err)
	answers, err := db.NewFlights(b.pool).Flights(t.Context(), []string{id})
	require.NoError(t, err)
	require.NoError(t, answers[id].Err)
	flight := answers[id].Flight
	customer, known, err := books.Customer(t.Context(), book, flight)
	require.NoError(t, err)
	require.True(t, known, "flight %s has a customer", id)
	c, err := books.Case(t.Context(), book, flight, nil)
	require.NoError(t, err)
	c.Customer = customer
	charges, err := billing.Price(c, book.Tariffs, billing.Bounds{})
	require.NoError(t, err)
	return db.Bill{Flight: flight, Customer: customer, LandedOn: c.MovedOn, Declared: c.Declared(), Charges: charges, Book: book}
}

// billed puts a flight in the source and bills it, without a job.
func (b *testBundle) billed(t *testing.T, id, operator string, landed time.Time) {
	t.Helper()
	b.flight(t, id, operator, landed)
	outcome, err := saveFlight(t.Context(), b.pool, nil, b.bill(t, id), b.clock.Now())
	require.NoError(t, err)
	require.Equal(t, db.Billed, outcome)
}

func (b *testBundle) run(t *testing.T, runDate billing.Date) []jobs.RunResult {
	t.Helper()
	results, err := b.consolidator().Run(t.Context(), runDate, db.ByHand, nil)
	require.NoError(t, err)
	return results
}

// invoices lists all of them, one a line, with the flights on each.
func (b *testBundle) invoices(t *testing.T) string {
	t.Helper()
	return get[string](t, b, `SELECT coalesce(string_agg(line, E'\n' ORDER BY line), '') FROM (
		SELECT concat_ws(' ', u.code, i.closes_on, i.currency, i.status, i.number, i.total, i.due_on,
			(SELECT string_agg(c.flight_id || CASE WHEN c.late THEN '(late)' ELSE '' END, ',' ORDER BY c.flight_id) FROM charges c WHERE c.invoice_id = i.id)) AS line
		FROM invoices i JOIN customers u ON u.id = i.customer_id) AS lines`)
}

// manyDrafts adds customers D0001 and so on, with one draft of three charges for
// each closing date.
func (b *testBundle) manyDrafts(t *testing.T, customers int, closesOn ...billing.Date) {
	t.Helper()
	b.exec(t, `INSERT INTO customers (code, name, billing_frequency, week_ends_on)
		SELECT 'D' || lpad(n::text, 4, '0'), 'Draft Air', 'weekly', 7 FROM generate_series(1, $1::int) AS n`, customers)
	b.exec(t, `INSERT INTO invoices (customer_id, kind, closes_on, currency)
		SELECT id, 'consolidated', d, 'EUR' FROM customers, unnest($1::date[]) AS d WHERE code ~ '^D\d' ORDER BY id, d`, closesOn)
	b.exec(t, `WITH lines AS (
			SELECT i.id AS invoice_id, i.customer_id, i.id || '-' || n AS flight_id, n FROM invoices i, generate_series(1, 3) AS n WHERE i.status = 'DRAFT'
		), flights AS (
			INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at)
			SELECT flight_id, customer_id, '2026-03-04', '{}', now() FROM lines RETURNING flight_id
		)
		INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
		SELECT invoice_id, flight_id, (SELECT min(id) FROM tariffs), 'RUNWAY', '', 1, 10 + n, 10 + n, 0.2, 2 + n * 0.2, '2026-03-04'
		FROM lines JOIN flights USING (flight_id)`)
}

// requireSound checks what holds after any run: no open draft is left at or
// before the cut-off, numbers are gapless, and totals are sums of lines.
func (b *testBundle) requireSound(t *testing.T) {
	t.Helper()
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM invoices WHERE status = 'DRAFT' AND closes_on <= (SELECT max(closes_on) FROM billing_runs)`),
		"drafts left open")
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM billing_runs WHERE finished_at IS NULL`), "unfinished runs")
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM invoices i LEFT JOIN (
		SELECT invoice_id, sum(base) AS amount, sum(round(base * tax_rate, 2)) AS tax_amount
		FROM (SELECT invoice_id, tax_rate, sum(amount) AS base FROM charges GROUP BY 1, 2) AS r GROUP BY 1) AS s ON s.invoice_id = i.id
		WHERE status <> 'DRAFT' AND (subtotal, tax, total) IS DISTINCT FROM (s.amount, s.tax_amount, s.amount + s.tax_amount)`), "totals that are not the sums of the lines and their taxes")
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM (
		SELECT u.code || '-' || lpad(n::text, 6, '0') AS number FROM customers u, generate_series(1, u.invoice_seq) AS n
		UNION ALL SELECT u.code || '-CN' || lpad(n::text, 6, '0') FROM customers u, generate_series(1, u.credit_note_seq) AS n) AS expected
		FULL JOIN (SELECT number FROM invoices WHERE number IS NOT NULL) AS given USING (number)
		WHERE expected.number IS NULL OR given.number IS NULL`), "numbers missing or beyond the sequence")
	require.Equal(t, get[int64](t, b, `SELECT count(*) FROM invoices WHERE closes_on IS NOT NULL AND status <> 'DRAFT'`),
		get[int64](t, b, `SELECT sum(invoices)::bigint FROM billing_runs`), "invoices that no run or two have counted")
}

func TestRunIssuesWhatHasClosed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.billed(t, "W2", "WEEK", landed(7, 23))
	b.billed(t, "W3", "WEEK", landed(8, 0)) // the closing date itself: the next period
	b.billed(t, "M1", "MON", landed(30, 23))
	b.billed(t, "M2", "MON", landed(31, 0))

	b.clock.Set(landed(7, 1))
	b.run(t, march(7))
	require.NotContains(t, b.invoices(t), "PENDING")

	b.clock.Set(landed(8, 1))
	results := b.run(t, march(8))
	require.Len(t, results, 1)
	require.Equal(t, jobs.RunResult{ClosesOn: march(8), RunDate: march(8), Invoices: 1, Charges: 2}, results[0])
	b.exec(t, `UPDATE customers SET name = 'Renamed Air' WHERE code = 'WEEK'`)

	b.clock.Set(landed(31, 1))
	b.run(t, march(31))
	require.Equal(t, 4, get[int](t, b, `SELECT sum(charges)::int FROM billing_runs`))
	// 142.00 + 28.40 tax a flight; 30 days from the day of issue.
	require.Equal(t, `MON 2026-03-31 EUR PENDING MON-000001 170.40 2026-04-30 M1
MON 2026-04-30 EUR DRAFT M2
WEEK 2026-03-08 EUR PENDING WEEK-000001 340.80 2026-04-07 W1,W2
WEEK 2026-03-15 EUR PENDING WEEK-000002 170.40 2026-04-30 W3`, b.invoices(t))
	require.Equal(t, "Weekly Air, Renamed Air",
		get[string](t, b, `SELECT string_agg(bill_to_name, ', ' ORDER BY number) FROM invoices WHERE number LIKE 'WEEK%'`), "the name as at issue")
	require.Equal(t, "DRAFT,PENDING", get[string](t, b, `SELECT string_agg(to_status, ',' ORDER BY e.id)
		FROM invoice_events e JOIN invoices i ON i.id = invoice_id WHERE number = 'WEEK-000001'`))
	b.requireSound(t)
}

// Several processes at once, on more drafts than one transaction takes.
func TestRunTwiceAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.manyDrafts(t, 600, march(4), march(8), march(10))
	var all [3]<-chan answer[[]jobs.RunResult]
	for i := range all {
		pool := jobs.OpenPool(t, b.pool.Config().ConnString())
		c := &jobs.Consolidator{Pool: pool, Books: db.NewPriceBooks(pool), Now: b.clock.Now, Logger: b.logger}
		all[i] = inBackground(func() ([]jobs.RunResult, error) { return c.Run(context.Background(), march(10), db.ByHand, nil) })
	}
	finished := map[billing.Date]int{}
	for _, run := range all {
		results := <-run
		require.NoError(t, results.err)
		for _, r := range results.value {
			finished[r.ClosesOn]++
		}
	}
	require.Len(t, finished, 8)
	for date, n := range finished {
		require.Equal(t, 1, n, "run of %s recorded once", date)
	}
	require.Equal(t, 1800, get[int](t, b, `SELECT count(*) FROM invoices WHERE status = 'PENDING'`))
	require.Equal(t, 1800, get[int](t, b, `SELECT count(*) FROM invoice_events WHERE to_status = 'PENDING'`), "each was issued once")
	require.Equal(t, 5400, get[int](t, b, `SELECT sum(charges)::int FROM billing_runs`))
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM customers WHERE code ~ '^D\d' AND invoice_seq <> 3`))
	b.requireSound(t)
}

// saveFlight is db.SaveFlights for one.
func saveFlight(ctx context.Context, on db.Sender, job *db.Job, bill db.Bill, at time.Time) (db.Outcome, error) {
	outcomes, err := db.SaveFlights(ctx, on, []db.Save{{Job: job, Bill: bill, At: at}})
	if err != nil {
		return "", err
	}
	return outcomes[0], nil
}
