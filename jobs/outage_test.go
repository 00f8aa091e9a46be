package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// awaySource is the table flights behind something that can go away.
type awaySource struct {
	table *db.Flights

	away       atomic.Bool
	unreadable string             // a flight that cannot be read while all others can
	before     func(ids []string) // it is asked
	asked      atomic.Int64
	probed     atomic.Int64
}

func (s *awaySource) Name() string { return s.table.Name() }

func (s *awaySource) Flights(ctx context.Context, ids []string) (map[string]billing.Answer, error) {
	s.asked.Add(int64(len(ids)))
	if s.before != nil {
		s.before(ids)
	}
	if s.away.Load() || slices.Contains(ids, s.unreadable) {
		return nil, billing.SourceDown("test", "is away", errors.New("connection refused"))
	}
	return s.table.Flights(ctx, ids)
}

func (s *awaySource) Probe(context.Context) error {
	s.probed.Add(1)
	if s.away.Load() {
		return billing.SourceDown("test", "is away", errors.New("connection refused"))
	}
	return nil
}

// logBuffer may be written to and read at once.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.buf.String(), text)
}

func (b *logBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func startAway(t *testing.T, b *testBundle, source jobs.FlightSource, change ...func(*jobs.Config)) (*jobs.Service, *logBuffer) {
	t.Helper()
	log := &logBuffer{}
	service := b.start(t, append(change, func(c *jobs.Config) {
		c.Source, c.Logger = source, slog.New(slog.NewTextHandler(log, nil))
	})...)
	return service, log
}

func TestOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := &awaySource{table: db.NewFlights(b.pool)}
	const flights = 60
	for i := range flights {
		b.flight(t, fmt.Sprintf("F%02d", i), "WEEK", b.clock.Now().Add(-time.Hour))
	}
	service, log := startAway(t, b, source)
	b.enqueue(t, "F00")
	billed := func() int64 { return get[int64](t, b, `SELECT count(*) FROM billed_flights`) }
	eventually(t, "the first flight is billed", func() bool { return billed() == 1 })
	require.Nil(t, service.Outage())

	source.away.Store(true)
	asked, probed := source.asked.Load(), source.probed.Load()
	for i := 1; i < flights; i++ {
		b.enqueue(t, fmt.Sprintf("F%02d", i))
	}
	eventually(t, "the source is found away", func() bool { return service.Outage() != nil })
	require.ErrorContains(t, service.Outage().Err, "connection refused")
	eventually(t, "it goes on being probed", func() bool { return source.probed.Load() >= probed+3 })
	require.LessOrEqual(t, source.asked.Load()-asked, int64(5), "only the flights in hand met the outage")
	require.EqualValues(t, 5, get[int64](t, b, `SELECT count(*) FROM river_job WHERE state = 'running'`), "the workers wait with theirs")
	eventually(t, "those are put back, with the reason in their row", func() bool {
		return get[int64](t, b, `SELECT count(*) FROM flight_processing_queue WHERE state = 'scheduled' AND reason = 'source_down' AND last_error LIKE '%connection refused%'`) == 5
	})

	source.away.Store(false)
	back := time.Now()
	eventually(t, "all flights are billed", func() bool { return billed() == flights })
	require.Less(t, time.Since(back), 30*time.Second)
	require.Nil(t, service.Outage())
	require.EqualValues(t, 1, get[int64](t, b, `SELECT max(attempt) FROM river_job WHERE kind = 'ingest_flight'`), "no attempt was spent")
	require.Zero(t, get[int64](t, b, `SELECT count(*) FROM river_job WHERE errors IS NOT NULL`))
	require.Equal(t, 1, log.count("flight source is away"))
	eventually(t, "it is told", func() bool { return log.count("flight source is back") == 1 })
	require.Equal(t, 1, log.count("flights_waiting=59"), "told when it is back: all that wait")
}

