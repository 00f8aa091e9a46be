package jobs_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

func schedules(s jobs.Schedules) func(*jobs.Config) {
	return func(c *jobs.Config) { c.Schedules = s }
}

// runs lists the closing dates run and finished, but the first row's.
func (b *testBundle) runs(t *testing.T) string {
	t.Helper()
	return get[string](t, b, `SELECT coalesce(string_agg(closes_on || ' ' || trigger, ', ' ORDER BY closes_on), '')
		FROM billing_runs WHERE trigger <> 'start' AND finished_at IS NOT NULL`)
}

// runJobs lists the jobs of consolidated runs.
func (b *testBundle) runJobs(t *testing.T) string {
	t.Helper()
	return get[string](t, b, `SELECT coalesce(string_agg(concat_ws(' ', args ->> 'run_date', state, attempt), ', ' ORDER BY id), '')
		FROM river_job WHERE kind = 'consolidate_invoices'`)
}

// marker is a periodic job that the leader inserts in one go with the others.
type markerArgs struct{}

func (markerArgs) Kind() string { return "marker" }

// startWithMarker starts a service that inserts a marker when it begins to
// schedule.
func (b *testBundle) startWithMarker(t *testing.T, change ...func(*jobs.Config)) *jobs.Service {
	t.Helper()
	service := b.start(t, change...)
	_, err := service.Client().PeriodicJobs().AddSafely(river.NewPeriodicJob(river.PeriodicInterval(time.Hour),
		func() (river.JobArgs, *river.InsertOpts) { return markerArgs{}, &river.InsertOpts{Queue: "markers"} },
		&river.PeriodicJobOpts{RunOnStart: true}))
	require.NoError(t, err)
	return service
}

func (b *testBundle) markers(t *testing.T) int {
	t.Helper()
	return get[int](t, b, `SELECT count(*) FROM river_job WHERE kind = 'marker'`)
}

func (b *testBundle) consolidateWorker() *jobs.ConsolidateInvoices {
	return &jobs.ConsolidateInvoices{Consolidator: b.consolidator(), Stats: b.stats}
}

func TestConsolidateInvoicesDoesNotRunEarly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.clock.Set(time.Date(2026, 3, 8, 0, 59, 30, 0, time.UTC))
	job := &river.Job[jobs.ConsolidateInvoicesArgs]{
		JobRow: &rivertype.JobRow{CreatedAt: time.Now()}, Args: jobs.ConsolidateInvoicesArgs{RunDate: march(8)},
	}
	err := b.consolidateWorker().Work(t.Context(), job)
	var snooze *river.JobSnoozeError
	require.ErrorAs(t, err, &snooze)
	require.Equal(t, 30*time.Second, snooze.Duration)
	require.Empty(t, b.runs(t))

	b.clock.Set(landed(8, 1))
	require.NoError(t, b.consolidateWorker().Work(t.Context(), job))
	require.Equal(t, "WEEK 2026-03-08 EUR PENDING WEEK-000001 170.40 2026-04-07 W1", b.invoices(t))
	require.EqualValues(t, 1, b.stats.Snapshot().Scheduled["consolidate_invoices"].Done)
}

// A run lets every flight enqueued before it have one try.
func TestConsolidateInvoicesWaitsForFirstTries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "W1", "WEEK", landed(4, 9))
	b.enqueue(t, "W1")
	b.clock.Set(landed(8, 1))
	source := b.blockingSource()
	b.start(t, source.use, schedules(jobs.WorkSchedules))
	require.Equal(t, "W1", <-source.entered)
	b.waitFor(t, "the run waits, and waits again", 1, `SELECT count(*) FROM river_job WHERE kind = 'consolidate_invoices' AND (metadata ->> 'snoozes')::int >= 2`)
	require.Empty(t, b.runs(t))

	close(source.let)
	eventually(t, "the run is done", func() bool { return b.runJobs(t) == "2026-03-08 completed 1" })
	require.Equal(t, "WEEK 2026-03-08 EUR PENDING WEEK-000001 170.40 2026-04-07 W1", b.invoices(t))
}

