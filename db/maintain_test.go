package db_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

const invalidIndexes = `SELECT coalesce(string_agg(relname, ' '), '') FROM pg_index JOIN pg_class c ON c.oid = indexrelid
	WHERE indrelid = 'flightbill.river_job'::regclass AND NOT indisvalid`

// What a rebuilding that was cut short has left goes, and the indexes are made anew.
func TestMaintain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `SELECT enqueue_flights(array_agg('F' || n)) FROM generate_series(1, 2000) AS n`)
	b.exec(t, `DELETE FROM river_job WHERE id > 10`)
	writer := b.begin(t, `INSERT INTO flight_processing_queue (flight_id) VALUES ('W')`)
	cut := b.session(t, `SET statement_timeout = '300ms'`)
	_, err := cut.Exec(t.Context(), `REINDEX INDEX CONCURRENTLY flightbill.river_job_pkey`)
	require.ErrorContains(t, err, "statement timeout")
	require.NoError(t, writer.Commit(t.Context()))
	require.Equal(t, "river_job_pkey_ccnew", get[string](t, b, invalidIndexes))
	before := get[int64](t, b, `SELECT pg_relation_size('river_job_pkey')`)

	// Somebody else is at it: what there is may be in the making.
	other := b.begin(t, `LOCK TABLE flightbill.river_job IN SHARE UPDATE EXCLUSIVE MODE`)
	var told []string
	err = db.Maintain(t.Context(), b.pool, []string{"river_job_pkey", "river_job_flight_idx"}, func(line string) {
		told = append(told, line)
		if strings.HasPrefix(line, "waiting") {
			require.Equal(t, "river_job_pkey_ccnew", get[string](t, b, invalidIndexes))
			require.NoError(t, other.Commit(t.Context()))
		}
	})
	require.NoError(t, err)
	require.Len(t, told, 4)
	require.Equal(t, "waiting: somebody else vacuums river_job, or rebuilds an index of it", told[0])
	require.Equal(t, "river_job_pkey_ccnew: left of a run that was cut short, removed", told[1])
	require.Regexp(t, `^river_job_pkey: \d+ kB, was \d+ kB; rebuilt in `, told[2])
	require.Regexp(t, `^river_job_flight_idx: `, told[3])
	require.Empty(t, get[string](t, b, invalidIndexes))
	require.Less(t, get[int64](t, b, `SELECT pg_relation_size('river_job_pkey')`), before)
}

// River rebuilds its indexes itself where its login may.
func TestReindexByTheServer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	serving := open(t, dbtest.As(t, b.url, "flightbill_server"), 1)
	rights, err := db.ReadRights(t.Context(), serving)
	require.NoError(t, err)
	may := get[bool](t, b, `SELECT current_setting('server_version_num')::int >= 170000`)
	require.Equal(t, db.Rights{User: "flightbill_server", Serve: true, Reindex: may}, rights)
	_, err = serving.Exec(t.Context(), `REINDEX INDEX CONCURRENTLY flightbill.river_job_pkey`)
	if may {
		require.NoError(t, err)
	} else {
		requireSQLError(t, err, noPrivilege)
	}
	err = db.Maintain(t.Context(), open(t, dbtest.As(t, b.url, "flightbill_accountant"), 1), []string{"river_job_pkey"}, func(string) {})
	require.True(t, db.NoRight(err))

	owner, err := db.ReadRights(t.Context(), b.pool)
	require.NoError(t, err)
	require.True(t, owner.Serve && owner.Owner && owner.Reindex)
	reader, err := db.ReadRights(t.Context(), open(t, dbtest.As(t, b.url, "flightbill_reporter"), 1))
	require.NoError(t, err)
	require.Equal(t, db.Rights{User: "flightbill_reporter"}, reader)
}
