package db_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

func TestAway(t *testing.T) {
	t.Parallel()
	code := func(code string) error {
		return fmt.Errorf("save: %w", &pgconn.PgError{Code: code, Message: "of 10.0.0.1"})
	}
	for _, c := range []struct {
		err    error
		reason string // empty: not away
		again  bool
	}{
		{code("08006"), "takes no connections", true},
		{code("53100"), "has no space left", true},
		{code("53200"), "has no resources left", true},
		{code("53300"), "has no connection left", true},
		{code("57P01"), "is starting or shutting down", true},
		{code("57P03"), "is starting or shutting down", true},
		{code("25006"), "is read-only", true},
		{code("40001"), "", true},
		{code("40P01"), "", true},
		{code("57014"), "", false}, // cancelled by somebody
		{code("23505"), "", false},
		{code("FB001"), "", false},
		{code("55P03"), "", false},
		{code(""), "", false},
		{io.ErrUnexpectedEOF, "does not answer", true},
		{fmt.Errorf("write: %w", syscall.EPIPE), "does not answer", true},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, "does not answer", true},
		{context.DeadlineExceeded, "does not answer", true},
		{context.Canceled, "", false},
		{errors.New("a bug"), "", false},
		{json.Unmarshal([]byte("{"), &struct{}{}), "", false},
		{pgx.ErrNoRows, "", false},
		{db.ErrJobLost, "", false},
		{nil, "", false},
	} {
		require.Equal(t, c.reason != "", db.Away(c.err), "%v", c.err)
		require.Equal(t, c.again, db.TryAgain(c.err), "%v", c.err)
		if c.reason != "" {
			require.Equal(t, c.reason, db.AwayReason(c.err), "%v", c.err)
		}
	}
}

// The same of real connections.
func TestAwayConnections(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	connect := func(change func(*pgx.ConnConfig)) error {
		c := config.Copy()
		c.ConnectTimeout = 2 * time.Second
		change(c)
		conn, err := pgx.ConnectConfig(t.Context(), c)
		if err == nil {
			_ = conn.Close(t.Context())
		}
		return err
	}
	require.True(t, db.Away(connect(func(c *pgx.ConnConfig) { c.Host, c.Port, c.Fallbacks = "127.0.0.1", 1, nil })))
	require.True(t, db.Away(connect(func(c *pgx.ConnConfig) { c.Host, c.Fallbacks = "nowhere.invalid", nil })))
	wrong := connect(func(c *pgx.ConnConfig) { c.Database = "another" })
	require.True(t, db.Away(wrong), "a process at work waits")
	require.True(t, db.Refused(wrong), "nobody is to wait five minutes for a wrong name")

	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `SELECT pg_terminate_backend(pg_backend_pid())`)
	require.True(t, db.Away(err), "%v", err)
	_, err = conn.Exec(t.Context(), `SELECT 1`)
	require.True(t, db.Away(err), "%v", err)

	pool := open(t, url, 1)
	require.NoError(t, db.CheckWritable(t.Context(), pool))
	_, err = pool.Exec(t.Context(), `ALTER DATABASE `+config.Database+` SET default_transaction_read_only = on`)
	require.NoError(t, err)
	pool.Reset()
	err = db.CheckWritable(t.Context(), pool)
	require.ErrorIs(t, err, db.ErrNotWritable)
	require.True(t, db.Away(err))
	require.Equal(t, "is read-only", db.AwayReason(err))
}

// What a migration leaves a process with, in the server's own words; and a mistake of a
// query that has the same code.
func TestSchemaDiffers(t *testing.T) {
	t.Parallel()
	b := setupEmpty(t)
	pool := open(t, b.url, 1)
	ask := func(sql string) error {
		rows, err := pool.Query(t.Context(), sql)
		rows.Close()
		return cmp.Or(err, rows.Err())
	}
	for _, sql := range []string{`SELECT FROM gone`, `SELECT gone FROM pg_class`, `SELECT gone()`} {
		require.True(t, db.SchemaDiffers(ask(sql)), sql)
	}
	require.NoError(t, ask(`CREATE TABLE public.migrated (n int)`))
	require.NoError(t, ask(`SELECT n FROM public.migrated`)) // which prepares it
	b.exec(t, `ALTER TABLE public.migrated ALTER n TYPE text`)
	err := ask(`SELECT n FROM public.migrated`)
	require.ErrorContains(t, err, "cached plan must not change result type")
	require.True(t, db.SchemaDiffers(err))

	err = ask(`SELECT count(*) FROM pg_class FOR UPDATE`)
	requireSQLError(t, err, "0A000", "FOR UPDATE is not allowed")
	require.False(t, db.SchemaDiffers(err))
}
