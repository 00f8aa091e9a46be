//go:build unix

// Package ownfolder makes folders that nobody but a user and root can change, and tells whether one is: flightbill runs programs
// from its caches. Root uses it in folders of users whom it trusts less.
package ownfolder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// maxLinks on the way to a folder, as Linux has it.
const maxLinks = 40

// Make makes a folder of this process's user where it is missing, for a user, and checks it. It returns the path without
// symbolic links: what leads there can be changed by others neither before nor after the check. Where root makes parents,
// they are open to be walked through, whatever the umask.
func Make(dir string, mode fs.FileMode, uid int) (string, error) {
	dir, existing, err := resolve(dir)
	if err != nil {
		return "", err
	}
	if existing == dir {
		return dir, Check(dir, uid)
	}
	at, err := open(existing, uid, true)
	if err != nil {
		return "", err
	}
	defer func() { _ = at.Close() }()
	names := strings.Split(strings.TrimPrefix(strings.TrimPrefix(dir, existing), "/"), "/")
	for i, name := range names {
		step := mode
		if i < len(names)-1 && os.Geteuid() == 0 {
			step = 0o755
		}
		next, err := makeIn(at, name, step)
		if err != nil {
			return "", err
		}
		_ = at.Close()
		at = next
	}
	return dir, Check(dir, uid)
}

// makeIn works on what it has opened: whoever owns the outer folder can put something else in the new one's place.
func makeIn(in *os.Root, name string, mode fs.FileMode) (*os.Root, error) {
	err := in.Mkdir(name, mode)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("in folder %q: %w", in.Name(), err)
	}
	made, openErr := in.OpenRoot(name)
	if openErr != nil || err != nil || os.Geteuid() != 0 { // another process was faster, or it is the umask's affair
		return made, openErr
	}
	info, err := made.Stat(".")
	entries, readErr := fs.ReadDir(made.FS(), ".")
	switch err = errors.Join(err, readErr); {
	case err != nil:
	case owner(info) != 0 || len(entries) > 0:
		// Another process has already made its own of it; or it was exchanged, which Check says.
	default:
		err = made.Chmod(".", mode)
	}
	if err != nil {
		return nil, errors.Join(err, made.Close())
	}
	return made, nil
}

// Open opens a folder that passes Check, whatever then becomes of its path.
func Open(dir string, uid int) (*os.Root, error) { return open(dir, uid, false) }

func open(dir string, uid int, parent bool) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	opened, err := root.Stat(".")
	if err == nil {
		err = check(dir, uid, parent)
	}
	if err == nil {
		var now fs.FileInfo
		if now, err = os.Lstat(dir); err == nil && !os.SameFile(opened, now) {
			err = fmt.Errorf("folder %q was exchanged while it was opened", dir)
		}
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// resolve returns a path without symbolic links, and how much of it exists. Links of others are not followed: they would
// say where root makes a folder, or which one it gives away.
func resolve(dir string) (path, existing string, err error) {
	if !filepath.IsAbs(dir) {
		return "", "", notAbsolute(dir)
	}
	path = filepath.Clean(dir)
	for range maxLinks {
		var link string
		if existing, link, err = walk(path); err != nil || link == "" {
			return path, existing, err
		}
		target, err := os.Readlink(link)
		if err != nil {
			return "", "", err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(link), target)
		}
		path = filepath.Join(target, strings.TrimPrefix(path, link))
	}
	return "", "", &fs.PathError{Op: "open", Path: dir, Err: syscall.ELOOP}
}

// walk returns how much of a path exists, up to its first symbolic link.
func walk(path string) (existing, link string, err error) {
	existing = "/"
	for i := 1; i < len(path); i++ {
		end := strings.IndexByte(path[i:], '/')
		if end < 0 {
			end = len(path) - i
		}
		i += end
		info, err := os.Lstat(path[:i])
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return existing, "", nil
		case err != nil:
			return "", "", err
		case info.Mode()&fs.ModeSymlink != 0:
			if who := owner(info); who != 0 && who != os.Geteuid() {
				return "", "", fmt.Errorf("%q is a link that belongs to user %d, who could have it lead elsewhere; give the path of the folder itself", path[:i], who)
			}
			return existing, path[:i], nil
		}
		existing = path[:i]
	}
	return existing, "", nil
}

// Check fails where somebody other than the user and root may change a folder, or put another one in its place. The path has
// no symbolic links.
func Check(dir string, uid int) error { return check(dir, uid, false) }

func check(dir string, uid int, parent bool) error {
	if !filepath.IsAbs(dir) {
		return notAbsolute(dir)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if err := checkOne(at, uid, parent || at != dir); err != nil {
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
	who, mode := owner(info), info.Mode()
	if who != uid && who != 0 {
		whose := "root"
		if uid != 0 {
			whose = fmt.Sprintf("user %d or to root", uid)
		}
		return fmt.Errorf("folder %q belongs to user %d, who could change what flightbill runs; it must belong to %s", dir, who, whose)
	}
	// In a sticky folder, such as /tmp, nobody can move what belongs to others.
	if parent && mode&fs.ModeSticky != 0 {
		return nil
	}
	if mode.Perm()&0o002 == 0 && (mode.Perm()&0o020 == 0 || ownGroup(who, group(info))) {
		return nil
	}
	what := "take that from them"
	if who != uid {
		what = "root has to take that from them"
	}
	return fmt.Errorf("others may write to folder %q (mode %04o), and could change what flightbill runs; %s: chmod go-w %[1]q", dir, mode.Perm(), what)
}

func notAbsolute(dir string) error {
	return fmt.Errorf("the path of folder %q does not begin with /", dir)
}

func owner(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) } //nolint:forcetypeassert // on every Unix
func group(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Gid) } //nolint:forcetypeassert // on every Unix

// ownGroup reports whether a group is a user's alone, as many systems give each user one, of the same name.
func ownGroup(uid, gid int) bool {
	users, usersErr := os.ReadFile("/etc/passwd")
	groups, groupsErr := os.ReadFile("/etc/group")
	return usersErr == nil && groupsErr == nil && alone(string(users), string(groups), uid, gid)
}

// alone does not know users that are elsewhere, as in LDAP: groups of these are not taken for anybody's own.
func alone(users, groups string, uid, gid int) bool {
	var name string
	uidText, gidText := strconv.Itoa(uid), strconv.Itoa(gid)
	for line := range strings.Lines(users) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 4 {
			continue
		}
		if fields[2] == uidText {
			name = fields[0]
		} else if fields[3] == gidText {
			return false
		}
	}
	for line := range strings.Lines(groups) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) == 4 && fields[2] == gidText {
			return name != "" && fields[0] == name && (fields[3] == "" || fields[3] == name)
		}
	}
	return false
}
