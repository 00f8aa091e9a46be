package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

var reasonWords = map[billing.Reason]string{
	billing.ReasonSourceDown:      "flight source is down",
	billing.ReasonFlightUnknown:   "not in the flight source yet",
	billing.ReasonFlightAmbiguous: "two flights under one id",
	billing.ReasonNotLanded:       "not landed yet",
	billing.ReasonNotOffBlock:     "still on its stand",
	billing.ReasonNoCustomer:      "no customer pays for it",
	billing.ReasonNoTariff:        "no tariff applies",
	billing.ReasonMissingFact:     "a fact is missing that a tariff needs: 'flightbill price FLIGHT_ID' names it",
	billing.ReasonUnusableFacts:   "facts that cannot be right",
}

// demoSummary prints what became of the flights and the invoices, and how fast.
func (a *app) demoSummary(ctx context.Context, pool *pgxpool.Pool, stats *jobs.Stats) error {
	snapshot := stats.Snapshot()
	if err := a.summarizeFlights(ctx, pool, snapshot); err != nil {
		return err
	}
	if err := a.summarizeInvoices(ctx, pool); err != nil {
		return err
	}
	flights := snapshot.Flights
	stages := flights.MillisecondsOf
	slowest := slices.MaxFunc([]string{"fetch", "price", "save"}, func(x, y string) int {
		return int(1000 * (stages[x].P50 - stages[y].P50))
	})
	a.sayf("\n%.0f flights a second, %d workers; slowest step: %s (for a batch: p50 %.1f ms, p99 %.1f ms; fetch %.1f, price %.1f, save %.1f ms at p50).",
		float64(stages["fetch"].Count)/max(flights.BusySeconds, 0.001), a.config.Workers, slowest, stages[slowest].P50, stages[slowest].P99,
		stages["fetch"].P50, stages["price"].P50, stages["save"].P50)
	return nil
}

func (a *app) summarizeFlights(ctx context.Context, pool *pgxpool.Pool, snapshot jobs.Snapshot) error {
	queue, err := db.QueueStates(ctx, pool)
	if err != nil {
		return err
	}
	rows := [][]string{{"billed", count(snapshot.Flights.Done), ""}}
	rows = append(rows, outcomes(queue)...)
	return table(a.stdout, []string{"FLIGHTS", ">NUMBER", "WHY"}, rows)
}

// outcomes is a row for each outcome and reason: a flight that waits is first
// scheduled, then available, for one and the same reason.
func outcomes(queue []db.QueueState) [][]string {
	type outcome struct{ name, why string }
	sums := map[outcome]int64{}
	for _, q := range queue {
		o := outcome{q.State, reasonWords[billing.Reason(q.Reason)]}
		if slices.Contains([]string{"available", "running", "scheduled"}, q.State) {
			o.name = "waiting"
		}
		sums[o] += q.Jobs
	}
	var rows [][]string
	for _, o := range slices.SortedFunc(maps.Keys(sums), func(x, y outcome) int {
		return cmp.Or(cmp.Compare(x.name, y.name), cmp.Compare(x.why, y.why))
	}) {
		rows = append(rows, []string{o.name, count(sums[o]), o.why})
	}
	return rows
}

func (a *app) summarizeInvoices(ctx context.Context, pool *pgxpool.Pool) error {
	summary, err := db.SumInvoices(ctx, pool)
	if err != nil {
		return err
	}
	var rows [][]string
	totals := map[string]decimal.Decimal{}
	var invoices int64
	for _, s := range summary {
		rows = append(rows, []string{s.Customer, s.Status, count(s.Invoices), money(s.Total, s.Currency), s.Currency})
		if s.Status != "DRAFT" {
			totals[s.Currency] = totals[s.Currency].Add(s.Total)
			invoices += s.Invoices
		}
	}
	fmt.Fprintln(a.stdout)
	if err := table(a.stdout, []string{"CUSTOMER", "STATUS", ">INVOICES", ">TOTAL", "CURRENCY"}, rows); err != nil {
		return err
	}
	var sums []string
	for _, currency := range slices.Sorted(maps.Keys(totals)) {
		sums = append(sums, money(totals[currency], currency)+" "+currency)
	}
	a.sayf("\n%s invoices issued, %s. (A DRAFT is not an invoice yet: its period closes later.)", count(invoices), strings.Join(sums, ", "))
	return nil
}
