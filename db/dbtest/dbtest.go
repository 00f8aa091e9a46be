// Package dbtest gives each test a Postgres database of its own.
//
//   - One throwaway server for each test binary, started when the first test asks for a database.
//   - One database for each test, cloned from a template that is filled once, dropped when the test ends.
//   - FLIGHTBILL_TEST_POSTGRES (15, 16, 17, 18) chooses the version; 18 where it is not set.
//   - FLIGHTBILL_TEST_DATABASE_URL names a running server to use instead: a superuser's URL of any database on it. Test
//     binaries may share it. Each drops its databases at the end, and those of a binary that was killed. The
//     roles flightbill_… stay: they belong to the whole server, and others may use them.
//
// The throwaway server is set for speed, with the locale C. One that is named keeps its own settings and its own locale.
//
// A package that uses it hands its TestMain over:
//
//	func TestMain(m *testing.M) { dbtest.Main(m, dbtest.Migrate) }
package dbtest

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/embedded"
)

// timeout of starting the server, with a download, and of each thing done on it.
const timeout = 5 * time.Minute

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

// binary is what the tests of one test binary share.
type binary struct {
	fill     func(ctx context.Context, url string) error
	name     string                 // that all its databases' names begin with; no other binary has it
	server   func() (server, error) // starts it, once
	template func() error           // makes it, once
	started  atomic.Pointer[server]
	count    atomic.Int64 // of databases made
}

// shared is set by Main, before any test.
var shared *binary

// Main runs a test binary's tests, then stops the server and fails if a goroutine was leaked. It does not return. The
// function fills the template database, given its URL, and must close its connections.
func Main(m *testing.M, fill func(ctx context.Context, url string) error) {
	embedded.Main()
	// Most tests wait for a server or for River, not for the processor. The command line may still say otherwise.
	if err := flag.Set("test.parallel", strconv.Itoa(max(6, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	shared = &binary{fill: fill, name: newName()}
	shared.server = sync.OnceValues(shared.startServer)
	shared.template = sync.OnceValue(shared.makeTemplate)

	code := m.Run()
	if server := shared.started.Load(); server != nil {
		if err := (*server).Stop(); err != nil {
			code = fail(err)
		}
	}
	// A failed test may have leaked because it failed: one thing at a time.
	if code == 0 {
		if err := goleak.Find(); err != nil {
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
	b := binaryOf(t)
	if err := b.template(); err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	return b.database(t, b.templateName())
}

// As returns the connection string of the same database whose sessions have the rights of a role, and no others.
func As(t testing.TB, address, role string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	query := parsed.Query()
	query.Set("options", "--role="+role)
	parsed.RawQuery = query.Encode()
	return parsed.String()
}

// EmptyURL returns the connection string of a new, empty database. It is dropped when the test ends.
func EmptyURL(t testing.TB) string {
	t.Helper()
	return binaryOf(t).database(t, "template0")
}

func binaryOf(t testing.TB) *binary {
	t.Helper()
	if shared == nil {
		t.Fatal("dbtest: TestMain does not call dbtest.Main")
	}
	return shared
}

func (b *binary) database(t testing.TB, source string) string {
	t.Helper()
	server, err := b.server()
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	name := fmt.Sprintf("%s_%d", b.name, b.count.Add(1))
	// FILE_COPY costs two checkpoints, which are cheap on a server that never syncs.
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

func (b *binary) startServer() (server, error) {
	server, err := startServer(b.name)
	if err == nil {
		b.started.Store(&server)
	}
	return server, err
}

func (b *binary) templateName() string { return b.name + "_template" }

func (b *binary) makeTemplate() error {
	server, err := b.server()
	if err != nil {
		return err
	}
	if err := admin(server, "CREATE DATABASE "+b.templateName()+" TEMPLATE template0"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := b.fill(ctx, server.Database(b.templateName())); err != nil {
		return fmt.Errorf("fill the template: %w", err)
	}
	// A connection to the template, such as one of autovacuum, would make cloning it fail now and then.
	return admin(server, "ALTER DATABASE "+b.templateName()+" ALLOW_CONNECTIONS false")
}
