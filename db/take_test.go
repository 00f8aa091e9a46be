package db_test

import (
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
)

func flightsOf(t *testing.T, taken db.Taken) (ids []string) {
	t.Helper()
	for _, job := range taken.Jobs {
		ids = append(ids, string(job.EncodedArgs))
	}
	return ids
}

func TestTakeFlights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id, priority, process_after) VALUES
		('F1', 2, NULL), ('F2', 1, NULL), ('F3', 1, NULL), ('LATER', 1, now() + interval '1 hour')`)

	taken, err := (&db.Line{}).Take(t.Context(), b.pool, "me", 2)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{`{"flight_id": "F2"}`, `{"flight_id": "F3"}`}, flightsOf(t, taken))
	taken, err = (&db.Line{}).Take(t.Context(), b.pool, "me", 2)
	require.NoError(t, err)
	require.Equal(t, []string{`{"flight_id": "F1"}`}, flightsOf(t, taken))
	require.Equal(t, "running 1 {me}", get[string](t, b, `SELECT DISTINCT concat_ws(' ', state, attempt, attempted_by) FROM river_job WHERE state <> 'scheduled'`))

	require.NoError(t, db.ReturnFlights(t.Context(), b.pool, taken))
	require.Equal(t, "available 0 {}", get[string](t, b, `SELECT concat_ws(' ', state, attempt, attempted_by) FROM river_job WHERE args ->> 'flight_id' = 'F1'`))
}

// Flights are taken without waiting for the disk; but a save that issues an invoice,
// and takes others in its place, waits.
func TestTakeDoesNotWaitForTheDisk(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.enqueue(t, "F1")
	for insteadOf, want := range map[string]string{"NULL": "off", "'{1}'": "on"} {
		tx := b.begin(t)
		_, err := tx.Exec(t.Context(), `SET LOCAL synchronous_commit = on`) // a test's server has it off
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `SELECT take_flights('me', 1, `+insteadOf+`)`)
		require.NoError(t, err)
		var got string
		require.NoError(t, tx.QueryRow(t.Context(), `SHOW synchronous_commit`).Scan(&got))
		require.Equal(t, want, got, "instead of %s", insteadOf)
		require.NoError(t, tx.Rollback(t.Context()))
	}
}

// What comes to stand ahead of the flights that were taken is passed over, but not
// for long.
func TestTakeFlightsComesBackToTheFront(t *testing.T) {
	t.Parallel()
	b := setup(t)
	line := &db.Line{}
	take := func(most int) string {
		taken, err := line.Take(t.Context(), b.pool, "me", most)
		require.NoError(t, err)
		return strings.NewReplacer(`{"flight_id": "`, "", `"}`, "").Replace(strings.Join(flightsOf(t, taken), " "))
	}
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id, priority) SELECT 'F' || n, 2 FROM generate_series(1, 6) AS n`)
	require.Equal(t, "F1 F2", take(2))
	b.enqueue(t, "URGENT1")
	passedOver := take(1)
	if passedOver == "URGENT1" { // more than a second has passed
		passedOver = take(1)
	} else {
		time.Sleep(1100 * time.Millisecond)
		require.Equal(t, "URGENT1", take(1))
	}
	require.Equal(t, "F3", passedOver)
	require.Equal(t, "F4", take(1))
	b.enqueue(t, "URGENT2")
	require.Equal(t, "F5 F6 URGENT2", get[string](t, b, `SELECT string_agg(flight_id, ' ' ORDER BY flight_id) FROM flight_processing_queue WHERE state = 'available'`))
	take(5)
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM flight_processing_queue WHERE state = 'available'`), "fewer than wanted: there may be more at the front")
	b.enqueue(t, "URGENT3")
	require.Equal(t, "URGENT3", take(1))
}

// A job that somebody else has by now is not put back.
func TestReturnFlightsLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.enqueue(t, "F1")
	taken, err := (&db.Line{}).Take(t.Context(), b.pool, "me", 1)
	require.NoError(t, err)
	b.exec(t, `UPDATE river_job SET attempt = 2, attempted_by = attempted_by || '{other}'`)
	require.NoError(t, db.ReturnFlights(t.Context(), b.pool, taken))
	require.Equal(t, "running 2", get[string](t, b, `SELECT concat_ws(' ', state, attempt) FROM river_job`))
}

// Somebody cancels flights in River UI while they are in hand, one of them at the
// very moment at which they go back.
func TestReturnFlightsCancelled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id) VALUES ('F1'), ('F2'), ('F3')`)
	b.exec(t, `UPDATE river_job SET metadata = '{"reason": "not_landed", "waiting": {"reason": "it has not landed"}}'`)
	taken, err := (&db.Line{}).Take(t.Context(), b.pool, "me", 3)
	require.NoError(t, err)
	client, err := river.NewClient(riverpgxv5.New(b.pool), &river.Config{Schema: db.Schema})
	require.NoError(t, err)
	job := func(flight string) *rivertype.JobRow {
		row, err := client.JobGet(t.Context(), get[int64](t, b, `SELECT job_id FROM flight_processing_queue WHERE flight_id = $1`, flight))
		require.NoError(t, err)
		return row
	}
	_, err = client.JobCancel(t.Context(), job("F1").ID)
	require.NoError(t, err)
	cancel := b.begin(t)
	_, err = client.JobCancelTx(t.Context(), cancel, job("F2").ID)
	require.NoError(t, err)
	back := meanwhile(t, b, func() (struct{}, error) { return struct{}{}, db.ReturnFlights(t.Context(), b.pool, taken) })
	require.NoError(t, cancel.Commit(t.Context()))
	_, err = back()
	require.NoError(t, err)

	const view = `SELECT string_agg(concat_ws(' ', flight_id, state, attempts, coalesce(reason, '-'), last_error), ', ' ORDER BY flight_id) FROM flight_processing_queue`
	require.Equal(t, "F1 cancelled 0 - job cancelled remotely, F2 cancelled 0 - job cancelled remotely, F3 available 0 not_landed it has not landed",
		get[string](t, b, view))
	f1 := job("F1")
	require.Len(t, f1.Errors, 1)
	require.True(t, f1.FinalizedAt.Equal(f1.Errors[0].At))
	require.Equal(t, rivertype.AttemptError{At: f1.Errors[0].At, Attempt: 1, Error: rivertype.ErrJobCancelledRemotely.Error()}, f1.Errors[0])
	require.Nil(t, job("F3").FinalizedAt)
	require.Empty(t, job("F3").Errors)
	b.enqueue(t, "F1")
	require.Equal(t, rivertype.JobStateAvailable, job("F1").State)
}

