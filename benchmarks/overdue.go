package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/jobs"
)

// overdueOn is the day that is judged by; what is due earlier is overdue.
var overdueOn = billing.NewDate(2026, time.March, 8)

// overdue marks the unpaid invoices past due among all, and then, over those,
// looks again where there is nothing to mark.
func (b *bench) overdue(ctx context.Context, all, past int) ([]row, error) {
	const seed = "overdue"
	invoices, due := b.size(all), b.size(past)
	dropSeed, err := b.server.seed(ctx, seed, func(pool *pgxpool.Pool) error { return makePending(ctx, pool, invoices, due) })
	if err != nil {
		return nil, err
	}
	defer dropSeed()

	var again, yardstickAgain []float64
	by := func(mark func(context.Context, *pgxpool.Pool) (int64, error), again *[]float64) contender {
		return func(ctx context.Context, _ int) (first float64, err error) {
			err = b.server.inCopy(ctx, seed, func(pool *pgxpool.Pool) error {
				var err error
				if first, err = markTimed(ctx, pool, mark, due); err != nil {
					return err
				}
				// Nobody waits an hour here: what autovacuum would have done by then.
				if _, err := pool.Exec(ctx, "VACUUM (ANALYZE) invoices"); err != nil {
					return err
				}
				second, err := markTimed(ctx, pool, mark, 0)
				*again = append(*again, second*1000)
				return err
			})
			return first, err
		}
	}
	figures, err := b.takeTurns(ctx,
		by(func(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
			return jobs.Overdue(ctx, pool, overdueOn)
		}, &again),
		by(markByHand, &yardstickAgain))
	if err != nil {
		return nil, err
	}
	return []row{
		compared(fmt.Sprintf("overdue: mark %s due of %s invoices", count(due), count(invoices)), "s", figures[0],
			"s, one UPDATE", figures[1], nil).within(1.5, figures[0], figures[1]),
		compared("overdue: a run over them with nothing due", "ms", again, "ms, one UPDATE", yardstickAgain, below(20, "ms")),
	}, nil
}

func markByHand(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	tag, err := pool.Exec(ctx, "UPDATE invoices SET status = 'OVERDUE' WHERE status = 'PENDING' AND total > 0 AND kind <> 'credit_note' AND due_on < $1", overdueOn)
	return tag.RowsAffected(), err
}

func markTimed(ctx context.Context, pool *pgxpool.Pool, mark func(context.Context, *pgxpool.Pool) (int64, error), due int) (seconds float64, err error) {
	started := time.Now()
	marked, err := mark(ctx, pool)
	if err == nil && marked != int64(due) {
		err = fmt.Errorf("%d invoices were marked, %d are due", marked, due)
	}
	return time.Since(started).Seconds(), err
}

// makePending makes issued invoices; those due lie all over the table.
func makePending(ctx context.Context, pool *pgxpool.Pool, invoices, due int) error {
	if _, err := pool.Exec(ctx, `
		INSERT INTO customers (code, name, billing_frequency)
		SELECT 'AIR' || n, 'Airline ' || n, 'per_flight' FROM generate_series(1, 100) AS n`); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// Without triggers: the events of 4,000,000 rows take minutes, and nothing
		// that is measured reads them.
		if _, err := tx.Exec(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO invoices (number, customer_id, kind, currency, status, subtotal, tax, total, bill_to_name, opened_at, issued_at, issued_on, due_on)
			SELECT 'AIR-' || n, 1 + n % 100, 'flight', 'EUR', 'PENDING', 100, 20, 120, 'Airline', issued - interval '1 day', issued, issued::date,
				-- spreads the due ones evenly over the table
				CASE WHEN n::bigint * $2 % $1 < $2 THEN $3::date - 1 - n % 30 ELSE $3::date + n % 30 END
			FROM generate_series(1, $1::int) AS n, (SELECT $3::timestamptz - interval '45 days') AS t (issued)`, invoices, due, overdueOn)
		return err
	})
}
