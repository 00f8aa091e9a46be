package jobs

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
)

// tellingListener has something to tell at the moment when the wait for it ends.
type tellingListener struct {
	riverdriver.Listener

	tell *riverdriver.Notification
}

func (l *tellingListener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	<-ctx.Done()
	if tell := l.tell; tell != nil {
		l.tell = nil
		return tell, nil
	}
	return nil, ctx.Err()
}

func (*tellingListener) Ping(context.Context) error { return nil }

func TestListenerLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		driver := newRiverDriver(nil, nil, nil)
		l := &listener{Listener: &tellingListener{tell: &riverdriver.Notification{Topic: "river_leadership"}}, driver: driver}
		driver.Fetch()
		driver.Fetch()
		heard, err := l.WaitForNotification(t.Context())
		require.NoError(t, err)
		require.Equal(t, "river_insert", heard.Topic)
		require.Empty(t, driver.wake, "once")

		// What Postgres told when its wait had to end is told next.
		require.NoError(t, l.Ping(t.Context()))
		heard, err = l.WaitForNotification(t.Context())
		require.NoError(t, err)
		require.Equal(t, "river_leadership", heard.Topic)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = l.WaitForNotification(ctx)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// failingExecutor fails once, then notes which jobs are written.
type failingExecutor struct {
	riverdriver.Executor

	failed  bool
	written []int64
}

func (e *failingExecutor) JobSetStateIfRunningMany(
	_ context.Context, params *riverdriver.JobSetStateIfRunningManyParams,
) ([]*rivertype.JobRow, error) {
	if !e.failed {
		e.failed = true
		return nil, errors.New("the database is away")
	}
	e.written = append(e.written, params.ID...)
	return nil, nil
}

// River tries again with the same jobs when the database was away.
func TestSettledJobsStayOutOfRetries(t *testing.T) {
	t.Parallel()
	driver := newRiverDriver(nil, nil, nil)
	driver.Lost(1)
	driver.Saved(2)
	ends := &riverdriver.JobSetStateIfRunningManyParams{
		ID: []int64{1, 2, 3}, Attempt: make([]*int, 3), ErrData: make([][]byte, 3), FinalizedAt: make([]*time.Time, 3),
		MetadataDoMerge: make([]bool, 3), MetadataUpdates: make([][]byte, 3), ScheduledAt: make([]*time.Time, 3),
		State: []rivertype.JobState{rivertype.JobStateScheduled, rivertype.JobStateCompleted, rivertype.JobStateCompleted},
	}
	exec := &failingExecutor{}
	_, err := driver.PluginPilot().JobSetStateIfRunningMany(t.Context(), exec, ends)
	require.ErrorContains(t, err, "the database is away")
	_, err = driver.PluginPilot().JobSetStateIfRunningMany(t.Context(), exec, ends)
	require.NoError(t, err)
	require.Equal(t, []int64{3}, exec.written)
	driver.settled.Range(func(id, _ any) bool { require.Fail(t, "kept", "job %v", id); return true })
}
