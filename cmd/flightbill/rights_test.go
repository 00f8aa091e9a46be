package main

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/exports"
)

// newLogin makes a login that only this test has, and returns its name and its URL.
func newLogin(t *testing.T, pool *pgxpool.Pool, address, kind string) (name, login string) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT $1::text || '_of_' || current_database()`, kind).Scan(&name))
	_, err := pool.Exec(t.Context(), `CREATE ROLE `+name+` LOGIN PASSWORD 'secret'`)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := pool.Exec(context.WithoutCancel(t.Context()), `DROP OWNED BY `+name+` CASCADE; DROP ROLE `+name)
		require.NoError(t, err)
	})
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	parsed.User = url.UserPassword(name, "secret")
	return name, parsed.String()
}

// Each command does its work under the role of least rights that README names for it, and
// under another says which one that is.
func TestCommandsUnderTheirRoles(t *testing.T) {
	t.Parallel()
	address, pool := queueDatabase(t, 3)
	customers := filepath.Join(t.TempDir(), "customers.csv")
	require.NoError(t, os.WriteFile(customers, []byte("code,name\nEACH,Other Air\n"), 0o600))
	tariffs := filepath.Join(t.TempDir(), "tariffs.csv")
	require.NoError(t, os.WriteFile(tariffs, []byte("code,description,basis,airport,applies_to,band_from,band_to,unit_rate,minimum,currency,tax_rate,valid_from,valid_to\n"+
		"FEE,,per_flight,,any,,,6,,EUR,0,2012-01-01,\nTAX,,per_flight,,any,,,1,,EUR,0,2012-01-01,\n"), 0o600))
	aircraft := filepath.Join(t.TempDir(), "aircraft.csv")
	require.NoError(t, os.WriteFile(aircraft, []byte("registration,mtow_kg\nG-OWN,73500\n"), 0o600))
	flights := filepath.Join(t.TempDir(), "flights.csv")
	require.NoError(t, os.WriteFile(flights, []byte("flight_id,callsign,operator,registration,aircraft_type,mtow_kg,origin,destination,departed_at,landed_at,distance_km\n"+
		"F1,,EACH,,,70500,,,,2013-01-02T09:00:00Z,\n"), 0o600))

	logins, addresses := map[string]string{}, map[string]string{"owner": address}
	for _, kind := range []string{"nobody", "server", "enqueuer", "reporter", "accountant"} {
		logins[kind], addresses[kind] = newLogin(t, pool, address, kind)
	}
	yesterday := time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly) // so that a run is due
	flightbill := func(kind string, args ...string) (int, string, string) {
		return runWith(map[string]string{"DATABASE_URL": addresses[kind], "FLIGHTBILL_RESULTS": "", "FLIGHTBILL_HTTP_ADDR": "127.0.0.1:0", "FLIGHTBILL_BILLING_START": yesterday}, args...)
	}
	status, stdout, stderr := flightbill("owner", "migrate", "grant", "server")
	require.Equal(t, exitDone, status, stderr)
	require.NotContains(t, stdout, logins["server"])
	for _, kind := range []string{"server", "enqueuer", "reporter", "accountant"} {
		status, stdout, stderr = flightbill("owner", "migrate", "grant", kind, logins[kind])
		require.Equal(t, exitDone, status, stderr)
		require.Contains(t, stdout, logins[kind]+" may now ")
		_, stdout, _ = flightbill("owner", "migrate", "grant", kind)
		require.Contains(t, stdout, logins[kind])
	}

	may := func(kind, says string, args ...string) {
		t.Helper()
		status, stdout, stderr := flightbill(kind, args...)
		require.Equal(t, exitDone, status, "%s %v: %s", kind, args, stderr)
		require.Contains(t, stdout, says, "%s %v", kind, args)
	}
	mayNot := func(kind, takes string, args ...string) {
		t.Helper()
		status, _, stderr := flightbill(kind, args...)
		require.Equal(t, exitFailed, status, "%s %v", kind, args)
		if takes == "owner" {
			require.Contains(t, stderr, `takes the owner of schema flightbill, which "`+logins[kind]+`" is not`, "%s %v", kind, args)
		} else {
			require.Contains(t, stderr, "flightbill migrate grant "+takes+" "+logins[kind], "%s %v", kind, args)
		}
	}
	may("server", "", "overdue") // stores the settings
	mayNot("reporter", "server", "consolidate")
	may("server", "1 enqueued", "enqueue", "F1")
	may("enqueuer", "2 enqueued", "enqueue", "F2", "F3")
	serve := startServe(t, "DATABASE_URL="+addresses["server"])
	eventually(t, "all flights are billed", func() bool { return number(t, pool, `SELECT count(*) FROM invoices WHERE status = 'PENDING'`) == 3 })
	require.NoError(t, serve.Process.Signal(syscall.SIGTERM))
	<-serve.ended
	for _, kind := range []string{"server", "reporter", "accountant"} {
		may(kind, "EACH-000003", "invoices", "list")
		may(kind, "EACH-000001", "invoices", "show", "EACH-000001")
		may(kind, "", "calendar")
		may(kind, "", "unmatched")
		may(kind, "", "overlaps")
		for _, what := range exports.Kinds {
			may(kind, ",", "export", string(what))
		}
		may(kind, "it was billed to EACH", "price", "F1")
		may(kind, "UTC", "settings")
		may(kind, "billed", "reconcile", "--from", "2013-01-02", "--to", "2013-01-02")
		may(kind, "", "consolidate", "--dry-run")
		may(kind, "applied", "migrate", "status")
	}
	may("server", "0 flights enqueued", "reconcile", "--from", "2013-01-02", "--to", "2013-01-02", "--enqueue")
	mayNot("reporter", "accountant", "invoices", "export", "EACH-000001", "--out", "-")
	may("accountant", "%PDF", "invoices", "export", "EACH-000001", "--out", "-")
	may("reporter", "%PDF", "invoices", "export", "EACH-000001", "--out", "-") // it is kept
	may("reporter", ",FEE,", "invoices", "export", "EACH-000001", "--out", "-", "--format", "csv")
	mayNot("reporter", "accountant", "issuer", "set", "name=Port")
	may("accountant", `name: "" is now "Port"`, "issuer", "set", "name=Port")
	may("reporter", "Port", "issuer")
	may("reporter", "EACH", "customers")
	may("server", "", "consolidate")
	may("server", "0 invoices", "overdue")
	may("accountant", "1 changed", "import", "customers", customers)
	mayNot("reporter", "accountant", "tariffs", "check", tariffs)
	may("accountant", "1 would be added, 1 changed", "tariffs", "check", tariffs)
	may("accountant", "1 added, 1 changed", "import", "tariffs", tariffs)
	may("accountant", "1 added", "import", "aircraft", aircraft)
	may("accountant", "1 changed", "import", "flights", flights)
	mayNot("reporter", "accountant", "correct", "F1")
	may("accountant", "FEE", "correct", "F1")
	may("accountant", "is void by EACH-CN000001", "void", "EACH-000002", "--reason", "why", "--rebill")
	_, err := pool.Exec(t.Context(), `SELECT flightbill.mark_invoice_paid('EACH-000003')`)
	require.NoError(t, err)
	may("accountant", "", "invoices", "unpay", "EACH-000003", "--reason", "why")

	bank := filepath.Join(t.TempDir(), "bank.csv")
	require.NoError(t, os.WriteFile(bank, []byte("booking_day,amount,currency,reference\n"+time.Now().UTC().Format(time.DateOnly)+",0.01,EUR,thanks\n"+time.Now().UTC().Format(time.DateOnly)+",0.02,EUR,each 000003\n"), 0o600))
	mayNot("reporter", "accountant", "bank", "import", bank)
	may("accountant", "2 entries: 1 booked, 1 for you to look at, 0 imported before", "bank", "import", bank)
	may("accountant", "entry 1 is booked on EACH-000003", "bank", "book", "1", "EACH-000003")
	mayNot("reporter", "accountant", "bank", "book", "1", "EACH-000003")
	mayNot("server", "accountant", "bank", "ignore", "1", "--reason", "why")
	may("accountant", "is 4001, in all of the journal", "accounts", "set", "revenue=4001")
	mayNot("reporter", "accountant", "accounts", "set", "revenue=4001")
	for _, kind := range []string{"server", "reporter", "accountant"} {
		may(kind, "each 000003", "bank", "list")
		may(kind, "4001", "accounts")
		may(kind, "payment", "journal")
	}

	mayNot("reporter", "accountant", "webhooks", "add", "https://example.test/")
	may("accountant", "secret whsec_", "webhooks", "add", "https://user:password@example.test/")
	may("accountant", "secret whsec_", "webhooks", "rotate", "1")
	for _, kind := range []string{"server", "reporter", "accountant"} {
		may(kind, "https://example.test/", "webhooks", "list")
		may(kind, "", "deliveries", "list")
	}
	mayNot("reporter", "accountant", "deliveries", "retry", "--failed")
	may("accountant", "0 deliveries", "deliveries", "retry", "--failed")
	mayNot("server", "accountant", "webhooks", "remove", "1")
	may("accountant", "is removed", "webhooks", "remove", "1")

	mayNot("nobody", "reporter", "invoices", "list")
	mayNot("nobody", "server", "serve")
	mayNot("nobody", "server", "reconcile")
	mayNot("nobody", "enqueuer", "enqueue", "F9")
	mayNot("enqueuer", "reporter", "invoices", "list")
	mayNot("enqueuer", "server", "serve")
	mayNot("reporter", "server", "serve")
	mayNot("reporter", "enqueuer", "enqueue", "F9")
	mayNot("accountant", "server", "serve")
	mayNot("server", "accountant", "import", "customers", customers)
	mayNot("server", "accountant", "import", "tariffs", tariffs)
	mayNot("server", "accountant", "import", "flights", flights)
	mayNot("server", "accountant", "void", "EACH-000001", "--reason", "why")
	mayNot("server", "accountant", "invoices", "unpay", "EACH-000001", "--reason", "why")
	mayNot("server", "owner", "settings", "set", "close=next_day")
	mayNot("server", "owner", "migrate", "down", "--lose-invoices")
	mayNot("reporter", "owner", "maintain")

	status, _, stderr = flightbill("owner", "migrate", "grant", "root", logins["server"])
	require.Equal(t, exitUsage, status)
	require.Contains(t, stderr, `"root" is not one of server`)
	status, _, stderr = flightbill("reporter", "migrate", "grant", "server", logins["reporter"])
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "have an administrator run: GRANT flightbill_server TO")
}

// The command may be pasted, whatever the login is called.
func TestLackedRoleIsQuotedForTheShell(t *testing.T) {
	t.Parallel()
	for login, want := range map[string]string{
		"clerk": "clerk", "Clerk_2.x@example-1": "Clerk_2.x@example-1", "my clerk": "'my clerk'", "$(reboot)": "'$(reboot)'", "o'hara;": `'o'\''hara;'`, "": "''",
	} {
		require.Contains(t, lackedRole("flightbill serve", login)+"\n", "flightbill migrate grant server "+want+"\n")
	}
	require.Contains(t, lackedRole("flightbill maintain", "my clerk"), `which "my clerk" is not`)
}

