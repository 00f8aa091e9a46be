package jobs

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

func inHand(t *testing.T) (*pgxpool.Pool, *hand, func() string) {
	t.Helper()
	pool, err := db.Open(t.Context(), dbtest.URL(t), db.Options{SearchPath: db.Schema})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), `INSERT INTO flight_processing_queue (flight_id) VALUES ('F1'), ('F2')`)
	require.NoError(t, err)
	h := newHand(pool, func() {}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(h.close)
	h.sawMore(true)
	taken, err := (&db.Line{}).Take(t.Context(), pool, "me", 2)
	require.NoError(t, err)
	h.put(taken)
	return pool, h, func() string {
		var states string
		require.NoError(t, pool.QueryRow(context.WithoutCancel(t.Context()), `SELECT string_agg(concat_ws(' ', state, attempt), ', ' ORDER BY id) FROM river_job`).Scan(&states))
		return states
	}
}

// A paused queue, say: River does not ask for what was taken for it.
func TestHandPutsBackWhatRiverDoesNotAskFor(t *testing.T) {
	t.Parallel()
	_, h, states := inHand(t)
	require.Equal(t, "running 1, running 1", states())
	require.Len(t, h.take(1).Jobs, 1)
	require.Eventually(t, func() bool { return states() == "running 1, available 0" }, 10*time.Second, 10*time.Millisecond)
	require.False(t, h.wanted())
	require.Empty(t, h.take(5).Jobs)
}

func TestHandIsEmptyOnceClosed(t *testing.T) {
	t.Parallel()
	pool, h, states := inHand(t)
	h.stopTaking()
	require.False(t, h.wanted())
	require.Eventually(t, func() bool { return states() == "available 0, available 0" }, 10*time.Second, 10*time.Millisecond,
		"at once: others can take them while this process waits for its running flights")

	// A save that was under way puts some in all the same.
	taken, err := (&db.Line{}).Take(t.Context(), pool, "me", 1)
	require.NoError(t, err)
	h.put(taken)
	h.close()
	require.Equal(t, "available 0, available 0", states())
}
