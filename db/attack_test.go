package db_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// attack is a statement that must fail, with whose refusal.
type attack struct{ sql, code string }

const (
	checkViolation = "23514"
	notOfTheFlight = "FB001"
)

// What no role of flightbill's may, whichever it has.
var attacksOfAll = []attack{
	// Make or change objects.
	{`CREATE TABLE flightbill.mine ()`, noPrivilege},
	{`CREATE VIEW flightbill.mine AS SELECT 1 AS one`, noPrivilege},
	{`CREATE OR REPLACE FUNCTION flightbill.code_form(code text) RETURNS text LANGUAGE sql IMMUTABLE RETURN ''`, noPrivilege},
	{`CREATE FUNCTION flightbill.mine() RETURNS int LANGUAGE sql SECURITY DEFINER RETURN 1`, noPrivilege},
	{`CREATE SCHEMA mine`, noPrivilege},
	{`CREATE TABLE public.mine ()`, noPrivilege},
	{`CREATE EXTENSION pg_trgm`, noPrivilege},
	{`CREATE PUBLICATION mine FOR TABLE flightbill.invoices`, noPrivilege},
	{`CREATE TRIGGER mine BEFORE INSERT ON flightbill.river_job EXECUTE FUNCTION flightbill.price_book_changed()`, noPrivilege},
	{`CREATE RULE mine AS ON UPDATE TO flightbill.invoices DO INSTEAD NOTHING`, noPrivilege},
	{`ALTER TABLE flightbill.invoices DISABLE TRIGGER ALL`, noPrivilege},
	{`ALTER TABLE flightbill.charges DISABLE TRIGGER stay_as_issued`, noPrivilege},
	{`ALTER TABLE flightbill.invoices DROP CONSTRAINT invoices_number_key`, noPrivilege},
	{`ALTER TABLE flightbill.invoices OWNER TO CURRENT_USER`, noPrivilege},
	{`ALTER FUNCTION flightbill.void_invoice(text, text, boolean, text) SECURITY INVOKER`, noPrivilege},
	{`ALTER FUNCTION flightbill.mark_invoice_paid(text, date) SET search_path = public`, noPrivilege},
	{`DROP TRIGGER stay_as_issued ON flightbill.invoices`, noPrivilege},
	{`DROP TABLE flightbill.invoice_events`, noPrivilege},
	{`DROP INDEX flightbill.invoices_one_per_period`, noPrivilege},
	{`TRUNCATE flightbill.river_job`, noPrivilege},
	{`TRUNCATE flightbill.billed_flights CASCADE`, noPrivilege},
	{`REINDEX TABLE flightbill.invoices`, noPrivilege},
	{`CLUSTER flightbill.invoices USING invoices_pkey`, noPrivilege},
	// Pass by the guards.
	{`SET session_replication_role = replica`, noPrivilege},
	{`UPDATE flightbill.invoices SET total = 1, subtotal = 1, tax = 0 WHERE number = 'EACH-000001'`, noPrivilege},
	{`UPDATE flightbill.invoices SET number = 'EACH-000009' WHERE number = 'EACH-000001'`, noPrivilege},
	{`UPDATE flightbill.invoices SET status = 'PAID', paid_at = now() WHERE number = 'EACH-000001'`, noPrivilege},
	{`DELETE FROM flightbill.invoices`, noPrivilege},
	{`INSERT INTO flightbill.invoices (customer_id, kind, currency, status) SELECT id, 'flight', 'EUR', 'PENDING' FROM flightbill.customers`, noPrivilege},
	{`UPDATE flightbill.charges SET amount = 1`, noPrivilege},
	{`DELETE FROM flightbill.charges`, noPrivilege},
	{`INSERT INTO flightbill.invoice_events (invoice_id, at, to_status) VALUES (2, now(), 'PAID')`, noPrivilege},
	{`UPDATE flightbill.invoice_events SET note = 'never'`, noPrivilege},
	{`DELETE FROM flightbill.invoice_events`, noPrivilege},
	{`DELETE FROM flightbill.billed_flights`, noPrivilege},
	{`UPDATE flightbill.billed_flights SET facts = '{}'`, noPrivilege},
	{`UPDATE flightbill.voided_flights SET rebilled_at = now()`, noPrivilege},
	{`UPDATE flightbill.billing_runs SET closes_on = closes_on - 1`, noPrivilege},
	{`DELETE FROM flightbill.billing_runs`, noPrivilege},
	{`UPDATE flightbill.billing_settings SET billing_start = '2020-01-01'`, noPrivilege},
	{`UPDATE flightbill.customers SET invoice_seq = 0`, noPrivilege},
	{`UPDATE flightbill.customers SET code = 'MINE'`, noPrivilege},
	{`UPDATE flightbill.price_book SET version = 0`, noPrivilege},
	{`DELETE FROM flightbill.customers`, noPrivilege},
	{`DELETE FROM flightbill.tariffs`, noPrivilege},
	{`DELETE FROM flightbill.goose_db_version`, noPrivilege},
	{`LOCK TABLE flightbill.invoices IN ACCESS EXCLUSIVE MODE`, noPrivilege},
	{`LOCK TABLE flightbill.billing_calendar IN ACCESS EXCLUSIVE MODE`, noPrivilege},
	{`SELECT setval('flightbill.river_job_id_seq', 1)`, noPrivilege},
	{`SELECT nextval('flightbill.invoices_id_seq')`, noPrivilege},
	{`SELECT flightbill.revive_flight_jobs('{}', '{}')`, noPrivilege},
	{`SELECT flightbill.enqueue_deliveries('{}')`, noPrivilege},
	{`INSERT INTO flightbill.deliveries (kind, event, invoice_id, target, payload) VALUES ('mail', 'invoice.issued', 2, 'me@example.test', '{}')`, noPrivilege},
	{`UPDATE flightbill.deliveries SET target = 'me@example.test'`, noPrivilege},
	{`UPDATE flightbill.webhooks SET url = 'https://example.test/mine'`, noPrivilege},
	{`DELETE FROM flightbill.deliveries`, noPrivilege},
	// The rights of a trigger's function, for a table of one's own.
	{`CREATE TEMP TABLE mine (x int); CREATE TRIGGER mine AFTER INSERT ON mine EXECUTE FUNCTION flightbill.price_book_changed()`, noPrivilege},
	{`CREATE TEMP TABLE mine (x int); CREATE TRIGGER mine AFTER INSERT ON mine REFERENCING NEW TABLE AS new_rows EXECUTE FUNCTION flightbill.invoices_record_event()`, noPrivilege},
	// Become somebody else.
	{`SET ROLE the_owner`, noPrivilege},
	{`SET SESSION AUTHORIZATION the_owner`, noPrivilege},
	{`CREATE ROLE mine`, noPrivilege},
	{`ALTER ROLE CURRENT_USER SUPERUSER`, noPrivilege},
	{`ALTER ROLE CURRENT_USER CREATEROLE`, noPrivilege},
	{`GRANT flightbill_queue_admin TO CURRENT_USER`, noPrivilege},
	{`GRANT pg_read_all_data TO CURRENT_USER`, noPrivilege},
	{`GRANT flightbill_server TO flightbill_reporter`, noPrivilege},
	{`REVOKE flightbill_server FROM CURRENT_USER`, noPrivilege},
	{`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = (SELECT nspowner FROM pg_namespace WHERE nspname = 'flightbill') AND datname = current_database()`, noPrivilege},
	// Leave the schema, and the server.
	{`SELECT FROM neighbour.secrets`, noPrivilege},
	{`SELECT FROM public.secrets`, noPrivilege},
	{`SELECT rolpassword FROM pg_authid`, noPrivilege},
	{`SELECT pg_read_file('postgresql.conf')`, noPrivilege},
	{`SELECT lo_import('/etc/passwd')`, noPrivilege},
	{`COPY (SELECT 1) TO PROGRAM 'cat'`, noPrivilege},
	{`CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE c AS 'mine'`, noPrivilege},
}

