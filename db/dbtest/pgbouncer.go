package dbtest

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PgBouncer is one that stands before a server.
type PgBouncer struct {
	URL string // of the database through it

	dir, port string
	process   *exec.Cmd
	log       bytes.Buffer
}

// StartPgBouncer starts one before a database, with so many server connections. Where
// PgBouncer is not installed the test is skipped. It ends with the test.
func StartPgBouncer(t testing.TB, database, poolMode string, size int) *PgBouncer {
	t.Helper()
	if pgbouncer() == "" {
		t.Skip("needs PgBouncer: apt-get install pgbouncer")
	}
	config, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	dir, err := os.MkdirTemp("/tmp", "flightbill-pgbouncer-") //nolint:usetesting // another user cannot enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for name, text := range map[string]string{
		"users": fmt.Sprintf("%q %q\n", config.User, config.Password),
		"ini": fmt.Sprintf(`[databases]
* = host=%s port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = trust
auth_file = %s/users
pool_mode = %s
default_pool_size = %d
max_client_conn = 200
server_login_retry = 1
`, config.Host, config.Port, port, dir, poolMode, size),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // for another user, see below
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	address := url.URL{Scheme: "postgres", User: url.User(config.User), Host: net.JoinHostPort("127.0.0.1", port), Path: "/" + config.Database, RawQuery: "sslmode=disable"}
	b := &PgBouncer{URL: address.String(), dir: dir, port: port}
	b.Start(t)
	t.Cleanup(b.Stop)
	return b
}

// Start starts it, or starts it again.
func (b *PgBouncer) Start(t testing.TB) {
	t.Helper()
	args := []string{"-q", filepath.Join(b.dir, "ini")}
	if os.Geteuid() == 0 { // it will not run as root
		args = append([]string{"-u", "nobody"}, args...)
	}
	b.process = exec.Command(pgbouncer(), args...) //nolint:gosec,noctx // a program of this machine, until Stop
	b.process.Stdout, b.process.Stderr = &b.log, &b.log
	if err := b.process.Start(); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+b.port) //nolint:noctx // answered at once, or refused
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Since(began) > 30*time.Second {
			b.Stop()
			t.Fatalf("PgBouncer does not start: %s", b.log.String())
		}
	}
}

// Stop kills it.
func (b *PgBouncer) Stop() {
	_ = b.process.Process.Kill()
	_ = b.process.Wait()
}

// pgbouncer is empty where it is not installed.
func pgbouncer() string {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} { // where Debian has it, and not every PATH
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func freePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port) //nolint:forcetypeassert // of a TCP listener
}
