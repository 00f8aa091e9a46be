package db

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
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

// migrateLockKey is held by the one process that migrates; the others wait.
const migrateLockKey = 4638707616191610990

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
	err := withMigrations(ctx, pool, func(river *rivermigrate.Migrator[pgx.Tx], provider *goose.Provider) error {
		if err := checkNotNewer(ctx, provider); err != nil {
			return err
		}
		version, err := riverVersion(ctx, river)
		if err != nil {
			return err
		}
		if version < RiverVersion {
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
// those is left, River's. It returns nil where nothing is left.
func MigrateDown(ctx context.Context, pool *pgxpool.Pool) (*Migration, error) {
	var undone *Migration
	err := withMigrations(ctx, pool, func(river *rivermigrate.Migrator[pgx.Tx], provider *goose.Provider) error {
		if err := checkNotNewer(ctx, provider); err != nil {
			return err
		}
		result, err := provider.Down(ctx)
		if err == nil {
			undone = &Migration{Line: "flightbill", Version: result.Source.Version, Name: result.Source.Path}
			return nil
		}
		if !errors.Is(err, goose.ErrNoNextVersion) {
			return fmt.Errorf("take back flightbill's newest migration: %w", err)
		}
		version, err := riverVersion(ctx, river)
		if err != nil || version == 0 {
			return err
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
	provider, closeDB, err := newProvider(pool)
	if err != nil {
		return nil, err
	}
	defer closeDB()
	river, err := newRiverMigrator(pool)
	if err != nil {
		return nil, err
	}
	riverAt, err := riverVersion(ctx, river)
	if err != nil {
		return nil, err
	}
	applied, err := appliedVersion(ctx, pool)
	if err != nil {
		return nil, err
	}
	var list []Migration
	for _, m := range river.AllVersions() {
		if m.Version <= RiverVersion {
			list = append(list, Migration{Line: "river", Version: int64(m.Version), Name: m.Name, Applied: m.Version <= riverAt})
		}
	}
	for _, s := range provider.ListSources() {
		list = append(list, Migration{Line: "flightbill", Version: s.Version, Name: s.Path, Applied: s.Version <= applied})
	}
	return list, nil
}

// CheckSchema says whether this binary can work with the database: neither
// behind its migrations nor ahead of them.
func CheckSchema(ctx context.Context, pool *pgxpool.Pool) error {
	provider, closeDB, err := newProvider(pool)
	if err != nil {
		return err
	}
	defer closeDB()
	applied, err := appliedVersion(ctx, pool)
	if err != nil {
		return err
	}
	sources := provider.ListSources()
	newest := sources[len(sources)-1].Version
	switch {
	case applied > newest:
		return tooNew(applied, newest)
	case applied < newest:
		return fmt.Errorf("%w: the database is at migration %d, this flightbill needs %d; run flightbill migrate up",
			ErrSchemaTooOld, applied, newest)
	}
	return nil
}

func withMigrations(ctx context.Context, pool *pgxpool.Pool, do func(*rivermigrate.Migrator[pgx.Tx], *goose.Provider) error) error {
	// Not one of the pool's: those that wait for the lock would take the
	// connections which the one that holds it needs.
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig)
	if err != nil {
		return fmt.Errorf("connect to migrate: %w", err)
	}
	// To close the connection gives the lock back.
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(migrateLockKey)); err != nil {
		return fmt.Errorf("wait for other migrations: %w", err)
	}

	provider, closeDB, err := newProvider(pool)
	if err != nil {
		return err
	}
	defer closeDB()
	river, err := newRiverMigrator(pool)
	if err != nil {
		return err
	}
	return do(river, provider)
}

func newProvider(pool *pgxpool.Pool) (*goose.Provider, func(), error) {
	sqlDB := stdlib.OpenDBFromPool(pool)
	provider, err := goose.NewProvider(goose.DialectPostgres, sqlDB, migrations.FS,
		goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		_ = sqlDB.Close()
		return nil, nil, fmt.Errorf("read the migrations: %w", err)
	}
	return provider, func() { _ = sqlDB.Close() }, nil
}

func newRiverMigrator(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	// River logs each step at info; the caller reports them itself.
	river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("prepare River's migrations: %w", err)
	}
	return river, nil
}

func riverVersion(ctx context.Context, river *rivermigrate.Migrator[pgx.Tx]) (int, error) {
	versions, err := river.ExistingVersions(ctx)
	if err != nil {
		return 0, fmt.Errorf("read River's migration version: %w", err)
	}
	newest := 0
	for _, v := range versions {
		newest = max(newest, v.Version)
	}
	return newest, nil
}

func appliedVersion(ctx context.Context, pool *pgxpool.Pool) (int64, error) {
	var exists bool
	if err := pool.QueryRow(ctx, `SELECT to_regclass('public.goose_db_version') IS NOT NULL`).Scan(&exists); err != nil {
		return 0, fmt.Errorf("look for the migration table: %w", err)
	}
	if !exists {
		return 0, nil
	}
	var version int64
	if err := pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version); err != nil {
		return 0, fmt.Errorf("read the migration version: %w", err)
	}
	return version, nil
}

func checkNotNewer(ctx context.Context, provider *goose.Provider) error {
	version, err := provider.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the migration version: %w", err)
	}
	sources := provider.ListSources()
	if newest := sources[len(sources)-1].Version; version > newest {
		return tooNew(version, newest)
	}
	return nil
}

func tooNew(version, newest int64) error {
	return fmt.Errorf("%w: a newer flightbill has migrated it to %d, this one knows migrations up to %d; run the newer flightbill",
		ErrSchemaTooNew, version, newest)
}
