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
)

// holderEnv carries the order to a holder, and by its presence makes a process one.
const holderEnv = "FLIGHTBILL_POSTGRES_HOLDER"

// holderName is what ps shows.
const holderName = "flightbill-postgres-holder"

// lockFD is where a holder inherits the open, locked lock file.
const lockFD = 3

// order is what a parent asks of its holder. It holds no secret: others can read a process's environment.
type order struct {
	Dir        string
	RemoveDir  bool // at the end
	Ephemeral  bool
	Parameters map[string]string
	Version    Version
	Account    account
	CacheDirs  []string
	Repository string
	Ports      []int

	// Fetch ends with the binaries: what root's holder asks of another copy.
	Fetch bool
}

// report is one line of what a holder tells its parent, in JSON on its standard output: any number of Info, then
// either Ready or Error; of one that only fetches, Tree.
type report struct {
	Info  string `json:",omitempty"`
	Tree  string `json:",omitempty"`
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
	out     *json.Encoder
	tree    string // of the Postgres binaries
	scratch string // where root has had a cluster made for a user without a name, with its password beside it
}

func (h *holder) run() error {
	// Postgres must not inherit the lock, or it could not be told from a holder.
	syscall.CloseOnExec(lockFD)

	parent, parentGone := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		parentGone()
	}()

	// Nothing is running yet, so when the parent ends meanwhile, this process just ends too.
	stop := context.AfterFunc(parent, func() { os.Exit(1) })
	var err error
	if h.tree, err = h.fetch(); err != nil {
		return err
	}
	if h.Fetch {
		h.tell(report{Tree: h.tree})
		return nil
	}
	if !stop() {
		select {} // exiting
	}

	defer func() {
		if h.scratch != "" {
			_ = os.RemoveAll(h.scratch) // where nobody has adopted it: it holds a password
		}
	}()
	if err := h.initForNameless(parent); err != nil {
		return err
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

// fetch returns the folder of the Postgres binaries. What comes from outside root neither fetches nor unpacks: another copy
// of this process does, as the user that will run it.
func (h *holder) fetch() (string, error) {
	if h.Fetch || os.Geteuid() != 0 {
		if err := h.Account.become(); err != nil {
			return "", err
		}
		syscall.Umask(0o027)
		return binaries(h.order, h.info)
	}

	syscall.Umask(0o022)
	_ = h.Account.handOver(h.CacheDirs[0]) // the copy says what is wrong with it
	o := h.order
	o.Fetch = true
	raw, err := json.Marshal(o)
	if err != nil {
		return "", err
	}
	path, err := executable()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(path) //nolint:noctx // it ends when this process's parent does: they share their standard input
	cmd.Args[0] = holderName
	cmd.Env = append(os.Environ(), holderEnv+"="+string(raw))
	cmd.Stdin = os.Stdin
	var stderr lastBytes
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	var tree string
	var reported error
	for reports := json.NewDecoder(stdout); ; {
		var r report
		if reports.Decode(&r) != nil {
			break
		}
		switch {
		case r.Error != "":
			reported = errors.New(r.Error)
		case r.Tree != "":
			tree = r.Tree
		default:
			h.tell(r)
		}
	}
	if err := cmd.Wait(); reported == nil && err != nil {
		reported = fmt.Errorf("%w: %s", err, tail(string(stderr)))
	}
	return tree, reported
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

	stop := context.AfterFunc(parent, func() { _ = stopPostmaster(h.path("data")) })
	port, err := h.start(parent)
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
	if stopErr := stopPostmaster(h.path("data")); err == nil {
		err = stopErr
	}
	return err
}

func (h *holder) path(elem string) string { return filepath.Join(h.Dir, elem) }

func (h *holder) info(message string) { h.tell(report{Info: message}) }

// tell ignores errors: a parent that is gone has no use for reports.
func (h *holder) tell(r report) { _ = h.out.Encode(r) } //nolint:errchkjson // see above

// tail returns the end of a log, as much of it as one wants to see in an error message.
func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
