package faults_test

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// clerkOperations are what clerks and operators do.
var clerkOperations = []operation{
	{"run by hand", 6, run},
	{"invoice paid", 6, onInvoice("PENDING", "paid", `true`, `SELECT flightbill.mark_invoice_paid($1)`)},
	{"payment taken back", 3, onInvoice("PAID", "unpaid", `true`, `SELECT flightbill.unmark_invoice_paid($1, 'by mistake')`)},
	{"invoice voided", 2, onInvoice("", "void", notElsewhere, `SELECT flightbill.void_invoice($1, 'not ours')`)},
	{"invoice voided and billed again", 4, onInvoice("", "void", `true`, `SELECT flightbill.void_invoice($1, 'wrong', rebill => true)`)},
	{"voided invoice billed again", 2, onInvoice("VOID", "rebill", notAsked, `SELECT flightbill.rebill_invoice($1)`)},
	{"flight corrected", 5, correct},
	{"all changed flights corrected", 1, correctChanged},
	{"tariff changed", 4, changeTariff},
	{"hold", 3, hold},
	{"job retried in River UI", 2, retry},
}

// run issues the invoices, by the server's login, that are due by the day that it is in this test.
func run(ctx context.Context, w *worker) error {
	_, err := w.h.command(ctx, server, "consolidate", "--run-date", w.h.progress().Format(time.DateOnly))
	return err
}

// What is not done to an invoice without re-billing where its flights have charges elsewhere, and not twice.
const (
	notElsewhere = `NOT EXISTS (SELECT FROM flightbill.charges c JOIN flightbill.invoices o ON o.id = c.invoice_id
		WHERE c.flight_id IN (SELECT flight_id FROM flightbill.charges WHERE invoice_id = i.id) AND o.id <> i.id AND o.currency = i.currency
		GROUP BY c.flight_id HAVING sum(c.amount) <> 0 OR sum(c.tax_amount) <> 0)`
	notAsked = `EXISTS (SELECT FROM flightbill.voided_flights v JOIN flightbill.invoices c ON c.id = v.credit_note_id
		WHERE c.credits_invoice_id = i.id AND v.rebilled_at IS NULL AND NOT v.rebill)`
)

// onInvoice does something to an invoice of a status, or to any, of which a condition holds.
func onInvoice(status, what, condition, sql string) func(context.Context, *worker) error {
	return func(ctx context.Context, w *worker) error {
		return w.transact(ctx, func(tx pgx.Tx) error {
			var number string
			err := tx.QueryRow(ctx, `SELECT number FROM flightbill.invoices i WHERE number IS NOT NULL AND status = coalesce(nullif($1, ''), status)
				AND ($1 <> '' OR status <> 'VOID' AND (kind <> 'credit_note' OR closes_on IS NOT NULL))
				AND (status <> 'PAID' OR $2 <> 'unpaid' OR total <> 0 AND (credits_invoice_id IS NULL OR paid_at <> issued_at))
				AND id >= (SELECT $3::float8 * max(id) FROM flightbill.invoices) AND `+condition+` ORDER BY id LIMIT 1`, status, what, w.r.Float64()).Scan(&number)
			if errors.Is(err, pgx.ErrNoRows) {
				return errNothingToDo
			}
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, sql, number); err != nil {
				return err
			}
			// Where another clerk has done the same meanwhile, nothing was done, and nothing is to be counted.
			done, err := tx.Exec(ctx, `INSERT INTO witness.documents (number, what) SELECT i.number, $2 FROM flightbill.invoices i
				WHERE i.number = $1 AND ($2 = 'rebill' OR EXISTS (SELECT FROM flightbill.invoice_events e WHERE e.invoice_id = i.id AND e.xmin = pg_current_xact_id()::xid))`, number, what)
			if err == nil && done.RowsAffected() == 0 {
				return errNothingToDo
			}
			return err
		})
	}
}

// correct changes a billed flight's facts and has it corrected.
func correct(ctx context.Context, w *worker) error {
	id, err := w.billedFlight(ctx)
	if err != nil {
		return err
	}
	version, err := w.h.flights.change(ctx, w.db, id)
	if err != nil {
		return err
	}
	if _, err := w.h.command(ctx, clerk, "correct", id); err != nil {
		return err
	}
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	w.h.fixed[id] = max(w.h.fixed[id], version)
	return nil
}

// correctChanged changes some flights' facts and has all corrected whose facts have changed.
func correctChanged(ctx context.Context, w *worker) error {
	for range 5 {
		id, err := w.billedFlight(ctx)
		if err != nil {
			return err
		}
		if _, err = w.h.flights.change(ctx, w.db, id); err != nil {
			return err
		}
	}
	before, err := w.correctable(ctx)
	if err != nil {
		return err
	}
	if _, err := w.h.command(ctx, clerk, "correct", "--changed"); err != nil {
		return err
	}
	after, err := w.correctable(ctx)
	if err != nil {
		return err
	}
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	for id, version := range before {
		if _, still := after[id]; still { // not voided meanwhile: then it is left as it is
			w.h.fixed[id] = max(w.h.fixed[id], version)
		}
	}
	return nil
}

// correctable returns the flights that a correction would reach, with the versions of their facts.
func (w *worker) correctable(ctx context.Context) (map[string]int, error) {
	rows, err := w.db.Query(ctx, `SELECT flight_id FROM flightbill.billed_flights `+notVoided)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	versions := map[string]int{}
	for _, id := range ids {
		_, versions[id] = w.h.flights.get(id)
	}
	return versions, err
}

// notVoided is of billed_flights that no void keeps from being corrected.
const notVoided = `WHERE flight_id NOT IN (SELECT flight_id FROM flightbill.voided_flights WHERE rebilled_at IS NULL)`

func (w *worker) billedFlight(ctx context.Context) (id string, err error) {
	err = w.db.QueryRow(ctx, `WITH billed AS (SELECT flight_id FROM flightbill.billed_flights `+notVoided+`)
		SELECT flight_id FROM billed OFFSET (SELECT floor($1::float8 * count(*)) FROM billed) LIMIT 1`, w.r.Float64()).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", errNothingToDo
	}
	return id, err
}

func changeTariff(ctx context.Context, w *worker) error {
	var version int64
	err := w.transact(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE flightbill.tariffs SET unit_rate = round(unit_rate * $1::numeric, 3), minimum = $2
			WHERE id = (SELECT id FROM flightbill.tariffs ORDER BY id OFFSET $3 LIMIT 1)`, 0.9+w.r.Float64()/5, w.r.IntN(30), w.r.IntN(strings.Count(tariffsCSV, "\n")-1))
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT version FROM flightbill.price_book`).Scan(&version)
	})
	if err == nil {
		w.h.mu.Lock()
		defer w.h.mu.Unlock()
		w.h.seen[version] = time.Now()
	}
	return err
}

func hold(ctx context.Context, w *worker) error {
	code := pick(w.r, []string{"HELD", "HELD", "MON", "EACH", "WED"})
	return w.transact(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE flightbill.customers SET billing_hold = NOT billing_hold WHERE code = $1`, code)
		return err
	})
}

func retry(ctx context.Context, w *worker) error {
	var id int64
	err := w.db.QueryRow(ctx, `SELECT job_id FROM flightbill.flight_processing_queue WHERE state <> 'running' ORDER BY job_id OFFSET $1 LIMIT 1`, w.r.IntN(20)).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return errNothingToDo
	}
	if err == nil {
		_, err = w.h.river.JobRetry(ctx, id)
	}
	return err
}
