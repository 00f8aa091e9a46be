package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
	flight, err := readOne(t.Context(), db.NewFlights(b.pool), id)
	require.NoError(t, err)
	customer, known, err := books.Customer(t.Context(), book, flight)
	require.NoError(t, err)
	require.True(t, known, "flight %s has a customer", id)
	landedOn := book.Calendar.LandingDate(*flight.LandedAt)
	charges, err := billing.Price(flight, customer, landedOn, book.Tariffs(flight), billing.Bounds{})
	require.NoError(t, err)
	return db.Bill{Flight: flight, Customer: customer, LandedOn: landedOn, Charges: charges, Book: book}
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

// issuedBy adds up what runs put out, and checks that they come in order.
func issuedBy(t *testing.T, results []jobs.RunResult) (invoices, charges int64) {
	t.Helper()
	for i, r := range results {
		invoices += r.Invoices
		charges += r.Charges
		require.True(t, i == 0 || results[i-1].ClosesOn.Before(r.ClosesOn), "runs in order")
	}
	return invoices, charges
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
	dates := make([]string, len(closesOn))
	for i, d := range closesOn {
		dates[i] = d.String()
	}
	b.exec(t, `INSERT INTO customers (code, name, billing_frequency, week_ends_on)
		SELECT 'D' || lpad(n::text, 4, '0'), 'Draft Air', 'weekly', 7 FROM generate_series(1, $1::int) AS n`, customers)
	b.exec(t, `INSERT INTO invoices (customer_id, kind, closes_on, currency)
		SELECT id, 'consolidated', d::date, 'EUR' FROM customers, unnest($1::text[]) AS d WHERE code ~ '^D\d' ORDER BY id, d`, dates)
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
		SELECT invoice_id, sum(amount) AS amount, sum(tax_amount) AS tax_amount FROM charges GROUP BY 1) AS s ON s.invoice_id = i.id
		WHERE status <> 'DRAFT' AND (subtotal, tax, total) IS DISTINCT FROM (s.amount, s.tax_amount, s.amount + s.tax_amount)`), "totals that are not the sums of the lines")
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM (
		SELECT u.code || '-' || lpad(n::text, 6, '0') AS number FROM customers u, generate_series(1, u.invoice_seq) AS n
		UNION ALL SELECT u.code || '-CN' || lpad(n::text, 6, '0') FROM customers u, generate_series(1, u.credit_note_seq) AS n) AS expected
		FULL JOIN (SELECT number FROM invoices WHERE number IS NOT NULL) AS given USING (number)
		WHERE expected.number IS NULL OR given.number IS NULL`), "numbers missing or beyond the sequence")
	require.Equal(t, get[int64](t, b, `SELECT count(*) FROM invoices WHERE kind = 'consolidated' AND status <> 'DRAFT'`),
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
	invoices, _ := issuedBy(t, b.run(t, march(7)))
	require.Zero(t, invoices)

	b.clock.Set(landed(8, 1))
	results := b.run(t, march(8))
	require.Len(t, results, 1)
	require.Equal(t, jobs.RunResult{ClosesOn: march(8), RunDate: march(8), Invoices: 1, Charges: 2}, results[0])
	b.exec(t, `UPDATE customers SET name = 'Renamed Air' WHERE code = 'WEEK'`)

	b.clock.Set(landed(31, 1))
	invoices, charges := issuedBy(t, b.run(t, march(31)))
	require.Equal(t, []int64{2, 2}, []int64{invoices, charges})
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

// The day of issue is the one that the clocks of the billing zone show.
func TestRunDueDateIsLocal(t *testing.T) {
	t.Parallel()
	for zone, want := range map[string]string{"Pacific/Auckland": "2026-04-07", "America/Los_Angeles": "2026-04-06"} {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			_, _, err := db.ChangeSettings(t.Context(), b.pool, db.Settings{Timezone: zone}, b.clock.Now())
			require.NoError(t, err)
			b.billed(t, "W1", "WEEK", landed(4, 9))
			b.clock.Set(time.Date(2026, 3, 8, 4, 0, 0, 0, time.UTC).Add(map[string]time.Duration{"Pacific/Auckland": 6 * time.Hour}[zone]))
			b.run(t, march(8))
			require.Equal(t, want, get[string](t, b, `SELECT due_on::text FROM invoices WHERE number = 'WEEK-000001'`))
		})
	}
}

func TestRunMakesUpMissedRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, day := range []int{4, 10, 17, 24} {
		b.billed(t, fmt.Sprintf("W%d", i), "WEEK", landed(day, 9))
	}
	b.clock.Set(time.Date(2026, 4, 1, 10, 0, 0, 0, time.UTC))
	// Stopped after each chunk and each run, the work goes on where it was.
	var heard int64
	pause := errors.New("pause")
	var results []jobs.RunResult
	for range 30 {
		part, err := b.consolidator().Run(t.Context(), march(24), db.ByHand, func(p jobs.Progress) error {
			heard += p.Invoices
			return pause
		})
		results = append(results, part...)
		if err == nil {
			break
		}
		require.ErrorIs(t, err, pause)
	}
	require.Equal(t, int64(3), heard)
	require.Len(t, results, 22, "a run for each day from the first one")
	require.Equal(t, march(3), results[0].ClosesOn)
	require.Equal(t, 24*time.Hour, results[20].LateBy-results[21].LateBy)
	for _, r := range results {
		require.Equal(t, map[bool]int64{true: 1}[r.ClosesOn.ISOWeekday() == 7], r.Invoices, "%s", r.ClosesOn)
	}

	// A flight of a period that was made up is late, and on time for the next.
	b.billed(t, "LATE", "WEEK", landed(11, 9))
	require.Equal(t, `WEEK 2026-03-08 EUR PENDING WEEK-000001 170.40 2026-05-01 W0
WEEK 2026-03-15 EUR PENDING WEEK-000002 170.40 2026-05-01 W1
WEEK 2026-03-22 EUR PENDING WEEK-000003 170.40 2026-05-01 W2
WEEK 2026-03-29 EUR DRAFT LATE(late),W3`, b.invoices(t))

	before := get[string](t, b, `SELECT string_agg(r::text, ' ') FROM billing_runs r`)
	require.Empty(t, b.run(t, march(24)), "a second run finds nothing")
	require.Empty(t, b.run(t, march(10)), "an earlier one neither")
	require.Equal(t, before, get[string](t, b, `SELECT string_agg(r::text, ' ') FROM billing_runs r`))
	b.run(t, march(29))
	b.requireSound(t)
}

