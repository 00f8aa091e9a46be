package db_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

// testBundle is a database of the test's own, with four customers, a tariff
// and the first start behind it.
type testBundle struct {
	url  string
	pool *pgxpool.Pool
}

// Customers: WEEK weekly to Sunday, MON monthly, EACH per flight, HELD per
// flight and on hold; each flies under its own code. Every departure costs
// 2.00 EUR a tonne or part of one, 20 % tax, at least 10.00.
const testCustomers = `
INSERT INTO customers (code, name, billing_frequency, week_ends_on, payment_terms_days, billing_hold) VALUES
    ('WEEK', 'Weekly Air', 'weekly', 7, 30, false), ('MON', 'Monthly Air', 'monthly', NULL, 30, false),
    ('EACH', 'Single Air', 'per_flight', NULL, 14, false), ('HELD', 'Held Air', 'per_flight', NULL, 14, true);
INSERT INTO customer_operators SELECT code, id FROM customers;
INSERT INTO tariffs (code, description, basis, airport, applies_to, unit_rate, minimum, currency, tax_rate, valid_from)
VALUES ('RUNWAY', 'Runway use', 'per_tonne', NULL, 'departure', 2.00, 10.00, 'EUR', 0.20, '2020-01-01');`

// testNow is a Wednesday; the first run date of all is the day before.
var testNow = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := setupUnstarted(t)
	b.exec(t, testCustomers)
	_, err := db.EnsureSettings(t.Context(), b.pool, db.Settings{BillingStart: billing.NewDate(2026, 3, 3)}, testNow)
	require.NoError(t, err)
	return b
}

