package jobs_test

import (
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

func (b *testBundle) reconcileWorker() (*jobs.ReconcileFlights, *jobs.LogBuffer) {
	logs := &jobs.LogBuffer{}
	return &jobs.ReconcileFlights{Reconciler: b.reconciler(), Books: db.NewPriceBooks(b.pool), Days: 7, Stats: b.stats, Logger: logs.Logger()}, logs
}

func reconcileJob(day billing.Date) *river.Job[jobs.ReconcileFlightsArgs] {
	return &river.Job[jobs.ReconcileFlightsArgs]{Args: jobs.ReconcileFlightsArgs{Day: day}}
}

// The last days before the day, from the billing start on, are told of in the log; and by each process, once River
// has the job, in its metrics.
func TestReconcileFlightsDaily(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fates(t)
	worker, logs := b.reconcileWorker()
	require.NoError(t, worker.Work(t.Context(), reconcileJob(march(9))))
	said := logs.String()
	require.Contains(t, said, "WARN")
	require.Contains(t, said, "from=2026-03-03 to=2026-03-08 flights=12 billed=2 waiting=4 cancelled=2 voided=1 never_enqueued=2 unusable_id=0 moved=3 gone=1 ambiguous=0")
	require.Contains(t, said, "NEVER")
	require.NotContains(t, said, "CANCELLED")

	g := b.scrape(t)
	require.NotContains(t, g, "flightbill_reconcile_missing", "there is no job of River's")
	scrape := b.metrics(t, sourceState{})
	service := b.start(t, schedules(jobs.WorkSchedules), func(c *jobs.Config) { c.ReconcileDays = 7 })
	_, err := service.Client().Insert(t.Context(), jobs.ReconcileFlightsArgs{Day: march(9)}, nil)
	require.NoError(t, err)
	b.waitFor(t, "it is done", 1, `SELECT count(*) FROM river_job WHERE kind = 'reconcile_flights' AND state = 'completed'`)
	forgotten := func() map[string]float64 {
		values := scrape()
		require.InDelta(t, 2, values["flightbill_reconcile_missing"], 0)
		return values
	}
	g = forgotten()
	require.InDelta(t, 4, g["flightbill_reconcile_changed"], 0)
	require.InDelta(t, 1, g["flightbill_reconcile_flights no_customer cancelled"], 0)
	require.InDelta(t, 0, g["flightbill_reconcile_age_seconds"], 60)
	b.exec(t, `DELETE FROM river_job WHERE kind = 'reconcile_flights'`)
	forgotten()
}

func TestReconcileFlightsWaitsForTheSource(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "A", "EACH", landed(4, 9))
	b.clock.Set(landed(5, 3))
	worker, logs := b.reconcileWorker()
	worker.Reconciler.Source = &changingSource{FlightSource: db.NewFlights(b.pool), listed: func(int) error { return errAway }}
	var snooze *river.JobSnoozeError
	require.ErrorAs(t, worker.Work(t.Context(), reconcileJob(march(5))), &snooze)
	require.Equal(t, 5*time.Minute, snooze.Duration)
	require.NotContains(t, logs.String(), "WARN")
	require.Zero(t, b.stats.Snapshot().Scheduled["reconcile_flights"].Failed)

	worker, logs = b.reconcileWorker()
	b.clock.Set(landed(6, 0))
	require.NoError(t, worker.Work(t.Context(), reconcileJob(march(5))))
	require.Contains(t, logs.String(), "the job of another day is to")
	require.NoError(t, worker.Work(t.Context(), reconcileJob(march(3))), "no day since the billing start")

	b.exec(t, `DELETE FROM flights`)
	require.NoError(t, worker.Work(t.Context(), reconcileJob(march(6))))
	require.Contains(t, logs.String(), "flightbill has all that the flight source has")
	require.NotContains(t, logs.String(), "WARN")
}
