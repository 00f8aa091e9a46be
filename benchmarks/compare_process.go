package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// readyLine is what a peer prints when it can work; flightbill has a log line.
const readyLine = "ready"

// peersDir has the Node contenders and, once npm has run, what they need.
const peersDir = "benchmarks/peers"

// programs are where the executables of the kinds of command are.
type programs map[string]string

// process is one of a peer's, with the end of what it has said.
type process struct {
	cmd   *exec.Cmd
	ready chan struct{}
	ended chan struct{}
	err   error

	mu    sync.Mutex
	lines []string
}

type processes struct{ all []*process }

// start starts one more and waits until it can work.
func (ps *processes) start(ctx context.Context, programs programs, c command) error {
	cmd := exec.Command(programs[c.kind], c.args...) //nolint:gosec,noctx // our own; ended in good order by stop
	if c.kind == node {
		cmd.Dir = peersDir
	}
	cmd.Env = append(append(os.Environ(), "FLIGHTBILL_RESULTS=", "FLIGHTBILL_HTTP_ADDR=127.0.0.1:0", "FLIGHTBILL_FLIGHT_SOURCE=pinot"), c.env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return err
	}
	p := &process{cmd: cmd, ready: make(chan struct{}), ended: make(chan struct{})}
	ps.all = append(ps.all, p)
	go func() {
		defer close(p.ended)
		p.listen(bufio.NewScanner(out))
		p.err = cmd.Wait()
	}()
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		return fmt.Errorf("%s %s ended before it was ready: %w%s", c.kind, strings.Join(c.args, " "), p.err, ps.lastWords())
	case <-time.After(time.Minute):
		return fmt.Errorf("%s %s is not ready after a minute%s", c.kind, strings.Join(c.args, " "), ps.lastWords())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *process) listen(out *bufio.Scanner) {
	ready := p.ready
	for out.Scan() {
		line := out.Text()
		if ready != nil && (line == readyLine || strings.Contains(line, "flightbill is working")) {
			close(ready)
			ready = nil
			continue
		}
		p.mu.Lock()
		p.lines = append(p.lines[max(0, len(p.lines)-19):], line)
		p.mu.Unlock()
	}
}

// lastWords is what they have said at the end, for an error.
func (ps *processes) lastWords() string {
	var b strings.Builder
	for _, p := range ps.all {
		p.mu.Lock()
		for _, line := range p.lines {
			b.WriteString("\n    " + line)
		}
		p.mu.Unlock()
	}
	return b.String()
}

func (ps *processes) running() error {
	for _, p := range ps.all {
		select {
		case <-p.ended:
			return fmt.Errorf("a process has ended: %w", p.err)
		default:
		}
	}
	return nil
}

// stop ends them in good order, once; one that does not end is killed.
func (ps *processes) stop() error {
	var failures []error
	for _, p := range ps.all {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range ps.all {
		select {
		case <-p.ended:
			failures = append(failures, p.err)
		case <-time.After(30 * time.Second):
			failures = append(failures, errors.New("a process had to be killed"), p.cmd.Process.Kill())
			<-p.ended
		}
	}
	words := ps.lastWords()
	ps.all = nil
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("stop: %w%s", err, words)
	}
	return nil
}

func (ps *processes) cpu() (total time.Duration, err error) {
	for _, p := range ps.all {
		used, err := cpuTime(strconv.Itoa(p.cmd.Process.Pid))
		if err != nil {
			return 0, err
		}
		total += used
	}
	return total, nil
}

func (ps *processes) peakMemory() (total float64, err error) {
	for _, p := range ps.all {
		most, err := memoryMB(strconv.Itoa(p.cmd.Process.Pid), peakMemory)
		if err != nil {
			return 0, err
		}
		total += most
	}
	return total, nil
}

// findPrograms builds flightbill and has npm install the Node contenders, from
// the lock file. Without npm they are left out, and noNode says why.
func findPrograms(ctx context.Context, dir string) (found programs, noNode string, err error) {
	found = programs{}
	if found["self"], err = os.Executable(); err != nil {
		return found, "", err
	}
	if found[ours], err = buildFlightbill(ctx, dir); err != nil {
		return found, "", err
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return found, "npm is not on PATH", nil //nolint:nilerr // that is the answer
	}
	// Nothing that comes with it may run a script: Node itself is a package, too.
	install := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = peersDir
	if out, err := install.CombinedOutput(); err != nil {
		return found, fmt.Sprintf("npm ci in %s: %v: %s", peersDir, err, bytes.TrimSpace(out)), nil
	}
	if found[node], err = filepath.Abs(filepath.Join(peersDir, "node_modules", nodePackage(), "bin", "node")); err != nil {
		return found, "", err
	}
	if _, err := os.Stat(found[node]); err != nil {
		if found[node], err = exec.LookPath("node"); err != nil {
			return found, "node is not on PATH", nil //nolint:nilerr // that is the answer
		}
	}
	return found, "", nil
}

// buildFlightbill builds the real binary.
func buildFlightbill(ctx context.Context, dir string) (binary string, err error) {
	binary = filepath.Join(dir, "flightbill")
	if out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "github.com/flightbill/flightbill/cmd/flightbill").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return binary, nil
}

// nodePackage is the npm package that has Node's executable for this machine.
func nodePackage() string {
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	return "node-" + runtime.GOOS + "-" + arch
}

// postmaster is the process that all of a server's are children of.
func postmaster(ctx context.Context, pool *pgxpool.Pool) (string, error) {
	var backend int
	if err := pool.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return "", err
	}
	fields, err := statFields(strconv.Itoa(backend))
	if err != nil {
		return "", err
	}
	return fields[statParent], nil
}
