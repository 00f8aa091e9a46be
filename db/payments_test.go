package db_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// invoice issues an invoice of an amount without tax on a day, and returns its number.
func (b *testBundle) invoice(t *testing.T, customer, currency, amount, day string) string {
	t.Helper()
	id := get[int64](t, b, `INSERT INTO invoices (customer_id, kind, currency) SELECT id, 'flight', $2 FROM customers WHERE code = $1 RETURNING id`, customer, currency)
	flight := fmt.Sprint("P", id)
	b.exec(t, `INSERT INTO billed_flights SELECT $2, id, '2020-03-04', '{}', now() FROM customers WHERE code = $1`, customer, flight)
	b.exec(t, `INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
		SELECT $1, $3, id, code, description, 1, $2::numeric, $2::numeric, 0, 0, '2020-03-04' FROM tariffs`, id, amount, flight)
	b.exec(t, `SELECT issue_drafts(ARRAY[$1::bigint], at, (at AT TIME ZONE timezone)::date) FROM billing_settings, (SELECT $2::date + time '12:00' AT TIME ZONE 'UTC') AS t (at)`, id, day)
	return get[string](t, b, `SELECT number FROM invoices WHERE id = $1`, id)
}

// accounts is what is open on each document.
func (b *testBundle) accounts(t *testing.T) string {
	t.Helper()
	return get[string](t, b, `SELECT string_agg(concat_ws(' ', number, status, open), ', ' ORDER BY number COLLATE "C") FROM invoice_balances`)
}

func (b *testBundle) payments(t *testing.T) string {
	t.Helper()
	return get[string](t, b, `SELECT coalesce(string_agg(concat_ws(' ', p.id, i.number, p.kind, p.amount,
			CASE p.paid_on WHEN (now() AT TIME ZONE 'UTC')::date THEN 'TODAY' ELSE p.paid_on::text END, o.number, 'of ' || p.reverses_id, p.reason), ', ' ORDER BY p.id), '')
		FROM payments p JOIN invoices i ON i.id = p.invoice_id LEFT JOIN invoices o ON o.id = p.other_id`)
}

func (b *testBundle) refuses(t *testing.T, calls map[string][]string) {
	t.Helper()
	before := b.all(t) + b.payments(t)
	for call, parts := range calls {
		b.requireSQLError(t, `SELECT `+call, parts[0], parts[1:]...)
	}
	require.Equal(t, before, b.all(t)+b.payments(t), "bad input changes nothing")
}

