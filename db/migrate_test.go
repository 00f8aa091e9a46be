package db_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/internal/dumpschema/schema"
	"github.com/flightbill/flightbill/migrations"
)

// steps is how many migrations there are in all.
const steps = db.RiverVersion + 18

func setupEmpty(t *testing.T) *testBundle {
	t.Helper()
	url := dbtest.EmptyURL(t)
	return &testBundle{url: url, pool: open(t, url, 4)}
}

// schemaOf describes all that is in a schema, as text.
func schemaOf(t *testing.T, b *testBundle, schema string) string {
	t.Helper()
	return get[string](t, b, strings.ReplaceAll(`
		SELECT coalesce(string_agg(line, E'\n' ORDER BY line), '') FROM (
			SELECT concat_ws(' ', 'relation', c.relkind, c.relname, c.reloptions, c.relacl) FROM pg_class c
				WHERE relnamespace = 'flightbill'::regnamespace
			UNION ALL SELECT concat_ws(' ', 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, pg_get_expr(adbin, adrelid))
				FROM pg_attribute JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
				WHERE relnamespace = 'flightbill'::regnamespace AND attnum > 0 AND NOT attisdropped
			UNION ALL SELECT concat_ws(' ', 'view', viewname, definition) FROM pg_views WHERE schemaname = 'flightbill'
			UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
				WHERE connamespace = 'flightbill'::regnamespace AND contype <> 'n'
			UNION ALL SELECT concat_ws(' ', 'index', indexdef) FROM pg_indexes WHERE schemaname = 'flightbill'
			UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid)) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
				WHERE relnamespace = 'flightbill'::regnamespace AND NOT tgisinternal
			UNION ALL SELECT concat_ws(' ', 'function', pg_get_functiondef(oid), proacl) FROM pg_proc
				WHERE pronamespace = 'flightbill'::regnamespace AND prokind = 'f' AND probin IS NULL
			UNION ALL SELECT concat_ws(' ', 'value', enumtypid::regtype, enumsortorder, enumlabel) FROM pg_enum JOIN pg_type y ON y.oid = enumtypid
				WHERE typnamespace = 'flightbill'::regnamespace
		) AS lines (line)`, "'flightbill'", "'"+schema+"'"))
}

// stockGoose is goose as it comes, which keeps its versions in a table.
func stockGoose(t *testing.T, pool *pgxpool.Pool, files fs.FS, table string) *goose.Provider {
	t.Helper()
	provider, err := goose.NewProvider(goose.DialectPostgres, stdlib.OpenDBFromPool(pool), files, goose.WithTableName(table))
	require.NoError(t, err)
	t.Cleanup(func() { _ = provider.Close() })
	return provider
}

// Twenty processes start at once on an empty database: all of them succeed, and
// each step is taken by one of them.
func TestMigrateUpAtOnce(t *testing.T) {
	t.Parallel()
	url := dbtest.EmptyURL(t)
	taken := make(chan []db.Migration, 20)
	var group errgroup.Group
	for range 20 {
		pool := open(t, url, 2)
		group.Go(func() error {
			done, err := db.MigrateUp(t.Context(), pool)
			taken <- done
			return err
		})
	}
	require.NoError(t, group.Wait())
	close(taken)
	times := map[string]int{}
	for done := range taken {
		for _, m := range done {
			require.True(t, m.Applied)
			times[fmt.Sprint(m.Line, m.Version)]++
		}
	}
	require.Len(t, times, steps)
	for step, n := range times {
		require.Equal(t, 1, n, step)
	}
	require.NoError(t, db.CheckSchema(t.Context(), open(t, url, 1)))
}

// Those that wait must not take the connections of the one that migrates.
func TestMigrateUpOnOneConnection(t *testing.T) {
	t.Parallel()
	pool := open(t, dbtest.EmptyURL(t), 1)
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			_, err := db.MigrateUp(t.Context(), pool)
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.NoError(t, db.CheckSchema(t.Context(), pool))
}

