package db_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/embedded"
)

// What guards prices and invoices fires for replicas too, but for what only adds rows of
// its own: a new trigger is thought of here.
func TestGuardsFireAlways(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, "airport_codes.tariffs_changed airports.airports_have_codes_delete airports.airports_have_codes_insert airports.airports_have_codes_truncate "+
		"airports.airports_have_codes_update billing_runs.tell invoices.record_change invoices.record_opening invoices.tell river_job.complete_when_billed "+
		"tariffs.tariffs_changed_insert tariffs.tariffs_changed_update", get[string](t, b, `
		SELECT string_agg(DISTINCT tgrelid::regclass || '.' || tgname, ' ' ORDER BY tgrelid::regclass || '.' || tgname)
		FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
		WHERE relnamespace = 'flightbill'::regnamespace AND relkind <> 'v' AND NOT tgisinternal AND tgconstraint = 0 AND tgenabled = 'O'`))
	require.Empty(t, get[string](t, b, `
		SELECT coalesce(string_agg(relname, ' '), '') FROM pg_class c
		WHERE relnamespace = 'flightbill'::regnamespace AND relkind IN ('r', 'p')
			AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)`), "tables without a key")
}

// Where all tables are published, those without a key take no UPDATE and no DELETE.
func TestAllTablesPublished(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `CREATE PUBLICATION everything FOR ALL TABLES`)
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id) SELECT 'F' || n FROM generate_series(1, 1500) AS n`)
	require.Equal(t, 1500, get[int](t, b, `SELECT count(*) FROM flight_processing_queue`))
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM gathered_flights`))
}

func TestReplicaSession(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	version := func() int { return get[int](t, b, `SELECT version FROM price_book`) }
	before := version()
	config := b.pool.Config()
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `SET session_replication_role = replica`)
		return err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	b = &testBundle{url: b.url, pool: pool}
	require.Equal(t, "replica", get[string](t, b, `SHOW session_replication_role`))

	for _, sql := range []string{
		`INSERT INTO flight_processing_queue (flight_id) VALUES ('F3')`,
		`INSERT INTO flight_processing_queue (flight_id) SELECT 'F' || n FROM generate_series(3, 200) AS n`,
	} {
		b.requireSQLError(t, sql, "0A000", "enqueues nothing where session_replication_role is replica", "flightbill.enqueue_flights")
	}
	b.exec(t, `SELECT enqueue_flights(ARRAY['F3'])`)
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM flight_processing_queue`))

	for _, sql := range []string{
		`UPDATE tariffs SET unit_rate = 3`, `INSERT INTO customer_aircraft SELECT 'G-OWNR', id FROM customers LIMIT 1`, `DELETE FROM customer_operators`,
		`UPDATE customers SET name = 'Other Air'`, `UPDATE billing_settings SET close = 'next_day'`, `TRUNCATE customer_aircraft`,
	} {
		b.exec(t, sql)
		require.Greater(t, version(), before, sql)
		before = version()
	}
	b.exec(t, `INSERT INTO issuers (since, name) VALUES (now(), 'Port')`)
	for sql, says := range map[string]string{
		`UPDATE invoices SET total = 1 WHERE number = 'EACH-000001'`: "EACH-000001",
		`DELETE FROM invoices WHERE number = 'EACH-000001'`:          "EACH-000001",
		`UPDATE charges SET amount = 1 WHERE flight_id = 'F2'`:       "EACH-000001",
		`DELETE FROM charges WHERE flight_id = 'F2'`:                 "EACH-000001",
		`INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
			SELECT 2, 'F2', id, code, description, 5, 2, 10.00, 0.2, 2.00, '2026-03-04' FROM tariffs`: "EACH-000001",
		`DELETE FROM billed_flights`:        "billed_flights",
		`DELETE FROM billing_runs`:          "has been run",
		`UPDATE issuers SET name = 'Other'`: "a row of issuers stays as it is",
		`TRUNCATE invoices CASCADE`:         "kept for ever",
	} {
		b.requireRefused(t, sql, says)
	}
}

// A real subscription: it copies what was issued, and its apply worker raises the version
// of the price book, by which each save is held to current prices.
func TestSubscription(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{Ephemeral: true, Parameters: map[string]string{
		"wal_level": "logical", "max_wal_senders": "10", "max_replication_slots": "10", "max_logical_replication_workers": "4",
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	database := func(name string) *testBundle {
		pool, err := pgxpool.New(t.Context(), server.URL())
		require.NoError(t, err)
		defer pool.Close()
		_, err = pool.Exec(t.Context(), `CREATE DATABASE `+name)
		require.NoError(t, err)
		b := &testBundle{url: server.Database(name), pool: open(t, server.Database(name), 4)}
		_, err = db.MigrateUp(t.Context(), b.pool)
		require.NoError(t, err)
		return b
	}
	from, to := database("origin"), database("copy")
	from.exec(t, testCustomers)
	from.exec(t, `
		INSERT INTO billing_settings VALUES (true, 'UTC', 'period_end', '2026-03-03');
		INSERT INTO billed_flights SELECT 'F' || c.id, c.id, '2026-03-04', '{}', now() FROM customers c;
		INSERT INTO invoices (customer_id, kind, currency) SELECT id, 'flight', 'EUR' FROM customers WHERE code = 'EACH';
		INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
			SELECT 1, 'F1', id, code, description, 5, 2, 10.00, 0.2, 2.00, '2026-03-04' FROM tariffs;
		INSERT INTO billing_runs (closes_on, run_date, due_at, trigger, started_at) SELECT d, d, d, 'manual', d FROM generate_series('2026-03-03'::date, '2026-03-09', '1 day') AS d;
		UPDATE billing_runs SET finished_at = now() WHERE closes_on < '2026-03-06'`)
	from.issue(t, 1)
	from.exec(t, `CREATE PUBLICATION billing FOR TABLE customers, customer_operators, customer_aircraft, tariffs, billing_settings, billing_runs, billed_flights, invoices, invoice_taxes, charges`)
	from.exec(t, `SELECT pg_create_logical_replication_slot('billing', 'pgoutput')`)
	to.exec(t, `CREATE SUBSCRIPTION billing CONNECTION '`+from.url+`' PUBLICATION billing WITH (create_slot = false, slot_name = billing)`)
	eventually(t, "all is copied", func() bool {
		return get[int](t, to, `SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'`) == 0
	})
	require.Equal(t, 1, get[int](t, to, `SELECT count(*) FROM charges JOIN invoices i ON i.id = invoice_id WHERE i.status = 'PENDING'`))
	require.Equal(t, "2.00", get[string](t, to, `SELECT tax::text FROM invoice_taxes`))
	require.Equal(t, 7, get[int](t, to, `SELECT count(*) FROM billing_runs`))

	before := get[int](t, to, `SELECT version FROM price_book`)
	from.exec(t, `UPDATE tariffs SET unit_rate = unit_rate + 1`)
	eventually(t, "the version is raised", func() bool { return get[int](t, to, `SELECT version FROM price_book`) > before })

	from.exec(t, `SELECT mark_invoice_paid('EACH-000001', '2026-03-06')`)
	from.exec(t, `SELECT unmark_invoice_paid('EACH-000001', 'another invoice''s')`)
	from.exec(t, `SELECT mark_invoice_paid('EACH-000001', '2026-03-07')`)
	eventually(t, "a payment taken back is no obstacle", func() bool {
		return get[int](t, to, `SELECT count(*) FROM invoices WHERE status = 'PAID' AND paid_at >= '2026-03-07'`) == 1
	})
}
