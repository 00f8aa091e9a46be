//go:build unix

// Package javajars gets the jars of a Java program with Maven, once, into flightbill's
// cache folder, and finds a Java to run it with.
package javajars

import (
	"context"
	"crypto/sha256"
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

// Set is the jars that a pom comes to.
type Set struct {
	Name      string // what they are of, in what is said
	Folder    string // in the cache
	POM       []byte
	Sums      string // of the jars, in the form of sha256sum: Maven itself compares with checksums from where it has the jars
	SumsFile  string // where these are in the source
	Megabytes int
}

// MissingError is returned where this machine lacks Java or Maven.
type MissingError struct{ what string }

func (e *MissingError) Error() string { return e.what }

// Fetch returns the folder of the jars in a cache folder, with those of another process or an earlier one where there are
// any. Of any number of processes that start at once, one fetches them and the others wait.
func (s *Set) Fetch(ctx context.Context, cache string, logger *slog.Logger) (string, error) {
	if cache == "" {
		return "", errors.New("no folder for the jars of " + s.Name + ": the home folder is unknown; set XDG_CACHE_HOME to one")
	}
	cache, err := ownfolder.Make(cache, 0o755, os.Geteuid())
	if err != nil && os.Geteuid() != 0 { // root's is not where its environment says
		err = fmt.Errorf("%w; or set XDG_CACHE_HOME to another one", err)
	}
	if err != nil {
		return "", fmt.Errorf("no folder for the jars of %s: %w", s.Name, err)
	}
	sum := sha256.Sum256(slices.Concat(s.POM, []byte(s.Sums)))
	lib := filepath.Join(cache, s.Folder+"-"+hex.EncodeToString(sum[:4]))
	if complete(lib) {
		return lib, nil
	}
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return "", &MissingError{"there is no mvn on PATH"}
	}
	lock, err := os.OpenFile(lib+".lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := s.waitLock(ctx, lock, logger); err != nil {
		return "", err
	}
	if complete(lib) { // made while this process waited
		return lib, nil
	}
	logger.InfoContext(ctx, s.Name+": fetching its jars with Maven, once", "megabytes", s.Megabytes, "folder", lib)
	if err := s.fetch(ctx, maven, lib); err != nil {
		return "", fmt.Errorf("fetch the jars of %s with Maven into %s: %w", s.Name, cache, err)
	}
	return lib, nil
}

// complete needs no marker: the folder gets its name when it is whole.
func complete(lib string) bool {
	_, err := os.Stat(lib)
	return err == nil
}

// fetch copies the jars into a folder beside the final one, which it then becomes.
func (s *Set) fetch(ctx context.Context, maven, lib string) error {
	fresh := lib + ".new"
	if err := os.RemoveAll(fresh); err != nil { // of a process that was cut short
		return err
	}
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	project := filepath.Join(fresh, "pom.xml")
	if err := os.WriteFile(project, s.POM, 0o600); err != nil {
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
		return fmt.Errorf("%w\n%s", err, Tail(string(output)))
	}
	if err := os.Remove(project); err != nil {
		return err
	}
	if err := s.verify(fresh); err != nil {
		return err
	}
	// After a power cut the name must not have outlived what it vouches for.
	syscall.Sync()
	return os.Rename(fresh, lib)
}

// verify fails where a folder does not hold the known jars and nothing else.
func (s *Set) verify(dir string) error {
	missing := map[string]string{}
	for line := range strings.Lines(s.Sums) {
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
			return fmt.Errorf("%s is not the one that this flightbill knows: its SHA-256 is %x; the known ones are in %s", entry.Name(), sum, s.SumsFile)
		}
		delete(missing, entry.Name())
	}
	if len(missing) > 0 {
		return fmt.Errorf("%d jars are missing, such as %s", len(missing), slices.Min(slices.Collect(maps.Keys(missing))))
	}
	return nil
}

// waitLock returns once the lock is this process's; it ends with the open file.
func (s *Set) waitLock(ctx context.Context, file *os.File, logger *slog.Logger) error {
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
			logger.InfoContext(ctx, s.Name+": waiting for another process that is fetching the jars")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// Tail returns the end of a log, as much of it as one wants to see in an error message.
func Tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
