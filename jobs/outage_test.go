package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	recordingSource

	away   atomic.Pointer[billing.Error] // nil: it answers
	probed atomic.Int64
}

var errAway = billing.SourceDown("test", "is away", errors.New("connection refused"))

func (b *testBundle) awaySource() *awaySource {
	s := &awaySource{recordingSource: recordingSource{FlightSource: db.NewFlights(b.pool)}}
	s.before = s.answer
	return s
}

func (s *awaySource) answer(context.Context, []string) error {
	if away := s.away.Load(); away != nil {
		return away
	}
	return nil
}

func (s *awaySource) Probe(ctx context.Context) error {
	s.probed.Add(1)
	return s.answer(ctx, nil)
}

func startAway(t *testing.T, b *testBundle, source jobs.FlightSource, change ...func(*jobs.Config)) (*jobs.Service, *jobs.LogBuffer) {
	t.Helper()
	log := &jobs.LogBuffer{}
	service := b.start(t, append(change, func(c *jobs.Config) {
		c.Source, c.Logger = source, log.Logger()
	})...)
	return service, log
}

func TestOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := b.awaySource()
	const flights = 60
	b.landed(t, 1, flights)
	service, log := startAway(t, b, source)
	b.enqueue(t, "F1")
	b.waitForBilled(t, 1)
	require.Nil(t, service.Outage())

	source.away.Store(errAway)
	asked, probed := source.total(), source.probed.Load()
	b.enqueueMany(t, 2, flights, 1)
	eventually(t, "the source is found away", func() bool { return service.Outage() != nil })
	require.ErrorContains(t, service.Outage().Err, "connection refused")
	eventually(t, "it goes on being probed", func() bool { return source.probed.Load() >= probed+3 })
	require.LessOrEqual(t, source.total()-asked, 5, "only the flights in hand met the outage")
	require.EqualValues(t, 5, get[int64](t, b, `SELECT count(*) FROM river_job WHERE state = 'running'`), "the workers wait with theirs")
	eventually(t, "all others show the reason, too", func() bool {
		return get[int64](t, b, `SELECT count(*) FROM flight_processing_queue WHERE state = 'available' AND reason = 'source_down' AND details LIKE '%connection refused%'`) >= flights-11
	})
	b.waitFor(t, "those are put back, with the reason in their row", 5, `SELECT count(*) FROM flight_processing_queue WHERE state = 'scheduled' AND reason = 'source_down' AND details LIKE '%connection refused%'`)

	source.away.Store(nil)
	back := time.Now()
	b.waitForBilled(t, flights)
	require.Less(t, time.Since(back), 30*time.Second)
	require.Nil(t, service.Outage())
	b.enqueue(t, "unknown")
	eventually(t, "what waits now has another reason", func() bool {
		return get[int64](t, b, `SELECT count(*) FROM flight_source_outages`) == 0 &&
			get[int64](t, b, `SELECT count(*) FROM flight_processing_queue WHERE reason = 'flight_unknown'`) == 1
	})
	b.exec(t, `DELETE FROM flight_processing_queue`)
	require.EqualValues(t, 1, get[int64](t, b, `SELECT max(attempt) FROM river_job WHERE kind = 'ingest_flight'`), "no attempt was spent")
	require.Zero(t, get[int64](t, b, `SELECT count(*) FROM river_job WHERE errors IS NOT NULL`))
	require.Equal(t, 1, log.Count("flight source is away"))
	eventually(t, "it is told", func() bool { return log.Count("flight source is back") == 1 })
	require.Equal(t, 2, log.Count("flights_waiting=59"), "told when it is away, and when it is back: all that wait")
}

// A source that goes away under a batch: its flights go back with the reason, none has
// spent an attempt.
func TestOutageUnderABatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := b.awaySource()
	const flights = 20
	b.lineUp(t, flights)
	source.before = func(ctx context.Context, ids []string) error {
		if len(ids) > 1 {
			source.away.Store(errAway)
		}
		return source.answer(ctx, ids)
	}
	service, _ := startAway(t, b, source, func(c *jobs.Config) { c.Workers = 1 })
	eventually(t, "the source is found away", func() bool { return service.Outage() != nil })
	eventually(t, "the batch is given back", func() bool {
		return get[int64](t, b, `SELECT count(*) FROM flight_processing_queue JOIN river_job j ON j.id = job_id
			WHERE reason = 'source_down' AND details LIKE '%connection refused%' AND attempts = 0 AND NOT j.metadata ? 'snoozes'`) >= flights-2
	})
	require.EqualValues(t, 1, get[int64](t, b, `SELECT count(*) FROM billed_flights`))
	source.before = source.answer
	source.away.Store(nil)
	b.waitForBilled(t, flights)
	require.EqualValues(t, 1, get[int64](t, b, `SELECT max(attempt) FROM river_job`))
	require.Zero(t, get[int64](t, b, `SELECT count(*) FROM river_job WHERE errors <> '{}'`))
}

