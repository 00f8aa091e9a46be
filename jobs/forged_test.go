package jobs_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/jobs"
)

// flood sends notices on a channel of River's, as any login may, until the test, or end,
// ends it. The statement is run over and over.
func (b *testBundle) flood(t *testing.T, sql string) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var flooding sync.WaitGroup
	end = sync.OnceFunc(func() { cancel(); flooding.Wait() })
	t.Cleanup(end)
	conn, err := pgx.ConnectConfig(t.Context(), b.pool.Config().ConnConfig)
	require.NoError(t, err)
	flooding.Go(func() {
		defer func() { _ = conn.Close(context.Background()) }()
		for ctx.Err() == nil {
			if _, err := conn.Exec(context.Background(), sql); err != nil {
				t.Errorf("flood: %v", err)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	return end
}

const (
	cancelAll = `SELECT pg_notify('flightbill.river_control', json_build_object('action', 'cancel', 'queue', queue, 'job_id', id)::text)
		FROM flightbill.river_job WHERE state = 'running'`
	cancelGuessed = `SELECT pg_notify('flightbill.river_control', json_build_object('action', 'cancel', 'queue', 'flights', 'job_id', n)::text) FROM generate_series(1, 400) AS n`
)

// forgeCancel cancels the jobs that run by a notice, and waits until that has been found to
// be no more than a notice.
func (b *testBundle) forgeCancel(t *testing.T) {
	t.Helper()
	b.exec(t, cancelAll)
	held := b.begin(t, `LOCK TABLE river_job`) // who looks at the row is seen to wait
	b.waitFor(t, "the row is looked at", 1, `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%QueueIsCancelled%'`)
	require.NoError(t, held.Rollback(t.Context()))
}

// Flights are billed under a flood of forged cancels, with no attempt that they would not
// have without.
func TestForgedCancelsEndNothing(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{"of what runs": cancelAll, "of all ids": cancelGuessed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			const flights = 300
			b.landed(t, 1, flights)
			log := &jobs.LogBuffer{}
			b.start(t, log.Record)
			end := b.flood(t, sql)
			for n := 1; n <= 20; n++ { // each is River's own
				b.enqueueMany(t, n, n, 1)
				b.waitForBilled(t, n)
			}
			b.enqueueMany(t, 21, flights, 1)
			b.waitForBilled(t, flights)
			end()
			require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job WHERE state <> 'completed' OR attempt <> 1 OR errors <> '{}'`))
			require.LessOrEqual(t, log.Count("cancelled remotely"), 1, "River says so of each notice")
		})
	}
}

// What a flight in work comes to other than an invoice, a forged cancel keeps River from
// writing; its row goes back as it was, and what it waits for goes on.
func TestForgedCancelsOfFlightsThatWait(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := b.blockingSource()
	service := b.service(t, source.use)
	require.NoError(t, service.Start(context.Background()))
	b.enqueue(t, "UNKNOWN")
	<-source.entered
	b.forgeCancel(t)
	close(source.let)
	b.waitFor(t, "River has ended it", 1, `SELECT count(*) FROM river_job WHERE state <> 'running'`)
	require.NoError(t, service.Stop(context.Background()))
	require.Equal(t, "scheduled 0 {}", get[string](t, b, `SELECT concat_ws(' ', state, attempt, errors) FROM river_job`))
	require.True(t, get[bool](t, b, `SELECT scheduled_at = (metadata #>> '{waiting,until}')::timestamptz FROM river_job`))
}

// A cancel of a client of River's counts, also after a forged one.
func TestCancelAfterAForgedOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.landed(t, 1, 1)
	source := b.blockingSource()
	service := b.start(t, source.use)
	b.enqueue(t, "F1")
	<-source.entered
	b.forgeCancel(t)
	require.Equal(t, "running", get[string](t, b, `SELECT state FROM river_job`))
	_, err := service.Client().JobCancel(t.Context(), get[int64](t, b, `SELECT id FROM river_job`))
	require.NoError(t, err)
	b.waitFor(t, "it is cancelled", 1, `SELECT count(*) FROM river_job WHERE state = 'cancelled'`)
	close(source.let)
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM billed_flights`))
}

// Runs are done though each of their jobs is cancelled by a forged notice as it begins.
func TestForgedCancelsOfRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.clock.Set(time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC))
	b.flood(t, cancelAll)
	b.start(t, func(c *jobs.Config) { c.Schedules = jobs.WorkSchedules; c.LookEvery = time.Second })
	b.waitFor(t, "the run is done", 1, `SELECT count(*) FROM billing_runs WHERE closes_on = '2026-03-08' AND finished_at IS NOT NULL`)
	b.waitFor(t, "invoices are overdue", 1, `SELECT count(*) FROM invoices WHERE status = 'OVERDUE'`)
}

// A queue that a forged notice has paused goes on at once; one that is paused in earnest
// stays so.
func TestForgedPause(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.landed(t, 1, 40)
	service := b.start(t)
	paused, unsubscribe := service.Client().Subscribe(river.EventKindQueuePaused)
	b.exec(t, `SELECT pg_notify('flightbill.river_control', '{"action": "pause", "queue": "*"}')`)
	for event := range paused {
		if event.Queue.Name == jobs.FlightsQueue {
			unsubscribe() // which closes it
		}
	}
	began := time.Now()
	b.enqueueMany(t, 1, 10, 1)
	b.waitForBilled(t, 10)
	require.Less(t, time.Since(began), 20*time.Second, "River looks again after a minute")

	end := b.flood(t, `SELECT pg_notify('flightbill.river_control', '{"action": "pause", "queue": "flights"}')`)
	b.enqueueMany(t, 11, 20, 1)
	b.waitForBilled(t, 20)
	end()

	require.NoError(t, service.Client().QueuePause(t.Context(), jobs.FlightsQueue, nil))
	b.exec(t, `SELECT pg_notify('flightbill.river_control', '{"action": "pause", "queue": "flights"}')`)
	b.enqueueMany(t, 21, 25, 1)
	time.Sleep(3 * time.Second) // River hears of a pause behind the notices of the flood
	billed := get[int](t, b, `SELECT count(*) FROM billed_flights`)
	b.enqueueMany(t, 26, 30, 1)
	time.Sleep(3 * time.Second)
	require.Equal(t, billed, get[int](t, b, `SELECT count(*) FROM billed_flights`))
	require.NoError(t, service.Client().QueueResume(t.Context(), jobs.FlightsQueue, nil))
	b.waitForBilled(t, 30)
}

// Notices that make no sense do no harm, nor fill the log; a leader that is told to resign
// over and over works again once that ends.
func TestForgedNotices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.landed(t, 1, 20)
	log := &jobs.LogBuffer{}
	b.start(t, func(c *jobs.Config) {
		c.Logger = log.Logger()
		c.Schedules, c.LookEvery = jobs.WorkSchedules, time.Second
	})
	end := b.flood(t, `SELECT pg_notify('flightbill.' || channel, payload)
		FROM unnest('{river_control,river_insert,river_leadership}'::text[]) AS channel, unnest(ARRAY[
			'', 'nonsense', '[]', '{"action": 1, "queue": {}, "job_id": "x"}', '{"action": "cancel", "queue": "flights", "job_id": 99999999999999999999}',
			'{"action": "metadata_changed", "queue": "*", "metadata": [1]}', '{"queue": "' || repeat('x', 7900) || '"}', repeat('[', 7999),
			'{"action": "request_resign"}', '{"action": "resigned", "leader_id": "x"}']) AS payload`)
	for n := 1; n <= 20; n++ {
		b.enqueueMany(t, n, n, 1)
		b.waitForBilled(t, n)
	}
	time.Sleep(3 * time.Second)
	end()
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job WHERE kind = 'ingest_flight' AND (state <> 'completed' OR attempt <> 1)`))
	require.LessOrEqual(t, strings.Count(log.String(), "\n"), 40)
	b.clock.Set(time.Date(2026, 3, 8, 1, 0, 0, 0, time.UTC))
	b.waitFor(t, "a leader works", 1, `SELECT count(*) FROM billing_runs WHERE closes_on = '2026-03-08' AND finished_at IS NOT NULL`)
}
