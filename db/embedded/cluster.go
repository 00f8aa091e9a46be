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
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	passwordFile = "password"

	// starts is how often a start is tried when something gets in its way that passes.
	starts = 5
)

// ensureCluster makes the cluster if there is none. It is made beside its final place and then renamed: initdb cut short
// leaves what looks like a cluster and is none.
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
	if h.scratch != "" {
		if err := h.adopt(fresh); err != nil {
			return err
		}
		return os.Rename(fresh, data)
	}
	if err := writePassword(h.path(passwordFile), 0o600); err != nil {
		return err
	}
	if err := h.initdb(ctx, fresh, h.path(passwordFile), nil); err != nil {
		if strings.Contains(err.Error(), "could not look up effective user ID") { // as in a container with --user
			return fmt.Errorf("%w; run flightbill as a user that /etc/passwd lists, or set DATABASE_URL to a Postgres of your own", err)
		}
		return err
	}
	return os.Rename(fresh, data)
}

func writePassword(path string, mode fs.FileMode) error {
	secret := make([]byte, 24)
	_, _ = rand.Read(secret) // never fails
	return os.WriteFile(path, []byte(hex.EncodeToString(secret)), mode)
}

// initdb makes a cluster, as this process's user or another one.
func (h *holder) initdb(ctx context.Context, dir, password string, as *syscall.Credential) error {
	args := []string{
		"--pgdata=" + dir, "--username=" + name, "--pwfile=" + password, "--auth=scram-sha-256",
		"--locale=C", "--encoding=UTF8", "--no-instructions",
	}
	if h.Ephemeral || as != nil { // adopt syncs
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(h.tree, "bin", "initdb"), args...)
	if as != nil {
		cmd.Dir = filepath.Dir(dir)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	}
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, tail(string(output)))
	}
	return nil
}

// initForNameless makes root have a cluster made, where there is none, for a user that /etc/passwd does not list: initdb
// refuses to run as such a one. It runs as nobody, whom others share: but in a folder that only the user's group, which
// those others do not have, can enter; and nobody's processes of other groups cannot trace it.
func (h *holder) initForNameless(ctx context.Context) error {
	if _, lookup := user.LookupId(strconv.Itoa(h.Account.UID)); os.Geteuid() != 0 || lookup == nil {
		return nil
	}
	if entries, _ := os.ReadDir(h.path("data")); len(entries) > 0 {
		return nil
	}
	scratch, err := os.MkdirTemp("", "flightbill-initdb-")
	if err != nil {
		return err
	}
	h.scratch = scratch
	data, password := filepath.Join(scratch, "data"), filepath.Join(scratch, passwordFile)
	maker := account{nobody(), h.Account.GID}
	err = errors.Join(writePassword(password, 0o640), os.Mkdir(data, 0o700),
		os.Chown(password, 0, maker.GID), os.Chown(data, maker.UID, maker.GID), os.Chown(scratch, 0, maker.GID), os.Chmod(scratch, 0o710))
	if err != nil {
		return err
	}
	if err := h.initdb(ctx, data, password, maker.credential()); err != nil {
		return fmt.Errorf("%w; make a user for Postgres (useradd --system flightbill), or set DATABASE_URL to a Postgres of your own", err)
	}
	root, err := os.OpenRoot(scratch)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, root.Lchown(path, h.Account.UID, h.Account.GID))
	})
}

// adopt moves what initForNameless made to its place.
func (h *holder) adopt(fresh string) error {
	made := filepath.Join(h.scratch, "data")
	err := os.Rename(made, fresh)
	if errors.Is(err, syscall.EXDEV) {
		err = os.CopyFS(fresh, os.DirFS(made))
	}
	if err != nil {
		return err
	}
	password, err := os.ReadFile(filepath.Join(h.scratch, passwordFile))
	if err != nil {
		return err
	}
	if err := os.WriteFile(h.path(passwordFile), password, 0o600); err != nil {
		return err
	}
	if !h.Ephemeral {
		syscall.Sync()
	}
	return os.RemoveAll(h.scratch)
}

// checkCluster tells whether a data folder's cluster, if it has one, can be started with a version of Postgres.
func checkCluster(dir string, version Version) error {
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
	if found := strings.TrimSpace(string(raw)); found != version.major() {
		return fmt.Errorf("%w: %s was made by Postgres %s, and this flightbill brings Postgres %s; move the data over with pg_dump, "+
			"using a flightbill that brings Postgres %[3]s, or choose another folder with FLIGHTBILL_DATA_DIR",
			ErrOtherVersion, dir, found, version.display())
	}
	if _, err := os.Stat(filepath.Join(dir, passwordFile)); err != nil {
		return fmt.Errorf("the password of the cluster is missing: %w; put the file back from a backup", err)
	}
	return nil
}

// start starts the server, on a port that was free a moment ago.
func (h *holder) start(ctx context.Context) (port int, err error) {
	for try := range starts {
		if try < len(h.Ports) {
			port = h.Ports[try]
		} else if port, err = freePort(); err != nil {
			return 0, err
		}
		if err = h.startOn(port); err == nil || ctx.Err() != nil {
			return port, err
		}
		if !h.passes(err) {
			break
		}
		time.Sleep(time.Duration(try) * 200 * time.Millisecond)
	}
	return 0, fmt.Errorf("start Postgres %s on %s: %w\n%s", h.Version.display(), h.Dir, err, h.logTail())
}

// startOn starts the server on a port and waits until it lets clients in.
func (h *holder) startOn(port int) error {
	options := []string{"-p " + strconv.Itoa(port)}
	for key, value := range h.parameters() {
		options = append(options, fmt.Sprintf(`-c %s="%s"`, key, value))
	}
	// Postgres keeps the file open: with a pipe, pg_ctl would seem to run as long as it does.
	log, err := os.Create(h.path("tmp/start.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	// One that was killed could leave a server behind that has not yet written who it is.
	cmd := exec.Command(filepath.Join(h.tree, "bin", "pg_ctl"), "start", "-w", "-D", h.path("data"), "-o", strings.Join(options, " ")) //nolint:noctx // see above
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		content, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w\n%s", err, tail(string(content)))
	}
	return nil
}

// passes tells whether a start failed for something that another try may not meet: another program took the port, or
// backends of a killed server were still ending.
func (h *holder) passes(err error) bool {
	text := err.Error() + h.logTail()
	for _, sign := range []string{"could not bind", "still in use"} {
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
