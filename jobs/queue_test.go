package jobs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// flightIDs draws ids that can be enqueued.
func flightIDs() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[A-Za-z0-9]([A-Za-z0-9 ._:/+#@~-]{0,126}[A-Za-z0-9._:/+#@~-])?`),
		rapid.SampledFrom([]string{"0", "a b", "EI123/2026-11-23", "A ._:/+#@~-", strings.Repeat("z", 128), "null", "1e5"}),
	)
}

// The SQL interface and River's client make the same job of a flight, and each
// finds the other's.
func TestEnqueuedAlikeBySQLAndRiver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	service := b.service(t)
	const jobSQL = `SELECT (to_jsonb(j) - ARRAY['id', 'created_at', 'scheduled_at'] || jsonb_build_object('metadata', metadata - 'enqueued_by'))::text FROM river_job j`
	byRiver := func(tx pgx.Tx, id string) (*rivertype.JobInsertResult, error) {
		return service.Client().InsertTx(t.Context(), tx, jobs.IngestFlightArgs{FlightID: id}, nil)
	}
	rapid.Check(t, func(rt *rapid.T) {
		id := flightIDs().Draw(rt, "id")
		var made, found [2]string
		for i, sqlFirst := range []bool{true, false} {
			tx, err := b.owner.Begin(t.Context())
			require.NoError(rt, err)
			defer func() { _ = tx.Rollback(context.Background()) }()
			if !sqlFirst {
				result, err := byRiver(tx, id)
				require.NoError(rt, err)
				require.False(rt, result.UniqueSkippedAsDuplicate)
			}
			_, err = tx.Exec(t.Context(), `INSERT INTO flight_processing_queue (flight_id) VALUES ($1)`, id)
			require.NoError(rt, err)
			require.NoError(rt, tx.QueryRow(t.Context(), jobSQL).Scan(&made[i]))
			var marked bool // by SQL alone
			require.NoError(rt, tx.QueryRow(t.Context(), `SELECT metadata = jsonb_build_object('enqueued_by', session_user) FROM river_job`).Scan(&marked))
			require.Equal(rt, sqlFirst, marked)
			if sqlFirst {
				result, err := byRiver(tx, id)
				require.NoError(rt, err)
				require.True(rt, result.UniqueSkippedAsDuplicate)
			} else {
				_, err = tx.Exec(t.Context(), `SELECT enqueue_flights(ARRAY[$1])`, id)
				require.NoError(rt, err)
			}
			require.NoError(rt, tx.QueryRow(t.Context(), `SELECT string_agg(flight_id, '|') FROM flight_processing_queue`).Scan(&found[i]))
			require.NoError(rt, tx.Rollback(t.Context()))
		}
		require.Equal(rt, [2]string{id, id}, found, "one job, whoever came first")
		require.Equal(rt, made[0], made[1])
		require.Contains(rt, made[0], `"unique_key": "\\x`)
		require.Contains(rt, made[0], `"unique_states": "11110101"`)
	})
}

