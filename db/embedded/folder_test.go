//go:build unix

package embedded

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFolderOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	version := filepath.Join(dir, "data", "PG_VERSION")
	require.NoError(t, os.MkdirAll(filepath.Dir(version), 0o700))
	require.NoError(t, os.WriteFile(version, []byte("15\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, lockFile), nil, 0o600))
	_, err := Start(t.Context(), Config{Dir: dir})
	require.ErrorIs(t, err, ErrOtherVersion)
	require.ErrorContains(t, err, "Postgres 15")
	require.ErrorContains(t, err, "Postgres 18.3")
	require.FileExists(t, version)
}

func TestFolderWithoutVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	precious := filepath.Join(dir, "data", "base")
	require.NoError(t, os.MkdirAll(precious, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, lockFile), nil, 0o600))
	_, err := Start(t.Context(), Config{Dir: dir})
	require.ErrorContains(t, err, "no file PG_VERSION")
	require.DirExists(t, precious)
}

func TestFolderOfSomethingElse(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "passwd"), nil, 0o644))
	before, err := os.Stat(dir)
	require.NoError(t, err)
	_, err = Start(t.Context(), Config{Dir: dir})
	require.ErrorIs(t, err, ErrNotDataFolder)
	after, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, accountOf(before), accountOf(after), "owner unchanged")
}

// A serve with a DATABASE_URL keeps its statistics where the embedded server would have its data.
func TestFolderWithStatistics(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "results.json"), nil, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".results-1.json"), nil, 0o600))
	start(t, Config{Dir: dir, Ephemeral: true})
}

func TestFolderInPrivateOne(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root's servers run as another user")
	}
	dir := dataDir(t)
	private := filepath.Dir(dir)
	require.NoError(t, os.Chmod(private, 0o700))
	_, err := Start(t.Context(), Config{Dir: dir})
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, private+";")
	require.ErrorContains(t, err, "FLIGHTBILL_DATA_DIR")
	require.NoDirExists(t, dir)
}

func TestFolderPathThatTheShellWouldChange(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Config{Dir: filepath.Join(dataDir(t), "$HOME")})
	require.ErrorContains(t, err, "$HOME")
}

func TestDefaultDir(t *testing.T) {
	dir := DefaultDir()
	if os.Geteuid() == 0 {
		require.Equal(t, "/var/lib/flightbill", dir, "root's")
		return
	}
	if runtime.GOOS == "darwin" {
		require.True(t, strings.HasSuffix(dir, "/Library/Application Support/flightbill"), "a Mac's")
		return
	}
	t.Setenv("XDG_DATA_HOME", "/somewhere")
	require.Equal(t, "/somewhere/flightbill", DefaultDir(), "with XDG_DATA_HOME")
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("HOME", "/home/someone")
	require.Equal(t, "/home/someone/.local/share/flightbill", DefaultDir(), "with HOME")
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
	require.NoError(t, os.MkdirAll(filepath.Join(c.tree(), "bin"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(c.tree(), "bin", "pg_ctl"), nil, 0o755))
	if archive != "" {
		content, err := os.ReadFile(archive)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(c.path(), filepath.Base(archive)), content, 0o644))
	}

	server := start(t, Config{Ephemeral: true, cacheDirs: []string{cacheDir}})
	require.Equal(t, "yes", query(t, server.URL(), "SELECT 'yes'"), "alive")
	require.True(t, c.complete(), "complete")
	left, err := filepath.Glob(filepath.Join(c.path(), "*"))
	require.NoError(t, err)
	require.Len(t, left, 3) // tree, archive, marker: no scratch
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
		require.ErrorContains(t, err, want)
	}
	require.Contains(t, log.String(), "downloading Postgres 18.3")
}
