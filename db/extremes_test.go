package db_test

import (
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
		`SELECT enqueued FROM enqueue_flights(NULL)`:                                 0,
		`SELECT enqueued FROM enqueue_flights('{}')`:                                 0,
		`SELECT enqueued FROM enqueue_flights(ARRAY[['M1', 'M2'], ['M3', 'M1']])`:    3,
		`SELECT enqueued FROM enqueue_flights('[5:6]={L1,L2}'::text[])`:              2,
		`SELECT enqueued FROM enqueue_flights(array_fill('S'::text, ARRAY[100000]))`: 1,
	} {
		require.Equal(t, want, get[int64](t, b, sql), sql)
	}
}
