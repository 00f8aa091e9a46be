package db_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// Facts are wanted from when a job was made or fell due, whichever was later.
func TestFlightsToReadSince(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id, process_after) VALUES ('F1', now() - interval '1 day'), ('F2', NULL)`)
	b.exec(t, `INSERT INTO river_job (kind, args, queue, priority, max_attempts, created_at, scheduled_at, state)
		VALUES ('ingest_flight', '{"flight_id": "F3"}', 'flights', 1, 25, now() - interval '1 hour', now() - interval '1 minute', 'available')`)
	rows, err := dbsqlc.New(b.pool).QueueNextToRead(t.Context(), dbsqlc.QueueNextToReadParams{Client: "me", Most: 5})
	require.NoError(t, err)
	want := map[string]string{"F1": "created_at", "F2": "created_at", "F3": "scheduled_at"}
	require.Len(t, rows, len(want))
	for _, row := range rows {
		since := get[time.Time](t, b, `SELECT `+want[row.FlightID]+` FROM river_job WHERE id = $1`, row.ID)
		require.True(t, since.Equal(row.Since), "%s: %s, and not %s", row.FlightID, since, row.Since)
	}
}

// No two processes read the same flights ahead, at the very same moment either.
func TestFlightsToRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id, priority) SELECT 'F' || n, 1 + n / 5 FROM generate_series(1, 9) AS n`)
	var shared bool
	find := func(q *dbsqlc.Queries, client string, most int32, kept ...int64) (string, []int64, error) {
		rows, err := q.QueueNextToRead(context.WithoutCancel(t.Context()), dbsqlc.QueueNextToReadParams{Client: client, Kept: kept, Most: most})
		var flights []string
		var ids []int64
		for _, row := range rows {
			flights, ids = append(flights, row.FlightID), append(ids, row.ID)
			shared = row.Shared
		}
		return strings.Join(flights, " "), ids, err
	}
	toRead := func(client string, most int32, kept ...int64) (string, []int64) {
		t.Helper()
		flights, ids, err := find(dbsqlc.New(b.pool), client, most, kept...)
		require.NoError(t, err)
		return flights, ids
	}
	first, ids := toRead("one", 3)
	require.Equal(t, "F1 F2 F3", first)
	require.False(t, shared)
	other, _ := toRead("other", 3)
	require.True(t, shared)
	require.Equal(t, "F4 F5 F6", other)
	first, _ = toRead("one", 2)
	require.Equal(t, "F1 F2", first, "its own")
	other, _ = toRead("other", 5)
	require.Equal(t, "F3 F4 F5 F6 F7", other, "F3 has been let go")
	toRead("one", 0, ids[1])
	third, _ := toRead("third", 5)
	require.Equal(t, "F1 F8 F9", third, "one has kept F2")

	b.exec(t, `UPDATE flights_being_read SET until = now() - interval '1 second' WHERE client = 'other'`)
	first, _ = toRead("one", 9)
	require.Equal(t, "F2 F3 F4 F5 F6 F7", first, "what a process that has gone was reading")
	require.Equal(t, "one third", get[string](t, b, `SELECT string_agg(client, ' ' ORDER BY client) FROM flights_being_read`))

	b.exec(t, `DELETE FROM flights_being_read`)
	tx := b.begin(t)
	first, _, err := find(dbsqlc.New(tx), "one", 4)
	require.NoError(t, err)
	later := meanwhile(t, b, func() (string, error) {
		flights, _, err := find(dbsqlc.New(b.pool), "other", 4)
		return flights, err
	})
	require.NoError(t, tx.Commit(t.Context()))
	other, err = later()
	require.NoError(t, err)
	require.Equal(t, "F1 F2 F3 F4, F5 F6 F7 F8", first+", "+other)
}

// What has been read is taken before what stands ahead of it, except once a second.
func TestTakeFlightsThatAreRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id) SELECT 'F' || n FROM generate_series(1, 9) AS n`)
	var read []int64
	line := &db.Line{Read: func(most int) []int64 {
		next := read[:min(most, len(read))]
		read = read[len(next):]
		return next
	}}
	take := func(most int, ids ...string) string {
		read = get[[]int64](t, b, `SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM river_job WHERE args ->> 'flight_id' = ANY ($1)`, ids)
		taken, err := line.Take(t.Context(), b.pool, "me", most)
		require.NoError(t, err)
		require.Empty(t, taken.Unreadable)
		flights := flightsOf(t, taken)
		slices.Sort(flights)
		return strings.NewReplacer(`{"flight_id": "`, "", `"}`, "").Replace(strings.Join(flights, " "))
	}
	began := time.Now()
	taken := []string{take(1, "F9"), take(2, "F5", "F6"), take(2, "F5", "F8")}
	if time.Since(began) < time.Second { // else it has been at the front meanwhile
		require.Equal(t, []string{"F1", "F5 F6", "F7 F8"}, taken, "F5 has been taken; those behind the last one come next")
	}
	waiting := func() []string {
		return get[[]string](t, b, `SELECT array_agg(flight_id ORDER BY flight_id) FROM flight_processing_queue WHERE state = 'available'`)
	}
	time.Sleep(1100 * time.Millisecond)
	require.Equal(t, waiting()[0], take(1, "F9"), "once a second it goes to the front")

	// Somebody else takes the next one at this moment.
	tx, next := b.begin(t), waiting()
	_, err := tx.Exec(t.Context(), `SELECT FROM river_job WHERE args ->> 'flight_id' = $1 FOR UPDATE`, next[0])
	require.NoError(t, err)
	require.Equal(t, next[1], take(1, next[0]), "nobody waits for it")
}
