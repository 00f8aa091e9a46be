package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/flightbill/flightbill/jobs"
)

// cancelTogether is the least that cancelling can do, of jobs that are known: the
// attempt, and what River UI and the queue view show of its end.
const cancelTogether = `
UPDATE river_job SET state = 'cancelled', finalized_at = now(), attempt = attempt + 1, attempted_at = now(), attempted_by = array_append(attempted_by, 'bench'),
	errors = array_append(errors, jsonb_build_object('at', now(), 'attempt', attempt + 1, 'trace', '', 'error',
		'JobCancelError: no customer: neither its aircraft N1 nor its operator AIR1 belongs to one; add one of the two to a customer')),
	metadata = metadata || '{"reason": "no_customer"}'
WHERE id = ANY($1)`

// cancel works off a full queue of flights that belong to no customer.
func (b *bench) cancel(ctx context.Context) (_ []row, err error) {
	const seed = "cancel"
	flights := b.size(50_000)
	var ids []int64
	dropSeed, err := b.server.seed(ctx, seed, func(pool *pgxpool.Pool) error {
		if err := makeBilling(ctx, pool); err != nil {
			return err
		}
		if _, err := pool.Exec(ctx, "DELETE FROM customer_operators"); err != nil {
			return err
		}
		if _, err := pool.Exec(ctx, "SELECT enqueue_flights(array_agg('F' || md5(n::text))) FROM generate_series(1, $1::int) AS n", flights); err != nil {
			return err
		}
		return pool.QueryRow(ctx, "SELECT array_agg(id ORDER BY id) FROM river_job").Scan(&ids)
	})
	if err != nil {
		return nil, err
	}
	defer dropSeed()
	source, stop, err := startAnswers(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	by := func(cancel func(*pgxpool.Pool) (seconds float64, err error)) contender {
		return func(ctx context.Context, _ int) (figure float64, err error) {
			err = b.server.inCopy(ctx, seed, func(pool *pgxpool.Pool) error {
				if err := settle(ctx, pool); err != nil {
					return err
				}
				seconds, err := cancel(pool)
				figure = float64(flights) / seconds
				return err
			}, noWait)
			return figure, err
		}
	}
	figures, err := b.takeTurns(ctx,
		by(func(pool *pgxpool.Pool) (float64, error) {
			return b.workOff(ctx, pool, source, 0, flights, "SELECT count(*) FROM river_job WHERE state = 'cancelled' AND metadata ->> 'reason' = 'no_customer'")
		}),
		by(func(pool *pgxpool.Pool) (float64, error) { return cancelByHand(ctx, pool, ids) }))
	if err != nil {
		return nil, err
	}
	return []row{compared(
		fmt.Sprintf("cancel: %s queued flights that belong to no customer, %d workers; no commit waits for the disk, the yardstick's neither", count(flights), workers), "flights/s", figures[0],
		fmt.Sprintf("flights/s, a Go loop on %d connections, one UPDATE of %d known jobs after the other", workers, jobs.DefaultBatch), figures[1], above(3_000, "flights/s"))}, nil
}

func cancelByHand(ctx context.Context, pool *pgxpool.Pool, ids []int64) (seconds float64, err error) {
	started := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for batch := range slices.Chunk(ids, jobs.DefaultBatch) {
		group.Go(func() error {
			_, err := pool.Exec(ctx, cancelTogether, batch)
			return err
		})
	}
	err = group.Wait()
	return time.Since(started).Seconds(), err
}
