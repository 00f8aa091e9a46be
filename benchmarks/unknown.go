package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/db"
)

// unknown has good flights wait behind many that the source does not know (yet): each
// of those is looked for, and put off.
func (b *bench) unknown(ctx context.Context) ([]row, error) {
	const seed, good = "unknown", 20
	unknown := b.size(6_000)
	var ids []string
	dropSeed, err := b.server.seed(ctx, seed, func(pool *pgxpool.Pool) (err error) {
		if err := makeBilling(ctx, pool); err != nil {
			return err
		}
		ids, err = makeFlights(ctx, pool, seed, good)
		return err
	})
	if err != nil {
		return nil, err
	}
	defer dropSeed()
	behind := func(unknown int) contender {
		return func(ctx context.Context, _ int) (seconds float64, err error) {
			err = b.server.inCopy(ctx, seed, func(pool *pgxpool.Pool) error {
				if _, err := pool.Exec(ctx, "SELECT enqueue_flights(ARRAY(SELECT 'unknown-' || n FROM generate_series(1, $1::int) AS n))", unknown); err != nil {
					return err
				}
				if _, err := pool.Exec(ctx, throughFunction, ids); err != nil {
					return err
				}
				if err := settle(ctx, pool); err != nil {
					return err
				}
				var err error
				seconds, err = b.workOff(ctx, pool, db.NewFlights(pool), 0, good, "SELECT count(*) FROM billed_flights")
				return err
			})
			return seconds, err
		}
	}
	figures, err := b.takeTurns(ctx, behind(unknown), behind(0))
	if err != nil {
		return nil, err
	}
	return []row{compared(
		fmt.Sprintf("unknown: %d flights billed that wait behind %s which the source does not know, %d workers", good, count(unknown), workers), "s", figures[0],
		"s, the same without those", figures[1], below(5, "s"))}, nil
}
