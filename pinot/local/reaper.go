//go:build unix

package local

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
)

// reaperScript is told of processes that start (+) and have ended (-), and once nobody is left to tell it, kills those
// that have not and removes the folder.
const reaperScript = `
trap '' HUP INT TERM
running=
while read -r what pid; do
  case $what in
  +) running="$running $pid" ;;
  -) others=
     for other in $running; do [ "$other" = "$pid" ] || others="$others $other"; done
     running=$others ;;
  esac
done
[ -z "$running" ] || kill -KILL $running
for try in 1 2 3 4 5 6 7 8 9; do rm -rf "$1" && exit; sleep 0.2; done
`

// reaper ends what its cluster leaves.
type reaper struct {
	cmd *exec.Cmd

	mu    sync.Mutex
	stdin io.WriteCloser
}

func startReaper(dir string) (*reaper, error) {
	cmd := exec.Command("/bin/sh", "-c", reaperScript, "flightbill-pinot-reaper", dir) //nolint:noctx // it ends when its standard input does
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &reaper{cmd: cmd, stdin: stdin}, nil
}

// tell does not fail where the reaper is gone: the cluster can be closed without it.
func (r *reaper) tell(what string, pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.stdin, "%s %d\n", what, pid)
}

// end lets the reaper do its work, and waits.
func (r *reaper) end() {
	r.mu.Lock()
	_ = r.stdin.Close()
	r.mu.Unlock()
	_ = r.cmd.Wait()
}
