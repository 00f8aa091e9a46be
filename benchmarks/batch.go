package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/jobs"
)

// batch works off a full queue from a Pinot that takes 5 ms for every answer, in batches
// and one at a time.
func (b *bench) batch(ctx context.Context) ([]row, error) {
	const delay = 5 * time.Millisecond
	pool, drop, err := b.server.database(ctx, "batch", migrated)
	if err != nil {
		return nil, err
	}
	defer drop()
	if err := makeBilling(ctx, pool); err != nil {
		return nil, err
	}
	source, stop, err := startAnswers(ctx, delay)
	if err != nil {
		return nil, err
	}
	flights := b.size(5_000)
	figures, err := b.takeTurns(ctx,
		func(ctx context.Context, pass int) (float64, error) {
			return b.drainFrom(ctx, pool, source, fmt.Sprintf("batch-%d", pass), flights, 0)
		},
		func(ctx context.Context, pass int) (float64, error) {
			return b.drainFrom(ctx, pool, source, fmt.Sprintf("single-%d", pass), flights, 1)
		})
	if err := errors.Join(err, stop()); err != nil {
		return nil, err
	}
	return []row{compared(
		fmt.Sprintf("drain: %s queued flights, %d workers, %v before each of Pinot's answers", count(flights), workers, delay), "flights/s", figures[0],
		"flights/s, the same with FLIGHTBILL_BATCH=1", figures[1], above(3, ""))}, nil
}

// drainFrom is drainOnce with flights that only Pinot knows.
func (b *bench) drainFrom(ctx context.Context, pool *pgxpool.Pool, source jobs.FlightSource, prefix string, flights, batch int) (float64, error) {
	ids := make([]string, flights)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	if _, err := pool.Exec(ctx, "SELECT enqueue_flights($1::text[])", ids); err != nil {
		return 0, err
	}
	if err := settle(ctx, pool); err != nil {
		return 0, err
	}
	seconds, err := b.workOff(ctx, pool, source, batch, flights, "SELECT count(*) FROM billed_flights WHERE starts_with(flight_id, $1)", prefix+"-")
	return float64(flights) / seconds, err
}

// workOff times a service from before it starts until a statement counts so many.
func (b *bench) workOff(ctx context.Context, pool *pgxpool.Pool, source jobs.FlightSource, batch, flights int, sql string, args ...any) (seconds float64, err error) {
	service, err := b.newService(pool, source, jobs.NewStats(), batch)
	if err != nil {
		return 0, err
	}
	started := time.Now()
	if err := service.Start(context.WithoutCancel(ctx)); err != nil {
		return 0, err
	}
	err = waitForCount(ctx, pool, flights, sql, args...)
	took := time.Since(started)
	return took.Seconds(), errors.Join(err, service.Stop(context.WithoutCancel(ctx)))
}

// waitForCount looks the more rarely, the more there are to count: what it costs is
// measured too.
func waitForCount(ctx context.Context, pool *pgxpool.Pool, flights int, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var found int
		if err := pool.QueryRow(ctx, sql, args...).Scan(&found); err != nil || found == flights {
			return err
		}
		if err := wait(ctx, max(50*time.Millisecond, time.Duration(flights)*10*time.Microsecond)); err != nil {
			return fmt.Errorf("%d of %d flights are done: %w", found, flights, err)
		}
	}
}
