package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flightbill/flightbill/db/embedded"
)

// postgres is a server that can be restarted and crashed. It comes back on another port:
// everybody connects through a proxy.
type postgres struct {
	dir     string
	proxies []*proxy

	mu     sync.Mutex // one at a time does something to the server
	server *embedded.Server
}

// start starts the server, trying for a while: what is left of a killed one may be in the way.
func (p *postgres) start(ctx context.Context) (err error) {
	for range 20 {
		p.server, err = embedded.Start(ctx, embedded.Config{Dir: p.dir, Ephemeral: true, Parameters: map[string]string{
			// What was committed must outlive a crash of the server; one of the machine is not tried.
			"synchronous_commit": "on",
			"logging_collector":  "on", "log_directory": "log", "log_filename": "postgres.log", "log_rotation_age": "0", "log_line_prefix": "%m [%p] ",
		}})
		if err == nil {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	address, err := url.Parse(p.server.URL())
	if err != nil {
		return err
	}
	for _, proxy := range p.proxies {
		proxy.target.Store(&address.Host)
	}
	return nil
}

// restart ends the server by a signal to its postmaster, and starts it again after a pause.
func (p *postgres) restart(ctx context.Context, signal syscall.Signal, pause time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	pid, err := p.postmaster()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, signal); err != nil {
		return fmt.Errorf("signal %s to postmaster %d: %w", signal, pid, err)
	}
	for range 600 {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	_ = p.server.Stop() // its holder finds nothing to stop
	time.Sleep(pause)
	return p.start(ctx)
}

func (p *postgres) postmaster() (int, error) {
	content, err := os.ReadFile(filepath.Join(p.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(content), "\n")
	return strconv.Atoi(strings.TrimSpace(line))
}

// url is that of the service's database through a proxy.
func (p *postgres) url(through *proxy, user, password, database string) string {
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", user, password, through.address(), database)
}

func (p *postgres) superuser(t *testing.T) (user, password string) {
	t.Helper()
	address, err := url.Parse(p.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	password, _ = address.User.Password()
	return address.User.Username(), password
}