// A login that has flightbill_server alone works everything, and says what it does not.
func TestServeAsServer(t *testing.T) {
	t.Parallel()
	address, pool := queueDatabase(t, 100)
	name, login := newLogin(t, pool, address, "server")
	status, _, stderr := runWith(map[string]string{"DATABASE_URL": address}, "migrate", "grant", "server", name)
	require.Equal(t, exitDone, status, stderr)
	serve := startServe(t, "DATABASE_URL="+login, "FLIGHTBILL_BILLING_START="+time.Now().AddDate(0, 0, -30).Format(time.DateOnly), "FLIGHTBILL_RESULTS="+filepath.Join(t.TempDir(), "results.json"))
	_, err := pool.Exec(t.Context(), enqueueAll)
	require.NoError(t, err)
	eventually(t, "all flights are billed", func() bool { return number(t, pool, `SELECT count(*) FROM billed_flights`) == 100 })
	eventually(t, "the runs of the past are made up, the queue's rows are kept, and it leads", func() bool {
		return number(t, pool, `SELECT count(*) FROM billing_runs WHERE finished_at IS NOT NULL`) > 29 &&
			number(t, pool, `SELECT count(*) FROM river_leader`) == 1 && number(t, pool, `SELECT count(*) FROM river_queue`) == 4
	})
	eventually(t, "it is ready", func() bool { return strings.HasPrefix(serve.page(t, "/readyz"), "ready") })
	require.Contains(t, serve.page(t, "/metrics"), "\nflightbill_queue_readable 1\n")
	require.Contains(t, serve.page(t, "/api/queues"), "flights")
	require.NoError(t, serve.Process.Signal(syscall.SIGTERM))
	<-serve.ended
	require.Equal(t, 0, serve.ProcessState.ExitCode())
	require.NotContains(t, serve.said(), "permission denied")
	require.NotContains(t, serve.said(), "this login owns the tables")
	if number(t, pool, `SELECT current_setting('server_version_num')::int`) < 170000 {
		require.Contains(t, serve.said(), "have their owner run flightbill maintain")
	} else {
		require.NotContains(t, serve.said(), "have their owner run flightbill maintain")
	}

	owner := startServe(t, "DATABASE_URL="+address)
	require.Contains(t, owner.said(), "this login owns the tables, or is a superuser")
}

