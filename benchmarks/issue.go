package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

const linesOfFlight = 3

// closingDate is a Sunday: every customer's week ends then, and the run's cut-off
// stands on the day before.
var closingDate = billing.NewDate(2026, time.March, 8)

// issue turns a week's drafts into invoices.
func (b *bench) issue(ctx context.Context, full, linesOfDraft int) ([]row, error) {
	const seed = "issue"
	drafts := b.size(full)
	dropSeed, err := b.server.seed(ctx, seed, func(pool *pgxpool.Pool) error { return b.makeDrafts(ctx, pool, drafts, linesOfDraft) })
	if err != nil {
		return nil, err
	}
	defer dropSeed()

	totals := map[string]bool{}
	timed := func(do doTimed) contender {
		return func(ctx context.Context, _ int) (seconds float64, err error) {
			err = b.server.inCopy(ctx, seed, func(pool *pgxpool.Pool) error {
				var err error
				if seconds, err = do(ctx, pool, drafts, drafts*linesOfDraft); err != nil {
					return err
				}
				var total string
				err = pool.QueryRow(ctx, "SELECT count(*) || ' invoices of ' || sum(total) FROM invoices WHERE status = 'PENDING'").Scan(&total)
				totals[total] = true
				return err
			})
			return seconds, err
		}
	}
	var run, service memory
	figures, err := b.takeTurns(ctx, timed(run.watch(b.issueByRun)), timed(service.watch(b.issueByService)), timed(issueByHand))
	if err != nil {
		return nil, err
	}
	if len(totals) != 1 {
		return nil, fmt.Errorf("the contenders issued different invoices: %v", totals)
	}
	what := fmt.Sprintf("issue: %s drafts with %s charges", count(drafts), count(drafts*linesOfDraft))
	const yardstick, before = "s, one transaction written by hand for this case", "MB, the process before"
	return []row{
		compared(what+", flightbill consolidate", "s", figures[0], yardstick, figures[2], nil).within(1.5, figures[0], figures[2]),
		compared(what+", flightbill consolidate, peak memory of the process", "MB", run.peak, before, run.before, nil),
		compared(what+", the daily job of one process", "s", figures[1], yardstick, figures[2], nil).within(1.5, figures[1], figures[2]),
		compared(what+", the daily job of one process, peak memory of the process", "MB", service.peak, before, service.before, nil),
	}, nil
}

// doTimed issues so many drafts and returns how many seconds it took.
type doTimed func(ctx context.Context, pool *pgxpool.Pool, drafts, charges int) (seconds float64, err error)

// memory is what the process takes, before and at most.
type memory struct{ before, peak []float64 }

func (m *memory) watch(do doTimed) doTimed {
	return func(ctx context.Context, pool *pgxpool.Pool, drafts, charges int) (float64, error) {
		debug.FreeOSMemory()
		resetPeak()
		now, _ := memoryMB("self", currentMemory)
		seconds, err := do(ctx, pool, drafts, charges)
		most, _ := memoryMB("self", peakMemory)
		m.before, m.peak = append(m.before, now), append(m.peak, most)
		return seconds, err
	}
}

// runTime is when the run of the closing date is due.
func runTime() time.Time { return closingDate.Start(time.UTC).Add(time.Hour) }

func (b *bench) issueByRun(ctx context.Context, pool *pgxpool.Pool, drafts, charges int) (seconds float64, err error) {
	started := time.Now()
	consolidator := jobs.Consolidator{Pool: pool, Books: db.NewPriceBooks(pool), Logger: b.logger, Now: runTime}
	results, err := consolidator.Run(ctx, closingDate, db.ByHand, nil)
	if err != nil {
		return 0, err
	}
	seconds = time.Since(started).Seconds()
	if len(results) != 1 || results[0].Invoices != int64(drafts) || results[0].Charges != int64(charges) {
		return 0, fmt.Errorf("the run did not issue what there is: %+v", results)
	}
	return seconds, nil
}

