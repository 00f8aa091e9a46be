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
	// A volume of Kubernetes with an fsGroup: the user who reads this cannot do it.
	require.NoError(t, os.Chown(dir, 0, other))
	require.NoError(t, os.Chmod(dir, 0o775|fs.ModeSetgid))
	require.ErrorContains(t, ownfolder.Check(dir, me), "root has to take that from them: chmod go-w")
}

func TestMakeTouchesNothingOfOthers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give folders away")
	}
	const me, other = 60001, 60002
	_, parent, dir := parents(t)
	require.NoError(t, os.Chown(dir, other, other))
	_, err := ownfolder.Make(filepath.Join(dir, "a", "b"), 0o700, me)
	require.ErrorContains(t, err, "belongs to user 60002")
	require.NoDirExists(t, filepath.Join(dir, "a"))

	// Root follows no link of the user it works for, who would say where it makes something.
	_, _, target := parents(t)
	require.NoError(t, os.Chown(parent, me, me))
	link := filepath.Join(parent, "link")
	require.NoError(t, os.Symlink(target, link))
	require.NoError(t, os.Lchown(link, me, me))
	for _, path := range []string{link, filepath.Join(link, "a")} {
		_, err = ownfolder.Make(path, 0o700, me)
		require.ErrorContains(t, err, "\""+link+"\" is a link that belongs to user 60001")
	}
	require.NoDirExists(t, filepath.Join(target, "a"))
	made, err := ownfolder.Make(filepath.Join(parent, "a", "b"), 0o700, me)
	require.NoError(t, err)
	for path, mode := range map[string]fs.FileMode{made: 0o700, filepath.Dir(made): 0o755} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
}

func TestMakeFollowsLinksOnce(t *testing.T) {
	t.Parallel()
	grandparent, parent, dir := parents(t)
	link := filepath.Join(grandparent, "link")
	require.NoError(t, os.Symlink(parent, link))
	got, err := ownfolder.Make(filepath.Join(link, "cache"), 0o700, os.Geteuid())
	require.NoError(t, err)
	require.Equal(t, dir, got)
	require.ErrorContains(t, ownfolder.Check(link, os.Geteuid()), "not a folder")

	file := filepath.Join(parent, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = ownfolder.Make(file, 0o700, os.Geteuid())
	require.ErrorContains(t, err, "not a folder")
}
