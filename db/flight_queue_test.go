package db_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// claim claims flights for client "me" and returns them in the order of their ids.
func (b *testBundle) claim(t *testing.T, queue *db.FlightQueue, most int) ([]*rivertype.JobRow, string) {
	t.Helper()
	turned, err := queue.Take(t.Context(), db.Turn{Client: "me", Claim: most})
	require.NoError(t, err)
	var ids []string
	for _, job := range turned.Claimed {
		ids = append(ids, strings.NewReplacer(`{"flight_id": "`, "", `"}`, "").Replace(string(job.EncodedArgs)))
	}
	slices.Sort(ids)
	return turned.Claimed, strings.Join(ids, " ")
}

// back is the end of attempts that go back as they were.
func back(jobs []*rivertype.JobRow) (ends []db.End) {
	for _, job := range jobs {
		ends = append(ends, db.End{Job: db.JobOf(job), State: rivertype.JobStateAvailable})
	}
	return ends
}

func TestClaimFlights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id, priority, process_after) VALUES
		('F1', 2, NULL), ('F2', 1, NULL), ('F3', 1, NULL), ('LATER', 1, now() + interval '1 hour')`)
	queue := db.NewFlightQueue(b.pool)
	_, ids := b.claim(t, queue, 2)
	require.Equal(t, "F2 F3", ids)
	claimed, ids := b.claim(t, queue, 2)
	require.Equal(t, "F1", ids)
	require.Equal(t, "running 1 {me}", get[string](t, b, `SELECT DISTINCT concat_ws(' ', state, attempt, attempted_by) FROM river_job WHERE state <> 'scheduled'`))

	turned, err := queue.Take(t.Context(), db.Turn{Client: "me", Ends: back(claimed)})
	require.NoError(t, err)
	require.Len(t, turned.Ended, 1)
	require.Equal(t, "available 0", get[string](t, b, `SELECT concat_ws(' ', state, attempt) FROM river_job WHERE args ->> 'flight_id' = 'F1'`))
}

// What is no flight's job, River hands out, with its own errors; and a paused queue is
// left alone, by whatever way it is paused.
func TestClaimLeavesToRiver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts) VALUES
		('other', '{"flight_id": "F1"}', 'flights', 25), ('ingest_flight', '{"flight_id": "?"}', 'flights', 25), ('ingest_flight', '{"flight_id": 7}', 'flights', 25),
		('ingest_flight', '{}', 'flights', 25), ('ingest_flight', '[]', 'flights', 25), ('ingest_flight', '{"flight_id": "F2"}', 'default', 25)`)
	b.enqueue(t, "F3")
	queue := db.NewFlightQueue(b.pool)
	client, err := river.NewClient(riverpgxv5.New(b.pool), &river.Config{Schema: db.Schema})
	require.NoError(t, err)
	b.exec(t, `INSERT INTO river_queue (name, updated_at) VALUES ('flights', now())`)
	for _, name := range []string{"flights", "*"} {
		require.NoError(t, client.QueuePause(t.Context(), name, nil))
		_, ids := b.claim(t, queue, 9)
		require.Empty(t, ids, "paused: %s", name)
		require.NoError(t, client.QueueResume(t.Context(), name, nil))
	}
	_, ids := b.claim(t, queue, 9)
	require.Equal(t, "F3", ids)
}

// What comes to stand ahead of the flights of its priority that were claimed is passed
// over, but not for long; an urgent one is not.
func TestClaimComesBackToTheFront(t *testing.T) {
	t.Parallel()
	b := setup(t)
	queue := db.NewFlightQueue(b.pool)
	claim := func(most int) string {
		_, ids := b.claim(t, queue, most)
		return ids
	}
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id, priority) SELECT 'F' || n, 2 FROM generate_series(1, 9) AS n`)
	require.Equal(t, "F1 F2", claim(2))
	b.enqueue(t, "URGENT1")
	require.Equal(t, "F3 URGENT1", claim(2))
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id, priority, process_after) VALUES ('OLD', 2, now() - interval '1 hour')`)
	passedOver := claim(1)
	if passedOver == "OLD" { // a second has passed
		passedOver = claim(1)
	} else {
		require.Eventually(t, func() bool { return claim(1) == "OLD" }, 5*time.Second, 550*time.Millisecond)
	}
	require.Equal(t, "F4", passedOver)
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id, priority, process_after) VALUES ('OLDER', 2, now() - interval '2 hours')`)
	claim(9)
	require.LessOrEqual(t, get[int](t, b, `SELECT count(*) FROM flight_processing_queue WHERE state = 'available'`), 1)
	claim(1)
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM flight_processing_queue WHERE state = 'available'`), "fewer than wanted: there may be more at the front")
}