// Beside a serve at work.
func TestMaintainCommand(t *testing.T) {
	t.Parallel()
	address, pool := queueDatabase(t, 500)
	startServe(t, "DATABASE_URL="+address)
	_, err := pool.Exec(t.Context(), enqueueAll)
	require.NoError(t, err)
	status, stdout, stderr := runWith(map[string]string{"DATABASE_URL": address}, "maintain")
	require.Equal(t, exitDone, status, stderr)
	for _, index := range []string{"river_job_pkey", "river_job_prioritized_fetching_index", "river_job_unique_idx", "river_job_flight_idx"} {
		require.Regexp(t, `(?m)^`+index+`: .* was .*; rebuilt in`, stdout)
	}
	eventually(t, "all flights are billed", func() bool { return number(t, pool, `SELECT count(*) FROM billed_flights`) == 500 })
	require.Zero(t, number(t, pool, `SELECT count(*) FROM pg_index WHERE NOT indisvalid`))
}

// Each entry is a command; the roles are those that can be granted.
func TestRoleOfCommands(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		known[cmd.CommandPath()] = true
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).newRootCommand(func(string) (string, bool) { return "", false }))
	for command, role := range roleOf {
		require.True(t, known[command], command)
		if role != ownerOnly {
			_, err := db.ParseRole(role)
			require.NoError(t, err)
		}
	}
}
