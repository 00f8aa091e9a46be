package db_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// priced is a flight of 70.5 t from EIDW to EGLL, landed on 4 March 2026,
// priced from the book that is kept: 71 × 2.00 = 142.00 EUR.
func (b *testBundle) priced(t *testing.T, books *db.PriceBooks, id, operator string) db.Bill {
	t.Helper()
	book, err := books.Current(t.Context())
	require.NoError(t, err)
	mass, landedAt := int64(70500), time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	flight := billing.Flight{ID: id, Operator: operator, MTOWKg: &mass, Origin: "EIDW", Destination: "EGLL", LandedAt: &landedAt}
	customer, known, err := books.Customer(t.Context(), book, flight)
	require.NoError(t, err)
	require.True(t, known)
	c, err := books.Case(t.Context(), book, flight, nil)
	require.NoError(t, err)
	c.Customer = customer
	charges, err := billing.Price(c, book.Tariffs, billing.Bounds{})
	require.NoError(t, err)
	return db.Bill{Flight: flight, Customer: customer, LandedOn: c.MovedOn, Declared: c.Declared(), Charges: charges, Book: book}
}

// running enqueues a flight and has a client work on it.
func (b *testBundle) running(t *testing.T, id string) *db.Job {
	t.Helper()
	b.enqueue(t, id)
	b.setState(t, id, "running")
	return b.job(t, id)
}

// job is the attempt that a flight's one job is at.
func (b *testBundle) job(t *testing.T, id string) *db.Job {
	t.Helper()
	job := &db.Job{}
	require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT id, attempt, attempted_by[array_upper(attempted_by, 1)], attempted_at
		FROM river_job WHERE args ->> 'flight_id' = $1`, id).Scan(&job.ID, &job.Attempt, &job.Client, &job.AttemptedAt))
	return job
}

// saveFlight is db.SaveFlights for one.
func saveFlight(ctx context.Context, on db.Sender, job *db.Job, bill db.Bill, at time.Time) (db.Outcome, error) {
	outcomes, err := db.SaveFlights(ctx, on, []db.Save{{Job: job, Bill: bill, At: at}})
	if err != nil {
		return "", err
	}
	return outcomes[0], nil
}

func (b *testBundle) save(t *testing.T, job *db.Job, bill db.Bill, want db.Outcome) {
	t.Helper()
	requireSave(t, b.pool, job, bill, want)
}

func requireSave(t *testing.T, on db.Sender, job *db.Job, bill db.Bill, want db.Outcome) {
	t.Helper()
	outcome, err := saveFlight(t.Context(), on, job, bill, testNow)
	require.NoError(t, err)
	require.Equal(t, want, outcome)
}

// all is everything that a save writes, so that a test can say "nothing".
func (b *testBundle) all(t *testing.T) string {
	t.Helper()
	return get[string](t, b, `SELECT jsonb_build_array(
		(SELECT jsonb_agg(to_jsonb(x) ORDER BY id) FROM invoices x), (SELECT jsonb_agg(to_jsonb(x) ORDER BY id) FROM charges x),
		(SELECT jsonb_agg(to_jsonb(x) ORDER BY flight_id) FROM billed_flights x), (SELECT jsonb_agg(to_jsonb(x) ORDER BY id) FROM river_job x),
		(SELECT jsonb_agg(to_jsonb(x) ORDER BY id) FROM invoice_events x), (SELECT jsonb_agg(to_jsonb(x) ORDER BY id) FROM customers x))::text`)
}

const invoiceLines = `SELECT coalesce(string_agg(concat_ws(' ', u.code, i.kind, i.status, i.number, i.closes_on, i.currency, i.total,
		(SELECT string_agg(concat_ws(':', c.flight_id, c.amount, c.tax_amount), ',' ORDER BY c.id) FROM charges c WHERE c.invoice_id = i.id)), '; ' ORDER BY i.id), '')
	FROM invoices i JOIN customers u ON u.id = i.customer_id`

func TestSaveFlight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	b.save(t, b.running(t, "F1"), b.priced(t, books, "F1", "WEEK"), db.Billed)
	b.save(t, b.running(t, "F2"), b.priced(t, books, "F2", "WEEK"), db.Billed)
	b.save(t, nil, b.priced(t, books, "F3", "MON"), db.Billed)
	require.Equal(t, "WEEK consolidated DRAFT 2026-03-08 EUR F1:142.00:28.40,F2:142.00:28.40; MON consolidated DRAFT 2026-03-31 EUR F3:142.00:28.40",
		get[string](t, b, invoiceLines))
	require.Equal(t, "71 2 0.2 2026-03-04 false RUNWAY Runway use", get[string](t, b,
		`SELECT concat_ws(' ', quantity, trim_scale(unit_rate), trim_scale(tax_rate), flown_on, late::text, code, description) FROM charges WHERE flight_id = 'F1'`))
	require.Equal(t, `2026-03-04 {"origin": "EIDW", "mtow_kg": 70500, "operator": "WEEK", "flight_id": "F1", "landed_at": "2026-03-04T09:00:00Z", "destination": "EGLL"}`,
		get[string](t, b, `SELECT landed_on || ' ' || facts FROM billed_flights WHERE flight_id = 'F1' AND billed_at = $1`, testNow))
	require.Equal(t, 2, get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'completed' AND finalized_at IS NOT NULL`))
	require.Empty(t, b.queue(t))
}

