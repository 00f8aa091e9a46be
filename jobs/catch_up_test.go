package jobs_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// Years of closing dates with little to issue: an attempt can end between any two of
// them and after each chunk, the next one goes on there, and each stretch of runs with
// nothing to issue takes one line of the log.
func TestCatchUpOfMissedRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var log bytes.Buffer
	b.logger = slog.New(slog.NewTextHandler(&log, nil))
	b.billed(t, "F1", "WEEK", time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)) // closes on Sunday the 14th
	b.clock.Set(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	until := billing.NewDate(2026, time.December, 31)

	sliceDone := errors.New("the attempt's time is up")
	steps := 0
	results, err := b.consolidator().Run(t.Context(), until, db.BySchedule, func(jobs.Progress) error {
		if steps++; steps == 50 {
			return sliceDone
		}
		return nil
	})
	require.ErrorIs(t, err, sliceDone)
	require.Len(t, results, 50)
	require.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), `msg="consolidated runs with nothing to issue" runs=50 from=2026-03-03 to=2026-04-21`)

	log.Reset()
	results, err = b.consolidator().Run(t.Context(), until, db.BySchedule, func(p jobs.Progress) error {
		if p.Invoices > 0 {
			require.Equal(t, jobs.Progress{ClosesOn: billing.NewDate(2026, time.June, 14), Invoices: 1}, p)
			return sliceDone
		}
		return nil
	})
	require.ErrorIs(t, err, sliceDone)
	require.Len(t, results, 53)
	results, err = b.consolidator().Run(t.Context(), until, db.BySchedule, nil)
	require.NoError(t, err)
	require.Len(t, results, 201)
	require.Equal(t, 24*time.Hour, results[199].LateBy-results[200].LateBy)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	require.Len(t, lines, 3, log.String())
	require.Contains(t, lines[0], "from=2026-04-22 to=2026-06-13")
	require.Contains(t, lines[1], "closes_on=2026-06-14 invoices=1")
	require.Contains(t, lines[2], "from=2026-06-15 to=2026-12-31")
}
