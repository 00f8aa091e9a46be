package jobs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return at
}

func TestAtRunTime(t *testing.T) {
	t.Parallel()
	var book *db.PriceBook
	schedule := atRunTime(func() *db.PriceBook { return book })
	at := instant(t, "2027-03-26T12:00:10Z")
	require.Equal(t, at.Add(time.Minute), schedule.Next(at), "not known yet: asked again soon")
	book = &db.PriceBook{Calendar: billing.Calendar{Location: time.UTC, Start: billing.NewDate(2026, 1, 1)}}
	require.Equal(t, instant(t, "2027-03-27T01:00:00Z"), schedule.Next(at))
}

// The flights of the days before are reconciled two hours after the run, by a job of that day.
func TestReconciliationIsScheduled(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Pacific/Auckland")
	require.NoError(t, err)
	book := &db.PriceBook{Calendar: billing.Calendar{Location: zone, Start: billing.NewDate(2026, 1, 1)}}
	kept := func() *db.PriceBook { return book }
	for from, want := range map[string]string{
		"2026-06-10T12:00:00Z": "2026-06-10T15:00:00Z", // midnight there: at 03:00
		"2026-06-10T14:00:00Z": "2026-06-10T15:00:00Z",
		"2026-06-10T15:00:00Z": "2026-06-11T15:00:00Z",
	} {
		require.Equal(t, instant(t, want), afterRunTime(kept, reconcileAfterRun).Next(instant(t, from)).UTC())
	}
	require.Equal(t, "reconcile_flights", ReconcileFlightsArgs{}.Kind())
	require.True(t, ReconcileFlightsArgs{}.InsertOpts().UniqueOpts.ByArgs)
	require.Greater(t, (&ReconcileFlights{}).Timeout(nil), 5*time.Minute)
	now := func() time.Time { return instant(t, "2026-06-10T15:00:00Z") }
	require.Len(t, periodicJobs(kept, now, time.Minute, true, newHeartbeats()), 1+len(periodicJobs(kept, now, time.Minute, false, newHeartbeats())))
}

func TestEveryIsAligned(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		interval   time.Duration
		from, want string
	}{
		{time.Minute, "2026-03-04T12:00:00Z", "2026-03-04T12:01:00Z"},
		{time.Minute, "2026-03-04T12:00:59.999Z", "2026-03-04T12:01:00Z"},
		{time.Hour, "2026-03-04T12:34:56Z", "2026-03-04T13:00:00Z"},
		{time.Hour, "2026-03-04T23:00:00Z", "2026-03-05T00:00:00Z"},
	} {
		require.Equal(t, instant(t, c.want), every(c.interval).Next(instant(t, c.from)))
	}
}

// A run that fails, for want of time too, is counted and told of; one that is cut short by a
// stop, or goes on in another attempt, is not.
func TestEndRun(t *testing.T) {
	t.Parallel()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	late, end := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer end()
	for name, c := range map[string]struct {
		ctx          context.Context //nolint:containedctx // of a case
		err          error
		done, failed int64
	}{
		"done":              {t.Context(), nil, 1, 0},
		"failed":            {t.Context(), errors.New("no"), 0, 1},
		"its time is up":    {late, fmt.Errorf("issue: %w", context.DeadlineExceeded), 0, 1},
		"the process stops": {stopped, fmt.Errorf("issue: %w", context.Canceled), 0, 0},
		"more are to come":  {t.Context(), errSliceDone, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stats, log := NewStats(), &LogBuffer{}
			err := endRun(c.ctx, stats, log.Logger(), "mark_overdue", time.Now(), c.err, "it failed", "date", "2026-03-04")
			require.Equal(t, c.err == nil, err == nil)
			run := stats.Snapshot().Scheduled["mark_overdue"]
			require.Equal(t, []int64{c.done, c.failed}, []int64{run.Done, run.Failed})
			require.Equal(t, int(c.failed), log.Count("level=ERROR msg=\"it failed\" date=2026-03-04 error="), log.String())
		})
	}
}
