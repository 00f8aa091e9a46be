package jobs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// documents lists all of them, one a line, with their lines.
func (b *testBundle) documents(t *testing.T) string {
	t.Helper()
	return get[string](t, b, `SELECT coalesce(string_agg(line, E'\n' ORDER BY id), '') FROM (
		SELECT i.id, concat_ws(' ', coalesce(i.number, u.code), i.closes_on, i.currency, i.status, i.total || ':',
			(SELECT string_agg(concat_ws(' ', c.flight_id, c.amount, CASE WHEN c.late THEN 'late' END, c.origin), ', ' ORDER BY c.id)
				FROM charges c WHERE c.invoice_id = i.id)) AS line
		FROM invoices i JOIN customers u ON u.id = i.customer_id) AS lines`)
}

func (b *testBundle) emptyQueue(t *testing.T) {
	t.Helper()
	b.waitFor(t, "the queue is empty", 0, `SELECT count(*) FROM flight_processing_queue`)
}

// givenUp waits until a flight has been given up, and returns why.
func (b *testBundle) givenUp(t *testing.T, id string) string {
	t.Helper()
	b.waitFor(t, "the flight is given up", 1, `SELECT count(*) FROM flight_processing_queue WHERE flight_id = $1 AND state = 'cancelled'`, id)
	require.NotRegexp(t, "0000|EACH|WEEK", get[string](t, b, `SELECT last_error FROM flight_processing_queue WHERE flight_id = $1`, id), "every application sees it")
	return get[string](t, b, `SELECT reason || ': ' || details FROM flight_processing_queue WHERE flight_id = $1`, id)
}

// The facts that were kept, at the tariffs now in force: the flight source knows
// the flights no more.
func TestRebill(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.billed(t, "W2", "WEEK", landed(4, 9))
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.run(t, march(8))
	b.exec(t, `DELETE FROM flights`)
	b.exec(t, `UPDATE tariffs SET unit_rate = 3`)
	// No process is up: what was asked for stays in the queue.
	b.exec(t, `SELECT void_invoice('WEEK-000001', 'wrong rate', true), void_invoice('EACH-000001', 'wrong rate', true)`)
	require.Equal(t, 3, get[int](t, b, `SELECT count(*) FROM flight_processing_queue`))
	b.start(t, workers(1)) // in order
	b.emptyQueue(t)
	require.Equal(t, `WEEK-000001 2026-03-08 EUR VOID 340.80: W1 142.00, W2 142.00
EACH-000001 EUR VOID 170.40: E1 142.00
WEEK-CN000001 EUR PAID -340.80: W1 -142.00, W2 -142.00
EACH-CN000001 EUR PAID -170.40: E1 -142.00
WEEK 2026-03-15 EUR DRAFT W1 213.00 late rebilled, W2 213.00 late rebilled
EACH-000002 EUR PENDING 255.60: E1 213.00 late rebilled`, b.documents(t))
	require.Equal(t, 3, get[int](t, b, `SELECT count(*) FROM voided_flights WHERE rebilled_at IS NOT NULL`))
	eventually(t, "all three are counted", func() bool { return b.stats.Snapshot().Flights.Done == 3 })

	// Billed again, they are billed: nothing is to be done for them.
	require.Equal(t, 3, get[int](t, b, `SELECT already_billed FROM enqueue_flights(ARRAY['W1', 'W2', 'E1'])`))
	b.run(t, march(15))
	b.requireSound(t)

	// And the new invoice may be voided in its turn.
	b.exec(t, `SELECT void_invoice('EACH-000002', 'again', true)`)
	b.emptyQueue(t)
	require.Equal(t, "255.60", get[string](t, b, `SELECT sum(total)::text FROM invoices i JOIN customers c ON c.id = customer_id WHERE code = 'EACH'`))
}

// A flight that cannot be billed again stays in the queue with the reason, and
// goes back to work when it is enqueued once more.
func TestRebillRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.exec(t, `UPDATE tariffs SET valid_from = '2026-04-01'`)
	b.exec(t, `SELECT void_invoice('EACH-000001', 'why', true)`)
	b.start(t)
	require.Regexp(t, "^no_tariff: voided invoice EACH-000001 is to be billed again from the facts kept in billed_flights \\(payer: billed\\): flight E1 has no tariff", b.givenUp(t, "E1"))
	b.exec(t, `UPDATE tariffs SET valid_from = '2020-01-01', unit_rate = 1`)
	b.enqueue(t, "E1")
	b.emptyQueue(t)
	require.Equal(t, "85.20", get[string](t, b, `SELECT total::text FROM invoices WHERE number = 'EACH-000002'`))
}

