package jobs_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// blockingSource hands out each flight only when it is let, or when its
// caller's time is over.
type blockingSource struct {
	jobs.FlightSource

	entered chan string
	let     chan struct{}
}

func (b *testBundle) blockingSource() *blockingSource {
	return &blockingSource{db.NewFlights(b.pool), make(chan string, 100), make(chan struct{})}
}

func (s *blockingSource) Flights(ctx context.Context, ids []string) (map[string]billing.Answer, error) {
	s.entered <- strings.Join(ids, " ")
	select {
	case <-s.let:
		return s.FlightSource.Flights(ctx, ids)
	case <-ctx.Done():
		return nil, fmt.Errorf("fetch flights %v: %w", ids, ctx.Err())
	}
}

func (s *blockingSource) use(c *jobs.Config) { c.Source = s }

// A graceful stop takes no more flights and waits for the one in hand.
func TestStopWaitsForAFlight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "F1", "WEEK", landed(4, 9))
	b.flight(t, "F2", "WEEK", landed(4, 9))
	source := b.blockingSource()
	service := b.start(t, source.use, func(c *jobs.Config) { c.Workers = 1 }) // busy with F1 while the stop takes hold
	b.enqueue(t, "F1")
	require.Equal(t, "F1", <-source.entered)

	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, service.Stop(impatient), context.Canceled, "it has begun to stop and waits")
	b.enqueue(t, "F2")
	close(source.let)
	require.NoError(t, service.Stop(t.Context()))
	require.Equal(t, "F1", get[string](t, b, `SELECT string_agg(flight_id, ' ') FROM billed_flights`))
	require.Equal(t, "completed 1, available 0", get[string](t, b, `SELECT string_agg(state || ' ' || attempt, ', ' ORDER BY id) FROM river_job`))
}

// A stop at once puts the flight in hand back as it was.
func TestStopNowPutsAFlightBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "F1", "WEEK", landed(4, 9))
	source := b.blockingSource()
	service := b.start(t, source.use)
	b.enqueue(t, "F1")
	<-source.entered
	require.NoError(t, service.StopNow(t.Context()))
	require.Equal(t, "available 0 0", get[string](t, b, `SELECT concat_ws(' ', state, attempt, coalesce(cardinality(errors), 0)) FROM river_job`))
	require.Zero(t, b.stats.Snapshot().Flights.Failed, "nothing has failed")

	b.start(t)
	b.waitForBilled(t, 1)
	require.Equal(t, 1, get[int](t, b, `SELECT attempt FROM river_job WHERE state = 'completed'`))
}

// A stop ends though the database has gone, with more jobs to be written than
// River gives up on.
func TestStopEndsWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const flights = 150
	b.exec(t, `SELECT enqueue_flights(array_agg('F' || n)) FROM generate_series(1, $1::int) AS n`, flights)
	far, pool := b.far(t)
	source := b.blockingSource()
	service := b.service(t, source.use, workers(flights), func(c *jobs.Config) { c.Pool, c.StopTime = pool, 3*time.Second })
	require.NoError(t, service.Start(context.Background()))
	for range flights {
		<-source.entered
	}
	far.setCut(true)
	close(source.let)
	stopped := make(chan error, 1)
	go func() { stopped <- service.Stop(context.Background()) }()
	select {
	case err := <-stopped:
		require.ErrorContains(t, err, "not done within 3s")
		require.ErrorContains(t, err, "rescued within 2 minutes")
	case <-time.After(30 * time.Second):
		t.Fatal("the stop does not end")
	}
	require.Equal(t, flights, get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'running'`), "left as they are")

	far.setCut(false)
	eventually(t, "River tries again", func() bool { return service.Stop(t.Context()) == nil })
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'running'`), "a database that is back is told after all")
}

// wire is a way to a server that can be cut, or fall silent.
type wire struct {
	host string
	port uint16
	age  atomic.Int64 // connections from before it say nothing any more

	mu    sync.Mutex
	isCut bool
	ends  []io.Closer
}

// far is a pool behind a wire.
func (b *testBundle) far(t *testing.T) (*wire, *pgxpool.Pool) {
	t.Helper()
	config := b.pool.Config()
	far := newWire(t, config.ConnConfig)
	config.ConnConfig.Host, config.ConnConfig.Port = far.host, far.port
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return far, pool
}

func newWire(t *testing.T, to *pgx.ConnConfig) *wire {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().(*net.TCPAddr)
	w := &wire{host: address.IP.String(), port: uint16(address.Port)}
	t.Cleanup(func() { listener.Close(); w.setCut(true) })
	server := net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port)))
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := (&net.Dialer{}).Dial("tcp", server)
			if err != nil {
				near.Close()
				continue
			}
			w.keep(near, far)
			born := w.age.Load()
			go w.carry(near, far, born)
			go w.carry(far, near, born)
		}
	}()
	return w
}

func (w *wire) carry(to io.Writer, from io.Reader, born int64) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err == nil && w.age.Load() == born {
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

// silence leaves connections open that have forgotten the other end. New ones work.
func (w *wire) silence() { w.age.Add(1) }

func (w *wire) keep(ends ...io.Closer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends = append(w.ends, ends...)
	w.closeCut()
}

func (w *wire) setCut(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = cut
	w.closeCut()
}

func (w *wire) closeCut() {
	if w.isCut {
		for _, end := range w.ends {
			end.Close()
		}
	}
}

// All connections of a process die without a word. A tariff that is changed then is what
// flights are billed at, within half a minute.
func TestServiceOnSilentConnections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.landed(t, 1, 2)
	far := newWire(t, b.pool.Config().ConnConfig)
	config := b.pool.Config().ConnConfig
	address := fmt.Sprintf("user=%s password=%s host=%s port=%d dbname=%s sslmode=disable", config.User, config.Password, far.host, far.port, config.Database)
	pool, err := db.Open(t.Context(), address, db.Options{SearchPath: db.Schema, MaxConns: 8, QueryTimeout: 30 * time.Second}) // as serve does
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	service := b.start(t, func(c *jobs.Config) { c.Pool, c.Source = pool, landedSource{at: b.clock.Now().Add(-time.Hour)} })
	b.enqueue(t, "F1")
	b.waitForBilled(t, 1)
	var all []*pgxpool.Conn
	for pool.Stat().AcquiredConns() < 8 {
		conn, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		all = append(all, conn)
	}
	for _, conn := range all {
		conn.Release()
	}
	far.silence()
	began := time.Now()
	b.exec(t, `UPDATE tariffs SET unit_rate = 3`)
	b.enqueue(t, "F2")
	b.waitForBilled(t, 2)
	require.Less(t, time.Since(began), 30*time.Second)
	require.Equal(t, "3", get[string](t, b, `SELECT trim_scale(unit_rate)::text FROM charges WHERE flight_id = 'F2'`))
	t.Logf("after %s", time.Since(began))
	require.NoError(t, service.Stuck(t.Context()))
}
