//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/flightbill/flightbill/internal/javajars"
)

// Process is one process of a cluster. Its methods are safe to call at once, but what two of them make of each other is
// the callers' affair.
type Process struct {
	cluster  *Cluster
	name     string   // such as "server-1"
	instance string   // a server's name in Pinot
	args     []string // of java
	address  string   // host:port of what tells its health
	health   bool     // it answers GET /health, as all but ZooKeeper do

	mu      sync.Mutex
	cmd     *exec.Cmd
	ended   chan struct{} // closed when it has, and been waited for
	stopped bool          // it was told to end
}

// Name says which process this is.
func (p *Process) Name() string { return p.name }

// Stop ends the process in order (TERM) and waits for that.
func (p *Process) Stop(ctx context.Context) error {
	ended, err := p.end(syscall.SIGTERM)
	if err != nil {
		return err
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop %s: %w", p.name, context.Cause(ctx))
	}
}

// Kill ends the process at once (KILL), whether or not it is frozen. ZooKeeper, and so the cluster, believes it to be
// alive until its session expires.
func (p *Process) Kill() error {
	ended, err := p.end(syscall.SIGKILL)
	if err == nil {
		<-ended
	}
	return err
}

// Freeze stops the process from running (STOP): its connections stay open and nothing is answered.
func (p *Process) Freeze() error { return p.signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on (CONT).
func (p *Process) Thaw() error { return p.signal(syscall.SIGCONT) }

// Restart starts the process again, on its old ports and data, after ending it if it is running, and waits until it
// reports itself healthy. A killed one takes longer than a stopped one: the old session must expire first.
func (p *Process) Restart(ctx context.Context) error {
	if p.running() {
		if err := p.Stop(ctx); err != nil {
			return err
		}
	}
	if err := p.launch(); err != nil {
		return err
	}
	return p.wait(ctx)
}

func (p *Process) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *Process) end(how syscall.Signal) (ended <-chan struct{}, err error) {
	p.mu.Lock()
	p.stopped = true
	ended = p.ended
	p.mu.Unlock()
	return ended, p.signal(how)
}

// signal fails with os.ErrProcessDone where the process has ended.
func (p *Process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return fmt.Errorf("%s was not started", p.name)
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// launch starts the process. It becomes Java only when the reaper knows of it.
func (p *Process) launch() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	log, err := os.OpenFile(p.log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append([]string{"-c", `read -r go && exec "$@"`, "sh", p.cluster.java}, p.args...)
	cmd := exec.Command("/bin/sh", args...) //nolint:noctx // it lives as long as the cluster
	cmd.Dir = p.cluster.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	p.cmd, p.ended, p.stopped = cmd, ended, false
	p.cluster.reaper.tell("+", cmd.Process.Pid)
	go func() {
		_ = cmd.Wait()
		p.cluster.reaper.tell("-", cmd.Process.Pid)
		close(ended)
	}()
	_, err = stdin.Write([]byte("\n"))
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	return nil
}

// wait returns when the process is healthy.
func (p *Process) wait(ctx context.Context) error {
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !p.healthy(ctx) {
		select {
		case <-ended:
			return fmt.Errorf("%s ended as it started:\n%s", p.name, p.logTail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not become healthy: %w\n%s", p.name, context.Cause(ctx), p.logTail())
		case <-tick.C:
		}
	}
	return nil
}

func (p *Process) healthy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if !p.health {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.address)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}
	_, err := p.cluster.do(ctx, http.MethodGet, "http://"+p.address+"/health", "", nil)
	return err == nil
}

func (p *Process) log() string { return filepath.Join(p.cluster.dir, p.name+".log") }

func (p *Process) logTail() string {
	content, _ := os.ReadFile(p.log())
	return javajars.Tail(string(content))
}

// portTaken says whether the process ended because another took its port between our choosing and its using it.
func (p *Process) portTaken() bool {
	content, _ := os.ReadFile(p.log())
	return strings.Contains(string(content), "already in use")
}

// kill is Kill for a process that may have ended, or never have been started.
func (p *Process) kill() error {
	if err := p.Kill(); err != nil && p.running() && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