// An end is written only for the attempt that it is of: not where the same client has
// claimed the job anew, either.
func TestEndsAreFenced(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.enqueue(t, "F1")
	b.exec(t, `INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at) SELECT 'F1', min(id), '2026-03-04', '{}', now() FROM customers`)
	queue := db.NewFlightQueue(b.pool)
	claimed, _ := b.claim(t, queue, 1)
	for name, change := range map[string]string{
		"another attempt": `attempt = 2`,
		"another client":  `attempted_by = attempted_by || '{other}'`,
		"claimed anew":    `attempted_at = attempted_at + interval '1 microsecond'`,
		"rescued":         `state = 'retryable'`,
		"completed":       `state = 'completed', finalized_at = now()`,
	} {
		before := get[string](t, b, `UPDATE river_job SET `+change+` RETURNING to_jsonb(river_job)::text`)
		turned, err := queue.Take(t.Context(), db.Turn{Client: "me", Ends: back(claimed)})
		require.NoError(t, err, name)
		require.Empty(t, turned.Ended, name)
		require.Equal(t, before, get[string](t, b, `SELECT to_jsonb(river_job)::text FROM river_job`), name)
		b.exec(t, `UPDATE river_job SET state = 'running', finalized_at = NULL, attempt = 1, attempted_by = '{me}', attempted_at = $1`, claimed[0].AttemptedAt)
	}
	turned, err := queue.Take(t.Context(), db.Turn{Client: "me", Ends: back(claimed)})
	require.NoError(t, err)
	require.Len(t, turned.Ended, 1)
}

