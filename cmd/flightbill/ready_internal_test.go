package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// Who has no credentials learns which part is stuck.
func TestReadyNamesWhatIsStuck(t *testing.T) {
	t.Parallel()
	require.Equal(t, "the housekeeping has given no sign of life", notReady(t, &jobs.StuckError{What: "the housekeeping"}).Public())
}

// And by what the process is unfit.
func TestReadyNamesWhatIsUnfit(t *testing.T) {
	t.Parallel()
	for _, err := range []error{db.ErrSchemaTooNew, db.ErrSchemaTooOld} {
		require.Equal(t, "schema", notReady(t, err).Public())
		require.EqualError(t, notReady(t, err), "schema: "+err.Error())
	}
	require.Equal(t, "clock", notReady(t, db.ErrClock).Public())
}

func notReady(t *testing.T, err error) (reason *notReadyError) {
	t.Helper()
	require.ErrorAs(t, ready([]readyCheck{{"a part", func(context.Context) error { return err }}})(t.Context()), &reason)
	return reason
}
