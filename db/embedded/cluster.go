//go:build unix

package embedded

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
	"github.com/jackc/pgx/v5"
)

const (
	passwordFile = "password"

	// starts is how often a start is tried when something gets in its way that passes.
	starts = 5
)

// ensureCluster makes the cluster if there is none. It is made beside its final place and then renamed: initdb cut short
// leaves what looks like a cluster and is none. The library would also delete a folder that it cannot make sense of.
func (h *holder) ensureCluster(ctx context.Context) error {
	data := h.path("data")
	entries, err := os.ReadDir(data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return checkCluster(h.Dir, h.Version)
	}

	fresh := h.path("data.new")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	secret := make([]byte, 24)
	_, _ = rand.Read(secret) // never fails
	if err := os.WriteFile(h.path(passwordFile), []byte(hex.EncodeToString(secret)), 0o600); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + fresh, "--username=" + name, "--pwfile=" + h.path(passwordFile), "--auth=scram-sha-256",
		"--locale=C", "--encoding=UTF8", "--no-instructions",
	}
	if h.Ephemeral {
		args = append(args, "--no-sync")
	}
	if err := h.program(ctx, "initdb", args...); err != nil {
		if strings.Contains(err.Error(), "could not look up effective user ID") { // as in a container with --user
			return fmt.Errorf("%w; run flightbill as a user that /etc/passwd lists, or set DATABASE_URL to a Postgres of your own", err)
		}
		return err
	}
	return os.Rename(fresh, data)
}

// checkCluster tells whether a data folder's cluster, if it has one, can be started with a version of Postgres.
func checkCluster(dir string, version embeddedpostgres.PostgresVersion) error {
	if _, err := os.Stat(filepath.Join(dir, "data")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	raw, err := os.ReadFile(filepath.Join(dir, "data", "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		if entries, _ := os.ReadDir(filepath.Join(dir, "data")); len(entries) == 0 {
			return nil
		}
		return fmt.Errorf("%s is not a Postgres cluster: it has no file PG_VERSION; put it back from a backup, or move it away",
			filepath.Join(dir, "data"))
	}
	if err != nil {
		return err
	}
	if found := strings.TrimSpace(string(raw)); found != major(version) {
		return fmt.Errorf("%w: %s was made by Postgres %s, and this flightbill brings Postgres %s; move the data over with pg_dump, "+
			"using a flightbill that brings Postgres %[3]s, or choose another folder with FLIGHTBILL_DATA_DIR",
			ErrOtherVersion, dir, found, display(version))
	}
	if _, err := os.Stat(filepath.Join(dir, passwordFile)); err != nil {
		return fmt.Errorf("the password of the cluster is missing: %w; put the file back from a backup", err)
	}
	return nil
}

// start starts the server, on a port that was free a moment ago.
func (h *holder) start(ctx context.Context) (server *embeddedpostgres.EmbeddedPostgres, port int, err error) {
	password, err := readPassword(h.Dir)
	if err != nil {
		return nil, 0, err
	}
	for try := range starts {
		if try < len(h.Ports) {
			port = h.Ports[try]
		} else if port, err = freePort(); err != nil {
			return nil, 0, err
		}
		server = embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
			Version(h.Version).
			Port(uint32(port)). //nolint:gosec // a port
			Username(name).
			Password(password).
			// Made by initdb, so that a start is the same with and without the database flightbill.
			Database("postgres").
			BinariesPath(h.tree).
			RuntimePath(h.path("tmp/run")).
			DataPath(h.path("data")).
			StartParameters(h.parameters()).
			StartTimeout(time.Minute).
			Logger(nil))
		if err = server.Start(); err == nil || ctx.Err() != nil {
			return server, port, err
		}
		if !h.passes(err) {
			break
		}
		time.Sleep(time.Duration(try) * 200 * time.Millisecond)
	}
	return nil, 0, fmt.Errorf("start Postgres %s on %s: %s\n%s", display(h.Version), h.Dir, tail(err.Error()), h.logTail())
}

// passes tells whether a start failed for something that another try may not meet: another program took the port, or
// backends of a killed server were still ending.
func (h *holder) passes(err error) bool {
	text := err.Error() + h.logTail()
	for _, sign := range []string{"already listening on port", "could not bind", "still in use"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// parameters returns the server's settings, with what the shell would interpret escaped: they reach it in double quotes.
func (h *holder) parameters() map[string]string {
	p := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "", // a socket's path may have 107 bytes; the data folder's may be longer
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"max_connections":         "200",

		"max_logical_replication_workers": "0", // saves a process
	}
	if h.Ephemeral {
		maps.Copy(p, map[string]string{
			"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
			"wal_level": "minimal", "max_wal_senders": "0",
		})
	} else {
		maps.Copy(p, map[string]string{
			"logging_collector":        "on",
			"log_directory":            h.path("log"),
			"log_filename":             "postgres-%a.log",
			"log_rotation_age":         "1d",
			"log_rotation_size":        "0",
			"log_truncate_on_rotation": "on",
			"log_line_prefix":          "%m [%p] ",
			// Postgres' own are for a machine of 1 GB: with a long queue it would write a
			// checkpoint every 25 s, and after each all pages anew.
			"shared_buffers": "256MB",
			"max_wal_size":   "4GB",
		})
	}
	maps.Copy(p, h.Parameters)
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`")
	for key, value := range p {
		p[key] = escape.Replace(value)
	}
	return p
}

// logTail returns the end of the server's newest log.
func (h *holder) logTail() string {
	var newest string
	var at time.Time
	logs, _ := filepath.Glob(h.path("log/*.log"))
	for _, log := range logs {
		if info, err := os.Stat(log); err == nil && info.ModTime().After(at) {
			newest, at = log, info.ModTime()
		}
	}
	// An old log tells nothing about this start.
	if newest == "" || time.Since(at) > time.Minute {
		return ""
	}
	content, _ := os.ReadFile(newest)
	return newest + ":\n" + tail(string(content))
}

// ensureDatabase makes the database flightbill, which a first start that was cut short left out.
func (h *holder) ensureDatabase(ctx context.Context, running state) error {
	conn, err := running.connect(ctx, h.Dir, "postgres")
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// The library's health check leaves its connection open. Nobody else knows of the server yet.
	if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"); err != nil {
		return err
	}
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return err
	}
	if exists {
		return nil
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	return err
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close() //nolint:forcetypeassert // of a TCP listener
}
