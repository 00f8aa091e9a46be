package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

// process is a flightbill of its own, to be killed.
type process struct {
	*exec.Cmd

	client string // River's name of it
	mu     sync.Mutex
	output strings.Builder
	ended  chan struct{}
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// startServe starts "flightbill serve" and waits until it works.
func startServe(t *testing.T, env ...string) *process {
	t.Helper()
	p := startProcess(t, []string{"serve"}, env...)
	eventually(t, "serve works", func() bool { return strings.Contains(p.said(), "flightbill is working") })
	return p
}

func startProcess(t *testing.T, args []string, env ...string) *process {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	p := &process{Cmd: exec.Command(binary, args...), ended: make(chan struct{})}
	p.Env = append(os.Environ(), asCommand+"=1", "FLIGHTBILL_HTTP_ADDR=127.0.0.1:0", "FLIGHTBILL_RESULTS=")
	p.Env = append(p.Env, env...)
	p.Stdout, p.Stderr = p, p
	require.NoError(t, p.Start())
	go func() {
		_ = p.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Log(p.said())
		}
	})
	return p
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 2*time.Minute, 20*time.Millisecond, what)
}

// queueDatabase is a database with flights of one customer, not yet enqueued.
func queueDatabase(t *testing.T, flights int) (url string, pool *pgxpool.Pool) {
	t.Helper()
	url = dbtest.URL(t)
	pool, err := db.Open(t.Context(), url, db.Options{SearchPath: db.Schema})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	fillQueueDatabase(t, pool, flights)
	return url, pool
}

func fillQueueDatabase(t *testing.T, pool *pgxpool.Pool, flights int) {
	t.Helper()
	_, err := pool.Exec(t.Context(), `
		WITH c AS (INSERT INTO customers (code, name, billing_frequency) VALUES ('EACH', 'Single Air', 'per_flight') RETURNING id)
		INSERT INTO customer_operators SELECT 'EACH', id FROM c`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		INSERT INTO tariffs (code, basis, applies_to, unit_rate, currency, valid_from) VALUES ('FEE', 'per_flight', 'any', 5, 'EUR', '2012-01-01')`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		INSERT INTO flights (flight_id, operator, landed_at) SELECT 'F' || i, 'EACH', '2013-01-02' FROM generate_series(1, $1::int) i`, flights)
	require.NoError(t, err)
}

func number(t *testing.T, pool *pgxpool.Pool, sql string) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(context.Background(), sql).Scan(&n))
	return n
}

const enqueueAll = `INSERT INTO flight_processing_queue (flight_id) SELECT flight_id FROM flights`

