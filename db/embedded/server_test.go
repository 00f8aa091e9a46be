//go:build unix

package embedded

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDataSurvivesStopAndStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(dataDir(t), "with space, and ümlaut")
	first := start(t, Config{Dir: dir, Parameters: map[string]string{"cluster_name": "a \"b\" $HOME `id` \\c"}})
	require.Equal(t, "flightbill flightbill", query(t, first.URL(), "SELECT current_user || ' ' || current_database()"), "who and where")
	require.Equal(t, "on", query(t, first.URL(), "SHOW is_superuser"), "superuser")
	require.Equal(t, "on", query(t, first.URL(), "SHOW fsync"), "fsync")
	require.Equal(t, "UTC", query(t, first.URL(), "SHOW timezone"), "time zone")
	require.Equal(t, "127.0.0.1", query(t, first.URL(), "SHOW listen_addresses"), "addresses")
	require.Equal(t, "18", query(t, first.URL(), "SELECT split_part(current_setting('server_version'), '.', 1)"), "version")
	require.Equal(t, "a \"b\" $HOME `id` \\c", query(t, first.URL(), "SHOW cluster_name"), "a parameter with what shells interpret")
	execute(t, first.URL(), "CREATE TABLE kept AS SELECT 'yes' AS answer")
	require.NoError(t, first.Stop())
	requireGone(t, first.URL())
	logs, err := filepath.Glob(filepath.Join(dir, "log", "*.log"))
	require.NoError(t, err)
	require.Len(t, logs, 1)
	require.NoFileExists(t, filepath.Join(dir, stateFile))

	second := start(t, Config{Dir: dir})
	require.Equal(t, "yes", query(t, second.URL(), "SELECT answer FROM kept"), "kept row")
	for _, file := range []string{"", passwordFile, stateFile, lockFile, "data", "log"} {
		info, err := os.Stat(filepath.Join(dir, file))
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, "others may read %s", info.Name())
	}
}

func TestStartsAtOnceShareOneServer(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	// Locks of one process conflict with each other as those of several do: each Start opens the file anew.
	servers := make([]*Server, 4)
	var group sync.WaitGroup
	for i := range servers {
		group.Go(func() {
			server, err := Start(t.Context(), Config{Dir: dir, Ephemeral: true})
			assert.NoError(t, err)
			servers[i] = server
		})
	}
	group.Wait()
	require.NotContains(t, servers, (*Server)(nil))
	owners := 0
	for _, server := range servers {
		require.Equal(t, servers[0].URL(), server.URL(), "URL")
		if server.Owned() {
			owners++
			t.Cleanup(func() { require.NoError(t, server.Stop()) })
		} else {
			require.NoError(t, server.Stop())
		}
	}
	require.Equal(t, 1, owners, "owners")
	require.Equal(t, "yes", query(t, servers[0].URL(), "SELECT 'yes'"), "alive after the others' Stop")

	_, err := Start(t.Context(), Config{Dir: dir, Version: V15})
	require.ErrorIs(t, err, ErrOtherVersion)
}

func TestEphemeral(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port

	server := start(t, Config{Ephemeral: true, ports: []int{port}})
	require.NotEqual(t, port, server.state.Port, "it is another program's")
	require.Equal(t, "off", query(t, server.URL(), "SHOW fsync"), "fsync")
	// A backend ends a little after its client has gone.
	const others = "SELECT count(*) - 1 || '' FROM pg_stat_activity WHERE backend_type = 'client backend'"
	require.Eventually(t, func() bool { return query(t, server.URL(), others) == "0" }, 10*time.Second, 20*time.Millisecond, "connections besides this one")
	require.NoError(t, server.Stop())
	require.NoDirExists(t, server.dir)
	require.NoError(t, server.Stop()) // again is harmless
}

func TestStartNeedsFolder(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Config{})
	require.ErrorContains(t, err, "FLIGHTBILL_DATA_DIR")
}

// Another process is starting its server and does not get on; the last one's state file is still there, and its port is
// now that of a program that would like to know passwords.
func TestStaleStateIsNotBelieved(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	asked, answers := make(chan struct{}, 100), make(chan byte, 100)
	go func() {
		for {
			conn, err := other.Accept()
			if err != nil {
				close(answers)
				return
			}
			message := make([]byte, 1024)
			_, _ = conn.Read(message)                              // startup
			_, _ = conn.Write([]byte{'R', 0, 0, 0, 8, 0, 0, 0, 3}) // password in clear text, please
			asked <- struct{}{}
			if n, _ := conn.Read(message); n > 0 {
				answers <- message[0]
			}
			_ = conn.Close()
		}
	}()

	dir := dataDir(t)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, passwordFile), []byte("secret"), 0o600))
	require.NoError(t, writeState(dir, state{Port: other.Addr().(*net.TCPAddr).Port, Version: defaultVersion}))
	lock, err := openLock(filepath.Join(dir, lockFile), ownerOf(t, dir))
	require.NoError(t, err)
	defer lock.Close()
	free, err := tryLock(lock)
	require.NoError(t, err)
	require.True(t, free, "lock free")

	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = Start(ctx, Config{Dir: dir})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, other.Close())
	for answer := range answers {
		require.NotEqual(t, byte('p'), answer, "the other program was sent the password")
	}
	require.NotEmpty(t, asked, "the state file was not tried: the test tests nothing")
}

func TestStartCancelledLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond) // amid initdb, on most machines
	defer cancel()
	if server, err := Start(ctx, Config{Dir: dir}); err == nil {
		require.NoError(t, server.Stop())
		t.Skip("this machine starts Postgres faster than the test cancels")
	}
	server := start(t, Config{Dir: dir, Ephemeral: true})
	require.True(t, server.Owned(), "the next Start owns its server")
}

// Who found a server is told when it ends, also where the next one is there at once.
func TestGone(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first := start(t, Config{Dir: dir, Ephemeral: true})
	found := start(t, Config{Dir: dir, Ephemeral: true})
	if first.Gone() != nil {
		t.Error("a server of this process's own has a Gone")
	}
	time.Sleep(2 * goneCheck)
	select {
	case <-found.Gone():
		t.Fatal("gone while it runs")
	default:
	}
	require.NoError(t, first.Stop())
	next := start(t, Config{Dir: dir, Ephemeral: true})
	require.True(t, next.Owned(), "the next one is owned")
	select {
	case <-found.Gone():
	case <-time.After(30 * time.Second):
		t.Error("nobody tells that the server has gone")
	}
}
