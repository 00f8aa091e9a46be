package db_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"
)

// enqueuer is a session that has the rights of flightbill_enqueuer only.
func (b *testBundle) enqueuer(t *testing.T) *pgx.Conn {
	t.Helper()
	return b.session(t, `SET ROLE flightbill_enqueuer`)
}

// role makes a role that only this test has, and returns its name and the URL by which
// it logs in.
func (b *testBundle) role(t *testing.T) (name, login string) {
	t.Helper()
	return b.roleCalled(t, "role")
}

// roleCalled is role, where a test has several.
func (b *testBundle) roleCalled(t *testing.T, prefix string) (name, login string) {
	t.Helper()
	name = prefix + "_" + get[string](t, b, `SELECT current_database()`)
	b.exec(t, `CREATE ROLE `+name+` LOGIN PASSWORD 'secret'`)
	t.Cleanup(func() {
		_, err := b.pool.Exec(context.WithoutCancel(t.Context()), `DROP OWNED BY `+name+` CASCADE; DROP ROLE `+name)
		require.NoError(t, err)
	})
	address, err := url.Parse(b.url)
	require.NoError(t, err)
	address.User = url.UserPassword(name, "secret")
	return name, address.String()
}

func TestDefinersFixTheirSearchPath(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, "add_bank_entries adjust_flight airports_have_codes billing_runs_tell book_bank_entry charge_interest enqueue_flights flight_processing_queue_delete flight_processing_queue_finish flight_processing_queue_insert gathered_flights_commit ignore_bank_entry invoices_record_event invoices_tell is_queue_admin issue_drafts mark_invoice_paid match_bank_entries price_book_changed rebill_invoice record_payment retry_deliveries reverse_payment set_off tariffs_changed tariffs_do_not_overlap unmark_invoice_paid void_invoice write_off_rounding", get[string](t, b,
		`SELECT string_agg(DISTINCT proname, ' ' ORDER BY proname) FROM pg_proc WHERE prosecdef AND pronamespace = 'flightbill'::regnamespace`))
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM pg_proc
		WHERE prosecdef AND pronamespace = 'flightbill'::regnamespace AND NOT 'search_path=pg_catalog, pg_temp' = ANY (coalesce(proconfig, '{}'))`))
	require.Empty(t, get[string](t, b, `SELECT coalesce(string_agg(proname, ' '), '') FROM pg_proc p JOIN pg_language l ON l.oid = prolang
		WHERE lanname = 'plpgsql' AND pronamespace = 'flightbill'::regnamespace AND proconfig IS NULL`), "nor does any other depend on its caller's path")
}

// Tables, functions and operators of the caller's own, under flightbill's names
// and first in its path, are not what flightbill's functions use.
func TestEnqueuerCannotShadow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.markBilled(t, "F9")
	b.exec(t, `GRANT CREATE ON SCHEMA public TO flightbill_enqueuer`) // as where everybody may
	app := b.session(t, `SET ROLE flightbill_enqueuer`,
		`CREATE TEMP TABLE river_job (LIKE flightbill.flight_processing_queue)`,
		`CREATE TEMP TABLE billed_flights (flight_id text)`,
		`CREATE FUNCTION pg_temp.flight_id_is_valid(text) RETURNS boolean LANGUAGE sql RETURN true`,
		`CREATE FUNCTION pg_temp.flight_job_key(text) RETURNS bytea LANGUAGE sql RETURN '\x00'::bytea`,
		`CREATE FUNCTION pg_temp.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$shadowed as %$$, current_user; END'`,
		`CREATE FUNCTION pg_temp.grab(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$shadowed as %$$, current_user; END'`,
		`CREATE OPERATOR pg_temp.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.grab)`,
		// More exact than Postgres' own, which compare any two values of an enum.
		`CREATE FUNCTION public.grab(flightbill.river_job_state, flightbill.river_job_state) RETURNS boolean LANGUAGE plpgsql AS
			'BEGIN RAISE EXCEPTION $$shadowed as %$$, current_user; END'`,
		`CREATE OPERATOR public.= (LEFTARG = flightbill.river_job_state, RIGHTARG = flightbill.river_job_state, FUNCTION = public.grab)`,
		`CREATE OPERATOR public.<> (LEFTARG = flightbill.river_job_state, RIGHTARG = flightbill.river_job_state, FUNCTION = public.grab)`,
		`SET search_path = pg_temp, public, pg_catalog`,
		`INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('F1'), ('F9')`,
		`SELECT flightbill.enqueue_flights(ARRAY['F2', 'F3', 'F9'])`,
		`DELETE FROM flightbill.flight_processing_queue WHERE flight_id = 'F3'`)
	for _, sql := range []string{
		`INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('F''1')`, `SELECT flightbill.enqueue_flights(ARRAY['F''1'])`,
	} {
		_, err := app.Exec(t.Context(), sql)
		requireSQLError(t, err, invalidParameter, "cannot be enqueued")
	}
	require.Equal(t, "F1 available 0 1, F2 available 0 1", b.queue(t))
}