// Not to be billed again, whoever enqueues it and whatever the source says.
func TestVoidedFlightIsNotBilled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.billed(t, "E2", "EACH", landed(4, 9))
	b.exec(t, `DELETE FROM flights WHERE flight_id = 'E2'`)
	b.exec(t, `SELECT void_invoice('EACH-000001', 'why'), void_invoice('EACH-000002', 'why')`)
	service := b.start(t)
	for id, number := range map[string]string{"E1": "EACH-000001", "E2": "EACH-000002"} {
		_, err := service.Client().Insert(t.Context(), jobs.IngestFlightArgs{FlightID: id}, nil)
		require.NoError(t, err)
		require.Regexp(t, "^invoice_voided: flight "+id+" is not billed again: its invoice "+number+" was voided by ", b.givenUp(t, id))
	}
	// By the SQL interface; and then retried in River UI.
	b.exec(t, `DELETE FROM flight_processing_queue`)
	b.enqueue(t, "E1")
	require.Contains(t, b.givenUp(t, "E1"), "invoice_voided")
	_, err := service.Client().JobRetry(t.Context(), get[int64](t, b, `SELECT job_id FROM flight_processing_queue`))
	require.NoError(t, err)
	b.wake(t)
	b.waitFor(t, "it is given up again", 1, `SELECT count(*) FROM river_job WHERE state = 'cancelled' AND cardinality(errors) = 2 AND metadata ->> 'reason' = 'invoice_voided'`)
	require.Equal(t, 2, get[int](t, b, `SELECT count(*) FROM charges WHERE amount > 0`))

	b.exec(t, `SELECT rebill_invoice('EACH-000001'), rebill_invoice('EACH-000002')`)
	b.emptyQueue(t)
	require.Equal(t, "EACH-000003 EACH-000004", get[string](t, b, `SELECT string_agg(number, ' ' ORDER BY number) FROM invoices WHERE status = 'PENDING'`))
}

// Charges in two currencies are two invoices: one is voided, and only its charges
// are billed again; unless the price has moved to a third.
func TestRebillOfOneCurrency(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO tariffs (code, basis, applies_to, unit_rate, currency, valid_from) VALUES ('NAV', 'per_flight', 'any', 1000, 'JPY', '2020-01-01')`)
	b.billed(t, "E1", "EACH", landed(4, 9)) // 000001 in EUR, 000002 in JPY
	b.exec(t, `UPDATE tariffs SET unit_rate = unit_rate * 2`)
	b.exec(t, `SELECT void_invoice('EACH-000001', 'why', true)`)
	b.start(t)
	b.emptyQueue(t)
	require.Equal(t, "EACH-000003 EUR 340.80, EACH-000002 JPY 1000", get[string](t, b,
		`SELECT string_agg(concat_ws(' ', number, currency, total), ', ' ORDER BY currency) FROM invoices WHERE status = 'PENDING'`))

	// The yen are not to be billed again; the euros become dollars.
	b.exec(t, `SELECT void_invoice('EACH-000002', 'why')`)
	b.exec(t, `UPDATE tariffs SET currency = 'USD' WHERE currency = 'EUR'`)
	b.exec(t, `SELECT void_invoice('EACH-000003', 'why', true)`)
	b.emptyQueue(t)
	require.Equal(t, "EACH-000004 USD 340.80", get[string](t, b,
		`SELECT string_agg(concat_ws(' ', number, currency, total), ', ' ORDER BY currency) FROM invoices WHERE status = 'PENDING'`))
	b.enqueue(t, "E1")
	require.Contains(t, b.givenUp(t, "E1"), "its invoice EACH-000002 was voided by EACH-CN000002 without that")
}

// The job is rescued while its first attempt is about to save: one re-billing.
func TestRebillRescuedMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.exec(t, `SELECT void_invoice('EACH-000001', 'why', true)`)
	bill := b.bill(t, "E1")
	billed, err := db.ReadBilledFlight(t.Context(), b.pool, "E1")
	require.NoError(t, err)
	job := &db.Job{ID: get[int64](t, b, `SELECT id FROM river_job`), Attempt: 1, Client: "here"}
	b.exec(t, `UPDATE river_job SET state = 'running', attempt = 2, attempted_by = ARRAY['here', 'there'], attempted_at = now()`)
	before := b.documents(t)
	_, err = db.AdjustFlight(t.Context(), b.pool, job, billed.Rebilled(bill), b.clock.Now())
	require.ErrorIs(t, err, db.ErrJobLost)
	require.Equal(t, before, b.documents(t))
	job.Attempt, job.Client, job.AttemptedAt = 2, "there", get[time.Time](t, b, `SELECT attempted_at FROM river_job`)
	outcome, err := db.AdjustFlight(t.Context(), b.pool, job, billed.Rebilled(bill), b.clock.Now())
	require.NoError(t, err)
	require.Equal(t, db.Billed, outcome)
	outcome, err = db.AdjustFlight(t.Context(), b.pool, job, billed.Rebilled(bill), b.clock.Now())
	require.NoError(t, err)
	require.Equal(t, db.Changed, outcome, "the ledger has moved on")
	require.Equal(t, "completed", get[string](t, b, `SELECT state::text FROM river_job`))
}

// Marked, and not voided at all: a job that came back from somewhere.
func TestRebillOfWhatIsBilled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts, metadata) VALUES ('ingest_flight', '{"flight_id": "E1"}', 'flights', 25, '{"billed_before": true}')`)
	source := &recordingSource{}
	b.start(t, source.record)
	b.emptyQueue(t)
	require.Empty(t, source.sizes(), "the flight source is not asked")
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM charges`))
}

// The invoice is voided while a job of its flight, enqueued once more, is at the
// flight source: that job and the void's own bill it again once.
func TestRebillBesideAJobInWork(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{true, false} {
		t.Run(fmt.Sprint("the source knows the flight: ", known), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.billed(t, "E1", "EACH", landed(4, 9))
			b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts, unique_key, unique_states)
				VALUES ('ingest_flight', '{"flight_id": "E1"}', 'flights', 25, flight_job_key('E1'), flight_job_unique_states())`)
			source := b.blockingSource()
			b.start(t, source.use, func(c *jobs.Config) { c.Workers = 1 })
			<-source.entered
			if !known {
				b.exec(t, `DELETE FROM flights`)
			}
			b.exec(t, `SELECT void_invoice('EACH-000001', 'why', true)`)
			require.Equal(t, 2, get[int](t, b, `SELECT count(*) FROM flight_processing_queue`))
			close(source.let)
			b.emptyQueue(t)
			require.Equal(t, "EACH-000001 VOID, EACH-000002 PENDING, EACH-CN000001 PAID", get[string](t, b,
				`SELECT string_agg(number || ' ' || status, ', ' ORDER BY number COLLATE "C") FROM invoices`))
		})
	}
}

