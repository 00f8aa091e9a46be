package riverui

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var discard = slog.New(slog.DiscardHandler)

// serve asks a handler without a network.
func serve(t *testing.T, handler http.Handler, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for _, c := range change {
		c(req)
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, req)
	return recorder
}

func TestHealthz(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Ready = func(context.Context) error { return errDatabase } })
	res, body := b.do(t, "GET", "/healthz", "")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "ok\n", body)
}

func TestReadyz(t *testing.T) {
	t.Parallel()
	var fails atomic.Bool
	ready := func(c *Config) {
		c.Ready = func(context.Context) error {
			if fails.Load() {
				return errDatabase
			}
			return nil
		}
	}
	open, closed := setup(t, ready), setup(t, ready, withCredentials)
	ask := func(b *testBundle, status int, text string, change ...func(*http.Request)) {
		t.Helper()
		res, body := b.do(t, "GET", "/readyz", "", change...)
		require.Equal(t, status, res.StatusCode)
		require.Equal(t, text+"\n", body)
	}

	ask(open, http.StatusOK, "ready")
	ask(closed, http.StatusOK, "ready")
	require.NotContains(t, open.log.String(), "ready again")

	fails.Store(true)
	ask(open, http.StatusServiceUnavailable, errDatabase.Error())
	// Its message names the database's address.
	ask(closed, http.StatusServiceUnavailable, "not ready")
	ask(closed, http.StatusServiceUnavailable, "not ready", basicAuth("clerk", "wrong"))
	ask(closed, http.StatusServiceUnavailable, errDatabase.Error(), basicAuth("clerk", "tüp:elo"))
	require.Equal(t, 1, strings.Count(closed.log.String(), errDatabase.Error()), "logged once, not at each probe")

	fails.Store(false)
	ask(open, http.StatusOK, "ready")
	ask(closed, http.StatusOK, "ready")
	require.Equal(t, 1, strings.Count(closed.log.String(), "ready again"))
}

func TestReadyzEndsACheckThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &readiness{logger: discard, check: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		start := time.Now()
		require.Equal(t, http.StatusServiceUnavailable, serve(t, p, "/readyz").Code)
		require.Equal(t, readyTimeout, time.Since(start))
	})
}

// Anonymous requests must not take the connections that the workers need.
func TestReadyzChecksOnceForAllWhoAsk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var checks atomic.Int64
		p := &readiness{logger: discard, check: func(ctx context.Context) error {
			checks.Add(1)
			time.Sleep(time.Second)
			return context.Cause(ctx)
		}}
		var wg sync.WaitGroup
		ask := func(ctx context.Context) {
			wg.Go(func() {
				code := serve(t, p, "/readyz", func(r *http.Request) { *r = *r.WithContext(ctx) }).Code
				assert.Equal(t, http.StatusOK, code)
			})
			synctest.Wait()
		}
		first, giveUp := context.WithCancel(t.Context())
		ask(first)
		for range 20 {
			ask(t.Context())
		}
		giveUp() // which ends nobody else's check
		wg.Wait()
		require.EqualValues(t, 1, checks.Load())
	})
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res, body := b.do(t, "GET", "/metrics", "")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "flightbill_flights_total 1\n", body)
}