func open(t *testing.T, url string, maxConns int32) *pgxpool.Pool {
	t.Helper()
	pool, err := db.Open(t.Context(), url, db.Options{SearchPath: db.Schema, MaxConns: maxConns})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func (b *testBundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := b.pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// session is a connection of its own, as another application has one whose role has
// flightbill's schema in its path.
func (b *testBundle) session(t *testing.T, statements ...string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	for _, sql := range append([]string{`SET search_path = public, flightbill`}, statements...) {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	return conn
}

// begin opens a transaction, with statements, that is rolled back when the test ends before it.
func (b *testBundle) begin(t *testing.T, statements ...string) pgx.Tx {
	t.Helper()
	tx, err := b.session(t).Begin(t.Context())
	require.NoError(t, err)
	for _, sql := range statements {
		_, err := tx.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	return tx
}

// end commits a transaction, or rolls it back.
func end(t *testing.T, tx pgx.Tx, commit bool) {
	t.Helper()
	if commit {
		require.NoError(t, tx.Commit(t.Context()))
	} else {
		require.NoError(t, tx.Rollback(t.Context()))
	}
}

// meanwhile runs what has to wait for a lock of another session, and returns
// once it waits. The answer comes when that session is done.
func meanwhile[T any](t *testing.T, b *testBundle, do func() (T, error)) func() (T, error) {
	t.Helper()
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := do()
		answers <- answer{value, err}
	}()
	eventually(t, "a session waits for a lock", func() bool {
		return get[int](t, b, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 1
	})
	return func() (T, error) {
		a := <-answers
		return a.value, a.err
	}
}

// get returns the one value that a query has.
func get[T any](t *testing.T, b *testBundle, sql string, args ...any) T {
	t.Helper()
	var value T
	require.NoError(t, b.pool.QueryRow(t.Context(), sql, args...).Scan(&value))
	return value
}

// eventually waits for what other goroutines bring about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 30*time.Second, 5*time.Millisecond, what)
}

// requireSQLError checks what Postgres refused a statement with: its SQLSTATE,
// and parts of its message and hint.
func requireSQLError(t *testing.T, err error, code string, parts ...string) {
	t.Helper()
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr)
	require.Equal(t, code, pgErr.Code, pgErr.Message)
	for _, part := range parts {
		require.Contains(t, pgErr.Message+"\n"+pgErr.Hint, part)
	}
}

const (
	raised           = "P0001" // RAISE EXCEPTION without a code of its own
	invalidParameter = "22023"
	noPrivilege      = "42501"
)

func TestOpenUnreachable(t *testing.T) {
	t.Parallel()
	_, err := db.Open(t.Context(), "postgres://someone:hunter2@127.0.0.1:1/flights", db.Options{})
	require.ErrorIs(t, err, db.ErrUnreachable)
	require.ErrorContains(t, err, "127.0.0.1:1/flights")
	require.ErrorContains(t, err, "DATABASE_URL")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestOpenRefusedByTheServer(t *testing.T) {
	t.Parallel()
	config, err := pgx.ParseConfig(dbtest.EmptyURL(t))
	require.NoError(t, err)
	address := net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	for url, reason := range map[string]string{
		"postgres://" + config.User + ":hunter2@" + address + "/" + config.Database:            "password authentication failed",
		"postgres://" + config.User + ":" + config.Password + "@" + address + "/no_such_place": "does not exist",
	} {
		_, err := db.Open(t.Context(), url, db.Options{SearchPath: db.Schema})
		require.ErrorIs(t, err, db.ErrUnreachable)
		require.ErrorContains(t, err, reason)
		require.NotContains(t, err.Error(), "hunter2")
		require.NotContains(t, err.Error(), config.Password)
	}
}

// A password that is replaced while flightbill runs: new connections have the new one.
func TestOpenReadsThePasswordAnew(t *testing.T) {
	t.Parallel()
	b := setupEmpty(t)
	role, login := b.role(t)
	file, reading := login, error(nil)
	pool, err := db.Open(t.Context(), file, db.Options{MaxConns: 1, ReadURL: func() (string, error) { return file, reading }})
	require.NoError(t, err)
	defer pool.Close()

	file, reading = "", errors.New("it is being replaced")
	pool.Reset()
	require.NoError(t, pool.Ping(t.Context()), "with what it had")

	b.exec(t, `ALTER ROLE `+role+` PASSWORD 'second'`)
	require.NoError(t, pool.Ping(t.Context()), "connections stay")
	pool.Reset()
	require.ErrorContains(t, pool.Ping(t.Context()), "password authentication failed")
	file, reading = strings.Replace(login, ":secret@", ":second@", 1), nil
	require.NoError(t, pool.Ping(t.Context()))
}

func TestOpenGarbage(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"garbage", "http://someone:hunter2@host/", "someone:hunter2@host/flights",
		"postgres://someone:hunter2@host:port/flights", "postgres://someone:hun/hunter2@host/flights",
		"postgres://someone:hun hunter2@host/flights", "postgres://someone:%zzhunter2@host/flights",
		"postgres://someone:hunter2@host/flights?pool_max_conns=many", "postgres://someone:hunter2@host/flights?sslmode=maybe",
		"host=x password=hunter2 port=abc", "password='hunter2 host=x", "postgres://someone:p@hunter2@host/flights", "postgres://someone:12/hunter2@host/flights",
		"postgresql+psycopg://someone:hunter2@host/flights?sslmode=disable", "jdbc:postgresql://host/flights?user=someone&password=hunter2",
	} {
		_, err := db.Open(t.Context(), url, db.Options{SearchPath: db.Schema})
		require.ErrorContains(t, err, "DATABASE_URL is not a Postgres address", url)
		require.NotErrorIs(t, err, db.ErrUnreachable, url)
		require.NotContains(t, err.Error(), "hunter2", url)
	}
}

// Whatever the database, its role or the URL sets for a session: flightbill's has
// what it depends on.
func TestOpenFixesTheSession(t *testing.T) {
	t.Parallel()
	b := setupUnstarted(t)
	name := get[string](t, b, `SELECT current_database()`)
	hostile := map[string]string{
		"search_path": "elsewhere", "client_encoding": "LATIN1", "timezone": "Asia/Tokyo", "datestyle": "SQL, DMY", "standard_conforming_strings": "off",
		"plan_cache_mode": "force_custom_plan", "jit": "on", "default_transaction_isolation": "serializable", "default_transaction_deferrable": "on",
		"session_replication_role": "replica",
		"statement_timeout":        "20s", "lock_timeout": "20s", "idle_in_transaction_session_timeout": "0", "idle_session_timeout": "20s",
	}
	if get[int](t, b, `SELECT current_setting('server_version_num')::int`) >= 17_00_00 {
		hostile["transaction_timeout"] = "20s"
	}
	const sessionSettings = `SELECT string_agg(name || '=' || setting, E'\n' ORDER BY name) FROM pg_settings WHERE lower(name) = ANY ($1)`
	names := slices.Collect(maps.Keys(hostile))
	want := get[string](t, &testBundle{pool: openPlain(t, b.url)}, sessionSettings, names)
	for setting, value := range hostile {
		b.exec(t, fmt.Sprintf("ALTER DATABASE %s SET %s = '%s'", name, setting, value))
	}
	require.Equal(t, want, get[string](t, &testBundle{pool: openPlain(t, b.url)}, sessionSettings, names))
	for _, line := range []string{"client_encoding=UTF8", "jit=off", "search_path=pg_catalog, pg_temp", "statement_timeout=0", "TimeZone=UTC"} {
		require.Contains(t, want+"\n"+get[string](t, &testBundle{pool: openPlain(t, b.url)}, `SELECT 'TimeZone=' || current_setting('timezone')`), line)
	}

	own := b.url + map[bool]string{true: "&", false: "?"}[strings.Contains(b.url, "?")] + "application_name=own&search_path=public&options=-c%20jit%3Don%20-c%20statement_timeout%3D20s"
	require.Equal(t, "own pg_catalog, pg_temp off 0", get[string](t, &testBundle{pool: openPlain(t, own)},
		`SELECT concat_ws(' ', current_setting('application_name'), current_setting('search_path'), current_setting('jit'), current_setting('statement_timeout'))`))
}

// openPlain opens a database as flightbill itself does: open adds its schema to the
// path, for the tests' own SQL.
func openPlain(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := db.Open(t.Context(), url, db.Options{MaxConns: 1})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// As a bare container's package makes it, where no locale is set.
func TestOpenWantsUTF8(t *testing.T) {
	t.Parallel()
	b := setupEmpty(t)
	name := get[string](t, b, `SELECT current_database()`) + "_ascii"
	b.exec(t, `CREATE DATABASE `+name+` TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'`)
	t.Cleanup(func() {
		_, err := b.pool.Exec(context.WithoutCancel(t.Context()), `DROP DATABASE `+name)
		require.NoError(t, err)
	})
	address, err := url.Parse(b.url)
	require.NoError(t, err)
	address.Path = "/" + name
	_, err = db.Open(t.Context(), address.String(), db.Options{})
	require.ErrorIs(t, err, db.ErrNotUTF8)
	require.ErrorContains(t, err, "is in SQL_ASCII")
}

func TestOpenServerTooOld(t *testing.T) {
	t.Parallel()
	for number, version := range map[string]string{"90624": "9.6.24", "140019": "14.19"} {
		address := oldServer(t, number, version)
		_, err := db.Open(t.Context(), "postgres://someone:hunter2@"+address+"/flights?sslmode=disable&default_query_exec_mode=simple_protocol", db.Options{})
		require.ErrorIs(t, err, db.ErrServerTooOld)
		require.ErrorContains(t, err, address+"/flights runs Postgres "+version+"; flightbill needs Postgres 15 or newer")
	}
}

// oldServer speaks as much of Postgres' protocol as it takes to say a version.
func oldServer(t *testing.T, number, version string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- answerOld(listener, number, version) }()
	t.Cleanup(func() {
		_ = listener.Close()
		require.NoError(t, <-served)
	})
	return listener.Addr().String()
}

// answerOld serves one connection.
func answerOld(listener net.Listener, number, version string) error {
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	backend := pgproto3.NewBackend(conn, conn)
	if _, err := backend.ReceiveStartupMessage(); err != nil {
		return err
	}
	ready := &pgproto3.ReadyForQuery{TxStatus: 'I'}
	backend.Send(&pgproto3.AuthenticationOk{})
	backend.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	backend.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	backend.Send(ready)
	for {
		if err := backend.Flush(); err != nil {
			return err
		}
		message, err := backend.Receive()
		if err != nil {
			return err
		}
		switch message.(type) {
		case *pgproto3.Query:
			backend.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{
				{Name: []byte("number"), DataTypeOID: 23}, {Name: []byte("version"), DataTypeOID: 25}, {Name: []byte("encoding"), DataTypeOID: 25},
			}})
			backend.Send(&pgproto3.DataRow{Values: [][]byte{[]byte(number), []byte(version), []byte("UTF8")}})
			backend.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
			backend.Send(ready)
		case *pgproto3.Terminate:
			return nil
		default:
			return errors.New("the client sent something else than a simple query")
		}
	}
}
