//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// completeFile marks a whole tree of binaries: extraction may be cut short at any file.
const completeFile = ".complete"

// binaries returns the folder of a Postgres version's programs, downloading and extracting them where they are missing.
// Of any number of processes that start at once, one does that and the others wait.
func binaries(dirs []string, version embeddedpostgres.PostgresVersion, user account, info func(string)) (string, error) {
	for _, dir := range dirs {
		if c := (cache{dir, version}); c.complete() {
			return c.tree(), nil
		}
	}
	dir, err := usableCache(dirs, user)
	if err != nil {
		return "", err
	}
	c := cache{dir, version}
	lock, err := openLock(c.path()+".lock", account{os.Geteuid(), os.Getegid()})
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if free, err := tryLock(lock); err != nil {
		return "", err
	} else if !free {
		info("waiting for another process that is downloading Postgres " + display(version))
		if err := waitLock(lock); err != nil {
			return "", err
		}
	}
	if c.complete() { // made while this process waited
		return c.tree(), nil
	}

	// The archive of an extraction that was cut short saves the download. It may also be what is damaged: only one that
	// was just downloaded has had its checksum verified.
	if archives, _ := filepath.Glob(filepath.Join(c.path(), "*.txz")); len(archives) > 0 {
		if c.make() == nil {
			return c.tree(), nil
		}
		if err := os.RemoveAll(c.path()); err != nil {
			return "", err
		}
	}
	info("downloading Postgres " + display(version) + " (about 15 MB), once")
	if err := c.make(); err != nil {
		return "", fmt.Errorf("get the binaries of Postgres %s from Maven Central into %s: %w; "+
			"try again once that is put right (HTTPS_PROXY is honoured), or set DATABASE_URL to a Postgres of your own",
			display(version), dir, err)
	}
	return c.tree(), nil
}

// cache is where the binaries of one version are kept.
type cache struct {
	dir     string
	version embeddedpostgres.PostgresVersion
}

func (c cache) path() string { return filepath.Join(c.dir, "postgres-"+display(c.version)) }
func (c cache) tree() string { return filepath.Join(c.path(), "tree") }

func (c cache) complete() bool {
	_, err := os.Stat(filepath.Join(c.path(), completeFile))
	return err == nil
}

// make makes the tree of binaries anew, with the archive that is there or a downloaded one. The library offers no such
// call: it downloads and extracts on its way to starting a server. Here that start is given a folder that only looks like
// a cluster, so that it ends there.
func (c cache) make() (err error) {
	// What an earlier process left half done.
	leftovers, _ := filepath.Glob(filepath.Join(c.path(), "*"))
	for _, path := range leftovers {
		if filepath.Ext(path) != ".txz" {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	scratch := filepath.Join(c.path(), "scratch")
	data := filepath.Join(scratch, "data")
	err = errors.Join(err, os.MkdirAll(data, 0o755),
		os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(major(c.version)), 0o600),
		// Both are this process's to change: it is a holder. The library leaves its log in TMPDIR, and downloads with
		// the default client, which would wait for a silent server for ever.
		os.Setenv("TMPDIR", scratch))
	http.DefaultClient.Timeout = 10 * time.Minute
	port, portErr := freePort()
	if err = errors.Join(err, portErr); err != nil {
		return err
	}

	err = embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(c.version).
		Port(uint32(port)). //nolint:gosec // a port
		CachePath(c.path()).
		BinariesPath(c.tree()).
		RuntimePath(filepath.Join(scratch, "run")).
		DataPath(data).
		Logger(nil)).Start()
	if err == nil || !strings.HasPrefix(err.Error(), "could not start postgres") {
		return fmt.Errorf("download and extract: %w", err)
	}
	if err := os.RemoveAll(scratch); err != nil {
		return err
	}
	// After a power cut the marker must not have outlived what it vouches for.
	syscall.Sync()
	return os.WriteFile(filepath.Join(c.path(), completeFile), nil, 0o644)
}

// usableCache returns the first of the folders that this process can write to and the server's user can enter.
func usableCache(dirs []string, user account) (string, error) {
	var errs []error
	for _, dir := range dirs {
		if err := checkCache(dir, user); err != nil {
			errs = append(errs, err)
			continue
		}
		return dir, nil
	}
	return "", fmt.Errorf("no folder for the binaries of Postgres: %w; set DATABASE_URL to a Postgres of your own", errors.Join(errs...))
}

func checkCache(dir string, user account) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	// Programs run from here, and in the shared temporary folder anybody may have made it first.
	if accountOf(info).UID != os.Geteuid() || info.Mode().Perm()&0o022 != 0 || info.Mode().Type() != fs.ModeDir {
		return fmt.Errorf("%s is not a folder that only this user may write to", dir)
	}
	if closed, ok := user.mayEnter(dir); !ok {
		return fmt.Errorf("user %d, whom Postgres runs as, may not enter %s", user.UID, closed)
	}
	probe, err := os.CreateTemp(dir, "probe-")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}
