package jobs

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

// What flightbill writes into river_job for a flight that it has claimed itself is what
// the pinned River's own client leaves there, column by column. A new version of River
// that does otherwise fails here.
func TestEndsAreRivers(t *testing.T) {
	t.Parallel()
	pool := OpenPool(t, dbtest.URL(t))
	_, err := pool.Exec(t.Context(), `WITH c AS (INSERT INTO customers (code, name, billing_frequency) VALUES ('EACH', 'Each Air', 'per_flight') RETURNING id)
		INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at) SELECT 'F1', id, '2026-03-04', '{}', now() FROM c`) // else it is not completed
	require.NoError(t, err)

	const client = "a client"
	soon, later := 2*time.Second, time.Hour
	waits := func(wait time.Duration) *verdict {
		until := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
		return &verdict{ending: waits, reason: billing.ReasonNotLanded, wait: wait, waiting: &waiting{Reason: "it has not landed", Since: &until, Until: &until}}
	}
	gaveUp := &verdict{ending: cancelled, reason: billing.ReasonNoTariff, err: &billing.Error{Message: "flight F1 of ACME has no tariff", Public: "flight F1 has no tariff"}}
	failure := &verdict{ending: failed, err: errors.New("connection reset")}
	const (
		unspent       = `attempt = 0`
		fourth        = `attempt = 3, errors = ARRAY['{"at": "2026-03-01T10:00:00Z", "attempt": 3, "error": "no", "trace": ""}'::jsonb]`
		last          = `attempt = 24`
		snoozed       = `metadata = '{"snoozes": 3, "waiting": {"reason": "another"}, "tenant": "x", "enqueued_by": "app"}'`
		snoozedOddly  = `metadata = '{"snoozes": "often"}'`
		toBeCancelled = `metadata = '{"cancel_attempted_at": "2026-03-01T10:00:00Z"}'`
	)
	for name, c := range map[string]struct { //nolint:paralleltest // they work one queue
		before  string
		verdict *verdict
	}{
		"completed":                   {unspent, &verdict{ending: done}},
		"completed, to be cancelled":  {toBeCancelled, &verdict{ending: done}},
		"cancelled":                   {unspent, gaveUp},
		"cancelled, tried before":     {fourth, gaveUp},
		"cancelled, to be cancelled":  {toBeCancelled, gaveUp},
		"waits long":                  {unspent, waits(later)},
		"waits shortly":               {unspent, waits(soon)},
		"waits, snoozed before":       {snoozed, waits(later)},
		"waits, snoozed oddly before": {snoozedOddly, waits(later)},
		"failed":                      {unspent, failure},
		"failed, tried before":        {fourth, failure},
		"failed for the last time":    {last, failure},
		"interrupted":                 {fourth, &verdict{ending: putBack}},
	} {
		t.Run(name, func(t *testing.T) {
			rows := map[string]int64{}
			for _, of := range []string{"river", "flightbill"} {
				var id int64
				require.NoError(t, pool.QueryRow(t.Context(), `INSERT INTO river_job (kind, args, queue, max_attempts) VALUES ('ingest_flight', '{"flight_id": "F1"}', $1, 25) RETURNING id`, of).Scan(&id))
				_, err := pool.Exec(t.Context(), `UPDATE river_job SET `+c.before+` WHERE id = $1`, id)
				require.NoError(t, err)
				rows[of] = id
			}
			workAsRiver(t, pool, client, rows["river"], c.verdict)

			claimAs(t, pool, client, rows["flightbill"])
			reader, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: db.Schema})
			require.NoError(t, err)
			row, err := reader.JobGet(t.Context(), rows["flightbill"])
			require.NoError(t, err)
			a := &attempt{JobRow: row, flightID: "F1", began: time.Now(), verdict: c.verdict}
			turned, err := db.NewFlightQueue(pool).Take(t.Context(), db.Turn{Client: client, Ends: []db.End{a.end(time.Now())}})
			require.NoError(t, err)
			require.True(t, turned.Ended[row.ID])

			require.Equal(t, jobColumns(t, pool, rows["river"], c.verdict), jobColumns(t, pool, rows["flightbill"], c.verdict))
			_, err = pool.Exec(t.Context(), `DELETE FROM river_job`)
			require.NoError(t, err)
		})
	}
}

