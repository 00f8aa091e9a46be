//go:build unix

package embedded

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

func TestDataSurvivesStopAndStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(dataDir(t), "with space, and ümlaut")
	first := start(t, Config{Dir: dir, Parameters: map[string]string{"cluster_name": "a \"b\" $HOME `id` \\c"}})
	equal(t, "who and where", query(t, first.URL(), "SELECT current_user || ' ' || current_database()"), "flightbill flightbill")
	equal(t, "superuser", query(t, first.URL(), "SHOW is_superuser"), "on")
	equal(t, "fsync", query(t, first.URL(), "SHOW fsync"), "on")
	equal(t, "time zone", query(t, first.URL(), "SHOW timezone"), "UTC")
	equal(t, "addresses", query(t, first.URL(), "SHOW listen_addresses"), "127.0.0.1")
	equal(t, "version", query(t, first.URL(), "SELECT split_part(current_setting('server_version'), '.', 1)"), "18")
	equal(t, "a parameter with what shells interpret", query(t, first.URL(), "SHOW cluster_name"), "a \"b\" $HOME `id` \\c")
	execute(t, first.URL(), "CREATE TABLE kept AS SELECT 'yes' AS answer")
	must(t, first.Stop())
	requireGone(t, first.URL())
	if logs, _ := filepath.Glob(filepath.Join(dir, "log", "*.log")); len(logs) != 1 {
		t.Errorf("logs in the data folder: %v, want one", logs)
	}

	if _, err := os.Stat(filepath.Join(dir, stateFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a stopped server's state file: %v, want none", err)
	}

	second := start(t, Config{Dir: dir})
	equal(t, "kept row", query(t, second.URL(), "SELECT answer FROM kept"), "yes")
	equal(t, "secrets readable by others", loose(t, dir), "")
}

// loose returns the first file in a data folder that others may read.
func loose(t *testing.T, dir string) (found string) {
	t.Helper()
	for _, file := range []string{"", passwordFile, stateFile, lockFile, "data", "log"} {
		info, err := os.Stat(filepath.Join(dir, file))
		must(t, err)
		if info.Mode().Perm()&0o077 != 0 && found == "" {
			found = info.Name()
		}
	}
	return found
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
			if err != nil {
				t.Error(err)
				return
			}
			servers[i] = server
		})
	}
	group.Wait()
	if t.Failed() {
		return
	}
	owners := 0
	for _, server := range servers {
		equal(t, "URL", server.URL(), servers[0].URL())
		if server.Owned() {
			owners++
			t.Cleanup(func() { must(t, server.Stop()) })
		} else {
			must(t, server.Stop())
		}
	}
	equal(t, "owners", owners, 1)
	equal(t, "alive after the others' Stop", query(t, servers[0].URL(), "SELECT 'yes'"), "yes")

	_, err := Start(t.Context(), Config{Dir: dir, Version: embeddedpostgres.V15})
	if !errors.Is(err, ErrOtherVersion) {
		t.Errorf("Start of another version beside it: %v, want ErrOtherVersion", err)
	}
}

func TestEphemeral(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port

	server := start(t, Config{Ephemeral: true, ports: []int{port}})
	if server.state.Port == port {
		t.Errorf("the server claims port %d, which is another program's", port)
	}
	equal(t, "fsync", query(t, server.URL(), "SHOW fsync"), "off")
	// A backend ends a little after its client has gone.
	const others = "SELECT count(*) - 1 || '' FROM pg_stat_activity WHERE backend_type = 'client backend'"
	open := query(t, server.URL(), others)
	for deadline := time.Now().Add(10 * time.Second); open != "0" && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
		open = query(t, server.URL(), others)
	}
	equal(t, "connections besides this one", open, "0")
	must(t, server.Stop())
	if _, err := os.Stat(server.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
	must(t, server.Stop()) // again is harmless
}

func TestStartNeedsFolder(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Config{})
	if err == nil || !strings.Contains(err.Error(), "FLIGHTBILL_DATA_DIR") {
		t.Errorf("Start without a folder: %v, want an error that names FLIGHTBILL_DATA_DIR", err)
	}
}

// Another process is starting its server and does not get on; the last one's state file is still there, and its port is
// now that of a program that would like to know passwords.
func TestStaleStateIsNotBelieved(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
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
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, passwordFile), []byte("secret"), 0o600))
	must(t, writeState(dir, state{Port: other.Addr().(*net.TCPAddr).Port, Version: defaultVersion}))
	lock, err := openLock(filepath.Join(dir, lockFile), accountFor(dir))
	must(t, err)
	defer lock.Close()
	free, err := tryLock(lock)
	must(t, err)
	equal(t, "lock free", free, true)

	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, Config{Dir: dir}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Start: %v, want that it waits on until its context ends", err)
	}
	must(t, other.Close())
	for answer := range answers {
		if answer == 'p' {
			t.Error("the other program was sent the password")
		}
	}
	if len(asked) == 0 {
		t.Error("the state file was not tried: the test tests nothing")
	}
}

func TestStartCancelledLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond) // amid initdb, on most machines
	defer cancel()
	if server, err := Start(ctx, Config{Dir: dir}); err == nil {
		must(t, server.Stop())
		t.Skip("this machine starts Postgres faster than the test cancels")
	}
	server := start(t, Config{Dir: dir, Ephemeral: true})
	equal(t, "the next Start owns its server", server.Owned(), true)
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
	must(t, first.Stop())
	next := start(t, Config{Dir: dir, Ephemeral: true})
	equal(t, "the next one is owned", next.Owned(), true)
	select {
	case <-found.Gone():
	case <-time.After(30 * time.Second):
		t.Error("nobody tells that the server has gone")
	}
}
