package db_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Whatever integers and instants a client has, as literals, as parameters whose type
// it leaves open, and as typed ones.
func TestEnqueueTakesAnyInteger(t *testing.T) {
	t.Parallel()
	b := setup(t)
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, call := range []struct {
		args   string
		params []any
	}{
		{`2`, nil}, {`'2'`, nil}, {`2::smallint`, nil}, {`2::int`, nil}, {`2::bigint`, nil}, {`$1`, []any{2}}, {`$1`, []any{int64(2)}}, {`$1::int`, []any{2}},
		{`2, '2030-01-02 03:04:05Z'`, nil}, {`2, $1`, []any{at}}, {`2, $1`, []any{"2030-01-02 03:04:05Z"}}, {`2, NULL`, nil}, {`2, now()`, nil},
		{`process_after => now() + interval '1 hour', priority => 2`, nil},
	} {
		id := fmt.Sprint("Q", i)
		_, err := b.pool.Exec(t.Context(), `SELECT enqueue_flights(ARRAY['`+id+`'], `+call.args+`)`, call.params...)
		require.NoError(t, err, call.args)
		require.Equal(t, 2, get[int](t, b, `SELECT priority FROM flight_processing_queue WHERE flight_id = $1`, id), call.args)
	}
	require.Equal(t, 3, get[int](t, b, `SELECT count(*) FROM flight_processing_queue WHERE process_after = '2030-01-02 03:04:05Z'`))
	for _, bad := range []string{"5", "0", "99999", "9999999999", "NULL::int"} {
		b.requireSQLError(t, `SELECT enqueue_flights(ARRAY['BAD'], `+bad+`)`, invalidParameter, "flights cannot be enqueued with priority", "1 (first) to 4 (last)")
	}
}

// A day is that day, in whatever zone the session is; an instant is of the day that the
// billing zone has then.
func TestMarkInvoicePaidTakesDaysAndInstants(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t) // EACH-000001, issued on 2026-03-04 at 12:00 UTC
	b.exec(t, `UPDATE billing_settings SET timezone = 'America/New_York'`)
	day := time.Date(2026, 3, 6, 0, 0, 0, 0, time.UTC)
	for _, zone := range []string{"UTC", "Asia/Tokyo", "Pacific/Honolulu"} {
		for _, call := range []struct {
			args   string
			params []any
			want   string
		}{
			// Days.
			{`'2026-03-06'`, nil, "2026-03-06"},
			{`' 2026-03-06 '`, nil, "2026-03-06"},
			{`'20260306'`, nil, "2026-03-06"},
			{`'6 March 2026'`, nil, "2026-03-06"},
			{`'2026-03-06 +09'`, nil, "2026-03-06"},    // as JDBC sends one
			{`'2026-03-06 +05:30'`, nil, "2026-03-06"}, // likewise
			{`'2026-03-06'::date`, nil, "2026-03-06"},
			{`date '2026-03-06'`, nil, "2026-03-06"},
			{`'2026-03-06'::varchar`, nil, "2026-03-06"},
			{`$1`, []any{"2026-03-06"}, "2026-03-06"},
			{`$1::date`, []any{day}, "2026-03-06"},
			{`$1::text`, []any{"2026-03-06"}, "2026-03-06"},
			// Times without a zone are the billing zone's.
			{`'2026-03-06 00:00'::timestamp`, nil, "2026-03-06"},
			{`date '2026-03-07' - interval '1 day'`, nil, "2026-03-06"},
			{`'2026-03-06 00:00'`, nil, "2026-03-06"},
			{`'2026-03-06T23:59:59'`, nil, "2026-03-06"},
			// Instants.
			{`timestamptz '2026-03-06 04:59Z'`, nil, "2026-03-05"},
			{`timestamptz '2026-03-06 05:00Z'`, nil, "2026-03-06"},
			{`'2026-03-06 04:59:59Z'`, nil, "2026-03-05"},
			{`'2026-03-06T05:00:00+00:00'`, nil, "2026-03-06"},
			{`'2026-03-06 00:00:00+00'`, nil, "2026-03-05"}, // as psycopg2 and JDBC send one
			{`'2026-03-06 14:30:00+09'`, nil, "2026-03-06"},
			{`$1`, []any{"2026-03-06 04:59:59Z"}, "2026-03-05"},
			{`$1::timestamptz`, []any{day.Add(5 * time.Hour)}, "2026-03-06"},
			// Now.
			{`now()`, nil, "today"},
			{`current_timestamp`, nil, "today"},
			{`'now'`, nil, "today"},
			{`'today'`, nil, "today"},
			{`NULL`, nil, "today"},
			{`NULL::date`, nil, "today"},
			{`NULL::timestamptz`, nil, "today"},
			{`$1`, []any{nil}, "today"},
			{`paid_on => now()`, nil, "today"},
			{`paid_on => '2026-03-06'`, nil, "2026-03-06"},
		} {
			for name, mode := range map[string]pgx.QueryExecMode{"prepared": pgx.QueryExecModeCacheStatement, "exec": pgx.QueryExecModeExec, "simple": pgx.QueryExecModeSimpleProtocol} {
				what := fmt.Sprint(call.args, call.params, " in ", zone, ", ", name)
				session := b.session(t, `SET timezone = '`+zone+`'`)
				tx, err := session.Begin(t.Context())
				require.NoError(t, err)
				_, err = tx.Exec(t.Context(), `SELECT mark_invoice_paid('EACH-000001', `+call.args+`)`, append([]any{mode}, call.params...)...)
				require.NoError(t, err, what)
				var paidOn, today, sessionZone string
				require.NoError(t, tx.QueryRow(t.Context(), `SELECT (paid_at AT TIME ZONE 'America/New_York')::date::text, (now() AT TIME ZONE 'America/New_York')::date::text,
					current_setting('timezone') FROM invoices WHERE id = 2 AND status = 'PAID'`).Scan(&paidOn, &today, &sessionZone), what)
				if call.want == "today" {
					call.want = today
				}
				require.Equal(t, call.want, paidOn, what)
				require.Equal(t, zone, sessionZone, "the session keeps its zone")
				require.NoError(t, session.Close(context.WithoutCancel(t.Context())))
			}
		}
	}
	for _, bad := range []string{`''`, `'yes'`, `'2026-02-30'`, `'2026-03-06 25:00'`} {
		b.requireSQLError(t, `SELECT mark_invoice_paid('EACH-000001', `+bad+`)`,
			invalidParameter, "invoice 'EACH-000001' cannot be paid on "+bad+": that is no day", "such as 2026-11-23")
	}
}

