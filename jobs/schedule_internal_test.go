package jobs

import (
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
