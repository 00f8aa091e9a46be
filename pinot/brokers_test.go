package pinot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// closedAddress is one that refuses connections.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func withClock(s *Source) *clock {
	c := &clock{at: time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)}
	s.brokers.now = c.now
	return c
}

func TestBrokersShareTheQueries(t *testing.T) {
	t.Parallel()
	a := newBroker(t, always(http.StatusOK, rowsBody(nil)))
	b := newBroker(t, always(http.StatusOK, rowsBody(nil)))
	s := newSource(t, Config{Brokers: []string{a.URL, b.URL}})
	for range 10 {
		_, err := s.Flight(t.Context(), "F1")
		require.NoError(t, err)
	}
	require.Len(t, a.asked(), 5)
	require.Len(t, b.asked(), 5)
}

func TestBrokerFailover(t *testing.T) {
	t.Parallel()
	down := recorded(t, "0.11-server-down")
	var answer atomic.Pointer[string]
	answer.Store(&down)
	failing := newBroker(t, func(*http.Request, string) (int, string) { return http.StatusOK, *answer.Load() })
	good := newBroker(t, always(http.StatusOK, rowsBody(nil)))
	var log strings.Builder
	s := newSource(t, Config{
		Brokers: []string{closedAddress(t), failing.URL, good.URL},
		Logger:  slog.New(slog.NewTextHandler(&log, nil)),
	})
	clock := withClock(s)
	for range 9 {
		_, err := s.Flight(t.Context(), "F1")
		require.NoError(t, err)
	}
	require.Len(t, good.asked(), 9)
	require.Len(t, failing.asked(), 1, "a broker that failed is tried last for a while")
	require.Equal(t, 2, strings.Count(log.String(), "gives no answer to rely on"), "only a change is logged:\n%s", log.String())

	clock.add(failedPause)
	for range 3 {
		_, err := s.Flight(t.Context(), "F1")
		require.NoError(t, err)
	}
	require.Len(t, failing.asked(), 2, "then it is tried again")
	require.Equal(t, 2, strings.Count(log.String(), "gives no answer to rely on"))

	up := rowsBody(nil)
	answer.Store(&up)
	clock.add(failedPause)
	for range 6 {
		_, err := s.Flight(t.Context(), "F1")
		require.NoError(t, err)
	}
	require.Greater(t, len(failing.asked()), 2)
	require.Equal(t, 1, strings.Count(log.String(), "answers again"))
}

func TestEveryBrokerFails(t *testing.T) {
	t.Parallel()
	closed := closedAddress(t)
	failing := newBroker(t, always(http.StatusBadGateway, ""))
	failing.asksNames = true
	s := newSource(t, Config{Brokers: []string{closed, failing.URL}})
	_, err := s.Flight(t.Context(), "F1")
	failure, ok := errors.AsType[*billing.Error](err)
	require.True(t, ok)
	require.Equal(t, billing.Outage, failure.Kind)
	require.ErrorContains(t, err, "broker "+closed+": ")
	require.ErrorContains(t, err, "connection refused; broker "+strings.TrimPrefix(failing.URL, "http://")+": HTTP status 502")
	require.Len(t, failing.asked(), 1, "each is tried once")
}

// fakeController names the brokers of tables, as the text it is given.
type fakeController struct {
	*httptest.Server

	answer   atomic.Pointer[string]
	requests atomic.Int64
}

func newController(t *testing.T, answer string) *fakeController {
	t.Helper()
	c := &fakeController{}
	c.answer.Store(&answer)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		text := *c.answer.Load()
		if r.Method != http.MethodGet || r.RequestURI != controllerPath || text == "" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(c.Close)
	return c
}

// tableAt is a controller's answer: flights is served by these brokers.
func tableAt(t *testing.T, urls ...string) string {
	t.Helper()
	var list []string
	for _, text := range urls {
		u, err := url.Parse(text)
		require.NoError(t, err)
		list = append(list, fmt.Sprintf(`{"port":%s,"host":%q,"instanceName":"Broker_%s_%s"}`, u.Port(), u.Hostname(), u.Hostname(), u.Port()))
	}
	return `{"other":[{"port":1,"host":"127.0.0.1","instanceName":"Broker_127.0.0.1_1"}],"flights":[` + strings.Join(list, ",") + `]}`
}

