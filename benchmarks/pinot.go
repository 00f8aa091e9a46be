package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flightbill/flightbill/pinot"
	"github.com/flightbill/flightbill/pinot/local"
)

// warmUp is how many look-ups a Pinot just started answers slowly.
const warmUp = 500

// pinot enqueues single flights that a real Pinot knows, against a look-up alone.
func (b *bench) pinot(ctx context.Context) (_ []row, err error) {
	cluster, err := local.Start(ctx, local.Options{})
	if errors.Is(err, local.ErrNoJava) {
		b.progressf("  left out: %v", err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	inserts := max(10, b.size(200))
	if err := fillPinot(ctx, cluster, b.passes, inserts); err != nil {
		return nil, err
	}
	source, err := pinot.New(pinot.Config{Brokers: cluster.BrokerAddresses()})
	if err != nil {
		return nil, err
	}
	defer source.Close()
	for i := range warmUp {
		if _, err := source.Flight(ctx, pinotFlight(0, i%inserts)); err != nil {
			return nil, err
		}
	}

	pool, drop, err := b.server.database(ctx, "pinot", migrated)
	if err != nil {
		return nil, err
	}
	defer drop()
	if err := makeBilling(ctx, pool); err != nil {
		return nil, err
	}
	var savedP50, lookP50 []float64
	figures, err := b.takeTurns(ctx,
		func(ctx context.Context, pass int) (float64, error) {
			ids := make([]string, inserts)
			for i := range ids {
				ids[i] = pinotFlight(pass, i)
			}
			_, saved, err := b.latencyOnce(ctx, pool, source, ids)
			savedP50 = append(savedP50, saved.P50)
			return saved.P99, err
		},
		func(ctx context.Context, pass int) (float64, error) {
			var took []float64
			for i := range inserts {
				since := time.Now()
				if _, err := source.Flight(ctx, pinotFlight(pass, i)); err != nil {
					return 0, err
				}
				took = append(took, milliseconds(since, time.Now()))
				time.Sleep(pause)
			}
			lookP50 = append(lookP50, median(took))
			return quantile(took, 0.99), nil
		})
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("latency: %s single INSERTs, %v apart, flights in a real Pinot: INSERT to saved, ", count(inserts), pause)
	const look = "ms, a look-up in Pinot alone"
	return []row{
		compared(what+"p50", "ms", savedP50, look, lookP50, nil),
		compared(what+"p99", "ms", figures[0], look, figures[1], below(50, "ms")),
	}, nil
}

func pinotFlight(pass, i int) string { return fmt.Sprintf("R%d-%d", pass, i) }

func fillPinot(ctx context.Context, cluster *local.Cluster, passes, flights int) error {
	schema, config := local.FlightsTable("flights")
	if err := cluster.CreateTable(ctx, schema, config); err != nil {
		return err
	}
	landed := time.Now().Add(-3 * time.Hour)
	var rows strings.Builder
	rows.WriteString("flight_id,operator,mtow_kg,origin,destination,departed_at,landed_at,distance_km,passengers\n")
	for pass := range passes {
		for i := range flights {
			fmt.Fprintf(&rows, "%s,AIR%d,%d,KJFK,KBOS,%d,%d,%d,%d\n", pinotFlight(pass, i), 1+i%customers, 70500+i,
				landed.Add(-time.Hour).UnixMilli(), landed.UnixMilli(), 300+i, 100+i%80)
		}
	}
	if err := cluster.Load(ctx, "flights", local.CSV, strings.NewReader(rows.String())); err != nil {
		return err
	}
	return cluster.WaitRows(ctx, "flights", passes*flights)
}
