package dbtest_test

import (
	"context"
	"os"
	osexec "os/exec"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/db/embedded"
)

// filled counts how often the template was.
var filled atomic.Int64

func TestMain(m *testing.M) {
	dbtest.Main(m, func(ctx context.Context, url string) error {
		filled.Add(1)
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "CREATE TABLE marks (n int); INSERT INTO marks VALUES (1)")
		return err
	})
}

func TestURLIsAFreshCopyOfTheTemplate(t *testing.T) {
	t.Parallel()
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			url := dbtest.URL(t)
			exec(t, url, "INSERT INTO marks VALUES (2)")
			require.Equal(t, 2, count(t, url, "SELECT count(*) FROM marks"), "the template's row and this test's")
			require.EqualValues(t, 1, filled.Load())
		})
	}
}

func TestEmptyURLHasNothingOfTheTemplate(t *testing.T) {
	t.Parallel()
	require.Zero(t, count(t, dbtest.EmptyURL(t), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
}

func TestDatabaseIsDroppedThoughInUse(t *testing.T) {
	t.Parallel()
	outer := t
	var url string
	t.Run("uses it", func(t *testing.T) {
		url = dbtest.URL(t)
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		// Closed only by the test around this one, after the database was dropped.
		outer.Cleanup(func() { _ = conn.Close(context.Background()) })
	})
	_, err := pgx.Connect(t.Context(), url)
	require.ErrorContains(t, err, "does not exist")
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
	require.Equal(t, 1, count(t, dbtest.EmptyURL(t), "SELECT count(*) WHERE current_setting('server_version') LIKE '"+want+".%'"), want)
}

// Two binaries at once on a server that is named, beside one that is at work and what a killed one left.
func TestNamedServerIsLeftAsItWas(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Config{Ephemeral: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	working, err := pgx.Connect(t.Context(), server.URL()+"&application_name=flightbill_test_00112233445566aa")
	require.NoError(t, err)
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
			out, err := anotherBinary(t, tests, "FLIGHTBILL_TEST_DATABASE_URL="+server.URL())
			assert.NoError(t, err, out)
		})
	}
	binaries.Wait()
	require.Equal(t, before, count(t, server.URL(), databases))
}

func TestServerCannotBeBothNamedAndChosen(t *testing.T) {
	t.Parallel()
	const tests = "^TestEmptyURLHasNothingOfTheTemplate$"
	out, err := anotherBinary(t, tests, "FLIGHTBILL_TEST_DATABASE_URL=postgres://127.0.0.1:1/postgres", "FLIGHTBILL_TEST_POSTGRES=15")
	require.Error(t, err)
	require.Contains(t, out, "FLIGHTBILL_TEST_DATABASE_URL and FLIGHTBILL_TEST_POSTGRES are both set")
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
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

func count(t *testing.T, url, sql string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&n))
	return n
}
