package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/embedded"
)

// connections that a process needs beside those of its workers: River's own,
// the scheduled jobs, River UI.
const spareConnections = 8

// serveQueryTimeout is for what sets no deadline in a process that has to go on by
// itself; what takes longer there sets its own.
const (
	serveQueryTimeout = 30 * time.Second
	migrateTimeout    = time.Hour
)

// openDatabase connects to DATABASE_URL, or to the embedded Postgres: the one
// that is running, or else one that runs until close is called. An embedded one
// is migrated, since nobody else would.
func (a *app) openDatabase(ctx context.Context) (pool *pgxpool.Pool, closeDB func(), err error) {
	url := a.config.DatabaseURL
	stop := func() {}
	if url == "" {
		server, err := embedded.Start(ctx, embedded.Config{
			Dir: a.config.DataDir, Logger: a.logger.With(componentKey, "DATABASE"),
			Parameters: map[string]string{"max_connections": strconv.Itoa(200 + a.config.Workers)},
		})
		if err != nil {
			return nil, nil, fmt.Errorf("start the embedded Postgres (DATABASE_URL is not set): %w", err)
		}
		url, a.databaseGone = server.URL(), server.Gone()
		stop = func() {
			if err := server.Stop(); err != nil {
				a.logger.Warn("embedded Postgres did not stop cleanly", componentKey, "DATABASE", "error", err)
			}
		}
	}
	opts := db.Options{
		MaxConns: int32(a.config.Workers + a.config.DeliveryWorkers + spareConnections), QueryTimeout: a.queryTimeout, Pooler: a.pooler(), //nolint:gosec // at most 10,000 workers
	}
	if file := a.config.DatabaseFile; file != "" {
		opts.ReadURL = func() (string, error) { return readSecret(file) }
	}
	pool, err = db.Open(ctx, url, opts)
	if err != nil {
		stop()
		if errors.Is(err, db.ErrAddress) {
			err = usageError{err}
		}
		return nil, nil, err
	}
	a.login = pool.Config().ConnConfig.User
	err = a.clock.Measure(ctx, pool)
	if err == nil && a.config.DatabaseURL == "" {
		migrating, cancel := context.WithTimeout(ctx, migrateTimeout)
		defer cancel()
		_, err = db.MigrateUp(migrating, pool)
	}
	if err != nil {
		pool.Close()
		stop()
		return nil, nil, err
	}
	return pool, func() { pool.Close(); stop() }, nil
}

// databaseName is which database a pool works on, for people.
func (a *app) databaseName(pool *pgxpool.Pool) string {
	if a.config.DatabaseURL == "" {
		return "embedded, in " + a.config.DataDir
	}
	return db.Address(pool.Config().ConnConfig)
}

// pooler is what stands before the database; nothing before the embedded one.
func (a *app) pooler() db.Pooler {
	if a.config.DatabaseURL == "" {
		return db.NoPooler
	}
	return a.config.Pooler
}

// withDatabase opens the database, sees that it is migrated, and runs do.
func (a *app) withDatabase(ctx context.Context, do func(*pgxpool.Pool) error) error {
	pool, closeDB, err := a.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer closeDB()
	if err := db.CheckSchema(ctx, pool); err != nil {
		return err
	}
	return do(pool)
}

// withQueue is withDatabase for flightbill_enqueuer, too, who may not see which
// migrations there are.
func (a *app) withQueue(ctx context.Context, do func(*pgxpool.Pool) error) error {
	pool, closeDB, err := a.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer closeDB()
	if err := db.CheckSchema(ctx, pool); err != nil && !db.NoRight(err) {
		return err
	}
	return do(pool)
}

// withPlannedCalendar is withDatabase for commands that only look: on a database
// that has no billing settings yet they see those of a first start now.
func (a *app) withPlannedCalendar(ctx context.Context, do func(*pgxpool.Pool, billing.Calendar) error) error {
	return a.withDatabase(ctx, func(pool *pgxpool.Pool) error {
		calendar, err := db.PlannedCalendar(ctx, pool, a.config.Billing, a.now())
		if err != nil {
			return err
		}
		return do(pool, calendar)
	})
}

// withRightClock is for commands that work by the billing settings, and write what has a
// date: the first stores the settings. Where this machine's clock or its zone rules are
// not the database's, they do nothing.
func (a *app) withRightClock(ctx context.Context, do func(*pgxpool.Pool, billing.Calendar) error) error {
	return a.withPlannedCalendar(ctx, func(pool *pgxpool.Pool, calendar billing.Calendar) error {
		if err := a.clock.Check(ctx, pool, calendar.Location); err != nil {
			return err
		}
		calendar, err := db.EnsureSettings(ctx, pool, a.config.Billing, a.now())
		if err != nil {
			return err
		}
		return do(pool, calendar)
	})
}
