package db_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

const chargeInterest = `SELECT coalesce(string_agg(concat_ws(' ', number, currency, first_day, last_day, amount), ', ' ORDER BY number), '') FROM charge_interest($1, $2::date, now(), $2::date + 1)`

func (b *testBundle) interest(t *testing.T, customer, through string) string {
	t.Helper()
	return get[string](t, b, chargeInterest, customer, through)
}

// Worked out by hand: days * open * rate / 365, rounded once a line.
func TestInterest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE customers SET payment_terms_days = 14 WHERE code = 'WEEK'`)
	b.invoice(t, "WEEK", "EUR", "1000.00", "2024-01-01") // due on 2024-01-15
	b.invoice(t, "WEEK", "JPY", "36500", "2023-12-17")   // due on 2023-12-31
	require.Empty(t, b.interest(t, "WEEK", "2024-03-15"), "no rate, no interest")
	b.exec(t, `UPDATE customers SET late_interest_rate = 0.08 WHERE code = 'WEEK'`)
	b.exec(t, `SELECT record_payment('WEEK-000001', 400, '2024-02-01')`)
	require.Empty(t, b.interest(t, "WEEK", "2023-12-31"), "nothing is late on the due date")

	// 16 days of 1000 to January 31st, 29 days of February and 15 of March of 600: 42400 * 0.08 / 365 = 9.293.
	// 75 days * 36500 * 0.08 / 365 = 600.
	require.Equal(t, "WEEK-000001 EUR 2024-01-16 2024-03-15 9.29, WEEK-000002 JPY 2024-01-01 2024-03-15 600", b.interest(t, "WEEK", "2024-03-15"))
	require.Equal(t, `Interest at 8 % on WEEK-000001, 2024-01-16 to 2024-03-15|INTEREST|1|9.29|9.29|0|outside|2024-03-15|`+
		`[["2024-01-16 to 2024-01-31", "16000.00", "16 days * 1000.00 open", null], ["2024-02-01 to 2024-03-15", "26400.00", "44 days * 600.00 open", null], `+
		`["late_interest_rate", "0.08", null, "customer WEEK"], ["interest", "9.29", "42400.00 * 0.08 / 365, rounded", null]]`,
		get[string](t, b, `SELECT concat_ws('|', description, code, quantity, unit_rate, amount, tax_amount, tax_category, flown_on,
			(SELECT jsonb_agg(jsonb_build_array(s -> 'what', s -> 'value', s -> 'how', s -> 'from') ORDER BY n) FROM jsonb_array_elements(detail) WITH ORDINALITY AS d (s, n)))
			FROM charges WHERE interest_on = 1`))
	require.Equal(t, "WEEK EUR 2026-03-08 DRAFT, WEEK JPY 2026-03-08 DRAFT", get[string](t, b, `SELECT string_agg(concat_ws(' ', code, currency, closes_on, i.status), ', ' ORDER BY currency)
		FROM invoices i JOIN customers c ON c.id = customer_id WHERE outside_scope`))
	require.Empty(t, b.interest(t, "WEEK", "2024-03-15"), "a day is charged once")
	require.Empty(t, b.interest(t, "WEEK", "2024-03-10"))

	// Another rate from then on. To the end of the year, 366 days in all: 291 days * 600 * 0.05 / 365 = 23.917; 291 * 36500 * 0.05 / 365 = 1455.
	b.exec(t, `UPDATE customers SET late_interest_rate = 0.05 WHERE code = 'WEEK'`)
	require.Equal(t, "WEEK-000001 EUR 2024-03-16 2024-12-31 23.92, WEEK-000002 JPY 2024-03-16 2024-12-31 1455", b.interest(t, "WEEK", "2024-12-31"))
	require.Equal(t, 2, get[int](t, b, `SELECT count(*) FROM invoices WHERE outside_scope`), "on the same drafts")

	// Paid on a day: that day costs nothing; what is told later of days that are charged changes nothing.
	b.exec(t, `SELECT mark_invoice_paid('WEEK-000001', '2025-01-05'), mark_invoice_paid('WEEK-000002', '2024-12-30')`)
	require.Equal(t, "WEEK-000001 EUR 2025-01-01 2025-01-31 0.33", b.interest(t, "WEEK", "2025-01-31")) // 4 days * 600 * 0.05 / 365 = 0.3288
	require.Empty(t, b.interest(t, "WEEK", "2025-02-28"))
	_, err := b.pool.Exec(t.Context(), chargeInterest, "NOBODY", "2025-02-28")
	requireSQLError(t, err, "P0002", "customer 'NOBODY' is not known")
	b.requireSQLError(t, `SELECT charge_interest('WEEK', '2025-02-28', now(), '2025-02-28')`,
		invalidParameter, "interest through 2025-02-28 cannot be charged on 2025-02-28", "a day that is over")
}

func TestInterestIsRoundedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE customers SET late_interest_rate = 0.1 WHERE code = 'EACH'`)
	b.invoice(t, "EACH", "EUR", "18.25", "2024-01-01") // due on 2024-01-15; a day is 0.005
	b.invoice(t, "EACH", "EUR", "18.24", "2024-01-01") // a day is less
	require.Equal(t, "EACH-000001 EUR 2024-01-16 2024-01-16 0.01", b.interest(t, "EACH", "2024-01-16"))
	// What came to nothing is charged once it comes to something.
	require.Equal(t, "EACH-000001 EUR 2024-01-17 2024-01-18 0.01, EACH-000002 EUR 2024-01-16 2024-01-18 0.01", b.interest(t, "EACH", "2024-01-18"))
}

