//go:build unix

// Package ownfolder tells whether nobody but a user and root can change what is in a folder: flightbill runs programs from its caches.
package ownfolder

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Make makes a folder of this process's user where it is missing, and checks it. It returns the path without symbolic links:
// what leads there can be changed by others neither before nor after the check.
func Make(dir string, mode fs.FileMode) (string, error) {
	if err := os.MkdirAll(dir, mode); err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	return dir, Check(dir, os.Geteuid())
}

// Check fails where somebody other than the user and root may change a folder, or put another one in its place. The path has
// no symbolic links.
func Check(dir string, uid int) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("the path of folder %q does not begin with /", dir)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if err := checkOne(at, uid, at != dir); err != nil {
			return err
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

func checkOne(dir string, uid int, parent bool) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%q is not a folder", dir)
	}
	stat := info.Sys().(*syscall.Stat_t) //nolint:forcetypeassert // on every Unix
	owner, mode := int(stat.Uid), info.Mode()
	if owner != uid && owner != 0 {
		return fmt.Errorf("folder %q belongs to user %d, who could change what flightbill runs; it must belong to user %d or to root", dir, owner, uid)
	}
	// In a sticky folder, such as /tmp, nobody can move what belongs to others.
	if parent && mode&fs.ModeSticky != 0 {
		return nil
	}
	if mode.Perm()&0o002 != 0 || mode.Perm()&0o020 != 0 && !ownGroup(owner, int(stat.Gid)) {
		return fmt.Errorf("others may write to folder %q (mode %04o), and could change what flightbill runs; take that from them: chmod go-w %[1]q", dir, mode.Perm())
	}
	return nil
}

// ownGroup reports whether a group is a user's alone, as many systems give each user one, of the same name.
func ownGroup(uid, gid int) bool {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return false
	}
	g, err := user.LookupGroupId(strconv.Itoa(gid))
	return err == nil && g.Name == u.Username
}
