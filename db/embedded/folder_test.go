//go:build unix

package embedded

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestFolderOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	version := filepath.Join(dir, "data", "PG_VERSION")
	must(t, os.MkdirAll(filepath.Dir(version), 0o700))
	must(t, os.WriteFile(version, []byte("15\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, lockFile), nil, 0o600))
	_, err := Start(t.Context(), Config{Dir: dir})
	if !errors.Is(err, ErrOtherVersion) || !strings.Contains(err.Error(), "Postgres 15") || !strings.Contains(err.Error(), "Postgres 18.3") {
		t.Errorf("Start: %v, want ErrOtherVersion that names 15 and 18.3", err)
	}
	if _, err := os.Stat(version); err != nil {
		t.Errorf("the cluster was touched: %v", err)
	}
}

func TestFolderWithoutVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	precious := filepath.Join(dir, "data", "base")
	must(t, os.MkdirAll(precious, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, lockFile), nil, 0o600))
	if server, err := Start(t.Context(), Config{Dir: dir}); err == nil {
		must(t, server.Stop())
		t.Error("Start made a new cluster over a damaged one")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("the cluster was touched: %v", err)
	}
}

func TestFolderOfSomethingElse(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "passwd"), nil, 0o644))
	before, err := os.Stat(dir)
	must(t, err)
	if _, err := Start(t.Context(), Config{Dir: dir}); !errors.Is(err, ErrNotDataFolder) {
		t.Errorf("Start: %v, want ErrNotDataFolder", err)
	}
	after, err := os.Stat(dir)
	must(t, err)
	equal(t, "owner unchanged", accountOf(after), accountOf(before))
}

// A serve with a DATABASE_URL keeps its statistics where the embedded server would have its data.
func TestFolderWithStatistics(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "results.json"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, ".results-1.json"), nil, 0o600))
	start(t, Config{Dir: dir, Ephemeral: true})
}

func TestFolderInPrivateOne(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root's servers run as another user")
	}
	dir := dataDir(t)
	private := filepath.Dir(dir)
	must(t, os.Chmod(private, 0o700))
	_, err := Start(t.Context(), Config{Dir: dir})
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), private+";") || !strings.Contains(err.Error(), "FLIGHTBILL_DATA_DIR") {
		t.Errorf("Start: %v, want ErrUnreachable that names %s and FLIGHTBILL_DATA_DIR", err, private)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder was made all the same: %v", err)
	}
}

func TestFolderPathThatTheShellWouldChange(t *testing.T) {
	t.Parallel()
	if _, err := Start(t.Context(), Config{Dir: filepath.Join(dataDir(t), "$HOME")}); err == nil || !strings.Contains(err.Error(), "$HOME") {
		t.Errorf("Start: %v, want an error that names the path", err)
	}
}

func TestDefaultDir(t *testing.T) {
	dir := DefaultDir()
	if os.Geteuid() == 0 {
		equal(t, "root's", dir, "/var/lib/flightbill")
		return
	}
	if runtime.GOOS == "darwin" {
		equal(t, "a Mac's", strings.HasSuffix(dir, "/Library/Application Support/flightbill"), true)
		return
	}
	t.Setenv("XDG_DATA_HOME", "/somewhere")
	equal(t, "with XDG_DATA_HOME", DefaultDir(), "/somewhere/flightbill")
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("HOME", "/home/someone")
	equal(t, "with HOME", DefaultDir(), "/home/someone/.local/share/flightbill")
}

func TestHalfExtractedBinariesAreMadeAnew(t *testing.T) {
	t.Parallel()
	// The usual cache's archive saves the download.
	var archive string
	for _, dir := range cacheDirs() {
		if found, _ := filepath.Glob(filepath.Join(cache{dir, defaultVersion}.path(), "*.txz")); len(found) > 0 {
			archive = found[0]
			break
		}
	}
	cacheDir := dataDir(t)
	c := cache{cacheDir, defaultVersion}
	must(t, os.MkdirAll(filepath.Join(c.tree(), "bin"), 0o755))
	must(t, os.WriteFile(filepath.Join(c.tree(), "bin", "pg_ctl"), nil, 0o755))
	if archive != "" {
		content, err := os.ReadFile(archive)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(c.path(), filepath.Base(archive)), content, 0o644))
	}

	server := start(t, Config{Ephemeral: true, cacheDirs: []string{cacheDir}})
	equal(t, "alive", query(t, server.URL(), "SELECT 'yes'"), "yes")
	equal(t, "complete", c.complete(), true)
	left, err := filepath.Glob(filepath.Join(c.path(), "*"))
	must(t, err)
	equal(t, "files", len(left), 3) // tree, archive, marker: no scratch
}

// Not parallel: it sets environment variables.
func TestDownloadThatFails(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("NO_PROXY", "")
	var log bytes.Buffer
	_, err := Start(t.Context(), Config{
		Ephemeral: true, cacheDirs: []string{dataDir(t)}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	for _, want := range []string{"Postgres 18.3", "Maven Central", "unable to connect", "HTTPS_PROXY", "DATABASE_URL"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Start: %v, want an error that holds %q", err, want)
		}
	}
	if !strings.Contains(log.String(), "downloading Postgres 18.3") {
		t.Errorf("log: %s, want a line about the download", log.String())
	}
}
