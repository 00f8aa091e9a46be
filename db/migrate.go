package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/flightbill/flightbill/migrations"
)

// RiverVersion is the version of River's own migrations that flightbill's
// tables and functions were made for.
const RiverVersion = 8

// gooseTable is where goose keeps which of flightbill's migrations are done.
const gooseTable = Schema + ".goose_db_version"

// migrateLockWait is how long a step waits for a lock, and flights behind it.
const migrateLockWait = 5 * time.Second

// Migration is one step, for people.
type Migration struct {
	Line    string `json:"line"` // river or flightbill
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

// MigrateUp brings River's tables and then flightbill's to this binary's
// version and returns the steps it took. Any number of processes may call it
// at once: one migrates, the others wait for it and find nothing to do.
func MigrateUp(ctx context.Context, pool *pgxpool.Pool) ([]Migration, error) {
	var done []Migration
	look := func(found surroundings) (needed bool, err error) { return !found.whole(), found.canMigrate() }
	err := withMigrations(ctx, pool, false, look, func(river *rivermigrate.Migrator[pgx.Tx], provider *goose.Provider, found surroundings) error {
		if found.river < RiverVersion {
			res, err := river.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: RiverVersion})
			if err != nil {
				return fmt.Errorf("migrate River's tables: %w", err)
			}
			for _, v := range res.Versions {
				done = append(done, Migration{Line: "river", Version: int64(v.Version), Name: v.Name, Applied: true})
			}
		}
		results, err := provider.Up(ctx)
		if err != nil {
			return fmt.Errorf("migrate flightbill's tables: %w", err)
		}
		for _, r := range results {
			done = append(done, Migration{Line: "flightbill", Version: r.Source.Version, Name: r.Source.Path, Applied: true})
		}
		return nil
	})
	return done, err
}

// MigrateDown takes back the newest step only: flightbill's, and once none of
// those is left, River's. It returns nil where nothing is left. Where invoices
// have been issued it refuses, with ErrInvoicesIssued, unless they are to be lost.
func MigrateDown(ctx context.Context, pool *pgxpool.Pool, loseInvoices bool) (*Migration, error) {
	var undone *Migration
	look := func(found surroundings) (needed bool, err error) {
		return found.applied > 0 || found.river > 0, found.canTakeBack(ctx, pool, loseInvoices)
	}
	err := withMigrations(ctx, pool, loseInvoices, look, func(river *rivermigrate.Migrator[pgx.Tx], provider *goose.Provider, found surroundings) error {
		if found.applied > 0 {
			result, err := provider.Down(ctx)
			if err != nil {
				return fmt.Errorf("take back flightbill's newest migration: %w", err)
			}
			undone = &Migration{Line: "flightbill", Version: result.Source.Version, Name: result.Source.Path}
			return nil
		}
		res, err := river.Migrate(ctx, rivermigrate.DirectionDown, &rivermigrate.MigrateOpts{MaxSteps: 1})
		if err != nil {
			return fmt.Errorf("take back River's newest migration: %w", err)
		}
		for _, v := range res.Versions {
			undone = &Migration{Line: "river", Version: int64(v.Version), Name: v.Name}
		}
		return nil
	})
	return undone, err
}

// MigrationStatus lists every step of this binary and whether the database has
// it. It changes nothing.
func MigrationStatus(ctx context.Context, pool *pgxpool.Pool) ([]Migration, error) {
	river, provider, err := newMigrators(pool)
	if err != nil {
		return nil, err
	}
	defer provider.Close()
	found, err := lookAround(ctx, pool)
	if err != nil {
		return nil, err
	}
	var list []Migration
	for _, m := range river.AllVersions() {
		if m.Version <= RiverVersion {
			list = append(list, Migration{Line: "river", Version: int64(m.Version), Name: m.Name, Applied: m.Version <= found.river})
		}
	}
	for _, s := range provider.ListSources() {
		list = append(list, Migration{Line: "flightbill", Version: s.Version, Name: s.Path, Applied: s.Version <= found.applied})
	}
	return list, nil
}

// CheckSchema says whether this binary can work with the database: neither
// behind its migrations nor ahead of them, River's among them. It is asked often.
func CheckSchema(ctx context.Context, pool *pgxpool.Pool) error {
	found := surroundings{newest: newestMigration()}
	err := pool.QueryRow(ctx, `
		SELECT (SELECT coalesce(max(version_id), 0) FROM flightbill.goose_db_version WHERE is_applied),
			(SELECT coalesce(max(version), 0) FROM flightbill.river_migration m WHERE coalesce(to_jsonb(m) ->> 'line', 'main') = 'main')`).
		Scan(&found.applied, &found.river)
	switch {
	case SchemaDiffers(err), NoRight(err), err == nil && (found.applied < found.newest || found.river < RiverVersion):
		if found, err = lookAround(ctx, pool); err != nil { // which knows who is to do what
			return err
		}
	case err != nil:
		return fmt.Errorf("read the migration versions: %w", err)
	}
	if err := found.notNewer(); err != nil {
		return err
	}
	switch {
	case found.applied < found.newest:
		return fmt.Errorf("%w: the database is at migration %d, this flightbill needs %d; run flightbill migrate up%s",
			ErrSchemaTooOld, found.applied, found.newest, found.asOwner())
	case found.river < RiverVersion:
		return fmt.Errorf("%w: the database has River's tables of migration %d, this flightbill needs %d; run flightbill migrate up%s",
			ErrSchemaTooOld, found.river, RiverVersion, found.asOwner())
	}
	return nil
}

