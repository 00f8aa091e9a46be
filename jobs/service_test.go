package jobs_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
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

func (s *blockingSource) Flight(ctx context.Context, id string) (billing.Flight, error) {
	s.entered <- id
	select {
	case <-s.let:
		return s.FlightSource.Flight(ctx, id)
	case <-ctx.Done():
		return billing.Flight{}, fmt.Errorf("fetch flight %s: %w", id, ctx.Err())
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
	eventually(t, "a later service bills it", func() bool { return get[int](t, b, `SELECT count(*) FROM billed_flights`) == 1 })
	require.Equal(t, 1, get[int](t, b, `SELECT attempt FROM river_job WHERE state = 'completed'`))
}

// An attempt that was given up for lost and ends after all leaves the one that has
// its job alone: River itself looks only whether the job is running.
func TestLostAttemptLeavesItsJobAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "F1", "WEEK", landed(4, 9))
	source := b.blockingSource()
	service := b.start(t, source.use)
	b.enqueue(t, "F1")
	<-source.entered
	b.exec(t, `UPDATE river_job SET attempt = 2, attempted_by = attempted_by || '{other}'`) // rescued and taken
	source.let <- struct{}{}
	eventually(t, "its save is refused", func() bool { return b.stats.Snapshot().Flights.Snoozed["job_lost"] == 1 })
	require.NoError(t, service.Stop(t.Context())) // River has written what it had to
	require.Equal(t, "running 2", get[string](t, b, `SELECT concat_ws(' ', state, attempt) FROM river_job`))
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM billed_flights`))
}

// A stop ends though the database has gone, with more jobs to be written than
// River gives up on.
func TestStopEndsWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const flights = 150
	b.exec(t, `SELECT enqueue_flights(array_agg('F' || n)) FROM generate_series(1, $1::int) AS n`, flights)
	far := newWire(t, b.pool.Config().ConnConfig)
	config := b.pool.Config()
	config.ConnConfig.Host, config.ConnConfig.Port = far.host, far.port
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	source := b.blockingSource()
	service, err := jobs.New(jobs.Config{
		Pool: pool, Source: source, Workers: flights, FlightWait: time.Hour, Schedules: jobs.NoSchedules, StopTime: 3 * time.Second,
		Now: b.clock.Now, Stats: b.stats, Logger: b.logger,
	})
	require.NoError(t, err)
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

// wire is a way to a server that can be cut.
type wire struct {
	host string
	port uint16

	mu    sync.Mutex
	isCut bool
	ends  []io.Closer
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
			go func() { _, _ = io.Copy(near, far) }()
			go func() { _, _ = io.Copy(far, near) }()
		}
	}()
	return w
}

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

// A list as River UI asks for it reads what it shows, not all jobs of the state.
func TestJobsOfAStateAreListedFromAnIndex(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts, state, finalized_at)
		SELECT 'ingest_flight', jsonb_build_object('flight_id', 'F' || n), 'flights', 25, 'completed', now() - n * interval '1 second'
		FROM generate_series(1, 5000) AS n`)
	b.exec(t, `ANALYZE river_job`)
	service, err := jobs.New(jobs.Config{
		Pool: b.pool, Source: db.NewFlights(b.pool), Workers: 5, Schedules: jobs.NoSchedules, Now: b.clock.Now, Stats: b.stats, Logger: b.logger,
	})
	require.NoError(t, err)
	tx := b.begin(t)
	list, err := service.Client().JobListTx(t.Context(), tx, river.NewJobListParams().States(rivertype.JobStateCompleted).
		OrderBy(river.JobListOrderByTime, river.SortOrderDesc).First(20))
	require.NoError(t, err)
	require.Len(t, list.Jobs, 20)
	require.JSONEq(t, `{"flight_id": "F1"}`, string(list.Jobs[0].EncodedArgs), "the last that was completed")
	var read int
	require.NoError(t, tx.QueryRow(t.Context(), `SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'river_job'`).Scan(&read))
	require.Less(t, read, 100)

	list, err = service.Client().JobListTx(t.Context(), tx, river.NewJobListParams().States(rivertype.JobStateCompleted, rivertype.JobStateRunning))
	require.NoError(t, err)
	require.Len(t, list.Jobs, 100, "of several states")
}
