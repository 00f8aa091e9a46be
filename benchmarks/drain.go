package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// drain works off a queue that is full when the service starts, against a
// client that does nothing but a save's inserts.
func (b *bench) drain(ctx context.Context) ([]row, error) {
	pool, drop, err := b.server.database(ctx, "drain", migrated, noWait)
	if err != nil {
		return nil, err
	}
	defer drop()
	if err := makeBilling(ctx, pool); err != nil {
		return nil, err
	}
	flights := b.size(20_000)
	program, yardstick := "pgbench -M prepared -c 5 -j 2", func(ctx context.Context, _ int) (float64, error) {
		return pgbench(ctx, b.server.Database("drain"), insertBill, flights)
	}
	if _, err := exec.LookPath("pgbench"); err != nil {
		program, yardstick = "a Go loop on 5 connections (pgbench is not on PATH)", func(ctx context.Context, _ int) (float64, error) {
			return insertLoop(ctx, pool, insertBill, flights)
		}
	}
	figures, err := b.takeTurns(ctx,
		func(ctx context.Context, pass int) (float64, error) { return b.drainOnce(ctx, pool, pass, flights) },
		func(ctx context.Context, pass int) (float64, error) {
			if err := settle(ctx, pool); err != nil {
				return 0, err
			}
			return yardstick(ctx, pass)
		})
	if err != nil {
		return nil, err
	}
	r := compared(fmt.Sprintf("drain: %s queued flights, %d workers; no commit waits for the disk, the yardstick's neither", count(flights), workers), "flights/s", figures[0],
		"transactions/s, the save's inserts alone, by "+program, figures[1], nil)
	r.target = "ratio of 1/8 or more"
	r.met = above(1.0/8, "").met(median(each(figures[0], figures[1])))
	return []row{r}, nil
}

// drainOnce times from before the service starts to the last flight's save.
func (b *bench) drainOnce(ctx context.Context, pool *pgxpool.Pool, pass, flights int) (float64, error) {
	ids, err := makeFlights(ctx, pool, fmt.Sprintf("drain-%d", pass), flights)
	if err != nil {
		return 0, err
	}
	if _, err := pool.Exec(ctx, "SELECT enqueue_flights($1::text[])", ids); err != nil {
		return 0, err
	}
	if err := settle(ctx, pool); err != nil {
		return 0, err
	}

	// The statistics are costly to ask: not before all flights have been fetched.
	allFetched := make(chan struct{})
	var fetched atomic.Int64
	source := watchedSource{db.NewFlights(pool), func(string) {
		if fetched.Add(1) == int64(flights) {
			close(allFetched)
		}
	}}
	stats := jobs.NewStats()
	service, err := b.newService(pool, source, stats, 0)
	if err != nil {
		return 0, err
	}
	started := time.Now()
	if err := service.Start(context.WithoutCancel(ctx)); err != nil {
		return 0, err
	}
	err = waitUntilBilled(ctx, allFetched, stats, flights)
	took := time.Since(started)
	return float64(flights) / took.Seconds(), errors.Join(err, service.Stop(context.WithoutCancel(ctx)))
}