func TestControllerNamesTheBrokers(t *testing.T) {
	t.Parallel()
	b := newBroker(t, always(http.StatusOK, rowsBody(nil)))
	c := newController(t, tableAt(t, b.URL))
	for _, table := range []string{"flights", "flights_OFFLINE", "flights_REALTIME"} {
		s := newSource(t, Config{Controller: c.URL, Table: table})
		clock := withClock(s)
		before := c.requests.Load()
		for range 5 {
			_, err := s.Flight(t.Context(), "F1")
			require.NoError(t, err)
		}
		require.Equal(t, before+1, c.requests.Load(), "the list is kept")
		clock.add(listAge)
		_, err := s.Flight(t.Context(), "F1")
		require.NoError(t, err)
		require.Equal(t, before+2, c.requests.Load(), "and asked for again")

		gone := ""
		kept := c.answer.Swap(&gone)
		clock.add(listAge)
		_, err = s.Flight(t.Context(), "F1")
		require.NoError(t, err, "an old list serves while the controller is away")
		c.answer.Store(kept)
	}
}

func TestControllerIsAskedWhenAllBrokersFail(t *testing.T) {
	t.Parallel()
	old := closedAddress(t)
	b := newBroker(t, always(http.StatusOK, rowsBody(nil)))
	c := newController(t, tableAt(t, "http://"+old))
	s := newSource(t, Config{Controller: strings.TrimPrefix(c.URL, "http://")})
	clock := withClock(s)

	_, err := s.Flight(t.Context(), "F1")
	require.ErrorContains(t, err, "broker "+old)
	require.EqualValues(t, 1, c.requests.Load(), "not twice within a second")

	now := tableAt(t, b.URL)
	c.answer.Store(&now)
	clock.add(listPause)
	require.NoError(t, s.Probe(t.Context()), "the new broker is found within the same call")
	require.EqualValues(t, 2, c.requests.Load())
	require.Empty(t, s.brokers.failed, "brokers that are gone are forgotten")
}

func TestControllerFailures(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		"":                                      "HTTP status 500",
		"<html>":                                "not a list of brokers",
		`{"flights":[]}`:                        "it knows no online broker for table flights",
		`{"flights2":[]}`:                       "PINOT_TABLE: there is no table flights among the 1 that it knows",
		`{}`:                                    "PINOT_TABLE: there is no table flights: it knows no table at all",
		`{"flights":[{"host":"a b","port":1}]}`: "the address of a broker is not host:port",
		`{"flights":[{"host":"a","port":0}]}`:   "the address of a broker has a port that is not",
	} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			c := newController(t, answer)
			s := newSource(t, Config{Controller: c.URL})
			clock := withClock(s)
			for range 3 {
				_, err := s.Flight(t.Context(), "F1")
				failure, ok := errors.AsType[*billing.Error](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, billing.Outage, failure.Kind)
				require.ErrorContains(t, err, "controller "+strings.TrimPrefix(c.URL, "http://")+": "+want)
			}
			require.EqualValues(t, 1, c.requests.Load(), "once a second at most")
			clock.add(listPause)
			_, err := s.Flight(t.Context(), "F1")
			require.Error(t, err)
			require.EqualValues(t, 2, c.requests.Load())
		})
	}
}

func TestControllerTimesOut(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	c := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}))
	t.Cleanup(c.Close)
	t.Cleanup(func() { close(release) })
	address := strings.Replace(c.URL, "http://", "http://user:secret@", 1)
	s := newSource(t, Config{Controller: address, Timeout: 30 * time.Millisecond})

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	_, err := s.Flight(ctx, "F1")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.True(t, s.brokers.asked.IsZero(), "a caller that gave up says nothing about the controller")

	_, err = s.Flight(t.Context(), "F1")
	require.ErrorContains(t, err, "no answer within 30ms")
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.NotContains(t, err.Error(), "secret")

	s = newSource(t, Config{Controller: "http://user:secret@" + closedAddress(t)})
	_, err = s.Flight(t.Context(), "F1")
	require.ErrorContains(t, err, "connection refused")
	require.NotContains(t, err.Error(), "user")
}

// Many at once: one asks the controller, every flight is read, and connections are
// used again.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	b := newBroker(t, always(http.StatusOK, rowsBody(nil)))
	c := newController(t, tableAt(t, b.URL))
	s := newSource(t, Config{Controller: c.URL})
	var wg sync.WaitGroup
	errs := make(chan error, 320)
	for range 32 {
		wg.Go(func() {
			for range 10 {
				_, err := s.Flight(t.Context(), "F1")
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, c.requests.Load())
	require.Len(t, b.asked(), 320)
}

// A broker that closed the connection in between is no outage.
func TestConnectionClosedInBetween(t *testing.T) {
	t.Parallel()
	b := newBroker(t, always(http.StatusOK, rowsBody(nil)))
	s := newSource(t, Config{Brokers: []string{b.URL}})
	for range 50 {
		_, err := s.Flight(t.Context(), "F1")
		require.NoError(t, err)
		b.CloseClientConnections()
	}
}