// A function in the WHERE of a query is called with rows of the queue only, and
// not with those of River's other jobs, however cheap it claims to be.
func TestEnqueuerSeesNoOtherJobs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.enqueue(t, "F1")
	b.exec(t, `INSERT INTO flightbill.river_job (kind, args, max_attempts, priority) VALUES ('consolidate_invoices', '{}', 25, 4)`)
	config, err := pgx.ParseConfig(b.url)
	require.NoError(t, err)
	var seen []string
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { seen = append(seen, n.Message) }
	app, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = app.Close(t.Context()) })
	for _, sql := range []string{
		`SET ROLE flightbill_enqueuer`,
		`SET enable_indexscan = off`, `SET enable_bitmapscan = off`, // an index would hide the other rows by chance
		`CREATE FUNCTION pg_temp.tell(bigint, smallint) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
			AS $$ BEGIN RAISE NOTICE 'priority %', $2; RETURN true; END $$`,
		`SELECT FROM flightbill.flight_processing_queue WHERE pg_temp.tell(job_id, priority)`,
	} {
		_, err := app.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	require.Equal(t, "priority 1", strings.Join(seen, "; "))
}

// To look up one flight among many stays a matter of its index.
func TestQueueUsesItsIndex(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `SELECT flightbill.enqueue_flights(array_agg('F' || n)) FROM generate_series(1, 2000) AS n`)
	b.exec(t, `ANALYZE river_job`)
	for _, sql := range []string{`SELECT FROM flightbill.flight_processing_queue WHERE flight_id = 'F7'`, `DELETE FROM flightbill.flight_processing_queue WHERE flight_id = 'F7'`} {
		rows, err := b.enqueuer(t).Query(t.Context(), `EXPLAIN `+sql)
		require.NoError(t, err)
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Contains(t, strings.Join(plan, "\n"), "river_job_flight_idx")
	}
}

// What README has granted to an application that enqueues with River's own client is
// enough for it.
func TestRiverClientNeedsNoOtherRights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	role, address := b.role(t)
	b.exec(t, `GRANT USAGE ON SCHEMA flightbill TO `+role+`; GRANT SELECT, INSERT, UPDATE ON flightbill.river_job TO `+role+`;
		GRANT USAGE ON SEQUENCE flightbill.river_job_id_seq TO `+role)
	client, err := river.NewClient(riverpgxv5.New(openPlain(t, address)), &river.Config{Schema: "flightbill"})
	require.NoError(t, err)
	for range 2 {
		_, err = client.Insert(t.Context(), ingestArgs{FlightID: "F1"}, &river.InsertOpts{Queue: "flights", UniqueOpts: river.UniqueOpts{ByArgs: true}})
		require.NoError(t, err)
	}
	require.Equal(t, "F1 available 0 1", b.queue(t))
}

// login is a session of an application's own login, which has been granted a role.
func (b *testBundle) login(t *testing.T, prefix, granted string) (session *pgx.Conn, name string) {
	t.Helper()
	name, address := b.roleCalled(t, prefix)
	b.exec(t, `GRANT `+granted+` TO `+name)
	session, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close(context.WithoutCancel(t.Context())) })
	return session, name
}