// issueByService is the way of serve: the daily job hands chunks out, and finishes
// the run once they are done. Counted from the job's start.
func (b *bench) issueByService(ctx context.Context, pool *pgxpool.Pool, drafts, _ int) (seconds float64, err error) {
	var clock atomic.Pointer[time.Time]
	early, due := runTime().AddDate(0, 0, -2), runTime()
	clock.Store(&early) // nothing is due while the service starts
	service, err := jobs.New(jobs.Config{
		Pool: pool, Source: db.NewFlights(pool), Workers: workers, FlightWait: time.Hour, Schedules: jobs.WorkSchedules,
		Now: func() time.Time { return *clock.Load() }, Stats: jobs.NewStats(), Logger: b.logger,
	})
	if err != nil {
		return 0, err
	}
	if err := service.Start(ctx); err != nil {
		return 0, err
	}
	defer service.Stop(context.WithoutCancel(ctx)) //nolint:errcheck // all is done by then, or has failed
	time.Sleep(time.Second)                        // its start is over

	clock.Store(&due)
	started := time.Now()
	if _, err := service.Client().Insert(ctx, jobs.ConsolidateInvoicesArgs{RunDate: closingDate}, nil); err != nil {
		return 0, err
	}
	for {
		var issued int64
		err := pool.QueryRow(ctx, "SELECT coalesce(sum(invoices) FILTER (WHERE finished_at IS NOT NULL), 0)::bigint FROM billing_runs WHERE closes_on = $1",
			closingDate).Scan(&issued)
		if err != nil || issued == int64(drafts) {
			return time.Since(started).Seconds(), err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// issueByHand knows what a run must find out: one draft a customer, nobody on
// hold, nothing that cannot be issued, nobody else who would wait for the locks.
func issueByHand(ctx context.Context, pool *pgxpool.Pool, _, _ int) (seconds float64, err error) {
	started := time.Now()
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, sql := range []string{
			`SELECT count(*) FROM (SELECT id FROM invoices WHERE status = 'DRAFT' AND closes_on <= $1 ORDER BY id FOR UPDATE) AS locked`,
			`WITH sums AS MATERIALIZED (
				SELECT c.invoice_id, c.tax_category, c.tax_rate, sum(c.amount) AS base, round(sum(c.amount) * c.tax_rate, 2) AS tax
				FROM charges c JOIN invoices i ON i.id = c.invoice_id
				WHERE i.status = 'DRAFT' AND i.closes_on <= $1
				GROUP BY c.invoice_id, c.tax_category, c.tax_rate
			), taxes AS (
				INSERT INTO invoice_taxes (invoice_id, category, rate, base, tax) SELECT * FROM sums
			), numbers AS (
				UPDATE customers c SET invoice_seq = c.invoice_seq + 1
				FROM invoices i
				WHERE i.customer_id = c.id AND i.status = 'DRAFT' AND i.closes_on <= $1
				RETURNING i.id, c.code || '-' || lpad(c.invoice_seq::text, 6, '0') AS number, c.name, c.payment_terms_days,
					jsonb_build_object('code', c.code, 'name', c.name) AS bill_to
			)
			UPDATE invoices i SET status = 'PENDING', number = n.number, subtotal = s.subtotal, tax = s.tax, total = s.subtotal + s.tax,
				bill_to_name = n.name, bill_to = n.bill_to, issued_at = now(), issued_on = $1::date, due_on = $1::date + n.payment_terms_days
			FROM (SELECT invoice_id, sum(base) AS subtotal, sum(tax) AS tax FROM sums GROUP BY invoice_id) AS s JOIN numbers n ON n.id = s.invoice_id
			WHERE i.id = s.invoice_id`,
		} {
			if _, err := tx.Exec(ctx, sql, closingDate); err != nil {
				return err
			}
		}
		return nil
	})
	return time.Since(started).Seconds(), err
}

// makeDrafts fills a week. The customers' flights come in turn, one of each, as
// they do in a week: a draft's charges lie all over the table.
func (b *bench) makeDrafts(ctx context.Context, pool *pgxpool.Pool, drafts, linesOfDraft int) error {
	for _, sql := range []string{
		fmt.Sprintf(`INSERT INTO customers (code, name, billing_frequency, week_ends_on)
			SELECT 'AIR' || n, 'Airline ' || n, 'weekly', 7 FROM generate_series(1, %d) AS n`, drafts),
		fmt.Sprintf(`INSERT INTO invoices (customer_id, kind, closes_on, currency)
			SELECT id, 'consolidated', '%s', 'EUR' FROM customers ORDER BY id`, closingDate),
		`INSERT INTO tariffs (code, description, basis, applies_to, unit_rate, currency, tax_rate, valid_from)
			VALUES ('RUNWAY', 'Runway use', 'per_tonne', 'departure', 5.50, 'EUR', 0.20, '2020-01-01')`,
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if _, err := db.EnsureSettings(ctx, pool, db.Settings{BillingStart: closingDate}, time.Now()); err != nil {
		return err
	}
	for done, flight := 0, 0; done < linesOfDraft; flight++ {
		lines := min(linesOfFlight, linesOfDraft-done)
		landedOn := closingDate.AddDays(-7 + done*7/linesOfDraft)
		if _, err := pool.Exec(ctx, `
			INSERT INTO billed_flights (customer_id, flight_id, landed_on, facts, billed_at)
			SELECT id, 'F' || $1::int || '-' || id, $2, '{}', now() FROM customers`, flight, landedOn); err != nil {
			return err
		}
		if _, err := pool.Exec(ctx, `
			INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
			SELECT i.id, 'F' || $1::int || '-' || i.customer_id, t.id, t.code, t.description, 71, t.unit_rate, 390.50, t.tax_rate, 78.10, $2
			FROM invoices i, tariffs t, generate_series(1, $3::int)`, flight, landedOn, lines); err != nil {
			return err
		}
		done += lines
		b.progressf("  made %s of %s charges", count(drafts*done), count(drafts*linesOfDraft))
	}
	return nil
}
