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

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
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

type hearingListener struct {
	riverdriver.Listener

	payload string
}

func (l *hearingListener) WaitForNotification(context.Context) (*riverdriver.Notification, error) {
	return &riverdriver.Notification{Topic: insertTopic, Payload: l.payload}, nil
}

func TestListenerHearsWhichFlightIsNamed(t *testing.T) {
	t.Parallel()
	const f1 = `{"queue": "flights", "flight_id": "F1", "since": "2026-03-04T17:30:00.123456+05:30"}`
	for payload, named := range map[string]bool{
		f1:                     true,
		`{"queue": "flights"}`: false,
		`{"queue": "schedules", "flight_id": "F1", "since": "2026-03-04T12:00:00Z"}`:  false,
		`{"queue": "flights", "flight_id": "'; --", "since": "2026-03-04T12:00:00Z"}`: false,
		`{"queue": "flights", "flight_id": "F1", "since": "yesterday"}`:               false,
		`{"queue": "flights", "flight_id": ["F1"], "since": "2026-03-04T12:00:00Z"}`:  false,
		`F1`: false,
	} {
		driver := newRiverDriver(nil, nil, nil)
		var ids []string
		driver.heard = func(id string, since time.Time) {
			require.True(t, since.Equal(time.Date(2026, 3, 4, 12, 0, 0, 123_456_000, time.UTC)), since)
			ids = append(ids, id)
		}
		l := &listener{Listener: &hearingListener{payload: payload}, driver: driver}
		heard, err := l.WaitForNotification(t.Context())
		require.NoError(t, err)
		require.Equal(t, payload, heard.Payload, "River hears it too")
		if named {
			require.Equal(t, []string{"F1"}, ids)
		} else {
			require.Empty(t, ids, payload)
		}
	}
}

// Who reads flights is told before a job is taken, but not while their source is away
// or on trial.
func TestTakingIsTold(t *testing.T) {
	t.Parallel()
	pool, err := db.Open(t.Context(), dbtest.URL(t), db.Options{SearchPath: db.Schema})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	states := func() (states string) {
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT string_agg(state, ' ') FROM flight_processing_queue`).Scan(&states))
		return states
	}
	for gate, want := range map[gateState]struct {
		told  int
		after string
	}{gateOpen: {1, "running"}, gateAway: {0, "available"}, gateTrying: {0, "running"}} {
		_, err = pool.Exec(t.Context(), `DELETE FROM river_job`)
		require.NoError(t, err)
		_, err = pool.Exec(t.Context(), `INSERT INTO flight_processing_queue (flight_id) VALUES ('F1')`)
		require.NoError(t, err)
		driver := newRiverDriver(pool, &sourceGate{state: gate}, nil)
		t.Cleanup(driver.hand.close)
		told := 0
		driver.taking = func() {
			told++
			require.Equal(t, "available", states())
		}
		_, err := (&pilot{driver: driver}).JobGetAvailable(t.Context(), nil, nil, &riverdriver.JobGetAvailableParams{Queue: FlightsQueue, MaxToLock: 5, ClientID: "me"})
		require.NoError(t, err)
		require.Equal(t, want.told, told, gate)
		require.Equal(t, want.after, states(), gate)
	}
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
