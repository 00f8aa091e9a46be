//go:build unix

package ownfolder

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever owns the folder around it puts a link in the new one's place after the path was looked at.
func TestMakeIsNotLedAway(t *testing.T) {
	t.Parallel()
	folder, target := t.TempDir(), t.TempDir()
	in, err := os.OpenRoot(folder)
	require.NoError(t, err)
	defer in.Close()
	require.NoError(t, os.Symlink(target, filepath.Join(folder, "a")))
	_, err = makeIn(in, "a", 0o700)
	require.ErrorContains(t, err, "path escapes from parent")

	_, err = Open(filepath.Join(folder, "a"), os.Geteuid())
	require.ErrorContains(t, err, "not a folder")
}
