package db_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// setupInvoices has a draft (1, of WEEK) and an issued invoice (2, EACH-000001),
// with a charge each: F1 and F2.
func setupInvoices(t *testing.T) *testBundle {
	t.Helper()
	b := setup(t)
	b.exec(t, `
		INSERT INTO billed_flights SELECT f, c.id, '2026-03-04', '{}', now() FROM (VALUES ('F1', 'WEEK'), ('F2', 'EACH')) AS v (f, code) JOIN customers c USING (code);
		INSERT INTO invoices (customer_id, kind, closes_on, currency) SELECT id, 'consolidated', '2026-03-08', 'EUR' FROM customers WHERE code = 'WEEK';
		INSERT INTO invoices (customer_id, kind, currency) SELECT id, 'flight', 'EUR' FROM customers WHERE code = 'EACH';`)
	b.charge(t, 1, "F1")
	b.charge(t, 2, "F2")
	b.issue(t, 2)
	return b
}

func (b *testBundle) charge(t *testing.T, invoice int, flight string) {
	t.Helper()
	b.exec(t, addCharge, invoice, flight)
}

const addCharge = `INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
	SELECT $1, $2, id, code, description, 5, 2, 10.00, 0.2, 2.00, '2026-03-04' FROM tariffs`

func (b *testBundle) issue(t *testing.T, invoice int) {
	t.Helper()
	b.exec(t, `SELECT issue_drafts(ARRAY[$1::bigint], '2026-03-04 12:00Z', '2026-03-04')`, invoice)
}

func (b *testBundle) requireRefused(t *testing.T, sql string, parts ...string) {
	t.Helper()
	b.requireSQLError(t, sql, raised, parts...)
}

// requireSQLError runs a statement and checks what it is refused with.
func (b *testBundle) requireSQLError(t *testing.T, sql, code string, parts ...string) {
	t.Helper()
	_, err := b.pool.Exec(t.Context(), sql)
	require.Error(t, err, sql)
	requireSQLError(t, err, code, parts...)
}

func TestIssuedInvoiceStays(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	const whole = `SELECT jsonb_agg(to_jsonb(i) ORDER BY id)::text FROM invoices i`
	before := get[string](t, b, whole)
	require.Contains(t, before, "EACH-000001")

	// Every column that there is, so that a new one is thought of.
	values := map[string]string{
		"number": "'EACH-000002'", "customer_id": "customer_id - 1", "kind": "'credit_note'", "closes_on": "'2026-03-08'", "currency": "'USD'",
		"subtotal": "subtotal + 1, total = total + 1", "tax": "tax + 1, total = total + 1", "total": "total + 1, tax = tax + 1", "bill_to_name": "'Other'",
		"opened_at": "now()", "issued_at": "now()", "issued_on": "issued_on + 1", "due_on": "due_on + 1", "parked_at": "now()", "parked_by_run": "'2026-03-08'", "parked_reason": "'none'",
		"id": "DEFAULT", "status": "'DRAFT'", "paid_at": "", "credits_invoice_id": "1", "reason": "'why'",
		"outside_scope": "true", "issuer_id": "1", "bill_to": "'{}'", "tax_currency": "'USD'", "tax_currency_rate": "2",
	}
	for _, column := range get[[]string](t, b, `SELECT array_agg(column_name::text) FROM information_schema.columns WHERE table_name = 'invoices'`) {
		value, known := values[column]
		require.True(t, known, "column %s: may an issued invoice change in it?", column)
		if value != "" {
			b.requireRefused(t, `UPDATE invoices SET `+column+` = `+value+` WHERE number = 'EACH-000001'`, "invoice EACH-000001 is PENDING")
		}
	}
	b.requireRefused(t, `DELETE FROM invoices WHERE number = 'EACH-000001'`, "cannot be deleted", "credit note")
	b.requireSQLError(t, `UPDATE invoices SET paid_at = now() WHERE number = 'EACH-000001'`, checkViolation, "invoices_paid_at_exactly_when_paid")
	require.Equal(t, before, get[string](t, b, whole))
}

const voidInvoice = `SELECT flightbill.void_invoice('EACH-000001', 'wrong tariff')`