// claimAs claims a job as flightbill does.
func claimAs(t *testing.T, pool *pgxpool.Pool, client string, id int64) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = tx.Exec(t.Context(), `UPDATE river_job SET queue = 'flights', priority = 1 WHERE id = $1`, id)
	require.NoError(t, err)
	var claimed int64
	require.NoError(t, tx.QueryRow(t.Context(), `SELECT id FROM claim_flights($1, 1, array_fill('-infinity'::timestamptz, ARRAY[4]), array_fill(0::bigint, ARRAY[4]))`, client).Scan(&claimed))
	require.Equal(t, id, claimed)
	require.NoError(t, tx.Commit(t.Context()))
}

// workAsRiver has a client of River's work a job to the same end.
func workAsRiver(t *testing.T, pool *pgxpool.Pool, client string, id int64, v *verdict) {
	t.Helper()
	begun := make(chan struct{})
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[IngestFlightArgs]) error {
		if v.ending == putBack {
			close(begun)
			<-ctx.Done()
			return ctx.Err()
		}
		return (&attempt{JobRow: job.JobRow, flightID: "F1", own: true, verdict: v}).forRiver(ctx)
	}))
	worker, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		ID: client, Schema: db.Schema, Workers: workers, Queues: map[string]river.QueueConfig{"river": {MaxWorkers: 1}}, FetchCooldown: time.Millisecond,
		Logger: slog.New(slog.DiscardHandler), SoftStopTimeout: time.Millisecond,
	})
	require.NoError(t, err)
	require.NoError(t, worker.Start(context.WithoutCancel(t.Context())))
	if v.ending == putBack {
		<-begun
	}
	require.Eventually(t, func() bool {
		if v.ending == putBack {
			return true
		}
		var running bool
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT state = 'running' OR attempted_at IS NULL FROM river_job WHERE id = $1`, id).Scan(&running))
		return !running
	}, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, worker.Stop(context.WithoutCancel(t.Context())))
}

// jobColumns are all of a job's, but for those that tell two jobs apart. When it is due
// is told by the power of two of seconds from the attempt: River spreads its retries.
func jobColumns(t *testing.T, pool *pgxpool.Pool, id int64, v *verdict) map[string]any {
	t.Helper()
	var columns map[string]any
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT to_jsonb(j) || jsonb_build_object('due_in', round(log(2, greatest(extract(epoch FROM scheduled_at - attempted_at), 0.01))),
		'finalized_at', finalized_at > now() - interval '10 seconds', 'attempted_at', attempted_at > now() - interval '10 seconds')
		FROM river_job j WHERE id = $1`, id).Scan(&columns))
	for _, name := range []string{"id", "queue", "created_at", "scheduled_at"} {
		delete(columns, name)
	}
	if v.ending == putBack {
		delete(columns, "due_in") // River makes it due now; here it keeps its place in line
	}
	if failures, ok := columns["errors"].([]any); ok {
		for _, failure := range failures {
			at, err := time.Parse(time.RFC3339Nano, failure.(map[string]any)["at"].(string))
			require.NoError(t, err)
			failure.(map[string]any)["at"] = time.Since(at) < 10*time.Second
		}
	}
	return columns
}

// River rebuilds the indexes of its jobs each night, with the rights of flightbill_server
// where these reach; else it is told to leave them.
func TestRiverReindexes(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{}, Config{NoReindex: true}.reindexed(), "nil would be River's own")
	pool := OpenPool(t, dbtest.As(t, dbtest.URL(t), "flightbill_server"))
	rights, err := db.ReadRights(t.Context(), pool)
	require.NoError(t, err)

	var said LogBuffer
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(context.Context, *river.Job[IngestFlightArgs]) error { return nil }))
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: db.Schema, Workers: workers, Queues: map[string]river.QueueConfig{"idle": {MaxWorkers: 1}}, Logger: said.Logger(),
		ReindexerIndexNames: Config{NoReindex: !rights.Reindex}.reindexed(), ReindexerSchedule: river.PeriodicInterval(time.Second),
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() { require.NoError(t, client.Stop(context.WithoutCancel(t.Context()))) })
	if rights.Reindex {
		require.Eventually(t, func() bool { return said.Count("Initiated reindex") >= len(IndexNames()) }, 30*time.Second, 10*time.Millisecond)
	} else {
		require.Never(t, func() bool { return strings.Contains(said.String(), "reindex") }, 3*time.Second, 50*time.Millisecond)
	}
	require.NotContains(t, said.String(), "Error reindexing")
	require.NotContains(t, said.String(), "do not exist")
}
