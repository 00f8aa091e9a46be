package jobs

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// probeStub is a source whose probes and reads find what the test says.
type probeStub struct {
	mu     sync.Mutex
	err    error  // of probes
	read   error  // of flights
	bad    string // a flight that cannot be read
	probes int
	asked  []string
}

func (*probeStub) Name() string { return "stub" }

func (s *probeStub) Probe(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probes++
	return s.err
}

func (s *probeStub) Flights(_ context.Context, ids []string) (map[string]billing.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := strings.Join(ids, " ")
	s.asked = append(s.asked, asked)
	if s.bad != "" && strings.Contains(asked, s.bad) {
		return nil, errAway
	}
	return nil, s.read
}

func (s *probeStub) set(probe, read error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.read = probe, read
}

var errAway = billing.SourceDown("stub", "is away", errors.New("connection refused"))

// testBreaker has two flights in line. Its log is read after synctest.Wait alone.
func testBreaker(t *testing.T) (*breaker, *probeStub, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	source := &probeStub{}
	b := newBreaker(source, func(context.Context, int32) ([]string, error) { return []string{"F1", "F2"}, nil },
		func(context.Context) (int64, error) { return 7, nil }, slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(b.Stop)
	return b, source, log
}

// goAway has the source found away.
func goAway(t *testing.T, b *breaker, source *probeStub) {
	t.Helper()
	source.set(errAway, errAway)
	require.True(t, b.Met(t.Context(), time.Now()))
	synctest.Wait() // until it has been logged
	require.NotNil(t, b.Outage())
	require.False(t, b.Closed())
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestBreakerClosesOnceAFlightIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, source, log := testBreaker(t)
		require.True(t, b.Closed())
		goAway(t, b, source)
		source.set(nil, errAway) // it answers probes, and no flights
		for range 10 {
			pass(probeInterval)
			require.False(t, b.Closed())
		}
		require.Contains(t, source.asked, "F1 F2")
		require.Contains(t, source.asked, "F1")
		source.set(nil, nil)
		pass(probeInterval)
		require.True(t, b.Closed())
		require.Nil(t, b.Outage())
		pass(steadyTime)
		require.Equal(t, 1, strings.Count(log.String(), "flight source is away"), log)
		require.Equal(t, 1, strings.Count(log.String(), "flight source is back"), log)
		require.Equal(t, 2, strings.Count(log.String(), "flights_waiting=7"), log)
		probes := source.probes
		pass(time.Minute)
		require.Equal(t, probes, source.probes, "nothing is probed without a reason")
	})
}

// One flight in line that can never be read keeps no other from being billed.
func TestBreakerClosesBesideABadFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, source, _ := testBreaker(t)
		goAway(t, b, source)
		source.bad = "F1"
		source.set(nil, nil)
		pass(probeInterval)
		require.True(t, b.Closed())
	})
}

func TestBreakerClosesWithoutFlights(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, source, _ := testBreaker(t)
		b.next = func(context.Context, int32) ([]string, error) { return nil, errors.New("the database is away") }
		goAway(t, b, source)
		source.set(nil, errAway)
		pass(probeInterval)
		require.True(t, b.Closed())
	})
}

// A source that comes and goes is told as one outage.
func TestBreakerOfASourceThatFlaps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, source, log := testBreaker(t)
		for range 5 {
			goAway(t, b, source)
			source.set(nil, nil)
			pass(probeInterval)
			require.True(t, b.Closed())
			pass(steadyTime / 2)
		}
		require.Equal(t, 1, strings.Count(log.String(), "flight source is away"), log)
		require.Zero(t, strings.Count(log.String(), "flight source is back"), log)
		pass(steadyTime)
		require.Equal(t, 1, strings.Count(log.String(), "flight source is back"), log)
		goAway(t, b, source)
		require.Equal(t, 2, strings.Count(log.String(), "flight source is away"), log)
	})
}

// Where a probe succeeds, the trouble is with the flights; but not where none can be read.
func TestBreakerDoubtsTheProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, source, log := testBreaker(t)
		source.set(nil, errAway)
		meet := func(times int) {
			for range times {
				require.False(t, b.Met(t.Context(), time.Now()))
				pass(time.Millisecond)
			}
		}
		meet(doubtful - 1)
		b.Answered()
		meet(doubtful - 1)
		require.True(t, b.Met(t.Context(), time.Now()))
		synctest.Wait()
		require.ErrorIs(t, b.Outage().Err, errAway)
		require.Equal(t, 1, strings.Count(log.String(), "flight source is away"), log)
	})
}

// What was asked before the probe that succeeded says nothing against it.
func TestBreakerIgnoresOldOutages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, source, _ := testBreaker(t)
		asked := time.Now()
		pass(time.Second)
		goAway(t, b, source)
		source.set(nil, nil)
		pass(probeInterval)
		probes := source.probes
		require.False(t, b.Met(t.Context(), asked))
		require.Equal(t, probes, source.probes)
		require.True(t, b.Closed())
	})
}

// A worker waits for a source that is away as long as it may, and is told why in vain.
func TestBreakerIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, source, _ := testBreaker(t)
		require.NoError(t, b.Wait(t.Context()))
		stopped, stop := context.WithCancel(t.Context())
		stop()
		b.mu.Lock()
		b.change(halfOpen)
		b.mu.Unlock()
		require.True(t, isOutage(b.Wait(stopped)), "where it is not known yet, this is no failure of the flight")
		b.mu.Lock()
		b.change(closed)
		b.mu.Unlock()
		goAway(t, b, source)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, b.Wait(ctx), errAway)
		require.Equal(t, time.Minute, time.Since(began))
		time.AfterFunc(time.Minute, func() { source.set(nil, nil) })
		require.NoError(t, b.Wait(t.Context()))
	})
}

// A Pinot that was away at the start, and is back with another table.
func TestBreakerTellsOfAMisfit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, source, log := testBreaker(t)
		source.set(errAway, nil)
		b.Start()
		synctest.Wait()
		source.set(errors.New("PINOT_COLUMNS: column operator does not fit"), nil)
		pass(3 * probeInterval)
		require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"), log)
		require.Contains(t, log.String(), "does not fit its settings")
		require.Contains(t, log.String(), "PINOT_COLUMNS: column operator")
		require.False(t, b.Closed())
	})
}