// Several processes at once, on more drafts than one transaction takes.
func TestRunTwiceAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.manyDrafts(t, 600, march(4), march(8), march(10))
	var results [3][]jobs.RunResult
	var errs [3]error
	var all sync.WaitGroup
	for i := range results {
		pool, err := db.Open(t.Context(), b.pool.Config().ConnString(), db.Options{SearchPath: db.Schema, MaxConns: 3})
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		c := &jobs.Consolidator{Pool: pool, Books: db.NewPriceBooks(pool), Now: b.clock.Now, Logger: b.logger}
		all.Go(func() { results[i], errs[i] = c.Run(context.Background(), march(10), db.ByHand, nil) })
	}
	all.Wait()
	require.Equal(t, [3]error{}, errs)
	finished := map[billing.Date]int{}
	for _, rs := range results {
		for _, r := range rs {
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

func TestRunLeavesHeldDrafts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.billed(t, "H1", "HELD", landed(4, 9))
	b.billed(t, "M1", "MON", landed(4, 9))
	b.exec(t, `UPDATE customers SET billing_hold = true WHERE code = 'WEEK'`)
	results := b.run(t, march(8))
	require.EqualValues(t, 2, results[len(results)-1].Held)
	b.billed(t, "W2", "WEEK", landed(5, 9))
	require.Equal(t, `HELD EUR DRAFT H1
MON 2026-03-31 EUR DRAFT M1
WEEK 2026-03-08 EUR DRAFT W1
WEEK 2026-03-15 EUR DRAFT W2(late)`, b.invoices(t), "late flights never join a held draft")

	b.exec(t, `UPDATE customers SET billing_hold = false`)
	b.clock.Set(landed(9, 1))
	results = b.run(t, march(9))
	require.Len(t, results, 1)
	require.Equal(t, []int64{2, 0}, []int64{results[0].Invoices, results[0].Held})
	require.Equal(t, `HELD EUR PENDING HELD-000001 170.40 2026-03-23 H1
MON 2026-03-31 EUR DRAFT M1
WEEK 2026-03-08 EUR PENDING WEEK-000001 170.40 2026-04-08 W1
WEEK 2026-03-15 EUR DRAFT W2(late)`, b.invoices(t))
}

func TestRunAfterFrequencyChange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.exec(t, `UPDATE customers SET billing_frequency = 'monthly', week_ends_on = NULL WHERE code = 'WEEK'`)
	b.billed(t, "W2", "WEEK", landed(4, 9))
	b.run(t, march(7))
	require.Equal(t, "WEEK 2026-03-08 EUR DRAFT W1\nWEEK 2026-03-31 EUR DRAFT W2", b.invoices(t))
	b.run(t, march(8))
	require.Equal(t, "WEEK 2026-03-08 EUR PENDING WEEK-000001 170.40 2026-04-03 W1\nWEEK 2026-03-31 EUR DRAFT W2", b.invoices(t))
}

func TestRunNextDayIncludesTheClosingDate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, _, err := db.ChangeSettings(t.Context(), b.pool, db.Settings{Close: billing.NextDay}, b.clock.Now())
	require.NoError(t, err)
	b.billed(t, "W1", "WEEK", landed(8, 23))
	b.billed(t, "W2", "WEEK", landed(9, 0))
	b.run(t, march(8))
	require.Equal(t, "WEEK 2026-03-08 EUR DRAFT W1\nWEEK 2026-03-15 EUR DRAFT W2", b.invoices(t))
	results := b.run(t, march(9))
	require.Equal(t, []jobs.RunResult{{ClosesOn: march(8), RunDate: march(9), Invoices: 1, Charges: 1}}, results)
	require.Equal(t, "WEEK 2026-03-08 EUR PENDING WEEK-000001 170.40 2026-04-03 W1\nWEEK 2026-03-15 EUR DRAFT W2", b.invoices(t))
}

// What a crash leaves behind is finished by whoever runs next, be it for an
// earlier day.
func TestRunFinishesWhatACrashLeft(t *testing.T) {
	t.Parallel()
	for name, issued := range map[string]int{"after the cut-off moved": 0, "between two chunks": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.manyDrafts(t, 5, march(8))
			b.run(t, march(7))
			book, err := db.NewPriceBooks(b.pool).Current(t.Context())
			require.NoError(t, err)
			began, err := db.BeginRun(t.Context(), b.pool, book.Calendar, march(8), db.BySchedule, b.clock.Now())
			require.NoError(t, err)
			require.True(t, began)
			run := db.Run{ClosesOn: march(8), StartedAt: b.clock.Now()}
			var cursor db.Cursor
			for range issued {
				_, done, err := db.IssueChunk(t.Context(), b.pool, run, &cursor, 1, b.clock.Now(), march(8))
				require.NoError(t, err)
				require.False(t, done)
			}
			require.Equal(t, issued, get[int](t, b, `SELECT count(*) FROM invoices WHERE status = 'PENDING'`))

			results := b.run(t, march(7))
			require.Len(t, results, 1)
			require.Equal(t, []int64{5, 15}, []int64{results[0].Invoices, results[0].Charges}, "the record counts what was issued before the crash too")
			require.Equal(t, 5, get[int](t, b, `SELECT count(*) FROM invoice_events WHERE to_status = 'PENDING'`))
			require.Empty(t, b.run(t, march(8)))
			b.requireSound(t)
		})
	}
}

