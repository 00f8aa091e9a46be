package db_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/dbsqlc"
)

// A run lets every flight have its first try that was enqueued before it: a new
// one, and one that was given up before and is enqueued again.
func TestQueueHasUntried(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := dbsqlc.New(b.pool)
	untried := func() bool {
		t.Helper()
		has, err := q.QueueHasUntried(t.Context(), time.Now().Add(time.Second))
		require.NoError(t, err)
		return has
	}
	require.False(t, untried())
	b.enqueue(t, "F1")
	require.True(t, untried(), "new")
	has, err := q.QueueHasUntried(t.Context(), time.Now().Add(-time.Minute))
	require.NoError(t, err)
	require.False(t, has, "enqueued after the run")

	b.exec(t, `UPDATE river_job SET state = 'scheduled', scheduled_at = now() + interval '1 hour', metadata = '{"snoozes": 3}'`)
	require.False(t, untried(), "it has had its try and waits")
	b.exec(t, `UPDATE river_job SET state = 'cancelled', attempt = 1, finalized_at = now()`)
	require.False(t, untried(), "given up")
	b.enqueue(t, "F1")
	require.True(t, untried(), "enqueued again")
	b.exec(t, `UPDATE river_job SET state = 'running', attempt = 1`)
	require.True(t, untried(), "its try is not over")
}
