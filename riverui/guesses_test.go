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

func TestWrongPasswordsAreAnsweredLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuessing(t)
		for i := range 300 {
			status, took := g.send(t, "192.0.2.1", fmt.Sprint("wrong", i))
			require.Equal(t, http.StatusUnauthorized, status)
			require.Equal(t, refusalDelay, took)
		}
		require.InDelta(t, 300, testutil.ToFloat64(g.unauthorized.WithLabelValues("wrong")), 0)
	})
}

// All at once, from one address, as behind a proxy: the right password is answered at once.
func TestTheRightPasswordIsAnsweredAtOnce(t *testing.T) {
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
		require.Equal(t, refusalDelay, time.Since(start))
		require.Zero(t, g.delayed)
	})
}

func TestManyAddressesTakeNoMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuessing(t)
		var attack sync.WaitGroup
		for i := range 3 * countedAddresses {
			attack.Go(func() { g.send(t, fmt.Sprintf("[2001:db8:%x::1]", i), "wrong") })
		}
		synctest.Wait()
		g.mu.Lock() // those delayed write when synthetic time goes on
		addresses, others, delayed := len(g.wrong), g.others, g.delayed
		g.mu.Unlock()
		require.Equal(t, countedAddresses, addresses)
		require.Equal(t, 2*countedAddresses, others)
		require.Equal(t, maxDelayed, delayed)
		attack.Wait()
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
		require.Equal(t, 50*refusalDelay, time.Since(start))
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
	synctest.Test(t, func(t *testing.T) {
		g := newGuessing(t)
		var sent sync.WaitGroup
		for range 8 {
			sent.Go(func() { g.send(t, "192.0.2.1", "wrong") })
		}
		synctest.Wait()
		start := time.Now()
		g.stop()
		sent.Wait()
		require.Zero(t, time.Since(start))
	})
	b := setup(t, withCredentials)
	b.do(t, http.MethodGet, "/", "", basicAuth("clerk", "wrong"))
	require.NoError(t, b.server.Shutdown(t.Context()))
	require.Contains(t, b.log.String(), "requests=1", "not a minute later")
}