// A Go client's time.Time needs no cast where the client describes the statement first.
func TestMarkInvoicePaidTakesGoTimes(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	_, err := b.pool.Exec(t.Context(), `SELECT mark_invoice_paid('EACH-000001', $1)`, time.Date(2026, 3, 6, 23, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Equal(t, "2026-03-06", get[string](t, b, `SELECT (paid_at AT TIME ZONE 'UTC')::date::text FROM invoices WHERE id = 2`))
}

// What RETURNING gives is what the view then has: of flights that are enqueued one by
// one, gathered, brought back to work, and refused.
func TestQueueInsertReturning(t *testing.T) {
	t.Parallel()
	const columns = `flight_id, state, attempts, coalesce(last_error, ''), coalesce(reason, ''), priority, process_after, enqueued_at, job_id, coalesce(enqueued_by, ''), coalesce(details, '')`
	type row struct {
		FlightID, State   string
		Attempts          int
		LastError, Reason string
		Priority          int
		ProcessAfter      time.Time
		EnqueuedAt        time.Time
		JobID             int64
		EnqueuedBy        string
		Details           string
	}
	b := setupInvoices(t)
	b.exec(t, voidInvoice) // F2 is refused
	b.exec(t, `SELECT enqueue_flights(array_agg('F' || n)) FROM generate_series(10, 400, 10) AS n`)
	b.exec(t, `UPDATE river_job SET state = 'cancelled', finalized_at = now(), attempt = 3, metadata = '{"reason": "no_tariff", "said": "none", "enqueued_by": "first"}',
		errors = ARRAY['{"error": "JobCancelError: no tariff"}'::jsonb] WHERE id % 2 = 0`)
	b.exec(t, `UPDATE river_job SET state = 'running' WHERE id % 2 = 1`)
	tx := b.begin(t)
	returned := map[int64]row{}
	for _, sql := range []string{
		`INSERT INTO flight_processing_queue (flight_id) SELECT 'F' || n FROM generate_series(1, 400) AS n RETURNING `,
		`INSERT INTO flight_processing_queue (flight_id, priority) VALUES ('G1', 3), ('G2', NULL) RETURNING `,
		`INSERT INTO flight_processing_queue (flight_id, priority, process_after) VALUES ('G3', 2, now() + interval '1 hour'), ('G4', NULL, '2020-01-01') RETURNING `,
		`INSERT INTO flight_processing_queue (flight_id, state, job_id, reason, enqueued_by) VALUES ('G5', 'running', 1, 'mine', 'somebody') RETURNING `,
	} {
		rows, err := tx.Query(t.Context(), sql+columns)
		require.NoError(t, err)
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
		require.NoError(t, err)
		for _, r := range list {
			returned[r.JobID] = r
		}
	}
	require.NoError(t, tx.Commit(t.Context()))
	require.Len(t, returned, 400-1-20+5, "F1 is billed, 20 are running") // setupInvoices bills F1 and F2
	rows, err := b.pool.Query(t.Context(), `SELECT `+columns+` FROM flight_processing_queue WHERE state <> 'running'`)
	require.NoError(t, err)
	shown, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	require.NoError(t, err)
	require.Len(t, shown, len(returned))
	var revived, refused int
	for _, r := range shown {
		require.Equal(t, r, returned[r.JobID])
		if r.Details == "no tariff" && r.LastError == "none" {
			revived++
		}
		if r.Reason == "invoice_voided" {
			refused++
		}
	}
	require.Equal(t, 20, revived)
	require.Equal(t, 1, refused)
	require.Equal(t, "G1 3 available, G2 1 available, G3 2 scheduled, G4 1 available, G5 1 available", get[string](t, b,
		`SELECT string_agg(concat_ws(' ', flight_id, priority, state), ', ' ORDER BY flight_id) FROM flight_processing_queue WHERE flight_id ~ 'G'`))
}