func TestSaveFlightAlreadyBilled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	b.save(t, nil, b.priced(t, books, "F1", "EACH"), db.Billed)
	const rest = `SELECT concat_ws('; ', (SELECT jsonb_agg(to_jsonb(i)) FROM invoices i), (SELECT jsonb_agg(to_jsonb(c)) FROM charges c),
		(SELECT jsonb_agg(to_jsonb(f)) FROM billed_flights f), (SELECT jsonb_agg(to_jsonb(c) ORDER BY id) FROM customers c))`
	before := get[string](t, b, rest)
	b.raw(t, "F1")
	b.setState(t, "F1", "running")
	job := b.job(t, "F1")
	b.save(t, job, b.priced(t, books, "F1", "WEEK"), db.AlreadyBilled)
	require.Equal(t, "completed", get[string](t, b, `SELECT state::text FROM river_job`))
	require.Equal(t, before, get[string](t, b, rest))
}

func TestSaveFlightStale(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	job, old := b.running(t, "F1"), b.priced(t, books, "F1", "WEEK")
	b.exec(t, `UPDATE tariffs SET unit_rate = 3`)
	before := b.all(t)
	b.save(t, job, old, db.Stale)
	require.Equal(t, before, b.all(t), "an older price book")

	_, err := books.Refresh(t.Context())
	require.NoError(t, err)
	old = b.priced(t, books, "F1", "WEEK")
	_, err = db.BeginRun(t.Context(), b.pool, old.Book.Calendar, billing.NewDate(2026, 3, 8), db.ByHand, testNow)
	require.NoError(t, err)
	b.save(t, job, old, db.Stale)
	require.Equal(t, before, b.all(t), "an older cut-off")

	_, err = books.Refresh(t.Context())
	require.NoError(t, err)
	b.save(t, job, b.priced(t, books, "F1", "WEEK"), db.Billed)
	require.Equal(t, "WEEK consolidated DRAFT 2026-03-15 EUR F1:213.00:42.60", get[string](t, b, invoiceLines))
	require.True(t, get[bool](t, b, `SELECT late FROM charges`))
}

// A flight that is enqueued again while it is being saved has been billed by the time
// that the enqueueing goes on: nothing is queued.
func TestEnqueueingMeetsASave(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"view":     enqueueOne,
		"function": `SELECT FROM enqueue_flights(ARRAY[$1]) AS e WHERE e.enqueued + e.revived > 0`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			bill := b.priced(t, db.NewPriceBooks(b.pool), "F1", "WEEK")
			job := b.running(t, "F1")
			saving := b.begin(t)
			requireSave(t, saving, job, bill, db.Billed)
			enqueued := b.execMeanwhile(t, sql, "F1")
			require.NoError(t, saving.Commit(t.Context()))
			tag, err := enqueued()
			require.NoError(t, err)
			require.Zero(t, tag.RowsAffected())
			require.Empty(t, b.queue(t))
		})
	}
}

func TestSaveFlightJobLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bill := b.priced(t, db.NewPriceBooks(b.pool), "F1", "EACH")
	job := b.running(t, "F1")
	for name, change := range map[string]string{
		"another attempt": `attempt = 2`,
		"another client":  `attempted_by = ARRAY['here', 'there']`,
		"claimed anew":    `attempted_at = attempted_at + interval '1 microsecond'`,
		"rescued":         `state = 'retryable'`,
		"available":       `state = 'available'`,
		"cancelled":       `state = 'cancelled', finalized_at = now()`,
		"completed":       `state = 'completed', finalized_at = now()`,
		"another job":     `id = id + 1`,
	} {
		tx := b.begin(t, `SET LOCAL flightbill.completes = 'billed'`, `UPDATE river_job SET `+change)
		_, err := saveFlight(t.Context(), tx, job, bill, testNow)
		require.ErrorIs(t, err, db.ErrJobLost, name)
		require.ErrorContains(t, err, "flight F1", name)
		require.NoError(t, tx.Rollback(t.Context()))
	}
	b.exec(t, `UPDATE river_job SET state = 'retryable'`)
	before := b.all(t)
	_, err := saveFlight(t.Context(), b.pool, job, bill, testNow)
	require.ErrorIs(t, err, db.ErrJobLost)
	require.Equal(t, before, b.all(t), "nothing is left of it")
	require.Zero(t, get[int](t, b, `SELECT invoice_seq FROM customers WHERE code = 'EACH'`))

	b.exec(t, `UPDATE river_job SET state = 'running', attempt = 2, attempted_by = ARRAY['here', 'there']`)
	b.save(t, b.job(t, "F1"), bill, db.Billed)
}