func waitUntilBilled(ctx context.Context, allFetched <-chan struct{}, stats *jobs.Stats, flights int) error {
	select {
	case <-allFetched:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		done := stats.Snapshot().Flights
		switch {
		case done.Done == int64(flights):
			return nil
		case done.Failed > 0 || len(done.Snoozed) > 0 || len(done.Cancelled) > 0:
			return fmt.Errorf("not every flight was billed: %+v", done)
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// newService makes the service as serve does, but for the schedules: a run that
// happens to be due would be measured with the flights.
func (b *bench) newService(pool *pgxpool.Pool, source jobs.FlightSource, stats *jobs.Stats, batch int) (*jobs.Service, error) {
	return jobs.New(jobs.Config{
		Pool: pool, Source: source, Workers: workers, Batch: batch, FlightWait: 24 * time.Hour, Schedules: jobs.NoSchedules,
		Now: time.Now, Stats: stats, Logger: b.logger,
	})
}

// watchedSource tells of each flight that is asked for.
type watchedSource struct {
	jobs.FlightSource

	asked func(id string)
}

func (s watchedSource) Flights(ctx context.Context, ids []string) (map[string]billing.Answer, error) {
	for _, id := range ids {
		s.asked(id)
	}
	return s.FlightSource.Flights(ctx, ids)
}

// insertBill is what a save cannot do without, in one transaction and one round
// trip: the ledger row and three charges on a draft that is there, with the
// tables' triggers and foreign keys. $1 is the number of the draft and of its
// customer, $2 the flight.
const insertBill = `WITH flight AS (
	INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at)
	VALUES ($2::text, $1::bigint, current_date, '{"flight_id": "F1f0e3dad99908345f7439f8ffabdffc4", "callsign": "AIR1", "operator": "AIR1", "registration": "N1", "aircraft_type": "B738", "mtow_kg": 70501, "origin": "KJFK", "destination": "KBOS", "departed_at": "2026-01-01T10:00:00Z", "landed_at": "2026-01-01T11:00:00Z", "distance_km": "301", "passengers": 101}', now())
	RETURNING flight_id)
INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on, late)
SELECT $1::bigint, flight.flight_id, line.*, current_date, false
FROM flight, (VALUES (1, 'RUNWAY', 'Runway use', 71, 5.50, 390.50, 0.20, 78.10), (2, 'PAX', 'Passenger service', 101, 7.25, 732.25, 0.20, 146.45),
	(3, 'ROUTE', 'En-route navigation', 3.1059, 71.40, 221.76, 0, 0.00)) AS line`

// insertTwoCharges is insertBill for flights that two tariffs apply to.
var insertTwoCharges = strings.Replace(insertBill, ",\n\t(3, 'ROUTE', 'En-route navigation', 3.1059, 71.40, 221.76, 0, 0.00)", "", 1)

var tps = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// pgbench does as many transactions as there are flights and returns how many a
// second.
func pgbench(ctx context.Context, url, insert string, flights int) (float64, error) {
	script, err := os.CreateTemp("", "flightbill-*.sql")
	if err != nil {
		return 0, err
	}
	defer os.Remove(script.Name())
	statement := strings.NewReplacer("\n", " ", "$1", ":draft", "$2::text", "('P' || :client_id::text || '-' || :flight::text)").Replace(insert)
	_, err = fmt.Fprintf(script, "\\set draft random(1, %d)\n\\set flight random(1, 1000000000000000000)\n%s;\n", customers, statement)
	if err := errors.Join(err, script.Close()); err != nil {
		return 0, err
	}
	each := strconv.Itoa(max(1, flights/workers))
	//nolint:gosec // the arguments are this program's own
	cmd := exec.CommandContext(ctx, "pgbench", "-n", "-M", "prepared", "-c", strconv.Itoa(workers), "-j", "2", "-t", each, "-f", script.Name(), url)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	report, err := cmd.Output()
	found := tps.FindSubmatch(report)
	if err != nil || found == nil {
		return 0, fmt.Errorf("pgbench: %w: %s", err, stderr.String())
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// insertLoop is pgbench where there is none.
func insertLoop(ctx context.Context, pool *pgxpool.Pool, insert string, flights int) (float64, error) {
	each := max(1, flights/workers)
	started := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for client := range workers {
		group.Go(func() error {
			for range each {
				flight := fmt.Sprintf("P%d-%d", client, rand.Int64())                               //nolint:gosec // a key, no secret
				if _, err := pool.Exec(ctx, insert, 1+rand.Int64N(customers), flight); err != nil { //nolint:gosec // no secret
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	return float64(each*workers) / time.Since(started).Seconds(), err
}
