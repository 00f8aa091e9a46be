package jobs

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStatsQuantiles(t *testing.T) {
	t.Parallel()
	s := NewStats()
	require.Zero(t, s.Snapshot().Flights.MillisecondsOf["fetch"], "nothing measured yet")
	for ms := range 100 {
		s.observe(stageFetch, time.Duration(ms+1)*time.Millisecond, 1)
	}
	q := s.Snapshot().Flights.MillisecondsOf["fetch"]
	require.EqualValues(t, 100, q.Count)
	for want, got := range map[float64]float64{50: q.P50, 90: q.P90, 99: q.P99, 100: q.Max} {
		require.InEpsilon(t, want, got, 0.002)
	}
	s.observe(stageFetch, -time.Second, 1)
	s.observe(stageFetch, 48*time.Hour, 1)
	require.EqualValues(t, 102, s.Snapshot().Flights.MillisecondsOf["fetch"].Count, "what is out of bounds counts too")
}

func TestStatsOfRuns(t *testing.T) {
	t.Parallel()
	s := NewStats()
	s.scheduledRun("mark_overdue", 40*time.Millisecond, nil)
	s.scheduledRun("mark_overdue", time.Second, errors.New("no"))
	run := s.Snapshot().Scheduled["mark_overdue"]
	require.Equal(t, []int64{1, 1, 1}, []int64{run.Done, run.Failed, run.Milliseconds.Count})
	require.InEpsilon(t, 40, run.Milliseconds.Max, 0.002)
}

// Flights that overlap, or follow each other closely, are one busy time; the
// seconds that nothing was in work do not count.
func TestStatsBusyTime(t *testing.T) {
	t.Parallel()
	s := NewStats()
	first, second := s.flightsStarted(1), s.flightsStarted(1)
	first()
	second()
	s.mu.Lock()
	s.busySince = s.busySince.Add(-time.Hour)
	s.idleSince = s.busySince.Add(4 * time.Second)
	s.mu.Unlock()
	require.InDelta(t, 4, s.Snapshot().Flights.BusySeconds, 1e-6)

	third := s.flightsStarted(1)
	s.mu.Lock()
	s.busySince = s.busySince.Add(-10 * time.Minute)
	s.mu.Unlock()
	require.GreaterOrEqual(t, s.Snapshot().Flights.BusySeconds, 604.0, "one is in work")
	third()
	require.Less(t, s.Snapshot().Flights.BusySeconds, 3600.0)

	copied := s.Snapshot()
	s.flightSnoozed("x")
	require.Empty(t, copied.Flights.Snoozed, "a snapshot does not change")
}
