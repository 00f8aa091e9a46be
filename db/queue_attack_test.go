package db_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
)

// What an application's login tries on others. Each comes to the error that is named, or to
// nothing; of others' flights none is changed, nothing of them is told but what the view
// shows, and no lock is held that would stop anybody. TestRights asks for every right.
func TestEnqueuerAttacks(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	victim, _ := b.login(t, "victim", "flightbill_enqueuer")
	name, address := b.roleCalled(t, "app")
	b.exec(t, `GRANT flightbill_enqueuer TO `+name)
	config, err := pgx.ParseConfig(address)
	require.NoError(t, err)
	var told []string
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { told = append(told, n.Message) }
	app, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = app.Close(context.WithoutCancel(t.Context())) })
	_, err = victim.Exec(t.Context(), `SELECT flightbill.enqueue_flights(array_agg('V' || n)) FROM generate_series(1, 8) AS n`)
	require.NoError(t, err)
	for id, set := range map[string]string{
		"V2": `state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{c}'`,
		"V3": `state = 'cancelled', finalized_at = now(), errors = ARRAY['{"error": "JobCancelError: HIDDEN"}']::jsonb[], metadata = metadata || '{"reason": "no_tariff", "said": "no tariff"}'`,
		"V4": `state = 'completed', finalized_at = now()`,
		"V5": `state = 'retryable', errors = ARRAY['{"error": "HIDDEN"}']::jsonb[]`,
	} {
		b.exec(t, `UPDATE river_job SET `+set+` WHERE args ->> 'flight_id' = $1`, id)
	}
	b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts) VALUES ('consolidate_invoices', '{"note": "HIDDEN"}', 'default', 25)`)
	b.exec(t, `INSERT INTO flight_source_outages VALUES ('c', now(), 'HIDDEN', now())`)
	b.exec(t, `GRANT CREATE ON SCHEMA public TO `+name) // as where everybody may
	own := get[string](t, b, `SELECT quote_ident(current_user)`)
	const (
		view      = `flightbill.flight_processing_queue`
		wrongKind = "42809"
		notNow    = "0A000" // feature not supported
		noColumn  = "42703"
		badNumber = "22P02"
		tooLow    = "22003"
		nothing   = ""
	)
	tell := `CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$; `
	attacks := []struct{ sql, want string }{
		// Locks that stop others.
		{`LOCK TABLE ` + view, noPrivilege},
		{`LOCK TABLE ` + view + ` IN ACCESS SHARE MODE`, nothing}, // as to look takes it
		{`LOCK TABLE ` + view + ` IN ROW SHARE MODE`, noPrivilege},
		{`LOCK TABLE ` + view + ` IN ROW EXCLUSIVE MODE`, noPrivilege},
		{`LOCK TABLE ` + view + ` IN SHARE UPDATE EXCLUSIVE MODE`, noPrivilege},
		{`LOCK TABLE ` + view + ` IN SHARE MODE NOWAIT`, noPrivilege},
		{`LOCK TABLE ` + view + ` IN SHARE ROW EXCLUSIVE MODE`, noPrivilege},
		{`LOCK TABLE ` + view + ` IN EXCLUSIVE MODE`, noPrivilege},
		{`LOCK TABLE ONLY ` + view + ` IN ACCESS EXCLUSIVE MODE`, noPrivilege},
		{`CREATE VIEW public.mine AS TABLE ` + view + `; LOCK TABLE public.mine`, noPrivilege},
		{`LOCK TABLE flightbill.river_job IN ACCESS SHARE MODE`, noPrivilege},
		{`LOCK TABLE flightbill.billing_run_lock`, noPrivilege},
		{`LOCK TABLE flightbill.gathered_flights IN ROW EXCLUSIVE MODE`, noPrivilege},
		{`SELECT FROM ` + view + ` FOR UPDATE`, noPrivilege},
		{`SELECT FROM ` + view + ` FOR KEY SHARE`, noPrivilege},
		// What is others', by the view.
		{`DELETE FROM ` + view, nothing},
		{`DELETE FROM ` + view + ` USING generate_series(1, 3) AS n RETURNING *`, nothing},
		{`WITH gone AS (DELETE FROM ` + view + ` RETURNING *) SELECT count(*) FROM gone`, nothing},
		{`SET ROLE flightbill_enqueuer; DELETE FROM ` + view, nothing},
		{`INSERT INTO ` + view + ` (flight_id, enqueued_by, state) SELECT flight_id, '` + name + `', 'cancelled' FROM ` + view + ` WHERE flight_id <> 'V3'; DELETE FROM ` + view, nothing},
		{`UPDATE ` + view + ` SET enqueued_by = current_user`, noPrivilege},
		{`INSERT INTO ` + view + ` (flight_id) VALUES ('V1') ON CONFLICT DO NOTHING`, nothing},
		{`DECLARE c CURSOR FOR TABLE ` + view + `; FETCH c; DELETE FROM ` + view + ` WHERE CURRENT OF c`, notNow},
		{`TRUNCATE ` + view, wrongKind},
		{`COPY ` + view + ` TO STDOUT`, wrongKind},
		{`COPY (TABLE ` + view + `) TO '/tmp/stolen'`, noPrivilege},
		{`COPY (TABLE ` + view + `) TO PROGRAM 'cat'`, noPrivilege},
		// The tables and sequences behind it.
		{`SELECT FROM flightbill.river_job`, noPrivilege},
		{`DELETE FROM flightbill.river_job`, noPrivilege},
		{`TRUNCATE flightbill.river_job`, noPrivilege},
		{`COPY flightbill.river_job TO STDOUT`, noPrivilege},
		{`COPY flightbill.river_job (metadata) FROM STDIN`, noPrivilege},
		{`SELECT reason FROM flightbill.flight_source_outages`, noPrivilege},
		{`SELECT job_ids FROM flightbill.gathered_flights`, noPrivilege},
		{`INSERT INTO flightbill.gathered_flights VALUES (pg_current_xact_id(), '{3}')`, noPrivilege},
		{`SELECT nextval('flightbill.river_job_id_seq')`, noPrivilege},
		{`SELECT setval('flightbill.river_job_id_seq', 1)`, noPrivilege},
		{`SELECT last_value FROM flightbill.river_job_id_seq`, noPrivilege},
		{`SELECT number FROM flightbill.invoices`, noPrivilege},
		// Functions that are not for it.
		{`SELECT flightbill.announce_flights()`, noPrivilege},
		{`SELECT flightbill.promise_to_look('nobody', 1e9)`, noPrivilege},
		{`SELECT flightbill.revive_flight_jobs('{}', '{3}')`, noPrivilege},
		{`SELECT flightbill.enqueue_as_jobs('{X}', '{1}', 1::smallint, NULL)`, noPrivilege},
		{`SELECT flightbill.flight_processing_queue_flush()`, noPrivilege},
		{`SELECT flightbill.voided_flight_message('F2', false)`, noPrivilege},
		{`SELECT FROM flightbill.claim_flights('me', 9, NULL, NULL)`, noPrivilege},
		{`SELECT flightbill.void_invoice('EACH-000001', 'mine')`, noPrivilege},
		{`CREATE TEMP TABLE mine (flight_id text); CREATE TRIGGER mine BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION flightbill.flight_processing_queue_insert()`, noPrivilege},
		{`CREATE TEMP TABLE mine (LIKE ` + view + `); CREATE TRIGGER mine AFTER DELETE ON mine FOR EACH ROW EXECUTE FUNCTION flightbill.flight_processing_queue_delete()`, noPrivilege},
		// To be somebody else.
		{`SET ROLE flightbill_queue_reader`, noPrivilege},
		{`SET ROLE flightbill_queue_admin`, noPrivilege},
		{`SET ROLE ` + own, noPrivilege},
		{`SET SESSION AUTHORIZATION ` + own, noPrivilege},
		{`GRANT flightbill_queue_admin TO ` + name, noPrivilege},
		{`ALTER ROLE flightbill_enqueuer LOGIN`, noPrivilege},
		{`DROP ROLE flightbill_queue_reader`, noPrivilege},
		{`ALTER ROLE ` + own + ` SET search_path = pg_temp`, noPrivilege},
		{`SET session_replication_role = replica; DELETE FROM ` + view, noPrivilege},
		{`SET row_security = off; DELETE FROM ` + view, nothing},
		{`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = ` + `'` + strings.Trim(own, `"`) + `' LIMIT 1`, noPrivilege},
		// The objects.
		{`DROP VIEW ` + view, noPrivilege},
		{`ALTER VIEW ` + view + ` OWNER TO ` + name, noPrivilege},
		{`ALTER VIEW ` + view + ` ALTER COLUMN flight_id SET DEFAULT pg_backend_pid()::text`, noPrivilege},
		{`ALTER VIEW ` + view + ` RESET (security_barrier)`, noPrivilege},
		{`CREATE OR REPLACE VIEW ` + view + ` AS SELECT 1 AS one`, noPrivilege},
		{`CREATE RULE mine AS ON DELETE TO ` + view + ` DO INSTEAD NOTHING`, noPrivilege},
		{`CREATE FUNCTION public.mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER mine INSTEAD OF INSERT ON ` + view + ` FOR EACH ROW EXECUTE FUNCTION public.mine()`, noPrivilege},
		{`CREATE INDEX ON flightbill.river_job (pg_backend_pid())`, noPrivilege},
		{`CREATE TABLE public.mine (id bigint REFERENCES flightbill.river_job)`, noPrivilege},
		{`CREATE TABLE public.mine () INHERITS (flightbill.river_job)`, noPrivilege},
		{`CREATE TABLE flightbill.mine ()`, noPrivilege},
		{`CREATE OR REPLACE FUNCTION flightbill.is_queue_admin() RETURNS boolean LANGUAGE sql RETURN true`, noPrivilege},
		{`ALTER FUNCTION flightbill.is_queue_admin() SET role = ` + name, noPrivilege},
		{`COMMENT ON VIEW ` + view + ` IS 'mine'`, noPrivilege},
		{`CREATE STATISTICS public.mine ON kind, state FROM flightbill.river_job`, noPrivilege},
		{`CREATE CAST (text AS flightbill.river_job_state) WITH INOUT AS IMPLICIT`, noPrivilege},
		{`ALTER TYPE flightbill.river_job_state ADD VALUE 'mine'`, noPrivilege},
		// What it takes over by names, by settings, or by what it does in the midst of a statement.
		{`CREATE FUNCTION pg_temp.pg_has_role(name, name, text) RETURNS boolean LANGUAGE sql RETURN true; SET LOCAL search_path = pg_temp, public, pg_catalog; DELETE FROM ` + view, nothing},
		{`CREATE FUNCTION public.mine(text, name) RETURNS boolean LANGUAGE sql RETURN true; CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = name, FUNCTION = public.mine);
			SET LOCAL search_path = public, pg_catalog; DELETE FROM ` + view, nothing},
		{`CREATE FUNCTION public.flight_id(` + view + `) RETURNS text LANGUAGE sql RETURN 'X'; DELETE FROM ` + view + ` AS q WHERE public.flight_id(q) = 'X'`, nothing},
		{`SET LOCAL flightbill.gathered = E'\nX1\t3\tmine\n'; INSERT INTO ` + view + ` (flight_id) VALUES ('A1')`, nothing},
		{`INSERT INTO ` + view + ` (flight_id) SELECT 'A' || n || left(set_config('flightbill.job_ids', lpad('3', 19) || lpad('3', 19), true), 0) FROM generate_series(1, 200) AS n`, nothing},
		{`INSERT INTO ` + view + ` (flight_id) SELECT 'A' || n || left(set_config('flightbill.job_ids', 'mine', true), 0) FROM generate_series(1, 200) AS n`, badNumber},
		{`INSERT INTO ` + view + ` (flight_id) SELECT 'A' || n || CASE WHEN n > 150 THEN left(set_config('flightbill.gathered', E'\nV1\nV5\nB' || n || E'\n', true), 0) ELSE '' END FROM generate_series(1, 200) AS n`, nothing},
		{`SET LOCAL flightbill.singles_left = 'many'; INSERT INTO ` + view + ` (flight_id) VALUES ('A1')`, badNumber},
		{`SET LOCAL flightbill.singles_left = '-2147483648'; INSERT INTO ` + view + ` (flight_id) VALUES ('A1')`, tooLow},
		{`SET LOCAL flightbill.payment_taken_back = 'mine'; SET LOCAL flightbill.notify = 'off'; SELECT flightbill.enqueue_flights('{A1}')`, nothing},
		// What it would see.
		{tell + `SELECT FROM ` + view + ` WHERE pg_temp.tell(last_error) AND pg_temp.tell(details) AND pg_temp.tell(flight_id)`, nothing},
		{tell + `DELETE FROM ` + view + ` AS q WHERE pg_temp.tell(q::text)`, nothing},
		{tell + `CREATE OPERATOR pg_temp.### (RIGHTARG = text, FUNCTION = pg_temp.tell); SELECT FROM ` + view + ` WHERE OPERATOR(pg_temp.###) (flight_id || details)`, nothing},
		{`SELECT metadata FROM ` + view, noColumn},
		{`SELECT q.ctid FROM ` + view + ` AS q`, noColumn},
		{`SELECT 1 / (length(details) - length(details)) FROM ` + view, nothing}, // details is null
		{`SELECT most_common_vals FROM pg_stats WHERE schemaname = 'flightbill'`, nothing},
		{`SELECT set_config('flightbill.notified', '', true); LISTEN "flightbill.river_insert"`, nothing},
		{`PREPARE mine AS SELECT * FROM flightbill.river_job WHERE id = $1`, nothing}, // it is executed that is refused
	}
	const others = `SELECT string_agg(xmin || j::text, E'\n' ORDER BY id) FROM river_job j WHERE metadata ->> 'enqueued_by' IS DISTINCT FROM $1`
	before, rights := get[string](t, b, others, name), schemaOf(t, b, "flightbill")
	for _, attack := range attacks {
		results, err := app.PgConn().Exec(t.Context(), `BEGIN; `+attack.sql).ReadAll()
		var failure pgconn.PgError
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
			failure = *pgErr
		} else {
			require.NoError(t, err, attack.sql)
		}
		assert.Equal(t, attack.want, failure.Code, "%s: %s", attack.sql, failure.Message)
		require.Empty(t, get[string](t, b, `SELECT coalesce(string_agg(relation::regclass || ' ' || mode, ', '), '') FROM pg_locks
			WHERE pid = $1 AND mode !~ '^(AccessShare|RowShare|RowExclusive)Lock$' AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'flightbill'::regnamespace)`,
			app.PgConn().PID()), attack.sql)
		_, err = app.PgConn().Exec(t.Context(), `COMMIT; RESET ROLE`).ReadAll()
		require.NoError(t, err, attack.sql)
		_, err = app.Exec(t.Context(), `DISCARD ALL`)
		require.NoError(t, err, attack.sql)
		for _, result := range results {
			for _, row := range result.Rows {
				told = append(told, string(bytes.Join(row, []byte(" "))))
			}
		}
		told = append(told, failure.Message, failure.Detail, failure.Hint)
		require.NotRegexp(t, "HIDDEN|EACH-", strings.Join(told, "\n"), attack.sql)
		require.Equal(t, before, get[string](t, b, others, name), attack.sql)
		b.exec(t, `DELETE FROM river_job WHERE metadata ->> 'enqueued_by' = $1`, name)
		b.exec(t, `DROP OWNED BY `+name+`; GRANT CREATE ON SCHEMA public TO `+name)
	}
	require.Equal(t, rights, schemaOf(t, b, "flightbill"))
	require.Contains(t, strings.Join(told, "\n"), "V1", "it is told what it may see")
}

