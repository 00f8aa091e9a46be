package riverui

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

func TestMain(m *testing.M) {
	dbtest.Main(m, dbtest.Migrate)
}

type testArgs struct {
	Note string `json:"note"`
}

func (testArgs) Kind() string { return "riverui_test" }

// testBundle is a server, started, with what it stands on.
type testBundle struct {
	server *Server
	base   string        // its URL without the last slash
	pool   *pgxpool.Pool // with the rights of flightbill_server
	owner  *pgxpool.Pool // of the tables: what the test does itself
	client *river.Client[pgx.Tx]
	http   *http.Client
	log    *syncWriter
}

// setup starts a server on a free port of loopback, with a database of its own.
func setup(t *testing.T, change ...func(*Config)) *testBundle {
	t.Helper()
	b := &testBundle{log: &syncWriter{}}
	config := b.config(t)
	for _, c := range change {
		c(&config)
	}
	var err error
	b.server, err = New(config)
	require.NoError(t, err)
	require.NoError(t, b.server.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, b.server.Shutdown(context.Background())) })
	b.base = strings.TrimSuffix(b.server.URL(), "/")

	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	b.http = &http.Client{
		Transport:     transport,
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return b
}

func (b *testBundle) config(t *testing.T) Config {
	t.Helper()
	url := dbtest.URL(t)
	var err error
	b.owner, err = db.Open(t.Context(), url, db.Options{SearchPath: db.Schema, MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(b.owner.Close)
	b.pool, err = db.Open(t.Context(), dbtest.As(t, url, "flightbill_server"), db.Options{SearchPath: db.Schema, MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(b.pool.Close)
	b.client, err = NewClient(b.pool, db.Schema, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return Config{
		Addr:   "127.0.0.1:0",
		Client: b.client,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "flightbill_flights_total 1\n")
		}),
		Ready:  func(context.Context) error { return nil },
		Logger: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// response is what is left of an answer once its body is read.
type response struct {
	StatusCode int
	Header     http.Header
}

// do sends a request and returns the answer with its body.
func (b *testBundle) do(t *testing.T, method, path, body string, change ...func(*http.Request)) (response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.base+path, strings.NewReader(body))
	require.NoError(t, err)
	for _, c := range change {
		c(req)
	}
	res, err := b.http.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	read, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return response{res.StatusCode, res.Header}, string(read)
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func host(name string) func(*http.Request) {
	return func(r *http.Request) { r.Host = name }
}

func basicAuth(user, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

func withCredentials(c *Config) { c.User, c.Password = "clerk", "tüp:elo" }

// insert puts a job in queue flights.
func (b *testBundle) insert(t *testing.T, note string) int64 {
	t.Helper()
	res, err := b.client.Insert(t.Context(), testArgs{Note: note}, &river.InsertOpts{Queue: "flights"})
	require.NoError(t, err)
	return res.Job.ID
}

// syncWriter keeps what is logged.
type syncWriter struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *syncWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *syncWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

var errDatabase = errors.New("database 10.0.0.7:5432/billing cannot be reached")
