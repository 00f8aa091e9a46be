package jobs_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// batchSource is the table flights behind something that takes 5 ms for an answer,
// of one flight or many.
type batchSource struct {
	table                     *db.Flights
	singles, batches, batched atomic.Int64 // questions for one, for many, and flights in these
}

func (s *batchSource) Name() string { return s.table.Name() }

func (s *batchSource) Flight(ctx context.Context, id string) (billing.Flight, error) {
	s.singles.Add(1)
	time.Sleep(5 * time.Millisecond)
	return s.table.Flight(ctx, id)
}

func (s *batchSource) Flights(ctx context.Context, ids []string) (map[string]billing.Flight, error) {
	s.batches.Add(1)
	s.batched.Add(int64(len(ids)))
	time.Sleep(5 * time.Millisecond)
	found := map[string]billing.Flight{}
	for _, id := range ids {
		f, err := s.table.Flight(ctx, id)
		if err != nil {
			return nil, err
		}
		found[id] = f
	}
	return found, nil
}

// A queue that is full is read ahead, by two processes too.
func TestFullQueueIsReadAhead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const flights = 1000
	b.landed(t, 1, flights)
	source := &batchSource{table: db.NewFlights(b.pool)}
	for range 2 {
		b.start(t, func(c *jobs.Config) { c.Source = source })
	}
	billed := func() int { return get[int](t, b, `SELECT count(*) FROM billed_flights`) }
	b.exec(t, `SELECT enqueue_flights(array_agg('F' || n)) FROM generate_series(1, $1::int) AS n`, flights)
	eventually(t, "all flights are billed", func() bool { return billed() == flights })
	t.Logf("%d alone, %d in %d batches", source.singles.Load(), source.batched.Load(), source.batches.Load())
	require.Less(t, source.singles.Load(), int64(flights/2), "most were read with others")
	require.Less(t, source.batched.Load(), int64(flights*5/4), "the two did not read the same")
}

// A lone flight is read while its job is being taken.
func TestLoneFlightIsReadWhileItIsTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.landed(t, 1, 20)
	source := &batchSource{table: db.NewFlights(b.pool)}
	b.start(t, func(c *jobs.Config) { c.Source = source })
	b.enqueue(t, "F1") // it works
	billed := func(flights int) func() bool {
		return func() bool { return get[int](t, b, `SELECT count(*) FROM billed_flights`) == flights }
	}
	eventually(t, "the first flight is billed", billed(1))
	release := b.pauseAt(t, `CREATE TRIGGER pause BEFORE UPDATE ON river_job`)
	for n := 2; ; n++ {
		before := source.singles.Load()
		b.enqueue(t, fmt.Sprintf("F%d", n))
		b.waitForPause(t)
		for began := time.Now(); source.singles.Load() == before && time.Since(began) < 2*time.Second; {
			time.Sleep(time.Millisecond)
		}
		read := source.singles.Load() > before
		require.Equal(t, "available", get[string](t, b, `SELECT state FROM flight_processing_queue`))
		release()
		eventually(t, "it is billed", billed(n))
		require.Equal(t, before+1, source.singles.Load(), "it was asked for once")
		require.Zero(t, source.batches.Load(), "there is no line")
		if read {
			return
		}
		require.Less(t, n, 4, "a poll was quicker than its notice, each time") // which takes a millisecond of the second between two
		tx := b.begin(t)
		_, err := tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(1)`)
		require.NoError(t, err)
		release = func() { require.NoError(t, tx.Rollback(context.Background())) }
	}
}

// Of two processes each reads a flight that the other takes, and few after it.
func TestTwoProcessesReadLoneFlights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const flights = 50
	b.landed(t, 1, flights)
	source := &batchSource{table: db.NewFlights(b.pool)}
	for range 2 {
		b.start(t, func(c *jobs.Config) { c.Source = source })
	}
	for n := 1; n <= flights; n++ {
		b.enqueue(t, fmt.Sprintf("F%d", n))
		eventually(t, "it is billed", func() bool { return get[int](t, b, `SELECT count(*) FROM billed_flights`) == n })
	}
	asked := source.singles.Load() + source.batched.Load()
	t.Logf("asked for %d flights %d times", flights, asked)
	require.Less(t, asked, int64(flights+10))
}

// landed adds flights F1, F2 and so on to the table.
func (b *testBundle) landed(t *testing.T, from, to int) {
	t.Helper()
	b.exec(t, `INSERT INTO flights (flight_id, operator, mtow_kg, origin, destination, departed_at, landed_at, distance_km)
		SELECT 'F' || n, 'WEEK', 70500, 'EIDW', 'EGLL', $1::timestamptz - interval '1 hour', $1, 449 FROM generate_series($2::int, $3) AS n`,
		b.clock.Now().Add(-time.Hour), from, to)
}

// What is put in front of a long queue waits a second or two, whatever has been read.
func TestUrgentFlightsComeFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const flights, urgent = 9000, 3000
	b.landed(t, 1, flights+urgent)
	enqueue := func(from, to, priority int) {
		b.exec(t, `SELECT enqueue_flights(array_agg('F' || n), priority => $3::smallint) FROM generate_series($1::int, $2) AS n`, from, to, priority)
	}
	enqueue(1, flights, 4)
	source := &batchSource{table: db.NewFlights(b.pool)}
	for range 2 {
		b.start(t, func(c *jobs.Config) { c.Source = source })
	}
	const billed = `SELECT count(*) FROM river_job WHERE state = 'completed' AND priority = $1`
	eventually(t, "they are at work", func() bool { return get[int](t, b, billed, 4) > 100 })
	before := source.singles.Load()
	enqueue(flights+1, flights+urgent, 1)
	eventually(t, "the urgent ones are billed", func() bool { return get[int](t, b, billed, 1) == urgent })
	// Once they have been found: after a quarter of them.
	others := get[int](t, b, `WITH found AS (SELECT finalized_at FROM river_job WHERE priority = 1 ORDER BY finalized_at OFFSET $1)
		SELECT count(*) FROM river_job j WHERE j.priority = 4 AND j.finalized_at BETWEEN (SELECT min(finalized_at) FROM found) AND (SELECT max(finalized_at) FROM found)`, urgent/4)
	alone := source.singles.Load() - before
	t.Logf("%d others were billed among %d urgent flights, of which %d were read alone", others, urgent-urgent/4, alone)
	require.Less(t, others, (urgent-urgent/4)/2)
	require.Less(t, alone, int64(urgent/4), "they are read ahead, too")
}