// A source that goes away under a batch: its flights go back with the reason, none has
// spent an attempt.
func TestOutageUnderABatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := &awaySource{table: db.NewFlights(b.pool)}
	const flights = 20
	for i := range flights {
		b.flight(t, fmt.Sprintf("F%02d", i), "WEEK", b.clock.Now().Add(-time.Hour))
	}
	b.exec(t, `SELECT enqueue_flights(array_agg(flight_id)) FROM flights`)
	source.before = func(ids []string) {
		if len(ids) > 1 {
			source.away.Store(true)
		}
	}
	service, _ := startAway(t, b, source, func(c *jobs.Config) { c.Workers = 1 })
	eventually(t, "the source is found away", func() bool { return service.Outage() != nil })
	eventually(t, "the batch is given back", func() bool {
		return get[int64](t, b, `SELECT count(*) FROM flight_processing_queue JOIN river_job j ON j.id = job_id
			WHERE reason = 'source_down' AND last_error LIKE '%connection refused%' AND attempts = 0 AND NOT j.metadata ? 'snoozes'`) >= flights-2
	})
	require.EqualValues(t, 1, get[int64](t, b, `SELECT count(*) FROM billed_flights`))
	source.before = nil
	source.away.Store(false)
	eventually(t, "all flights are billed", func() bool { return get[int64](t, b, `SELECT count(*) FROM billed_flights`) == flights })
	require.EqualValues(t, 1, get[int64](t, b, `SELECT max(attempt) FROM river_job`))
	require.Zero(t, get[int64](t, b, `SELECT count(*) FROM river_job WHERE errors <> '{}'`))
}

// One flight that cannot be read is no outage, and holds up no other of its batch.
func TestOneUnreadableFlightHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := &awaySource{table: db.NewFlights(b.pool), unreadable: "F7"}
	for i := range 30 {
		b.flight(t, fmt.Sprintf("F%d", i), "WEEK", b.clock.Now().Add(-time.Hour))
		b.enqueue(t, fmt.Sprintf("F%d", i))
	}
	began := time.Now()
	service, log := startAway(t, b, source)
	eventually(t, "all others are billed", func() bool { return get[int64](t, b, `SELECT count(*) FROM billed_flights`) == 29 })
	eventually(t, "it is put back", func() bool {
		return get[int64](t, b, `SELECT count(*) FROM flight_processing_queue WHERE flight_id = 'F7' AND reason = 'source_down' AND attempts = 0 AND state = 'scheduled'`) == 1
	})
	require.Less(t, time.Since(began), 10*time.Second, "the others have not waited with it")
	require.Nil(t, service.Outage())
	require.Zero(t, log.count("flight source is"))
}

// Flights in hand are read once the source is back, where that is soon.
func TestShortOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := &awaySource{table: db.NewFlights(b.pool)}
	b.landed(t, 1, 5)
	service, _ := startAway(t, b, source)
	eventually(t, "the source has answered", func() bool { return source.probed.Load() > 0 })
	source.away.Store(true)
	b.enqueueMany(t, 1, 5, 1)
	eventually(t, "the source is found away", func() bool { return service.Outage() != nil })
	source.away.Store(false)
	b.waitForBilled(t, 5)
	require.Zero(t, get[int64](t, b, `SELECT count(*) FROM river_job WHERE metadata ? 'snoozes'`))
}

func TestServiceStopsDuringAnOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := &awaySource{table: db.NewFlights(b.pool)}
	source.away.Store(true)
	b.enqueue(t, "F1")
	service, log := startAway(t, b, source)
	eventually(t, "the source is found away", func() bool { return service.Outage() != nil })
	require.Zero(t, source.asked.Load(), "before a flight is read")
	eventually(t, "it is told how many wait", func() bool { return log.count("flights_waiting=1") == 1 })
	eventually(t, "a worker waits with the flight", func() bool { return get[int64](t, b, `SELECT count(*) FROM river_job WHERE state = 'running'`) == 1 })
	stopping := time.Now()
	require.NoError(t, service.Stop(context.Background()))
	require.Less(t, time.Since(stopping), 5*time.Second)
	require.EqualValues(t, 1, get[int64](t, b, `SELECT count(*) FROM river_job WHERE state = 'scheduled' AND attempt = 0 AND metadata ->> 'reason' = 'source_down'`))
}