// Half an hour, from when the run was asked for, is the longest that it waits; and a
// flight that is enqueued for later is not waited for.
func TestConsolidateInvoicesWaitsForNoMore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.Set(landed(3, 1))
	job := &river.Job[jobs.ConsolidateInvoicesArgs]{JobRow: &rivertype.JobRow{}, Args: jobs.ConsolidateInvoicesArgs{RunDate: march(3)}}
	b.enqueue(t, "F1")
	for _, c := range []struct {
		name, change string
		asked        time.Duration // ago
		waits        bool
	}{
		{"enqueued long before", `UPDATE river_job SET created_at = now() - interval '1 hour'`, 29 * time.Minute, true},
		{"the run has waited", `SELECT`, 31 * time.Minute, false},
		{"for later", `UPDATE river_job SET state = 'scheduled', scheduled_at = now() + interval '1 hour'`, 0, false},
	} {
		b.exec(t, c.change)
		job.CreatedAt = time.Now().Add(-c.asked)
		var snooze *river.JobSnoozeError
		require.Equal(t, c.waits, errors.As(b.consolidateWorker().Work(t.Context(), job), &snooze), c.name)
	}
}

// A run whose job was cancelled or given up is still due.
func TestScheduleAsksAgainForWhatWasCancelled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.Set(landed(3, 1))
	idle := b.service(t)
	insert := func() int64 {
		result, err := idle.Client().Insert(t.Context(), jobs.ConsolidateInvoicesArgs{RunDate: march(3)}, nil)
		require.NoError(t, err)
		require.False(t, result.UniqueSkippedAsDuplicate)
		return result.Job.ID
	}
	_, err := idle.Client().JobCancel(t.Context(), insert())
	require.NoError(t, err)
	b.exec(t, `UPDATE river_job SET state = 'discarded', finalized_at = now() WHERE id = $1`, insert())

	b.start(t, schedules(jobs.WorkSchedules))
	const want = "2026-03-03 cancelled 0, 2026-03-03 discarded 0, 2026-03-03 completed 1"
	eventually(t, "the run is asked for again and done", func() bool { return b.runJobs(t) == want })
	require.Equal(t, "2026-03-03 schedule", b.runs(t))
}

// Two processes, and a change of the leader: one job, one run.
func TestScheduleOfTwoServices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.clock.Set(landed(8, 1))
	first := b.startWithMarker(t, schedules(jobs.WorkSchedules))
	eventually(t, "the first leads", func() bool { return b.markers(t) == 1 })
	pool := jobs.OpenPool(t, b.pool.Config().ConnString())
	b.startWithMarker(t, schedules(jobs.WorkSchedules), func(c *jobs.Config) { c.Pool, c.Source = pool, db.NewFlights(pool) })
	eventually(t, "the run is done", func() bool { return b.runJobs(t) == "2026-03-08 completed 1" })
	done := b.runs(t)
	require.NoError(t, first.Stop(t.Context()))
	eventually(t, "the second leads", func() bool { return b.markers(t) == 2 })
	// It may ask once more before it has heard: that finds nothing to do.
	eventually(t, "nothing is left to do", func() bool { return !strings.Contains(b.runJobs(t), "running") })
	require.Equal(t, done, b.runs(t))
	require.Equal(t, "2026-03-08T01:00:00Z", get[string](t, b, `SELECT string_agg(args ->> 'hour', ' ') FROM river_job WHERE kind = 'mark_overdue'`))
	require.Equal(t, "WEEK 2026-03-08 EUR PENDING WEEK-000001 170.40 2026-04-07 W1", b.invoices(t))
	b.requireSound(t)
}

func TestSchedulesInsertedAndNotWorked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "W1", "WEEK", landed(4, 9))
	service := b.startWithMarker(t, schedules(jobs.InsertSchedules))
	eventually(t, "it schedules", func() bool { return b.markers(t) == 1 })
	b.enqueue(t, "W1")
	b.waitForBilled(t, 1)
	require.NoError(t, service.Stop(t.Context()))
	require.Equal(t, "consolidate_invoices available 0, mark_overdue available 0",
		get[string](t, b, `SELECT string_agg(concat_ws(' ', kind, state, attempt), ', ' ORDER BY kind) FROM river_job WHERE queue = 'schedules'`))

	b.start(t, schedules(jobs.WorkSchedules))
	eventually(t, "another process works them", func() bool { return b.runJobs(t) == "2026-03-04 completed 1" })
}

func TestNoSchedules(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startWithMarker(t, schedules(jobs.NoSchedules))
	eventually(t, "it leads", func() bool { return b.markers(t) == 1 })
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job WHERE queue = 'schedules'`))
}
