package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/embedded"
)

const (
	workers = 5 // flights at once, serve's default

	// spareConnections are those of serve beside its workers'.
	spareConnections = 8

	migrated = "migrated" // the database that every other is copied from

	// flightbill's saves do not wait for the disk. Where they are compared with
	// what others save, nobody's do.
	noWait = "synchronous_commit = off"
)

// The servers that flightbill is measured on.
const (
	embeddedServer = "embedded"
	stockServer    = "stock" // one with the defaults of its package
	givenServer    = "given" // one that -database names
)

// server is a Postgres that all contenders share: the embedded one with the
// settings that serve gives it, or one that runs. A commit waits for the disk, but
// where noWait is set and in flightbill's saves.
type server struct {
	name    string
	address *url.URL // a superuser's
	version string
	stop    func() error
}

func startServer(ctx context.Context, parent string, logger *slog.Logger) (*server, error) {
	dir, err := os.MkdirTemp(parent, "flightbill-benchmarks-")
	if err != nil {
		return nil, err
	}
	// The moment of a commit is the one that all contenders have, whatever they are.
	parameters := map[string]string{"track_commit_timestamp": "on"}
	postgres, err := embedded.Start(ctx, embedded.Config{Dir: dir, Parameters: parameters, Logger: logger})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	stop := func() error { return errors.Join(postgres.Stop(), os.RemoveAll(dir)) }
	s, err := openServer(ctx, embeddedServer, postgres.Database("postgres"))
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	s.stop = stop
	return s, nil
}

// openServer uses a server that runs. It is left without what was made there, but
// for the role that the migrations make.
func openServer(ctx context.Context, name, address string) (*server, error) {
	s := &server{name: name}
	var err error
	if s.address, err = url.Parse(address); err != nil || s.address.Host == "" {
		return nil, errors.New("a server is named by a URL: postgres://USER:PASSWORD@HOST:PORT/DATABASE") // and not in an error: it has a password
	}
	// A database of this name that was there before is not ours to drop.
	if err := s.exec(ctx, "CREATE DATABASE "+migrated); err != nil {
		return nil, err
	}
	s.stop = func() error {
		return s.exec(context.WithoutCancel(ctx), "DROP DATABASE "+migrated+" WITH (FORCE)")
	}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *server) migrate(ctx context.Context) error {
	pool, err := s.open(ctx, migrated)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := db.MigrateUp(ctx, pool); err != nil {
		return err
	}
	var timestamps bool
	err = pool.QueryRow(ctx, "SELECT current_setting('server_version'), current_setting('track_commit_timestamp')::bool").Scan(&s.version, &timestamps)
	if err == nil && !timestamps {
		err = errors.New("flights are timed by track_commit_timestamp, which this server has off: ALTER SYSTEM SET track_commit_timestamp = on, and start it again")
	}
	return err
}

// Database is the address of one of its databases.
func (s *server) Database(name string) string {
	address := *s.address
	address.Path = "/" + name
	return address.String()
}

// exec runs a statement outside of the databases that are measured.
func (s *server) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.address.String())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

func (s *server) open(ctx context.Context, database string) (*pgxpool.Pool, error) {
	return db.Open(ctx, s.Database(database), db.Options{SearchPath: db.Schema, MaxConns: workers + spareConnections, ApplicationName: "benchmarks"})
}

// database makes a copy of a database, file by file, so that two contenders
// work on the very same pages, and opens it. drop closes and removes it. Settings
// hold for whoever connects to it.
func (s *server) database(ctx context.Context, name, template string, settings ...string) (pool *pgxpool.Pool, drop func(), err error) {
	if err := s.exec(ctx, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s STRATEGY FILE_COPY", name, template)); err != nil {
		return nil, nil, err
	}
	remove := func() {
		// Most servers are removed at the end: nothing is lost if this fails.
		_ = s.exec(context.WithoutCancel(ctx), fmt.Sprintf("DROP DATABASE IF EXISTS %s WITH (FORCE)", name))
	}
	for _, setting := range settings {
		if err := s.exec(ctx, fmt.Sprintf("ALTER DATABASE %s SET %s", name, setting)); err != nil {
			remove()
			return nil, nil, err
		}
	}
	if pool, err = s.open(ctx, name); err != nil {
		remove()
		return nil, nil, err
	}
	return pool, func() { pool.Close(); remove() }, nil
}

