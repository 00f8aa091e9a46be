package jobs

import (
	"context"
	"errors"
	"fmt"
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
	FlightSource // nil: what it does not have is not called

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

// testBreaker has two flights in line.
func testBreaker(t *testing.T) (*breaker, *probeStub, *LogBuffer) {
	t.Helper()
	log := &LogBuffer{}
	source := &probeStub{}
	b := newBreaker(source, func(context.Context, int32) ([]string, error) { return []string{"F1", "F2"}, nil },
		func(context.Context) (int64, error) { return 7, nil }, newHeartbeats(), log.Logger())
	t.Cleanup(b.Stop)
	return b, source, log
}

// goAway has the source found away.
func goAway(t *testing.T, b *breaker, source *probeStub) {
	t.Helper()
	source.set(errAway, errAway)
	require.True(t, b.Met(t.Context(), time.Now(), errAway))
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
		require.Equal(t, 1, log.Count("flight source is away"), log)
		require.Equal(t, 1, log.Count("flight source is back"), log)
		require.Equal(t, 2, log.Count("flights_waiting=7"), log)
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
		require.Equal(t, 1, log.Count("flight source is away"), log)
		require.Zero(t, log.Count("flight source is back"), log)
		pass(steadyTime)
		require.Equal(t, 1, log.Count("flight source is back"), log)
		goAway(t, b, source)
		require.Equal(t, 2, log.Count("flight source is away"), log)
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
				require.False(t, b.Met(t.Context(), time.Now(), errAway))
				pass(time.Millisecond)
			}
		}
		meet(doubtful - 1)
		b.Answered()
		meet(doubtful - 1)
		require.True(t, b.Met(t.Context(), time.Now(), errAway))
		synctest.Wait() // until it has been logged
		require.ErrorIs(t, b.Outage().Err, errAway)
		require.Equal(t, 1, log.Count("flight source is away"), log)
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
		require.False(t, b.Met(t.Context(), asked, errAway))
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

var (
	errQuota  = billing.SourceDown("stub", "is away", fmt.Errorf("broker a: %w", caused{billing.CauseQuota, "exception 429"}))
	errMisfit = billing.SourceMisfit("stub", errors.New("PINOT_TOKEN: broker a answers with HTTP status 401"))
)

// caused is an error that knows its cause.
type caused struct {
	cause billing.Cause
	text  string
}

func (c caused) Error() string              { return c.text }
func (c caused) OutageCause() billing.Cause { return c.cause }

// A source whose quota is used up is not probed: after pauses that grow, flights are read.
func TestBreakerOfAQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, source, log := testBreaker(t)
		source.set(errQuota, errQuota)
		for _, seconds := range []int{1, 2, 4, 8, 16, 30, 30} {
			pause := time.Duration(seconds) * time.Second
			require.True(t, b.Met(t.Context(), time.Now(), errQuota))
			require.Equal(t, billing.CauseQuota, b.Outage().Cause)
			require.False(t, b.Outage().Misfit())
			pass(pause - time.Millisecond)
			require.False(t, b.Closed(), pause)
			pass(time.Millisecond)
			require.True(t, b.Closed(), pause)
			require.Nil(t, b.Outage())
		}
		require.Zero(t, source.probes)
		require.Empty(t, source.asked)
		require.Equal(t, 1, log.Count("level=WARN"), log)
		require.Contains(t, log.String(), "its quota is used up")
		require.Contains(t, log.String(), "cause=quota")
		pass(time.Minute)
		require.NotContains(t, log.String(), "source is back", "no flight has been read")
		b.Answered()
		pass(steadyTime)
		require.Equal(t, 1, log.Count("flight source is back"), log)
		require.True(t, b.Met(t.Context(), time.Now(), errQuota))
		pass(time.Second)
		require.True(t, b.Closed(), "and the pause begins anew")
	})
}

// Where the first probe of all is refused for a quota, the source is there.
func TestBreakerStartsUnderAQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, source, _ := testBreaker(t)
		source.set(errQuota, errQuota)
		b.Start()
		pass(time.Second)
		require.True(t, b.Closed())
		require.Equal(t, 1, source.probes)
	})
}

// What only a change of settings mends is probed slowly, and over as soon as that is done.
func TestBreakerOfAMisfit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, source, log := testBreaker(t)
		source.set(errMisfit, errMisfit)
		require.True(t, b.Met(t.Context(), time.Now(), errMisfit))
		require.True(t, b.Outage().Misfit())
		pass(10 * time.Minute)
		require.Less(t, source.probes, 50)
		require.Equal(t, 1, log.Count("level=ERROR"), log)
		require.Contains(t, log.String(), "cause=configuration")
		source.set(nil, nil)
		pass(misfitInterval)
		require.True(t, b.Closed())
		pass(steadyTime)
		require.Contains(t, log.String(), "flight source is back")
	})
}

// Each cause of one outage is told of, once.
func TestBreakerTellsEachCause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, source, log := testBreaker(t)
		goAway(t, b, source)
		gap := billing.SourceDown("stub", "is away", caused{billing.CauseIncomplete, "exception 305"})
		for range 3 {
			source.set(gap, nil)
			pass(probeInterval)
			require.Equal(t, billing.CauseIncomplete, b.Outage().Cause)
			source.set(errAway, nil)
			pass(probeInterval)
		}
		require.Equal(t, 1, log.Count("flight source is away"), log)
		require.Equal(t, 1, log.Count("still gone, for another cause"), log)
		require.Contains(t, log.String(), "exception 305")
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
		require.Equal(t, 1, log.Count("level=ERROR"), log)
		require.Contains(t, log.String(), "does not fit its settings")
		require.Contains(t, log.String(), "PINOT_COLUMNS: column operator")
		require.False(t, b.Closed())
	})
}
