package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/jobs"
)

// ahead works off a full queue from a Pinot that takes 5 ms for every answer,
// with and without reading ahead.
func (b *bench) ahead(ctx context.Context) ([]row, error) {
	const delay = 5 * time.Millisecond
	pool, drop, err := b.server.database(ctx, "ahead", migrated)
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
			return b.drainFrom(ctx, pool, source, fmt.Sprintf("ahead-%d", pass), flights)
		},
		func(ctx context.Context, pass int) (float64, error) {
			return b.drainFrom(ctx, pool, oneByOne{source}, fmt.Sprintf("single-%d", pass), flights)
		})
	if err := errors.Join(err, stop()); err != nil {
		return nil, err
	}
	return []row{compared(
		fmt.Sprintf("drain: %s queued flights, %d workers, %v before each of Pinot's answers", count(flights), workers, delay), "flights/s", figures[0],
		"flights/s, the same without reading ahead", figures[1], above(3, ""))}, nil
}

// drainFrom is drainOnce with flights that only Pinot knows.
func (b *bench) drainFrom(ctx context.Context, pool *pgxpool.Pool, source jobs.FlightSource, batch string, flights int) (float64, error) {
	ids := make([]string, flights)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%d", batch, i)
	}
	if _, err := pool.Exec(ctx, "SELECT enqueue_flights($1::text[])", ids); err != nil {
		return 0, err
	}
	if err := settle(ctx, pool); err != nil {
		return 0, err
	}
	service, err := b.newService(pool, source, jobs.NewStats())
	if err != nil {
		return 0, err
	}
	started := time.Now()
	if err := service.Start(context.WithoutCancel(ctx)); err != nil {
		return 0, err
	}
	err = waitForLedger(ctx, pool, batch, flights)
	took := time.Since(started)
	return float64(flights) / took.Seconds(), errors.Join(err, service.Stop(context.WithoutCancel(ctx)))
}

// waitForLedger looks rarely: what it costs is measured too.
func waitForLedger(ctx context.Context, pool *pgxpool.Pool, batch string, flights int) error {
	for {
		var billed int
		err := pool.QueryRow(ctx, "SELECT count(*) FROM billed_flights WHERE starts_with(flight_id, $1)", batch+"-").Scan(&billed)
		if err != nil || billed == flights {
			return err
		}
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}
