package main

import (
	"archive/zip"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

// By a clock that is 40 days ahead nothing is billed, run or voided by hand; who looks
// may look. What the first start stores is right all the same.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	url, pool := queueDatabase(t, 1)
	env := func(name string) (string, bool) {
		value, given := map[string]string{"DATABASE_URL": url, "FLIGHTBILL_HTTP_ADDR": "127.0.0.1:0", "FLIGHTBILL_RESULTS": ""}[name]
		return value, given
	}
	ahead := func() time.Time { return time.Now().AddDate(0, 0, 40) }
	flightbill := func(args ...string) (status int, said string) {
		var out strings.Builder
		a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &out, clock: db.NewClock(ahead)}
		return a.run(t.Context(), args, env), out.String()
	}
	refused := func(args ...string) {
		t.Helper()
		status, said := flightbill(args...)
		require.Equal(t, exitFailed, status, said)
		require.Contains(t, said, "wrong clock: the clock of this machine is 40.0 days ahead of the database's")
	}
	refused("consolidate")
	refused("overdue")
	refused("correct", "F1")
	refused("void", "EACH-000001", "--reason", "wrong")
	require.Zero(t, number(t, pool, `SELECT count(*) FROM billing_settings`), "a command stores nothing")
	for _, args := range [][]string{{"calendar"}, {"invoices", "list"}, {"enqueue", "F1"}, {"settings"}} {
		status, said := flightbill(args...)
		require.Equal(t, exitDone, status, said)
	}

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	serve, ended := &process{}, make(chan int)
	go func() {
		a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: serve, clock: db.NewClock(ahead)}
		ended <- a.run(ctx, []string{"serve"}, env)
	}()
	eventually(t, "serve says why it does nothing", func() bool { return strings.Contains(serve.said(), "until the clock is put right") })
	require.Contains(t, serve.answer(t, "/readyz", http.StatusServiceUnavailable), "40.0 days ahead")
	serve.answer(t, "/healthz", http.StatusOK)
	require.NotContains(t, serve.said(), "flightbill is working")
	require.Equal(t, 1, number(t, pool, `SELECT count(*) FROM billing_settings WHERE billing_start = (now() AT TIME ZONE 'UTC')::date`))
	require.Equal(t, 1, number(t, pool, `SELECT count(*) FROM flight_processing_queue WHERE state = 'available' AND attempts = 0`))
	require.Zero(t, number(t, pool, `SELECT count(*) FROM billing_runs WHERE trigger <> 'start'`))
	stop()
	require.Equal(t, exitDone, <-ended, serve.said())
}

// A machine with old rules for the billing zone would bill another day: it does not work.
func TestOldZones(t *testing.T) {
	t.Parallel()
	zones, err := zip.OpenReader(filepath.Join(runtime.GOROOT(), "lib", "time", "zoneinfo.zip")) //nolint:staticcheck // SA1019: the Go that runs the test
	if err != nil {
		t.Skipf("this Go comes without its zone database: %v", err)
	}
	defer zones.Close()
	other, err := zones.Open("Africa/Lagos") // as Casablanca but in Ramadan
	require.NoError(t, err)
	rules, err := io.ReadAll(other)
	require.NoError(t, err)
	old := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(old, "Africa"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(old, "Africa", "Casablanca"), rules, 0o600))

	url := dbtest.URL(t)
	first := startProcess(t, []string{"settings", "set", "timezone=Africa/Casablanca"}, "DATABASE_URL="+url, "ZONEINFO="+old)
	eventually(t, "the zone is refused", first.hasEnded)
	require.Equal(t, exitFailed, first.ProcessState.ExitCode())
	require.Contains(t, first.said(), "for this process and")

	startServe(t, "DATABASE_URL="+url, "FLIGHTBILL_TIMEZONE=Africa/Casablanca")
	serve := startProcess(t, []string{"serve"}, "DATABASE_URL="+url, "ZONEINFO="+old)
	eventually(t, "serve says why it does nothing", func() bool { return strings.Contains(serve.said(), "until the clock is put right") })
	require.Contains(t, serve.answer(t, "/readyz", http.StatusServiceUnavailable), "one of their zone databases is old")
}
