package db

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// OldestPostgres is the oldest server version flightbill is tested with.
const OldestPostgres = 15

// Options are what Open does beyond connecting.
type Options struct {
	MaxConns        int32  // at most so many connections; 0: pgx's default
	ApplicationName string // as pg_stat_activity shows it; empty: flightbill
}

// Open connects to the database of a URL or of a keyword string and checks
// that it answers and is new enough.
func Open(ctx context.Context, url string, opts Options) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// pgx's message leaves the password out.
		return nil, fmt.Errorf("DATABASE_URL is not a Postgres address: %w", err)
	}
	if opts.MaxConns > 0 {
		config.MaxConns = opts.MaxConns
	}
	name := opts.ApplicationName
	if name == "" {
		name = "flightbill"
	}
	setDefault(config.ConnConfig.RuntimeParams, "application_name", name)
	// Everything of flightbill's is in schema public, whatever the role's own
	// search path says; dates and times never depend on the server's zone.
	setDefault(config.ConnConfig.RuntimeParams, "search_path", "public")
	setDefault(config.ConnConfig.RuntimeParams, "timezone", "UTC")
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 10 * time.Second
	}

	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", Address(config.ConnConfig), err)
	}
	if err := checkServer(ctx, pool, config.ConnConfig); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

func checkServer(ctx context.Context, pool *pgxpool.Pool, config *pgx.ConnConfig) error {
	var number int
	var version string
	err := pool.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_version')`).Scan(&number, &version)
	if err != nil {
		return fmt.Errorf("%w: database %s cannot be reached; see that it runs and that DATABASE_URL names it: %w",
			ErrUnreachable, Address(config), err)
	}
	return checkServerVersion(number, version, Address(config))
}

func checkServerVersion(number int, version, address string) error {
	if number < OldestPostgres*10_000 {
		return fmt.Errorf("%w: database %s runs Postgres %s; flightbill needs Postgres %d or newer",
			ErrServerTooOld, address, version, OldestPostgres)
	}
	return nil
}

// Address names a database for people: host, port and name, no secrets.
func Address(config *pgx.ConnConfig) string {
	return net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))) + "/" + config.Database
}

func setDefault(params map[string]string, key, value string) {
	if _, set := params[key]; !set {
		params[key] = value
	}
}
