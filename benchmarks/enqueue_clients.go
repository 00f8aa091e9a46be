package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	enqueueClients     = 32
	enqueueClientsSeed = "enqueue_clients"

	// plainJobs is the queue's table without what flightbill does at an INSERT.
	plainJobs = "CREATE TABLE plain_jobs (LIKE flightbill.river_job INCLUDING ALL)"

	insertOne      = "INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ($1)"
	insertPlainOne = `
INSERT INTO flightbill.plain_jobs (kind, args, queue, priority, max_attempts, scheduled_at, state, unique_key, unique_states)
VALUES ('ingest_flight', jsonb_build_object('flight_id', $1::text), 'flights', 1, 25, now(), 'available',
	flightbill.flight_job_key($1), flightbill.flight_job_unique_states())`

	promise = "SELECT flightbill.promise_to_look('benchmark', 86400)"
)

// enqueueOneByOne has many clients enqueue flights, one a transaction, whose commits
// wait for the disk.
func (b *bench) enqueueOneByOne(ctx context.Context) ([]row, error) {
	drop, err := b.server.seed(ctx, enqueueClientsSeed, func(pool *pgxpool.Pool) error {
		_, err := pool.Exec(ctx, plainJobs)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer drop()
	flights := b.size(40_000)
	figures, err := b.takeTurns(ctx,
		b.enqueuesOneByOne(flights, insertOne, promise), b.enqueuesOneByOne(flights, insertOne, ""), b.enqueuesOneByOne(flights, insertPlainOne, ""))
	if err != nil {
		return nil, err
	}
	const plain = "rows/s, INSERT into a table like river_job"
	what := fmt.Sprintf("enqueue-clients: %s single INSERTs into the view, by %d clients, ", count(flights), enqueueClients)
	return []row{
		compared(what+"while a process has promised to look", "rows/s", figures[0], plain, figures[2], nil).atLeast(0.65, figures[0], figures[2]),
		compared(what+"with a notice each", "rows/s", figures[1], plain, figures[2], nil),
	}, nil
}

// enqueuesOneByOne times single INSERTs in a fresh copy of the seed.
func (b *bench) enqueuesOneByOne(flights int, sql, first string) contender {
	return func(ctx context.Context, _ int) (figure float64, err error) {
		err = b.server.inCopy(ctx, enqueueClientsSeed, func(pool *pgxpool.Pool) error {
			if _, err := pool.Exec(ctx, first); err != nil {
				return err
			}
			var took time.Duration
			took, err = insertOneByOne(ctx, pool, flights, sql)
			figure = float64(flights) / took.Seconds()
			return err
		})
		return figure, err
	}
}

// insertOneByOne counts the time once each client has made its first INSERTs, which
// Postgres plans anew.
func insertOneByOne(ctx context.Context, pool *pgxpool.Pool, flights int, sql string) (time.Duration, error) {
	config := pool.Config()
	config.MinConns, config.MaxConns = 0, enqueueClients
	clients, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return 0, err
	}
	defer clients.Close()

	var left atomic.Int64
	left.Store(int64(flights))
	failures := make([]error, enqueueClients)
	var warm, done sync.WaitGroup
	start := make(chan struct{})
	warm.Add(enqueueClients)
	for i := range enqueueClients {
		done.Go(func() {
			failures[i] = func() error {
				conn, err := warmedUp(ctx, clients, sql, i)
				warm.Done()
				if err != nil {
					return err
				}
				defer conn.Release()
				<-start
				for n := left.Add(-1); n >= 0 && err == nil; n = left.Add(-1) {
					_, err = conn.Exec(ctx, sql, fmt.Sprintf("BAW%d-20261122-LHR", n))
				}
				return err
			}()
		})
	}
	warm.Wait()
	err = settle(ctx, pool)
	started := time.Now()
	close(start)
	done.Wait()
	return time.Since(started), errors.Join(err, errors.Join(failures...))
}

func warmedUp(ctx context.Context, clients *pgxpool.Pool, sql string, client int) (*pgxpool.Conn, error) {
	conn, err := clients.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	for n := range 10 {
		if _, err := conn.Exec(ctx, sql, fmt.Sprintf("WARM%d-%d", client, n)); err != nil {
			conn.Release()
			return nil, err
		}
	}
	return conn, nil
}
