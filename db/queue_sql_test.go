package db_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
)

const enqueueOne = `INSERT INTO flight_processing_queue (flight_id) VALUES ($1)`

// enqueue reports how many rows the statement says it inserted.
func (b *testBundle) enqueue(t *testing.T, id string) int64 {
	t.Helper()
	tag, err := b.pool.Exec(t.Context(), enqueueOne, id)
	require.NoError(t, err)
	return tag.RowsAffected()
}

// setState brings a flight's jobs to a state, as River leaves it.
func (b *testBundle) setState(t *testing.T, id, state string) {
	t.Helper()
	b.exec(t, `UPDATE river_job SET state = $2::river_job_state, attempt = 1, attempted_at = now(), attempted_by = ARRAY['here'],
			finalized_at = CASE WHEN $2 IN ('cancelled', 'completed', 'discarded') THEN now() END
		WHERE kind = 'ingest_flight' AND args ->> 'flight_id' = $1`, id, state)
}

// raw inserts a job as a client does that knows nothing of uniqueness.
func (b *testBundle) raw(t *testing.T, id string) int64 {
	t.Helper()
	return get[int64](t, b, `INSERT INTO river_job (kind, args, queue, max_attempts)
		VALUES ('ingest_flight', jsonb_build_object('flight_id', $1::text), 'flights', 25) RETURNING id`, id)
}

// queue lists the queue, a flight a line: id, state, attempts, priority.
func (b *testBundle) queue(t *testing.T) string {
	t.Helper()
	return get[string](t, b, `SELECT coalesce(string_agg(concat_ws(' ', flight_id, state, attempts, priority), ', ' ORDER BY flight_id, job_id), '')
		FROM flight_processing_queue`)
}

func (b *testBundle) markBilled(t *testing.T, id string) {
	t.Helper()
	b.exec(t, `INSERT INTO billed_flights SELECT $1, id, '2026-03-01', '{}', now() FROM customers WHERE code = 'WEEK'`, id)
}

func TestQueueInsert(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.EqualValues(t, 1, b.enqueue(t, "F1"))
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id, priority, process_after) VALUES
		('F2', 4, NULL), ('F3', NULL, '2020-01-01'), ('F4', 2, now() + interval '1 hour')`)
	b.exec(t, `INSERT INTO flights (flight_id) SELECT 'S' || n FROM generate_series(1, 3) AS n`)
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id) SELECT flight_id FROM flights`)
	require.Equal(t, "F1 available 0 1, F2 available 0 4, F3 available 0 1, F4 scheduled 0 2, S1 available 0 1, S2 available 0 1, S3 available 0 1",
		b.queue(t))
	require.Equal(t, "2020-01-01 00:00:00+00", get[string](t, b, `SELECT process_after::text FROM flight_processing_queue WHERE flight_id = 'F3'`))
	require.Equal(t, 7, get[int](t, b, `SELECT count(*) FROM river_job WHERE queue = 'flights' AND max_attempts = 25 AND kind = 'ingest_flight'`))
}

