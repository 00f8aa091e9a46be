package riverui

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// limited is a server with room for a few connections.
func limited(t *testing.T, most int, change ...func(*Config)) *testBundle {
	t.Helper()
	b := &testBundle{log: &syncWriter{}}
	config := b.config(t)
	for _, c := range change {
		c(&config)
	}
	var err error
	b.server, err = New(config)
	require.NoError(t, err)
	b.server.most = most
	require.NoError(t, b.server.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, b.server.Shutdown(context.Background())) })
	b.base = strings.TrimSuffix(b.server.URL(), "/")
	return b
}

// open connects and sends the beginning of a request.
func (b *testBundle) open(t *testing.T, text string) net.Conn {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(b.base, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, text)
	require.NoError(t, err)
	return conn
}

// Whoever opens connections and sends slowly takes them from nobody.
func TestConnectionsThatSendNothingShutOutNobody(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	b := limited(t, 8, func(c *Config) {
		c.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-release
			_, _ = io.WriteString(w, "finished")
		})
	})
	body := make(chan string, 1)
	go func() { body <- get(t, b.base+"/metrics") }()
	<-entered
	first := b.open(t, "GET / HTTP/1.1\r\nX-Slow: ")
	for range 50 {
		b.open(t, "GET / HTTP/1.1\r\nX-Slow: ")
		b.open(t, "")
	}
	require.Equal(t, "ok\n", get(t, b.base+"/healthz"))
	require.NoError(t, first.SetReadDeadline(time.Now().Add(3*time.Second)))
	_, err := first.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the oldest was closed, not waited for")
	close(release)
	require.Equal(t, "finished", <-body, "a request that is answered is not cut off")
}

func TestConnectionsAreNotMoreThanTheirLimit(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	entered := make(chan struct{}, 4)
	b := limited(t, 4, func(c *Config) {
		c.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			entered <- struct{}{}
			<-release
		})
	})
	bodies := make(chan string, 4)
	for range 4 {
		go func() { bodies <- get(t, b.base+"/metrics") }()
	}
	for range 4 {
		<-entered
	}
	require.NotEqual(t, "ok\n", get(t, b.base+"/healthz"), "all are busy")
	close(release)
	for range 4 {
		require.Empty(t, <-bodies)
	}
	require.Eventually(t, func() bool { return get(t, b.base+"/healthz") == "ok\n" }, 10*time.Second, 10*time.Millisecond)
}

func TestHeadersThatDoNotComeEndTheConnection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	waiting := &testBundle{log: &syncWriter{}}
	var err error
	waiting.server, err = NewWaiting(Config{Addr: "127.0.0.1:0", Ready: func(context.Context) error { return nil }})
	require.NoError(t, err)
	require.NoError(t, waiting.server.Start(t.Context()))
	defer func() { require.NoError(t, waiting.server.Shutdown(context.Background())) }()
	waiting.base = strings.TrimSuffix(waiting.server.URL(), "/")
	for _, b := range []*testBundle{b, waiting} {
		conn := b.open(t, "GET / HTTP/1.1\r\nX-Slow: ")
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
		_, err := io.ReadAll(conn)
		require.NoError(t, err, "the server ends it")
	}
}
