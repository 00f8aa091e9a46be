package jobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
	"github.com/flightbill/flightbill/jobs"
)

// issued adds issued invoices with the numbers given, all of one status and due
// on one day.
func (b *testBundle) issued(t *testing.T, status string, dueOn billing.Date, numbers ...string) {
	t.Helper()
	b.exec(t, `INSERT INTO invoices (number, customer_id, kind, currency, status, subtotal, tax, total, bill_to_name, issued_at, issued_on, due_on, paid_at)
		SELECT n, id, 'flight', 'EUR', $1, 1, 0, 1, 'Single Air', $2::date - 14, $2::date - 14, $2, CASE WHEN $1 = 'PAID' THEN $2::date END
		FROM customers, unnest($3::text[]) AS n WHERE code = 'EACH'`, status, dueOn, numbers)
}

func (b *testBundle) overdue(t *testing.T) string {
	t.Helper()
	return get[string](t, b, `SELECT coalesce(string_agg(number, ' ' ORDER BY number), '') FROM invoices WHERE status = 'OVERDUE'`)
}

// markOverdue marks what was due before a day, and returns how many that are.
func (b *testBundle) markOverdue(t *testing.T, today billing.Date) int64 {
	t.Helper()
	marked, err := jobs.Overdue(t.Context(), b.pool, today)
	require.NoError(t, err)
	return marked
}

// An invoice is overdue from the day after it was due, as the clocks of the
// billing zone show it.
func TestMarkOverdueByLocalDay(t *testing.T) {
	t.Parallel()
	for zone, instants := range map[string][]string{ // the first and the last of 10 March there
		"UTC":                 {"2026-03-10 00:00:00", "2026-03-10 23:59:59"},
		"Pacific/Auckland":    {"2026-03-09 11:00:00", "2026-03-10 10:59:59"},
		"America/Los_Angeles": {"2026-03-10 07:00:00", "2026-03-11 06:59:59"},
	} {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			_, _, err := db.ChangeSettings(t.Context(), b.owner, db.Settings{Timezone: zone}, db.Settings{}, b.clock.Now())
			require.NoError(t, err)
			b.issued(t, "PENDING", march(9), "BEFORE")
			b.issued(t, "PENDING", march(10), "TODAY")
			b.issued(t, "PENDING", march(11), "AFTER")
			worker := &jobs.MarkOverdue{Pool: b.pool, Books: db.NewPriceBooks(b.pool), Now: b.clock.Now, Stats: b.stats, Logger: b.logger}
			for i, instant := range instants {
				b.clock.Set(utc(t, instant))
				require.NoError(t, worker.Work(t.Context(), &river.Job[jobs.MarkOverdueArgs]{}))
				require.Equal(t, "BEFORE", b.overdue(t), "at %s", instant)
				require.EqualValues(t, i+1, b.stats.Snapshot().Scheduled["mark_overdue"].Done)
			}
		})
	}
}

func TestOverdueInBatches(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const many = 10_001 // two batches of 5,000 and a rest
	numbers := get[[]string](t, b, `SELECT array_agg('M' || n) FROM generate_series(1, $1::int) AS n`, many)
	b.issued(t, "PENDING", march(1), numbers...)
	b.issued(t, "PAID", march(1), "PAID")
	b.issued(t, "VOID", march(1), "VOID")
	b.issued(t, "OVERDUE", march(1), "OVERDUE")
	b.billed(t, "W1", "WEEK", landed(4, 9))
	others := func() string {
		return get[string](t, b, `SELECT string_agg(i::text, E'\n' ORDER BY id) FROM invoices i WHERE number IS NULL OR number !~ '^M'`)
	}
	before := others()

	require.EqualValues(t, many, b.markOverdue(t, march(4)))
	require.Equal(t, many, get[int](t, b, `SELECT count(*) FROM invoice_events WHERE from_status = 'PENDING' AND to_status = 'OVERDUE'`))
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM invoices WHERE status = 'PENDING'`))
	require.Equal(t, before, others(), "paid, void and draft ones are left alone")

	require.Zero(t, b.markOverdue(t, march(4)))
}

// Whichever of the two has the invoice first, a payment wins.
func TestOverdueAndPaidAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.issued(t, "PENDING", march(1), "FIRST", "SECOND", "THIRD")

	// The payment has it: the run passes it by and does the rest.
	payment := b.begin(t, `SELECT mark_invoice_paid('FIRST')`)
	patient, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	marked, err := jobs.Overdue(patient, b.pool, march(4))
	require.NoError(t, err, "the run does not wait for the payment")
	require.EqualValues(t, 2, marked)
	require.NoError(t, payment.Commit(t.Context()))
	require.Equal(t, "SECOND THIRD", b.overdue(t))

	// The run has it: the payment waits and comes after.
	b.issued(t, "PENDING", march(1), "FOURTH")
	run := b.begin(t)
	marked, err = dbsqlc.New(run).InvoiceMarkOverdue(t.Context(), []int64{get[int64](t, b, `SELECT id FROM invoices WHERE number = 'FOURTH'`)})
	require.NoError(t, err)
	require.EqualValues(t, 1, marked)
	paid := inBackground(func() (string, error) {
		_, err := b.owner.Exec(context.Background(), `SELECT mark_invoice_paid('FOURTH')`)
		return "", err
	})
	b.waitFor(t, "the payment waits", 1, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'SELECT mark_invoice_paid%'`)
	requireUnanswered(t, paid, "the payment did not wait for the run")
	require.NoError(t, run.Commit(t.Context()))
	require.NoError(t, (<-paid).err)

	require.Equal(t, "FIRST PENDING>PAID, FOURTH PENDING>OVERDUE, FOURTH OVERDUE>PAID, SECOND PENDING>OVERDUE, THIRD PENDING>OVERDUE",
		get[string](t, b, `SELECT string_agg(number || ' ' || from_status || '>' || to_status, ', ' ORDER BY number, e.id)
			FROM invoice_events e JOIN invoices i ON i.id = invoice_id WHERE from_status IS NOT NULL`))
	require.Zero(t, b.markOverdue(t, march(4)))
	require.Equal(t, "PAID PAID", get[string](t, b, `SELECT string_agg(status, ' ') FROM invoices WHERE number IN ('FIRST', 'FOURTH')`))
}
