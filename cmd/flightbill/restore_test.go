package main

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/dbtest"
)

// A dump is one moment of the database: made while flights flow and restored elsewhere,
// it has each flight enqueued or billed, and a serve that starts on it bills the rest once.
func TestRestoredDump(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.create(t)
	require.NoError(t, dbtest.Migrate(t.Context(), c.url("fees")))
	pool := c.pool(t)
	fillQueueDatabase(t, pool, 6000)
	exec := func(sql string) {
		t.Helper()
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec(`WITH c AS (INSERT INTO customers (code, name, billing_frequency, week_ends_on) VALUES ('WEEK', 'Weekly Air', 'weekly', 7) RETURNING id)
		INSERT INTO customer_operators SELECT 'WEEK', id FROM c`)
	exec(`UPDATE flights SET operator = 'WEEK' WHERE right(flight_id, 1) IN ('1', '2', '3', '4', '5')`)
	exec(`INSERT INTO aircraft (registration, valid_from, valid_to, aircraft_type, mtow_kg, facts) VALUES
		('G-OWN', NULL, '2013-01-01', 'A320', 73500, '{"noise_class": "A"}'), ('G-OWN', '2013-01-01', NULL, 'A320', 77000, '{"nox": 0.000000000000000000000000000001}')`)
	exec(`INSERT INTO aircraft_types (aircraft_type, mtow_kg, facts) VALUES ('A320', 78000, '{"engines": 2}')`)
	exec(`INSERT INTO tariffs (code, basis, airport, applies_to, unit_rate, currency, valid_from, "when", during, "of") VALUES
		('NOISE', 'per_flight', 'LHR', 'arrival', 1, 'EUR', '2012-01-01', 'origin=JFK', NULL, NULL),
		('NOISE', 'per_flight', 'EGLL', 'arrival', 2, 'EUR', '2012-01-01', 'origin!=KJFK', '22:00-06:00', NULL),
		('BAGS', 'per_unit', NULL, 'any', 1, 'EUR', '2014-01-01', NULL, NULL, '{bags,skis}')`)
	exec(`CREATE TABLE public.enqueued (flight_id text PRIMARY KEY)`)
	startServe(t, "DATABASE_URL="+c.url("fees"))
	enqueued := make(chan error, 1)
	go func() {
		enqueued <- func() error {
			for n := range 60 {
				if _, err := pool.Exec(t.Context(), `
					WITH ids AS (INSERT INTO public.enqueued SELECT 'F' || i FROM generate_series($1::int * 100 + 1, $1::int * 100 + 100) AS i RETURNING flight_id)
					SELECT flightbill.enqueue_flights(array_agg(flight_id)) FROM ids`, n); err != nil {
					return err
				}
			}
			return nil
		}()
	}()
	eventually(t, "flights are billed", func() bool { return number(t, pool, `SELECT count(*) FROM billed_flights`) > 300 })
	dump := filepath.Join(filepath.Dir(c.dir), "dump")
	runPostgres(t, "pg_dump", "-Fc", "-f", dump, c.url("fees"))
	require.NoError(t, <-enqueued)

	c.exec(t, `CREATE DATABASE restored`)
	runPostgres(t, "pg_restore", "--exit-on-error", "-d", c.url("restored"), dump)
	require.Equal(t, c.schema(t, "fees"), c.schema(t, "restored"), "triggers that fire always, rights, owners and all")
	restored := c.poolOf(t, "restored")
	for _, table := range []string{"tariffs", "aircraft", "aircraft_types", "airports", "airport_codes", "changed_tariffs"} {
		rows := `SELECT coalesce(sum(hashtext(row::text)), 0) FROM ` + table + ` AS row`
		require.Equal(t, number(t, pool, rows), number(t, restored, rows), table)
	}
	require.Greater(t, number(t, restored, `SELECT count(*) FROM airports`), 17_000)
	for sql, says := range map[string]string{
		`INSERT INTO tariffs (code, basis, airport, applies_to, unit_rate, currency, valid_from, "when") VALUES
			('noise', 'per_flight', 'LHR', 'arrival', 3, 'EUR', '2012-01-01', 'origin=DUB')`: "violate tariffs_do_not_overlap",
		`UPDATE airports SET other_codes = '{LHR}' WHERE code = 'EGKK'`:       "code 'LHR' is one of airport 'EGKK' and one of airport 'EGLL'",
		`INSERT INTO aircraft (registration, mtow_kg) VALUES ('gown', 70000)`: "aircraft_have_one_declaration",
		`UPDATE aircraft_types SET facts = '{"engines": null}'`:               "facts_are_text_or_numbers",
	} {
		_, err := restored.Exec(t.Context(), sql)
		require.ErrorContains(t, err, says)
	}
	moment := number(t, restored, `SELECT count(*) FROM public.enqueued`)
	require.Less(t, number(t, restored, `SELECT count(*) FROM billed_flights`), moment, "some wait")
	require.Positive(t, number(t, restored, `SELECT count(*) FROM river_job WHERE state = 'running'`), "some are in the hands of a process that is not here")
	require.Zero(t, number(t, restored, `
		SELECT count(*) FROM public.enqueued FULL JOIN (
			SELECT flight_id FROM billed_flights UNION ALL SELECT flight_id FROM flight_processing_queue
		) AS f USING (flight_id) WHERE enqueued.flight_id IS NULL OR f.flight_id IS NULL`), "each is enqueued or billed")
	require.Equal(t, number(t, restored, `SELECT count(*) FROM billed_flights`), number(t, restored, `SELECT count(*) FROM charges`))

	// As a dump of an hour ago.
	_, err := restored.Exec(t.Context(), `UPDATE river_job SET attempted_at = attempted_at - '1 hour'::interval WHERE state = 'running'`)
	require.NoError(t, err)
	status, out, stderr := runWith(map[string]string{"DATABASE_URL": c.url("restored")}, "migrate", "up")
	require.Equal(t, exitDone, status, stderr)
	require.Contains(t, out, "nothing to do")
	startServe(t, "DATABASE_URL="+c.url("restored"))
	eventually(t, "the rest is billed", func() bool { return number(t, restored, `SELECT count(*) FROM flight_processing_queue`) == 0 })
	require.Equal(t, moment, number(t, restored, `SELECT count(*) FROM billed_flights`))
	require.Equal(t, moment, number(t, restored, `SELECT count(*) FROM charges`))
	require.Zero(t, number(t, restored, `SELECT count(*) FROM river_job WHERE kind = 'ingest_flight' AND (state <> 'completed' OR attempt > 2)`))
	require.Equal(t, number(t, restored, `SELECT count(*) FROM invoices WHERE number LIKE 'EACH-%'`),
		number(t, restored, `SELECT max(right(number, 6)::int) FROM invoices WHERE number LIKE 'EACH-%'`), "no gap")
	_, err = restored.Exec(t.Context(), `SELECT enqueue_flights(array_agg(flight_id)) FROM flights`)
	require.NoError(t, err, "the sequences go on")
	eventually(t, "flights of after the dump are billed", func() bool { return number(t, restored, `SELECT count(*) FROM billed_flights`) == 6000 })
}

// restrictKey is random in each dump.
var restrictKey = regexp.MustCompile(`(?m)^\\(un)?restrict .*$`)

// schema is all of a database but its data.
func (c *cluster) schema(t *testing.T, database string) string {
	t.Helper()
	out, err := postgresCommand(t, "pg_dump", "--schema-only", c.url(database)).Output()
	require.NoError(t, err)
	return restrictKey.ReplaceAllString(string(out), "")
}
