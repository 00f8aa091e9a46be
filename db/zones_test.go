package db_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// Postgres and Go have each a zone database of their own. They must agree on
// which day an instant falls on, and on when a day begins, for SQL computes with
// the one what the rules compute with the other.
func TestPostgresKnowsTheZonesAsGoDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, name := range []string{
		"UTC", "Europe/London", "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/Havana", "America/Sao_Paulo",
		"America/St_Johns", "Pacific/Apia", "Pacific/Kwajalein", "Pacific/Auckland", "Australia/Lord_Howe", "Asia/Kathmandu",
	} {
		loc := location(t, name)
		// Half-hours of ten years from 2027 on, and of the days that never were.
		for _, from := range []time.Time{
			time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2011, 12, 29, 0, 0, 0, 0, time.UTC), time.Date(1993, 8, 20, 0, 0, 0, 0, time.UTC),
		} {
			until := from.AddDate(0, 0, 3)
			if from.Year() == 2027 {
				until = from.AddDate(10, 0, 0)
			}
			rows, _ := b.pool.Query(t.Context(), `SELECT i, to_char(i AT TIME ZONE $1, 'YYYY-MM-DD HH24:MI') FROM generate_series($2::timestamptz, $3, interval '30 minutes') AS i`, name, from, until)
			var at time.Time
			var local string
			_, err := pgx.ForEachRow(rows, []any{&at, &local}, func() error {
				if got := at.In(loc).Format("2006-01-02 15:04"); got != local {
					return fmt.Errorf("%s: at %s Postgres has %s, Go %s: their zone databases differ", name, at.UTC(), local, got)
				}
				return nil
			})
			require.NoError(t, err)
		}
	}
}

// Midnight is skipped, comes twice, or the whole day never was: a payment has the
// day that was named, and the same day once more changes nothing.
func TestMarkInvoicePaidOnOddDays(t *testing.T) {
	t.Parallel()
	for zone, c := range map[string]struct{ issued, day, paidAt string }{
		"America/Havana":    {"2024-03-05", "2024-03-10", "2024-03-10T05:00:00Z"}, // 00:00 is skipped
		"America/Sao_Paulo": {"2018-11-01", "2018-11-04", "2018-11-04T03:00:00Z"},
		"America/Asuncion":  {"2023-03-20", "2023-03-26", "2023-03-26T04:00:00Z"}, // 23:00 to 24:00 comes twice before it
		"Europe/London":     {"2024-10-20", "2024-10-27", "2024-10-26T23:00:00Z"},
		"Pacific/Apia":      {"2011-12-20", "2011-12-30", "2011-12-30T10:00:00Z"}, // the next day's, really
	} {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			b := setupInvoices(t)
			b.exec(t, `UPDATE billing_settings SET timezone = $1`, zone)
			b.exec(t, `INSERT INTO invoices (number, customer_id, kind, currency, status, subtotal, tax, total, bill_to_name, issued_at, issued_on, due_on)
				SELECT 'ODD-000001', id, 'flight', 'EUR', 'PENDING', 1, 0, 1, 'Odd Air', $1::date, $1::date, $1::date + 30 FROM customers ORDER BY id LIMIT 1`, c.issued)
			for range 2 {
				b.exec(t, `SELECT mark_invoice_paid('ODD-000001', $1::text::date)`, c.day)
				paid := get[time.Time](t, b, `SELECT paid_at FROM invoices WHERE number = 'ODD-000001'`)
				require.Equal(t, c.paidAt, paid.UTC().Format(time.RFC3339))
				day, err := billing.ParseDate(c.day)
				require.NoError(t, err)
				require.Equal(t, day.Start(location(t, zone)).UTC(), paid.UTC(), "the first instant of the day")
			}
		})
	}
}

// A document keeps its date, and stands on it in the books, where the billing zone changes later.
func TestDateOfADocumentStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	number := b.invoice(t, "EACH", "EUR", "100", "2026-01-31") // at noon
	dates := func() string {
		d, err := db.ReadDocument(t.Context(), b.pool, number)
		require.NoError(t, err)
		return fmt.Sprint(d.IssuedOn, " ", get[string](t, b, `SELECT string_agg(DISTINCT day::text, ' ') FROM journal`))
	}
	require.Equal(t, "2026-01-31 2026-01-31", dates())
	b.exec(t, `UPDATE billing_settings SET timezone = 'Pacific/Auckland'`) // where it was past midnight
	require.Equal(t, "2026-01-31 2026-01-31", dates())
	aged, err := db.ListAging(t.Context(), b.pool, billing.NewDate(2026, time.January, 31), "EACH")
	require.NoError(t, err)
	require.Len(t, aged, 1)
}
