package main

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/jobs"
)

// Who has no credentials learns which part is stuck.
func TestReadyNamesWhatIsStuck(t *testing.T) {
	t.Parallel()
	err := ready([]readyCheck{{"work", func(context.Context) error { return &jobs.StuckError{What: "the housekeeping"} }}})(t.Context())
	var reason *notReadyError
	require.ErrorAs(t, err, &reason)
	require.Equal(t, "the housekeeping has given no sign of life", reason.Public())
}
