package riverui

import (
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRiverUIIsServed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.insert(t, "the one to find")

	res, body := b.do(t, "GET", "/", "")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Contains(t, body, "<title>River</title>")
	script := regexp.MustCompile(`<script type="module" src="([^"]+)"`).FindStringSubmatch(body)
	require.NotNil(t, script, body)
	res, body = b.do(t, "GET", script[1], "")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Contains(t, res.Header.Get("Content-Type"), "javascript")
	require.Greater(t, len(body), 10_000)

	// A page of the UI's own, as when it is loaded again there.
	res, body = b.do(t, "GET", "/jobs", "")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Contains(t, body, "<title>River</title>")

	res, body = b.do(t, "GET", "/api/jobs?state=available", "")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Contains(t, body, `"kind":"riverui_test"`)
	require.Contains(t, body, "the one to find")
	require.Contains(t, body, `"queue":"flights"`)

	res, body = b.do(t, "GET", "/api/states", "")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Contains(t, body, `"available":{"accuracy":"exact","count":1,`)
}

// They query the database for ever.
func TestCountsAreStartedByTheFirstWhoLooks(t *testing.T) {
	t.Parallel()
	b := &testBundle{log: &syncWriter{}}
	server, err := New(b.config(t))
	require.NoError(t, err)
	var started atomic.Int64
	server.startCounts = func() { started.Add(1) }
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/"} {
		require.Equal(t, http.StatusOK, serve(t, server.http.Handler, path, host("localhost")).Code, path)
	}
	require.Zero(t, started.Load())
	require.Equal(t, http.StatusOK, serve(t, server.http.Handler, "/api/states", host("localhost")).Code)
	require.EqualValues(t, 1, started.Load())
}

func TestURL(t *testing.T) {
	t.Parallel()
	base := (&testBundle{log: &syncWriter{}}).config(t)
	for addr, want := range map[string]string{
		"":                "http://127.0.0.1:8080/",
		"127.0.0.1:8081":  "http://127.0.0.1:8081/",
		"localhost:8080":  "http://localhost:8080/",
		"[::1]:8080":      "http://[::1]:8080/",
		":8080":           "http://127.0.0.1:8080/",
		"0.0.0.0:8080":    "http://127.0.0.1:8080/",
		"[::]:8080":       "http://127.0.0.1:8080/",
		"192.0.2.1:8080":  "http://192.0.2.1:8080/",
		"billing.ex:8080": "http://billing.ex:8080/",
	} {
		config := base
		config.Addr, config.User, config.Password = addr, "clerk", "secret"
		server, err := New(config)
		require.NoError(t, err)
		require.Equal(t, want, server.URL())
	}
}

func TestFreePortIsPicked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Regexp(t, `^http://127\.0\.0\.1:[1-9][0-9]+/$`, b.server.URL())
	require.Contains(t, b.log.String(), "url="+b.server.URL()+" credentials=false")
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	config := b.config(t)
	config.Addr = strings.TrimPrefix(b.base, "http://")
	second, err := New(config)
	require.NoError(t, err)
	err = second.Start(t.Context())
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.ErrorContains(t, err, "FLIGHTBILL_HTTP_ADDR: cannot listen on "+config.Addr)
	require.NoError(t, second.Shutdown(t.Context()))
}

func TestStartTwice(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, setup(t).server.Start(t.Context()), "started already")
}

// The name may have got another address since Validate looked it up.
func TestWhatIsListenedOnMustBeLoopback(t *testing.T) {
	t.Parallel()
	server, err := New((&testBundle{log: &syncWriter{}}).config(t))
	require.NoError(t, err)
	server.config.Addr = "0.0.0.0:0"
	require.ErrorContains(t, server.Start(t.Context()), "FLIGHTBILL_HTTP_USER")
	require.NoError(t, server.Shutdown(t.Context()))
}

func TestListensElsewhereWithCredentials(t *testing.T) {
	t.Parallel()
	b := setup(t, withCredentials, func(c *Config) { c.Addr = "0.0.0.0:0" })
	res, _ := b.do(t, "GET", "/", "")
	require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	res, _ = b.do(t, "GET", "/", "", basicAuth("clerk", "tüp:elo"))
	require.Equal(t, http.StatusOK, res.StatusCode)
}

