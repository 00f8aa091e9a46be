//go:build unix

package javajars

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var set = &Set{Name: "a test", Folder: "some-1", POM: []byte("<project/>"), Sums: "00  b.jar\n01  a.jar\n", SumsFile: "sums"}

// Java runs what is in the folder.
func TestJarsThatOthersMayChangeAreNotUsed(t *testing.T) {
	t.Parallel()
	cache, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	sum := sha256.Sum256(slices.Concat(set.POM, []byte(set.Sums)))
	lib := filepath.Join(cache, fmt.Sprintf("some-1-%x", sum[:4]))
	require.NoError(t, os.Mkdir(lib, 0o700))
	got, err := set.Fetch(t.Context(), cache, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Equal(t, lib, got, "one's own")

	require.NoError(t, os.Chmod(cache, 0o777))
	_, err = set.Fetch(t.Context(), cache, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "others may write to folder")
	require.Equal(t, os.Geteuid() != 0, strings.Contains(err.Error(), "XDG_CACHE_HOME"), "it has no say for root")
}

func TestJarsThatAreNotTheOnesKnown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.ErrorContains(t, set.verify(dir), "2 jars are missing, such as a.jar")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.jar"), []byte("PK"), 0o600))
	require.ErrorContains(t, set.verify(dir), "a.jar is not the one that this flightbill knows")
	require.NoError(t, os.Rename(filepath.Join(dir, "a.jar"), filepath.Join(dir, "another.jar")))
	require.ErrorContains(t, set.verify(dir), "another.jar is not the one that this flightbill knows")
}
