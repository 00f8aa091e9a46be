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