func TestInvoiceStatusChanges(t *testing.T) {
	t.Parallel()
	states := []string{"DRAFT", "PENDING", "OVERDUE", "PAID", "VOID"}
	allowed := map[string]string{ // DRAFT to PENDING takes a number: only issue_drafts does it; VOID a credit note: void_invoice
		"PENDING": "OVERDUE PAID", "OVERDUE": "PAID",
	}
	reach := map[string][]string{"PENDING": nil, "OVERDUE": {"OVERDUE"}, "PAID": {"PAID"}, "VOID": {"VOID"}}
	const change = `UPDATE invoices SET status = '%s', paid_at = CASE WHEN '%[1]s' = 'PAID' THEN now() END WHERE id = 2`
	b := setupInvoices(t)
	for from, way := range reach {
		for _, to := range states {
			if to == from {
				continue
			}
			tx := b.begin(t, `INSERT INTO payments (invoice_id, kind, amount, paid_on) VALUES (2, 'payment', 12.00, '2026-03-05')`)
			for _, status := range way {
				sql := fmt.Sprintf(change, status)
				if status == "VOID" {
					sql = voidInvoice
				}
				_, err := tx.Exec(t.Context(), sql)
				require.NoError(t, err)
			}
			_, err := tx.Exec(t.Context(), fmt.Sprintf(change, to))
			if strings.Contains(allowed[from], to) {
				require.NoError(t, err, "%s to %s", from, to)
			} else {
				require.Error(t, err, "%s to %s", from, to)
				requireSQLError(t, err, raised, "invoice EACH-000001 is "+from, "status "+to)
			}
			require.NoError(t, tx.Rollback(t.Context()))
		}
	}
	b.requireRefused(t, `UPDATE invoices SET status = 'PAID', paid_at = now() WHERE id = 2`, "invoice EACH-000001 cannot become PAID: 12.00 EUR is open", "record_payment")
	for _, to := range []string{"OVERDUE", "PAID", "VOID"} {
		b.requireRefused(t, `UPDATE invoices SET status = '`+to+`' WHERE id = 1`, "draft 1 is DRAFT")
	}
	b.requireSQLError(t, `UPDATE invoices SET status = 'PENDING' WHERE id = 1`, checkViolation, "invoices_draft_has_no_number")
	b.requireSQLError(t, `UPDATE invoices SET status = 'SENT' WHERE id = 2`, checkViolation, "invoices_status_check")
}

func TestChargesOfAnIssuedInvoiceStay(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	for _, sql := range []string{
		`UPDATE charges SET amount = 11 WHERE flight_id = 'F2'`, `UPDATE charges SET late = true WHERE flight_id = 'F2'`,
		`UPDATE charges SET invoice_id = 1 WHERE flight_id = 'F2'`, `UPDATE charges SET invoice_id = 2 WHERE flight_id = 'F1'`,
		`DELETE FROM charges WHERE flight_id = 'F2'`, `DELETE FROM charges`,
		strings.NewReplacer("$1", "2", "$2", "'F1'").Replace(addCharge),
	} {
		b.requireRefused(t, sql, "EACH-000001")
	}
	b.exec(t, voidInvoice)
	b.requireRefused(t, `DELETE FROM charges WHERE flight_id = 'F2' AND amount > 0`, "EACH-000001")
	b.requireRefused(t, `DELETE FROM charges WHERE flight_id = 'F2' AND amount < 0`, "EACH-CN000001")
	b.requireRefused(t, `UPDATE charges SET amount = 0 WHERE amount < 0`, "EACH-CN000001")
	b.requireRefused(t, strings.NewReplacer("$1", "3", "$2", "'F1'").Replace(addCharge), "EACH-CN000001")
	require.Equal(t, "F1 1, F2 2", get[string](t, b, `SELECT string_agg(flight_id || ' ' || invoice_id, ', ' ORDER BY id) FROM charges WHERE amount = 10 AND NOT late`))
}

// issueBehind has the run of 8 March issue its one draft, which has to wait for a
// transaction, and commits that.
func (b *testBundle) issueBehind(t *testing.T, first pgx.Tx) {
	t.Helper()
	closesOn := billing.NewDate(2026, 3, 8)
	began, err := db.BeginRun(t.Context(), b.pool, testCalendar(t, b), closesOn, db.ByHand, testNow)
	require.NoError(t, err)
	require.True(t, began)
	run := meanwhile(t, b, func() (db.Issued, error) {
		issued, _, err := db.IssueChunk(t.Context(), b.pool, db.Run{ClosesOn: closesOn, StartedAt: testNow}, &db.Cursor{}, 10, testNow, closesOn)
		return issued, err
	})
	require.NoError(t, first.Commit(t.Context()))
	issued, err := run()
	require.NoError(t, err)
	require.Equal(t, db.Issued{Invoices: 1, Charges: 1}, issued)
}

