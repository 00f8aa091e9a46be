package jobs

import (
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

// probeStub is a source whose probes find what the test says.
type probeStub struct {
	FlightSource

	mu     sync.Mutex
	err    error
	probes int
}

func (*probeStub) Name() string { return "stub" }

func (s *probeStub) Probe(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probes++
	return s.err
}

func (s *probeStub) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func newTestGate(t *testing.T, source *probeStub) (*sourceGate, *strings.Builder) {
	t.Helper()
	log := &strings.Builder{}
	g := newSourceGate(source, func(context.Context) (int64, error) { return 7, nil }, slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(g.Stop)
	return g, log
}

var errAway = billing.SourceDown("stub", "is away", errors.New("connection refused"))

// goAway has the source found away.
func goAway(t *testing.T, g *sourceGate, source *probeStub) {
	t.Helper()
	source.set(errAway)
	g.Met(time.Now(), errAway)
	synctest.Wait()
	require.NotNil(t, g.Outage())
	require.Zero(t, g.Take(5))
}

func TestGateComesBackWithOneFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &probeStub{}
		g, log := newTestGate(t, source)
		require.Equal(t, 5, g.Take(5))
		goAway(t, g, source)

		// It answers probes and no flights, for a while.
		source.set(nil)
		for range 10 {
			time.Sleep(probeInterval)
			synctest.Wait()
			require.Equal(t, 1, g.Take(5), "one flight shows whether it is back")
			require.Zero(t, g.Take(5))
			g.Untaken()
			require.Equal(t, 1, g.Take(5), "there was none")
			g.Met(time.Now(), errAway)
			synctest.Wait()
			require.Zero(t, g.Take(5))
			require.NotNil(t, g.Outage())
		}
		time.Sleep(probeInterval)
		synctest.Wait()
		require.Equal(t, 1, g.Take(5))
		g.Read(time.Now())
		require.Equal(t, 5, g.Take(5))
		require.Nil(t, g.Outage())
		synctest.Wait()
		require.Equal(t, 1, strings.Count(log.String(), "flight source is away"), log)
		require.Equal(t, 1, strings.Count(log.String(), "flight source is back"), log)
		require.Equal(t, 2, strings.Count(log.String(), "flights_waiting=7"), log)
	})
}

func TestGateOpensWithoutFlights(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &probeStub{}
		g, _ := newTestGate(t, source)
		goAway(t, g, source)
		source.set(nil)
		time.Sleep(probeInterval + trialTime)
		synctest.Wait()
		require.Nil(t, g.Outage())
		require.Equal(t, 5, g.Take(5))
		probes := source.probes
		time.Sleep(time.Minute)
		require.Equal(t, probes, source.probes, "nothing is probed without a reason")
	})
}

// A flight that never tells how it went does not keep the others waiting.
func TestGateOpensWhereItsFlightIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &probeStub{}
		g, _ := newTestGate(t, source)
		goAway(t, g, source)
		source.set(nil)
		time.Sleep(probeInterval)
		synctest.Wait()
		require.Equal(t, 1, g.Take(5))
		time.Sleep(trialTime + fetchTimeout)
		synctest.Wait()
		require.Equal(t, 5, g.Take(5))
	})
}

// What was asked before the probe that succeeded says nothing against it.
func TestGateIgnoresOldOutages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &probeStub{}
		g, log := newTestGate(t, source)
		asked := time.Now()
		goAway(t, g, source)
		source.set(nil)
		time.Sleep(probeInterval)
		synctest.Wait()
		g.Met(asked, errAway)
		require.Equal(t, 1, g.Take(5))
		g.Read(asked)
		require.NotNil(t, g.Outage(), "nor for it")
		g.Read(time.Now())
		probes := source.probes
		g.Met(asked, errAway)
		synctest.Wait()
		require.Equal(t, probes, source.probes)
		require.Equal(t, 5, g.Take(5))
		require.Equal(t, 1, strings.Count(log.String(), "flight source is away"), log)
	})
}

// A source that answers probes, and no flights.
func TestGateDoubtsTheProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &probeStub{}
		g, log := newTestGate(t, source)
		for range doubtful - 1 {
			g.Met(time.Now(), errAway)
			synctest.Wait()
			time.Sleep(time.Millisecond)
			require.Equal(t, 5, g.Take(5), "as yet it may be those flights")
		}
		g.Read(time.Now())
		for range doubtful - 1 {
			g.Met(time.Now(), errAway)
			synctest.Wait()
			time.Sleep(time.Millisecond)
		}
		require.Nil(t, g.Outage(), "one was read in between")
		g.Met(time.Now(), errAway)
		synctest.Wait()
		require.NotNil(t, g.Outage())
		require.ErrorIs(t, g.Outage().Err, errAway)
		require.Zero(t, g.Take(5))
		require.Equal(t, 1, strings.Count(log.String(), "flight source is away"), log)
	})
}

// A Pinot that was away at the start, and is back with another table.
func TestGateTellsOfAMisfit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &probeStub{}
		g, log := newTestGate(t, source)
		goAway(t, g, source)
		source.set(errors.New("PINOT_COLUMNS: column operator does not fit"))
		time.Sleep(3 * probeInterval)
		synctest.Wait()
		require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"), log)
		require.Contains(t, log.String(), "does not fit its settings")
		require.Contains(t, log.String(), "PINOT_COLUMNS: column operator")
		require.Zero(t, g.Take(5))
	})
}
