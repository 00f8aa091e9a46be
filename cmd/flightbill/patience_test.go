package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/dbtest"
)

// serve starts before its database does: it says so once, /readyz says why to everybody,
// and then it works; and the same again while it works.
func TestServeWaitsForItsDatabase(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	elsewhere, err := pgx.Connect(t.Context(), dbtest.EmptyURL(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = elsewhere.Close(context.Background()) })
	alter := func(what string) {
		t.Helper()
		_, err := elsewhere.Exec(t.Context(), `ALTER DATABASE `+config.Database+` `+what)
		require.NoError(t, err)
		_, err = elsewhere.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, config.Database)
		require.NoError(t, err)
	}
	addr := freeAddress(t)
	alter("SET default_transaction_read_only = on")
	p := startProcess(t, []string{"serve"}, "DATABASE_URL="+url, "FLIGHTBILL_HTTP_ADDR="+addr, "FLIGHTBILL_HTTP_USER=clerk", "FLIGHTBILL_HTTP_PASSWORD=secret")
	readyz := func() (status int, text string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/readyz", nil)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body)
	}
	becomes := func(status int, text string) {
		t.Helper()
		eventually(t, "/readyz says "+text, func() bool {
			s, said := readyz()
			return s == status && said == text+"\n"
		})
	}
	becomes(http.StatusServiceUnavailable, "not ready: the database is read-only")
	alter("ALLOW_CONNECTIONS false")
	becomes(http.StatusServiceUnavailable, "not ready: the database takes no connections")
	require.Equal(t, 1, strings.Count(p.said(), "waiting for the database"), "said once")
	require.Contains(t, p.said(), "at_most=5m0s")
	alter("RESET default_transaction_read_only")
	alter("ALLOW_CONNECTIONS true")
	becomes(http.StatusOK, "ready")
	require.Contains(t, p.said(), "no longer waiting for the database")

	alter("SET default_transaction_read_only = on")
	becomes(http.StatusServiceUnavailable, "not ready: the database is read-only")
	alter("RESET default_transaction_read_only")
	becomes(http.StatusOK, "ready")
}

func TestServeWaitsNoLongerThanItSays(t *testing.T) {
	t.Parallel()
	address := "127.0.0.1:0"
	started := func(url string) (status int, said string) {
		var out strings.Builder
		a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: &out, now: time.Now, databaseWait: 1}
		env := map[string]string{"DATABASE_URL": url, "FLIGHTBILL_HTTP_ADDR": address, "FLIGHTBILL_RESULTS": ""}
		status = a.run(t.Context(), []string{"serve"}, func(name string) (string, bool) {
			value, ok := env[name]
			return value, ok
		})
		return status, out.String()
	}
	status, said := started("postgres://clerk:secret@" + freeAddress(t) + "/flightbill")
	require.Equal(t, exitFailed, status)
	require.Contains(t, said, "waiting for the database")
	require.Contains(t, said, "the database does not answer, and was waited for for 1ns")
	require.NotContains(t, said, "secret")

	// Waiting does not help against a wrong name.
	url := dbtest.URL(t)
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	status, said = started(strings.Replace(url, config.Database, "another", 1))
	require.Equal(t, exitFailed, status)
	require.NotContains(t, said, "waiting for the database")

	// Nor does it against another program.
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	address = listener.Addr().String()
	status, said = started(url)
	require.Equal(t, exitFailed, status)
	require.Contains(t, said, "cannot listen on "+address)
	require.NotContains(t, said, "waiting for the database")
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}
