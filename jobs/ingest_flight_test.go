package jobs_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

func landed(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 0, 0, 0, time.UTC) }

func TestIngestFlight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "WEEK1", "WEEK", landed(4, 9))
	b.flight(t, "EACH1", "EACH", landed(4, 9))
	b.start(t)
	b.enqueue(t, "WEEK1", "EACH1")
	b.emptyQueue(t)

	// 71 tonnes or parts of one × 2.00 = 142.00, tax 28.40.
	require.Equal(t, "WEEK DRAFT 2026-03-08 142.00 28.40 false",
		get[string](t, b, `SELECT concat_ws(' ', u.code, i.status, i.closes_on, c.amount, c.tax_amount, c.late::text)
			FROM charges c JOIN invoices i ON i.id = c.invoice_id JOIN customers u ON u.id = i.customer_id WHERE c.flight_id = 'WEEK1'`))
	require.Equal(t, "EACH-000001 PENDING 142.00 28.40 170.40 2026-03-18 Single Air",
		get[string](t, b, `SELECT concat_ws(' ', i.number, i.status, i.subtotal, i.tax, i.total, i.due_on, i.bill_to_name)
			FROM invoices i JOIN charges c ON c.invoice_id = i.id WHERE c.flight_id = 'EACH1'`))
	require.Equal(t, 2, get[int](t, b, `SELECT count(*) FROM billed_flights`))
	require.Equal(t, 2, get[int](t, b, `SELECT count(*) FROM river_job WHERE kind = 'ingest_flight' AND state = 'completed' AND finalized_at IS NOT NULL`))
}

func TestIngestFlightRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "NOBODY1", "NOBODY", landed(4, 9))
	b.flight(t, "MASS1", "WEEK", landed(4, 9))
	b.exec(t, `UPDATE flights SET mtow_kg = NULL WHERE flight_id = 'MASS1'`)
	b.flight(t, "MASS2", "WEEK", landed(4, 9))
	b.exec(t, `UPDATE flights SET mtow_kg = -1 WHERE flight_id = 'MASS2'`)
	b.flight(t, "MASS3", "WEEK", landed(4, 9))
	b.exec(t, `UPDATE flights SET mtow_kg = 7008000 WHERE flight_id = 'MASS3'`)
	b.flight(t, "EPOCH1", "WEEK", time.UnixMilli(landed(4, 9).Unix()))
	b.flight(t, "EARLY1", "WEEK", landed(4, 9))
	b.exec(t, `UPDATE flights SET landed_at = NULL WHERE flight_id = 'EARLY1'`)
	b.flight(t, "OLD1", "WEEK", time.Date(2019, 12, 31, 9, 0, 0, 0, time.UTC))
	b.flight(t, "GOOD1", "WEEK", landed(4, 9))
	b.start(t)
	b.enqueue(t, "NOBODY1", "MASS1", "MASS2", "MASS3", "EPOCH1", "EARLY1", "OLD1", "NOWHERE1", "GOOD1")
	b.waitFor(t, "all flights have been tried", 0, `SELECT count(*) FROM flight_processing_queue WHERE reason IS NULL`)

	var found map[string]string // as the process's own role sees it
	require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT jsonb_object_agg(flight_id, state || ' ' || reason || ': ' || details) FROM flight_processing_queue`).Scan(&found))
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM flight_processing_queue WHERE last_error ~ 'WEEK' OR last_error NOT LIKE 'flight ' || flight_id || '%'`))
	require.Contains(t, found["OLD1"], "WEEK", "that is a detail")
	for id, want := range map[string]string{
		"NOBODY1":  "cancelled no_customer: flight NOBODY1 ",
		"MASS1":    "cancelled missing_fact: flight MASS1 ",
		"MASS2":    "cancelled unusable_facts: flight MASS2 ",
		"MASS3":    "cancelled unusable_facts: flight MASS3 has a maximum take-off mass (mtow_kg) of 7008000 kg",
		"EPOCH1":   "cancelled unusable_facts: flight EPOCH1 landed (landed_at) at 1970-01-21",
		"OLD1":     "cancelled no_tariff: flight OLD1 ",
		"EARLY1":   "scheduled not_landed: flight EARLY1 ",
		"NOWHERE1": "scheduled flight_unknown: flight NOWHERE1 ",
	} {
		require.Truef(t, strings.HasPrefix(found[id], want), "%s: %s", id, found[id])
		delete(found, id)
	}
	require.Empty(t, found)
	require.Equal(t, "GOOD1", get[string](t, b, `SELECT string_agg(flight_id, ' ') FROM billed_flights`))
}

func TestIngestFlightOfOtherBounds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "F1", "WEEK", landed(4, 9))
	b.exec(t, `UPDATE flights SET mtow_kg = 800000`)
	b.start(t, func(c *jobs.Config) { c.Bounds.MTOWKg = 800_000 })
	b.enqueue(t, "F1")
	b.waitForBilled(t, 1)
}

