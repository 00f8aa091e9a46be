package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// pause is how far apart the flights come.
const pause = 20 * time.Millisecond

// latency enqueues single flights on an idle service, against a bare NOTIFY to
// a connection that listens.
func (b *bench) latency(ctx context.Context) ([]row, error) {
	pool, drop, err := b.server.database(ctx, "latency", migrated)
	if err != nil {
		return nil, err
	}
	defer drop()
	if err := makeBilling(ctx, pool); err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, "CREATE TABLE heard (flight_id text PRIMARY KEY)"); err != nil {
		return nil, err
	}
	inserts := max(10, b.size(200))

	var startP50, savedP50, savedP99, heardP50, sentP50, sentP99 []float64
	figures, err := b.takeTurns(ctx,
		func(ctx context.Context, pass int) (float64, error) {
			ids, err := makeFlights(ctx, pool, fmt.Sprintf("latency-%d", pass), inserts)
			if err != nil {
				return 0, err
			}
			toStart, saved, err := b.latencyOnce(ctx, pool, db.NewFlights(pool), ids)
			if err != nil {
				return 0, err
			}
			startP50 = append(startP50, median(toStart))
			savedP50, savedP99 = append(savedP50, saved.P50), append(savedP99, saved.P99)
			return quantile(toStart, 0.99), nil
		},
		func(ctx context.Context, pass int) (float64, error) {
			fromSent, fromCommit, err := notifyOnce(ctx, pool, pass, inserts)
			if err != nil {
				return 0, err
			}
			heardP50 = append(heardP50, median(fromCommit))
			sentP50, sentP99 = append(sentP50, median(fromSent)), append(sentP99, quantile(fromSent, 0.99))
			return quantile(fromCommit, 0.99), nil
		})
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("latency: %s single INSERTs, %v apart, on an idle service: ", count(inserts), pause)
	const (
		heard = "ms, commit of a bare NOTIFY until a connection hears it"
		whole = "ms, INSERT and bare NOTIFY until a connection hears it"
	)
	rows := []row{
		compared(what+"commit to the job's start, p50", "ms", startP50, heard, heardP50, nil),
		compared(what+"commit to the job's start, p99", "ms", figures[0], heard, figures[1], below(50, "ms")),
		compared(what+"INSERT to saved, p50", "ms", savedP50, whole, sentP50, nil),
		compared(what+"INSERT to saved, p99", "ms", savedP99, whole, sentP99, nil),
	}
	// A notice arrives with the commit's own answer: times next to nothing.
	rows[0].ratio, rows[1].ratio = none, none
	return rows, nil
}

// latencyOnce returns each flight's time from its commit to its job's start, in
// ms, and the service's own figures from INSERT to saved.
func (b *bench) latencyOnce(ctx context.Context, pool *pgxpool.Pool, flights jobs.FlightSource, ids []string) (toStart []float64, saved jobs.Quantiles, err error) {
	var mu sync.Mutex
	startedAt := map[string]time.Time{}
	allFetched := make(chan struct{})
	source := watchedSource{flights, func(id string) {
		mu.Lock()
		defer mu.Unlock()
		startedAt[id] = time.Now()
		if len(startedAt) == len(ids) {
			close(allFetched)
		}
	}}
	stats := jobs.NewStats()
	service, err := b.newService(pool, source, stats, 0)
	if err != nil {
		return nil, saved, err
	}
	if err := service.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, saved, err
	}
	// The time it takes to start is not what is measured.
	time.Sleep(3 * time.Second)
	inserted, err := insertApart(ctx, pool, "INSERT INTO flight_processing_queue (flight_id) VALUES ($1)", ids)
	if err == nil {
		err = waitUntilBilled(ctx, allFetched, stats, len(ids))
	}
	if err := errors.Join(err, service.Stop(context.WithoutCancel(ctx))); err != nil {
		return nil, saved, err
	}
	for id, at := range inserted {
		toStart = append(toStart, milliseconds(at.committed, startedAt[id]))
	}
	return toStart, stats.Snapshot().Flights.MillisecondsOf["enqueue_to_saved"], nil
}

// moments are those of one INSERT, as its client sees them.
type moments struct{ sent, committed time.Time }

// insertApart does single inserts, each a transaction.
func insertApart(ctx context.Context, pool *pgxpool.Pool, sql string, ids []string) (map[string]moments, error) {
	inserted := make(map[string]moments, len(ids))
	for _, id := range ids {
		sent := time.Now()
		if _, err := pool.Exec(ctx, sql, id); err != nil {
			return nil, err
		}
		inserted[id] = moments{sent, time.Now()}
		time.Sleep(pause)
	}
	return inserted, nil
}

// milliseconds is 0 where the notice overtook the answer to the INSERT.
func milliseconds(from, to time.Time) float64 {
	return max(0, float64(to.Sub(from).Microseconds())/1000)
}

// notifyOnce is the least that it takes to tell another connection, in ms.
func notifyOnce(ctx context.Context, pool *pgxpool.Pool, pass, inserts int) (fromSent, fromCommit []float64, err error) {
	listener, err := pool.Acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	conn := listener.Hijack() // one that listens must not go back to the pool
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN heard"); err != nil {
		return nil, nil, err
	}
	ids := make([]string, inserts)
	for i := range ids {
		ids[i] = fmt.Sprintf("%d-%d", pass, i)
	}
	heardAt := make(map[string]time.Time, inserts)
	heard := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { heard <- hear(ctx, conn, heardAt, inserts) }()

	inserted, err := insertApart(ctx, pool,
		"WITH i AS (INSERT INTO heard VALUES ($1) RETURNING flight_id) SELECT pg_notify('heard', flight_id) FROM i", ids)
	if err != nil {
		cancel()
	}
	if err := errors.Join(err, <-heard); err != nil {
		return nil, nil, err
	}
	for id, at := range inserted {
		fromSent = append(fromSent, milliseconds(at.sent, heardAt[id]))
		fromCommit = append(fromCommit, milliseconds(at.committed, heardAt[id]))
	}
	return fromSent, fromCommit, nil
}

func hear(ctx context.Context, conn *pgx.Conn, heardAt map[string]time.Time, inserts int) error {
	for len(heardAt) < inserts {
		notice, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		heardAt[notice.Payload] = time.Now()
	}
	return nil
}
