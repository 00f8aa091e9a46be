//go:build unix

package local

import (
	"context"
	"crypto/sha256"
	_ "embed" // the pom
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/flightbill/flightbill/internal/ownfolder"
)

// Version is the release of Pinot that runs.
const Version = "0.11.0"

//go:embed pom.xml
var pom []byte

// known are the jars that the pom comes to, in the form of sha256sum. What Maven brings is checked against it: Maven itself
// compares with checksums from where it has the jars.
//
//go:embed jars.sha256
var known string

// jars returns the folder of Pinot's jars, with those of another process or an earlier one where there are any. Of any
// number of processes that start at once, one fetches them and the others wait.
func jars(ctx context.Context, cache string, logger *slog.Logger) (string, error) {
	if cache == "" {
		return "", errors.New("no folder for Pinot's jars: the home folder is unknown; set XDG_CACHE_HOME to one")
	}
	cache, err := ownfolder.Make(cache, 0o755, os.Geteuid())
	if err != nil && os.Geteuid() != 0 { // root's is not where its environment says
		err = fmt.Errorf("%w; or set XDG_CACHE_HOME to another one", err)
	}
	if err != nil {
		return "", fmt.Errorf("no folder for Pinot's jars: %w", err)
	}
	sum := sha256.Sum256(slices.Concat(pom, []byte(known)))
	lib := filepath.Join(cache, "pinot-"+Version+"-"+hex.EncodeToString(sum[:4]))
	if complete(lib) {
		return lib, nil
	}
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return "", fmt.Errorf("%w: there is no mvn on PATH", ErrNoJava)
	}
	lock, err := os.OpenFile(lib+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := waitLock(ctx, lock, logger); err != nil {
		return "", err
	}
	if complete(lib) { // made while this process waited
		return lib, nil
	}
	logger.InfoContext(ctx, "Pinot: fetching its jars with Maven, once", "megabytes", 133, "folder", lib)
	if err := fetch(ctx, maven, lib); err != nil {
		return "", fmt.Errorf("fetch Pinot %s with Maven into %s: %w", Version, cache, err)
	}
	return lib, nil
}

// complete needs no marker: the folder gets its name when it is whole.
func complete(lib string) bool {
	_, err := os.Stat(lib)
	return err == nil
}

// fetch copies the jars into a folder beside the final one, which it then becomes.
func fetch(ctx context.Context, maven, lib string) error {
	fresh := lib + ".new"
	if err := os.RemoveAll(fresh); err != nil { // of a process that was cut short
		return err
	}
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	project := filepath.Join(fresh, "pom.xml")
	if err := os.WriteFile(project, pom, 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, maven, "--batch-mode", "--quiet", "--strict-checksums", "--file", project,
		"dependency:copy-dependencies", "-DoutputDirectory="+fresh)
	cmd.Dir = fresh // another project's .mvn folder has nothing to say here
	cmd.WaitDelay = 10 * time.Second
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, tail(string(output)))
	}
	if err := os.Remove(project); err != nil {
		return err
	}
	if err := verify(fresh); err != nil {
		return err
	}
	// After a power cut the name must not have outlived what it vouches for.
	syscall.Sync()
	return os.Rename(fresh, lib)
}

// verify fails where a folder does not hold the known jars and nothing else.
func verify(dir string) error {
	missing := map[string]string{}
	for line := range strings.Lines(known) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		missing[name] = sum
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != missing[entry.Name()] {
			return fmt.Errorf("%s is not the one that this flightbill knows: its SHA-256 is %x; the known ones are in pinot/local/jars.sha256", entry.Name(), sum)
		}
		delete(missing, entry.Name())
	}
	if len(missing) > 0 {
		return fmt.Errorf("%d jars are missing, such as %s", len(missing), slices.Min(slices.Collect(maps.Keys(missing))))
	}
	return nil
}

// waitLock returns once the lock is this process's; it ends with the open file.
func waitLock(ctx context.Context, file *os.File, logger *slog.Logger) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for said := false; ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
			continue
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return fmt.Errorf("lock %s: %w (is it on a network file system?)", file.Name(), err)
		}
		if !said {
			said = true
			logger.InfoContext(ctx, "Pinot: waiting for another process that is fetching the jars")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// tail returns the end of a log, as much of it as one wants to see in an error message.
func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
