package db

import (
	"testing"
	"time"

	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
)

// A take that began before the line went back to the front ends after it: it does
// not carry the line off again.
func TestLineIsMovedByItsOwnRound(t *testing.T) {
	t.Parallel()
	due := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	taken := func(priority int, ids ...int64) (taken Taken) {
		for _, id := range ids {
			taken.Jobs = append(taken.Jobs, &rivertype.JobRow{ID: id, Priority: priority, ScheduledAt: due})
		}
		return taken
	}
	l := &Line{}
	_, _, round := l.goOn(2)
	l.took(round, taken(2, 8, 9), 2)
	place, _, slow := l.goOn(2)
	require.Equal(t, Place{2, due, 9}, place)

	l.wentRound = time.Now().Add(-2 * RoundTime)
	place, _, round = l.goOn(2)
	require.Zero(t, place)
	l.took(slow, taken(2, 10, 11), 2)
	require.Zero(t, l.reached)
	l.took(round, taken(1, 12), 1)
	require.Equal(t, Place{1, due, 12}, l.reached, "on among those of the first priority")

	_, _, slow = l.goOn(2)
	_, _, round = l.goOn(2)
	l.took(round, taken(1, 13), 2) // fewer than wanted
	l.took(slow, taken(1, 14, 15), 2)
	require.Zero(t, l.reached)
}