// holdFlights keeps every fetch from the table flights waiting until release is
// called.
func holdFlights(t *testing.T, pool *pgxpool.Pool) (release func()) {
	t.Helper()
	tx, err := pool.Begin(context.Background())
	require.NoError(t, err)
	_, err = tx.Exec(context.Background(), `LOCK TABLE flights IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)
	release = sync.OnceFunc(func() { require.NoError(t, tx.Commit(context.Background())) })
	t.Cleanup(release)
	return release
}

// Killed at work: another process takes up what it had in hand. Nothing is
// lost, nothing billed twice, and the invoice numbers have no gap.
func TestServeKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits about a minute for the rescue of a killed process's flights: not with -short")
	}
	url, pool := queueDatabase(t, 300)
	killed := startServe(t, "DATABASE_URL="+url)
	release := holdFlights(t, pool)
	enqueued, err := pool.Exec(t.Context(), `SELECT enqueue_flights(array_agg('F' || i)) FROM generate_series(1, 300) i`)
	require.NoError(t, err, enqueued)
	eventually(t, "five flights are in its hands", func() bool {
		return number(t, pool, `SELECT count(*) FROM river_job WHERE kind = 'ingest_flight' AND state = 'running'`) == 5
	})
	require.NoError(t, killed.Process.Kill())
	<-killed.ended
	release()

	startServe(t, "DATABASE_URL="+url)
	eventually(t, "all flights are billed", func() bool { return number(t, pool, `SELECT count(*) FROM billed_flights`) == 300 })
	require.Equal(t, 300, number(t, pool, `SELECT count(*) FROM charges`))
	require.Equal(t, 300, number(t, pool, `SELECT count(DISTINCT number) FROM invoices WHERE status = 'PENDING'`))
	require.Equal(t, 300, number(t, pool, `SELECT max(right(number, 6)::int) FROM invoices`))
	require.Equal(t, 5, number(t, pool, `SELECT count(*) FROM river_job WHERE kind = 'ingest_flight' AND attempt = 2`), "the rescued ones")
}

// Two processes on one database share the work.
func TestServeTwice(t *testing.T) {
	t.Parallel()
	url, pool := queueDatabase(t, 2000)
	startServe(t, "DATABASE_URL="+url)
	startServe(t, "DATABASE_URL="+url)
	_, err := pool.Exec(t.Context(), enqueueAll)
	require.NoError(t, err)
	eventually(t, "all flights are billed", func() bool { return number(t, pool, `SELECT count(*) FROM flight_processing_queue`) == 0 })
	require.Equal(t, 2000, number(t, pool, `SELECT count(*) FROM charges`))
	require.Equal(t, 2000, number(t, pool, `SELECT max(right(number, 6)::int) FROM invoices`))
	require.Equal(t, 2, number(t, pool, `SELECT count(DISTINCT attempted_by[1]) FROM river_job WHERE kind = 'ingest_flight'`), "both worked")
}

// SIGTERM: running flights finish, and the process ends well.
func TestServeStopsGracefully(t *testing.T) {
	t.Parallel()
	url, pool := queueDatabase(t, 20)
	serve := startServe(t, "DATABASE_URL="+url)
	release := holdFlights(t, pool)
	_, err := pool.Exec(t.Context(), `SELECT enqueue_flights(array_agg('F' || i)) FROM generate_series(1, 20) i`)
	require.NoError(t, err)
	eventually(t, "five flights are in its hands", func() bool {
		return number(t, pool, `SELECT count(*) FROM river_job WHERE kind = 'ingest_flight' AND state = 'running'`) == 5
	})
	require.NoError(t, serve.Process.Signal(syscall.SIGTERM))
	eventually(t, "it has heard", func() bool { return strings.Contains(serve.said(), "running flights finish first") })
	require.False(t, serve.hasEnded())
	release()
	eventually(t, "it ends", serve.hasEnded)
	require.Equal(t, 0, serve.ProcessState.ExitCode(), serve.said())
	require.Equal(t, 5, number(t, pool, `SELECT count(*) FROM billed_flights`), "what was in its hands is billed")
	require.Equal(t, 15, number(t, pool, `SELECT count(*) FROM flight_processing_queue WHERE state = 'available' AND attempts = 0`))
}

// A second signal does not wait for the flights: they go back as they were.
func TestServeStopsAtOnce(t *testing.T) {
	t.Parallel()
	url, pool := queueDatabase(t, 5)
	serve := startServe(t, "DATABASE_URL="+url)
	holdFlights(t, pool)
	_, err := pool.Exec(t.Context(), `SELECT enqueue_flights(array_agg('F' || i)) FROM generate_series(1, 5) i`)
	require.NoError(t, err)
	eventually(t, "five flights are in its hands", func() bool {
		return number(t, pool, `SELECT count(*) FROM river_job WHERE kind = 'ingest_flight' AND state = 'running'`) == 5
	})
	require.NoError(t, serve.Process.Signal(syscall.SIGTERM))
	eventually(t, "it has heard", func() bool { return strings.Contains(serve.said(), "running flights finish first") })
	require.NoError(t, serve.Process.Signal(syscall.SIGTERM))
	eventually(t, "it ends", serve.hasEnded)
	require.Equal(t, 5, number(t, pool, `SELECT count(*) FROM flight_processing_queue WHERE state = 'available' AND attempts = 0`), serve.said())
}

// Without DATABASE_URL: commands beside a serve use its embedded server, which
// ends with it, killed or not.
func TestServeEmbedded(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "flightbill-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	settings := map[string]string{"FLIGHTBILL_DATA_DIR": dir + "/data", "FLIGHTBILL_BILLING_START": "2013-01-01"}
	env := func(name string) (string, bool) { value, given := settings[name]; return value, given }

	var out strings.Builder
	serve := startServe(t, "DATABASE_URL=", "FLIGHTBILL_DATA_DIR="+dir+"/data", "FLIGHTBILL_BILLING_START=2013-01-01")
	require.Equal(t, exitDone, run(t.Context(), []string{"enqueue", "F1"}, env, strings.NewReader(""), &out, io.Discard))
	require.Contains(t, out.String(), "1 enqueued")
	eventually(t, "serve has tried it", func() bool {
		out.Reset()
		return run(t.Context(), []string{"enqueue", "F1"}, env, strings.NewReader(""), &out, io.Discard) == exitDone &&
			strings.Contains(out.String(), "1 already queued")
	})
	require.FileExists(t, dir+"/data/data/postmaster.pid")
	require.NoError(t, serve.Process.Kill())
	<-serve.ended
	eventually(t, "its server has ended too", func() bool {
		_, err := os.Stat(dir + "/data/data/postmaster.pid")
		return errors.Is(err, fs.ErrNotExist)
	})

	// The data outlive the process; a command by itself starts the server anew.
	out.Reset()
	var failures strings.Builder
	require.Equal(t, exitDone, run(t.Context(), []string{"enqueue", "F1"}, env, strings.NewReader(""), &out, &failures), &failures)
	require.Contains(t, out.String(), "1 already queued")
}

// Two of them on one folder: the server ends with the first, and the second, which could
// not work again, says so and ends.
func TestServeEmbeddedTwice(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "flightbill-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	for _, kill := range []bool{false, true} {
		first := startServe(t, "DATABASE_URL=", "FLIGHTBILL_DATA_DIR="+dir+"/data")
		second := startServe(t, "DATABASE_URL=", "FLIGHTBILL_DATA_DIR="+dir+"/data")
		if kill {
			require.NoError(t, first.Process.Kill())
		} else {
			require.NoError(t, first.Process.Signal(syscall.SIGTERM))
		}
		eventually(t, "the first ends", first.hasEnded)
		eventually(t, "the second ends", second.hasEnded)
		require.Equal(t, exitFailed, second.ProcessState.ExitCode())
		require.Contains(t, second.said(), "the embedded Postgres belonged to another flightbill, and has ended with it")
	}
}

var servedAt = regexp.MustCompile(`/readyz served url=(http://[^/ ]+)`)

// page returns what serve's HTTP says.
func (p *process) page(t *testing.T, path string) string {
	t.Helper()
	return p.answer(t, path, http.StatusOK)
}

func (p *process) answer(t *testing.T, path string, status int) string {
	t.Helper()
	at := servedAt.FindStringSubmatch(p.said())
	require.Len(t, at, 2, p.said())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at[1]+path, http.NoBody)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	if res.StatusCode != http.StatusOK {
		return fmt.Sprintf("%d %s", res.StatusCode, body)
	}
	return string(body)
}

// Pinot is away when serve starts, and comes back with another table than before.
func TestServeWithoutPinot(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())

	url, pool := queueDatabase(t, 1)
	_, err = pool.Exec(t.Context(), enqueueAll)
	require.NoError(t, err)
	serve := startServe(t, "DATABASE_URL="+url, "FLIGHTBILL_FLIGHT_SOURCE=pinot", "PINOT_BROKERS="+address, "PINOT_COLUMNS=callsign=")
	eventually(t, "it tells that Pinot is away", func() bool {
		return strings.Contains(serve.said(), "flight source is away: flights wait") && strings.Contains(serve.said(), "flights_waiting=1")
	})
	require.Regexp(t, `^ready, but the flight source is away since 2.*Z \(unreachable\); flights wait: flight source pinot .*connection refused`, serve.page(t, "/readyz"))
	metrics := serve.page(t, "/metrics")
	require.Contains(t, metrics, "\nflightbill_flight_source_outage{cause=\"unreachable\"} 1\n")
	require.Contains(t, metrics, "\nflightbill_flight_source_outage{cause=\"quota\"} 0\n")
	require.Contains(t, metrics, "flightbill_flight_source_up 0\n")
	require.Regexp(t, `\nflightbill_flight_source_outage_seconds [0-9.]*[1-9]`, metrics)

	startPinotBroker(t, address)
	eventually(t, "it tells what does not fit", func() bool {
		return strings.Contains(serve.said(), "flight source does not fit its settings") &&
			strings.Contains(serve.said(), "PINOT_COLUMNS: column passengers")
	})
	require.Equal(t, 1, strings.Count(serve.said(), "flight source is away"), serve.said())
	require.Regexp(t, `^503 .*PINOT_COLUMNS: column passengers`, serve.page(t, "/readyz"), "only somebody can put that right")
	require.Contains(t, serve.page(t, "/metrics"), "\nflightbill_flight_source_outage{cause=\"configuration\"} 1\n")
	require.Equal(t, 1, number(t, pool, `SELECT count(*) FROM flight_processing_queue
		WHERE state = 'running' AND attempts = 1 OR state = 'scheduled' AND attempts = 0`), "a worker waits with it, or has put it back")
}

// Credentials that Pinot refuses: serve does not start, and says which setting gives them.
func TestServeWithCredentialsThatPinotRefuses(t *testing.T) {
	t.Parallel()
	var given atomic.Pointer[string]
	broker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent := r.Header.Get("Authorization") + " " + r.Header.Get("X-Tenant") + " " + r.Header.Get("Database")
		given.Store(&sent)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(broker.Close)
	url, _ := queueDatabase(t, 1)
	status, stdout, stderr := runWith(map[string]string{
		"DATABASE_URL": url, "FLIGHTBILL_FLIGHT_SOURCE": "pinot", "PINOT_BROKERS": broker.URL, "PINOT_TOKEN": "s3cret", "PINOT_HEADERS": "X-Tenant=blue-s3cret",
		"PINOT_DATABASE": "fees", "FLIGHTBILL_HTTP_ADDR": "127.0.0.1:0",
	}, "serve")
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "PINOT_TOKEN: broker "+strings.TrimPrefix(broker.URL, "http://")+" answers with HTTP status 401 Unauthorized")
	require.NotContains(t, stdout+stderr, "s3cret")
	require.Equal(t, "Bearer s3cret blue-s3cret fees", *given.Load())
}
