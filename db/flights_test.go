package db_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

func TestFlight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := db.NewFlights(b.pool)
	read := func() billing.Flight {
		answers, err := source.Flights(t.Context(), []string{"F1"})
		require.NoError(t, err)
		require.NoError(t, answers["F1"].Err)
		return answers["F1"].Flight
	}
	b.exec(t, `INSERT INTO flights (flight_id) VALUES ('F1')`)
	require.Equal(t, billing.Flight{ID: "F1"}, read(), "what is not known stays so")
	b.exec(t, `UPDATE flights SET callsign = 'BAW1', operator = 'BAW', registration = 'G-ABCD', aircraft_type = 'A320', mtow_kg = 70500,
		origin = 'EIDW', destination = 'EGLL', departed_at = '2026-03-04 10:00+01', landed_at = '2026-03-04 10:15:30.5+00', distance_km = 449.123456789, passengers = 0`)
	flight := read()
	require.Equal(t, "BAW1 BAW G-ABCD A320 EIDW EGLL", flight.Callsign+" "+flight.Operator+" "+flight.Registration+" "+flight.AircraftType+" "+flight.Origin+" "+flight.Destination)
	require.Equal(t, time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC), *flight.DepartedAt)
	require.Equal(t, time.Date(2026, 3, 4, 10, 15, 30, 500_000_000, time.UTC), *flight.LandedAt)
	require.Equal(t, "449.123456789", flight.DistanceKm.String())
	require.EqualValues(t, 70500, *flight.MTOWKg)
	require.Zero(t, *flight.Passengers, "a 0 is a count, as any other")
}

func TestFlights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	source := db.NewFlights(b.pool)
	b.exec(t, `INSERT INTO flights (flight_id, operator) VALUES ('B', 'BAW'), ('a', 'AFR'), ('C', NULL), ('other', NULL)`)
	found := func(id, operator string) billing.Answer {
		return billing.Answer{Flight: billing.Flight{ID: id, Operator: operator}}
	}
	unknown := func(id string) billing.Answer { return billing.Answer{Err: billing.UnknownFlight(id)} }
	for _, ids := range [][]string{{"C", "a", "none", "A", "B", "C"}, {"A", "B", "C", "a", "none"}, {"none", "a", "C", "B", "A", "none"}} {
		answers, err := source.Flights(t.Context(), ids)
		require.NoError(t, err)
		require.Equal(t, map[string]billing.Answer{
			"B": found("B", "BAW"), "a": found("a", "AFR"), "C": found("C", ""), "A": unknown("A"), "none": unknown("none"),
		}, answers)
	}
	answers, err := source.Flights(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, answers)

	// An id that no text of Postgres can be has an answer, and those beside it theirs.
	answers, err = source.Flights(t.Context(), []string{"B", "B\x00", "\xff", "'{}", ""})
	require.NoError(t, err)
	require.Equal(t, map[string]billing.Answer{
		"B": found("B", "BAW"), "B\x00": unknown("B\x00"), "\xff": unknown("\xff"), "'{}": unknown("'{}"), "": unknown(""),
	}, answers)

	require.NoError(t, source.Probe(t.Context()))
	gone, err := pgxpool.New(t.Context(), "postgres://flightbill@127.0.0.1:1/flightbill?sslmode=disable")
	require.NoError(t, err)
	t.Cleanup(gone.Close)
	var failure *billing.Error
	_, err = db.NewFlights(gone).Flights(t.Context(), []string{"B"})
	require.ErrorAs(t, err, &failure)
	require.Equal(t, billing.Outage, failure.Kind)
	require.Error(t, db.NewFlights(gone).Probe(t.Context()))

	b.exec(t, `ALTER TABLE flights RENAME TO away`)
	answers, err = source.Flights(t.Context(), []string{"B"})
	require.Error(t, err)
	require.Nil(t, answers)
}

// A plan from when the table was small does not outlive that, statistics or none.
func TestFlightsOfATableThatHasGrown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pool := open(t, b.url, 1)
	source := db.NewFlights(pool)
	b.exec(t, `ALTER TABLE flights SET (autovacuum_enabled = off)`)
	b.exec(t, `INSERT INTO flights (flight_id) SELECT 'F' || n FROM generate_series(1, 20) AS n`)
	b.exec(t, `ANALYZE flights`)
	ids := make([]string, 12)
	for i := range ids {
		ids[i] = fmt.Sprintf("F%d", 1000*i+1)
	}
	read := func() (rows int) {
		_, err := pool.Exec(t.Context(), `SELECT pg_stat_force_next_flush()`)
		require.NoError(t, err)
		err = pool.QueryRow(t.Context(), `SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'flights'`).Scan(&rows)
		require.NoError(t, err)
		return rows
	}
	for range 7 { // Postgres keeps a plan from the sixth time on
		_, err := source.Flights(t.Context(), ids)
		require.NoError(t, err)
	}
	require.NotZero(t, read(), "a small table is read from end to end")
	b.exec(t, `INSERT INTO flights (flight_id) SELECT 'F' || n FROM generate_series(21, 20000) AS n`)
	before := read()
	answers, err := source.Flights(t.Context(), ids)
	require.NoError(t, err)
	for _, id := range ids {
		require.NoError(t, answers[id].Err)
	}
	require.Equal(t, before, read(), "by its index")
}

// A flight under an id that cannot be enqueued would never be billed.
func TestFlightsHaveIDsOfTheQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, id := range []string{"F1", "9", "a b._:/+#@~-", strings.Repeat("F", 128), "F1 ", " F1", "", "-F1", "F1\n", "F1é", "F;1", strings.Repeat("F", 129)} {
		_, err := b.pool.Exec(t.Context(), `INSERT INTO flights (flight_id) VALUES ($1)`, id)
		require.Equal(t, db.ValidFlightID(id), err == nil, "%q: %v", id, err)
		if err != nil {
			requireSQLError(t, err, "23514", "flights_can_be_enqueued")
		}
	}
}
