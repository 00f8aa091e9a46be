package db_test

import (
	"context"
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
	name = "role_" + get[string](t, b, `SELECT current_database()`)
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

func TestEnqueuerMay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	app := b.session(t, `SET ROLE flightbill_enqueuer`,
		`INSERT INTO flightbill.flight_processing_queue (flight_id, priority) VALUES ('F1', 2), ('F2', 3)`,
		`SELECT FROM flightbill.enqueue_flights(ARRAY['F3', 'F4'])`,
		`DELETE FROM flightbill.flight_processing_queue WHERE flight_id IN ('F2', 'F4')`)
	b.setState(t, "F1", "cancelled")
	_, err := app.Exec(t.Context(), `INSERT INTO flightbill.flight_processing_queue (flight_id) SELECT flight_id FROM flightbill.flight_processing_queue WHERE state = 'cancelled'`)
	require.NoError(t, err, "revive")
	var seen string
	require.NoError(t, app.QueryRow(t.Context(), `SELECT string_agg(flight_id || ' ' || state, ', ' ORDER BY flight_id) FROM flightbill.flight_processing_queue`).Scan(&seen))
	require.Equal(t, "F1 available, F3 available", seen)
}

// Of each kind of statement one: TestEnqueuerHasNothingElse asks for every right.
func TestEnqueuerMayNot(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.enqueue(t, "F1")
	app := b.enqueuer(t)
	for _, sql := range []string{
		`SELECT FROM flightbill.river_job`, `UPDATE flightbill.flight_processing_queue SET priority = 1`, `SELECT flightbill.announce_flights()`,
		`SELECT nextval('flightbill.river_job_id_seq')`, `TRUNCATE flightbill.river_job`, `COPY flightbill.river_job TO STDOUT`,
		`CREATE TABLE public.mine ()`, `CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql RETURN 1`, `CREATE SCHEMA mine`,
		`CREATE OR REPLACE FUNCTION flightbill.flight_id_is_valid(flight_id text) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true`,
		`CREATE TRIGGER mine BEFORE INSERT ON flightbill.river_job EXECUTE FUNCTION flightbill.flight_processing_queue_insert()`,
		`CREATE TEMP TABLE mine (flight_id text); CREATE TRIGGER mine BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION flightbill.flight_processing_queue_insert()`,
		`ALTER VIEW flightbill.flight_processing_queue RENAME TO mine`, `DROP VIEW flightbill.flight_processing_queue`,
	} {
		_, err := app.Exec(t.Context(), sql)
		var pgErr *pgconn.PgError
		require.ErrorAs(t, err, &pgErr, sql)
		require.Equal(t, noPrivilege, pgErr.Code, "%s: %s", sql, pgErr.Message)
	}
	require.Equal(t, "F1 available 0 1", b.queue(t))
}

// Whatever is added to the schema: nothing but the view and enqueue_flights is
// open to the role, and nothing that changes data to everybody.
func TestEnqueuerHasNothingElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, "flight_processing_queue", get[string](t, b, `
		SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
		WHERE relnamespace = 'flightbill'::regnamespace AND relkind IN ('r', 'v', 'm', 'p', 'f')
			AND (has_table_privilege('flightbill_enqueuer', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
				OR has_any_column_privilege('flightbill_enqueuer', oid, 'SELECT, INSERT, UPDATE, REFERENCES'))`))
	require.Equal(t, "DELETE, INSERT, SELECT", get[string](t, b, `
		SELECT string_agg(p, ', ' ORDER BY p) FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS p
		WHERE has_table_privilege('flightbill_enqueuer', 'flightbill.flight_processing_queue', p)`))
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM pg_sequences
		WHERE has_sequence_privilege('flightbill_enqueuer', format('%I.%I', schemaname, sequencename), 'USAGE, SELECT, UPDATE')`))
	require.False(t, get[bool](t, b, `SELECT bool_or(rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls) FROM pg_roles
		WHERE rolname = 'flightbill_enqueuer'`))

	// A trigger's function cannot be called; an extension's are its own affair.
	const callable = `
		SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc p
		WHERE pronamespace = 'flightbill'::regnamespace AND prorettype <> 'trigger'::regtype AND has_function_privilege($1, oid, 'EXECUTE')
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')`
	require.Equal(t, "clean_text code_form enqueue_flights queued_flight refuse_replica river_job_state_in_bitmask", get[string](t, b, callable, "flightbill_enqueuer"))
	require.Equal(t, "clean_text code_form queued_flight refuse_replica river_job_state_in_bitmask", get[string](t, b, callable, "public"))
}

func TestDefinersFixTheirSearchPath(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, "adjust_flight enqueue_flights flight_processing_queue_delete flight_processing_queue_finish flight_processing_queue_insert gathered_flights_commit invoices_record_event issue_drafts mark_invoice_paid price_book_changed rebill_invoice unmark_invoice_paid void_invoice", get[string](t, b,
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
