package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/jobs"
)

// flightbillAt runs commands on a database of its own and returns what they print.
type flightbillAt string

func (url flightbillAt) run(t *testing.T, wantStatus int, args ...string) []byte {
	t.Helper()
	env := func(name string) (string, bool) {
		value, set := map[string]string{"DATABASE_URL": string(url), "FLIGHTBILL_BILLING_START": "2013-01-01"}[name]
		return value, set
	}
	var stdout, stderr bytes.Buffer
	status := run(context.Background(), args, env, strings.NewReader(""), &stdout, &stderr)
	require.Equal(t, wantStatus, status, "%s: %s", args, &stderr)
	return stdout.Bytes()
}

func (url flightbillAt) preview(t *testing.T, runDate string) []draftView {
	t.Helper()
	var drafts []draftView
	require.NoError(t, json.Unmarshal(url.run(t, exitDone, "consolidate", "--dry-run", "--json", "--run-date", runDate), &drafts))
	return drafts
}

// drafts of January and February 2013: WEEK and MON as they should be, in two
// currencies; HELD on hold; FAULTY refused by a constraint; EMPTY without charges.
const previewedDrafts = `
INSERT INTO customers (code, name, billing_frequency, week_ends_on, billing_hold) VALUES
	('WEEK', 'Weekly', 'weekly', 7, false), ('MON', 'Monthly', 'monthly', NULL, false), ('HELD', 'Held', 'weekly', 7, true),
	('EACH', 'Kept flights', 'per_flight', NULL, false), ('FAULTY', 'Faulty Air', 'weekly', 7, false), ('EMPTY', 'Empty', 'weekly', 7, false);
INSERT INTO tariffs (code, basis, applies_to, unit_rate, currency, tax_rate, valid_from) VALUES ('T', 'per_flight', 'any', 1, 'EUR', 0.2, '2012-01-01');
INSERT INTO invoices (customer_id, kind, closes_on, currency)
SELECT c.id, 'consolidated', d::date, cur FROM customers c,
	unnest(CASE code WHEN 'MON' THEN ARRAY['2013-01-31', '2013-02-28'] WHEN 'FAULTY' THEN ARRAY['2013-01-13'] WHEN 'EMPTY' THEN ARRAY['2013-01-20']
		ELSE ARRAY['2013-01-06', '2013-01-13', '2013-01-20', '2013-02-03'] END) AS d,
	unnest(CASE code WHEN 'WEEK' THEN ARRAY['EUR', 'JPY'] ELSE ARRAY['EUR'] END) AS cur
WHERE code <> 'EACH';
INSERT INTO invoices (customer_id, kind, currency, opened_at) SELECT id, 'flight', 'EUR', '2013-01-02' FROM customers, generate_series(1, 2) WHERE code = 'EACH';
INSERT INTO billed_flights SELECT 'F' || i.id || '-' || n, customer_id, '2013-01-02', '{}', now() FROM invoices i, generate_series(1, 3) AS n;
INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
SELECT i.id, 'F' || i.id || '-' || n, t.id, 'T', '', 1, 1, i.id + n * 0.17, 0.2, n * 0.03, '2013-01-02'
FROM invoices i JOIN customers c ON c.id = customer_id, tariffs t, generate_series(1, 3) AS n WHERE c.code <> 'EMPTY';
ALTER TABLE invoices ADD CONSTRAINT no_faulty_air CHECK (bill_to_name <> 'Faulty Air');`

// What a dry run says of several missed dates is what the runs then do, to the
// cent; it says what stays, too.
func TestDryRunIsWhatTheRunDoes(t *testing.T) {
	t.Parallel()
	url := flightbillAt(dbtest.URL(t))
	pool, err := db.Open(t.Context(), string(url), db.Options{SearchPath: db.Schema, MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), previewedDrafts)
	require.NoError(t, err)

	// Nothing has been run: the first run takes the kept flights, each later one its period.
	drafts := url.preview(t, "2013-01-20")
	require.Equal(t, map[string]int{"issue": 2 + 6 + 1, "park": 1, "stay held": 3}, byAction(drafts), "FAULTY is thought to be well")
	requireDone(t, pool, url, drafts, "2013-01-20", "FAULTY")

	// One is parked now and would be tried again, by the first of the runs; the
	// drafts of the future are shown as they are so far.
	drafts = url.preview(t, "2013-02-03")
	require.Equal(t, map[string]int{"issue": 3, "retry": 2, "stay held": 4}, byAction(drafts))
	for _, d := range drafts {
		if d.Action == actionRetry {
			require.Equal(t, "2013-01-21", d.Run.String(), d.Customer)
			require.NotEmpty(t, d.Reason)
		}
	}
	future := url.preview(t, "2999-12-31")
	require.Equal(t, map[string]int{"issue": 4, "retry": 2, "stay held": 4}, byAction(future))
	_, err = pool.Exec(t.Context(), `ALTER TABLE invoices DROP CONSTRAINT no_faulty_air; UPDATE customers SET billing_hold = false`)
	require.NoError(t, err)
	drafts = url.preview(t, "2013-02-03")
	require.Equal(t, map[string]int{"issue": 7, "retry": 2}, byAction(drafts), "the hold is lifted")
	requireDone(t, pool, url, drafts, "2013-02-03", "EMPTY")

	// Run again, there is nothing to do: what is parked stays so.
	drafts = url.preview(t, "2013-02-03")
	require.Equal(t, map[string]int{"stay parked": 1}, byAction(drafts))
	require.Contains(t, string(url.run(t, exitDone, "consolidate", "--run-date", "2013-02-03")), "nothing to do")
}

func byAction(drafts []draftView) map[string]int {
	counts := map[string]int{}
	for _, d := range drafts {
		counts[d.Action]++
	}
	return counts
}

// requireDone runs and compares: all that was to be issued or tried again was
// issued by the run that was named, but what is refused.
func requireDone(t *testing.T, pool *pgxpool.Pool, url flightbillAt, drafts []draftView, runDate string, refused ...string) {
	t.Helper()
	said, runs, before := []string{}, map[string]int64{}, map[int64]bool{}
	for _, d := range drafts {
		before[d.ID] = true
		if d.Action != actionHeld && d.Action != actionPark && !slices.Contains(refused, d.Customer) {
			said = append(said, fmt.Sprintf("%d %s %s %s %d", d.ID, d.Customer, d.Currency, d.Total, d.Charges))
			runs[d.Run.String()]++
		}
	}
	var results []jobs.RunResult
	require.NoError(t, json.Unmarshal(url.run(t, exitDone, "consolidate", "--json", "--run-date", runDate), &results))
	done := map[string]int64{}
	for _, r := range results {
		if r.Invoices > 0 {
			done[r.ClosesOn.String()] = r.Invoices
		}
	}
	require.Equal(t, runs, done, "which run issues how many")
	rows, err := pool.Query(t.Context(), `SELECT i.id, concat_ws(' ', i.id, c.code, i.currency, trim_scale(i.total), (SELECT count(*) FROM charges WHERE invoice_id = i.id))
		FROM invoices i JOIN customers c ON c.id = customer_id WHERE status = 'PENDING'`)
	require.NoError(t, err)
	defer rows.Close()
	issued := []string{}
	for rows.Next() {
		var id int64
		var line string
		require.NoError(t, rows.Scan(&id, &line))
		if before[id] {
			issued = append(issued, line)
		}
	}
	require.NoError(t, rows.Err())
	require.ElementsMatch(t, said, issued)
	require.NotEmpty(t, slices.Collect(maps.Keys(runs)))
}
