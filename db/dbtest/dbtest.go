// Package dbtest gives each test a Postgres database of its own.
//
//   - One throwaway server for each test binary, started when the first test asks for a database.
//   - One database for each test, cloned from a template that is filled once, dropped when the test ends.
//   - FLIGHTBILL_TEST_POSTGRES (15, 16, 17, 18) chooses the version; 18 where it is not set.
//
// A package that uses it hands its TestMain over:
//
//	func TestMain(m *testing.M) { dbtest.Main(m, dbtest.Template(dbtest.Migrate)) }
package dbtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/embedded"
)

const (
	template = "flightbill_template"

	// timeout of starting the server, with a download, and of each thing done on it.
	timeout = 5 * time.Minute
)

// Option changes what Main does.
type Option func(*binary)

// Template registers the function that fills the template database, given its URL. It must close its connections.
func Template(fill func(ctx context.Context, url string) error) Option {
	return func(b *binary) { b.fill = fill }
}

// Migrate fills a template with flightbill's schema.
func Migrate(ctx context.Context, url string) error {
	pool, err := db.Open(ctx, url, db.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = db.MigrateUp(ctx, pool)
	return err
}

// IgnoreLeaks passes options to the check for leaked goroutines at the end.
func IgnoreLeaks(options ...goleak.Option) Option {
	return func(b *binary) { b.leaks = append(b.leaks, options...) }
}

// binary is what the tests of one test binary share.
type binary struct {
	fill  func(ctx context.Context, url string) error
	leaks []goleak.Option

	server   func() (*embedded.Server, error) // starts it, once
	template func() error                     // makes it, once
	started  atomic.Pointer[embedded.Server]
	count    atomic.Int64 // of databases made
}

// shared is set by Main, before any test.
var shared *binary

// Main runs a test binary's tests, then stops the server and fails if a goroutine was leaked. It does not return.
func Main(m *testing.M, options ...Option) {
	embedded.Main()
	shared = &binary{}
	for _, option := range options {
		option(shared)
	}
	shared.server = sync.OnceValues(shared.startServer)
	shared.template = sync.OnceValue(shared.makeTemplate)

	code := m.Run()
	if server := shared.started.Load(); server != nil {
		if err := server.Stop(); err != nil {
			code = fail(err)
		}
	}
	// A failed test may have leaked because it failed: one thing at a time.
	if code == 0 {
		if err := goleak.Find(shared.leaks...); err != nil {
			code = fail(err)
		}
	}
	os.Exit(code)
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "dbtest:", err)
	return 1
}

// URL returns the connection string of a new database made from the template. It is dropped when the test ends.
func URL(t testing.TB) string {
	t.Helper()
	return database(t, template)
}

// EmptyURL returns the connection string of a new, empty database. It is dropped when the test ends.
func EmptyURL(t testing.TB) string {
	t.Helper()
	return database(t, "template0")
}

func database(t testing.TB, source string) string {
	t.Helper()
	if shared == nil {
		t.Fatal("dbtest: TestMain does not call dbtest.Main")
	}
	server, err := shared.server()
	if err == nil && source == template {
		err = shared.template()
	}
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	name := fmt.Sprintf("test_%d", shared.count.Add(1))
	// FILE_COPY costs two checkpoints, which are cheap on a server that never syncs. Cloned, connected to and dropped, with
	// 40 tables, 2 cores: 58 ms (four at once: 31 ms each); with WAL_LOG, the default, 84 ms (94 ms).
	if err := admin(server, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s STRATEGY FILE_COPY", name, source)); err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(func() {
		if err := admin(server, fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)); err != nil {
			t.Errorf("dbtest: %v", err)
		}
	})
	return server.Database(name)
}

func (b *binary) startServer() (*embedded.Server, error) {
	version, err := version(os.Getenv("FLIGHTBILL_TEST_POSTGRES"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	server, err := embedded.Start(ctx, embedded.Config{Ephemeral: true, Version: version})
	if err == nil {
		b.started.Store(server)
	}
	return server, err
}

func version(major string) (embeddedpostgres.PostgresVersion, error) {
	switch major {
	case "", "18":
		return embeddedpostgres.V18, nil
	case "17":
		return embeddedpostgres.V17, nil
	case "16":
		return embeddedpostgres.V16, nil
	case "15":
		return embeddedpostgres.V15, nil
	}
	return "", fmt.Errorf("FLIGHTBILL_TEST_POSTGRES is %q, not one of 15, 16, 17, 18", major)
}

func (b *binary) makeTemplate() error {
	server, err := b.server()
	if err != nil {
		return err
	}
	if err := admin(server, "CREATE DATABASE "+template+" TEMPLATE template0"); err != nil {
		return err
	}
	if b.fill != nil {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if err := b.fill(ctx, server.Database(template)); err != nil {
			return fmt.Errorf("fill the template: %w", err)
		}
	}
	// A connection to the template, such as one of autovacuum, would make cloning it fail now and then.
	return admin(server, "ALTER DATABASE "+template+" ALLOW_CONNECTIONS false")
}

// admin runs a statement on the server, outside of the tests' databases.
func admin(server *embedded.Server, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.Database("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}