// newestMigration is the newest of flightbill's migrations that this binary has.
var newestMigration = sync.OnceValue(func() (newest int64) { //nolint:gochecknoglobals // a constant
	files, _ := fs.Glob(migrations.FS, "*.sql") // the pattern is none that is malformed
	for _, file := range files {
		version, _ := goose.NumericComponent(file) // goose refuses one without
		newest = max(newest, version)
	}
	return newest
})

// withMigrations does what a look says is needed, in one process at a time.
func withMigrations(
	ctx context.Context, pool *pgxpool.Pool, loseInvoices bool, look func(surroundings) (needed bool, err error),
	do func(*rivermigrate.Migrator[pgx.Tx], *goose.Provider, surroundings) error,
) error {
	config := pool.Config()
	config.AfterConnect = prepareToMigrate(loseInvoices)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect to migrate: %w", err)
	}
	defer pool.Close()
	river, provider, err := newMigrators(pool)
	if err != nil {
		return err
	}
	defer provider.Close()
	found, err := lookAround(ctx, pool)
	if err != nil {
		return err
	}
	if needed, err := look(found); err != nil || !needed {
		return err
	}
	unlock, err := lockMigrations(ctx, pool, provider, found)
	if err != nil {
		return err
	}
	defer unlock()
	if found, err = lookAround(ctx, pool); err != nil {
		return err
	}
	if needed, err := look(found); err != nil || !needed {
		return err
	}
	err = do(river, provider, found)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == sqlStateLocked {
		return fmt.Errorf("%w now: another transaction has what it changes locked for more than %s, and flights are not to wait longer behind it; "+
			"this step has changed nothing; see pg_stat_activity for who holds the lock, and run it again: %w", ErrCannotMigrate, migrateLockWait, err)
	}
	return err
}

// prepareToMigrate sets what a step is run with. One that waits for a table makes all who
// come after it wait, too. The way down of the invoices looks for issued ones itself, since
// another session may issue one after the look of before, and since goose runs it too.
func prepareToMigrate(loseInvoices bool) func(context.Context, *pgx.Conn) error {
	return func(ctx context.Context, conn *pgx.Conn) error {
		sql := fmt.Sprintf("SET lock_timeout = %d;", migrateLockWait.Milliseconds())
		if loseInvoices {
			sql += "SET flightbill.lose_invoices = on;"
		}
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("set how to migrate: %w", err)
		}
		return nil
	}
}

// lockMigrations waits for other migrations, and keeps them waiting until unlock, or the
// end of this process. Whoever may connect can take an advisory lock; this one is for who
// may write goose's table. goose's own work, readers and dumps do not meet it.
func lockMigrations(ctx context.Context, pool *pgxpool.Pool, provider *goose.Provider, found surroundings) (unlock func(), err error) {
	if !found.schema {
		_, err := pool.Exec(ctx, `CREATE SCHEMA `+Schema)
		if pgErr, _ := errors.AsType[*pgconn.PgError](err); err != nil && (pgErr == nil || pgErr.Code != "42P06" && pgErr.Code != "23505") { // or another process just has
			return nil, fmt.Errorf("make schema %s: %w", Schema, err)
		}
	}
	if _, err := provider.GetDBVersion(ctx); err != nil { // which makes the table
		return nil, fmt.Errorf("make table %s: %w", gooseTable, err)
	}
	// Not a connection of the pool's: those that wait for the lock would take the
	// connections which the one that holds it needs.
	config := pool.Config()
	config.ConnConfig.Tracer = nil // no deadline

	if config.BeforeConnect != nil { // it has the password of now
		if err := config.BeforeConnect(ctx, config.ConnConfig); err != nil {
			return nil, fmt.Errorf("connect to migrate: %w", err)
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("connect to migrate: %w", err)
	}
	unlock = func() { _ = conn.Close(context.WithoutCancel(ctx)) }
	if _, err := conn.Exec(ctx, `BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; LOCK TABLE `+gooseTable+` IN SHARE UPDATE EXCLUSIVE MODE`); err != nil {
		unlock()
		return nil, fmt.Errorf("wait for other migrations: %w", err)
	}
	return unlock, nil
}

// newMigrators returns River's, and goose's, which is to be closed.
func newMigrators(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], *goose.Provider, error) {
	// River logs each step at info; the caller reports them itself.
	river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: Schema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, fmt.Errorf("prepare River's migrations: %w", err)
	}
	sqlDB := stdlib.OpenDBFromPool(pool)
	provider, err := goose.NewProvider(goose.DialectPostgres, sqlDB, migrations.FS,
		goose.WithTableName(gooseTable), goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		_ = sqlDB.Close()
		return nil, nil, fmt.Errorf("read the migrations: %w", err)
	}
	return river, provider, nil
}