func TestQueueRefusesBadIDs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const hint = "A flight id is 1 to 128 characters of A-Z a-z 0-9 space . _ : / + # @ ~ - and starts with a letter or digit; the last is no space."
	for _, id := range []any{
		nil, "", " ", " F1", "F1 ", "F1  ", "-F1", "F1\n", "F1\nF2", "F1\t", "F'1", `F"1`, `F\1`, "'; DROP TABLE invoices; --", "F1;", "F1%", "F<1>",
		"Flüg1", "F1\u00a0", "\u0661\u0662", "é", strings.Repeat("F", 129),
	} {
		_, err := b.pool.Exec(t.Context(), `INSERT INTO flight_processing_queue (flight_id) VALUES ('GOOD1'), ($1), ('GOOD2')`, id)
		requireSQLError(t, err, invalidParameter, "cannot be enqueued", hint)
		_, err = b.pool.Exec(t.Context(), `SELECT enqueue_flights(ARRAY['GOOD1', $1, 'GOOD2'])`, id)
		requireSQLError(t, err, invalidParameter, "cannot be enqueued", hint)
	}
	for _, bad := range []string{`VALUES ('F1', 0, NULL)`, `VALUES ('F1', 5, NULL)`, `VALUES ('F1', 1, 'infinity')`, `VALUES ('F1', 1, '-infinity')`} {
		b.requireSQLError(t, `INSERT INTO flight_processing_queue (flight_id, priority, process_after) `+bad, invalidParameter, "flight F1 cannot be enqueued")
	}
	for _, bad := range []string{"0::smallint", "5::smallint", "NULL", "process_after => 'infinity'"} {
		b.requireSQLError(t, `SELECT enqueue_flights(ARRAY['F1'], `+bad+`)`, invalidParameter, "flights cannot be enqueued")
	}
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job`), "nothing of a refused statement is enqueued")

	all := "A-Z a-z 0-9._:/+#@~-" + strings.Repeat("9", 108)
	require.Len(t, all, 128)
	b.enqueue(t, all)
	require.Equal(t, all, get[string](t, b, `SELECT flight_id FROM flight_processing_queue`))
}

func TestQueueDedupes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id) VALUES ('F1'), ('F1')`)
	for _, state := range []string{"available", "running", "scheduled", "retryable", "pending"} {
		b.setState(t, "F1", state)
		require.Zero(t, b.enqueue(t, "F1"), state)
		require.Equal(t, "0 0 1 0", enqueueMany(t, b, `ARRAY['F1']`), state)
		require.Equal(t, "F1 "+state+" 1 1", b.queue(t))
	}
	b.exec(t, `DELETE FROM river_job`)
	b.markBilled(t, "F1")
	require.Zero(t, b.enqueue(t, "F1"))
	require.Equal(t, "0 0 0 1", enqueueMany(t, b, `ARRAY['F1']`))
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job`), "a billed flight is not enqueued")
}

// enqueueMany answers: enqueued, revived, already queued, already billed.
func enqueueMany(t *testing.T, b *testBundle, args string) string {
	t.Helper()
	return get[string](t, b, `SELECT concat_ws(' ', enqueued, revived, already_queued, already_billed) FROM enqueue_flights(`+args+`)`)
}

func TestEnqueueFlights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, "0 0 0 0", enqueueMany(t, b, `'{}'`))
	require.Equal(t, "0 0 0 0", enqueueMany(t, b, `NULL`))
	b.markBilled(t, "BILLED1")
	for id, state := range map[string]string{"GONE1": "cancelled", "GONE2": "discarded", "HERE1": "running"} {
		b.enqueue(t, id)
		b.setState(t, id, state)
	}
	require.Equal(t, "2 2 1 1", enqueueMany(t, b, `ARRAY['NEW2','NEW1','NEW1','NEW2','GONE1','GONE2','GONE1','HERE1','BILLED1','BILLED1'], 3::smallint`))
	require.Equal(t, "GONE1 available 0 3, GONE2 available 0 3, HERE1 running 1 1, NEW1 available 0 3, NEW2 available 0 3", b.queue(t))
	require.Equal(t, "0 0 5 1", enqueueMany(t, b, `ARRAY['NEW2','NEW1','GONE1','GONE2','HERE1','BILLED1']`), "the second time changes nothing")

	b.setState(t, "GONE1", "cancelled")
	require.Equal(t, "1 1 0 0", enqueueMany(t, b, `ARRAY['GONE1', 'LATER1'], 2::smallint, now() + interval '1 hour'`))
	require.Equal(t, "GONE1 scheduled 2, LATER1 scheduled 2", get[string](t, b,
		`SELECT string_agg(concat_ws(' ', flight_id, state, priority), ', ' ORDER BY flight_id) FROM flight_processing_queue WHERE process_after > now()`))
}

// Enqueueing a flight that was given up brings its job back, with its history.
func TestQueueRevives(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"cancelled", "discarded"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.enqueue(t, "F1")
			id := get[int64](t, b, `SELECT job_id FROM flight_processing_queue`)
			b.setState(t, "F1", state)
			b.exec(t, `UPDATE river_job SET attempt = 25, errors = ARRAY['{"error": "first"}', '{"error": "last"}']::jsonb[],
				metadata = '{"waiting": {"reason": "old"}, "reason": "flight_unknown", "cancel_attempted_at": 1, "snoozes": 7, "own": true, "said": "why", "enqueued_by": "first"}'`)
			b.exec(t, `INSERT INTO flight_processing_queue (flight_id, priority) SELECT 'F1', 2 FROM generate_series(1, 2)`)
			require.Equal(t, "F1 available 0 2", b.queue(t))
			require.Equal(t, id, get[int64](t, b, `SELECT job_id FROM flight_processing_queue WHERE details = 'last' AND last_error = 'why' AND enqueued_by = 'first' AND reason IS NULL`))
			require.JSONEq(t, `{"own": true, "said": "why", "enqueued_by": "first"}`, get[string](t, b, `SELECT metadata::text FROM river_job
				WHERE cardinality(errors) = 2 AND finalized_at IS NULL AND max_attempts = 25 AND queue = 'flights'`))
			require.Zero(t, b.enqueue(t, "F1"), "it is queued as any other")
		})
	}
}

func TestQueueRevivesAmongRawJobs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dead := b.raw(t, "F1") // no unique key, another queue
	b.setState(t, "F1", "cancelled")
	b.exec(t, `UPDATE river_job SET queue = 'default'`)
	raw := b.raw(t, "F1")
	b.enqueue(t, "F1")
	require.Equal(t, "F1 available 0 1, F1 available 0 1", b.queue(t))
	require.Equal(t, []int64{dead, raw}, get[[]int64](t, b, `SELECT array_agg(job_id ORDER BY job_id) FROM flight_processing_queue`))
	require.Equal(t, "flights", get[string](t, b, `SELECT queue FROM river_job WHERE unique_key IS NOT NULL`))
	require.Zero(t, b.enqueue(t, "F1"), "the revived job has the unique key")
}

// A long statement enqueues what as many short ones do, and says how many.
func TestQueueInsertMany(t *testing.T) {
	t.Parallel()
	const (
		thousand = `INSERT INTO flight_processing_queue (flight_id) SELECT 'F' || n FROM generate_series(1, 1000) AS n`
		whole    = "999 999 available available 999 0 0 0" // what it leaves in the queue
	)
	setupMany := func(t *testing.T) *testBundle {
		t.Helper()
		b := setup(t)
		for _, id := range []string{"F500", "F900"} {
			b.enqueue(t, id)
			b.setState(t, id, "cancelled")
		}
		b.enqueue(t, "F700")
		b.markBilled(t, "F800")
		return b
	}
	requireQueue := func(t *testing.T, b *testBundle, want string) {
		t.Helper()
		require.Equal(t, want, get[string](t, b, `SELECT concat_ws(' ', count(*), count(DISTINCT flight_id), min(state), max(state),
			count(*) FILTER (WHERE priority = 1), count(*) FILTER (WHERE priority = 3),
			count(*) FILTER (WHERE state = 'scheduled' AND process_after > now()), count(*) FILTER (WHERE flight_id = 'F800')) FROM flight_processing_queue`))
		require.Zero(t, get[int](t, b, `SELECT count(*) FROM gathered_flights`))
	}

	for name, c := range map[string]struct {
		before, sql string // in one transaction
		inserted    int64
		want        string
	}{
		// Twice side by side, twice in different parts of it, and once with a
		// priority after it was named without one.
		"each flight once": {`SELECT`, `INSERT INTO flight_processing_queue (flight_id, priority)
			SELECT 'F' || n, CASE WHEN again = 3 THEN 2 END FROM generate_series(1, 3) AS again, generate_series(1, 1000) AS n, generate_series(1, 2)
			ORDER BY n, again`, 998, whole},
		"all of them again": {thousand, thousand, 0, whole},
		"with priorities and times": {`SELECT`, `INSERT INTO flight_processing_queue (flight_id, priority, process_after)
			SELECT 'F' || n, CASE WHEN n % 2 = 0 THEN 3 END, CASE WHEN n % 5 = 0 THEN now() + interval '1 hour' END FROM generate_series(1, 1000) AS n`,
			998, "999 999 available scheduled 501 498 198 0"},
		"taken back to a savepoint": {`SELECT`, `DO $$ BEGIN
			BEGIN
				` + thousand + `;
				INSERT INTO flight_processing_queue (flight_id) SELECT CASE WHEN n < 999 THEN 'G' || n ELSE ';' END FROM generate_series(1, 1000) AS n;
			EXCEPTION WHEN invalid_parameter_value THEN NULL;
			END;
			INSERT INTO flight_processing_queue (flight_id) SELECT 'H' || n FROM generate_series(1, 300) AS n;
		END $$`, 0, "303 303 available cancelled 303 0 0 0"},
		// A function that the statement calls enqueues flights itself, the statement's own
		// among them; and it is planned by its own session's settings: a plan made without
		// sequential scans would stay, and be compiled by JIT at each call.
		"a statement within": {`CREATE FUNCTION enqueue_more(n int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
			ASSERT current_setting('enable_seqscan') = 'on' AND current_setting('plan_cache_mode') = 'auto', 'the settings are another''s';
			IF n % 100 = 50 THEN
				INSERT INTO flight_processing_queue (flight_id) SELECT 'G' || n + m FROM generate_series(1, 150) AS m UNION ALL SELECT 'F' || n - 1;
			END IF;
			RETURN 'F' || n;
		END $$`, `INSERT INTO flight_processing_queue (flight_id) SELECT enqueue_more(n) FROM generate_series(1, 1000) AS n`,
			998, "2049 2049 available available 2049 0 0 0"},
		// The statement was ended early, as PL/Perl's spi_exec_query does once it has as
		// many rows as it wanted: what was counted is enqueued at the commit.
		"ended by a limit": {`INSERT INTO gathered_flights VALUES (pg_current_xact_id(), '{}')`, `SET flightbill.gathered = E'\nX1\nX2\n'`,
			0, "5 5 available cancelled 5 0 0 0"},
		"constraints that are not deferred": {`SET CONSTRAINTS ALL IMMEDIATE`, thousand, 998, whole},
		// The setting that holds what was gathered is anybody's to set: what stands there
		// is enqueued only if the statement put it there.
		"a setting of somebody's": {`SET flightbill.gathered = E'\nX1\nX;\n'`, `INSERT INTO flight_processing_queue (flight_id) VALUES ('F1')`,
			1, "4 4 available cancelled 4 0 0 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupMany(t)
			tx := b.begin(t, c.before)
			tag, err := tx.Exec(t.Context(), c.sql)
			require.NoError(t, err)
			require.Equal(t, c.inserted, tag.RowsAffected())
			var seqscan string
			require.NoError(t, tx.QueryRow(t.Context(), `SHOW enable_seqscan`).Scan(&seqscan))
			require.Equal(t, "on", seqscan, "as the caller had it")
			require.NoError(t, tx.Commit(t.Context()))
			requireQueue(t, b, c.want)
		})
	}
	t.Run("a bad one", func(t *testing.T) {
		t.Parallel()
		b := setupMany(t)
		b.requireSQLError(t, thousand+` UNION ALL SELECT 'F;'`, invalidParameter, "flight id 'F;' cannot be enqueued", "A flight id is")
		requireQueue(t, b, "3 3 available cancelled 3 0 0 0")
	})
	// Another transaction enqueues all of them at the same moment, in the other
	// order, and commits or not.
	for name, commit := range map[string]bool{"two sessions, committed": true, "two sessions, rolled back": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupMany(t)
			first := b.begin(t, `INSERT INTO flight_processing_queue (flight_id) SELECT 'F' || n FROM generate_series(1000, 200, -1) AS n`)
			second := b.execMeanwhile(t, thousand)
			end(t, first, commit)
			_, err := second()
			require.NoError(t, err)
			requireQueue(t, b, whole)
		})
	}
}

// Whether any flight was given up is not found out by a walk through all jobs,
// though the plans are made while there are few.
func TestEnqueueLooksForTheGivenUpAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tx := b.begin(t)
	for _, sql := range []string{`SELECT enqueue_flights(ARRAY[$1])`, enqueueOne} {
		for n := range 20 {
			_, err := tx.Exec(t.Context(), sql, fmt.Sprint("F", n))
			require.NoError(t, err)
		}
		_, err := tx.Exec(t.Context(), `INSERT INTO river_job (kind, args, queue, max_attempts, state)
			SELECT 'ingest_flight', jsonb_build_object('flight_id', 'G' || n), 'flights', 25, 'available' FROM generate_series(1, 5000) AS n`)
		require.NoError(t, err)
		before := tuplesRead(t, tx)
		_, err = tx.Exec(t.Context(), sql, "H"+sql[:6])
		require.NoError(t, err)
		require.Less(t, tuplesRead(t, tx)-before, int64(100), sql)
	}
}

// tuplesRead is how many rows of the queue's table this transaction has read.
func tuplesRead(t *testing.T, tx pgx.Tx) (rows int64) {
	t.Helper()
	require.NoError(t, tx.QueryRow(t.Context(), `SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'river_job'`).Scan(&rows))
	return rows
}

func (b *testBundle) execMeanwhile(t *testing.T, sql string, args ...any) func() (pgconn.CommandTag, error) {
	t.Helper()
	return meanwhile(t, b, func() (pgconn.CommandTag, error) { return b.pool.Exec(t.Context(), sql, args...) })
}

// Two applications enqueue one flight at once: the second waits for what becomes
// of the first. Once with a new job, once with one to revive.
func TestQueueTwoSessionsAtOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ given, commit bool }{
		"new, committed": {false, true}, "new, rolled back": {false, false},
		"revived, committed": {true, true}, "revived, rolled back": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if test.given {
				b.enqueue(t, "F1")
				b.setState(t, "F1", "cancelled")
			}
			first := b.begin(t)
			_, err := first.Exec(t.Context(), enqueueOne, "F1")
			require.NoError(t, err)
			second := b.execMeanwhile(t, enqueueOne, "F1")
			end(t, first, test.commit)
			tag, err := second()
			require.NoError(t, err)
			require.Equal(t, !test.commit, tag.RowsAffected() == 1)
			require.Equal(t, "F1 available 0 1", b.queue(t))
		})
	}
}

// A cancelled job is taken back, or retried in River UI, while an application
// enqueues its flight: the flight stays in the queue, and what is being worked
// is left alone.
func TestQueueReviveMeetsAnotherChange(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ change, want string }{
		"taken back": {`DELETE FROM flight_processing_queue`, "F1 available 0 1"},
		"retried":    {`UPDATE river_job SET state = 'running', attempt = 2, finalized_at = NULL`, "F1 running 2 1, F1 available 0 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.raw(t, "F1")
			b.setState(t, "F1", "cancelled")
			other := b.begin(t, test.change)
			enqueued := b.execMeanwhile(t, enqueueOne, "F1")
			require.NoError(t, other.Commit(t.Context()))
			_, err := enqueued()
			require.NoError(t, err)
			require.Equal(t, test.want, b.queue(t))
		})
	}
}

func TestQueueDelete(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, state := range []string{"available", "scheduled", "retryable", "cancelled", "discarded", "running"} {
		b.enqueue(t, "F1")
		b.setState(t, "F1", state)
		tag, err := b.pool.Exec(t.Context(), `DELETE FROM flight_processing_queue WHERE flight_id = 'F1'`)
		require.NoError(t, err)
		require.Equal(t, state != "running", tag.RowsAffected() == 1, state)
	}
	require.Equal(t, "F1 running 1 1", b.queue(t))
	b.setState(t, "F1", "completed")
	b.exec(t, `DELETE FROM flight_processing_queue`)
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM river_job`), "the history of what is done stays")
}