func TestDraftsCanBeChanged(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.exec(t, `UPDATE charges SET amount = 11 WHERE flight_id = 'F1'`)
	b.exec(t, `UPDATE invoices SET currency = 'USD', closes_on = '2026-03-15' WHERE id = 1`)
	b.exec(t, `INSERT INTO invoices (customer_id, kind, closes_on, currency) SELECT customer_id, kind, '2026-03-08', currency FROM invoices WHERE id = 1`)
	b.exec(t, `UPDATE charges SET invoice_id = 3 WHERE invoice_id = 1`)
	b.exec(t, `DELETE FROM invoices WHERE id = 1`)
	b.exec(t, `DELETE FROM charges WHERE invoice_id = 3`)
	require.Equal(t, "2 3", get[string](t, b, `SELECT string_agg(id::text, ' ' ORDER BY id) FROM invoices`))
}

func TestLedgerStays(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.markBilled(t, "F3") // a flight without charges
	b.requireRefused(t, `DELETE FROM billed_flights WHERE flight_id = 'F3'`, "kept for ever")
	b.requireRefused(t, `UPDATE billed_flights SET flight_id = 'F4' WHERE flight_id = 'F3'`, "kept for ever")
	for _, tables := range []string{
		"billed_flights CASCADE", "charges", "voided_flights", "invoices CASCADE", "invoices, charges, invoice_events CASCADE", "payments", "customers CASCADE", "tariffs CASCADE",
	} {
		b.requireRefused(t, `TRUNCATE `+tables, "kept for ever")
	}
	require.Equal(t, 3, get[int](t, b, `SELECT count(*) FROM billed_flights`))
	require.Equal(t, 2, get[int](t, b, `SELECT count(*) FROM charges`))
}

func TestInvoiceEvents(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.exec(t, `UPDATE invoices SET status = 'PENDING' WHERE id = 2`)          // no change
	for _, reason := range []string{"no charges", "no charges", "too many"} { // the second says nothing new
		b.exec(t, `UPDATE invoices SET parked_at = now(), parked_reason = $1 WHERE id = 1`, reason)
	}
	b.exec(t, `UPDATE invoices SET status = 'OVERDUE' WHERE status = 'PENDING'`)
	b.exec(t, `SELECT mark_invoice_paid('EACH-000001', '2026-03-06')`)
	b.exec(t, voidInvoice)
	b.exec(t, `SELECT mark_invoice_paid('EACH-CN000001', (now() AT TIME ZONE 'UTC')::date)`)
	b.issue(t, 1)
	b.exec(t, `SELECT void_invoice('WEEK-000001', 'sent twice')`)
	const events = `SELECT string_agg(coalesce(from_status, '') || '>' || to_status || coalesce(' ' || replace(note, current_date::text, 'TODAY'), ''), '; ' ORDER BY id)
		FROM invoice_events WHERE invoice_id = $1`
	require.Equal(t, ">DRAFT; DRAFT>DRAFT parked: no charges; DRAFT>DRAFT parked: too many; DRAFT>PENDING no longer parked; PENDING>VOID WEEK-CN000001: sent twice",
		get[string](t, b, events, 1))
	require.Equal(t, ">DRAFT; DRAFT>PENDING; PENDING>OVERDUE; OVERDUE>PAID paid on 2026-03-06; PAID>VOID EACH-CN000001: wrong tariff",
		get[string](t, b, events, 2))
	require.Equal(t, ">DRAFT; DRAFT>PENDING voids EACH-000001, which was paid: the amount is owed back: wrong tariff; PENDING>PAID paid on TODAY",
		get[string](t, b, events, 3))
	require.Equal(t, ">DRAFT; DRAFT>PENDING voids WEEK-000001: sent twice; PENDING>PAID set against WEEK-000001", get[string](t, b, events, 4))
	require.True(t, get[bool](t, b, `SELECT at = issued_at FROM invoice_events JOIN invoices i ON i.id = invoice_id WHERE invoice_id = 2 AND to_status = 'PENDING'`))
}

func TestOneInvoicePerPeriod(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	const another = `INSERT INTO invoices (customer_id, kind, closes_on, currency) SELECT customer_id, kind, closes_on, currency FROM invoices WHERE id = 1`
	b.requireSQLError(t, another, "23505", "invoices_one_per_period")
	b.issue(t, 1)
	b.requireSQLError(t, another, "23505", "invoices_one_per_period")
	b.exec(t, `INSERT INTO invoices (customer_id, kind, closes_on, currency) SELECT customer_id, kind, closes_on, 'USD' FROM invoices WHERE id = 1`)
	b.exec(t, `INSERT INTO invoices (customer_id, kind, currency) SELECT customer_id, 'flight', currency FROM invoices WHERE id = 2`)
	b.exec(t, `SELECT void_invoice('WEEK-000001', 'why')`)
	b.exec(t, another)
}

