//go:build unix

package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// child is a holder, seen from its parent.
type child struct {
	stdin io.Closer
	ended chan struct{}
	err   error // once ended
	proc  *os.Process
}

// startHolder starts a holder and waits until its server is ready.
func startHolder(ctx context.Context, cfg Config, lock *os.File, o order) (*child, state, error) {
	raw, err := json.Marshal(o)
	if err != nil {
		return nil, state{}, err
	}
	path, err := executable()
	if err != nil {
		return nil, state{}, err
	}
	cmd := exec.Command(path) //nolint:noctx // the holder ends when its standard input does
	cmd.Args[0] = holderName
	cmd.Env = []string{holderEnv + "=" + string(raw)}
	for _, key := range []string{
		"PATH", "HOME", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
		"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy",
	} {
		if value, ok := os.LookupEnv(key); ok {
			cmd.Env = append(cmd.Env, key+"="+value)
		}
	}
	cmd.ExtraFiles = []*os.File{lock}
	// Ctrl-C goes to all processes of a terminal's session.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var stderr lastBytes
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, state{}, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, state{}, err
	}
	if err := cmd.Start(); err != nil {
		return nil, state{}, err
	}

	c := &child{stdin: stdin, ended: make(chan struct{}), proc: cmd.Process}
	ready := make(chan state, 1)
	go func() {
		defer close(c.ended)
		reported := readReports(ctx, cfg, stdout, ready)
		c.err = cmd.Wait()
		if reported != nil {
			c.err = reported
		} else if c.err != nil && len(stderr) > 0 {
			c.err = fmt.Errorf("%w: %s", c.err, tail(string(stderr)))
		}
	}()

	select {
	case s := <-ready:
		return c, s, nil
	case <-c.ended:
		if c.err == nil {
			c.err = errors.New("the holder ended before the server was ready; does this program call embedded.Main first?")
		}
		return nil, state{}, c.err
	case <-ctx.Done():
		_ = c.stop()
		return nil, state{}, context.Cause(ctx)
	}
}

// readReports handles what a holder tells until it ends, and returns the error it reported.
func readReports(ctx context.Context, cfg Config, stdout io.Reader, ready chan<- state) (err error) {
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r report
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue // not a holder's: a program that does not call Main
		}
		switch {
		case r.Info != "":
			cfg.Logger.InfoContext(ctx, r.Info)
		case r.Error != "":
			err = errors.New(r.Error)
		case r.Ready != nil:
			ready <- *r.Ready
		}
	}
	return err
}

// stop ends the holder and waits for it.
func (c *child) stop() error {
	_ = c.stdin.Close()
	select {
	case <-c.ended:
	case <-time.After(2 * time.Minute):
		_ = c.proc.Kill()
		<-c.ended
	}
	return c.err
}

// lastBytes keeps the end of what is written to it.
type lastBytes []byte

func (l *lastBytes) Write(p []byte) (int, error) {
	*l = append(*l, p...)
	*l = (*l)[max(0, len(*l)-4096):]
	return len(p), nil
}