func TestRecordPayment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE billing_settings SET timezone = 'Pacific/Auckland'`)
	b.invoice(t, "EACH", "EUR", "100.00", "2024-03-04") // on the 5th in Auckland
	b.invoice(t, "EACH", "JPY", "1000", "2024-03-04")
	b.refuses(t, map[string][]string{
		`record_payment('EACH-000009', 1, '2024-03-06')`:                                                          {"P0002", "invoice 'EACH-000009' is not known", "a draft has none"},
		`record_payment(NULL, 1, '2024-03-06')`:                                                                   {"P0002", "invoice NULL is not known"},
		`record_payment('EACH-000001', 0, '2024-03-06')`:                                                          {invalidParameter, "'0' cannot be paid on invoice EACH-000001"},
		`record_payment('EACH-000001', NULL, '2024-03-06')`:                                                       {invalidParameter, "NULL cannot be paid on invoice EACH-000001"},
		`record_payment('EACH-000001', 'NaN', '2024-03-06')`:                                                      {invalidParameter, "'NaN' cannot be paid"},
		`record_payment('EACH-000001', 'Infinity', '2024-03-06')`:                                                 {invalidParameter, "'Infinity' cannot be paid"},
		`record_payment('EACH-000001', 1e15, '2024-03-06')`:                                                       {invalidParameter, "cannot be paid"},
		`record_payment('EACH-000001', 10.001, '2024-03-06')`:                                                     {invalidParameter, "'10.001' cannot be paid on invoice EACH-000001: amounts in EUR have 2 decimals"},
		`record_payment('EACH-000002', 10.5, '2024-03-06')`:                                                       {invalidParameter, "amounts in JPY have 0 decimals"},
		`record_payment('EACH-000001', 10, NULL)`:                                                                 {invalidParameter, "cannot be paid on no day"},
		`record_payment('EACH-000001', 10, '2024-03-04')`:                                                         {invalidParameter, "it was issued on 2024-03-05"},
		`record_payment('EACH-000001', 10, (now() AT TIME ZONE 'Pacific/Auckland')::date + 1)`:                    {invalidParameter, "still to come in Pacific/Auckland"},
		`record_payment('EACH-000001', -1, '2024-03-06')`:                                                         {"55000", "1.00 cannot be paid out on invoice EACH-000001: 0.00 EUR of it is the customer's"},
		`record_payment('EACH-000001', 1, '2024-03-06', repeat('x', 1001))`:                                       {invalidParameter, "has a reference of 1001 characters"},
		`record_payment('EACH-000001', 1, (now() AT TIME ZONE 'Pacific/Auckland')::date, 'x', repeat('x', 201))`:  {invalidParameter, "has a reference of 201 characters"},
		`record_payment('EACH-000001', 1, least((now() AT TIME ZONE 'America/Los_Angeles')::date, '2024-03-04'))`: {invalidParameter, "it was issued on 2024-03-05"},
	})
	b.exec(t, `UPDATE invoices SET status = 'OVERDUE' WHERE number = 'EACH-000001'`)
	b.exec(t, `SELECT record_payment('EACH-000001', 60.00, '2024-04-10', ' for March ', 'B1')`)
	require.Equal(t, "EACH-000001 OVERDUE 40.00, EACH-000002 PENDING 1000", b.accounts(t))
	require.Equal(t, "for March", get[string](t, b, `SELECT reference FROM payments WHERE id = 1`))
	// What came before is told after: it was paid when the last of it was.
	b.exec(t, `SELECT record_payment('EACH-000001', 55.00, '2024-03-20', '', ' ')`)
	require.Equal(t, "EACH-000001 PAID -15.00, EACH-000002 PENDING 1000", b.accounts(t))
	require.Equal(t, "2024-04-09 12:00:00+00", get[string](t, b, `SELECT paid_at::text FROM invoices WHERE number = 'EACH-000001'`))
	require.Equal(t, "paid on 2024-04-10", get[string](t, b, `SELECT note FROM invoice_events WHERE to_status = 'PAID'`))

	// The credit is paid back, and no more.
	b.refuses(t, map[string][]string{`record_payment('EACH-000001', -15.01, '2024-04-11')`: {"55000", "15.00 EUR of it is the customer's"}})
	b.exec(t, `SELECT record_payment('EACH-000001', -15, '2024-04-11')`)
	b.exec(t, `SELECT record_payment('EACH-000002', 1000, (now() AT TIME ZONE 'Pacific/Auckland')::date)`)
	require.Equal(t, "EACH-000001 PAID 0.00, EACH-000002 PAID 0", b.accounts(t))
}

// A statement's entry is booked once.
func TestBankReferenceIsBookedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.invoice(t, "EACH", "EUR", "100.00", "2024-03-04")
	b.invoice(t, "EACH", "EUR", "100.00", "2024-03-04")
	const pay = `SELECT record_payment('EACH-000001', 100.00, '2024-03-20', 'r', 'B1')`
	first := b.begin(t, pay)
	second := meanwhile(t, b, func() (int64, error) {
		var id int64
		return id, b.pool.QueryRow(t.Context(), pay).Scan(&id)
	})
	require.NoError(t, first.Commit(t.Context()))
	id, err := second()
	require.NoError(t, err)
	require.EqualValues(t, 1, id)
	require.Equal(t, "1 EACH-000001 payment 100.00 2024-03-20", b.payments(t))
	b.refuses(t, map[string][]string{
		`record_payment('EACH-000001', 99.00, '2024-03-20', 'r', 'B1')`:  {"23505", "the bank's reference 'B1' is of payment 1, of 100.00 EUR on invoice EACH-000001, and cannot be of 99.00 on invoice EACH-000001"},
		`record_payment('EACH-000002', 100.00, '2024-03-20', 'r', 'B1')`: {"23505", "on invoice EACH-000002", "reverse_payment"},
	})
	// At the same moment, of another invoice.
	other := b.begin(t, `SELECT record_payment('EACH-000002', 5.00, '2024-03-20', 'r', 'B2')`)
	loser := b.execMeanwhile(t, `SELECT record_payment('EACH-000001', 5.00, '2024-03-20', 'r', 'B2')`)
	require.NoError(t, other.Commit(t.Context()))
	_, err = loser()
	requireSQLError(t, err, "23505", "is of payment", "EACH-000002")
	// Money that went out, and was told twice.
	b.exec(t, `SELECT void_invoice('EACH-000001', 'why')`)
	for range 2 {
		b.exec(t, `SELECT record_payment('EACH-CN000001', -100, '`+get[string](t, b, `SELECT (now() AT TIME ZONE 'UTC')::date::text`)+`', 'r', 'B3')`)
	}
	require.Equal(t, "EACH-000001 VOID 0.00, EACH-000002 PENDING 95.00, EACH-CN000001 PAID 0.00", b.accounts(t))
}

func TestReversePayment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.invoice(t, "EACH", "EUR", "100.00", "2024-03-04")
	b.exec(t, `SELECT record_payment('EACH-000001', 60.00, '2024-04-10'), record_payment('EACH-000001', 70.00, '2024-04-11')`)
	b.invoice(t, "EACH", "EUR", "20.00", "2024-03-04")
	require.Equal(t, "20.00", get[string](t, b, `SELECT set_off('EACH-000001', 'EACH-000002')::text`))
	require.Equal(t, "EACH-000001 PAID -10.00, EACH-000002 PAID 0.00", b.accounts(t))
	b.refuses(t, map[string][]string{
		`reverse_payment(1, ' ')`:      {invalidParameter, "payment 1 cannot be taken back without a reason"},
		`reverse_payment(99, 'why')`:   {"P0002", "payment 99 is not known", "payments list"},
		`reverse_payment(NULL, 'why')`: {"P0002", "payment NULL is not known"},
	})
	// One of the two did not come: both the invoice and what its credit was used for.
	require.EqualValues(t, 5, get[int64](t, b, `SELECT reverse_payment(2, ' bounced ')`))
	require.Equal(t, "EACH-000001 PENDING 60.00, EACH-000002 PAID 0.00", b.accounts(t))
	require.Equal(t, "payment of 2024-04-11 taken back: bounced", get[string](t, b, `SELECT note FROM invoice_events WHERE invoice_id = 1 ORDER BY id DESC LIMIT 1`))
	// Either of the pair takes both back.
	b.exec(t, `SELECT reverse_payment(4, 'no credit')`)
	require.Equal(t, "EACH-000001 PENDING 40.00, EACH-000002 PENDING 20.00", b.accounts(t))
	require.Equal(t, "1 EACH-000001 payment 60.00 2024-04-10, 2 EACH-000001 payment 70.00 2024-04-11, 3 EACH-000002 set_off 20.00 TODAY EACH-000001, 4 EACH-000001 set_off -20.00 TODAY EACH-000002, "+
		"5 EACH-000001 payment -70.00 TODAY of 2 bounced, 6 EACH-000001 set_off 20.00 TODAY EACH-000002 of 4 no credit, 7 EACH-000002 set_off -20.00 TODAY EACH-000001 of 3 no credit", b.payments(t))
	b.refuses(t, map[string][]string{
		`reverse_payment(2, 'why')`: {"55000", "payment 2 of invoice EACH-000001 has been taken back already, by 5"},
		`reverse_payment(3, 'why')`: {"55000", "has been taken back already, by 7"},
		`reverse_payment(5, 'why')`: {"55000", "payment 5 takes payment 2 back and cannot be taken back itself"},
	})
}

func TestSetOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, currency := range []string{"EUR", "EUR", "USD"} {
		b.invoice(t, "EACH", currency, "100.00", "2024-03-04")
	}
	b.invoice(t, "HELD", "EUR", "100.00", "2024-03-04")
	b.exec(t, `SELECT mark_invoice_paid('EACH-000001', '2024-03-05'), void_invoice('EACH-000001', 'wrong')`)
	require.Equal(t, "EACH-000001 VOID 0.00, EACH-000002 PENDING 100.00, EACH-000003 PENDING 100.00, EACH-CN000001 PENDING -100.00, HELD-000001 PENDING 100.00", b.accounts(t))
	b.refuses(t, map[string][]string{
		`set_off('EACH-CN000001', 'EACH-000009')`:         {"P0002", "invoice 'EACH-000009' is not known"},
		`set_off('EACH-CN000001', 'HELD-000001')`:         {invalidParameter, "different customers"},
		`set_off('EACH-CN000001', 'EACH-000003')`:         {invalidParameter, "currencies"},
		`set_off('EACH-000002', 'EACH-CN000001')`:         {"55000", "EACH-000002 has no credit: 100.00 EUR is open on it"},
		`set_off('EACH-CN000001', 'EACH-000001')`:         {"55000", "nothing is open on invoice EACH-000001"},
		`set_off('EACH-CN000001', 'EACH-CN000001')`:       {"55000", "nothing is open on invoice EACH-CN000001"},
		`set_off('EACH-CN000001', 'EACH-000002', 100.01)`: {invalidParameter, "the credit is 100.00, and 100.00 is open"},
		`set_off('EACH-CN000001', 'EACH-000002', -1)`:     {invalidParameter, "cannot be set off"},
		`set_off('EACH-CN000001', 'EACH-000002', 0)`:      {invalidParameter, "cannot be paid"},
		`set_off('EACH-CN000001', 'EACH-000002', 0.001)`:  {invalidParameter, "2 decimals"},
	})
	b.exec(t, `SELECT set_off('EACH-CN000001', 'EACH-000002', 30)`)
	require.Contains(t, b.accounts(t), "EACH-000002 PENDING 70.00, EACH-000003 PENDING 100.00, EACH-CN000001 PENDING -70.00")
	b.exec(t, `SELECT set_off('EACH-CN000001', 'EACH-000002')`)
	require.Contains(t, b.accounts(t), "EACH-000002 PAID 0.00, EACH-000003 PENDING 100.00, EACH-CN000001 PAID 0.00")
	require.Contains(t, get[string](t, b, `SELECT note FROM invoice_events WHERE invoice_id = 2 AND to_status = 'PAID'`), "set against EACH-CN000001, settled on ")
	require.Equal(t, "0.00", get[string](t, b, `SELECT sum(amount)::text FROM payments WHERE kind = 'set_off'`))
	b.requireSQLError(t, `SELECT unmark_invoice_paid('EACH-000002', 'why')`, "55000", "EACH-000002 is PAID without a payment", "reverse_payment")
}

func TestWriteOffRounding(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct{ currency, total, most, more string }{
		{"EUR", "100.00", "1.00", "1.01"}, {"JPY", "1000", "100", "101"}, {"KWD", "10.000", "0.100", "0.101"},
	} {
		number := b.invoice(t, "EACH", c.currency, c.total, "2024-03-04")
		over := b.invoice(t, "EACH", c.currency, c.total, "2024-03-04")
		b.exec(t, `SELECT record_payment($1, $2::numeric - $3::numeric, '2024-03-05')`, number, c.total, c.more)
		b.exec(t, `SELECT record_payment($1, $2::numeric + $3::numeric, '2024-03-05')`, over, c.total, c.most)
		_, err := b.pool.Exec(t.Context(), `SELECT write_off_rounding($1, 'why')`, number)
		requireSQLError(t, err, "55000", c.more+" "+c.currency+" is open on invoice "+number, "at most "+c.most+" "+c.currency)
		b.exec(t, `SELECT record_payment($1, $2::numeric - $3::numeric, '2024-03-05')`, number, c.more, c.most)
		b.exec(t, `SELECT write_off_rounding($1, ' bank charges '), write_off_rounding($2, 'not worth it')`, number, over)
		require.Equal(t, "PAID 0 PAID 0", get[string](t, b, `SELECT string_agg(status || ' ' || trim_scale(open), ' ') FROM invoice_balances WHERE number IN ($1, $2)`, number, over))
		_, err = b.pool.Exec(t.Context(), `SELECT write_off_rounding($1, 'why')`, number)
		requireSQLError(t, err, "55000", "is open on invoice "+number)
	}
	b.requireSQLError(t, `SELECT write_off_rounding('EACH-000001', '')`, invalidParameter, "without a reason")
	require.Contains(t, get[string](t, b, `SELECT note FROM invoice_events WHERE invoice_id = 1 AND to_status = 'PAID'`), "rest of 1.00 written off (bank charges)")
	b.exec(t, `SELECT reverse_payment((SELECT min(id) FROM payments WHERE kind = 'rounding'), 'he paid after all')`)
	require.Contains(t, b.accounts(t), "EACH-000001 PENDING 1.00")
}

// What was written off of an invoice is no money: it is not owed back where the invoice is
// voided, and comes back where its payment is taken back.
func TestWriteOffIsTakenBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, paid := range []string{"99.40", "100.60", "99.40"} {
		b.exec(t, `SELECT record_payment($1, $2::numeric, '2024-03-05'), write_off_rounding($1, 'rest')`, b.invoice(t, "EACH", "EUR", "100.00", "2024-03-04"), paid)
	}
	b.exec(t, `SELECT void_invoice('EACH-000001', 'wrong'), void_invoice('EACH-000002', 'wrong'), unmark_invoice_paid('EACH-000003', 'not his')`)
	require.Equal(t, "EACH-000001 VOID 0.00, EACH-000002 VOID 0.00, EACH-000003 PENDING 100.00, EACH-CN000001 PENDING -99.40, EACH-CN000002 PENDING -100.60", b.accounts(t))
	require.Equal(t, "voids EACH-000001, of which 99.40 was paid: that is owed back: wrong", get[string](t, b,
		`SELECT note FROM invoice_events e JOIN invoices i ON i.id = invoice_id WHERE number = 'EACH-CN000001' AND to_status = 'PENDING'`))
	require.Equal(t, "0.00", get[string](t, b, `SELECT sum(amount)::text FROM payments WHERE kind = 'rounding'`))
	b.exec(t, `SELECT void_invoice('EACH-000003', 'wrong')`)
	require.Contains(t, b.accounts(t), "EACH-000003 VOID 0.00, EACH-CN000001 PENDING -99.40, EACH-CN000002 PENDING -100.60, EACH-CN000003 PAID 0.00")
	b.requireSQLError(t, `SELECT reverse_payment((SELECT min(id) FROM payments WHERE kind = 'rounding'), 'why')`, "55000", "has been taken back already")
}

// What had been paid on a voided invoice is the customer's credit.
func TestVoidOfWhatIsPartlyPaid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 4 {
		b.invoice(t, "EACH", "EUR", "100.00", "2024-03-04")
	}
	b.exec(t, `SELECT record_payment('EACH-000001', 30, '2024-03-05'), record_payment('EACH-000002', 130, '2024-03-05')`)
	b.exec(t, `SELECT void_invoice('EACH-00000' || n, 'wrong') FROM generate_series(1, 3) AS n`)
	require.Equal(t, "EACH-000001 VOID 0.00, EACH-000002 VOID 0.00, EACH-000003 VOID 0.00, EACH-000004 PENDING 100.00, "+
		"EACH-CN000001 PENDING -30.00, EACH-CN000002 PENDING -130.00, EACH-CN000003 PAID 0.00", b.accounts(t))
	require.Equal(t, "voids EACH-000001, of which 30.00 was paid: that is owed back: wrong", get[string](t, b,
		`SELECT note FROM invoice_events e JOIN invoices i ON i.id = invoice_id WHERE number = 'EACH-CN000001' AND to_status = 'PENDING'`))
	b.refuses(t, map[string][]string{
		`reverse_payment((SELECT max(id) FROM payments), 'why')`:                        {"55000", "sets invoice EACH-000003 against the document that voids it"},
		`reverse_payment((SELECT min(id) FROM payments WHERE kind = 'set_off'), 'why')`: {"55000", "sets invoice EACH-000001 against the document that voids it"},
		`record_payment('EACH-CN000001', 5, '2099-01-01')`:                              {invalidParameter, "still to come"},
		`record_payment('EACH-CN000001', 5, (now() AT TIME ZONE 'UTC')::date)`:          {invalidParameter, "EACH-CN000001 is a credit note", "give -5"},
		`mark_invoice_paid('EACH-000001')`:                                              {"55000", "EACH-000001 is VOID and cannot be marked paid"},
		`unmark_invoice_paid('EACH-000001', 'why')`:                                     {"55000", "EACH-000001 is VOID and has no payment to take back"},
	})
	// The credit is used, and then what it came from did not: what is left of it is set off.
	b.exec(t, `SELECT set_off('EACH-CN000002', 'EACH-000004', 50)`)
	b.exec(t, `SELECT reverse_payment((SELECT id FROM payments WHERE amount = 30 AND kind = 'payment'), 'bounced'), reverse_payment((SELECT id FROM payments WHERE amount = 130 AND kind = 'payment'), 'bounced')`)
	require.Equal(t, "EACH-000001 VOID 0.00, EACH-000002 VOID 50.00, EACH-000003 VOID 0.00, EACH-000004 PENDING 50.00, "+
		"EACH-CN000001 PAID 0.00, EACH-CN000002 PAID 0.00, EACH-CN000003 PAID 0.00", b.accounts(t))
	// Somebody pays what is void: that is his.
	b.exec(t, `SELECT record_payment('EACH-000003', 100, '2024-03-05'), set_off('EACH-000003', 'EACH-000004')`)
	require.Contains(t, b.accounts(t), "EACH-000003 VOID -50.00, EACH-000004 PAID 0.00")
}

func TestMarkAndUnmarkRecordPayments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.invoice(t, "EACH", "EUR", "100.00", "2024-03-04")
	b.invoice(t, "EACH", "EUR", "0.00", "2024-03-04")
	require.Equal(t, "EACH-000001 PENDING 100.00, EACH-000002 PAID 0.00", b.accounts(t))
	b.exec(t, `SELECT record_payment('EACH-000001', 30, '2024-03-10')`)
	for range 2 {
		b.exec(t, `SELECT mark_invoice_paid('EACH-000001', '2024-03-08')`)
	}
	require.Equal(t, "1 EACH-000001 payment 30.00 2024-03-10, 2 EACH-000001 payment 70.00 2024-03-08", b.payments(t))
	require.Equal(t, "2024-03-10 00:00:00+00", get[string](t, b, `SELECT paid_at::text FROM invoices WHERE id = 1`))
	b.exec(t, `SELECT unmark_invoice_paid('EACH-000001', 'why')`)
	require.Equal(t, "EACH-000001 PENDING 100.00, EACH-000002 PAID 0.00", b.accounts(t))
	require.True(t, strings.HasSuffix(b.payments(t), "3 EACH-000001 payment -30.00 TODAY of 1 why, 4 EACH-000001 payment -70.00 TODAY of 2 why"))
	b.exec(t, `SELECT mark_invoice_paid('EACH-000001', '2024-03-08')`)
	require.Equal(t, "2024-03-08 00:00:00+00", get[string](t, b, `SELECT paid_at::text FROM invoices WHERE id = 1`), "what was taken back says nothing")
}

func TestPaymentsStay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.invoice(t, "EACH", "EUR", "100.00", "2024-03-04")
	b.exec(t, `SELECT mark_invoice_paid('EACH-000001', '2024-03-05')`)
	replica := b.session(t, `SET session_replication_role = replica`)
	for _, sql := range []string{`UPDATE flightbill.payments SET amount = 1`, `DELETE FROM flightbill.payments`, `TRUNCATE flightbill.payments`} {
		b.requireRefused(t, sql, "payments are kept for ever", "reverse_payment")
		_, err := replica.Exec(t.Context(), sql)
		requireSQLError(t, err, raised, "payments are kept for ever")
	}
	require.Equal(t, "1 EACH-000001 payment 100.00 2024-03-05", b.payments(t))
}

// Two at once, and neither misses the other's payment.
func TestPaymentsMeet(t *testing.T) {
	t.Parallel()
	pay := func(amount string) string {
		return `SELECT record_payment('EACH-000001', ` + amount + `, '2024-03-05')`
	}
	const (
		void = `SELECT void_invoice('EACH-000001', 'why')`
		set  = `SELECT set_off('EACH-CN000001', 'EACH-000001')`
		mark = `SELECT mark_invoice_paid('EACH-000001', '2024-03-05')`
	)
	for name, c := range map[string]struct{ level, first, second, fails, want string }{
		"parts":          {"READ COMMITTED", pay("40"), pay("60"), "", "EACH-000001 PAID 0.00, EACH-CN000001 PENDING -5.00"},
		"parts, later":   {"REPEATABLE READ", pay("40"), pay("60"), "40001", "EACH-000001 PENDING 60.00, EACH-CN000001 PENDING -5.00"},
		"all, all":       {"READ COMMITTED", pay("100"), pay("100"), "", "EACH-000001 PAID -100.00, EACH-CN000001 PENDING -5.00"},
		"marked, paid":   {"READ COMMITTED", mark, pay("100"), "", "EACH-000001 PAID -100.00, EACH-CN000001 PENDING -5.00"},
		"marked, marked": {"READ COMMITTED", mark, mark, "", "EACH-000001 PAID 0.00, EACH-CN000001 PENDING -5.00"},
		"void, paid":     {"READ COMMITTED", void, pay("100"), "", "EACH-000001 VOID -100.00, EACH-CN000001 PENDING -5.00, EACH-CN000002 PAID 0.00"},
		"paid, void":     {"READ COMMITTED", pay("40"), void, "", "EACH-000001 VOID 0.00, EACH-CN000001 PENDING -5.00, EACH-CN000002 PENDING -40.00"},
		"void, set off":  {"READ COMMITTED", void, set, "55000", "EACH-000001 VOID 0.00, EACH-CN000001 PENDING -5.00, EACH-CN000002 PAID 0.00"},
		"set off twice":  {"READ COMMITTED", set, set, "55000", "EACH-000001 PENDING 95.00, EACH-CN000001 PAID 0.00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.invoice(t, "EACH", "EUR", "100.00", "2024-03-04")
			other := b.invoice(t, "EACH", "EUR", "5.00", "2024-03-04")
			b.exec(t, `SELECT mark_invoice_paid($1, '2024-03-05'), void_invoice($1, 'why')`, other)
			if c.level == "REPEATABLE READ" {
				late := b.begin(t, `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`, `SELECT FROM invoices`)
				b.exec(t, c.first)
				_, err := late.Exec(t.Context(), c.second)
				requireSQLError(t, err, c.fails, "could not serialize")
			} else {
				first := b.begin(t, c.first)
				second := b.execMeanwhile(t, c.second)
				require.NoError(t, first.Commit(t.Context()))
				if _, err := second(); c.fails == "" {
					require.NoError(t, err)
				} else {
					requireSQLError(t, err, c.fails)
				}
			}
			require.Equal(t, c.want, strings.Replace(b.accounts(t), "EACH-000002 VOID 0.00, ", "", 1))
		})
	}
}

// The hourly run passes by an invoice that is being paid, and a part payment leaves it OVERDUE.
func TestPaymentMeetsOverdue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.invoice(t, "EACH", "EUR", "100.00", "2024-03-04")
	const overdue = `WITH batch AS (SELECT id FROM invoices WHERE status = 'PENDING' FOR NO KEY UPDATE SKIP LOCKED) UPDATE invoices i SET status = 'OVERDUE' FROM batch WHERE batch.id = i.id`
	paying := b.begin(t, `SELECT record_payment('EACH-000001', 40, '2024-03-05')`)
	b.exec(t, overdue)
	require.NoError(t, paying.Commit(t.Context()))
	require.Equal(t, "EACH-000001 PENDING 60.00", b.accounts(t))
	b.exec(t, overdue)
	b.exec(t, `SELECT record_payment('EACH-000001', 10, '2024-03-05')`)
	b.exec(t, `SELECT reverse_payment(1, 'bounced')`)
	require.Equal(t, "EACH-000001 OVERDUE 90.00", b.accounts(t))
	b.exec(t, `SELECT mark_invoice_paid('EACH-000001')`)
	b.exec(t, `SELECT unmark_invoice_paid('EACH-000001', 'why')`)
	require.Equal(t, "EACH-000001 PENDING 100.00", b.accounts(t))
}

func TestStatementAndAgingByHand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	day := func(text string) billing.Date {
		d, err := billing.ParseDate(text)
		require.NoError(t, err)
		return d
	}
	b.invoice(t, "EACH", "EUR", "100.00", "2026-01-01") // due on 2026-01-15
	b.invoice(t, "EACH", "EUR", "50.00", "2026-02-01")  // 2026-02-15
	b.invoice(t, "EACH", "USD", "7.00", "2026-02-01")
	b.exec(t, `SELECT record_payment('EACH-000001', 30, '2026-02-01', 'first part'), record_payment('EACH-000002', 60, '2026-02-03'), record_payment('EACH-000003', 7, '2026-02-05')`)
	statements, err := db.ReadStatement(t.Context(), b.pool, "EACH", day("2026-01-02"), day("2026-02-28"))
	require.NoError(t, err)
	var lines []string
	for _, s := range statements {
		lines = append(lines, s.Currency+" "+s.Opening.StringFixed(2))
		for _, l := range s.Lines {
			lines = append(lines, l.Day.String()+" "+l.What+" "+l.Number+" "+l.Reference+" "+l.Amount.StringFixed(2)+" "+l.Balance.StringFixed(2))
		}
		lines = append(lines, "= "+s.Closing.StringFixed(2))
	}
	require.Equal(t, []string{
		"EUR 100.00", "2026-02-01 invoice EACH-000002  50.00 150.00", "2026-02-01 payment EACH-000001 first part -30.00 120.00", "2026-02-03 payment EACH-000002  -60.00 60.00", "= 60.00",
		"USD 0.00", "2026-02-01 invoice EACH-000003  7.00 7.00", "2026-02-05 payment EACH-000003  -7.00 0.00", "= 0.00",
	}, lines)
	_, err = db.ReadStatement(t.Context(), b.pool, "NOBODY", day("2026-01-02"), day("2026-02-28"))
	require.ErrorContains(t, err, `customer "NOBODY" is not known`)

	for on, want := range map[string]string{
		"2025-12-31": "", "2026-01-01": "100 0 0 0 0 0", "2026-01-15": "100 0 0 0 0 0", "2026-01-16": "0 100 0 0 0 0", "2026-02-01": "50 70 0 0 0 0",
		"2026-02-14": "0 70 0 0 0 -10", "2026-02-15": "0 0 70 0 0 -10", "2026-03-16": "0 0 70 0 0 -10", "2026-03-17": "0 0 0 70 0 -10", "2026-04-15": "0 0 0 70 0 -10", "2026-04-16": "0 0 0 0 70 -10",
	} {
		rows, err := db.ListAging(t.Context(), b.pool, day(on), "EACH")
		require.NoError(t, err)
		got := ""
		for _, r := range rows {
			if r.Currency == "EUR" {
				got = strings.Join([]string{r.NotYetDue.String(), r.Days30.String(), r.Days60.String(), r.Days90.String(), r.Over90.String(), r.Credit.String()}, " ")
				require.True(t, r.Open.Equal(decimal.Sum(r.NotYetDue, r.Days30, r.Days60, r.Days90, r.Over90, r.Credit)))
			}
		}
		require.Equal(t, want, got, on)
	}
}

func testCalendar(t *testing.T, b *testBundle) billing.Calendar {
	t.Helper()
	_, book := b.books(t)
	return book.Calendar
}