// What is taken is what River would have, and its list of clients stays short.
func TestTakeFlightsReadsJobsAsRiverDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.enqueue(t, "F1")
	b.exec(t, `UPDATE river_job SET attempt = 150, tags = '{a,b}', metadata = '{"reason": "not_landed"}', max_attempts = 200,
		attempted_by = (SELECT array_agg('client ' || n ORDER BY n) FROM generate_series(1, 100) n),
		errors = ARRAY['{"at": "2026-03-01T10:00:00Z", "attempt": 1, "error": "no", "trace": "here"}'::jsonb]`)
	taken, err := (&db.Line{}).Take(t.Context(), b.pool, "me", 5)
	require.NoError(t, err)
	require.Len(t, taken.Jobs, 1)
	require.Empty(t, taken.Unreadable)

	client, err := river.NewClient(riverpgxv5.New(b.pool), &river.Config{Schema: db.Schema})
	require.NoError(t, err)
	want, err := client.JobGet(t.Context(), taken.Jobs[0].ID)
	require.NoError(t, err)
	require.Len(t, want.AttemptedBy, 100)
	require.Equal(t, "me", want.AttemptedBy[99])
	got := taken.Jobs[0]
	require.True(t, want.CreatedAt.Equal(got.CreatedAt) && want.ScheduledAt.Equal(got.ScheduledAt) && want.AttemptedAt.Equal(*got.AttemptedAt))
	got.CreatedAt, got.ScheduledAt, got.AttemptedAt = want.CreatedAt, want.ScheduledAt, want.AttemptedAt
	got.UniqueKey, got.UniqueStates = want.UniqueKey, want.UniqueStates // nothing to a worker
	require.Equal(t, want, got)
}

// A save takes no more than it completes.
func TestSaverTakesInThePlaceOfWhatIsSaved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	save := db.Save{Job: b.running(t, "F1"), Bill: b.priced(t, books, "F1", "WEEK"), At: testNow}
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id) VALUES ('F2'), ('F3')`)
	next := &nextStub{}
	saver := db.NewSaver(b.pool, 5, next)

	outcome, err := saver.Save(t.Context(), save)
	require.NoError(t, err)
	require.Equal(t, db.Billed, outcome)
	require.Empty(t, next.taken.Jobs, "not wanted")

	next.want = true
	save = db.Save{Job: b.running(t, "F4"), Bill: b.priced(t, books, "F4", "WEEK"), At: testNow}
	_, err = saver.Save(t.Context(), save)
	require.NoError(t, err)
	require.Equal(t, []string{`{"flight_id": "F2"}`}, flightsOf(t, next.taken))
	require.Equal(t, save.Job.Client, next.taken.Jobs[0].AttemptedBy[0])

	// A price that is stale completes nothing, so that nothing is taken.
	next.taken = db.Taken{}
	stale := db.Save{Job: b.running(t, "F5"), Bill: b.priced(t, books, "F5", "WEEK"), At: testNow}
	b.exec(t, `UPDATE price_book SET version = version + 1`)
	outcome, err = saver.Save(t.Context(), stale)
	require.NoError(t, err)
	require.Equal(t, db.Stale, outcome)
	require.Empty(t, next.taken.Jobs)
	require.Equal(t, "F3", get[string](t, b, `SELECT flight_id FROM flight_processing_queue WHERE state = 'available'`))
}

type nextStub struct {
	want  bool
	taken db.Taken
	line  db.Line
}

func (n *nextStub) Wanted() bool         { return n.want }
func (n *nextStub) Taken(taken db.Taken) { n.taken.Add(taken) }
func (n *nextStub) Line() *db.Line       { return &n.line }
