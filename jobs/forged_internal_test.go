package jobs

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/dbtest"
)

// A job whose context a forged notice has ended ends with the work that it is part of,
// whatever a restart begins beside it.
func TestForgedCancelEndsWithItsWork(t *testing.T) {
	t.Parallel()
	pool := OpenPool(t, dbtest.URL(t))
	beats := newHeartbeats()
	slots := newSlots(beats)
	guard := &cancelGuard{pool: pool, slots: slots, beats: beats}
	ctx, cancel := context.WithCancelCause(t.Context())
	err := guard.Work(ctx, &rivertype.JobRow{ID: 1, Kind: MarkOverdueArgs{}.Kind()}, func(guarded context.Context) error {
		stopWorking := slots.stopWorking
		slots.open()
		cancel(rivertype.ErrJobCancelledRemotely)
		stopWorking()
		select {
		case <-guarded.Done():
			return context.Cause(guarded)
		case <-time.After(10 * time.Second):
			return errors.New("it goes on")
		}
	})
	require.ErrorIs(t, err, context.Canceled)
}

// A job whose time is over is no job of a process that stops: it has failed, and is told of. A forged
// notice gives it no more time, either.
func TestGuardedJobsHaveTheirTime(t *testing.T) {
	t.Parallel()
	pool := OpenPool(t, dbtest.URL(t))
	beats := newHeartbeats()
	guard := &cancelGuard{pool: pool, slots: newSlots(beats), beats: beats}
	for name, cause := range map[string]error{"its time is over": nil, "and a notice was forged": rivertype.ErrJobCancelledRemotely} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			ctx, end := context.WithTimeout(ctx, 200*time.Millisecond)
			defer end()
			require.NoError(t, guard.Work(ctx, &rivertype.JobRow{ID: 1, Kind: MarkOverdueArgs{}.Kind()}, func(guarded context.Context) error {
				if cause != nil {
					cancel(cause)
				}
				select {
				case <-guarded.Done():
				case <-time.After(10 * time.Second):
				}
				require.Equal(t, context.DeadlineExceeded, guarded.Err())
				require.False(t, stopping(guarded, context.Canceled))
				return nil
			}))
		})
	}
}
