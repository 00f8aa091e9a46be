package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// giveUp fills the queue with flights that were cancelled.
const giveUp = `
INSERT INTO river_job (kind, args, queue, priority, max_attempts, attempt, attempted_at, attempted_by, finalized_at, state, errors, metadata,
	unique_key, unique_states)
SELECT 'ingest_flight', jsonb_build_object('flight_id', flight_id), 'flights', 1, 25, 1, now(), ARRAY['bench'], now(), 'cancelled',
	ARRAY['{"at": "2026-01-01T00:00:00Z", "error": "JobCancelError: no tariff applies", "trace": "", "attempt": 1}'::jsonb],
	'{"reason": "no_tariff"}', flight_job_key(flight_id), flight_job_unique_states()
FROM wanted`

// bringBack is the least that reviving can do, without a look at anything else.
const bringBack = `
UPDATE river_job SET state = 'available', finalized_at = NULL, scheduled_at = now(), max_attempts = greatest(max_attempts, attempt + 25),
	metadata = metadata - 'waiting' - 'reason' - 'cancel_attempted_at'
WHERE kind = 'ingest_flight' AND state = 'cancelled'`

// revive enqueues flights again that had been given up.
func (b *bench) revive(ctx context.Context) ([]row, error) {
	const seed = "revive"
	flights := b.size(50_000)
	var ids []string
	dropSeed, err := b.server.seed(ctx, seed, func(pool *pgxpool.Pool) (err error) {
		if ids, err = makeWanted(ctx, pool, flights); err != nil {
			return err
		}
		_, err = pool.Exec(ctx, giveUp)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer dropSeed()
	by := func(sql string, args ...any) contender {
		return func(ctx context.Context, _ int) (figure float64, err error) {
			err = b.server.inCopy(ctx, seed, func(pool *pgxpool.Pool) error {
				if figure, err = rowsPerSecond(ctx, pool, flights, sql, args...); err != nil {
					return err
				}
				var revived int
				err := pool.QueryRow(ctx, "SELECT count(*) FROM river_job WHERE state = 'available'").Scan(&revived)
				if err == nil && revived != flights {
					err = fmt.Errorf("%d of %d flights were revived", revived, flights)
				}
				return err
			})
			return figure, err
		}
	}
	figures, err := b.takeTurns(ctx, by(throughView), by(throughFunction, ids), by(bringBack))
	if err != nil {
		return nil, err
	}
	const plain = "rows/s, one UPDATE of river_job"
	return []row{
		compared(fmt.Sprintf("revive: INSERT … SELECT of %s cancelled flights into the view", count(flights)), "rows/s", figures[0], plain, figures[2], nil),
		compared(fmt.Sprintf("revive: enqueue_flights with %s cancelled flights", count(flights)), "rows/s", figures[1], plain, figures[2], nil),
	}, nil
}
