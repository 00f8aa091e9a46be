package db_test

import (
	"testing"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
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
	count := func() int {
		t.Helper()
		n, err := q.QueueCountUntried(t.Context())
		require.NoError(t, err)
		return int(n)
	}
	require.False(t, untried())
	b.enqueue(t, "F1")
	require.True(t, untried(), "new")
	has, err := q.QueueHasUntried(t.Context(), time.Now().Add(-time.Minute))
	require.NoError(t, err)
	require.False(t, has, "enqueued after the run")

	b.exec(t, `UPDATE river_job SET queue = 'default'`)
	require.True(t, untried(), "in another queue, which it is about to be fetched from")
	require.Equal(t, 1, count())
	b.exec(t, `UPDATE river_job SET queue = 'flights'`)

	b.exec(t, `UPDATE river_job SET state = 'scheduled', scheduled_at = now() + interval '15 seconds',
		metadata = '{"snoozes": 3, "reason": "source_down", "waiting": {"reason": "it is away"}}'`)
	require.True(t, untried(), "the source was away: that was no try")
	b.exec(t, `UPDATE river_job SET state = 'running', attempt = 1`)
	require.True(t, untried(), "its try is not over")
	b.rescue(t)
	require.True(t, untried(), "nor was that one")
	b.exec(t, `UPDATE river_job SET attempt = 2`)
	require.False(t, untried(), "it has had a real one, which failed")
	b.exec(t, `UPDATE river_job SET state = 'scheduled', attempt = 0, metadata = metadata - 'river:rescue_count', created_at = now() - interval '25 hours'`)
	require.False(t, untried(), "it cannot be read for a day already")
	b.exec(t, `UPDATE river_job SET created_at = now(), metadata = jsonb_set(metadata, '{waiting,since}', to_jsonb(now()))`)
	require.False(t, untried(), "the source is away, but it has had its try before")
	b.exec(t, `UPDATE river_job SET state = 'scheduled', scheduled_at = now() + interval '1 hour', metadata = '{"snoozes": 3}'`)
	require.False(t, untried(), "it has had its try and waits")
	b.exec(t, `UPDATE river_job SET state = 'cancelled', attempt = 1, finalized_at = now()`)
	require.False(t, untried(), "given up")
	b.enqueue(t, "F1")
	require.True(t, untried(), "enqueued again")
	b.exec(t, `UPDATE river_job SET state = 'running', attempt = 1`)
	require.True(t, untried(), "its try is not over")

	// A process was killed: River's rescue counts the attempt, which was no try.
	for _, rescued := range []int{1, 2} {
		b.exec(t, `UPDATE river_job SET state = 'running', attempt = $1`, rescued)
		b.rescue(t)
		require.Equal(t, rescued, get[int](t, b, `SELECT (metadata ->> 'river:rescue_count')::int FROM river_job`))
		require.True(t, untried(), "rescued")
		require.Equal(t, 1, count())
		b.exec(t, `UPDATE river_job SET state = 'available'`)
		require.True(t, untried(), "rescued, its time has come")
		b.exec(t, `UPDATE river_job SET state = 'running', attempt = attempt + 1`)
		require.True(t, untried(), "in its first real try")
		require.Equal(t, 1, count())
		b.exec(t, `UPDATE river_job SET state = 'retryable'`)
		require.False(t, untried(), "which failed")
		require.Zero(t, count())
	}
	b.exec(t, `UPDATE river_job SET state = 'discarded', finalized_at = now()`)
	b.enqueue(t, "F1")
	b.exec(t, `UPDATE river_job SET state = 'retryable', attempt = 1`)
	require.False(t, untried(), "the rescues before it was enqueued again count no more")
	b.exec(t, `UPDATE river_job SET metadata = '{"river:rescue_count": "many"}'`)
	require.False(t, untried(), "what River passes over too")
}

// rescue does what River does with the jobs of a process that was killed.
func (b *testBundle) rescue(t *testing.T) {
	t.Helper()
	b.exec(t, `UPDATE river_job SET attempted_at = now() - interval '1 hour'`)
	exec := riverpgxv5.New(b.pool).GetExecutor()
	stuck, err := exec.JobGetStuck(t.Context(), &riverdriver.JobGetStuckParams{Schema: db.Schema, Max: 10, StuckHorizon: time.Now()})
	require.NoError(t, err)
	require.NotEmpty(t, stuck)
	for _, job := range stuck {
		_, err := exec.JobRescueMany(t.Context(), &riverdriver.JobRescueManyParams{
			Schema: db.Schema, ID: []int64{job.ID}, Error: [][]byte{[]byte(`{}`)}, FinalizedAt: []*time.Time{nil},
			ScheduledAt: []time.Time{time.Now().Add(time.Second)}, State: []string{"retryable"}, StuckHorizon: time.Now(),
		})
		require.NoError(t, err)
	}
}
