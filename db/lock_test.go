package db_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
)

// Whoever may connect, or read all tables, takes no lock that keeps a migration, a save or
// a run waiting.
func TestStrangersHoldNoLocks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reader, login := b.role(t)
	b.exec(t, `GRANT USAGE ON SCHEMA flightbill TO `+reader)
	b.exec(t, `GRANT SELECT ON ALL TABLES IN SCHEMA flightbill TO `+reader)
	_, stranger := b.roleCalled(t, "none")

	tables := get[[]string](t, b, `SELECT array_agg(oid::regclass::text ORDER BY relname) FROM pg_class WHERE relnamespace = 'flightbill'::regnamespace AND relkind = 'r'`)
	require.Contains(t, tables, "billing_run_lock")
	require.Contains(t, tables, "goose_db_version")
	for who, address := range map[string]string{"a reader": login, "a stranger": stranger} {
		conn, err := pgx.Connect(t.Context(), address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		exec := func(sql string) error {
			_, err := conn.Exec(t.Context(), sql)
			return err
		}
		require.NoError(t, exec(`BEGIN`))
		for _, table := range tables {
			for _, mode := range []string{"ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE", "ACCESS SHARE"} {
				require.NoError(t, exec(`SAVEPOINT s`))
				err := exec(`LOCK TABLE flightbill.` + table + ` IN ` + mode + ` MODE NOWAIT`)
				if who == "a reader" && mode == "ACCESS SHARE" {
					require.NoError(t, err)
					continue // and keeps it
				}
				pgErr, _ := err.(*pgconn.PgError) //nolint:errorlint // as it comes
				require.NotNil(t, pgErr, "%s: %s %s", who, table, mode)
				require.Equal(t, "42501", pgErr.Code, "%s: %s %s", who, table, mode)
				require.NoError(t, exec(`ROLLBACK TO s`))
			}
		}
	}
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM pg_proc WHERE pronamespace = 'flightbill'::regnamespace AND prosrc ~ 'advisory'`), "anybody could take it")

	for _, lock := range []string{ // of a save, a run and a migration
		`billing_run_lock IN ROW SHARE MODE`, `billing_run_lock IN EXCLUSIVE MODE`, `goose_db_version IN SHARE UPDATE EXCLUSIVE MODE`,
	} {
		b.exec(t, `BEGIN; LOCK TABLE `+lock+` NOWAIT; COMMIT`)
	}
}

// A migration waits for another, whose end frees it, however that comes about. Neither
// meets a dump, or goose's own work.
func TestMigrationsWaitForEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := db.MigrateDown(t.Context(), b.pool, false)
	require.NoError(t, err)
	other := b.begin(t, `LOCK TABLE goose_db_version IN SHARE UPDATE EXCLUSIVE MODE`)
	pid := other.Conn().PgConn().PID()
	b.exec(t, `BEGIN; LOCK TABLE goose_db_version IN ACCESS SHARE MODE; LOCK TABLE goose_db_version IN ROW EXCLUSIVE MODE; COMMIT`)

	migrated := meanwhile(t, b, func() ([]db.Migration, error) { return db.MigrateUp(t.Context(), b.pool) })
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'goose_db_version'::regclass`))
	require.ErrorIs(t, db.CheckSchema(t.Context(), b.pool), db.ErrSchemaTooOld)
	b.exec(t, `SELECT pg_terminate_backend($1)`, int(pid))
	_, err = migrated()
	require.NoError(t, err)
	require.NoError(t, db.CheckSchema(t.Context(), b.pool))
}

// Who stands still between a lock and the end of its transaction, as a frozen process
// does, keeps others waiting for 20 s.
func TestTransactionLeftOpenIsEnded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	frozen, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = frozen.Exec(t.Context(), `LOCK TABLE billing_run_lock IN EXCLUSIVE MODE`)
	require.NoError(t, err)
	start := time.Now()
	b.exec(t, `BEGIN; LOCK TABLE billing_run_lock IN ROW SHARE MODE; COMMIT`)
	require.InDelta(t, 20, time.Since(start).Seconds(), 5)
	require.Error(t, frozen.Commit(t.Context()), "nothing of it is left")
}