// The invoices of setupInvoices: 1 is a draft, 2 is EACH-000001, to be paid; 3 is paid.
var attacksOf = map[string][]attack{
	"server": {
		{`SELECT flightbill.mark_invoice_paid('EACH-000001')`, noPrivilege},
		{`SELECT flightbill.unmark_invoice_paid('EACH-000002', 'why')`, noPrivilege},
		{`SELECT flightbill.void_invoice('EACH-000001', 'why')`, noPrivilege},
		{`SELECT flightbill.rebill_invoice('EACH-000001')`, noPrivilege},
		{`UPDATE flightbill.tariffs SET unit_rate = 0`, noPrivilege},
		{`INSERT INTO flightbill.tariffs (code, basis, applies_to, unit_rate, currency, valid_from) VALUES ('MINE', 'per_flight', 'any', 0, 'EUR', '2020-01-01')`, noPrivilege},
		{`UPDATE flightbill.customers SET billing_hold = true`, noPrivilege},
		{`INSERT INTO flightbill.customer_aircraft (registration, customer_id) SELECT 'G-MINE', id FROM flightbill.customers`, noPrivilege},
		{`UPDATE flightbill.flights SET mtow_kg = 1`, noPrivilege},
		{`REINDEX TABLE flightbill.customers`, noPrivilege},
		{`INSERT INTO flightbill.webhooks (url, events) VALUES ('https://example.test/mine', '{run.finished}')`, noPrivilege},
		{`UPDATE flightbill.webhook_secrets SET secret = 'whsec_' || repeat('A', 44)`, noPrivilege},
		{`SELECT flightbill.retry_deliveries()`, noPrivilege},
		{`DROP INDEX flightbill.river_job_flight_idx`, noPrivilege},
		// What it may write, to an end that is not its own.
		{`UPDATE flightbill.invoices SET status = 'PENDING' WHERE id = 1`, checkViolation},
		{`UPDATE flightbill.invoices SET status = 'PAID' WHERE id = 2`, raised},
		{`UPDATE flightbill.invoices SET status = 'VOID' WHERE id = 2`, raised},
		{`UPDATE flightbill.invoices SET status = 'DRAFT' WHERE id = 2`, raised},
		{`UPDATE flightbill.invoices SET status = 'OVERDUE' WHERE id = 3`, raised},
		{`SET LOCAL flightbill.payment_taken_back = 'mine'; UPDATE flightbill.invoices SET status = 'PENDING' WHERE id = 3`, raised},
		{`INSERT INTO flightbill.charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on, late)
			SELECT 2, 'F2', id, code, '', 1, 1, 1, 0, 0, '2026-03-04', false FROM flightbill.tariffs`, raised},
		{`INSERT INTO flightbill.billing_runs (closes_on, run_date, due_at, trigger, started_at) VALUES ('2020-01-01', '2020-01-01', now(), 'manual', now())`, raised},
		{`SELECT flightbill.adjust_flight(client, id, 1::smallint, now(), (SELECT version FROM flightbill.price_book), (SELECT max(closes_on) FROM flightbill.billing_runs),
			'F2', 0, (SELECT customer_id FROM flightbill.billed_flights WHERE flight_id = 'F2'), '2026-03-04', '{}', '{}', 'correction', now(), '2026-03-04', '[]')
			FROM (SELECT id, attempted_by[1] AS client FROM flightbill.river_job WHERE state = 'running') AS theirs`, notOfTheFlight},
	},
	"reporter": {
		{`SELECT FROM flightbill.river_job`, noPrivilege},
		{`SELECT FROM flightbill.river_queue`, noPrivilege},
		{`SELECT FROM flightbill.queue_promises`, noPrivilege},
		{`SELECT url FROM flightbill.webhooks`, noPrivilege},
		{`SELECT secret FROM flightbill.webhook_secrets`, noPrivilege},
		{`SELECT flightbill.retry_deliveries()`, noPrivilege},
		{`SELECT FROM flightbill.invoices FOR UPDATE`, noPrivilege},
		{`SELECT FROM flightbill.customers FOR KEY SHARE`, noPrivilege},
		{`LOCK TABLE flightbill.customers IN ROW SHARE MODE`, noPrivilege},
		{`LOCK TABLE flightbill.billing_run_lock IN ACCESS SHARE MODE`, noPrivilege},
		{`LOCK TABLE flightbill.flight_processing_queue IN ROW EXCLUSIVE MODE`, noPrivilege},
		{`INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('F9')`, noPrivilege},
		{`DELETE FROM flightbill.flight_processing_queue`, noPrivilege},
		{`SELECT flightbill.enqueue_flights('{F9}')`, noPrivilege},
		{`SELECT flightbill.mark_invoice_paid('EACH-000001')`, noPrivilege},
		{`SELECT flightbill.void_invoice('EACH-000001', 'why')`, noPrivilege},
		{`SELECT flightbill.issue_drafts('{1}', now(), '2026-03-04')`, noPrivilege},
		{`UPDATE flightbill.tariffs SET unit_rate = 0`, noPrivilege},
		{`INSERT INTO flightbill.flights (flight_id) VALUES ('F9')`, noPrivilege},
	},
	"accountant": {
		{`SELECT FROM flightbill.river_job`, noPrivilege},
		{`UPDATE flightbill.river_job SET state = 'completed'`, noPrivilege},
		{`INSERT INTO flightbill.river_job (kind, args, max_attempts) VALUES ('consolidate_invoices', '{}', 25)`, noPrivilege},
		{`INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('F9')`, noPrivilege},
		{`LOCK TABLE flightbill.flight_processing_queue IN ACCESS EXCLUSIVE MODE`, noPrivilege},
		{`SELECT FROM flightbill.river_leader`, noPrivilege},
		{`SELECT url FROM flightbill.webhooks`, noPrivilege},
		{`SELECT secret FROM flightbill.webhook_secrets`, noPrivilege},
		{`UPDATE flightbill.deliveries SET state = 'delivered'`, noPrivilege},
		{`SELECT FROM flightbill.invoices FOR UPDATE`, noPrivilege},
		{`UPDATE flightbill.invoices SET status = 'VOID' WHERE id = 2`, noPrivilege},
		{`SET LOCAL flightbill.payment_taken_back = 'mine'; UPDATE flightbill.invoices SET status = 'PENDING', paid_at = NULL WHERE id = 3`, noPrivilege},
		{`INSERT INTO flightbill.invoices (customer_id, kind, currency) SELECT id, 'flight', 'EUR' FROM flightbill.customers`, noPrivilege},
		{`INSERT INTO flightbill.billed_flights SELECT 'F9', id, '2026-03-04', '{}', now() FROM flightbill.customers`, noPrivilege},
		{`INSERT INTO flightbill.charges (invoice_id, flight_id) VALUES (1, 'F1')`, noPrivilege},
		{`UPDATE flightbill.customers SET held_through = now()`, noPrivilege},
		{`INSERT INTO flightbill.billing_runs (closes_on, run_date, due_at, trigger, started_at) VALUES ('2030-01-01', '2030-01-01', now(), 'manual', now())`, noPrivilege},
		{`SELECT flightbill.issue_drafts('{1}', now(), '2026-03-04')`, noPrivilege},
		{`SELECT flightbill.open_draft(1, NULL, 'EUR', now())`, noPrivilege},
		{`SELECT flightbill.claim_flights('me', 1, '{}', '{}')`, noPrivilege},
		{`SELECT flightbill.complete_flight_jobs('me', '{}', '{}', '{}', '{}', '{}')`, noPrivilege},
		{`LOCK TABLE flightbill.billing_run_lock IN SHARE MODE`, noPrivilege},
		{`DELETE FROM flightbill.flights`, noPrivilege},
		// F1's job is somebody's: to complete it would lose the flight.
		{`SELECT flightbill.adjust_flight('theirs', 1, 1::smallint, '2026-03-04 12:00Z', (SELECT version FROM flightbill.price_book), (SELECT max(closes_on) FROM flightbill.billing_runs),
			'F2', 0, (SELECT customer_id FROM flightbill.billed_flights WHERE flight_id = 'F2'), '2026-03-04', '{}', '{}', 'correction', now(), '2026-03-04', '[]')`, notOfTheFlight},
	},
	"payments": {
		{`SELECT FROM flightbill.invoices`, noPrivilege},
		{`SELECT FROM flightbill.customers`, noPrivilege},
		{`SELECT FROM flightbill.flight_processing_queue`, noPrivilege},
		{`SELECT FROM flightbill.billing_calendar`, noPrivilege},
		{`SELECT FROM flightbill.deliveries`, noPrivilege},
		{`SELECT FROM flightbill.invoices FOR UPDATE`, noPrivilege},
		{`SELECT flightbill.unmark_invoice_paid('EACH-000002', 'why')`, noPrivilege},
		{`SELECT flightbill.void_invoice('EACH-000001', 'why')`, noPrivilege},
		{`SELECT flightbill.rebill_invoice('EACH-000001')`, noPrivilege},
		{`SELECT flightbill.adjust_flight('theirs', 1, 1::smallint, '2026-03-04 12:00Z', 1, '2026-03-04', 'F2', 0, 1, '2026-03-04', '{}', '{}', 'correction', now(), '2026-03-04', '[]')`, noPrivilege},
		{`SELECT flightbill.issue_drafts('{1}', now(), '2026-03-04')`, noPrivilege},
		{`SELECT flightbill.enqueue_flights('{F9}')`, noPrivilege},
		{`INSERT INTO flightbill.flights (flight_id) VALUES ('F9')`, noPrivilege},
		{`UPDATE flightbill.tariffs SET unit_rate = 0`, noPrivilege},
	},
}

