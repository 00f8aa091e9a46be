package jobs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Of lines that come again within a minute one is passed on, a job kind; and at the end
// the last of each, so that nothing is left out unsaid.
func TestRiverLogLeavesNothingOutUnsaid(t *testing.T) {
	t.Parallel()
	var said LogBuffer
	log := newRiverLog(func() bool { return false })
	logger := log.logger(said.Logger())
	const panicked = "JobExecutor: panic recovery; possible bug with Worker"
	for id, kind := range []string{"consolidate_invoices", "mark_overdue", "mark_overdue", "mark_overdue", "mark_overdue"} {
		logger.Error(panicked, "job_id", id, "kind", kind)
	}
	log.Stop()
	log.Stop()
	require.Equal(t, 3, said.Count(panicked), said.String())
	require.Contains(t, said.String(), "job_id=0 kind=consolidate_invoices\n")
	require.Contains(t, said.String(), "job_id=1 kind=mark_overdue\n")
	require.Contains(t, said.String(), "job_id=4 kind=mark_overdue left_out=2\n")
}
