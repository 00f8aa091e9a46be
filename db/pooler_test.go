package db_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

var alterRole = regexp.MustCompile(`ALTER ROLE [^;]*`)

// An operator who does what the messages say gets there, and nothing is set for other
// clients before.
func TestOpenThroughPgBouncer(t *testing.T) {
	t.Parallel()
	direct := setupUnstarted(t)
	for _, mode := range []string{"transaction", "session"} {
		bouncer := dbtest.StartPgBouncer(t, direct.url, mode, 1)
		_, err := db.Open(t.Context(), bouncer.URL, db.Options{})
		require.ErrorIs(t, err, db.ErrPooler)
		require.ErrorContains(t, err, "FLIGHTBILL_DATABASE_POOLER")
		require.False(t, db.Away(err), "nobody waits for it")
		require.Equal(t, "on", plainly(t, bouncer.URL, `SHOW jit`), "of the one server connection")
	}

	session := dbtest.StartPgBouncer(t, direct.url, "session", 2)
	pool, err := db.Open(t.Context(), session.URL, db.Options{Pooler: db.SessionPooler, MaxConns: 1})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.Equal(t, "off", get[string](t, &testBundle{pool: pool}, `SHOW jit`))

	transaction := dbtest.StartPgBouncer(t, direct.url, "transaction", 1)
	_, err = db.Open(t.Context(), transaction.URL, db.Options{Pooler: db.TransactionPooler})
	require.ErrorIs(t, err, db.ErrPooler)
	require.False(t, db.Away(err))
	remedy := strings.Join(alterRole.FindAllString(err.Error(), -1), ";")
	require.Equal(t, 3, strings.Count(remedy, "ALTER ROLE"), remedy)
	direct.exec(t, remedy)
	transaction.Stop() // RECONNECT
	transaction.Start(t)
	pool, err = db.Open(t.Context(), transaction.URL, db.Options{Pooler: db.TransactionPooler, MaxConns: 1})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.Equal(t, "pg_catalog, pg_temp off 20s UTC", get[string](t, &testBundle{pool: pool},
		`SELECT concat_ws(' ', current_setting('search_path'), current_setting('jit'), current_setting('idle_in_transaction_session_timeout'), current_setting('timezone'))`))
}

// plainly returns the one value of a query that another application asks.
func plainly(t *testing.T, url, sql string) (value string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	require.NoError(t, conn.QueryRow(t.Context(), sql, pgx.QueryExecModeSimpleProtocol).Scan(&value))
	return value
}