func TestMigrateDownAndUpAgain(t *testing.T) {
	t.Parallel()
	b := setupEmpty(t)
	_, err := db.MigrateUp(t.Context(), b.pool)
	require.NoError(t, err)
	made := schemaOf(t, b, db.Schema)
	require.Contains(t, made, "flight_processing_queue")

	all, err := db.MigrationStatus(t.Context(), b.pool)
	require.NoError(t, err)
	for left := steps; left > 0; left-- {
		undone, err := db.MigrateDown(t.Context(), b.pool, false)
		require.NoError(t, err)
		require.NotNil(t, undone)
		require.Equal(t, all[left-1].Version, undone.Version)
		require.Equal(t, left > db.RiverVersion, undone.Line == "flightbill")
		list, err := db.MigrationStatus(t.Context(), b.pool)
		require.NoError(t, err)
		for i, m := range list {
			require.Equal(t, i < left-1, m.Applied, "%s %d after the step down from %d", m.Line, m.Version, left)
		}
	}
	undone, err := db.MigrateDown(t.Context(), b.pool, false)
	require.NoError(t, err)
	require.Nil(t, undone, "nothing is left to take back")
	for line := range strings.Lines(schemaOf(t, b, db.Schema)) {
		require.Contains(t, line, "goose_db_version", "all else is gone")
	}
	require.Equal(t, len(db.RoleNames()), get[int](t, b, `SELECT count(*) FROM pg_roles WHERE rolname = ANY ($1)`, db.RoleNames()), "roles belong to the server")

	done, err := db.MigrateUp(t.Context(), b.pool)
	require.NoError(t, err)
	require.Len(t, done, steps)
	require.Equal(t, made, schemaOf(t, b, db.Schema))
}

func TestMigrationStatusChangesNothing(t *testing.T) {
	t.Parallel()
	b := setupEmpty(t)
	list, err := db.MigrationStatus(t.Context(), b.pool)
	require.NoError(t, err)
	require.Len(t, list, steps)
	for i, m := range list {
		require.False(t, m.Applied)
		require.NotEmpty(t, m.Name)
		require.Equal(t, i >= db.RiverVersion, m.Line == "flightbill")
	}
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`))
	require.ErrorIs(t, db.CheckSchema(t.Context(), b.pool), db.ErrSchemaTooOld)
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`))
}

// The tools that made the tables find nothing to add to them.
func TestMigrationsAreWhole(t *testing.T) {
	t.Parallel()
	pool := open(t, dbtest.URL(t), 4)
	river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: db.Schema})
	require.NoError(t, err)
	result, err := river.Validate(t.Context(), &rivermigrate.ValidateOpts{})
	require.NoError(t, err)
	require.True(t, result.OK, result.Messages)

	provider := stockGoose(t, pool, migrations.FS, "flightbill.goose_db_version")
	pending, err := provider.HasPending(t.Context())
	require.NoError(t, err)
	require.False(t, pending)
	require.Len(t, provider.ListSources(), steps-db.RiverVersion)

	done, err := db.MigrateUp(t.Context(), pool)
	require.NoError(t, err)
	require.Empty(t, done)
	require.NoError(t, db.CheckSchema(t.Context(), pool))
}

// Somebody runs the files with goose alone.
func TestMigrateWithoutRiver(t *testing.T) {
	t.Parallel()
	b := setupEmpty(t)
	provider := stockGoose(t, b.pool, migrations.FS, "flightbill.goose_db_version")
	const hint = `Run "flightbill migrate up"`

	b.exec(t, `CREATE SCHEMA flightbill`)
	_, err := stockGoose(t, b.pool, migrations.FS, "public.goose_db_version").Up(t.Context())
	requireSQLError(t, err, raised, "table flightbill.goose_db_version", hint, "-table flightbill.goose_db_version")
	_, err = provider.Up(t.Context())
	requireSQLError(t, err, raised, "the tables of River are missing", hint, "river migrate-up --line main")
	river, err := rivermigrate.New(riverpgxv5.New(b.pool), &rivermigrate.Config{Schema: db.Schema})
	require.NoError(t, err)
	_, err = river.Migrate(t.Context(), rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: 6})
	require.NoError(t, err)
	_, err = provider.Up(t.Context())
	requireSQLError(t, err, raised, "older than its migration 7", hint)

	_, err = river.Migrate(t.Context(), rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: db.RiverVersion})
	require.NoError(t, err)
	_, err = provider.Up(t.Context())
	require.NoError(t, err)
	require.NoError(t, db.CheckSchema(t.Context(), b.pool))
}

