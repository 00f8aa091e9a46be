package main

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/dbtest"
)

// roleSettings are what README tells an administrator to run.
const roleSettings = `DO $$ BEGIN
	EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = pg_catalog, pg_temp', session_user, current_database());
	EXECUTE format('ALTER ROLE %I IN DATABASE %I SET jit = off', session_user, current_database());
	EXECUTE format('ALTER ROLE %I IN DATABASE %I SET idle_in_transaction_session_timeout = ''20s''', session_user, current_database());
END $$`

// A whole working day through PgBouncer in transaction mode: flights, a consolidated run,
// the overdue, a restart of PgBouncer; and all the while another client of the same login
// leaves its own settings on the server connections.
func TestServeThroughPgBouncer(t *testing.T) {
	t.Parallel()
	url, pool := queueDatabase(t, 3000)
	_, err := pool.Exec(t.Context(), roleSettings+`;
		CREATE FUNCTION public.read_committed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF current_setting('transaction_isolation') <> 'read committed' THEN RAISE 'not read committed'; END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER a_test BEFORE INSERT ON billed_flights FOR EACH ROW EXECUTE FUNCTION public.read_committed();
		CREATE TRIGGER a_test BEFORE UPDATE ON invoices FOR EACH ROW WHEN (NEW.status <> 'OVERDUE') EXECUTE FUNCTION public.read_committed()`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		INSERT INTO invoices (number, customer_id, kind, currency, status, subtotal, tax, total, bill_to_name, issued_at, issued_on, due_on)
			SELECT 'OLD-1', id, 'flight', 'EUR', 'PENDING', 1, 0, 1, name, now() - '40 days'::interval, current_date - 40, current_date - 10 FROM customers;
		WITH c AS (INSERT INTO customers (code, name, billing_frequency, week_ends_on) VALUES ('WEEK', 'Weekly', 'weekly', 7) RETURNING id),
			i AS (INSERT INTO invoices (customer_id, kind, closes_on, currency) SELECT id, 'consolidated', current_date - 3, 'EUR' FROM c RETURNING *),
			b AS (INSERT INTO billed_flights SELECT 'W1', id, current_date - 4, '{}', now() FROM c)
		INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
			SELECT i.id, 'W1', t.id, 'FEE', '', 1, 5, 5, 0, 0, current_date - 4 FROM i, tariffs t;`)
	require.NoError(t, err)
	bouncer := dbtest.StartPgBouncer(t, url, "transaction", 6)
	start := time.Now().AddDate(0, 0, -5).Format(time.DateOnly)
	startServe(t, "DATABASE_URL="+bouncer.URL, "FLIGHTBILL_DATABASE_POOLER=transaction", "FLIGHTBILL_BILLING_START="+start)

	ends := make(chan struct{})
	spoiled := make(chan int)
	go func() {
		var times int
		defer func() { spoiled <- times }()
		for {
			select {
			case <-ends:
				return
			case <-time.After(5 * time.Millisecond):
			}
			conn, err := pgx.Connect(t.Context(), bouncer.URL)
			if err != nil {
				continue // it restarts
			}
			if _, err := conn.Exec(t.Context(), `
				SET search_path = nowhere; SET timezone = 'Asia/Tokyo'; SET datestyle = 'SQL, DMY'; SET jit = on; SET intervalstyle = 'sql_standard';
				SET default_transaction_isolation = 'serializable'; SET bytea_output = 'escape'; SET client_encoding = 'LATIN1'; SET extra_float_digits = -15`); err == nil {
				times++
			}
			_ = conn.Close(t.Context())
		}
	}()

	_, err = pool.Exec(t.Context(), `SELECT enqueue_flights(array_agg('F' || i)) FROM generate_series(1, 1500) i`)
	require.NoError(t, err)
	eventually(t, "flights are billed", func() bool { return number(t, pool, `SELECT count(*) FROM charges`) > 500 })
	eventually(t, "the old one is overdue", func() bool {
		return number(t, pool, `SELECT count(*) FROM invoices WHERE number = 'OLD-1' AND status = 'OVERDUE'`) == 1
	})
	bouncer.Stop()
	time.Sleep(time.Second)
	bouncer.Start(t)
	_, err = pool.Exec(t.Context(), `SELECT enqueue_flights(array_agg('F' || i)) FROM generate_series(1501, 3000) i`)
	require.NoError(t, err)
	eventually(t, "all flights are billed", func() bool { return number(t, pool, `SELECT count(*) FROM flight_processing_queue`) == 0 })
	eventually(t, "the draft is issued", func() bool {
		return number(t, pool, `SELECT count(*) FROM invoices WHERE kind = 'consolidated' AND status = 'PENDING' AND number = 'WEEK-000001' AND total = 5`) == 1
	})
	close(ends)
	require.Greater(t, <-spoiled, 10)
	require.Equal(t, 3001, number(t, pool, `SELECT count(*) FROM charges`))
	require.Equal(t, 3000, number(t, pool, `SELECT max(right(number, 6)::int) FROM invoices WHERE number LIKE 'EACH-%'`))
	require.Equal(t, 3000, number(t, pool, `SELECT count(*) FROM billed_flights WHERE landed_on = '2013-01-02' AND facts ->> 'landed_at' = '2013-01-02T00:00:00Z'`))
	require.Zero(t, number(t, pool, `SELECT count(*) FROM river_job WHERE kind = 'ingest_flight' AND attempt > 1`), "no attempt was spent")

	status, _, stderr := runWith(map[string]string{"DATABASE_URL": bouncer.URL, "FLIGHTBILL_DATABASE_POOLER": "transaction"}, "migrate", "up")
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "FLIGHTBILL_DATABASE_POOLER=none")
}
