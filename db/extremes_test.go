package db_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever array is given, all of it is enqueued, or nothing.
func TestEnqueueOddArrays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for sql, want := range map[string]string{
		`SELECT enqueue_flights(ARRAY['A', NULL])`:                                    "flight id NULL cannot be enqueued",
		`SELECT enqueue_flights(array_fill('A'::text, ARRAY[3]) || ''::text)`:         "flight id '' cannot be enqueued",
		`SELECT enqueue_flights(ARRAY[repeat('A', 1000000), 'B'])`:                    "flight id 'AAAA",
		`SELECT enqueue_flights(ARRAY['A', E'B\n'])`:                                  "cannot be enqueued",
		`INSERT INTO flight_processing_queue (flight_id) SELECT repeat('A', 1000000)`: "flight id 'AAAA",
	} {
		_, err := b.pool.Exec(t.Context(), sql)
		require.ErrorContains(t, err, want, sql)
		require.Less(t, len(err.Error()), 500, sql)
	}
	require.Empty(t, b.queue(t))
	for sql, want := range map[string]int64{
		`SELECT enqueued FROM enqueue_flights(ARRAY[['M1', 'M2'], ['M3', 'M1']])`:    3,
		`SELECT enqueued FROM enqueue_flights('[5:6]={L1,L2}'::text[])`:              2,
		`SELECT enqueued FROM enqueue_flights(array_fill('S'::text, ARRAY[100000]))`: 1,
	} {
		require.Equal(t, want, get[int64](t, b, sql), sql)
	}
}

// Text is as long as an import lets it be, at most.
func TestLongText(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const tariff = `INSERT INTO tariffs (code, description, airport, basis, applies_to, unit_rate, currency, valid_from) VALUES (%s, 'per_flight', 'any', 1, 'EUR', '2026-01-01')`
	texts := map[string]int{ // with the characters that each may have
		`INSERT INTO customers (code, name, billing_frequency) VALUES ('LONG', %s, 'monthly')`: 1000,
		fmt.Sprintf(tariff, "%s, '', NULL"):                                                    200,
		fmt.Sprintf(tariff, "'ANY', %s, NULL"):                                                 1000,
		fmt.Sprintf(tariff, "'AT', '', %s"):                                                    200,
	}
	for _, column := range []string{"callsign", "operator", "registration", "aircraft_type", "origin", "destination"} {
		texts[`INSERT INTO flights (flight_id, `+column+`) VALUES ('`+column+`', %s)`] = 200
	}
	for sql, most := range texts {
		_, err := b.pool.Exec(t.Context(), fmt.Sprintf(sql, fmt.Sprintf("repeat('é', %d)", most+1)))
		requireSQLError(t, err, checkViolation, "violates check constraint")
		b.exec(t, fmt.Sprintf(sql, fmt.Sprintf("repeat('é', %d)", most)))
	}
}
