package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	enqueueSeed = "enqueue"

	throughView     = "INSERT INTO flight_processing_queue (flight_id) SELECT flight_id FROM wanted"
	throughFunction = "SELECT enqueue_flights($1::text[])"

	// insertJobs is the least that enqueueing can do: the same columns, without a
	// look at what has been billed, is queued or was given up before.
	insertJobs = `
INSERT INTO river_job (kind, args, queue, priority, max_attempts, scheduled_at, state, unique_key, unique_states)
SELECT 'ingest_flight', jsonb_build_object('flight_id', flight_id), 'flights', 1, 25, now(), 'available', flight_job_key(flight_id), flight_job_unique_states()
FROM wanted`

	// complete is what River keeps for a day of flights that have been billed.
	complete = `
INSERT INTO river_job (kind, args, queue, max_attempts, attempt, attempted_at, attempted_by, finalized_at, state, unique_key, unique_states)
SELECT 'ingest_flight', jsonb_build_object('flight_id', 'done-' || flight_id), 'flights', 25, 1, now(), ARRAY['bench'], now(), 'completed',
	flight_job_key('done-' || flight_id), flight_job_unique_states()
FROM wanted`
)

// enqueue puts many flights in the queue, through the view and through the
// function. The queue's table is as vacuum leaves it when all is worked off, and
// as it is during the day: planners treat an empty table unlike any other.
func (b *bench) enqueue(ctx context.Context) ([]row, error) {
	empty, err := b.enqueueInto(ctx, "an empty queue", "")
	if err != nil {
		return nil, err
	}
	used, err := b.enqueueInto(ctx, "a queue with as many completed jobs", complete)
	return append(empty, used...), err
}

func (b *bench) enqueueInto(ctx context.Context, what, fill string) ([]row, error) {
	flights := b.size(100_000)
	ids, dropSeed, err := b.wantedSeed(ctx, flights, fill)
	if err != nil {
		return nil, err
	}
	defer dropSeed()
	figures, err := b.takeTurns(ctx,
		b.enqueues(flights, throughView), b.enqueues(flights, throughFunction, ids), b.enqueues(flights, insertJobs))
	if err != nil {
		return nil, err
	}
	const plain = "rows/s, INSERT … SELECT into river_job"
	return []row{
		compared(fmt.Sprintf("enqueue: INSERT … SELECT of %s ids into the view, into %s", count(flights), what), "rows/s", figures[0],
			plain, figures[2], above(10_000, "rows/s")),
		compared(fmt.Sprintf("enqueue: enqueue_flights with %s ids, sent by the client, into %s", count(flights), what), "rows/s", figures[1],
			plain, figures[2], above(40_000, "rows/s")),
	}, nil
}

// wantedSeed makes the database that each turn gets a copy of, with the ids to be
// enqueued.
func (b *bench) wantedSeed(ctx context.Context, flights int, fill string) (ids []string, drop func(), err error) {
	drop, err = b.server.seed(ctx, enqueueSeed, func(pool *pgxpool.Pool) (err error) {
		if ids, err = makeWanted(ctx, pool, flights); err != nil {
			return err
		}
		_, err = pool.Exec(ctx, fill)
		return err
	})
	return ids, drop, err
}

// enqueues times a statement in a fresh copy of the seed.
func (b *bench) enqueues(flights int, sql string, args ...any) contender {
	return func(ctx context.Context, _ int) (figure float64, err error) {
		err = b.server.inCopy(ctx, enqueueSeed, func(pool *pgxpool.Pool) error {
			figure, err = rowsPerSecond(ctx, pool, flights, sql, args...)
			return err
		})
		return figure, err
	}
}

// makeWanted makes the table of the ids to be enqueued.
func makeWanted(ctx context.Context, pool *pgxpool.Pool, flights int) (ids []string, err error) {
	_, err = pool.Exec(ctx, fmt.Sprintf(
		"CREATE TABLE wanted AS SELECT 'F' || md5(n::text) AS flight_id FROM generate_series(1, %d) AS n", flights))
	if err != nil {
		return nil, err
	}
	err = pool.QueryRow(ctx, "SELECT array_agg(flight_id) FROM wanted").Scan(&ids)
	return ids, err
}

func rowsPerSecond(ctx context.Context, pool *pgxpool.Pool, rows int, sql string, args ...any) (float64, error) {
	if err := settle(ctx, pool); err != nil {
		return 0, err
	}
	took, err := execTimed(ctx, pool, sql, args...)
	return float64(rows) / took.Seconds(), err
}
