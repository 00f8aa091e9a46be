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
)

func TestKilledParentTakesTheServerAlong(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	self, err := os.Executable()
	must(t, err)
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), parentEnv+"="+dir)
	stdout, err := parent.StdoutPipe()
	must(t, err)
	must(t, parent.Start())
	defer func() { _ = parent.Process.Kill(); _ = parent.Wait() }()
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	url := strings.TrimSpace(line)
	if !strings.HasPrefix(url, "postgres://") {
		t.Fatalf("the parent says: %s", line)
	}
	execute(t, url, "CREATE TABLE kept AS SELECT 'yes' AS answer")

	must(t, parent.Process.Kill())
	requireGone(t, url)
	after := start(t, Config{Dir: dir, Ephemeral: true})
	equal(t, "owned", after.Owned(), true)
	equal(t, "kept row", query(t, after.URL(), "SELECT answer FROM kept"), "yes")
}

func TestHolderIgnoresSignals(t *testing.T) {
	t.Parallel()
	server := start(t, Config{Ephemeral: true})
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		must(t, server.holder.proc.Signal(sig))
	}
	select {
	case <-server.holder.ended:
		t.Fatal("the holder ended")
	case <-time.After(300 * time.Millisecond):
	}
	equal(t, "alive", query(t, server.URL(), "SELECT 'yes'"), "yes")

	group, err := syscall.Getpgid(server.holder.proc.Pid)
	must(t, err)
	if group == syscall.Getpgrp() {
		t.Error("the holder is in this process's group: Ctrl-C would reach it")
	}
}

func TestStopAfterTheHolderWasKilled(t *testing.T) {
	t.Parallel()
	server := start(t, Config{Ephemeral: true})
	must(t, server.holder.proc.Kill())
	<-server.holder.ended
	equal(t, "alive without a holder", query(t, server.URL(), "SELECT 'yes'"), "yes")
	must(t, server.Stop())
	requireGone(t, server.URL())
	if _, err := os.Stat(server.dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestStartReplacesServerWithoutHolder(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	orphan := start(t, Config{Dir: dir, Ephemeral: true})
	execute(t, orphan.URL(), "CREATE TABLE kept AS SELECT 'yes' AS answer")
	must(t, orphan.holder.proc.Kill())
	<-orphan.holder.ended

	server := start(t, Config{Dir: dir, Ephemeral: true})
	equal(t, "owned", server.Owned(), true)
	equal(t, "kept row", query(t, server.URL(), "SELECT answer FROM kept"), "yes")
	requireGone(t, orphan.URL())
	must(t, orphan.Stop())
	equal(t, "alive after the orphan's Stop", query(t, server.URL(), "SELECT 'yes'"), "yes")
}

// All processes are gone, at once, as after a power cut; the numbers they had now belong to others.
func TestStartAfterCrashOfEverything(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	crashed := start(t, Config{Dir: dir})
	execute(t, crashed.URL(), "CREATE TABLE kept AS SELECT 'yes' AS answer")
	data := filepath.Join(crashed.dir, "data")
	pid, _, err := postmaster(data)
	must(t, err)
	must(t, crashed.holder.proc.Kill())
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	<-crashed.holder.ended
	requireGone(t, crashed.URL())

	// The number of the server that crashed is now that of another process of its user, its port another program's.
	process := exec.Command("sleep", "60")
	if owner := accountFor(dir); os.Geteuid() == 0 {
		process.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(owner.UID), Gid: uint32(owner.GID)}}
	}
	must(t, process.Start())
	defer func() { _ = process.Process.Kill(); _ = process.Wait() }()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer other.Close()
	port := other.Addr().(*net.TCPAddr).Port
	content, err := os.ReadFile(pidFile(data))
	must(t, err)
	_, rest, _ := strings.Cut(string(content), "\n")
	must(t, os.WriteFile(pidFile(data), []byte(strconv.Itoa(process.Process.Pid)+"\n"+rest), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, stateFile), fmt.Appendf(nil, `{"port":%d,"version":"18.3.0"}`, port), 0o600))

	server := start(t, Config{Dir: dir})
	equal(t, "owned", server.Owned(), true)
	equal(t, "kept row", query(t, server.URL(), "SELECT answer FROM kept"), "yes")
}

// A first start cut short leaves a half made cluster, or one without its database.
func TestStartAfterHalfAStart(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, lockFile), nil, 0o600))
	must(t, os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "data.new", "PG_VERSION"), []byte("18\n"), 0o600))
	if os.Geteuid() == 0 {
		owner := accountFor(dir)
		must(t, os.Chown(filepath.Join(dir, "data.new"), owner.UID, owner.GID))
		must(t, os.Chown(filepath.Join(dir, "data.new", "base"), owner.UID, owner.GID))
	}
	server := start(t, Config{Dir: dir, Ephemeral: true})
	execute(t, server.Database("postgres"), "DROP DATABASE flightbill")
	must(t, server.Stop())

	again := start(t, Config{Dir: dir, Ephemeral: true})
	equal(t, "database", query(t, again.URL(), "SELECT current_database()"), "flightbill")
}