// An application takes back what it has enqueued, whatever role it works under; and who
// looks after the queue, all of it.
func TestFlightsAreTakenBackByTheirs(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.exec(t, voidInvoice) // F2 is refused
	one, oneName := b.login(t, "one", "flightbill_enqueuer")
	two, _ := b.login(t, "two", "flightbill_enqueuer")
	admin, _ := b.login(t, "admin", "flightbill_queue_admin")
	b.exec(t, `CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO PUBLIC;
		CREATE FUNCTION app.enqueue(flight text) RETURNS void LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ($1)'`)
	exec := func(app *pgx.Conn, sql string) int64 {
		tag, err := app.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
		return tag.RowsAffected()
	}
	const (
		takeBack = `DELETE FROM flightbill.flight_processing_queue`
		whose    = `SELECT coalesce(string_agg(DISTINCT coalesce(enqueued_by, '-'), ' '), '') FROM flight_processing_queue`
	)
	for name, enqueue := range map[string]string{
		"one":           `INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('A1')`,
		"gathered":      `INSERT INTO flightbill.flight_processing_queue (flight_id) SELECT 'A' || n FROM generate_series(1, 150) AS n`,
		"in a call":     `SELECT flightbill.enqueue_flights(ARRAY['A1', 'A2'])`,
		"refused":       `INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('F2')`,
		"through a app": `SELECT app.enqueue('A1')`,
		"another role":  `SET ROLE flightbill_enqueuer; INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('A1'); RESET ROLE`,
	} {
		exec(one, enqueue)
		require.Equal(t, oneName, get[string](t, b, whose), name)
		for _, state := range []string{"available", "scheduled", "retryable", "discarded", "cancelled"} {
			b.exec(t, `UPDATE river_job SET state = $1::river_job_state, finalized_at = CASE WHEN $1 IN ('cancelled', 'discarded') THEN now() END`, state)
			require.Zero(t, exec(two, takeBack), "%s %s", name, state)
		}
		// The other has them work again, and even so they are not its own.
		exec(two, `INSERT INTO flightbill.flight_processing_queue (flight_id) SELECT flight_id FROM flightbill.flight_processing_queue`)
		require.Zero(t, exec(two, takeBack), name)
		exec(two, `SELECT flightbill.enqueue_flights(ARRAY(SELECT flight_id FROM flightbill.flight_processing_queue))`)
		require.Zero(t, exec(two, takeBack), name)
		require.Equal(t, oneName, get[string](t, b, whose), name)
		jobs := get[int64](t, b, `SELECT count(*) FROM flight_processing_queue`)
		if name == "one" {
			exec(one, `SET ROLE flightbill_enqueuer`)
			require.Equal(t, jobs, exec(one, takeBack))
			exec(one, `RESET ROLE`)
			continue
		}
		require.Equal(t, jobs, exec(one, takeBack), name)
	}

	// What a River client enqueued is nobody's.
	b.raw(t, "R1")
	require.Equal(t, "-", get[string](t, b, whose))
	b.setState(t, "R1", "cancelled")
	require.EqualValues(t, 1, exec(two, `INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('R1')`))
	require.Zero(t, exec(two, takeBack))
	exec(one, `INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('A1'), ('A2')`)
	b.setState(t, "A2", "running")
	require.EqualValues(t, 2, exec(admin, takeBack), "but what is running")

	// What an accountant has billed again is the accountant's; the flights of others are not.
	b.exec(t, `DELETE FROM river_job`)
	accountant, _ := b.login(t, "accountant", "flightbill_accountant")
	exec(one, `INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('A1')`)
	exec(accountant, `SELECT flightbill.rebill_invoice('EACH-000001')`)
	require.EqualValues(t, 1, exec(accountant, takeBack))
	require.Equal(t, "A1", get[string](t, b, `SELECT flight_id FROM flight_processing_queue`))
}