func TestRunParksWhatCannotBeIssued(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string][3]string{
		"trigger": {`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no tax number'; END $$;
			CREATE TRIGGER refuse BEFORE UPDATE ON invoices FOR EACH ROW WHEN (NEW.status = 'PENDING' AND NEW.bill_to_name = 'Faulty Air') EXECUTE FUNCTION refuse()`,
			`DROP TRIGGER refuse ON invoices`, "no tax number"},
		"check": {`ALTER TABLE invoices ADD CONSTRAINT no_faulty_air CHECK (bill_to_name <> 'Faulty Air')`,
			`ALTER TABLE invoices DROP CONSTRAINT no_faulty_air`, "no_faulty_air"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.manyDrafts(t, 20, march(8))
			b.exec(t, `UPDATE customers SET name = 'Faulty Air' WHERE code = 'D0007'`)
			b.exec(t, fault[0])
			b.run(t, march(7))
			b.clock.Set(landed(8, 1))
			results := b.run(t, march(8))
			require.Equal(t, []jobs.RunResult{{ClosesOn: march(8), RunDate: march(8), Invoices: 19, Charges: 57, Parked: 1}}, results)
			require.Equal(t, "D0007 0", get[string](t, b, `SELECT concat_ws(' ', code, invoice_seq) FROM invoices i JOIN customers u ON u.id = customer_id WHERE status = 'DRAFT'`))
			require.Contains(t, get[string](t, b, `SELECT parked_reason FROM invoices WHERE parked_at IS NOT NULL`), fault[2])

			b.clock.Set(landed(9, 1))
			results = b.run(t, march(9))
			require.Equal(t, []int64{0, 1}, []int64{results[0].Invoices, results[0].Parked}, "as long as it is wrong, it stays parked")

			b.exec(t, fault[1])
			b.clock.Set(landed(10, 1))
			results = b.run(t, march(10))
			require.Equal(t, []int64{1, 0}, []int64{results[0].Invoices, results[0].Parked})
			require.Zero(t, get[int](t, b, `SELECT count(*) FROM invoices WHERE num_nonnulls(parked_at, parked_reason) > 0`))
			b.requireSound(t)
		})
	}
}

func TestRunOneInvoiceACurrency(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO tariffs (code, basis, applies_to, unit_rate, currency, tax_rate, valid_from) VALUES
		('NAV', 'per_flight', 'arrival', 30.005, 'USD', 0, '2020-01-01'), ('LIGHTS', 'per_flight', 'arrival', 100.5, 'JPY', 0.1, '2020-01-01')`)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.billed(t, "W2", "WEEK", landed(5, 9))
	b.run(t, march(8))
	require.Equal(t, `WEEK 2026-03-08 EUR PENDING WEEK-000001 340.80 2026-04-03 W1,W2
WEEK 2026-03-08 JPY PENDING WEEK-000002 222 2026-04-03 W1,W2
WEEK 2026-03-08 USD PENDING WEEK-000003 60.02 2026-04-03 W1,W2`, b.invoices(t))
	b.requireSound(t)
}

// Of a run by hand and one by the schedule, the record says which it was.
func TestRunRecordsItsTrigger(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.consolidator().Run(t.Context(), march(3), db.BySchedule, nil)
	require.NoError(t, err)
	b.run(t, march(4))
	require.Equal(t, "2026-03-02 start, 2026-03-03 schedule, 2026-03-04 manual",
		get[string](t, b, `SELECT string_agg(closes_on || ' ' || trigger, ', ' ORDER BY closes_on) FROM billing_runs`))
}

// saveFlight is db.SaveFlights for one.
func saveFlight(ctx context.Context, on db.Sender, job *db.Job, bill db.Bill, at time.Time) (db.Outcome, error) {
	outcomes, err := db.SaveFlights(ctx, on, []db.Save{{Job: job, Bill: bill, At: at}})
	if err != nil {
		return "", err
	}
	return outcomes[0], nil
}