// A database that a newer flightbill, or a newer River, has migrated is not worked on.
func TestSchemaTooNew(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		`goose_db_version (version_id, is_applied) VALUES (9000, true)`:    "a newer flightbill has migrated it to 9000",
		`river_migration (line, version) VALUES ('main', 9), ('pro', 200)`: "a newer River has migrated its tables to 9, this flightbill works with 8",
	} {
		b := setup(t)
		b.exec(t, `INSERT INTO `+version)
		before := schemaOf(t, b, db.Schema)
		for _, err := range []error{
			func() error { _, err := db.MigrateUp(t.Context(), b.pool); return err }(),
			func() error { _, err := db.MigrateDown(t.Context(), b.pool, true); return err }(),
			db.CheckSchema(t.Context(), b.pool),
		} {
			require.ErrorIs(t, err, db.ErrSchemaTooNew)
			require.ErrorContains(t, err, want)
		}
		require.Equal(t, before, schemaOf(t, b, db.Schema))
	}
}

// A step that has to wait for somebody's transaction gives up, before flights have waited
// long behind it, and changes nothing.
func TestMigrateUpGivesUpWaiting(t *testing.T) {
	t.Parallel()
	b := setupEmpty(t)
	b.exec(t, `CREATE SCHEMA flightbill`)
	river, err := rivermigrate.New(riverpgxv5.New(b.pool), &rivermigrate.Config{Schema: db.Schema})
	require.NoError(t, err)
	_, err = river.Migrate(t.Context(), rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: db.RiverVersion})
	require.NoError(t, err)
	report := b.begin(t, `SELECT FROM flightbill.river_job`)
	began := time.Now()
	_, err = db.MigrateUp(t.Context(), b.pool)
	require.ErrorIs(t, err, db.ErrCannotMigrate)
	require.ErrorContains(t, err, "has what it changes locked for more than 5s")
	require.Less(t, time.Since(began), 20*time.Second)
	require.Zero(t, get[int](t, b, `SELECT max(version_id)::int FROM goose_db_version`))
	end(t, report, true)
	_, err = db.MigrateUp(t.Context(), b.pool)
	require.NoError(t, err)
}

// A migration connects for its lock by itself: with the password of now, too.
func TestMigrateReadsThePasswordAnew(t *testing.T) {
	t.Parallel()
	b := setupEmpty(t)
	role, login := b.role(t)
	b.exec(t, `ALTER ROLE `+role+` SUPERUSER`)
	file := login
	pool, err := db.Open(t.Context(), login, db.Options{ReadURL: func() (string, error) { return file, nil }})
	require.NoError(t, err)
	defer pool.Close()
	b.exec(t, `ALTER ROLE `+role+` PASSWORD 'another'`)
	file = strings.Replace(login, ":secret@", ":another@", 1)
	done, err := db.MigrateUp(t.Context(), pool)
	require.NoError(t, err)
	require.Len(t, done, steps)
}

// tracedQueries are what a pool has sent.
type tracedQueries struct{ sent []string }

func (q *tracedQueries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	q.sent = append(q.sent, data.SQL)
	return ctx
}

