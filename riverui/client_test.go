package riverui

import (
	"context"
	"testing"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
)

// A list as River UI asks for it reads what it shows, not all jobs of the state.
func TestJobsOfAStateAreListedFromAnIndex(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.owner.Exec(t.Context(), `INSERT INTO flightbill.river_job (kind, args, queue, max_attempts, state, finalized_at)
		SELECT 'ingest_flight', jsonb_build_object('flight_id', 'F' || n), 'flights', 25, 'completed', now() - n * interval '1 second'
		FROM generate_series(1, 5000) AS n`)
	require.NoError(t, err)
	_, err = b.owner.Exec(t.Context(), `ANALYZE flightbill.river_job`)
	require.NoError(t, err)
	tx, err := b.owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	list, err := b.client.JobListTx(t.Context(), tx, river.NewJobListParams().States(rivertype.JobStateCompleted).
		OrderBy(river.JobListOrderByTime, river.SortOrderDesc).First(20))
	require.NoError(t, err)
	require.Len(t, list.Jobs, 20)
	require.JSONEq(t, `{"flight_id": "F1"}`, string(list.Jobs[0].EncodedArgs), "the last that was completed")
	var read int
	require.NoError(t, tx.QueryRow(t.Context(), `SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'river_job'`).Scan(&read))
	require.Less(t, read, 100)

	list, err = b.client.JobListTx(t.Context(), tx, river.NewJobListParams().States(rivertype.JobStateCompleted, rivertype.JobStateRunning))
	require.NoError(t, err)
	require.Len(t, list.Jobs, 100, "of several states")
}
