//go:build unix

package embedded

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestKilledParentTakesTheServerAlong(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	self, err := os.Executable()
	require.NoError(t, err)
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), parentEnv+"="+dir)
	stdout, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	defer func() { _ = parent.Process.Kill(); _ = parent.Wait() }()
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	url := strings.TrimSpace(line)
	require.True(t, strings.HasPrefix(url, "postgres://"), "the parent says: %s", line)
	execute(t, url, "CREATE TABLE kept AS SELECT 'yes' AS answer")

	require.NoError(t, parent.Process.Kill())
	requireGone(t, url)
	after := start(t, Config{Dir: dir, Ephemeral: true})
	require.True(t, after.Owned(), "owned")
	require.Equal(t, "yes", query(t, after.URL(), "SELECT answer FROM kept"), "kept row")
}

func TestHolderIgnoresSignals(t *testing.T) {
	t.Parallel()
	server := start(t, Config{Ephemeral: true})
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		require.NoError(t, server.holder.proc.Signal(sig))
	}
	select {
	case <-server.holder.ended:
		t.Fatal("the holder ended")
	case <-time.After(300 * time.Millisecond):
	}
	require.Equal(t, "yes", query(t, server.URL(), "SELECT 'yes'"), "alive")

	group, err := syscall.Getpgid(server.holder.proc.Pid)
	require.NoError(t, err)
	require.NotEqual(t, syscall.Getpgrp(), group, "the holder is in this process's group: Ctrl-C would reach it")
}

func TestStopAfterTheHolderWasKilled(t *testing.T) {
	t.Parallel()
	server := start(t, Config{Ephemeral: true})
	require.NoError(t, server.holder.proc.Kill())
	<-server.holder.ended
	require.Equal(t, "yes", query(t, server.URL(), "SELECT 'yes'"), "alive without a holder")
	require.NoError(t, server.Stop())
	requireGone(t, server.URL())
	require.NoDirExists(t, server.dir)
}

func TestStartReplacesServerWithoutHolder(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	orphan := start(t, Config{Dir: dir, Ephemeral: true})
	execute(t, orphan.URL(), "CREATE TABLE kept AS SELECT 'yes' AS answer")
	require.NoError(t, orphan.holder.proc.Kill())
	<-orphan.holder.ended

	server := start(t, Config{Dir: dir, Ephemeral: true})
	require.True(t, server.Owned(), "owned")
	require.Equal(t, "yes", query(t, server.URL(), "SELECT answer FROM kept"), "kept row")
	requireGone(t, orphan.URL())
	require.NoError(t, orphan.Stop())
	require.Equal(t, "yes", query(t, server.URL(), "SELECT 'yes'"), "alive after the orphan's Stop")
}

// All processes are gone, at once, as after a power cut; the numbers they had now belong to others.
func TestStartAfterCrashOfEverything(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	crashed := start(t, Config{Dir: dir})
	execute(t, crashed.URL(), "CREATE TABLE kept AS SELECT 'yes' AS answer")
	data := filepath.Join(crashed.dir, "data")
	pid, _, err := postmaster(data)
	require.NoError(t, err)
	require.NoError(t, crashed.holder.proc.Kill())
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	<-crashed.holder.ended
	requireGone(t, crashed.URL())

	// The number of the server that crashed is now that of another process of its user, its port another program's.
	process := exec.Command("sleep", "60")
	if owner := ownerOf(t, dir); os.Geteuid() == 0 {
		process.SysProcAttr = &syscall.SysProcAttr{Credential: owner.credential()}
	}
	require.NoError(t, process.Start())
	defer func() { _ = process.Process.Kill(); _ = process.Wait() }()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer other.Close()
	port := other.Addr().(*net.TCPAddr).Port
	content, err := os.ReadFile(pidFile(data))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(content), "\n")
	require.NoError(t, os.WriteFile(pidFile(data), []byte(strconv.Itoa(process.Process.Pid)+"\n"+rest), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, stateFile), fmt.Appendf(nil, `{"port":%d,"version":"18.3.0"}`, port), 0o600))

	server := start(t, Config{Dir: dir})
	require.True(t, server.Owned(), "owned")
	require.Equal(t, "yes", query(t, server.URL(), "SELECT answer FROM kept"), "kept row")
}

// A first start cut short leaves a half made cluster, or one without its database.
func TestStartAfterHalfAStart(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, lockFile), nil, 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data.new", "PG_VERSION"), []byte("18\n"), 0o600))
	if os.Geteuid() == 0 {
		owner := ownerOf(t, dir)
		require.NoError(t, os.Chown(filepath.Join(dir, "data.new"), owner.UID, owner.GID))
		require.NoError(t, os.Chown(filepath.Join(dir, "data.new", "base"), owner.UID, owner.GID))
	}
	server := start(t, Config{Dir: dir, Ephemeral: true})
	execute(t, server.Database("postgres"), "DROP DATABASE flightbill")
	require.NoError(t, server.Stop())

	again := start(t, Config{Dir: dir, Ephemeral: true})
	require.Equal(t, "flightbill", query(t, again.URL(), "SELECT current_database()"), "database")
}
