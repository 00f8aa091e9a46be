package dbtest_test

import (
	"context"
	"os"
	osexec "os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/db/embedded"
)

// filled counts how often the template was.
var filled atomic.Int64

func TestMain(m *testing.M) {
	dbtest.Main(m, dbtest.Template(func(ctx context.Context, url string) error {
		filled.Add(1)
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "CREATE TABLE marks (n int); INSERT INTO marks VALUES (1)")
		return err
	}))
}

func TestURLIsAFreshCopyOfTheTemplate(t *testing.T) {
	t.Parallel()
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			url := dbtest.URL(t)
			exec(t, url, "INSERT INTO marks VALUES (2)")
			if n := count(t, url, "SELECT count(*) FROM marks"); n != 2 {
				t.Errorf("%d rows in marks, want the template's and this test's: 2", n)
			}
			if n := filled.Load(); n != 1 {
				t.Errorf("template filled %d times, want once", n)
			}
		})
	}
}

func TestEmptyURLHasNothingOfTheTemplate(t *testing.T) {
	t.Parallel()
	if n := count(t, dbtest.EmptyURL(t), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); n != 0 {
		t.Errorf("%d tables, want none", n)
	}
}

func TestDatabaseIsDroppedThoughInUse(t *testing.T) {
	t.Parallel()
	outer := t
	var url string
	t.Run("uses it", func(t *testing.T) {
		url = dbtest.URL(t)
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		// Closed only by the test around this one, after the database was dropped.
		outer.Cleanup(func() { _ = conn.Close(context.Background()) })
	})
	conn, err := pgx.Connect(t.Context(), url)
	if err == nil {
		_ = conn.Close(t.Context())
		t.Fatal("the database still exists after its test")
	}
	if !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("unexpected error: %v", err)
	}
}

func TestVersionIsTheOneAskedFor(t *testing.T) {
	t.Parallel()
	if os.Getenv("FLIGHTBILL_TEST_DATABASE_URL") != "" {
		t.Skip("FLIGHTBILL_TEST_DATABASE_URL names a server: it is of the version that it is")
	}
	want := os.Getenv("FLIGHTBILL_TEST_POSTGRES")
	if want == "" {
		want = "18"
	}
	if n := count(t, dbtest.EmptyURL(t), "SELECT count(*) WHERE current_setting('server_version') LIKE '"+want+".%'"); n != 1 {
		t.Errorf("the server's version is not %s", want)
	}
}

// Two binaries at once on a server that is named, beside one that is at work and what a killed one left.
func TestNamedServerIsLeftAsItWas(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	working, err := pgx.Connect(t.Context(), server.URL()+"&application_name=flightbill_test_00112233445566aa")
	if err != nil {
		t.Fatal(err)
	}
	defer working.Close(context.WithoutCancel(t.Context()))
	exec(t, server.URL(), "CREATE DATABASE flightbill_test_00112233445566aa_7")
	const databases = "SELECT count(*) FROM pg_database"
	before := count(t, server.URL(), databases)
	exec(t, server.URL(), "CREATE DATABASE flightbill_test_00112233445566ff_7")
	exec(t, server.URL(), "ALTER DATABASE flightbill_test_00112233445566ff_7 ALLOW_CONNECTIONS false")

	const tests = "^(TestURLIsAFreshCopyOfTheTemplate|TestEmptyURLHasNothingOfTheTemplate|TestDatabaseIsDroppedThoughInUse)$"
	var binaries sync.WaitGroup
	for range 2 {
		binaries.Go(func() {
			if out, err := anotherBinary(t, tests, "FLIGHTBILL_TEST_DATABASE_URL="+server.URL()); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	binaries.Wait()
	if n := count(t, server.URL(), databases); n != before {
		t.Errorf("%d databases on the server, want those from before: %d", n, before)
	}
}

func TestServerCannotBeBothNamedAndChosen(t *testing.T) {
	t.Parallel()
	const tests = "^TestEmptyURLHasNothingOfTheTemplate$"
	out, err := anotherBinary(t, tests, "FLIGHTBILL_TEST_DATABASE_URL=postgres://127.0.0.1:1/postgres", "FLIGHTBILL_TEST_POSTGRES=15")
	if err == nil || !strings.Contains(out, "FLIGHTBILL_TEST_DATABASE_URL and FLIGHTBILL_TEST_POSTGRES are both set") {
		t.Errorf("%v\n%s", err, out)
	}
}

// anotherBinary runs this one again, for some of its tests.
func anotherBinary(t *testing.T, tests string, env ...string) (out string, err error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := osexec.CommandContext(t.Context(), self, "-test.run", tests)
	cmd.Env = append(append(os.Environ(), "FLIGHTBILL_TEST_POSTGRES="), env...)
	output, err := cmd.CombinedOutput()
	return string(output), err
}

func exec(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, url, sql string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