// A worker fetches the job at the moment at which it is to be taken back.
func TestQueueDeleteMeetsAFetch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.enqueue(t, "F1")
	fetch := b.begin(t, `UPDATE river_job SET state = 'running', attempt = 1`)
	deleted := b.execMeanwhile(t, `DELETE FROM flight_processing_queue`)
	require.NoError(t, fetch.Commit(t.Context()))
	tag, err := deleted()
	require.NoError(t, err)
	require.Zero(t, tag.RowsAffected())
	require.Equal(t, "F1 running 1 1", b.queue(t))
}

func TestQueueRefusesUpdate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.enqueue(t, "F1")
	for _, set := range []string{"flight_id = 'F2'", "state = 'cancelled'", "priority = 3", "process_after = now()", "job_id = 77"} {
		_, err := b.pool.Exec(t.Context(), `UPDATE flight_processing_queue SET `+set)
		require.Error(t, err, set)
	}
	require.Equal(t, "F1 available 0 1", b.queue(t))
}

// ingestArgs is the job kind as any River client may declare it.
type ingestArgs struct {
	FlightID string `json:"flight_id"`
}

func (ingestArgs) Kind() string { return "ingest_flight" }

type retryLater struct{}

func (retryLater) NextRetry(*rivertype.JobRow) time.Time { return time.Now().Add(time.Hour) }