// Somebody cancels flights in River UI while they are in work. One whose row is locked
// at the very moment at which they go back holds up no other; it goes later.
func TestCancelledWhileInWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id) VALUES ('F1'), ('F2'), ('F3')`)
	b.exec(t, `UPDATE river_job SET metadata = '{"reason": "not_landed", "waiting": {"reason": "it has not landed"}}'`)
	queue := db.NewFlightQueue(b.pool)
	claimed, _ := b.claim(t, queue, 3)
	client, err := river.NewClient(riverpgxv5.New(b.pool), &river.Config{Schema: db.Schema})
	require.NoError(t, err)
	job := func(flight string) int64 {
		return get[int64](t, b, `SELECT job_id FROM flight_processing_queue WHERE flight_id = $1`, flight)
	}
	_, err = client.JobCancel(t.Context(), job("F1"))
	require.NoError(t, err)
	cancel := b.begin(t)
	_, err = client.JobCancelTx(t.Context(), cancel, job("F2"))
	require.NoError(t, err)
	giveBack := func() int {
		turned, err := queue.Take(t.Context(), db.Turn{Client: "me", Ends: back(claimed)})
		require.NoError(t, err)
		return len(turned.Ended)
	}
	require.Equal(t, 2, giveBack())
	require.NoError(t, cancel.Commit(t.Context()))
	require.Equal(t, 1, giveBack())

	const view = `SELECT string_agg(concat_ws(' ', flight_id, state, attempts, coalesce(reason, '-'), details), ', ' ORDER BY flight_id) FROM flight_processing_queue`
	require.Equal(t, "F1 cancelled 1 - job cancelled remotely, F2 cancelled 1 - job cancelled remotely, F3 available 0 not_landed it has not landed",
		get[string](t, b, view))
	b.enqueue(t, "F1")
	require.Equal(t, "available", get[string](t, b, `SELECT state FROM flight_processing_queue WHERE flight_id = 'F1'`))
}

// What is claimed is what River would have, and its list of clients stays short.
func TestClaimReadsJobsAsRiverDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.enqueue(t, "F1")
	b.exec(t, `UPDATE river_job SET attempt = 150, tags = '{a,b}', metadata = '{"reason": "not_landed"}', max_attempts = 200,
		attempted_by = (SELECT array_agg('client ' || n ORDER BY n) FROM generate_series(1, 100) n),
		errors = ARRAY['{"at": "2026-03-01T10:00:00Z", "attempt": 1, "error": "no", "trace": "here"}'::jsonb]`)
	claimed, _ := b.claim(t, db.NewFlightQueue(b.pool), 5)
	require.Len(t, claimed, 1)

	client, err := river.NewClient(riverpgxv5.New(b.pool), &river.Config{Schema: db.Schema})
	require.NoError(t, err)
	want, err := client.JobGet(t.Context(), claimed[0].ID)
	require.NoError(t, err)
	require.Len(t, want.AttemptedBy, 100)
	require.Equal(t, "me", want.AttemptedBy[99])
	got := claimed[0]
	require.True(t, want.CreatedAt.Equal(got.CreatedAt) && want.ScheduledAt.Equal(got.ScheduledAt) && want.AttemptedAt.Equal(*got.AttemptedAt))
	got.CreatedAt, got.ScheduledAt, got.AttemptedAt = want.CreatedAt, want.ScheduledAt, want.AttemptedAt
	got.UniqueKey, got.UniqueStates, got.Tags = want.UniqueKey, want.UniqueStates, want.Tags // nothing to a worker
	require.Equal(t, want, got)
}

// An error that is not as River writes it keeps no flight from being billed.
func TestClaimReadsForeignErrors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.enqueue(t, "F1")
	b.exec(t, `UPDATE river_job SET errors = ARRAY['"no"', '{"at": 7}']::jsonb[]`)
	claimed, _ := b.claim(t, db.NewFlightQueue(b.pool), 5)
	require.Len(t, claimed, 1)
	require.Len(t, claimed[0].Errors, 2)
}

// A save and the claim of others are one transaction: where the save fails, nothing is
// claimed. A stale one completes nothing, and its worker goes on with what it has
// claimed.
func TestSaveAndClaim(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	queue := db.NewFlightQueue(b.pool)
	take := func(id string, claim int) (db.Turned, error) {
		return queue.Take(t.Context(), db.Turn{Client: "here", Saves: []db.Save{{Job: b.job(t, id), Bill: b.priced(t, books, id, "WEEK"), At: testNow}}, Claim: claim})
	}
	b.running(t, "F1")
	b.running(t, "F2")
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id) VALUES ('F3'), ('F4'), ('F5')`)

	turned, err := take("F1", 1)
	require.NoError(t, err)
	require.Equal(t, []db.Outcome{db.Billed}, turned.Outcomes)
	require.Len(t, turned.Claimed, 1)
	require.Equal(t, "F2 running, F3 running, F4 available, F5 available", get[string](t, b,
		`SELECT string_agg(flight_id || ' ' || state, ', ' ORDER BY flight_id) FROM flight_processing_queue`))

	lost := b.job(t, "F2")
	lost.Attempt = 7
	_, err = queue.Take(t.Context(), db.Turn{Client: "here", Saves: []db.Save{{Job: lost, Bill: b.priced(t, books, "F2", "WEEK"), At: testNow}}, Claim: 1})
	require.ErrorIs(t, err, db.ErrJobLost)
	require.Equal(t, 2, get[int](t, b, `SELECT count(*) FROM flight_processing_queue WHERE state = 'available'`))

	b.priced(t, books, "F2", "WEEK")
	b.exec(t, `UPDATE price_book SET version = version + 1`)
	turned, err = take("F2", 5)
	require.NoError(t, err)
	require.Equal(t, []db.Outcome{db.Stale}, turned.Outcomes)
	require.Len(t, turned.Claimed, 2)
	require.Equal(t, 4, get[int](t, b, `SELECT count(*) FROM flight_processing_queue WHERE state = 'running'`))
}

// A customer whom somebody has locked is not waited for long.
func TestSaveOfALockedCustomer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bill := b.priced(t, db.NewPriceBooks(b.pool), "F1", "EACH")
	b.begin(t, `SELECT FROM customers WHERE code = 'EACH' FOR UPDATE`)
	_, err := saveFlight(t.Context(), b.pool, nil, bill, testNow)
	require.ErrorIs(t, err, db.ErrCustomerLocked)
	require.ErrorContains(t, err, "flight F1")
}