// paymentsMay is what README grants to an application that marks invoices paid, and nothing else.
const paymentsMay = `
	GRANT USAGE ON SCHEMA flightbill TO payments;
	GRANT EXECUTE ON FUNCTION flightbill.mark_invoice_paid(text, date), flightbill.mark_invoice_paid(text, timestamptz),
		flightbill.mark_invoice_paid(text, timestamp), flightbill.mark_invoice_paid(text, text) TO payments`

func TestPaymentsMayMarkPaid(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	login, address := b.role(t)
	b.exec(t, strings.ReplaceAll(paymentsMay, "payments", login))
	own := open(t, address, 1)
	for _, paid := range []string{`'2026-03-04'`, `DATE '2026-03-04'`, `TIMESTAMP '2026-03-04 10:00'`, `TIMESTAMPTZ '2026-03-04 23:00Z'`} {
		_, err := own.Exec(t.Context(), `SELECT flightbill.mark_invoice_paid('EACH-000001', `+paid+`)`)
		require.NoError(t, err, paid)
		require.Equal(t, "PAID", get[string](t, b, `SELECT status FROM invoices WHERE number = 'EACH-000001'`))
		b.exec(t, `SELECT unmark_invoice_paid('EACH-000001', 'for the next one')`)
	}
	_, err := own.Exec(t.Context(), `SELECT flightbill.mark_invoice_paid('EACH-000001')`)
	require.NoError(t, err)
}