func TestMarkInvoicePaid(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.exec(t, `UPDATE billing_settings SET timezone = 'Pacific/Auckland'`)
	b.refuses(t, map[string][]string{
		`mark_invoice_paid('EACH-000009')`:                                                    {"P0002", "invoice 'EACH-000009' is not known", "a draft has none"},
		`mark_invoice_paid(NULL)`:                                                             {"P0002", "invoice NULL is not known"},
		`mark_invoice_paid('EACH-000001', '9999-01-01')`:                                      {invalidParameter, "that day is still to come in Pacific/Auckland"},
		`mark_invoice_paid('EACH-000001', 'infinity')`:                                        {invalidParameter, "still to come"},
		`mark_invoice_paid('EACH-000001', '2016-03-05')`:                                      {invalidParameter, "it was issued on 2026-03-04"},
		`mark_invoice_paid('EACH-000001', '-infinity')`:                                       {invalidParameter, "it was issued on"},
		`mark_invoice_paid('EACH-000001', (now() AT TIME ZONE 'Pacific/Auckland')::date + 1)`: {invalidParameter, "still to come"},
	})
	const paid = `SELECT paid_at::text FROM invoices WHERE id = 2 AND status = 'PAID'`
	for range 2 { // the second time changes nothing
		b.exec(t, `SELECT mark_invoice_paid('EACH-000001', '2026-03-05')`)
		require.Equal(t, "2026-03-04 11:00:00+00", get[string](t, b, paid), "the beginning of the day in the billing zone")
	}
	b.exec(t, `SELECT mark_invoice_paid('EACH-000001')`)
	require.Equal(t, "2026-03-04 11:00:00+00", get[string](t, b, paid))
	b.requireSQLError(t, `SELECT mark_invoice_paid('EACH-000001', '2026-03-06')`,
		"55000", "invoice EACH-000001 is PAID since 2026-03-05 and cannot be marked paid")
	require.Equal(t, 3, get[int](t, b, `SELECT count(*) FROM invoice_events WHERE invoice_id = 2`))

	// Paid without a date is paid today; to say which day that was is no other payment.
	b.issue(t, 1)
	b.exec(t, `UPDATE invoices SET status = 'OVERDUE' WHERE id = 1`)
	b.exec(t, `SELECT mark_invoice_paid('WEEK-000001')`)
	b.exec(t, `SELECT mark_invoice_paid('WEEK-000001', (paid_at AT TIME ZONE 'Pacific/Auckland')::date) FROM invoices WHERE id = 1`)
	b.exec(t, `SELECT void_invoice('WEEK-000001', 'why')`)
	b.requireSQLError(t, `SELECT mark_invoice_paid('WEEK-000001')`,
		"55000", "invoice WEEK-000001 is VOID and cannot be marked paid", "Only a PENDING or OVERDUE invoice can be paid.")
}

