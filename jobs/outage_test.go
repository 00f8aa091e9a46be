package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	unreadable string       // a flight that cannot be read while all others can
	asked      atomic.Int64 // for one flight
	batches    atomic.Int64
	probed     atomic.Int64
}

func (s *awaySource) Name() string { return s.table.Name() }

func (s *awaySource) Flight(ctx context.Context, id string) (billing.Flight, error) {
	s.asked.Add(1)
	if s.away.Load() || id == s.unreadable {
		return billing.Flight{}, billing.SourceDown("test", "is away", errors.New("connection refused"))
	}
	return s.table.Flight(ctx, id)
}

// awayBatchSource reads ahead, too.
type awayBatchSource struct{ *awaySource }

// Flights leaves out what cannot be read.
func (s awayBatchSource) Flights(ctx context.Context, ids []string) (map[string]billing.Flight, error) {
	s.batches.Add(1)
	if s.away.Load() {
		return nil, billing.SourceDown("test", "is away", errors.New("connection refused"))
	}
	found := map[string]billing.Flight{}
	for _, id := range ids {
		if f, err := s.table.Flight(ctx, id); err == nil && id != s.unreadable {
			found[id] = f
		}
	}
	return found, nil
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

func startAway(t *testing.T, b *testBundle, source jobs.FlightSource) (*jobs.Service, *logBuffer) {
	t.Helper()
	log := &logBuffer{}
	service := b.start(t, func(c *jobs.Config) {
		c.Source, c.Logger = source, slog.New(slog.NewTextHandler(log, nil))
	})
	return service, log
}

func TestOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := &awaySource{table: db.NewFlights(b.pool)}
	testOutage(t, b, source, source, 0)
}

// Who reads ahead may have asked for one flight more, which a notice had named and
// which was not in hand yet, and for one batch.
func TestOutageWhileReadingAhead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := &awaySource{table: db.NewFlights(b.pool)}
	testOutage(t, b, source, awayBatchSource{source}, 1)
}

func testOutage(t *testing.T, b *testBundle, source *awaySource, reads jobs.FlightSource, named int64) {
	t.Helper()
	const flights = 60
	for i := range flights {
		b.flight(t, fmt.Sprintf("F%02d", i), "WEEK", b.clock.Now().Add(-time.Hour))
	}
	service, log := startAway(t, b, reads)
	b.enqueue(t, "F00")
	billed := func() int64 { return get[int64](t, b, `SELECT count(*) FROM billed_flights`) }
	eventually(t, "the first flight is billed", func() bool { return billed() == 1 })
	require.Nil(t, service.Outage())

	source.away.Store(true)
	asked, batches, probed := source.asked.Load(), source.batches.Load(), source.probed.Load()
	for i := 1; i < flights; i++ {
		b.enqueue(t, fmt.Sprintf("F%02d", i))
	}
	eventually(t, "the source is found away", func() bool { return service.Outage() != nil })
	require.ErrorContains(t, service.Outage().Err, "connection refused")
	eventually(t, "it goes on being probed", func() bool { return source.probed.Load() >= probed+3 })
	require.LessOrEqual(t, source.asked.Load()-asked, 5+named, "only the flights in hand met the outage")
	require.LessOrEqual(t, source.batches.Load()-batches, named)
	eventually(t, "those in hand have been put back, with the reason in their row", func() bool {
		met := source.asked.Load() - asked
		back := get[int64](t, b, `SELECT count(*) FROM river_job WHERE metadata #>> '{waiting,reason}' LIKE '%connection refused%'`)
		return back <= met && back >= met-named
	})
	require.Positive(t, get[int64](t, b, `SELECT count(*) FROM flight_processing_queue WHERE last_error LIKE '%is away%'`))
	require.Zero(t, get[int64](t, b, `SELECT count(*) FROM river_job WHERE state = 'running'`))

	source.away.Store(false)
	back := time.Now()
	eventually(t, "all flights are billed", func() bool { return billed() == flights })
	require.Less(t, time.Since(back), 30*time.Second)
	require.Nil(t, service.Outage())
	require.EqualValues(t, 1, get[int64](t, b, `SELECT max(attempt) FROM river_job WHERE kind = 'ingest_flight'`), "no attempt was spent")
	require.Zero(t, get[int64](t, b, `SELECT count(*) FROM river_job WHERE errors IS NOT NULL`))
	require.Equal(t, 1, log.count("flight source is away"))
	require.Equal(t, 1, log.count("flight source is back"))
	require.Equal(t, 1, log.count("flights_waiting=59"), "told when it is back: all that wait")
}

// One flight that cannot be read is no outage.
func TestOneUnreadableFlightHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := &awaySource{table: db.NewFlights(b.pool), unreadable: "F0"}
	for i := range 30 {
		b.flight(t, fmt.Sprintf("F%d", i), "WEEK", b.clock.Now().Add(-time.Hour))
		b.enqueue(t, fmt.Sprintf("F%d", i))
	}
	service, log := startAway(t, b, source)
	eventually(t, "all others are billed", func() bool { return get[int64](t, b, `SELECT count(*) FROM billed_flights`) == 29 })
	eventually(t, "it is put back", func() bool {
		return get[int64](t, b, `SELECT count(*) FROM flight_processing_queue WHERE flight_id = 'F0' AND reason = 'source_down' AND attempts = 0`) == 1
	})
	require.Nil(t, service.Outage())
	require.Zero(t, log.count("flight source is"))
}

func TestServiceStopsDuringAnOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := &awaySource{table: db.NewFlights(b.pool)}
	source.away.Store(true)
	b.enqueue(t, "F1")
	service, log := startAway(t, b, source)
	eventually(t, "the source is found away before a flight is taken", func() bool { return service.Outage() != nil })
	require.Zero(t, source.asked.Load())
	eventually(t, "it is told how many wait", func() bool { return log.count("flights_waiting=1") == 1 })
	stopping := time.Now()
	require.NoError(t, service.Stop(context.Background()))
	require.Less(t, time.Since(stopping), 5*time.Second)
	require.EqualValues(t, 1, get[int64](t, b, `SELECT count(*) FROM river_job WHERE state = 'available' AND attempt = 0`))
}