// What is written for who looks after flightbill is not for every application.
func TestEnqueuerSeesNoDetails(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.exec(t, voidInvoice)
	app, _ := b.login(t, "app", "flightbill_enqueuer")
	admin, _ := b.login(t, "admin", "flightbill_queue_admin")
	const secret = "broker-7.internal"
	jobs := map[string]string{ // of each kind that a job's row can be of
		"WAITS":     `state = 'scheduled', metadata = '{"reason": "source_down", "said": "shown", "waiting": {"reason": "` + secret + `"}}'`,
		"CANCELLED": `state = 'cancelled', finalized_at = now(), metadata = '{"reason": "no_tariff", "said": "shown"}', errors = ARRAY['{"error": "JobCancelError: ` + secret + `"}']::jsonb[]`,
		"BYHAND":    `state = 'cancelled', finalized_at = now(), errors = ARRAY['{"error": "` + secret + `"}', '{"error": "JobCancelError: job cancelled remotely"}']::jsonb[]`,
		"FAILED":    `state = 'retryable', metadata = '{"reason": "not_landed", "said": "old"}', errors = ARRAY['{"error": "` + secret + `"}']::jsonb[]`,
		"DISCARDED": `state = 'discarded', finalized_at = now(), metadata = '{"said": "old"}', errors = ARRAY['{"error": "` + secret + `"}']::jsonb[]`,
		"UNTOLD":    `state = 'cancelled', finalized_at = now(), errors = ARRAY['{"error": "JobCancelError: ` + secret + `"}']::jsonb[]`,
		"STALE":     `state = 'running', metadata = '{"reason": "no_customer"}', errors = ARRAY['{"error": "` + secret + `"}']::jsonb[]`,
		"READY":     `state = 'available'`,
	}
	for id, set := range jobs {
		b.enqueue(t, id)
		b.exec(t, `UPDATE river_job SET `+set+` WHERE args ->> 'flight_id' = $1`, id)
	}
	b.enqueue(t, "F2") // whose invoice was voided
	const (
		shown = `SELECT string_agg(concat_ws(': ', flight_id, last_error), E'\n' ORDER BY flight_id) FROM flightbill.flight_processing_queue`
		all   = `SELECT string_agg(q::text, E'\n') FROM flightbill.flight_processing_queue AS q`
	)
	row := func(session *pgx.Conn, sql string) (value string) {
		require.NoError(t, session.QueryRow(t.Context(), `SELECT (`+sql+`)::text`).Scan(&value))
		return value
	}
	require.Equal(t, `BYHAND: the flight was cancelled by hand
CANCELLED: shown
DISCARDED: something failed that should not; who looks after flightbill sees what
F2: flight F2 is not billed again: its invoice was voided without that; have who enqueued it, or flightbill_queue_admin, take it off the queue, or have the invoice's flights billed again
FAILED: something failed that should not; who looks after flightbill sees what
READY
STALE: something failed that should not; who looks after flightbill sees what
UNTOLD: something failed that should not; who looks after flightbill sees what
WAITS: shown`, row(app, shown))
	b.exec(t, `INSERT INTO flight_source_outages VALUES ('a client', now(), 'pinot: `+secret+`', now())`)
	require.Contains(t, row(app, shown), "READY: the flight source cannot be read; flights wait until it is back")
	require.Equal(t, "0", row(app, `SELECT count(details) FROM flightbill.flight_processing_queue`))
	require.Equal(t, 7, strings.Count(row(admin, all), secret), "of all but those by hand and refused")
	require.Contains(t, row(admin, all), "EACH-000001")
	for _, sql := range []string{all, `SELECT jsonb_agg(q) FROM flightbill.flight_processing_queue AS q`} {
		require.NotRegexp(t, secret+"|EACH-|wrong tariff", row(app, sql))
	}
	for _, sql := range []string{
		`INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('CANCELLED'), ('F2') RETURNING *`,
		`INSERT INTO flightbill.flight_processing_queue (flight_id) SELECT 'G' || n FROM generate_series(1, 120) AS n UNION ALL VALUES ('UNTOLD'), ('DISCARDED') RETURNING *`,
		`DELETE FROM flightbill.flight_processing_queue WHERE flight_id = 'G1' RETURNING *`,
	} {
		rows, err := app.Query(t.Context(), sql)
		require.NoError(t, err)
		list, err := pgx.CollectRows(rows, pgx.RowToMap)
		require.NoError(t, err)
		require.NotEmpty(t, list)
		for _, r := range list {
			require.Nil(t, r["details"])
			require.NotContains(t, fmt.Sprint(r), secret)
		}
	}
}