// A customer billed per flight gets an invoice at once; on that there is no interest, nor on what is void.
func TestInterestPerFlight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE customers SET late_interest_rate = 0.1 WHERE code IN ('EACH', 'HELD')`)
	for range 2 {
		b.invoice(t, "EACH", "EUR", "365.00", "2024-01-01")
	}
	b.invoice(t, "HELD", "EUR", "365.00", "2024-01-01")
	b.exec(t, `SELECT void_invoice('EACH-000002', 'wrong')`)
	require.Equal(t, "EACH-000001 EUR 2024-01-16 2024-01-25 1.00", b.interest(t, "EACH", "2024-01-25"))
	require.Equal(t, "EACH-000003 PENDING 1.00", strings.Split(b.accounts(t), ", ")[2])
	b.exec(t, `UPDATE invoices SET status = 'OVERDUE' WHERE number = 'EACH-000001'`)
	require.Equal(t, "EACH-000001 EUR 2024-01-26 2024-02-04 1.00", b.interest(t, "EACH", "2024-02-04"))
	b.exec(t, `SELECT mark_invoice_paid('EACH-000001', '2024-02-05')`)
	require.Empty(t, b.interest(t, "EACH", "2026-06-30"), "none on interest")

	// A hold keeps it back.
	require.Equal(t, "HELD-000001 EUR 2024-01-16 2024-01-25 1.00", b.interest(t, "HELD", "2024-01-25"))
	require.Equal(t, "DRAFT", get[string](t, b, `SELECT i.status FROM invoices i JOIN charges h ON h.invoice_id = i.id JOIN customers c ON c.id = customer_id WHERE c.code = 'HELD' AND interest_on IS NOT NULL`))

	// Voided, it is waived: its days are not charged again. It has no flights, to be billed again or not.
	b.exec(t, `SELECT void_invoice('EACH-000003', 'waived', true)`)
	require.Equal(t, "-1 1.00 -1.00 1 2024-01-25", get[string](t, b, `SELECT concat_ws(' ', quantity, unit_rate, amount, interest_on, interest_through) FROM charges h JOIN invoices i ON i.id = invoice_id WHERE number = 'EACH-CN000002'`))
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM voided_flights`), "that of EACH-000002")
	require.Empty(t, b.interest(t, "EACH", "2026-06-30"))

	detail, err := db.ReadInvoice(t.Context(), b.pool, "EACH-000003")
	require.NoError(t, err)
	require.Empty(t, detail.Charges[0].FlightID)
	require.Len(t, detail.Charges[0].Detail, 3)
}

// Two processes at once charge a day once.
func TestInterestTwiceAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE customers SET late_interest_rate = 0.1 WHERE code = 'WEEK'`)
	b.invoice(t, "WEEK", "EUR", "365.00", "2024-01-01")
	calendar := testCalendar(t, b)
	first := b.begin(t, `SELECT charge_interest('WEEK', '2026-03-03', now(), '2026-03-04')`)
	second := meanwhile(t, b, func() ([]db.Interest, error) {
		return db.ChargeInterest(t.Context(), b.pool, calendar, "", billing.NewDate(2026, 3, 3), testNow, false)
	})
	require.NoError(t, first.Commit(t.Context()))
	charged, err := second()
	require.NoError(t, err)
	require.Empty(t, charged)
	dry, err := db.ChargeInterest(t.Context(), b.pool, calendar, "WEEK", billing.NewDate(2026, 3, 5), testNow.AddDate(0, 0, 2), true)
	require.NoError(t, err)
	require.Len(t, dry, 1)
	require.Equal(t, "0.20", dry[0].Amount.StringFixed(2))
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM charges WHERE interest_on IS NOT NULL`), "a dry run changes nothing")
	_, err = db.ChargeInterest(t.Context(), b.pool, calendar, "NOBODY", billing.NewDate(2026, 3, 3), testNow, false)
	require.ErrorContains(t, err, `customer "NOBODY" is not known`)
}
