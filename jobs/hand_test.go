package jobs_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/jobs"
)

// Flights are taken by fetches and by saves; together they never take more than
// there are workers for.
func TestNoMoreInWorkThanWorkers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const flights, workers = 1500, 3
	ids := make([]string, flights)
	for i := range ids {
		ids[i] = fmt.Sprintf("F%d", i)
		b.flight(t, ids[i], "WEEK", landed(4, 9))
	}
	b.exec(t, `SELECT enqueue_flights($1)`, ids)
	service := b.start(t, func(c *jobs.Config) { c.Workers = workers })
	most := 0
	eventually(t, "all are billed", func() bool {
		for range 20 {
			most = max(most, get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'running'`))
		}
		return get[int](t, b, `SELECT count(*) FROM billed_flights`) == flights
	})
	require.Equal(t, workers, most)
	require.NoError(t, service.Stop(context.Background()))
	require.Equal(t, flights, get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'completed' AND attempt = 1`))
}

// Whatever a stop finds, nothing stays in work behind it.
func TestStopLeavesNothingInWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const flights = 1000
	ids := make([]string, flights)
	for i := range ids {
		ids[i] = fmt.Sprintf("F%d", i)
		b.flight(t, ids[i], "WEEK", landed(4, 9))
	}
	b.exec(t, `SELECT enqueue_flights($1)`, ids)
	for billed := 0; billed < flights; {
		service := b.start(t)
		want := min(flights, billed+100)
		eventually(t, "some are billed", func() bool { return get[int](t, b, `SELECT count(*) FROM billed_flights`) >= want })
		require.NoError(t, service.Stop(context.Background()))
		require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'running' OR state = 'available' AND attempt <> 0`))
		billed = get[int](t, b, `SELECT count(*) FROM billed_flights`)
	}
	require.Equal(t, flights, get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'completed' AND attempt = 1`))
}

// Among flights that are billed in one go come some that cannot be: each is
// refused once, through River, as it would be alone.
func TestRefusedFlightsAmongOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const flights = 400
	ids := make([]string, flights)
	for i := range ids {
		ids[i] = fmt.Sprintf("F%03d", i)
		operator := "WEEK"
		switch i % 10 {
		case 3:
			operator = "NOBODY"
		case 7:
			continue // not in the source yet
		}
		b.flight(t, ids[i], operator, landed(4, 9))
	}
	b.exec(t, `SELECT enqueue_flights($1)`, ids)
	service := b.start(t)
	eventually(t, "each has had its try", func() bool {
		return get[int](t, b, `SELECT count(*) FROM river_job WHERE state IN ('available', 'running') AND NOT metadata ? 'snoozes'`) == 0
	})
	require.NoError(t, service.Stop(context.Background()))
	require.Equal(t, "cancelled 1 no_customer 40, completed 1 320, scheduled 0 flight_unknown 40", get[string](t, b, `
		SELECT string_agg(line, ', ' ORDER BY line) FROM (
			SELECT concat_ws(' ', state, attempt, metadata ->> 'reason', count(*)) AS line FROM river_job GROUP BY state, attempt, metadata ->> 'reason') AS lines`))
	require.Equal(t, 320, get[int](t, b, `SELECT count(*) FROM charges`))
	s := b.stats.Snapshot().Flights
	require.Equal(t, []int64{320, 40, 40}, []int64{s.Done, s.Cancelled["no_customer"], s.Snoozed["flight_unknown"]})
}
