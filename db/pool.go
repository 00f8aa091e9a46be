package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// OldestPostgres is the oldest server version flightbill is tested with.
const OldestPostgres = 15

// Schema is where all of flightbill is in a database: its own tables, River's and
// goose's. Other applications' are elsewhere, under whatever names.
const Schema = "flightbill"

// noSchema is the search_path of flightbill's connections. All is named with its
// schema; what another role has put under the name of an operator or a function of
// Postgres' is not found.
const noSchema = "pg_catalog, pg_temp"

// sessionSettings are what a connection of flightbill's depends on, whatever the URL, the
// role, the database or the server say of it; see also startupSettings.
const sessionSettings = `(VALUES
    ('plan_cache_mode', 'auto'),
    ('jit', 'off'), -- compiling a plan takes 50 ms at each call, running it 0.5
    ('default_transaction_isolation', 'read committed'), -- what is read after a lock is what was committed before it
    ('default_transaction_deferrable', 'off'),
    -- What a process that is frozen, or cut off, holds locked is free again after that.
    ('idle_in_transaction_session_timeout', '20000'),
    ('session_replication_role', 'origin'), -- else constraints and triggers are passed over
    -- The caller sets its own: an import takes minutes, a look a second.
    ('statement_timeout', '0'),
    ('lock_timeout', '0'),
    ('idle_session_timeout', '0'),
    ('transaction_timeout', '0') -- from Postgres 17 on
) AS wanted (name, value)`

// startupSettings are those that go with the connection's start: of a connection to PgBouncer,
// it sets them again wherever it has another server connection.
var startupSettings = map[string]string{ //nolint:gochecknoglobals // a constant
	"client_encoding":             "UTF8", // else names arrive as other letters
	"timezone":                    "UTC",  // dates and times never depend on the server's zone
	"datestyle":                   "ISO, MDY",
	"standard_conforming_strings": "on", // how pgx quotes where it must
}

// setSession makes a new connection one that flightbill can rely on. A setting that this
// server does not know is passed over.
func setSession(searchPath string) func(context.Context, *pgconn.PgConn) error {
	sql := "SET search_path = " + cmp.Or(searchPath, noSchema) + `;
SELECT set_config(name, value, false) FROM ` + sessionSettings + `
WHERE current_setting(name, true) IS DISTINCT FROM value AND current_setting(name, true) IS NOT NULL`
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
			return fmt.Errorf("set what flightbill's connections depend on: %w", err)
		}
		return nil
	}
}

// Options are what Open does beyond connecting.
type Options struct {
	MaxConns        int32         // at most so many connections; 0: pgx's default
	ApplicationName string        // as pg_stat_activity shows it; empty: flightbill
	QueryTimeout    time.Duration // of queries whose caller sets no deadline; 0: none
	// ReadURL gives the URL of now: each new connection has its user and password. Optional.
	ReadURL    func() (string, error)
	SearchPath string // for tests, whose SQL names no schema; empty: Postgres' own names alone
	Pooler     Pooler // what stands before the database; empty: NoPooler
}

// Open connects to the database of a URL or of a keyword string and checks
// that it answers and is new enough.
func Open(ctx context.Context, url string, opts Options) (*pgxpool.Pool, error) {
	config, err := parseAddress(url)
	if err != nil {
		return nil, err
	}
	if opts.MaxConns > 0 {
		config.MaxConns = opts.MaxConns
	}
	params := config.ConnConfig.RuntimeParams
	params["application_name"] = cmp.Or(params["application_name"], opts.ApplicationName, "flightbill")
	maps.Copy(params, startupSettings)
	config.ConnConfig.DialFunc = newDialer(opts.QueryTimeout > 0).DialContext
	config.PingTimeout = pingTimeout
	if opts.QueryTimeout > 0 {
		config.ConnConfig.Tracer = deadline(opts.QueryTimeout)
	}
	if opts.ReadURL != nil {
		config.BeforeConnect = withLogin(opts.ReadURL)
	}
	opts.Pooler.prepare(config.ConnConfig, opts.SearchPath)
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 10 * time.Second
	}

	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", Address(config.ConnConfig), err)
	}
	err = checkServer(ctx, pool, config.ConnConfig)
	if err == nil && opts.Pooler == TransactionPooler {
		err = checkRole(ctx, pool, cmp.Or(opts.SearchPath, noSchema))
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// withLogin sets user and password to those of now. A file that is being replaced may be
// unreadable for a moment: then those of the start are tried, and the server tells if they are wrong.
func withLogin(readURL func() (string, error)) func(context.Context, *pgx.ConnConfig) error {
	return func(_ context.Context, connect *pgx.ConnConfig) error {
		address, err := readURL()
		if err != nil {
			return nil //nolint:nilerr // see above
		}
		if now, err := parseAddress(address); err == nil {
			connect.User, connect.Password = now.ConnConfig.User, now.ConnConfig.Password
		}
		return nil
	}
}

func checkServer(ctx context.Context, pool *pgxpool.Pool, config *pgx.ConnConfig) error {
	var number int
	var version, encoding string
	err := pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_version'), current_setting('server_encoding')`).
		Scan(&number, &version, &encoding)
	if errors.Is(err, ErrPooler) || LostStatement(err) {
		return fmt.Errorf("database %s: %w", Address(config), err)
	}
	if err != nil {
		return fmt.Errorf("%w: database %s cannot be reached; see that it runs and that DATABASE_URL names it: %w",
			ErrUnreachable, Address(config), err)
	}
	if number < OldestPostgres*10_000 {
		return fmt.Errorf("%w: database %s runs Postgres %s; flightbill needs Postgres %d or newer",
			ErrServerTooOld, Address(config), version, OldestPostgres)
	}
	if encoding != "UTF8" {
		return fmt.Errorf("%w: database %s is in %s, where names of other languages are lost or miscounted; make it anew: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
			ErrNotUTF8, Address(config), encoding)
	}
	return nil
}

// Address names a database for people: host, port and name, no secrets.
func Address(config *pgx.ConnConfig) string {
	return net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))) + "/" + config.Database
}
