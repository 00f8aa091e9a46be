package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A newer flightbill migrates the database while this one bills: this one stops, and says
// why. Put back as it was, it goes on; what it had in hand is billed once.
func TestServeWhileOthersMigrate(t *testing.T) {
	t.Parallel()
	url, pool := queueDatabase(t, 3000)
	serve := startServe(t, "DATABASE_URL="+url)
	exec := func(sql string) {
		t.Helper()
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec(`SELECT enqueue_flights(array_agg('F' || i)) FROM generate_series(1, 2000) i`)
	eventually(t, "flights are billed", func() bool { return number(t, pool, `SELECT count(*) FROM billed_flights`) > 100 })
	exec(`ALTER FUNCTION save_flights RENAME TO save_flights_newer; INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, true)`)
	exec(`SELECT enqueue_flights(array_agg('F' || i)) FROM generate_series(2001, 3000) i`)

	late := startProcess(t, []string{"serve"}, "DATABASE_URL="+url)
	eventually(t, "another of this version does not start", late.hasEnded)
	require.Equal(t, exitFailed, late.ProcessState.ExitCode())
	require.Contains(t, late.said(), "a newer flightbill has migrated it to 9000")
	eventually(t, "it stops", func() bool {
		return strings.Contains(serve.said(), "takes no flights and leads nothing until the schema is put right") &&
			number(t, pool, `SELECT count(*) FROM river_job WHERE state = 'running'`) == 0 && number(t, pool, `SELECT count(*) FROM river_leader`) == 0
	})
	require.Contains(t, serve.answer(t, "/readyz", http.StatusServiceUnavailable), "schema: database schema too new: a newer flightbill has migrated it to 9000")
	require.Positive(t, number(t, pool, `SELECT count(*) FROM flight_processing_queue`))

	exec(`ALTER FUNCTION save_flights_newer RENAME TO save_flights; DELETE FROM goose_db_version WHERE version_id = 9000`)
	eventually(t, "all flights are billed", func() bool { return number(t, pool, `SELECT count(*) FROM flight_processing_queue`) == 0 })
	require.Equal(t, 3000, number(t, pool, `SELECT count(*) FROM charges`))
	require.Equal(t, 3000, number(t, pool, `SELECT max(right(number, 6)::int) FROM invoices`))
	require.Zero(t, number(t, pool, `SELECT count(*) FROM river_job WHERE kind = 'ingest_flight' AND attempt > 1`), "no attempt was spent")
}
