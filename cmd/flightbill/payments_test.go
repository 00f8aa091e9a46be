package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

// A clerk's day: part payments, a credit, interest, and what the account looks like then.
func TestPaymentCommands(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	pool, err := db.Open(t.Context(), url, db.Options{SearchPath: db.Schema})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	env := map[string]string{"DATABASE_URL": url, "FLIGHTBILL_BILLING_START": "2013-01-03", "FLIGHTBILL_TIMEZONE": "UTC", "FLIGHTBILL_RESULTS": ""}
	run := func(args ...string) (int, string) {
		var out strings.Builder
		now := time.Date(2013, 3, 1, 12, 0, 0, 0, time.UTC)
		a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &out, now: func() time.Time { return now }}
		status := a.run(t.Context(), args, func(name string) (string, bool) { value, given := env[name]; return value, given })
		return status, out.String()
	}
	said := func(want string, args ...string) {
		t.Helper()
		status, out := run(args...)
		require.Equal(t, exitDone, status, out)
		require.Equal(t, strings.TrimPrefix(want, "\n"), out)
	}
	fails := func(status int, want string, args ...string) {
		t.Helper()
		got, out := run(args...)
		require.Equal(t, status, got, out)
		require.Contains(t, out, want)
	}
	said("0 invoices due before 2013-01-03 are now overdue\n", "overdue", "--date", "2013-01-03") // stores the settings
	for _, sql := range []string{
		`INSERT INTO customers (code, name, billing_frequency, payment_terms_days, late_interest_rate) VALUES ('EACH', 'Single Air', 'per_flight', 14, 0.1)`,
		`INSERT INTO tariffs (code, description, basis, applies_to, unit_rate, currency, valid_from) VALUES ('RUNWAY', 'Runway use', 'per_flight', 'any', 365, 'EUR', '2012-01-01')`,
		`INSERT INTO billed_flights SELECT 'F' || n, 1, '2013-01-01', '{}', now() FROM generate_series(1, 3) AS n`,
		`INSERT INTO invoices (customer_id, kind, currency) SELECT 1, 'flight', 'EUR' FROM generate_series(1, 3)`,
		`INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
			SELECT n, 'F' || n, 1, 'RUNWAY', 'Runway use', 1, 365, 365.00, 0, 0, '2013-01-01' FROM generate_series(1, 3) AS n`,
		`SELECT issue_drafts(ARRAY[1, 2]::bigint[], '2013-01-05 12:00Z', '2013-01-05')`,
	} {
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}

	fails(exitUsage, `amount "-5": write a number above 0`, "payments", "record", "EACH-000001", "--", "-5")
	fails(exitUsage, `amount "x"`, "payments", "set-off", "EACH-000001", "EACH-000002", "x")
	fails(exitUsage, "--on", "payments", "record", "EACH-000001", "5", "--on", "yesterday")
	fails(exitUsage, "--reason", "payments", "reverse", "1")
	fails(exitUsage, `payment "x"`, "payments", "reverse", "x", "--reason", "r")
	fails(exitUsage, "say which", "payments")
	fails(exitUsage, "is before --from", "statement", "EACH", "--from", "2013-02-01", "--to", "2013-01-01")
	fails(exitUsage, "2013-03-01 is not over", "interest", "--through", "2013-03-01")
	fails(exitFailed, "'EACH-000009' is not known", "payments", "record", "EACH-000009", "5")
	fails(exitFailed, `customer "NOBODY" is not known`, "statement", "NOBODY")
	fails(exitFailed, `customer "NOBODY" is not known`, "aging", "--customer", "NOBODY")
	fails(exitFailed, `customer "NOBODY" is not known`, "interest", "--customer", "NOBODY")

	said("payment 1: EACH-000001 is PENDING, 165.00 EUR open\n", "payments", "record", "EACH-000001", "200", "--on", "2013-01-29", "--reference", "for January")
	for range 2 { // the bank's second word of it changes nothing
		said("payment 2: EACH-000002 is PAID, 35.00 EUR of it is the customer's\n", "payments", "record", "EACH-000002", "400.00", "--on", "2013-01-19", "--bank-reference", "B1")
	}
	said("payment 4: EACH-000002 is PAID, 30.00 EUR of it is the customer's\n", "payments", "refund", "EACH-000002", "5", "--on", "2013-01-20")
	fails(exitFailed, "30.00 EUR of it is the customer's", "payments", "refund", "EACH-000002", "30.01", "--on", "2013-01-20")

	// Before the set-off, which is of today: 9 days of 365.00 and 31 of 165.00, at 10 % a year.
	const interest = `
CUSTOMER  INVOICE      FROM        THROUGH     INTEREST  CURRENCY
EACH      EACH-000001  2013-01-20  2013-02-28      2.30  EUR
`
	said(interest, "interest", "--dry-run")
	said(interest, "interest")
	said("CUSTOMER  INVOICE  FROM  THROUGH  INTEREST  CURRENCY\n", "interest")

	said("set off 20.00: EACH-000002 is PAID, 10.00 EUR of it is the customer's\nset off 20.00: EACH-000001 is PENDING, 145.00 EUR open\n", "payments", "set-off", "EACH-000002", "EACH-000001", "20")
	said("payment 1 is taken back by 7\n", "payments", "reverse", "1", "--reason", "bounced")
	_, out := run("payments", "list", "--customer", "EACH", "--to", "2013-02-01")
	require.Equal(t, `ID  PAID ON     INVOICE      CUSTOMER  KIND     AMOUNT  CURRENCY
 2  2013-01-19  EACH-000002  EACH      payment  400.00  EUR
 4  2013-01-20  EACH-000002  EACH      payment   -5.00  EUR
 1  2013-01-29  EACH-000001  EACH      payment  200.00  EUR       taken back by 7
`, out)
	_, out = run("invoices", "show", "EACH-000001")
	require.Contains(t, out, "Subtotal 365.00, tax 0.00, total 365.00 EUR\n345.00 EUR open\n")
	require.Contains(t, out, "takes 1 back: bounced")
	require.Contains(t, out, "with EACH-000002")
	_, out = run("invoices", "show", "EACH-000003", "--detail")
	require.Contains(t, out, "2013-02-28          INTEREST         1   2.3    2.30  0.00\n    2013-01-20 to 2013-01-28 3285.00: 9 days * 365.00 open\n")
	_, out = run("invoices", "list")
	require.Contains(t, out, "PENDING        1  365.00  345.00  EUR       2013-01-19\n")

	said(`
EACH, EUR, through 2013-02-01
DAY                          NUMBER       DUE ON  REFERENCE     AMOUNT  BALANCE
            opening balance                                              730.00
2013-01-19  payment          EACH-000002                       -400.00   330.00
2013-01-20  payment          EACH-000002                          5.00   335.00
2013-01-29  payment          EACH-000001          for January  -200.00   135.00
            closing balance                                              135.00
`, "statement", "EACH", "--from", "2013-01-06", "--to", "2013-02-01")
	said(`
CUSTOMER  CURRENCY  NOT YET DUE  0-30 DAYS  31-60  61-90  OVER 90  CREDIT    OPEN
EACH      EUR              0.00     165.00   0.00   0.00     0.00  -30.00  135.00
`, "aging", "--on", "2013-02-01")
	fails(exitFailed, "345.00 EUR is open on invoice EACH-000001 and cannot be written off", "payments", "write-off", "EACH-000001", "--reason", "small")
	said("payment 8: EACH-000003 is PENDING, 1.00 EUR open\n", "payments", "record", "EACH-000003", "1.30")
	said("payment 9: EACH-000003 is PAID, 0.00 EUR open\n", "payments", "write-off", "EACH-000003", "--reason", "small")
}
