//go:build unix

package embedded

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/flightbill/flightbill/internal/ownfolder"
)

const (
	mavenCentral = "https://repo1.maven.org/maven2"

	maxPackage = 64 << 20 // bytes; the largest has 33 MB
)

// binaries returns the folder of a Postgres version's programs, downloading and unpacking them where they are missing.
// They are run: nobody else may be able to change the folder, nor put another one in its place.
func binaries(o order, info func(string)) (string, error) {
	c := cache{version: o.Version, platform: platform(), repository: o.Repository}
	var err error
	if c.sum, err = c.version.sum(c.platform); err != nil {
		return "", err
	}
	errs := []error{}
	for _, dir := range o.CacheDirs {
		if c.dir, err = ownfolder.Make(dir, cacheMode, os.Geteuid()); err == nil {
			return c.get(info)
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		errs = append(errs, errors.New("the home folder is unknown"))
	}
	settings := "FLIGHTBILL_DATA_DIR, or XDG_CACHE_HOME,"
	if o.Fetch { // for root, whose cache is not where its environment says
		settings = "FLIGHTBILL_DATA_DIR"
	}
	return "", fmt.Errorf("no folder for the binaries of Postgres: %w; set %s to a folder that only user %d "+
		"and root may change, or DATABASE_URL to a Postgres of your own", errors.Join(errs...), settings, os.Geteuid())
}

// cache is where the binaries of one version for one platform are kept.
type cache struct {
	dir        string
	version    Version
	platform   string
	sum        string // SHA-256 of the package
	repository string
}

// path has a part of the checksum in it: binaries unpacked from another package are not these.
func (c cache) path() string {
	return filepath.Join(c.dir, fmt.Sprintf("postgres-%s-%s-%s", c.version.display(), c.platform, c.sum[:8]))
}

func (c cache) archive() string { return filepath.Join(c.path(), "package.jar") }
func (c cache) tree() string    { return filepath.Join(c.path(), "tree") }

// complete needs no marker: the tree gets its name when it is whole.
func (c cache) complete() bool {
	_, err := os.Stat(c.tree())
	return err == nil
}

// get returns the tree. Of any number of processes that start at once, one makes it and the others wait.
func (c cache) get(info func(string)) (string, error) {
	if c.complete() {
		return c.tree(), nil
	}
	lock, err := openLock(c.path()+".lock", account{os.Geteuid(), os.Getegid()})
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if free, err := tryLock(lock); err != nil {
		return "", err
	} else if !free {
		info("waiting for another process that is downloading Postgres " + c.version.display())
		if err := waitLock(lock); err != nil {
			return "", err
		}
	}
	if c.complete() { // made while this process waited
		return c.tree(), nil
	}
	if err := os.MkdirAll(c.path(), cacheMode); err != nil {
		return "", err
	}
	content, err := c.kept()
	if err != nil {
		info("downloading Postgres " + c.version.display() + " (about 15 MB), once")
		if content, err = c.download(); err != nil {
			return "", fmt.Errorf("get the binaries of Postgres %s into %s: %w; "+
				"try again once that is put right (HTTPS_PROXY is honoured), or set DATABASE_URL to a Postgres of your own",
				c.version.display(), c.dir, err)
		}
	}
	return c.tree(), c.make(content)
}

// kept returns the package that was downloaded before an earlier process was cut short.
func (c cache) kept() ([]byte, error) {
	content, err := os.ReadFile(c.archive())
	if err != nil {
		return nil, err
	}
	return content, c.verify(content)
}

func (c cache) download() ([]byte, error) {
	name := "embedded-postgres-binaries-" + c.platform
	url := fmt.Sprintf("%s/io/zonky/test/postgres/%s/%s/%[2]s-%[3]s.jar", c.repository, name, c.version)
	client := http.Client{Timeout: 10 * time.Minute}
	response, err := client.Get(url) //nolint:noctx // this process ends when its parent does
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxPackage))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	if err := c.verify(content); err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	return content, os.WriteFile(c.archive(), content, 0o640)
}

// verify comes before anything is parsed.
func (c cache) verify(content []byte) error {
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != c.sum {
		return fmt.Errorf("what came is not the package that this flightbill knows: its SHA-256 is %x, not %s", sum, c.sum)
	}
	return nil
}

// make makes the tree anew of a package.
func (c cache) make(content []byte) error {
	fresh := c.tree() + ".new"
	if err := os.RemoveAll(fresh); err != nil { // of a process that was cut short
		return err
	}
	if err := os.Mkdir(fresh, cacheMode); err != nil {
		return err
	}
	if err := unpackPackage(content, fresh); err != nil {
		return fmt.Errorf("unpack Postgres %s into %s: %w", c.version.display(), c.path(), err)
	}
	// After a power cut the name must not have outlived what it vouches for.
	syscall.Sync()
	return os.Rename(fresh, c.tree())
}