func TestValidFlightIDAgreesWithSQL(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ids := rapid.SliceOfN(rapid.OneOf(
		flightIDs(),
		rapid.String(),
		rapid.StringMatching(`[ ._:/+#@~-][A-Za-z0-9]*`),
		rapid.StringMatching(`[A-Za-z0-9]{1,5}[^A-Za-z0-9]?[A-Za-z0-9]{0,5}\n?`),
		rapid.StringMatching(`[A-Za-z0-9]{126,130}`),
		rapid.SampledFrom([]string{"", "\n", "A ", "A  ", "A\n", "A\nB", "É1", "1É", "٣", "Ⅷ", "a\u0301", "A\t", "A\"", `A\`, "A'", "A%", "A_"}),
	), 50, 50)
	rapid.Check(t, func(rt *rapid.T) {
		var want, got []bool
		var sent []string
		for _, id := range ids.Draw(rt, "ids") {
			if !strings.Contains(id, "\x00") { // no text to Postgres
				sent = append(sent, id)
				want = append(want, db.ValidFlightID(id))
			}
		}
		rows, err := b.pool.Query(t.Context(), `SELECT flight_id_is_valid(id) FROM unnest($1::text[]) WITH ORDINALITY AS u (id, n) ORDER BY n`, sent)
		require.NoError(rt, err)
		got, err = pgx.CollectRows(rows, pgx.RowTo[bool])
		require.NoError(rt, err)
		require.Equal(rt, want, got, "%q", sent)
	})
	require.True(t, db.ValidFlightID(strings.Repeat("a", 128)))
	for _, id := range []string{"", strings.Repeat("a", 129), "A\n", " A", "A ", "É1", "A\x00"} {
		require.False(t, db.ValidFlightID(id), "%q", id)
	}
}

// Inserting wakes workers once a transaction, however many rows.
func TestOneNoticeATransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	heard := b.notices(t, jobs.FlightsQueue)
	end := (pgx.Tx).Commit
	rollback := (pgx.Tx).Rollback

	for _, c := range []struct {
		name, sql string
		end       func(pgx.Tx, context.Context) error
		notices   int
		jobs      int
	}{
		{"view", `INSERT INTO flight_processing_queue (flight_id) SELECT 'A' || n FROM generate_series(1, 1000) AS n`, end, 1, 1000},
		{"view, queued already", `INSERT INTO flight_processing_queue (flight_id) VALUES ('A1')`, end, 0, 1000},
		{"function", `SELECT enqueue_flights(array_agg('B' || n)) FROM generate_series(1, 1000) AS n`, end, 1, 2000},
		{"function, queued already", `SELECT enqueue_flights(ARRAY['B1', 'B2'])`, end, 0, 2000},
		{"view, for later", `INSERT INTO flight_processing_queue (flight_id, process_after) VALUES ('C1', now() + interval '1 hour')`, end, 0, 2001},
		{"function, for later", `SELECT enqueue_flights(ARRAY['C2'], process_after => now() + interval '1 hour')`, end, 0, 2002},
		{"view, rolled back", `INSERT INTO flight_processing_queue (flight_id) VALUES ('D1')`, rollback, 0, 2002},
		{"function, rolled back", `SELECT enqueue_flights(ARRAY['D1'])`, rollback, 0, 2002},
		{"view, twice, and function", `INSERT INTO flight_processing_queue (flight_id) VALUES ('D1');
			INSERT INTO flight_processing_queue (flight_id) VALUES ('D2'); SELECT enqueue_flights(ARRAY['D3'])`, end, 1, 2005},
		{"function and view", `SELECT enqueue_flights(ARRAY['E1']); INSERT INTO flight_processing_queue (flight_id) VALUES ('E2')`, end, 1, 2007},
		{"view, the first rolled back", `SAVEPOINT s; INSERT INTO flight_processing_queue (flight_id) VALUES ('G1'); ROLLBACK TO s;
			INSERT INTO flight_processing_queue (flight_id, process_after) VALUES ('G2', '2026-03-01 12:00:00.5+05:30')`, end, 1, 2008},
		{"view, in a savepoint that stays", `SAVEPOINT s; INSERT INTO flight_processing_queue (flight_id) VALUES ('H1'); RELEASE s;
			INSERT INTO flight_processing_queue (flight_id) VALUES ('H2')`, end, 1, 2010},
		{"view, in a block that fails", `DO $$ BEGIN
				BEGIN INSERT INTO flight_processing_queue (flight_id) VALUES ('I1'); PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END;
				PERFORM enqueue_flights(ARRAY['I2']);
			END $$`, end, 1, 2011},
	} {
		tx := b.begin(t, c.sql)
		require.NoError(t, c.end(tx, t.Context()), c.name)
		require.Equal(t, c.notices, heard(), c.name)
		require.Equal(t, c.jobs, get[int](t, b, `SELECT count(*) FROM river_job`), c.name)
	}
}

// notices listens to the notices of new jobs, all of one queue; heard counts those since it
// was called.
func (b *testBundle) notices(t *testing.T, queue string) (heard func() int) {
	t.Helper()
	listener, err := pgx.Connect(t.Context(), b.pool.Config().ConnString())
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close(context.Background()) })
	_, err = listener.Exec(t.Context(), `LISTEN "flightbill.river_insert"`)
	require.NoError(t, err)
	return func() (notices int) {
		b.exec(t, `SELECT pg_notify('flightbill.river_insert', 'end')`) // notices come in the order of commits
		for {
			notice, err := listener.WaitForNotification(t.Context())
			require.NoError(t, err)
			if notice.Payload == "end" {
				return notices
			}
			require.JSONEq(t, `{"queue": "`+queue+`"}`, notice.Payload)
			notices++
		}
	}
}

// While a process works off a queue, flights that are enqueued one by one need no
// notice, and are found all the same, at once when the queue runs dry.
func TestBusyProcessNeedsNoNotices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const queued, singles = 5000, 200
	b.landed(t, 1, queued+singles)
	b.enqueueMany(t, 1, queued, 1)
	b.start(t, workers(2))
	b.waitFor(t, "it has promised to look", 1, `SELECT count(*) FROM queue_promises WHERE until > now()`)
	heard := b.notices(t, jobs.FlightsQueue)
	for n := 1; n <= singles; n++ {
		b.enqueue(t, fmt.Sprintf("F%d", queued+n))
	}
	last := time.Now()
	left := queued + singles - b.billedCount(t)
	b.waitForBilled(t, queued+singles)
	notices := heard()
	t.Logf("%d flights were left when the last was enqueued, billed %s later; %d notices for %d", left, time.Since(last), notices, singles)
	require.Less(t, notices, singles/4)
	b.waitFor(t, "an idle process has promised nothing", 0, `SELECT count(*) FROM queue_promises WHERE until > now()`)
}

// A transaction that has seen a promise, and commits when it is no more, has sent no
// notice: its flight waits for River's poll.
func TestPromiseIsOverBeforeTheCommit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.landed(t, 1, 3001)
	b.enqueueMany(t, 1, 3000, 1)
	b.start(t, workers(2))
	b.waitFor(t, "it has promised to look", 1, `SELECT count(*) FROM queue_promises WHERE until > now()`)
	heard := b.notices(t, jobs.FlightsQueue)
	tx := b.begin(t, `INSERT INTO flight_processing_queue (flight_id) VALUES ('F3001')`)
	b.waitForBilled(t, 3000)
	b.waitFor(t, "the promise is withdrawn", 0, `SELECT count(*) FROM queue_promises WHERE until > now()`)
	require.NoError(t, tx.Commit(t.Context()))
	committed := time.Now()
	b.waitForBilled(t, 3001)
	t.Logf("billed %s after the commit", time.Since(committed))
	require.Less(t, time.Since(committed), 2*time.Second)
	require.Zero(t, heard())
}