func TestSaveFlightSeveralCurrencies(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO tariffs (code, basis, applies_to, unit_rate, currency, tax_rate, valid_from) VALUES
		('LAND', 'per_flight', 'any', 1234.5, 'JPY', 0.1, '2020-01-01'), ('NAV', 'per_flight', 'any', 1.0005, 'KWD', 0, '2020-01-01'),
		('PAX', 'per_flight', 'any', 0, 'EUR', 0.2, '2020-01-01')`)
	books := db.NewPriceBooks(b.pool)
	b.save(t, nil, b.priced(t, books, "F1", "WEEK"), db.Billed)
	b.save(t, nil, b.priced(t, books, "F2", "EACH"), db.Billed)
	require.Equal(t, "WEEK consolidated DRAFT 2026-03-08 EUR F1:0.00:0.00,F1:142.00:28.40; "+
		"WEEK consolidated DRAFT 2026-03-08 JPY F1:1235:124; WEEK consolidated DRAFT 2026-03-08 KWD F1:1.001:0.000; "+
		"EACH flight PENDING EACH-000001 EUR 170.40 F2:0.00:0.00,F2:142.00:28.40; "+
		"EACH flight PENDING EACH-000002 JPY 1359 F2:1235:124; EACH flight PENDING EACH-000003 KWD 1.001 F2:1.001:0.000", get[string](t, b, invoiceLines))
}

func TestSaveFlightPerFlight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	b.save(t, nil, b.priced(t, books, "F1", "EACH"), db.Billed)
	b.save(t, nil, b.priced(t, books, "F2", "HELD"), db.Billed)
	require.Equal(t, "EACH flight PENDING EACH-000001 EUR 170.40 F1:142.00:28.40; HELD flight DRAFT EUR F2:142.00:28.40", get[string](t, b, invoiceLines))
	require.Equal(t, "142.00 28.40 2026-03-18 Single Air", get[string](t, b,
		`SELECT concat_ws(' ', subtotal, tax, due_on, bill_to_name) FROM invoices WHERE issued_at = $1`, testNow))

	// Held since the book was read: a hold does not make a price stale.
	b.exec(t, `UPDATE customers SET billing_hold = NOT billing_hold`)
	b.save(t, nil, b.priced(t, books, "F3", "EACH"), db.Billed)
	b.save(t, nil, b.priced(t, books, "F4", "HELD"), db.Billed)
	require.Equal(t, "F1 EACH-000001, F2 -, F3 -, F4 HELD-000001", get[string](t, b,
		`SELECT string_agg(flight_id || ' ' || coalesce(number, '-'), ', ' ORDER BY flight_id) FROM charges c JOIN invoices i ON i.id = invoice_id`))
}

func TestSaveFlightWithoutCharges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE tariffs SET band_from = 100`)
	books := db.NewPriceBooks(b.pool)
	for id, operator := range map[string]string{"F1": "WEEK", "F2": "EACH"} {
		bill := b.priced(t, books, id, operator)
		require.Empty(t, bill.Charges)
		b.save(t, b.running(t, id), bill, db.Billed)
		b.save(t, nil, bill, db.AlreadyBilled)
	}
	require.Equal(t, 2, get[int](t, b, `SELECT count(*) FROM billed_flights`))
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM invoices`))
	require.Empty(t, b.queue(t))
}

func TestSaveFlightClearsOtherJobs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	job := b.running(t, "F1")
	for _, state := range []string{"available", "scheduled", "retryable", "pending", "running", "cancelled", "discarded", "completed"} {
		b.exec(t, `UPDATE river_job SET state = $2::river_job_state, finalized_at = CASE WHEN $2 IN ('cancelled', 'completed', 'discarded') THEN now() END WHERE id = $1`,
			b.raw(t, "F1"), state)
	}
	b.raw(t, "F10")
	b.exec(t, `INSERT INTO river_job (kind, args, max_attempts) VALUES ('other', '{"flight_id": "F1"}', 25)`)
	b.save(t, job, b.priced(t, db.NewPriceBooks(b.pool), "F1", "WEEK"), db.Billed)
	require.Equal(t, "F1 running 0 1, F10 available 0 1", b.queue(t))
	require.Equal(t, "F1 completed, F1 completed", get[string](t, b,
		`SELECT string_agg(args ->> 'flight_id' || ' ' || state, ', ' ) FROM river_job WHERE kind = 'ingest_flight' AND state = 'completed'`))
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM river_job WHERE kind = 'other'`))
}

// Two attempts save one flight at once, or two flights open one draft. Where the first
// one's transaction fails in the end, the second one bills.
func TestSaveFlightTwiceAtOnce(t *testing.T) {
	t.Parallel()
	const line = ":142.00:28.40"
	for name, c := range map[string]struct {
		operator, second string
		commit           bool
		outcome          db.Outcome
		invoice          string
	}{
		"one flight, committed":   {"EACH", "F1", true, db.AlreadyBilled, "EACH flight PENDING EACH-000001 EUR 170.40 F1" + line},
		"one flight, rolled back": {"EACH", "F1", false, db.Billed, "EACH flight PENDING EACH-000001 EUR 170.40 F1" + line},
		"one draft, committed":    {"WEEK", "F2", true, db.Billed, "WEEK consolidated DRAFT 2026-03-08 EUR F1" + line + ",F2" + line},
		"one draft, rolled back":  {"WEEK", "F2", false, db.Billed, "WEEK consolidated DRAFT 2026-03-08 EUR F2" + line},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			books := db.NewPriceBooks(b.pool)
			other := b.priced(t, books, c.second, c.operator)
			first := b.begin(t)
			requireSave(t, first, nil, b.priced(t, books, "F1", c.operator), db.Billed)
			second := meanwhile(t, b, func() (db.Outcome, error) { return saveFlight(t.Context(), b.pool, nil, other, testNow) })
			end(t, first, c.commit)
			outcome, err := second()
			require.NoError(t, err)
			require.Equal(t, c.outcome, outcome)
			require.Equal(t, c.invoice, get[string](t, b, invoiceLines))
		})
	}
}