// To wait for a lock of the view, before it is refused, holds up who uses the view; but
// neither workers, nor those who enqueue by the function.
func TestLockThatWaitsHoldsUpNoWorker(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, _ := b.login(t, "first", "flightbill_enqueuer")
	second, _ := b.login(t, "second", "flightbill_enqueuer")
	_, err := first.Exec(t.Context(), `BEGIN; INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('F1')`)
	require.NoError(t, err)
	lock := meanwhile(t, b, func() (pgconn.CommandTag, error) {
		return second.Exec(t.Context(), `BEGIN; LOCK TABLE flightbill.flight_processing_queue`)
	})
	app := b.session(t, `SET ROLE flightbill_enqueuer`, `SET lock_timeout = '2s'`, `SELECT flightbill.enqueue_flights('{F2}')`)
	claimed, _ := b.claim(t, db.NewFlightQueue(b.pool), 9)
	require.Len(t, claimed, 1)
	_, err = app.Exec(t.Context(), `SELECT FROM flightbill.flight_processing_queue`)
	requireSQLError(t, err, "55P03", "canceling statement due to lock timeout")
	_, err = first.Exec(t.Context(), `COMMIT`)
	require.NoError(t, err)
	_, err = lock()
	requireSQLError(t, err, noPrivilege, "permission denied for view queue_content")
}
