package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
	"github.com/flightbill/flightbill/db/dbtest"
)

// A window ends among invoices due on one day, and the last is full.
func TestOverdueInWindows(t *testing.T) {
	t.Parallel()
	pool := OpenPool(t, dbtest.URL(t))
	_, err := pool.Exec(t.Context(), `
		INSERT INTO customers (code, name, billing_frequency, payment_terms_days) VALUES ('EACH', 'Single Air', 'per_flight', 14);
		INSERT INTO invoices (number, customer_id, kind, currency, status, subtotal, tax, total, bill_to_name, issued_at, issued_on, due_on)
		SELECT n, c.id, 'flight', 'EUR', 'PENDING', 1, 0, 1, 'Single Air', '2026-02-01', '2026-02-01', due::date
		FROM customers c, (VALUES ('A', '2026-03-03'), ('B', '2026-03-01'), ('C', '2026-03-03'), ('D', '2026-03-02'), ('E', '2026-03-03'), ('F', '2026-03-01'),
			('TODAY', '2026-03-04')) AS i (n, due)`)
	require.NoError(t, err)

	// A job ends at its time, with what it has marked.
	q, today := dbsqlc.New(pool), billing.NewDate(2026, time.March, 4)
	marked, all, err := markOverdue(t.Context(), q, today, 2, func() bool { return true })
	require.NoError(t, err)
	require.False(t, all)
	require.EqualValues(t, 2, marked)

	marked, all, err = markOverdue(t.Context(), q, today, 2, func() bool { return false })
	require.NoError(t, err)
	require.True(t, all)
	require.EqualValues(t, 4, marked)
	var overdue string
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT string_agg(number, '' ORDER BY number) FROM invoices WHERE status = 'OVERDUE'`).Scan(&overdue))
	require.Equal(t, "ABCDEF", overdue)
}