// A login with one role of flightbill's, in the hands of somebody who means harm. That what
// it may do works, the tests of the packages jobs and imports show, which run with these roles.
func TestAttacks(t *testing.T) {
	t.Parallel()
	for role, attacks := range attacksOf {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			b := setupInvoices(t)
			b.exec(t, `
				INSERT INTO billed_flights SELECT 'F3', id, '2026-03-04', '{}', now() FROM customers WHERE code = 'EACH';
				INSERT INTO invoices (customer_id, kind, currency) SELECT id, 'flight', 'EUR' FROM customers WHERE code = 'EACH';`)
			b.charge(t, 3, "F3")
			b.issue(t, 3)
			b.exec(t, `SELECT mark_invoice_paid('EACH-000002');
				SELECT enqueue_flights('{F9}');
				UPDATE river_job SET id = 1, state = 'running', attempt = 1, attempted_by = '{theirs}', attempted_at = '2026-03-04 12:00Z';
				CREATE SCHEMA neighbour; CREATE TABLE neighbour.secrets (x int); CREATE TABLE public.secrets (x int)`)
			login, address := b.role(t)
			if role == "payments" {
				b.exec(t, strings.ReplaceAll(paymentsMay, "payments", login))
			} else {
				b.exec(t, `GRANT flightbill_`+role+` TO `+login)
			}
			const whole = `SELECT md5(string_agg(x, '' ORDER BY x)) FROM (
				SELECT to_jsonb(i)::text FROM invoices i UNION ALL SELECT to_jsonb(c)::text FROM charges c UNION ALL SELECT to_jsonb(e)::text FROM invoice_events e
				UNION ALL SELECT to_jsonb(f)::text FROM billed_flights f UNION ALL SELECT to_jsonb(r)::text FROM billing_runs r UNION ALL SELECT to_jsonb(j)::text FROM river_job j
				UNION ALL SELECT to_jsonb(c)::text FROM customers c UNION ALL SELECT to_jsonb(t)::text FROM tariffs t) AS rows (x)`
			before := get[string](t, b, whole)
			owner := get[string](t, b, `SELECT quote_ident(current_user)`)

			config, err := pgx.ParseConfig(address)
			require.NoError(t, err)
			config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
			conn, err := pgx.ConnectConfig(t.Context(), config)
			require.NoError(t, err)
			defer conn.Close(t.Context())
			for _, a := range append(attacks, attacksOfAll...) {
				sql := "BEGIN; " + strings.ReplaceAll(a.sql, "the_owner", owner)
				_, err := conn.Exec(t.Context(), sql)
				var pgErr *pgconn.PgError
				require.ErrorAs(t, err, &pgErr, sql)
				require.Equal(t, a.code, pgErr.Code, "%s: %s", sql, pgErr.Message)
				_, err = conn.Exec(t.Context(), `ROLLBACK`)
				require.NoError(t, err)
			}
			require.Equal(t, before, get[string](t, b, whole))
		})
	}
}