// One flight that cannot be read is no outage, and holds up no other of its batch.
func TestOneUnreadableFlightHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := b.awaySource()
	source.before = func(_ context.Context, ids []string) error {
		if slices.Contains(ids, "F7") {
			return errAway
		}
		return nil
	}
	b.lineUp(t, 30)
	began := time.Now()
	service, log := startAway(t, b, source)
	b.waitForBilled(t, 29)
	b.waitFor(t, "it is put back", 1, `SELECT count(*) FROM flight_processing_queue WHERE flight_id = 'F7' AND reason = 'source_down' AND attempts = 0 AND state = 'scheduled'`)
	require.Less(t, time.Since(began), 10*time.Second, "the others have not waited with it")
	require.Nil(t, service.Outage())
	require.Zero(t, log.Count("flight source is"))
}

// Flights in hand are read once the source is back, where that is soon.
func TestShortOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := b.awaySource()
	b.landed(t, 1, 5)
	service, _ := startAway(t, b, source)
	eventually(t, "the source has answered", func() bool { return source.probed.Load() > 0 })
	source.away.Store(errAway)
	b.enqueueMany(t, 1, 5, 1)
	eventually(t, "the source is found away", func() bool { return service.Outage() != nil })
	source.away.Store(nil)
	b.waitForBilled(t, 5)
	require.Zero(t, get[int64](t, b, `SELECT count(*) FROM river_job WHERE metadata ? 'snoozes'`))
}

func TestServiceStopsDuringAnOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := b.awaySource()
	source.away.Store(errAway)
	b.enqueue(t, "F1")
	service, log := startAway(t, b, source)
	eventually(t, "the source is found away", func() bool { return service.Outage() != nil })
	require.Zero(t, source.total(), "before a flight is read")
	eventually(t, "it is told how many wait", func() bool { return log.Count("flights_waiting=1") == 1 })
	b.waitFor(t, "a worker waits with the flight", 1, `SELECT count(*) FROM river_job WHERE state = 'running'`)
	stopping := time.Now()
	require.NoError(t, service.Stop(context.Background()))
	require.Less(t, time.Since(stopping), 5*time.Second)
	require.EqualValues(t, 1, get[int64](t, b, `SELECT count(*) FROM river_job WHERE state = 'scheduled' AND attempt = 0 AND metadata ->> 'reason' = 'source_down'`))
}

// A source that no longer fits its settings: nothing is given up, no attempt is spent, and
// all goes on by itself once it does.
func TestMisfitWhileFlightsWait(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := b.awaySource()
	source.away.Store(billing.SourceMisfit("test", errors.New("PINOT_TOKEN: broker a answers with HTTP status 401")))
	b.lineUp(t, 30)
	service, log := startAway(t, b, source)
	eventually(t, "it is found out", func() bool { return service.Outage() != nil && service.Outage().Misfit() })
	b.waitFor(t, "each flight shows it", 30, `SELECT count(*) FROM flight_processing_queue WHERE reason = 'source_down' AND details LIKE '%PINOT_TOKEN: broker a answers%'`)
	require.Less(t, source.probed.Load(), int64(10), "it is probed slowly")
	require.Equal(t, 1, log.Count("level=ERROR"))
	source.away.Store(nil)
	b.waitForBilled(t, 30)
	require.EqualValues(t, 1, get[int64](t, b, `SELECT max(attempt) FROM river_job`))
	require.Zero(t, get[int64](t, b, `SELECT count(*) FROM river_job WHERE errors <> '{}'`))
}

// Flights that the source does not take in any more are told of while there is time.
func TestMissingFlightsAreToldOf(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 12 {
		b.enqueue(t, fmt.Sprintf("late%d", i))
	}
	first := b.start(t)
	b.waitFor(t, "all wait", 12, `SELECT count(*) FROM flight_processing_queue WHERE reason = 'flight_unknown'`)
	require.Zero(t, first.Overdue())
	since := time.Now().Add(-13 * time.Hour).UTC()
	b.exec(t, `UPDATE river_job SET metadata = jsonb_set(metadata, '{waiting,since}', to_jsonb($1::timestamptz))`, since)
	log := &jobs.LogBuffer{}
	service := b.start(t, log.Record)
	eventually(t, "they are told of", func() bool {
		return log.Count("flights are missing in the flight source") == 1 && log.Count("flights=12") == 1 &&
			log.Count("first_given_up_at="+since.Add(24*time.Hour).Format(time.RFC3339)) == 1
	})
	require.EqualValues(t, 12, service.Overdue())
	require.Zero(t, get[int64](t, b, `SELECT count(*) FROM flight_processing_queue WHERE state = 'cancelled'`))
}