// What is due is made available whatever row somebody else has locked.
func TestSweepDue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id, priority, process_after) SELECT 'F' || n, 1 + n % 4, now() + interval '1 hour' FROM generate_series(1, 6) AS n`)
	b.exec(t, `UPDATE river_job SET state = 'retryable' WHERE args ->> 'flight_id' IN ('F1', 'F6')`)
	b.exec(t, `UPDATE river_job SET scheduled_at = now() - interval '1 second' WHERE args ->> 'flight_id' <> 'F5'`)
	b.exec(t, `UPDATE river_job SET unique_states = B'00000001' WHERE args ->> 'flight_id' = 'F4'`) // River's to judge
	b.begin(t, `SELECT FROM river_job WHERE args ->> 'flight_id' = 'F2' FOR UPDATE`)
	swept, err := dbsqlc.New(b.pool).QueueSweepDue(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, swept.Due)
	require.EqualValues(t, 1, swept.Notices)
	require.Equal(t, "F1 F3 F6", get[string](t, b, `SELECT string_agg(flight_id, ' ' ORDER BY flight_id) FROM flight_processing_queue WHERE state = 'available'`))
}

// A process that has promised to look, and finds the queue empty, looks once more when
// the promise is withdrawn: what was committed until then came without a notice.
func TestQueueIsLookedAtAfterThePromise(t *testing.T) {
	t.Parallel()
	b := setup(t)
	queue := db.NewFlightQueue(b.pool)
	promised := func() int {
		return get[int](t, b, `SELECT count(*) FROM queue_promises WHERE client = 'me' AND until > now()`)
	}
	b.enqueue(t, "F1")
	b.claim(t, queue, 1)
	require.Zero(t, promised(), "not for flights that come alone")
	require.Eventually(t, func() bool {
		b.raw(t, "F1")
		b.claim(t, queue, 1)
		return promised() == 1
	}, 10*time.Second, time.Millisecond)

	b.exec(t, `CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO flightbill.river_job (kind, args, queue, max_attempts) VALUES ('ingest_flight', '{"flight_id": "LATE"}', 'flights', 25);
			RETURN OLD;
		END $$`)
	b.exec(t, `CREATE TRIGGER late BEFORE DELETE ON queue_promises FOR EACH ROW EXECUTE FUNCTION late()`)
	_, ids := b.claim(t, queue, 9)
	require.Equal(t, "LATE", ids)
	require.Zero(t, promised())
	_, ids = b.claim(t, queue, 9)
	require.Empty(t, ids)
}

// A claim does not wait for the disk, nor does an end; but a save that issues an invoice
// waits, and with it what comes in its turn.
func TestTurnWaitsForTheDiskWhereItIssues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `CREATE TABLE waited (setting text)`)
	b.exec(t, `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO flightbill.waited VALUES (current_setting('synchronous_commit')); RETURN NEW;
		END $$`)
	pool := open(t, b.url, 1)
	_, err := pool.Exec(t.Context(), `SET synchronous_commit = on`) // a test's server has it off
	require.NoError(t, err)
	queue := db.NewFlightQueue(pool)
	job, bill := b.running(t, "F1"), b.priced(t, db.NewPriceBooks(b.pool), "F1", "EACH")
	b.enqueue(t, "F2")
	b.enqueue(t, "F3")
	b.exec(t, `CREATE TRIGGER note AFTER UPDATE ON river_job FOR EACH ROW EXECUTE FUNCTION note()`)
	waited := func() string {
		defer b.exec(t, `DELETE FROM waited`)
		return get[string](t, b, `SELECT string_agg(DISTINCT setting, ' ') FROM waited`)
	}
	claimed, _ := b.claim(t, queue, 1)
	require.Equal(t, "off", waited())
	_, err = queue.Take(t.Context(), db.Turn{Client: "me", Ends: back(claimed)})
	require.NoError(t, err)
	require.Equal(t, "off", waited())
	turned, err := queue.Take(t.Context(), db.Turn{Client: "here", Saves: []db.Save{{Job: job, Bill: bill, At: testNow}}, Claim: 1})
	require.NoError(t, err)
	require.Len(t, turned.Claimed, 1)
	require.Equal(t, "on", waited())
}