// seed makes a database that is filled once and only copied from then on. One
// that has been in use a while would have been vacuumed and analysed.
func (s *server) seed(ctx context.Context, name string, fill func(*pgxpool.Pool) error) (drop func(), err error) {
	pool, drop, err := s.database(ctx, name, migrated)
	if err != nil {
		return nil, err
	}
	err = fill(pool)
	if err == nil {
		_, err = pool.Exec(ctx, "VACUUM (ANALYZE)")
	}
	pool.Close() // a database in use cannot be copied
	if err != nil {
		drop()
		return nil, err
	}
	return drop, nil
}

// inCopy does something in a fresh copy of a seed.
func (s *server) inCopy(ctx context.Context, seed string, do func(*pgxpool.Pool) error, settings ...string) error {
	pool, drop, err := s.database(ctx, seed+"_copy", seed, settings...)
	if err != nil {
		return err
	}
	defer drop()
	return do(pool)
}

// settle writes out what earlier work has left, so that nobody pays for another's
// checkpoint.
func settle(ctx context.Context, pool *pgxpool.Pool) error {
	_, err := pool.Exec(ctx, "CHECKPOINT")
	return err
}

// execTimed runs one statement, commit included.
func execTimed(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) (time.Duration, error) {
	started := time.Now()
	_, err := pool.Exec(ctx, sql, args...)
	return time.Since(started), err
}

// customers is how many the flights of drain and latency are spread over.
const customers = 50

// Customers are numbered from 1, weekly, on all days of the week; each has a
// draft, of the same number as itself, that no flight falls on. Three tariffs
// apply to every flight: real flights have three lines each.
const billingSQL = `
INSERT INTO customers (code, name, billing_frequency, week_ends_on)
SELECT 'AIR' || n, 'Airline ' || n, 'weekly', 1 + n % 7 FROM generate_series(1, 50) AS n ORDER BY n;
INSERT INTO customer_operators (operator, customer_id) SELECT code, id FROM customers;
INSERT INTO invoices (customer_id, kind, closes_on, currency)
SELECT id, 'consolidated', '2999-12-31', 'EUR' FROM customers ORDER BY id;
INSERT INTO tariffs (code, description, basis, applies_to, unit_rate, minimum, currency, tax_rate, valid_from) VALUES
    ('RUNWAY', 'Runway use', 'per_tonne', 'departure', 5.50, 60.00, 'EUR', 0.20, '2020-01-01'),
    ('PAX', 'Passenger service', 'per_passenger', 'departure', 7.25, 0, 'EUR', 0.20, '2020-01-01'),
    ('ROUTE', 'En-route navigation', 'route', 'any', 71.40, 0, 'EUR', 0, '2020-01-01')`

// makeBilling fills a database with what flights are billed by.
func makeBilling(ctx context.Context, pool *pgxpool.Pool) error {
	if _, err := pool.Exec(ctx, billingSQL); err != nil {
		return err
	}
	now := time.Now()
	_, err := db.EnsureSettings(ctx, pool, db.Settings{BillingStart: billing.DateOf(now, time.UTC)}, now)
	return err
}

// makeFlights puts landed flights in the source. Their ids are spread as those
// of the yardstick are: an index that grows at its end alone is cheaper.
func makeFlights(ctx context.Context, pool *pgxpool.Pool, batch string, flights int) (ids []string, err error) {
	rows, err := pool.Query(ctx, `
		INSERT INTO flights (flight_id, callsign, operator, registration, aircraft_type, mtow_kg, origin, destination,
			departed_at, landed_at, distance_km, passengers)
		SELECT 'F' || md5($1 || '-' || n), 'AIR' || n, 'AIR' || 1 + n % $3::int, 'N' || 1 + n % 997, 'B738', 70500 + n % 9000, 'KJFK', 'KBOS',
			now() - interval '4 hours', now() - interval '3 hours', 300 + n % 3000, 100 + n % 80
		FROM generate_series(1, $2::int) AS n
		RETURNING flight_id`, batch, flights, customers)
	if err != nil {
		return nil, err
	}
	if ids, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, err
	}
	_, err = pool.Exec(ctx, "VACUUM (ANALYZE) flights")
	return ids, err
}