func TestServesAfterStartsContextEnds(t *testing.T) {
	t.Parallel()
	server, err := New((&testBundle{log: &syncWriter{}}).config(t))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, server.Start(ctx))
	cancel()
	require.Contains(t, get(t, server.URL()+"healthz"), "ok")
	require.NoError(t, server.Shutdown(t.Context()))
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	b := setup(t, func(c *Config) {
		c.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-release
			_, _ = io.WriteString(w, "finished")
		})
	})
	body, stopped := make(chan string, 1), make(chan error, 1)
	go func() { body <- get(t, b.base+"/metrics") }()
	<-entered
	go func() { stopped <- b.server.Shutdown(t.Context()) }()
	require.Eventually(t, func() bool { return refused(t, b.base) }, 10*time.Second, time.Millisecond, "still listens")
	require.Empty(t, stopped, "did not wait for the request")
	close(release)
	require.Equal(t, "finished", <-body)
	require.NoError(t, <-stopped)
	require.NoError(t, b.server.Shutdown(t.Context()), "a second time")
}

func TestShutdownCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	entered, cut := make(chan struct{}), make(chan struct{})
	b := setup(t, func(c *Config) {
		c.Metrics = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done()
			close(cut)
		})
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		get(t, b.base+"/metrics")
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, b.server.Shutdown(ctx), context.DeadlineExceeded)
	<-cut
	<-done
}

// goleak, in TestMain, sees whether the counts end.
func TestShutdownEndsTheCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res, _ := b.do(t, "GET", "/api/states", "")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.NoError(t, b.server.Shutdown(t.Context()))
	require.NotContains(t, b.log.String(), "level=ERROR")
}

func TestPanicsAreLogged(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) {
		c.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken collector") })
	})
	get(t, b.base+"/metrics")
	require.Contains(t, b.log.String(), "level=WARN")
	require.Contains(t, b.log.String(), "broken collector")
}

func TestRiverUIsOwnLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	res, _ := b.do(t, "GET", "/api/jobs/987654321", "")
	require.Equal(t, http.StatusNotFound, res.StatusCode)
	require.NotContains(t, b.log.String(), "API error response")

	_, err := b.owner.Exec(t.Context(), "ALTER TABLE river_queue RENAME TO gone")
	require.NoError(t, err)
	res, body := b.do(t, "GET", "/api/queues", "")
	require.Equal(t, http.StatusInternalServerError, res.StatusCode)
	require.NotContains(t, body, "river_queue")
	require.Contains(t, b.log.String(), "level=ERROR")
	require.Contains(t, b.log.String(), "river_queue")
}

// get returns the body of an answer, or what went wrong.
func get(t *testing.T, url string) string {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}

func refused(t *testing.T, base string) bool {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(base, "http://"))
	if err == nil {
		_ = conn.Close()
	}
	return err != nil
}

// With the rights of flightbill_server, which every test here has, each button works.
func TestEveryButtonWorks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.owner.Exec(t.Context(), `INSERT INTO river_queue (name) VALUES ('flights')`)
	require.NoError(t, err)
	for _, request := range [][3]string{
		{"POST", "/api/jobs/cancel", ids(b.insert(t, "cancelled"))},
		{"POST", "/api/jobs/retry", ids(b.insert(t, "retried"))},
		{"POST", "/api/jobs/delete", ids(b.insert(t, "deleted"))},
		{"PUT", "/api/queues/flights/pause", ""},
		{"PUT", "/api/queues/flights/resume", ""},
		{"PATCH", "/api/queues/flights", "{}"},
		{"GET", "/api/queues", ""},
		{"GET", "/api/queues/flights", ""},
		{"GET", "/api/jobs?state=available", ""},
		{"GET", "/api/states", ""},
		{"GET", "/api/features", ""},
	} {
		res, body := b.do(t, request[0], request[1], request[2], header("Content-Type", "application/json"))
		require.Equal(t, http.StatusOK, res.StatusCode, "%s: %s", request, body)
	}
	require.NotContains(t, b.log.String(), "permission denied")
}