// Whatever the order in which flights are saved: a save that waits for a job's row
// has none locked that comes after it, so that nobody waits in a circle.
func TestSaveFlightsLocksJobsInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	var saves []db.Save
	for _, id := range []string{"F1", "F2", "F3"} {
		saves = append(saves, db.Save{Job: b.running(t, id), Bill: b.priced(t, books, id, "WEEK"), At: testNow})
	}
	slices.Reverse(saves)
	first := b.begin(t)
	_, err := first.Exec(t.Context(), `SELECT FROM river_job WHERE id = $1 FOR UPDATE`, saves[2].Job.ID)
	require.NoError(t, err)
	save := meanwhile(t, b, func() ([]db.Outcome, error) { return db.SaveFlights(t.Context(), b.pool, saves) })
	_, err = first.Exec(t.Context(), `SELECT FROM river_job FOR UPDATE NOWAIT`)
	require.NoError(t, err)
	require.NoError(t, first.Commit(t.Context()))
	outcomes, err := save()
	require.NoError(t, err)
	require.Equal(t, []db.Outcome{db.Billed, db.Billed, db.Billed}, outcomes)
}

// A save is done when it is committed, not when Postgres has told its outcome.
func TestSaveFlightsFailsWhereTheCommitDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `CREATE FUNCTION refuse_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused at commit'; END $$`)
	b.exec(t, `CREATE CONSTRAINT TRIGGER refuse_commit AFTER INSERT ON billed_flights DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION refuse_commit()`)
	bill := b.priced(t, db.NewPriceBooks(b.pool), "F1", "WEEK")
	job := b.running(t, "F1")

	_, err := saveFlight(t.Context(), b.pool, job, bill, testNow)
	require.ErrorContains(t, err, "refused at commit")
	require.Equal(t, "running", get[string](t, b, `SELECT state::text FROM river_job`))

	_, err = db.NewFlightQueue(b.pool).Take(t.Context(), db.Turn{Client: "here", Saves: []db.Save{{Job: job, Bill: bill, At: testNow}}, Claim: 1})
	require.ErrorContains(t, err, "refused at commit")
}

// Only an invoice that is issued at once need be on the disk before its save is
// done: other saves are redone after a crash.
func TestSaveWaitsForTheDiskWhereItIssues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	for operator, want := range map[string]string{"WEEK": "off", "MON": "off", "EACH": "on"} {
		tx := b.begin(t, `SET LOCAL synchronous_commit = on`) // a test's server has it off
		requireSave(t, tx, nil, b.priced(t, books, "F-"+operator, operator), db.Billed)
		var got string
		require.NoError(t, tx.QueryRow(t.Context(), `SHOW synchronous_commit`).Scan(&got))
		require.Equal(t, want, got, operator)
		require.NoError(t, tx.Rollback(t.Context()))
	}
}

// A save clears flights' other jobs away in the order of their ids, as all lock jobs.
func TestSaveClearsJobsByTheirIDs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	first, second := b.raw(t, "F2"), b.raw(t, "F1")
	b.exec(t, `UPDATE river_job SET priority = 2 WHERE id = $1`, first) // behind the other, in the table and in the index
	const lock = `SELECT FROM river_job WHERE id = $1 FOR UPDATE`
	other := b.begin(t)
	_, err := other.Exec(t.Context(), lock, first)
	require.NoError(t, err)
	saves := []db.Save{{Bill: b.priced(t, books, "F1", "WEEK"), At: testNow}, {Bill: b.priced(t, books, "F2", "WEEK"), At: testNow}}
	save := meanwhile(t, b, func() ([]db.Outcome, error) { return db.SaveFlights(t.Context(), b.pool, saves) })
	_, err = other.Exec(t.Context(), lock, second)
	require.NoError(t, err)
	require.NoError(t, other.Commit(t.Context()))
	outcomes, err := save()
	require.NoError(t, err)
	require.Equal(t, []db.Outcome{db.Billed, db.Billed}, outcomes)
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job`))
}
