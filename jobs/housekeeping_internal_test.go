package jobs

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

// What could not be given back while the database was away goes back as it is back, and
// not with the next housekeeping: River's rescuer might be first.
func TestOrphansGoBackAfterAnOutage(t *testing.T) {
	t.Parallel()
	pool := OpenPool(t, dbtest.URL(t))
	beats := newHeartbeats()
	database := newDatabase(pool, beats, slog.New(slog.DiscardHandler))
	t.Cleanup(database.Stop)
	h := &housekeeper{client: "this", pool: pool, books: db.NewPriceBooks(pool), queue: db.NewFlightQueue(pool), database: database, slots: newSlots(beats), beats: beats,
		outage: func() *Outage { return nil }, now: time.Now, logger: slog.New(slog.DiscardHandler)}
	_, err := pool.Exec(t.Context(), `INSERT INTO river_job (kind, args, queue, max_attempts, state, attempt, attempted_by, attempted_at)
		VALUES ('ingest_flight', '{"flight_id": "F1"}', 'flights', 25, 'running', 3, '{this}', now() - $1::interval)`, orphanAge-probeInterval/2)
	require.NoError(t, err)

	h.Start(t.Context()) // whose first housekeeping comes too early for it
	t.Cleanup(func() { h.Stop(context.Background()) })
	database.Met(db.ErrNotWritable)
	require.Eventually(t, func() bool {
		var state string
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT concat_ws(' ', state, attempt) FROM river_job`).Scan(&state))
		return state == "available 2"
	}, housekeepingInterval-5*time.Second, 10*time.Millisecond)
}
