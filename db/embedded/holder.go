//go:build unix

package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// holderEnv carries the order to a holder, and by its presence makes a process one.
const holderEnv = "FLIGHTBILL_POSTGRES_HOLDER"

// lockFD is where a holder inherits the open, locked lock file.
const lockFD = 3

// order is what a parent asks of its holder. It holds no secret: others can read a process's environment.
type order struct {
	Dir        string
	RemoveDir  bool // at the end
	Ephemeral  bool
	Parameters map[string]string
	Version    embeddedpostgres.PostgresVersion
	Account    account
	CacheDirs  []string
	Ports      []int
}

// report is one line of what a holder tells its parent, in JSON on its standard output: any number of Info, then
// either Ready or Error.
type report struct {
	Info  string `json:",omitempty"`
	Error string `json:",omitempty"`
	Ready *state `json:",omitempty"`
}

// Main must be the first call of main and of TestMain. In a process that this package started as the holder of a server
// it holds that, then ends the process; elsewhere it returns at once.
func Main() {
	raw, ok := os.LookupEnv(holderEnv)
	if !ok {
		return
	}
	// Those of a whole process group or machine also reach the holder. When to stop is its parent's decision; it may still
	// be working. Notify rather than Ignore: what is ignored stays so in Postgres. A broken pipe must not end the holder
	// before it has stopped the server.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)

	h := &holder{out: json.NewEncoder(os.Stdout)}
	err := json.Unmarshal([]byte(raw), &h.order)
	if err == nil {
		err = h.run()
	}
	if err != nil {
		h.tell(report{Error: err.Error()})
		os.Exit(1)
	}
	os.Exit(0)
}

// A holder starts a server, and stops it when its standard input ends.
type holder struct {
	order
	out  *json.Encoder
	tree string // of the Postgres binaries
}

func (h *holder) run() error {
	// Postgres must not inherit the lock, or it could not be told from a holder.
	syscall.CloseOnExec(lockFD)

	parent, parentGone := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		parentGone()
	}()

	// What comes first is done as root, if that is what the parent is: binaries should belong to a user that the server
	// cannot act as. Nothing is running yet, so when the parent ends meanwhile, this process just ends too.
	stop := context.AfterFunc(parent, func() { os.Exit(1) })
	syscall.Umask(0o022)
	tree, err := binaries(h.CacheDirs, h.Version, h.Account, h.info)
	if err != nil {
		return err
	}
	h.tree = tree
	if !stop() {
		select {} // exiting
	}

	if err := h.Account.become(); err != nil {
		return err
	}
	syscall.Umask(0o077)
	if err := h.settle(); err != nil {
		return err
	}
	defer h.cleanUp()
	return h.serve(parent)
}

// settle gives the process a folder and an environment of its own: those of the parent may be closed to this user, and
// a PGDATA or a locale in it would change what Postgres does.
func (h *holder) settle() error {
	if err := os.Chdir(h.Dir); err != nil {
		return err
	}
	if err := os.RemoveAll(h.path("tmp")); err != nil {
		return err
	}
	if err := os.Mkdir(h.path("tmp"), 0o700); err != nil {
		return err
	}
	path := os.Getenv("PATH")
	os.Clearenv()
	for key, value := range map[string]string{
		"PATH": path, "HOME": h.Dir, "TMPDIR": h.path("tmp"), "LC_ALL": "C", "TZ": "UTC",
		// Recovery from a crash may take minutes; pg_ctl gives up after one.
		"PGCTLTIMEOUT": "600",
	} {
		if err := os.Setenv(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (h *holder) cleanUp() {
	_ = os.RemoveAll(h.path("tmp"))
	if h.RemoveDir {
		_ = os.Chdir("/")
		_ = os.RemoveAll(h.Dir)
	}
}

// serve runs the server until the parent is gone.
func (h *holder) serve(parent context.Context) error {
	if err := clearCluster(h.path("data")); err != nil {
		return err
	}
	if err := h.ensureCluster(parent); err != nil {
		return err
	}

	// While the server starts, Stop of the library does not know it yet.
	stop := context.AfterFunc(parent, func() { _ = stopPostmaster(h.path("data")) })
	server, port, err := h.start(parent)
	if err != nil {
		// pg_ctl may have given up on a server that is still recovering.
		return errors.Join(err, stopPostmaster(h.path("data")))
	}
	stop()
	running := state{Port: port, Version: h.Version}
	if parent.Err() == nil {
		if err = h.ensureDatabase(parent, running); err == nil {
			err = writeState(h.Dir, running)
		}
		if err == nil {
			h.tell(report{Ready: &running})
			<-parent.Done()
		}
	}

	// Nobody should find a server that is about to stop.
	_ = os.Remove(filepath.Join(h.Dir, stateFile))
	if stopErr := server.Stop(); stopErr != nil {
		// Somebody else may have stopped it, which is as good.
		stopErr = stopPostmaster(h.path("data"))
		if err == nil {
			err = stopErr
		}
	}
	return err
}

func (h *holder) path(elem string) string { return filepath.Join(h.Dir, elem) }

func (h *holder) info(message string) { h.tell(report{Info: message}) }

// tell ignores errors: a parent that is gone has no use for reports.
func (h *holder) tell(r report) { _ = h.out.Encode(r) } //nolint:errchkjson // see above

// program runs one of Postgres's programs; its output is in the error.
func (h *holder) program(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(h.tree, "bin", program), args...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, tail(string(output)))
	}
	return nil
}

// tail returns the end of a log, as much of it as one wants to see in an error message.
func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
