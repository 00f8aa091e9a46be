//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// neverPID is a process id above what any supported kernel hands out.
const neverPID = 1<<31 - 2

// postmaster returns the process id of the server running on a cluster, 0 if there is none. The pid file alone does not
// tell: after a crash its number may belong to any other process, in a container it usually does.
func postmaster(dataDir string) (pid int, stale bool, err error) {
	content, err := os.ReadFile(pidFile(dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, notNumber := strconv.Atoi(strings.TrimSpace(first))
	if notNumber != nil || pid <= 1 || !isPostmaster(pid, dataDir) {
		return 0, true, nil //nolint:nilerr // no pid there: nobody's file
	}
	return pid, false, nil
}

// clearCluster makes a cluster ready to start: stops a server that nobody holds any more, and disowns a pid file whose
// number now belongs to another process, which Postgres would take for a running server. The rest of that file stays:
// Postgres finds surviving backends by it. Only the holder of the lock may call this.
func clearCluster(dataDir string) error {
	pid, stale, err := postmaster(dataDir)
	if err != nil {
		return err
	}
	if pid != 0 {
		return stopPostmaster(dataDir)
	}
	if !stale {
		return nil
	}
	content, err := os.ReadFile(pidFile(dataDir))
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(content), "\n")
	return os.WriteFile(pidFile(dataDir), []byte(strconv.Itoa(neverPID)+"\n"+rest), 0o600)
}

// stopPostmaster stops the server running on a cluster, if one is: disconnecting its clients, and if that takes too long
// without even a checkpoint, which costs no data, only time at the next start.
func stopPostmaster(dataDir string) error {
	for _, try := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{
		{syscall.SIGINT, 60 * time.Second},
		{syscall.SIGQUIT, 15 * time.Second},
	} {
		deadline := time.Now().Add(try.wait)
		for signalled := false; time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			pid, _, err := postmaster(dataDir)
			if err != nil {
				return err
			}
			if pid == 0 {
				return nil
			}
			if !signalled {
				if err := syscall.Kill(pid, try.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
					return fmt.Errorf("stop Postgres (process %d): %w", pid, err)
				}
				signalled = true
			}
		}
	}
	return fmt.Errorf("the Postgres server on %s does not stop", dataDir)
}

func pidFile(dataDir string) string { return filepath.Join(dataDir, "postmaster.pid") }