// A payment that was marked by mistake is taken back, with a reason; and nothing is owed
// after a void.
func TestUnmarkInvoicePaid(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.exec(t, `UPDATE invoices SET status = 'OVERDUE' WHERE number = 'EACH-000001'`)
	b.exec(t, `SELECT mark_invoice_paid('EACH-000001', '2026-03-06')`)
	before := b.all(t)
	b.refuses(t, map[string][]string{
		`unmark_invoice_paid('EACH-000009', 'why')`: {"P0002", "invoice 'EACH-000009' is not known", "a draft has none"},
		`unmark_invoice_paid(NULL, 'why')`:          {"P0002", "invoice NULL is not known"},
		`unmark_invoice_paid('EACH-000001', ' ')`:   {invalidParameter, "cannot be taken back without a reason"},
		`unmark_invoice_paid('EACH-000001', NULL)`:  {invalidParameter, "cannot be taken back without a reason"},
	})
	b.requireRefused(t, `UPDATE invoices SET status = 'PENDING', paid_at = NULL WHERE number = 'EACH-000001'`, "EACH-000001 is PAID", "reverse_payment")
	require.Equal(t, before, b.all(t))

	payments, _ := b.role(t)
	b.exec(t, `GRANT USAGE ON SCHEMA flightbill TO `+payments+`; GRANT SELECT, UPDATE (status, paid_at) ON invoices TO `+payments)
	teller := b.session(t, `SET ROLE `+payments, `SET flightbill.payment_taken_back = 'mine'`)
	_, err := teller.Exec(t.Context(), `UPDATE flightbill.invoices SET status = 'PENDING', paid_at = NULL WHERE number = 'EACH-000001'`)
	require.ErrorContains(t, err, "EACH-000001 is PAID", "whoever may mark payments cannot take them back")

	b.exec(t, `SELECT unmark_invoice_paid('EACH-000001', ' another customer''s payment ')`)
	b.exec(t, `UPDATE invoices SET status = 'OVERDUE' WHERE number = 'EACH-000001'`) // as the next run does
	require.Equal(t, ">DRAFT; DRAFT>PENDING; PENDING>OVERDUE; OVERDUE>PAID paid on 2026-03-06; PAID>PENDING payment of 2026-03-06 taken back: another customer's payment; PENDING>OVERDUE",
		get[string](t, b, `SELECT string_agg(coalesce(from_status, '') || '>' || to_status || coalesce(' ' || note, ''), '; ' ORDER BY id) FROM invoice_events WHERE invoice_id = 2`))
	b.requireSQLError(t, `SELECT unmark_invoice_paid('EACH-000001', 'why')`, "55000", "invoice EACH-000001 is OVERDUE and has no payment to take back")
	b.exec(t, `SELECT void_invoice('EACH-000001', 'sent to the wrong customer')`)
	require.Equal(t, "EACH-000001 VOID, EACH-CN000001 PAID", get[string](t, b, `SELECT string_agg(number || ' ' || status, ', ' ORDER BY number) FROM invoices WHERE status <> 'DRAFT'`))
	b.requireSQLError(t, `SELECT unmark_invoice_paid('EACH-CN000001', 'why')`,
		"55000", "invoice EACH-CN000001 is PAID without a payment", "set against the document that it voids")
	b.requireSQLError(t, `SELECT unmark_invoice_paid('EACH-000001', 'why')`, "55000", "invoice EACH-000001 is VOID and has no payment to take back")

	// Nothing of it stays for the session.
	b.issue(t, 1)
	session := b.session(t, `SELECT mark_invoice_paid('WEEK-000001')`, `SELECT unmark_invoice_paid('WEEK-000001', 'why')`, `SELECT mark_invoice_paid('WEEK-000001')`)
	_, err = session.Exec(t.Context(), `UPDATE invoices SET status = 'PENDING', paid_at = NULL WHERE number = 'WEEK-000001'`)
	require.ErrorContains(t, err, "WEEK-000001 is PAID")
}

// Whoever got the code of a customer with invoices would begin again at its first number.
func TestNumbersOfACustomerStayItsOwn(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.exec(t, `UPDATE customers SET code = 'MONTH' WHERE code = 'MON'`)
	b.exec(t, `UPDATE customers SET code = 'MON', invoice_seq = 500 WHERE code = 'MONTH'`) // numbers go on from elsewhere: not issued here
	b.exec(t, `UPDATE customers SET code = 'MONTH' WHERE code = 'MON'`)
	b.exec(t, `UPDATE customers SET code = 'WEEKLY' WHERE code = 'WEEK'`) // it has a draft
	b.requireRefused(t, `UPDATE customers SET code = 'OLD' WHERE code = 'EACH'`, "customer EACH has issued invoices: its code cannot become 'OLD'", "make a new customer")
	b.requireRefused(t, `UPDATE customers SET code = 'each' WHERE code = 'EACH'`, "its code cannot become 'each'")
	b.requireRefused(t, `UPDATE customers SET invoice_seq = 0 WHERE code = 'EACH'`, "customer EACH has been given invoice numbers up to 1")
	b.exec(t, `UPDATE customers SET name = 'Renamed', code = code, invoice_seq = invoice_seq + 1 WHERE code = 'EACH'`)

	b.requireSQLError(t, `INSERT INTO customers (code, name, billing_frequency) VALUES ('eAcH', 'Other', 'per_flight')`,
		"23505", "customers_code_once_in_any_case")

	replicated := b.session(t, `SET session_replication_role = replica`)
	_, err := replicated.Exec(t.Context(), `UPDATE customers SET code = 'OLD' WHERE code = 'EACH'`)
	requireSQLError(t, err, raised, "customer EACH has issued invoices")
}
