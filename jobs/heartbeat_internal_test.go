package jobs

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

func TestHeartbeats(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	h := newHeartbeats()
	h.now = func() time.Time { return now }
	h.expect("a", "the look", time.Minute)
	h.expect("b", "the worker", 2*time.Minute)
	now = now.Add(90 * time.Second)
	require.Nil(t, h.overdue(), "it may be half a minute late")
	now = now.Add(10 * time.Second)
	require.EqualError(t, h.overdue(), "the look has given no sign of life for 1m40s; if that does not end, restart this process")
	h.expect("a", "the look", time.Minute)
	require.Nil(t, h.overdue())
	now = now.Add(time.Hour)
	require.Equal(t, "the worker", h.overdue().What, "it was due first")
	h.end("b")
	require.Equal(t, "the look", h.overdue().What)
	h.end("a")
	require.Nil(t, h.overdue())
}

// A probe that never ends is found out.
func TestStuckProbe(t *testing.T) {
	t.Parallel()
	b, _, _ := testBreaker(t)
	let := make(chan struct{})
	b.probe = func(context.Context) error { <-let; return nil }
	b.Start()
	require.Eventually(t, func() bool {
		b.beats.mu.Lock()
		defer b.beats.mu.Unlock()
		return len(b.beats.next) == 1
	}, 30*time.Second, time.Millisecond)
	b.beats.now = func() time.Time { return time.Now().Add(5 * time.Minute) }
	require.Equal(t, "the probe of the flight source", b.beats.overdue().What)
	close(let)
	require.Eventually(t, func() bool { return b.beats.overdue() == nil }, 30*time.Second, time.Millisecond)
}

// A loop whose work never ends is found out.
func TestStuckLoop(t *testing.T) {
	t.Parallel()
	h := &housekeeper{beats: newHeartbeats()}
	ctx, cancel := context.WithCancel(t.Context())
	entered, let := make(chan struct{}, 1), make(chan struct{})
	h.done.Go(func() {
		h.repeat(ctx, houseBeat, "the housekeeping", time.Second, func(context.Context) { entered <- struct{}{}; <-let })
	})
	<-entered
	require.Nil(t, h.beats.overdue())
	h.beats.now = func() time.Time { return time.Now().Add(time.Minute) }
	require.Equal(t, "the housekeeping", h.beats.overdue().What)
	cancel()
	close(let)
	h.done.Wait()
	require.Nil(t, h.beats.overdue())
}

// heldSource heeds no deadline.
type heldSource struct {
	FlightSource

	entered, let chan struct{}
}

func (s *heldSource) Flights(ctx context.Context, ids []string) (map[string]billing.Answer, error) {
	s.entered <- struct{}{}
	<-s.let
	return s.FlightSource.Flights(ctx, ids)
}

// A service at work gives the signs of life of all its parts. A pause of the queue is no
// stop of River's fetch, and another's leadership none of the look for runs.
func TestSignsOfLifeOfAService(t *testing.T) {
	t.Parallel()
	pool := OpenPool(t, dbtest.URL(t))
	_, err := db.EnsureSettings(t.Context(), pool, db.Settings{BillingStart: billing.NewDate(2026, 3, 3)}, time.Now())
	require.NoError(t, err)
	source := &heldSource{db.NewFlights(pool), make(chan struct{}, 1), make(chan struct{})}
	service, err := New(Config{
		Pool: pool, Source: source, Workers: 2, FlightWait: time.Hour, Schedules: WorkSchedules, LookEvery: time.Second, Now: time.Now,
		Stats: NewStats(), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	var ahead atomic.Int64
	service.beats.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	require.NoError(t, service.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, service.Stop(context.WithoutCancel(t.Context()))) })

	whats := func() (whats []string) {
		service.beats.mu.Lock()
		defer service.beats.mu.Unlock()
		for _, b := range service.beats.next {
			whats = append(whats, b.what)
		}
		return whats
	}
	signs := func() []string {
		service.beats.mu.Lock()
		defer service.beats.mu.Unlock()
		return slices.Sorted(maps.Keys(service.beats.next))
	}
	have := func(want ...string) {
		t.Helper()
		require.Eventually(t, func() bool { return slices.Equal(want, signs()) }, 30*time.Second, time.Millisecond, "%v", want)
	}
	have(fetchBeat, fitnessBeat, houseBeat, scheduleBeat, sweepBeat)
	require.NoError(t, service.Stuck(t.Context()))

	require.NoError(t, service.client.QueuePause(t.Context(), FlightsQueue, nil))
	have(fitnessBeat, houseBeat, scheduleBeat, sweepBeat)
	require.NoError(t, service.client.QueueResume(t.Context(), FlightsQueue, nil))
	have(fetchBeat, fitnessBeat, houseBeat, scheduleBeat, sweepBeat)

	service.beats.expect(scheduleBeat, scheduleLook, -time.Minute)
	require.Error(t, service.Stuck(t.Context()), "it leads")
	_, err = pool.Exec(t.Context(), `UPDATE river_leader SET leader_id = 'another'`)
	require.NoError(t, err)
	service.beats.expect(scheduleBeat, scheduleLook, -time.Minute)
	require.NoError(t, service.Stuck(t.Context()))

	// A worker whose flight source does not heed its deadline.
	_, err = pool.Exec(t.Context(), `INSERT INTO flight_processing_queue (flight_id) VALUES ('F1')`)
	require.NoError(t, err)
	<-source.entered
	require.Contains(t, whats(), "a worker of flights")
	require.NoError(t, service.Stuck(t.Context()))
	source.let <- struct{}{}
	require.Eventually(t, func() bool { return !slices.Contains(whats(), "a worker of flights") }, 30*time.Second, time.Millisecond)

	ahead.Store(int64(time.Hour))
	var stuck *StuckError
	require.ErrorAs(t, service.Stuck(t.Context()), &stuck)
	require.NoError(t, service.Stop(t.Context()))
	require.NoError(t, service.Stuck(t.Context()), "nothing is expected of what has stopped")
}
