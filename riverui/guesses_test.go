package riverui

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// guessing is what needs credentials, in a bubble of synthetic time.
type guessing struct {
	*guesses

	handler http.Handler
	log     *syncWriter
}

func newGuessing(t *testing.T) *guessing {
	t.Helper()
	log := &syncWriter{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	g := &guessing{guesses: newGuesses(logger), log: log}
	g.handler = newCredentials("clerk", "right", g.guesses).require(http.HandlerFunc(healthz), logger)
	t.Cleanup(g.stop)
	return g
}

// send returns the answer's status, and how long it took.
func (g *guessing) send(t *testing.T, from, password string) (status int, took time.Duration) {
	t.Helper()
	start := time.Now()
	status = serve(t, g.handler, "/", basicAuth("clerk", password), func(r *http.Request) { r.RemoteAddr = from + ":4711" }).Code
	return status, time.Since(start)
}

func TestWrongPasswordsAreSlowedDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuessing(t)
		for i := range 300 {
			status, took := g.send(t, "192.0.2.1", fmt.Sprint("wrong", i))
			require.Equal(t, http.StatusUnauthorized, status)
			if i < addressAtOnce {
				require.Zero(t, took, "whoever mistypes is not slowed down")
			} else {
				require.Equal(t, addressEvery, took)
			}
		}
		_, took := g.send(t, "192.0.2.2", "wrong")
		require.Zero(t, took, "from elsewhere")
		require.InDelta(t, 301, testutil.ToFloat64(g.unauthorized.WithLabelValues("wrong")), 0)
		time.Sleep(time.Minute)
		_, took = g.send(t, "192.0.2.1", "wrong")
		require.Zero(t, took, "it is over")
	})
}

// All at once, from one address, as behind a proxy: the right password is answered at once.
func TestTheRightPasswordIsNeverSlowedDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuessing(t)
		var answered atomic.Int64
		var attack sync.WaitGroup
		for range maxDelayed + 1000 {
			attack.Go(func() {
				g.send(t, "192.0.2.1", "wrong")
				answered.Add(1)
			})
		}
		synctest.Wait()
		require.EqualValues(t, 1000, answered.Load(), "those beyond wait for nothing, and leave connections")
		for _, from := range []string{"192.0.2.1", "192.0.2.7"} {
			status, took := g.send(t, from, "right")
			require.Equal(t, http.StatusOK, status)
			require.Zero(t, took)
		}
		start := time.Now()
		attack.Wait()
		require.Equal(t, maxDelay, time.Since(start).Round(time.Second), "and no longer than that")
		require.Zero(t, g.delayed)
	})
}

func TestManyAddressesAreSlowedDownTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuessing(t)
		var attack sync.WaitGroup
		for i := range 3 * countedAddresses {
			attack.Go(func() { g.send(t, fmt.Sprintf("[2001:db8:%x::1]", i), "wrong") })
		}
		synctest.Wait()
		require.Len(t, g.wrong, countedAddresses, "memory")
		require.Equal(t, 2*countedAddresses, g.others)
		attack.Wait()
		time.Sleep(wholeEvery * wholeAtOnce)
		start := time.Now()
		for i := range 200 {
			g.send(t, fmt.Sprintf("192.0.2.%d", i), "wrong")
		}
		require.GreaterOrEqual(t, time.Since(start), (200-wholeAtOnce)*wholeEvery)
	})
	synctest.Test(t, func(t *testing.T) {
		g := newGuessing(t) // of one network of IPv6, as one may have it
		start := time.Now()
		for i := range 40 {
			g.send(t, fmt.Sprintf("[2001:db8::%x]", i), "wrong")
		}
		require.Equal(t, (40-addressAtOnce)*addressEvery, time.Since(start))
	})
}

func TestWrongPasswordsAreLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuessing(t)
		for i := range 8 {
			for range i + 1 {
				serve(t, g.handler, "/", basicAuth("typed-into-the-wrong-field", "s3cr3t"), func(r *http.Request) {
					r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", i)
					r.Header.Set("X-Forwarded-For", "198.51.100.1\nlevel=ERROR")
				})
			}
		}
		g.send(t, "[fe80::1%\x1b[31m]", "wrong")
		time.Sleep(2 * logEvery)
		lines := strings.Split(strings.TrimSpace(g.log.String()), "\n")
		require.NotEmpty(t, lines)
		require.Equal(t, len(lines), strings.Count(g.log.String(), "wrong credentials sent"))
		require.Contains(t, lines[0], `requests=37 remote="192.0.2.7 (8), 192.0.2.6 (7), 192.0.2.5 (6), 192.0.2.4 (5), 192.0.2.3 (4), others (7)"`)
		for _, text := range []string{"s3cr3t", "typed", "198.51", "\x1b"} {
			require.NotContains(t, g.log.String(), text)
		}
		require.Len(t, lines, 1)
		time.Sleep(time.Hour)
		require.Equal(t, 1, strings.Count(g.log.String(), "\n"), "then nobody did")
		g.send(t, "192.0.2.1", "wrong")
		g.stop()
		require.Equal(t, 2, strings.Count(g.log.String(), "\n"), "and at the end")
	})
}

// /readyz shows its details to who has the credentials; so it tells which are right.
func TestReadyzIsNoWayToTryPasswords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuessing(t)
		p := &readiness{logger: discard, credentials: newCredentials("clerk", "right", g.guesses), degraded: func() (note, details string) { return "waits", "why" }}
		p.check = func(context.Context) error { return nil }
		start := time.Now()
		for range 50 {
			require.Equal(t, "ready, but waits\n", serve(t, p, "/readyz", basicAuth("clerk", "wrong")).Body.String())
		}
		require.Equal(t, (50-addressAtOnce)*addressEvery, time.Since(start))
		start = time.Now()
		require.Equal(t, "ready, but waits\n", serve(t, p, "/readyz").Body.String(), "a probe")
		require.Equal(t, "ready, but waits: why\n", serve(t, p, "/readyz", basicAuth("clerk", "right")).Body.String())
		require.Zero(t, time.Since(start))
		require.InDelta(t, 50, testutil.ToFloat64(g.unauthorized.WithLabelValues("wrong")), 0)
		require.InDelta(t, 0, testutil.ToFloat64(g.unauthorized.WithLabelValues("none")), 0)
	})
}

func TestShutdownWaitsForNoWrongPassword(t *testing.T) {
	t.Parallel()
	b := setup(t, withCredentials)
	var sent sync.WaitGroup
	for range 8 {
		sent.Go(func() {
			req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, b.base, nil)
			if err != nil {
				return
			}
			req.SetBasicAuth("clerk", "wrong")
			if res, err := b.http.Do(req); err == nil {
				_ = res.Body.Close()
			}
		})
	}
	require.Eventually(t, func() bool {
		b.server.guesses.mu.Lock()
		defer b.server.guesses.mu.Unlock()
		return b.server.guesses.delayed == 3
	}, 10*time.Second, time.Millisecond)
	start := time.Now()
	require.NoError(t, b.server.Shutdown(t.Context()))
	require.Less(t, time.Since(start), time.Second)
	sent.Wait()
	require.Contains(t, b.log.String(), "requests=8")
}
