package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

// A statement goes in, a payment is booked, and the ledger has it.
func TestBankAndJournalCommands(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	pool, err := db.Open(t.Context(), url, db.Options{SearchPath: db.Schema})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), `
		INSERT INTO billing_settings (timezone, close, billing_start) VALUES ('UTC', 'period_end', '2026-01-01');
		INSERT INTO customers (code, name, billing_frequency) VALUES ('ACME', 'Acme', 'per_flight');
		INSERT INTO tariffs (code, description, basis, applies_to, unit_rate, currency, valid_from) VALUES ('LAND', 'Landing', 'per_flight', 'any', 1, 'EUR', '2025-01-01');
		INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at) SELECT 'F1', id, '2026-02-01', '{}', now() FROM customers;
		INSERT INTO invoices (customer_id, kind, currency) SELECT id, 'flight', 'EUR' FROM customers;
		INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
		SELECT 1, 'F1', id, 'LAND', 'Landing', 1, 1000, 1000.00, 0.2, 200.00, '2026-02-01' FROM tariffs`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `SELECT issue_drafts(ARRAY[1::bigint], '2026-03-01 12:00Z', '2026-03-01')`)
	require.NoError(t, err)
	flightbill := func(want int, args ...string) string {
		t.Helper()
		status, stdout, stderr := runWith(map[string]string{"DATABASE_URL": url, "FLIGHTBILL_RESULTS": ""}, args...)
		require.Equal(t, want, status, "%v: %s", args, stderr)
		return stdout + stderr
	}
	statement := filepath.Join(t.TempDir(), "bank.csv")
	require.NoError(t, os.WriteFile(statement, []byte("booking_day,amount,currency,reference,payer,bank_reference\n2026-03-10,1000.00,EUR,acme 000001,Acme Ltd,R1\n2026-03-11,200.00,EUR,thanks,Acme Ltd,R2\n"), 0o600))
	require.Contains(t, flightbill(exitDone, "bank", "import", statement, "--dry-run"), "2 entries: 1 would be booked, 1 would be for you to look at, 0 were imported before")
	require.Equal(t, "there are none\n", flightbill(exitDone, "bank", "list"))
	flightbill(exitDone, "bank", "import", statement)
	const listed = "ENTRY  DAY         AMOUNT  CURRENCY  STATE      PAYER\n" +
		"4      2026-03-11  200.00  EUR       unmatched  Acme Ltd\n    thanks\n    unmatched: no number of an invoice is found in its text\n"
	require.Equal(t, listed, flightbill(exitDone, "bank", "list", "--unmatched"))
	require.Contains(t, flightbill(exitDone, "bank", "import", statement), "2 entries: 0 booked, 0 for you to look at, 2 imported before")
	require.Contains(t, flightbill(exitDone, "bank", "book", "4", "ACME-000001", "150.00"), "entry 4 is booked on ACME-000001, as payment")
	require.Contains(t, flightbill(exitDone, "bank", "list", "--unmatched"), "unmatched: 50.00 of it is left to book")
	require.Contains(t, flightbill(exitFailed, "bank", "ignore", "4", "--reason", "why"), "entry 4 of the bank is booked")
	require.Contains(t, flightbill(exitDone, "journal", "--from", "2026-03-01", "--to", "2026-03-01"),
		"2026-03-01  invoice 1  ACME-000001  ACME      receivable                 1200     1,200.00            EUR\n"+
			"2026-03-01  invoice 1  ACME-000001  ACME      revenue     LAND           4000               1,000.00  EUR\n"+
			"2026-03-01  invoice 1  ACME-000001  ACME      tax         standard 20 %  2200                 200.00  EUR\n")
	require.Contains(t, flightbill(exitDone, "accounts", "set", "bank=1810", "tax:standard:0.20=3806"), "bank is 1810, in all of the journal")
	require.Contains(t, flightbill(exitDone, "accounts"), "tax:standard:0.2  3806")
	require.Contains(t, flightbill(exitDone, "export", "journal", "--from", "2026-03-11"), ",2026-03-11,")
	for _, args := range [][]string{
		{"bank"}, {"bank", "import", statement, "--format", "mt940"}, {"bank", "book", "x", "ACME-000001"}, {"bank", "book", "4", "ACME-000001", "1e3"}, {"bank", "ignore", "4"},
		{"accounts", "set", "sales=1"}, {"journal", "--from", "yesterday"}, {"journal", "--from", "2026-03-02", "--to", "2026-03-01"},
	} {
		flightbill(exitUsage, args...)
	}
}