// The view says why a flight waits or was given up, from what River writes.
func TestQueueShowsWhy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	outcomes := map[string]func(context.Context) error{
		"CANCEL1": func(ctx context.Context) error {
			return errors.Join(river.MetadataSet(ctx, "reason", "no_customer"), river.MetadataSet(ctx, "said", "somebody"), river.JobCancel(errors.New("nobody pays")))
		},
		"FAIL1": func(context.Context) error { return errors.New("connection reset") },
		"WAIT1": func(ctx context.Context) error {
			err := errors.Join(river.MetadataSet(ctx, "reason", "not_landed"), river.MetadataSet(ctx, "waiting", map[string]string{"reason": "in the air"}))
			return errors.Join(err, river.MetadataSet(ctx, "said", "flying"), river.JobSnooze(time.Hour))
		},
		"DONE1": func(context.Context) error { return nil },
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[ingestArgs]) error {
		return outcomes[job.Args.FlightID](ctx)
	}))
	client, err := river.NewClient(riverpgxv5.New(b.pool), &river.Config{
		Schema: db.Schema, Workers: workers, Queues: map[string]river.QueueConfig{"flights": {MaxWorkers: 4}}, FetchCooldown: time.Millisecond,
		RetryPolicy: retryLater{},
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() { require.NoError(t, client.Stop(context.WithoutCancel(t.Context()))) })
	b.exec(t, `SELECT enqueue_flights(ARRAY['CANCEL1', 'FAIL1', 'WAIT1', 'DONE1'])`)
	b.exec(t, `INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at) SELECT 'DONE1', min(id), '2026-03-04', '{}', now() FROM customers`)
	eventually(t, "all have been tried", func() bool {
		return get[int](t, b, `SELECT count(*) FROM river_job WHERE state IN ('cancelled', 'retryable', 'scheduled', 'completed')`) == 4
	})
	rows, err := b.pool.Query(t.Context(), `SELECT concat_ws(' | ', flight_id, state, attempts, coalesce(last_error, '-'), coalesce(details, '-'), coalesce(reason, '-'))
		FROM flight_processing_queue ORDER BY flight_id`)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{
		"CANCEL1 | cancelled | 1 | somebody | nobody pays | no_customer",
		"FAIL1 | retryable | 1 | something failed that should not; who looks after flightbill sees what | connection reset | -",
		"WAIT1 | scheduled | 0 | flying | in the air | not_landed",
	}, lines)
}

