package db_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

func TestVoidInvoice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	b.save(t, nil, b.priced(t, books, "F1", "EACH"), db.Billed)
	b.save(t, nil, b.priced(t, books, "F2", "EACH"), db.Billed)
	b.exec(t, `UPDATE customers SET name = 'Renamed Air', payment_terms_days = 99 WHERE code = 'EACH'`)
	require.Equal(t, "EACH-CN000001", get[string](t, b, `SELECT void_invoice('EACH-000001', ' wrong customer ')`))
	require.Equal(t, "EACH flight VOID EACH-000001 EUR 170.40 F1:142.00:28.40; EACH flight PENDING EACH-000002 EUR 170.40 F2:142.00:28.40; "+
		"EACH credit_note PAID EACH-CN000001 EUR -170.40 F1:-142.00:-28.40", get[string](t, b, invoiceLines))
	require.Equal(t, "-71 2 0.2 RUNWAY Runway use 2026-03-04 false -142.00 -28.40 Renamed Air wrong customer EACH-000001", get[string](t, b,
		`SELECT concat_ws(' ', h.quantity, h.unit_rate, h.tax_rate, h.code, h.description, h.flown_on, h.late::text, n.subtotal, n.tax, n.bill_to_name, n.reason, i.number)
			FROM invoices n JOIN charges h ON h.invoice_id = n.id JOIN invoices i ON i.id = n.credits_invoice_id`))
	require.True(t, get[bool](t, b, `SELECT due_on = (now() AT TIME ZONE 'UTC')::date AND paid_at = issued_at
		FROM invoices WHERE kind = 'credit_note'`))
	require.Equal(t, "F1 1, F2 0", get[string](t, b, `SELECT string_agg(flight_id || ' ' || revision, ', ' ORDER BY flight_id) FROM billed_flights`))
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job`), "re-billing was not asked for")

	// A paid one: the amount is owed back until that is paid too.
	b.exec(t, `SELECT mark_invoice_paid('EACH-000002')`)
	require.Equal(t, "EACH-CN000002", get[string](t, b, `SELECT void_invoice('EACH-000002', 'why')`))
	const status = `SELECT string_agg(status, ' ' ORDER BY number) FROM invoices WHERE number IN ('EACH-000002', 'EACH-CN000002')`
	require.Equal(t, "VOID PENDING", get[string](t, b, status))
	due, err := dbsqlc.New(b.pool).InvoiceNextPastDue(t.Context(),
		dbsqlc.InvoiceNextPastDueParams{Today: billing.NewDate(2999, 1, 1), AfterDueOn: billing.NewDate(1, 1, 1), MaxRows: 10})
	require.NoError(t, err)
	require.Empty(t, due, "a credit note is never overdue")
	b.requireRefused(t, `UPDATE invoices SET status = 'OVERDUE' WHERE number = 'EACH-CN000002'`, "EACH-CN000002")
	b.requireRefused(t, `UPDATE invoices SET reason = 'another' WHERE number = 'EACH-CN000002'`, "EACH-CN000002")
	b.requireRefused(t, `DELETE FROM invoices WHERE number = 'EACH-CN000002'`, "EACH-CN000002")
	b.exec(t, `SELECT mark_invoice_paid('EACH-CN000002')`)
	require.Equal(t, "VOID PAID", get[string](t, b, status))
	require.Zero(t, get[int](t, b, `SELECT sum(total)::int FROM invoices`))
}

func TestVoidInvoiceRefusals(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.exec(t, voidInvoice)
	b.refuses(t, map[string][]string{
		`void_invoice('EACH-000009', 'why')`:       {"P0002", "invoice 'EACH-000009' is not known", "a draft has none"},
		`void_invoice('1', 'why')`:                 {"P0002", "is not known", "a draft has none"},
		`void_invoice(NULL, 'why')`:                {"P0002", "invoice NULL is not known"},
		`void_invoice('EACH-000001', ' ')`:         {invalidParameter, "cannot be voided without a reason"},
		`void_invoice('EACH-000001', NULL)`:        {invalidParameter, "cannot be voided without a reason"},
		`void_invoice('EACH-000001', 'why')`:       {"55000", "invoice EACH-000001 is VOID already, by EACH-CN000001"},
		`void_invoice('EACH-000001', 'why', true)`: {"55000", "is VOID already", "rebill_invoice"},
		`void_invoice('EACH-CN000001', 'why')`:     {"55000", "is a credit note and cannot be voided"},
		`rebill_invoice('EACH-000009')`:            {"P0002", "is not known"},
		`rebill_invoice('EACH-CN000001')`:          {"55000", "is PAID and its flights are billed"},
	})
	b.requireRefused(t, `DELETE FROM voided_flights`, "kept for ever")
}

// While a flight waits to be billed again, another payer may be named for it.
func TestRebillAnotherPayer(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.exec(t, voidInvoice)
	b.exec(t, `SELECT rebill_invoice('EACH-000001')`)
	b.requireSQLError(t, `SELECT rebill_invoice('EACH-000001')`, "55000", "sent to be billed again already", "another payer")
	require.Equal(t, 1, get[int](t, b, `SELECT rebill_invoice('EACH-000001', 'register')`))
	require.Equal(t, "register", get[string](t, b, `SELECT payer FROM voided_flights WHERE flight_id = 'F2'`))
	require.Equal(t, "F2 available 0 1", b.queue(t))
}

// Whoever is allowed to call it needs no right on any table.
func TestVoidInvoiceNeedsNoOtherRights(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	role, _ := b.role(t)
	b.exec(t, `GRANT USAGE ON SCHEMA flightbill TO `+role+`; GRANT EXECUTE ON FUNCTION void_invoice(text, text, boolean, text), rebill_invoice(text, text) TO `+role)
	b.session(t, `SET ROLE `+role, voidInvoice, `SELECT flightbill.rebill_invoice('EACH-000001')`)
	require.Equal(t, "F2 available 0 1", b.queue(t))
}

// Both series stay without gaps, with some of the transactions rolled back.
func TestCreditNoteNumbersHaveNoGap(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	for i := range 15 {
		b.save(t, nil, b.priced(t, books, fmt.Sprint("F", i), "EACH"), db.Billed)
	}
	pool := open(t, b.url, 20)
	var group errgroup.Group
	var ready sync.WaitGroup
	ready.Add(20)
	for i := range 20 {
		bill := b.priced(t, books, fmt.Sprint("NEW", i), "EACH")
		attempt := func(begun func()) error {
			tx, err := pool.Begin(t.Context())
			begun()
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
			if i < 15 {
				_, err = tx.Exec(t.Context(), `SELECT void_invoice('EACH-' || lpad($1::int::text, 6, '0'), 'why', $2)`, i+1, i%2 == 0)
			} else {
				_, err = saveFlight(t.Context(), tx, nil, bill, testNow)
			}
			if err != nil || i%3 == 0 {
				return err
			}
			return tx.Commit(t.Context())
		}
		group.Go(func() error {
			err := attempt(func() { ready.Done(); ready.Wait() }) // all have begun
			for errors.Is(err, db.ErrCustomerLocked) {            // a save waits a second, and there may be 19 before it
				err = attempt(func() {})
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, "10 EACH-CN000001 EACH-CN000010 10; 18 EACH-000001 EACH-000018 18", get[string](t, b, `SELECT string_agg(concat_ws(' ', n, low, high, seq), '; ' ORDER BY kind)
		FROM (SELECT i.kind, count(DISTINCT number) AS n, min(number) AS low, max(number) AS high, CASE i.kind WHEN 'flight' THEN invoice_seq ELSE credit_note_seq END AS seq
			FROM invoices i JOIN customers c ON c.id = customer_id WHERE status <> 'DRAFT' GROUP BY i.kind, seq) AS s`))
	require.Equal(t, 10, get[int](t, b, `SELECT count(*) FROM invoices WHERE status = 'VOID'`))
	require.Equal(t, 5, get[int](t, b, `SELECT count(*) FROM flight_processing_queue`), "those to be billed again, of those that were voided")
}

// The numbers of one customer cannot be those of another.
func TestCreditNoteNumbersAreNobodyElses(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.exec(t, `INSERT INTO customers (code, name, billing_frequency) VALUES ('EACH-CN', 'Other Air', 'per_flight'), ('EACH-CN000001', 'Third Air', 'per_flight')`)
	for i, code := range []string{"EACH-CN", "EACH-CN000001"} {
		b.exec(t, `INSERT INTO invoices (customer_id, kind, currency) SELECT id, 'flight', 'EUR' FROM customers WHERE code = $1`, code)
		b.charge(t, 3+i, "F1")
		b.issue(t, 3+i)
	}
	b.exec(t, voidInvoice)
	require.Equal(t, "EACH-000001 EACH-CN-000001 EACH-CN000001 EACH-CN000001-000001", get[string](t, b, `SELECT string_agg(number, ' ' ORDER BY number COLLATE "C") FROM invoices`))
}

// A void and whatever else may have the invoice or its customer, whichever comes
// first.
func TestVoidMeetsOthers(t *testing.T) {
	t.Parallel()
	type connection interface {
		db.Sender
		Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	}
	const (
		void = `SELECT void_invoice('EACH-000001', 'why', true)`
		paid = `SELECT mark_invoice_paid('EACH-000001', '2026-03-05')`
		mark = `UPDATE invoices SET status = 'OVERDUE' WHERE number = 'EACH-000001' AND status = 'PENDING'`
		// A run that issues another draft of the customer.
		issue = `SELECT issue_drafts(ARRAY(SELECT id FROM invoices WHERE status = 'DRAFT' AND customer_id = (SELECT id FROM customers WHERE code = 'EACH')), now(), '2026-03-08')`
		save  = "" // of a flight of the customer
	)
	do := func(on connection, sql string, bill db.Bill) error {
		if sql == save {
			_, err := saveFlight(t.Context(), on, nil, bill, testNow)
			return err
		}
		_, err := on.Exec(t.Context(), sql)
		return err
	}
	for name, c := range map[string]struct{ first, second, fails, want string }{
		"void, payment":      {void, paid, "is VOID and cannot be marked paid", "EACH-000001 VOID, EACH-CN000001 PAID"},
		"payment, void":      {paid, void, "", "EACH-000001 VOID, EACH-CN000001 PENDING"},
		"void, overdue":      {void, mark, "", "EACH-000001 VOID, EACH-CN000001 PAID"},
		"overdue, void":      {mark, void, "", "EACH-000001 VOID, EACH-CN000001 PAID"},
		"void, run":          {void, issue, "", "EACH-000001 VOID, EACH-000002 PENDING, EACH-CN000001 PAID"},
		"run, void":          {issue, void, "", "EACH-000001 VOID, EACH-000002 PENDING, EACH-CN000001 PAID"},
		"void, void rebills": {voidInvoice, void, "is VOID already, by EACH-CN000001", "EACH-000001 VOID, EACH-CN000001 PAID"},
		"void, save":         {void, save, "", "EACH-000001 VOID, EACH-000002 PENDING, EACH-CN000001 PAID"},
		"save, void":         {save, void, "", "EACH-000001 VOID, EACH-000002 PENDING, EACH-CN000001 PAID"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupInvoices(t)
			b.exec(t, `INSERT INTO billed_flights SELECT 'F3', id, '2026-03-04', '{}', now() FROM customers WHERE code = 'EACH'`)
			b.exec(t, `INSERT INTO invoices (customer_id, kind, closes_on, currency) SELECT id, 'consolidated', '2026-03-08', 'EUR' FROM customers WHERE code = 'EACH'`)
			b.charge(t, 3, "F3")
			bill := b.priced(t, db.NewPriceBooks(b.pool), "F9", "EACH")
			first := b.begin(t)
			require.NoError(t, do(first, c.first, bill))
			second := meanwhile(t, b, func() (any, error) { return nil, do(b.pool, c.second, bill) })
			require.NoError(t, first.Commit(t.Context()))
			_, err := second()
			if c.fails == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.fails)
			}
			require.Equal(t, c.want, get[string](t, b, `SELECT string_agg(number || ' ' || status, ', ' ORDER BY number COLLATE "C") FROM invoices WHERE number IS NOT NULL`))
		})
	}
	t.Run("run of the weekly draft, void", func(t *testing.T) {
		t.Parallel()
		b := setupInvoices(t)
		b.issue(t, 1)
		b.exec(t, `INSERT INTO invoices (customer_id, kind, closes_on, currency) SELECT customer_id, kind, closes_on, 'USD' FROM invoices WHERE id = 1`)
		b.charge(t, 3, "F1")
		b.issueBehind(t, b.begin(t, `SELECT void_invoice('WEEK-000001', 'why')`))
		require.Equal(t, "WEEK-000001 VOID, WEEK-000002 PENDING, WEEK-CN000001 PAID", get[string](t, b,
			`SELECT string_agg(number || ' ' || status, ', ' ORDER BY number COLLATE "C") FROM invoices WHERE number ~ '^WEEK'`))
	})
}

// A window of flights is enqueued, one of which is on a voided invoice: it is
// refused, and all others are enqueued.
func TestEnqueueOfVoidedFlights(t *testing.T) {
	t.Parallel()
	const reasons = `SELECT string_agg(concat_ws(' ', flight_id, state, reason, details), '; ' ORDER BY flight_id) FROM flight_processing_queue`
	const refused = "F2 cancelled invoice_voided flight F2 is not billed again: its invoice EACH-000001 was voided by EACH-CN000001 without that (wrong tariff); " +
		"have who enqueued it, or flightbill_queue_admin, take it off the queue, or have the invoice's flights billed again: SELECT flightbill.rebill_invoice('EACH-000001')"
	b := setupInvoices(t)
	b.exec(t, voidInvoice)
	for range 2 {
		tag, err := b.pool.Exec(t.Context(), `INSERT INTO flight_processing_queue (flight_id) VALUES ('F1'), ('F2'), ('F3')`)
		require.NoError(t, err)
		require.LessOrEqual(t, tag.RowsAffected(), int64(2))
		require.Equal(t, refused+"; F3 available", get[string](t, b, reasons))
	}
	require.Equal(t, "flight F2 is not billed again: its invoice was voided without that; have who enqueued it, or flightbill_queue_admin, take it off the queue, or have the invoice's flights billed again",
		get[string](t, b, `SELECT last_error FROM flight_processing_queue WHERE flight_id = 'F2'`))
	b.exec(t, `DELETE FROM flight_processing_queue`)
	require.Equal(t, "2 0 0 1 1", get[string](t, b, `SELECT concat_ws(' ', enqueued, revived, already_queued, already_billed, refused)
		FROM enqueue_flights(ARRAY['F0', 'F1', 'F2', 'F3'])`))
	require.Equal(t, "F0 available; "+refused+"; F3 available", get[string](t, b, reasons))

	// Once it is to be billed again it goes back to work, marked; and again where it
	// was taken back.
	const marked = `SELECT string_agg(flight_id || ' ' || j.state || ' ' || j.metadata - 'enqueued_by' - 'said', ', ') FROM flight_processing_queue q JOIN river_job j ON j.id = job_id WHERE flight_id = 'F2'`
	require.Equal(t, 1, get[int](t, b, `SELECT rebill_invoice('EACH-000001')`))
	require.Equal(t, `F2 available {"billed_before": true}`, get[string](t, b, marked))
	b.requireSQLError(t, `SELECT rebill_invoice('EACH-000001')`, "55000", "have been sent to be billed again already")
	require.Zero(t, b.enqueue(t, "F2"), "it is queued")
	b.exec(t, `DELETE FROM flight_processing_queue WHERE flight_id = 'F2'`)
	require.EqualValues(t, 1, b.enqueue(t, "F2"))
	require.Equal(t, `F2 available {"billed_before": true}`, get[string](t, b, marked))
	require.Equal(t, "0 0 1 0", enqueueMany(t, b, `ARRAY['F2']`))

	// A job that knows nothing of it, cancelled: the mark comes with its revival.
	b.exec(t, `DELETE FROM river_job`)
	b.raw(t, "F2")
	b.setState(t, "F2", "cancelled")
	require.EqualValues(t, 1, b.enqueue(t, "F2"))
	require.Equal(t, `F2 available {"billed_before": true}`, get[string](t, b, marked))
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM river_job`))
}

func TestVoidWithRebillEnqueues(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.exec(t, `SELECT void_invoice('EACH-000001', 'why', true)`)
	require.Equal(t, "F2 available 0 1", b.queue(t))
	require.True(t, get[bool](t, b, `SELECT unique_key = flight_job_key('F2') AND unique_states = B'11110101' AND queue = 'flights' AND max_attempts = 25
		AND metadata = jsonb_build_object('billed_before', true, 'enqueued_by', session_user) FROM river_job`))
}
