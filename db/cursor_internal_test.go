package db

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
)

// A process claims behind what it has claimed, priority by priority, and comes back to
// the front each second and where it has found fewer than it wanted. A claim that began
// before that, and ends after it, does not carry the cursor off again.
func TestCursor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		due := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
		jobs := func(priority int, ids ...int64) (jobs []*rivertype.JobRow) {
			for _, id := range ids {
				jobs = append(jobs, &rivertype.JobRow{ID: id, Priority: priority, ScheduledAt: due})
			}
			return jobs
		}
		var c cursor
		start := c.next()
		require.Zero(t, start.reached)
		c.claimed(start, jobs(2, 9, 8), 2)
		c.claimed(start, append(jobs(1, 12), jobs(2, 7)...), 2)
		slow := c.next()
		require.Equal(t, [4]place{{due, 12}, {due, 9}, {}, {}}, slow.reached)
		require.Equal(t, []int64{12, 9, 0, 0}, slow.ids())
		require.Equal(t, []time.Time{due, due, {}, {}}, slow.dues())

		time.Sleep(roundTime + 1)
		again := c.next()
		require.Zero(t, again.reached)
		c.claimed(slow, jobs(2, 10, 11), 2)
		require.Zero(t, c.next().reached)
		c.claimed(again, jobs(1, 12), 1)
		require.Equal(t, place{due, 12}, c.next().reached[0])
		c.claimed(c.next(), jobs(1, 13), 2) // fewer than wanted
		require.Zero(t, c.next().reached)
	})
}
