package db_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

// A connection that has died without a word is given up by whoever asks on it, even
// where the caller sets no deadline, and the next is a new one.
func TestSilentConnections(t *testing.T) {
	t.Parallel()
	address, silence := startProxy(t, dbtest.URL(t))
	pool, err := db.Open(t.Context(), address, db.Options{MaxConns: 2, QueryTimeout: time.Second})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	waiting := context.WithoutCancel(t.Context()) // as River's fetch has it

	for _, ask := range map[string]func() error{
		"query": func() error { return pool.QueryRow(waiting, `SELECT 1`).Scan(new(int)) },
		"exec":  func() error { _, err := pool.Exec(waiting, `SELECT 1`); return err },
		"turn": func() error {
			_, err := db.NewFlightQueue(pool).Take(waiting, db.Turn{Client: "c", Claim: 1})
			return err
		},
	} {
		conn, err := pool.Acquire(t.Context())
		require.NoError(t, err)
		conn.Release() // used this second, so that it is not looked at before it is used again
		silence()
		began := time.Now()
		require.Error(t, ask())
		require.Less(t, time.Since(began), 10*time.Second)
		require.NoError(t, ask())
	}
}

// Readers of the price book do not wait behind one whose connection has died.
func TestPriceBookOnASilentConnection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	address, silence := startProxy(t, b.url)
	pool, err := db.Open(t.Context(), address, db.Options{MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	books := db.NewPriceBooks(pool)
	_, err = books.Refresh(t.Context())
	require.NoError(t, err)

	silence()
	stuck := make(chan error, 1)
	go func() {
		_, err := books.Refresh(context.WithoutCancel(t.Context()))
		stuck <- err
	}()
	eventually(t, "the connection is in use", func() bool { return pool.Stat().AcquiredConns() == 1 })
	impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = books.Refresh(impatient)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, <-stuck, context.DeadlineExceeded)
	_, err = books.Refresh(t.Context())
	require.NoError(t, err)
}

// startProxy stands before a server. After silence the connections that it has say
// nothing any more, and new ones work.
func startProxy(t *testing.T, server string) (address string, silence func()) {
	t.Helper()
	behind, err := url.Parse(server)
	require.NoError(t, err)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	target := behind.Host
	var age atomic.Int64
	carry := func(to, from net.Conn, born int64) {
		defer to.Close()
		buffer := make([]byte, 1<<16)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			if age.Load() > born {
				_, _ = io.Copy(io.Discard, from)
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), "tcp", target)
			if err != nil {
				_ = near.Close()
				continue
			}
			born := age.Load()
			go carry(far, near, born)
			go carry(near, far, born)
		}
	}()
	behind.Host = listener.Addr().String()
	return behind.String(), func() { age.Add(1) }
}
