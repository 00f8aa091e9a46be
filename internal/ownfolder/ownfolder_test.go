//go:build unix

package ownfolder_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/internal/ownfolder"
)

// parents returns a folder that passes, with two parents of its own.
func parents(t *testing.T) (grandparent, parent, dir string) {
	t.Helper()
	grandparent, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.Chmod(grandparent, 0o755))
	parent = filepath.Join(grandparent, "parent")
	dir = filepath.Join(parent, "cache")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, ownfolder.Check(dir, os.Geteuid()))
	return grandparent, parent, dir
}

func TestCheckRefusesWhatOthersMayChange(t *testing.T) {
	t.Parallel()
	for _, mode := range []fs.FileMode{0o777, 0o757, 0o702} {
		grandparent, parent, dir := parents(t)
		for _, open := range []string{dir, parent, grandparent} {
			require.NoError(t, os.Chmod(open, mode))
			err := ownfolder.Check(dir, os.Geteuid())
			require.ErrorContains(t, err, "others may write to folder \""+open+"\"", "%o", mode)
			require.NoError(t, os.Chmod(open, 0o700))
		}
		// As /tmp is; but in a folder of that kind others can put what is missing.
		require.NoError(t, os.Chmod(parent, 0o777|fs.ModeSticky))
		require.NoError(t, ownfolder.Check(dir, os.Geteuid()), "a sticky parent")
		require.ErrorContains(t, ownfolder.Check(parent, os.Geteuid()), "others may write", "a sticky folder itself")
	}
}

func TestCheckRefusesFoldersOfOthers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give folders away")
	}
	const me, other = 60001, 60002
	grandparent, parent, dir := parents(t)
	require.NoError(t, ownfolder.Check(dir, me), "root's")
	for _, theirs := range []string{dir, parent, grandparent} {
		require.NoError(t, os.Chown(theirs, me, me))
		require.NoError(t, ownfolder.Check(dir, me), "one's own")
		require.NoError(t, os.Chown(theirs, other, other))
		require.ErrorContains(t, ownfolder.Check(dir, me), "folder \""+theirs+"\" belongs to user 60002")
		require.NoError(t, os.Chown(theirs, 0, 0))
	}
	// A group that is not the owner's own.
	require.NoError(t, os.Chown(parent, 0, other))
	require.NoError(t, os.Chmod(parent, 0o770))
	require.ErrorContains(t, ownfolder.Check(dir, me), "others may write to folder \""+parent+"\"")
	require.NoError(t, os.Chown(parent, 0, 0))
	require.NoError(t, ownfolder.Check(dir, me), "root's own group")
}

func TestMakeFollowsLinksOnce(t *testing.T) {
	t.Parallel()
	grandparent, parent, dir := parents(t)
	link := filepath.Join(grandparent, "link")
	require.NoError(t, os.Symlink(parent, link))
	got, err := ownfolder.Make(filepath.Join(link, "cache"), 0o700)
	require.NoError(t, err)
	require.Equal(t, dir, got)
	require.ErrorContains(t, ownfolder.Check(link, os.Geteuid()), "not a folder")

	file := filepath.Join(parent, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = ownfolder.Make(file, 0o700)
	require.ErrorContains(t, err, "not a directory")
}
