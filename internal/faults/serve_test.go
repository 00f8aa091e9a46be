package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// build builds flightbill, with the race detector where this test has it.
func build(t *testing.T, dir string) (binary string) {
	t.Helper()
	binary = filepath.Join(dir, "flightbill")
	args := []string{"build", "-o", binary}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-race" && setting.Value == "true" {
				args = append(args, "-race")
			}
		}
	}
	out, err := exec.CommandContext(t.Context(), "go", append(args, "../../cmd/flightbill")...).CombinedOutput()
	require.NoError(t, err, string(out))
	return binary
}

// stopsWithin is how long a serve takes to end after a SIGTERM, at most: 30 s for running flights, and as much on a busy machine.
const stopsWithin = time.Minute

// slot is a place where a "flightbill serve" always runs: whatever ends, is started again.
type slot struct {
	number int
	proxy  *proxy
	binary string
	env    []string
	log    string // file

	mu        sync.Mutex
	process   *exec.Cmd
	before    int       // how many have begun to work, before this one
	killed    bool      // by us
	touched   bool      // more was done to it than one SIGTERM while it worked
	ordered   time.Time // by SIGTERM, to end
	stopping  bool
	pause     time.Duration // before the next start
	surprises []string      // ends that nobody asked for
	ended     chan struct{}
}

// run keeps a serve running until stop.
func (s *slot) run() {
	defer close(s.ended)
	runtime.LockOSThread() // until the goroutine ends: the kernel kills the process with the thread that started it
	for {
		s.mu.Lock()
		if s.stopping {
			s.mu.Unlock()
			return
		}
		err := s.start()
		process := s.process
		s.mu.Unlock()
		if err == nil {
			err = process.Wait()
		}
		s.mu.Lock()
		switch took := time.Since(s.ordered).Round(time.Second); {
		case !s.killed && !s.stopping:
			s.surprises = append(s.surprises, fmt.Sprintf("serve %d ended, and nobody had ended it: %v", s.number, err))
		case !s.ordered.IsZero() && !s.touched && took > stopsWithin:
			s.surprises = append(s.surprises, fmt.Sprintf("serve %d ended %v after SIGTERM: %v", s.number, took, err))
		case s.stopping && !s.ordered.IsZero() && !s.touched && err != nil: // all faults are undone
			s.surprises = append(s.surprises, fmt.Sprintf("serve %d, whose database was there, ended after SIGTERM with an error: %v", s.number, err))
		}
		pause := max(s.pause, 100*time.Millisecond)
		s.mu.Unlock()
		time.Sleep(pause)
	}
}

func (s *slot) start() error {
	log, err := os.OpenFile(s.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	_, s.before = s.works()
	s.killed, s.touched, s.ordered = false, false, time.Time{}
	s.process = exec.Command(s.binary, "serve", "--no-schedules")
	s.process.Env, s.process.Stdout, s.process.Stderr, s.process.SysProcAttr = s.env, log, log, diesWithTest
	return s.process.Start()
}

// signal sends one to the process, which ends from it where ends is set, and is started
// again after a pause.
func (s *slot) signal(signal syscall.Signal, ends bool, pause time.Duration) (pid int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil || s.process.Process == nil {
		return 0, fmt.Errorf("serve %d does not run", s.number)
	}
	if err := s.process.Process.Signal(signal); err != nil {
		return 0, fmt.Errorf("serve %d: %w", s.number, err)
	}
	s.touched = s.touched || s.killed || signal != syscall.SIGTERM || !s.worksNow()
	if signal == syscall.SIGTERM {
		s.ordered = time.Now()
	}
	s.killed, s.pause = s.killed || ends, pause
	return s.process.Process.Pid, nil
}

// stop ends the process for good.
func (s *slot) stop() error {
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	_, _ = s.signal(syscall.SIGTERM, true, 0) // where it does not run, it is not started again
	select {
	case <-s.ended:
		return nil
	case <-time.After(stopsWithin + 10*time.Second):
		_, _ = s.signal(syscall.SIGKILL, true, 0)
		<-s.ended
		return fmt.Errorf("serve %d did not stop within %v of SIGTERM", s.number, stopsWithin)
	}
}

// worksNow reports whether the process that was started last has begun to work.
func (s *slot) worksNow() bool {
	_, begun := s.works()
	return begun > s.before
}

var clientInLog = regexp.MustCompile(`flightbill is working.* client=(\S+)`)

// works returns River's name of the process that runs now, and how often one has begun.
func (s *slot) works() (client string, begun int) {
	content, _ := os.ReadFile(s.log)
	found := clientInLog.FindAllSubmatch(content, -1)
	if len(found) == 0 {
		return "", 0
	}
	return string(found[len(found)-1][1]), len(found)
}

// leader returns the slot whose process leads; one at random where none does.
func (h *harness) leader(ctx context.Context, r *rand.Rand) (leader *slot, leads bool) {
	leader = pick(r, h.slots)
	var client string
	if err := h.admin.QueryRow(ctx, `SELECT leader_id FROM flightbill.river_leader`).Scan(&client); err != nil {
		return leader, false
	}
	for _, s := range h.slots {
		if working, _ := s.works(); working == client {
			return s, true
		}
	}
	return leader, false
}

// command runs a flightbill command by a login.
func (h *harness) command(ctx context.Context, login string, args ...string) (said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.binary, args...)
	cmd.Env = h.env(h.commands, login)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("flightbill %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}
