package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// backlog works off a million flights, to see whether the last go as fast as the
// first, and looks at the queue while they are all in it.
func (b *bench) backlog(ctx context.Context) (_ []row, err error) {
	const database = "backlog"
	flights := b.size(1_000_000)
	pool, drop, err := b.server.database(ctx, database, migrated)
	if err != nil {
		return nil, err
	}
	defer drop()
	if err := makeBilling(ctx, pool); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "flightbill-binary-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary, err := buildFlightbill(ctx, dir)
	if err != nil {
		return nil, err
	}
	broker, stopBroker, err := startBroker(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stopBroker()) }()
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	serve := func(broker string) command {
		return command{kind: ours, args: []string{"serve"}, env: []string{
			"DATABASE_URL=" + b.server.Database(database), "PINOT_BROKERS=" + broker, "FLIGHTBILL_WORKERS=" + strconv.Itoa(workers), "FLIGHTBILL_HTTP_ADDR=" + address,
		}}
	}
	if _, err := pool.Exec(ctx, "SELECT enqueue_flights(array_agg('F' || md5(n::text))) FROM generate_series(1, $1::int) AS n", flights); err != nil {
		return nil, err
	}
	// A database in use is vacuumed and analysed by then.
	if _, err := pool.Exec(ctx, "VACUUM (ANALYZE) river_job"); err != nil {
		return nil, err
	}
	b.progressf("  %s flights are queued", count(flights))

	// Its flight source is away, so the queue stays as it is.
	var looked []row
	var ps processes
	defer func() { err = errors.Join(err, ps.stop()) }()
	if err := ps.start(ctx, programs{ours: binary}, serve("127.0.0.1:1")); err != nil {
		return nil, err
	}
	if looked, err = b.look(ctx, pool, "http://"+address, fmt.Sprintf("%s queued flights", count(flights)), "available"); err != nil {
		return nil, err
	}
	if err := ps.stop(); err != nil {
		return nil, err
	}

	if err := ps.start(ctx, programs{ours: binary}, serve(broker)); err != nil {
		return nil, err
	}
	if err := b.waitForInserts(ctx, pool, &ps, flights); err != nil {
		return nil, err
	}
	memory, err := ps.peakMemory()
	if err != nil {
		return nil, err
	}
	done, err := b.look(ctx, pool, "http://"+address, fmt.Sprintf("%s completed jobs", count(flights)), "completed")
	if err != nil {
		return nil, err
	}
	var first, last, whole float64
	err = pool.QueryRow(ctx, `
		SELECT $1 / 10 / extract(epoch FROM at[2] - at[1])::float8, $1 / 10 / extract(epoch FROM at[4] - at[3])::float8, $1 / extract(epoch FROM at[4] - at[1])::float8
		FROM (SELECT percentile_disc(ARRAY[0, 0.1, 0.9, 1]) WITHIN GROUP (ORDER BY pg_xact_commit_timestamp(xmin)) AS at FROM billed_flights) AS tenths`,
		float64(flights)).Scan(&first, &last, &whole)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("backlog: %s queued flights, one process of %d workers, Pinot at 0 ms: ", count(flights), workers)
	ends := compared(what+"the last tenth", "flights/s", []float64{last}, "flights/s, the first tenth", []float64{first}, nil)
	ends.target, ends.met = "ratio over 0.9", above(0.9, "").met(last/first)
	rows := []row{
		{what: what + "all", figure: with(whole, "flights/s"), yardstick: none, ratio: none, target: none, met: none},
		ends,
		limited(what+"peak memory", with(memory, "MB"), memory, below(60, "MB")),
	}
	return append(append(rows, looked...), done...), nil
}

func limited(what, figure string, value float64, l *limit) row {
	return row{what: what, figure: figure, yardstick: none, ratio: none, target: l.String(), met: l.met(value)}
}

// look times, each twenty times, what people look at.
func (b *bench) look(ctx context.Context, pool *pgxpool.Pool, url, beside, state string) ([]row, error) {
	query := func(sql string, args ...any) func(int) error {
		return func(int) error {
			_, err := pool.Exec(ctx, sql, args...)
			return err
		}
	}
	page := func(path string) func(int) error { return func(int) error { _, err := get(ctx, url+path); return err } }
	const all = "flight_id, state, attempts, last_error, reason, priority, process_after, enqueued_at, job_id"
	var rows []row
	for _, l := range []struct {
		what string
		do   func(int) error
		most *limit
	}{
		{"flight_processing_queue by flight_id", func(i int) error {
			return query("SELECT "+all+" FROM flight_processing_queue WHERE flight_id = 'F' || md5($1::int::text)", 1+i)(i)
		}, below(200, "ms")},
		{"flight_processing_queue, 100 rows", query("SELECT " + all + " FROM flight_processing_queue LIMIT 100"), below(200, "ms")},
		{"flight_processing_queue, the oldest 100", query("SELECT " + all + " FROM flight_processing_queue ORDER BY enqueued_at, job_id LIMIT 100"), nil},
		{"River UI, the counts of its first page", page("/api/states"), below(200, "ms")},
		{"River UI, the list of its first page", page("/api/jobs?limit=20&state=" + state), below(200, "ms")},
		{"River UI, queues", page("/api/queues?limit=20"), below(200, "ms")},
	} {
		var took []float64
		for i := range 20 {
			started := time.Now()
			if err := l.do(i); err != nil {
				return nil, fmt.Errorf("%s: %w", l.what, err)
			}
			took = append(took, milliseconds(started, time.Now()))
		}
		most := quantile(took, 1)
		rows = append(rows, limited(fmt.Sprintf("beside %s: %s, the slowest of 20", beside, l.what), with(most, "ms"), most, l.most))
	}
	return rows, nil
}

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, response.Status, body)
	}
	return string(body), err
}

// waitForInserts goes by the server's statistics until the end: to count a
// million rows each time would be measured too.
func (b *bench) waitForInserts(ctx context.Context, pool *pgxpool.Pool, ps *processes, flights int) error {
	for told := time.Now(); ; {
		var billed int
		err := pool.QueryRow(ctx, "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'billed_flights'").Scan(&billed)
		if err == nil && billed >= flights {
			err = pool.QueryRow(ctx, "SELECT count(*) FROM billed_flights").Scan(&billed)
			if err == nil && billed == flights {
				return nil
			}
		}
		if err = errors.Join(err, ps.running()); err != nil {
			return err
		}
		if time.Since(told) > 30*time.Second {
			told = time.Now()
			b.progressf("  %s are billed", count(billed))
		}
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
	}
}

// freeAddress is one that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
