package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

// The leader is killed with -9 as its clock strikes 01:00:00. Another process does
// the run, once, as soon as it leads and has what the killed one had in hand.
func TestLeaderKilledAtOneOClock(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for an election of River's, and perhaps for a rescue: not with -short")
	}
	url := dbtest.URL(t)
	pool, err := db.Open(t.Context(), url, db.Options{SearchPath: db.Schema, MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	one := time.Date(2027, time.March, 7, 1, 0, 0, 0, time.UTC)
	m := &months{url: url, pool: pool, env: []string{"DATABASE_URL=" + url, "FLIGHTBILL_BILLING_START=2027-03-07", "FLIGHTBILL_TIMEZONE=UTC"}}
	m.command(t, monthsCustomers, "import", "customers", "-")
	m.command(t, monthsTariffs, "import", "tariffs", "-")

	// As fast as the real clock, and a little before the hour.
	m.clock = simulatedClock{from: one.Add(-10 * time.Second), until: one.Add(time.Hour), began: time.Now(), factor: 1}
	m.env = append(m.env, m.clock.env())
	m.serve(t)
	m.serve(t)
	_, err = pool.Exec(t.Context(), `INSERT INTO flights (flight_id, operator, mtow_kg, origin, destination, landed_at, distance_km)
		VALUES ('F1', 'SUN', 70500, 'EIDW', 'EHAM', '2027-03-06 23:59:59+00', 700)`)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), enqueueAll)
	require.NoError(t, err)
	eventually(t, "the flight is billed", func() bool { return number(t, pool, `SELECT count(*) FROM billed_flights`) == 1 })

	leader, _ := m.leader(t)
	require.NotNil(t, leader)
	// Whoever has the run, the leader or the other, is at its first step then.
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `LOCK TABLE billing_runs IN SHARE MODE`)
	require.NoError(t, err)
	for m.clock.Now().Before(one) {
		time.Sleep(one.Sub(m.clock.Now()))
	}
	worker := func() (client string) {
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT coalesce(max(attempted_by[array_upper(attempted_by, 1)]), '')
			FROM river_job WHERE kind = 'consolidate_invoices' AND state = 'running'`).Scan(&client))
		return client
	}
	eventually(t, "the run has begun", func() bool { return worker() != "" })
	t.Logf("the leader has the run: %t", worker() == leader.client)
	require.NoError(t, leader.Process.Kill())
	<-leader.ended
	require.NoError(t, tx.Rollback(t.Context()))
	eventually(t, "the run is done", func() bool {
		return number(t, pool, `SELECT count(*) FROM billing_runs WHERE run_date = '2027-03-07' AND finished_at IS NOT NULL`) == 1
	})
	var late time.Duration
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT finished_at - due_at FROM billing_runs WHERE run_date = '2027-03-07'`).Scan(&late))
	t.Logf("the run was done %s after its time", late)
	require.Less(t, late, 2*time.Minute)
	require.Equal(t, 1, number(t, pool, `SELECT count(*) FROM invoices WHERE number = 'SUN-000001' AND closes_on = '2027-03-07'`))
	require.Equal(t, 1, number(t, pool, `SELECT count(*) FROM invoice_events WHERE to_status = 'PENDING'`), "issued once")
}