// A cancelled flight is enqueued again once its data are right; what was wrong
// with the data of the first time does not stick to it.
func TestIngestFlightPutRight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "LATER1", "LATER", landed(4, 9))
	b.start(t)
	b.enqueue(t, "LATER1")
	b.waitFor(t, "it is cancelled", 1, `SELECT count(*) FROM flight_processing_queue WHERE state = 'cancelled'`)
	b.exec(t, `INSERT INTO customer_operators SELECT 'LATER', id FROM customers WHERE code = 'WEEK'`)
	b.enqueue(t, "LATER1")
	b.waitForBilled(t, 1)
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM river_job`), "the job was revived, not doubled")
}

// What came into another queue while no process was up is not left there until the
// first of the looks that a process has every 15 s.
func TestStraysAreMovedAtTheStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "F1", "EACH", landed(4, 9))
	b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts) VALUES ('ingest_flight', '{"flight_id": "F1"}', 'default', 25)`)
	b.start(t)
	require.Eventually(t, func() bool { return get[int](t, b, `SELECT count(*) FROM billed_flights`) == 1 }, 14*time.Second, 10*time.Millisecond)
}

// A raw job of a flight that another job has billed, and whose data have become
// unbillable since, is done with.
func TestIngestFlightBilledBefore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "F1", "WEEK", landed(4, 9))
	b.start(t)
	b.enqueue(t, "F1")
	b.waitForBilled(t, 1)
	b.exec(t, `DELETE FROM flights`)
	b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts) VALUES ('ingest_flight', '{"flight_id": "F1"}', 'flights', 25)`)
	b.exec(t, `SELECT pg_notify('flightbill.river_insert', '{"queue": "flights"}')`)
	b.waitFor(t, "the second job is completed", 2, `SELECT count(*) FROM river_job WHERE state = 'completed'`)
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM charges`))
}

// What a save leaves of a job is what River's own JobCompleteTx leaves.
func TestSaveCompletesAsRiverDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "F1", "WEEK", landed(4, 9))
	b.start(t)
	b.enqueue(t, "F1")
	b.waitForBilled(t, 1)

	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[plainArgs]) error {
		return pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
			_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
			return err
		})
	}))
	client, err := river.NewClient(riverpgxv5.New(b.pool), &river.Config{
		Schema: db.Schema, Workers: workers, Queues: map[string]river.QueueConfig{"plain": {MaxWorkers: 1}}, FetchCooldown: time.Millisecond,
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(context.Background()))
	t.Cleanup(func() { require.NoError(t, client.Stop(context.Background())) })
	_, err = client.Insert(t.Context(), plainArgs{}, &river.InsertOpts{Queue: "plain"})
	require.NoError(t, err)
	b.waitFor(t, "it is completed", 1, `SELECT count(*) FROM river_job WHERE kind = 'plain' AND state = 'completed'`)
	const rest = `SELECT ((to_jsonb(j) #- '{metadata,enqueued_by}') - ARRAY['id','kind','args','queue','unique_key','unique_states','created_at','scheduled_at','attempted_at','attempted_by','finalized_at'])::text
		FROM river_job j WHERE kind = $1 AND finalized_at >= attempted_at`
	require.Equal(t, get[string](t, b, rest, "plain"), get[string](t, b, rest, "ingest_flight"))
}

// After a crash of the server that took a save back, River's client still writes that
// the flight's job is completed.
func TestRiverCompletesNoFlightThatIsNotBilled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at) SELECT 'F1', min(id), '2026-03-04', '{}', now() FROM customers`)
	b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts) SELECT 'ingest_flight', jsonb_build_object('flight_id', f), 'crashed', 25 FROM unnest(ARRAY['F1', 'F2']) AS f`)

	worked := make(chan string, 2)
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(_ context.Context, job *river.Job[jobs.IngestFlightArgs]) error {
		worked <- job.Args.FlightID
		return nil
	}))
	client, err := river.NewClient(riverpgxv5.New(b.pool), &river.Config{
		Schema: db.Schema, Workers: workers, Queues: map[string]river.QueueConfig{"crashed": {MaxWorkers: 2}}, FetchCooldown: time.Millisecond,
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(context.Background()))
	<-worked
	<-worked
	require.NoError(t, client.Stop(context.Background())) // which waits for what it has to write
	require.Equal(t, "F1 completed, F2 running", get[string](t, b, `
		SELECT string_agg(concat(args ->> 'flight_id', ' ', state), ', ' ORDER BY args ->> 'flight_id') FROM river_job WHERE queue = 'crashed'`))
}

type plainArgs struct{}

func (plainArgs) Kind() string { return "plain" }