func (q *tracedQueries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// The versions are asked for each second and by whoever asks /readyz: it takes one query,
// of two small tables.
func TestCheckSchemaIsCheap(t *testing.T) {
	t.Parallel()
	b := setup(t)
	config := b.pool.Config()
	traced := &tracedQueries{}
	config.ConnConfig.Tracer, config.MaxConns = traced, 1
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer pool.Close()
	require.NoError(t, db.CheckSchema(t.Context(), pool))
	b.exec(t, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, true)`)
	require.ErrorIs(t, db.CheckSchema(t.Context(), pool), db.ErrSchemaTooNew)
	require.Len(t, traced.sent, 2)
	for _, sql := range traced.sent {
		require.NotContains(t, sql, "pg_", "no catalog")
	}
}

func TestSchemaTooOld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := db.MigrateDown(t.Context(), b.pool, false)
	require.NoError(t, err)
	err = db.CheckSchema(t.Context(), b.pool)
	require.ErrorIs(t, err, db.ErrSchemaTooOld)
	require.ErrorContains(t, err, "run flightbill migrate up")
	done, err := db.MigrateUp(t.Context(), b.pool)
	require.NoError(t, err)
	require.Len(t, done, 1, "the missing step only")
	require.Equal(t, 4, get[int](t, b, `SELECT count(*) FROM customers`))

	b.exec(t, `DELETE FROM river_migration WHERE version = 8`)
	err = db.CheckSchema(t.Context(), b.pool)
	require.ErrorIs(t, err, db.ErrSchemaTooOld)
	require.ErrorContains(t, err, "River's tables of migration 7, this flightbill needs 8")
}

// db/schema.sql shows the database as the migrations make it.
func TestSchemaFile(t *testing.T) {
	t.Parallel()
	b := setupUnstarted(t)
	if major := get[string](t, b, `SELECT split_part(current_setting('server_version'), '.', 1)`); major != schema.Major {
		t.Skipf("the file comes from Postgres %s, this server is %s: set FLIGHTBILL_TEST_POSTGRES=%s", schema.Major, major, schema.Major)
	}
	dump, err := schema.Dump(t.Context(), b.url)
	if errors.Is(err, schema.ErrNoDump) {
		t.Skip(err)
	}
	require.NoError(t, err)
	file, err := os.ReadFile("schema.sql")
	require.NoError(t, err)
	if dump != string(file) {
		t.Errorf("schema.sql is not what the migrations make: run go run ./internal/dumpschema\n%s", firstDifference(string(file), dump))
	}
}

// The database as the server itself writes it down, for pg_dump, is read again as the same.
func TestSchemaIsReadAgain(t *testing.T) {
	t.Parallel()
	b, loaded := setup(t), setupEmpty(t)
	file, err := os.ReadFile("schema.sql")
	require.NoError(t, err)
	conn, err := loaded.pool.Acquire(t.Context())
	require.NoError(t, err)
	_, err = conn.Conn().PgConn().Exec(t.Context(), string(file)+"RESET search_path;").ReadAll()
	conn.Release()
	require.NoError(t, err)
	const definitions = `
		SELECT string_agg(d, E'\n' ORDER BY d COLLATE "C") FROM (
			SELECT format('%s %s %s', coalesce(nullif(conrelid, 0)::regclass::text, contypid::regtype::text), conname, pg_get_constraintdef(oid)) FROM pg_constraint
			WHERE connamespace = 'flightbill'::regnamespace AND contype <> 'n'
			UNION ALL SELECT pg_get_indexdef(i.oid) FROM pg_class i WHERE relnamespace = 'flightbill'::regnamespace AND relkind = 'i'
			UNION ALL SELECT format('%s %s', v.oid::regclass, pg_get_viewdef(v.oid)) FROM pg_class v WHERE relnamespace = 'flightbill'::regnamespace AND relkind = 'v'
			UNION ALL SELECT pg_get_triggerdef(g.oid) FROM pg_trigger g WHERE NOT tgisinternal
			UNION ALL SELECT pg_get_functiondef(p.oid) FROM pg_proc p WHERE pronamespace = 'flightbill'::regnamespace AND prokind = 'f'
		) AS all_of_them (d)`
	written := func(url string) (text string) {
		bare := open(t, url, 1)
		_, err := bare.Exec(t.Context(), `SET search_path = pg_catalog`) // names are then written whole, whatever a login's is
		require.NoError(t, err)
		require.NoError(t, bare.QueryRow(t.Context(), definitions).Scan(&text))
		return text
	}
	if made, read := written(b.url), written(loaded.url); made != read {
		t.Errorf("schema.sql is read as something else: %s", firstDifference(read, made))
	}

	// Where the file comes from another version, that does not show what this server writes.
	b.exec(t, `DO $$
		DECLARE
			c record;
		BEGIN
			FOR c IN SELECT conname, conrelid::regclass AS of_table, contypid::regtype AS of_type, contypid <> 0 AS of_domain, pg_get_constraintdef(oid) AS written
				FROM pg_constraint WHERE connamespace = 'flightbill'::regnamespace AND contype = 'c'
			LOOP
				EXECUTE format('ALTER %s %s ADD CONSTRAINT again %s', CASE WHEN c.of_domain THEN 'DOMAIN' ELSE 'TABLE' END,
					CASE WHEN c.of_domain THEN c.of_type::text ELSE c.of_table::text END, c.written);
				IF c.written <> (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'again') THEN
					RAISE EXCEPTION '%: % is read as something else', c.conname, c.written;
				END IF;
				EXECUTE format('ALTER %s %s DROP CONSTRAINT again', CASE WHEN c.of_domain THEN 'DOMAIN' ELSE 'TABLE' END,
					CASE WHEN c.of_domain THEN c.of_type::text ELSE c.of_table::text END);
			END LOOP;
		END
	$$`)
}

func firstDifference(file, made string) string {
	want := strings.Split(made, "\n")
	for i, line := range strings.Split(file, "\n") {
		if i >= len(want) || line != want[i] {
			return fmt.Sprintf("line %d of the file: %q", i+1, line)
		}
	}
	return "the file ends too early"
}
