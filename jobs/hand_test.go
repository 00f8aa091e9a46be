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