// Flights that were given up are each found by the index on their ids, whatever
// Postgres last knew of the queue: to go through all that was finished meanwhile
// took 10 ms a flight.
func TestReviveTouchesOnlyItsFlights(t *testing.T) {
	t.Parallel()
	for name, retry := range map[string]string{
		"view":            `INSERT INTO flightbill.flight_processing_queue (flight_id) SELECT flight_id FROM flightbill.flight_processing_queue WHERE state = 'cancelled'`,
		"enqueue_flights": `SELECT flightbill.enqueue_flights(ARRAY(SELECT flight_id FROM flightbill.flight_processing_queue WHERE state = 'cancelled'))`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.exec(t, `ALTER TABLE flightbill.river_job SET (autovacuum_enabled = off)`)
			b.exec(t, `SELECT flightbill.enqueue_flights(array_agg('F' || n)) FROM generate_series(1, 1800) AS n`)
			b.exec(t, `ANALYZE flightbill.river_job`) // nothing is finished
			b.exec(t, `UPDATE flightbill.river_job SET finalized_at = now(),
				state = CASE WHEN id % 6 = 0 THEN 'cancelled' ELSE 'completed' END::flightbill.river_job_state`)
			tx := b.begin(t, retry)
			var available int
			require.NoError(t, tx.QueryRow(t.Context(), `SELECT count(*) FROM flightbill.river_job WHERE state = 'available'`).Scan(&available))
			require.Equal(t, 300, available)
			require.Less(t, tuplesRead(t, tx), int64(30*300+4*1800), "rows of the queue looked at")
		})
	}
}