// A customer whom somebody has locked holds up a re-billing without an attempt, and no
// other flight with it.
func TestRebillOfALockedCustomer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.exec(t, `SELECT void_invoice('EACH-000001', 'why', true)`)
	b.lineUp(t, 30)
	holder := b.begin(t, `SELECT FROM customers WHERE code = 'EACH' FOR UPDATE`)
	began := time.Now()
	b.start(t, workers(1))
	b.waitForBilled(t, 31)
	require.Less(t, time.Since(began), 10*time.Second)
	b.waitFor(t, "it waits with the reason", 1, `SELECT count(*) FROM flight_processing_queue WHERE flight_id = 'E1' AND state = 'scheduled' AND reason = 'locked' AND attempts = 0`)
	require.NoError(t, holder.Rollback(t.Context()))
	b.emptyQueue(t)
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM invoices WHERE number = 'EACH-000002'`))
}

// An aircraft that was sold since: whoever was billed for the old flight is billed
// again, unless the register is to say who pays.
func TestRebillKeepsThePayer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO customer_aircraft SELECT 'G-OWN', id FROM customers WHERE code = 'EACH'`)
	b.flight(t, "E1", "WEEK", landed(4, 9))
	b.exec(t, `UPDATE flights SET registration = 'gown'`)
	b.start(t)
	b.enqueue(t, "E1")
	b.emptyQueue(t)
	owes := func() string {
		t.Helper()
		return get[string](t, b, `SELECT string_agg(code || ' ' || owed, ', ' ORDER BY code) FROM (
			SELECT u.code, sum(c.amount) AS owed FROM charges c JOIN invoices i ON i.id = c.invoice_id JOIN customers u ON u.id = i.customer_id
			GROUP BY 1 HAVING sum(c.amount) <> 0) AS s`)
	}
	require.Equal(t, "EACH 142.00", owes())

	b.exec(t, `UPDATE customer_aircraft SET customer_id = (SELECT id FROM customers WHERE code = 'MON')`) // and says not since when
	b.exec(t, `SELECT void_invoice('EACH-000001', 'why', true)`)
	b.emptyQueue(t)
	require.Equal(t, "EACH 142.00", owes())

	b.exec(t, `SELECT void_invoice('EACH-000002', 'wrong customer', true, 'register')`)
	b.emptyQueue(t)
	require.Equal(t, "MON 142.00", owes())
	require.Equal(t, "MON", get[string](t, b, `SELECT code FROM billed_flights JOIN customers ON id = customer_id`))

	// With days, the register knows whose it was.
	b.run(t, march(31))
	b.exec(t, `UPDATE customer_aircraft SET valid_from = '2026-03-05'`)
	b.exec(t, `INSERT INTO customer_aircraft SELECT 'GOWN', id, NULL, '2026-03-05'::date FROM customers WHERE code = 'EACH'`)
	b.exec(t, `SELECT void_invoice('MON-000001', 'wrong customer')`)
	b.exec(t, `SELECT rebill_invoice('MON-000001', 'register')`)
	b.emptyQueue(t)
	require.Equal(t, "EACH 142.00", owes())
	b.requireSound(t)

	_, err := b.owner.Exec(t.Context(), `SELECT void_invoice('EACH-000003', 'why', true, 'me')`)
	require.ErrorContains(t, err, "payer 'me' is not known")
}
