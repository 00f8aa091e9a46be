package main

import (
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

// Who writes the ids slowly holds up nobody: while they are read, nothing is locked.
func TestEnqueueReadsAllIDsFirst(t *testing.T) {
	t.Parallel()
	pool, err := db.Open(t.Context(), dbtest.URL(t), db.Options{})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	a := &app{stderr: io.Discard}
	total, err := a.enqueue(t.Context(), pool, func(yield func(string) error) error {
		for n := range enqueueBatch + 1 {
			if err := yield(fmt.Sprintf("F%d", n)); err != nil {
				return err
			}
		}
		var open int
		err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
			AND backend_type = 'client backend'`).Scan(&open)
		require.Zero(t, open, "transactions")
		return err
	})
	require.NoError(t, err)
	require.EqualValues(t, enqueueBatch+1, total.Enqueued)
}
