package jobs_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/jobs"
)

func TestStatsOfFlights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, id := range []string{"F1", "F2", "F3"} {
		b.flight(t, id, "WEEK", landed(4, 9))
	}
	b.flight(t, "NOBODY1", "NOBODY", landed(4, 9))
	b.start(t)
	b.enqueue(t, "F1", "F2", "F3", "NOBODY1", "NOWHERE1")
	eventually(t, "all have been tried", func() bool {
		s := b.stats.Snapshot().Flights
		return s.Done == 3 && len(s.Cancelled) == 1 && len(s.Snoozed) == 1
	})

	s := b.stats.Snapshot()
	require.Zero(t, s.Flights.Failed)
	require.Equal(t, map[string]int64{"no_customer": 1}, s.Flights.Cancelled)
	require.Equal(t, map[string]int64{"flight_unknown": 1}, s.Flights.Snoozed)
	require.Positive(t, s.Flights.BusySeconds)
	require.InEpsilon(t, 3/s.Flights.BusySeconds, s.Flights.PerSecond, 1e-9)
	counts := map[string]int64{}
	for stage, q := range s.Flights.MillisecondsOf {
		counts[stage] = q.Count
		require.Positive(t, q.P50, stage)
		require.LessOrEqual(t, q.P50, q.P90, stage)
		require.LessOrEqual(t, q.P90, q.P99, stage)
		require.LessOrEqual(t, q.P99, q.Max, stage)
	}
	// A price is looked for once more before a flight is refused.
	price := counts["price"]
	require.GreaterOrEqual(t, price, int64(3))
	require.Equal(t, map[string]int64{"fetch": 5, "price": price, "save": 3, "enqueue_to_saved": 3}, counts)
	total := s.Flights.MillisecondsOf["enqueue_to_saved"]
	require.GreaterOrEqual(t, total.Max, s.Flights.MillisecondsOf["save"].P50, "the whole is not shorter than a part")

	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(jobs.NewMetrics(b.stats, b.pool, sourceState{})))
	families, err := registry.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			values[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"flightbill_flights_billed_total": 3, "flightbill_flights_cancelled_total": 1, "flightbill_flights_snoozed_total": 1,
		"flightbill_flight_failures_total": 0, "flightbill_queue_flights": 2, "flightbill_queue_readable": 1,
	} {
		require.InDelta(t, want, values[name], 0, name)
	}
}
