//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/flightbill/flightbill/internal/ownfolder"
)

// account is who the server runs as.
type account struct{ UID, GID int }

// Where there is no user flightbill, root's servers run as the first of these that nobody else has. Systemd's table of user
// ids has them as unused. A container with a range of its own ids has these: they are below 65536.
const (
	firstUID = 60578
	lastUID  = 61183
)

// accountFor returns the account for a data folder. Root cannot run Postgres: it takes the owner of the folder, so that
// root and that user can share one, and where root owns it or there is none yet, a user that is flightbill's alone.
func accountFor(dir string) (account, error) {
	if os.Geteuid() != 0 {
		return account{os.Geteuid(), os.Getegid()}, nil
	}
	own, err := ownAccount()
	if err != nil {
		return account{}, err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return own, nil //nolint:nilerr // prepareDir says what is wrong with it
	}
	switch owner := accountOf(info); owner.UID {
	case 0:
		return own, nil
	case nobody():
		return account{}, fmt.Errorf("%w: %s belongs to nobody, whose programs could read and change what is in it: chown -R %d:%d %[2]s",
			ErrShared, dir, own.UID, own.GID)
	default:
		return owner, nil
	}
}

// ownAccount returns the user that root's new servers run as.
func ownAccount() (account, error) {
	if u, err := user.Lookup("flightbill"); err == nil {
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr == nil && gidErr == nil && uid > 0 && gid > 0 {
			return account{uid, gid}, nil
		}
	}
	for uid := firstUID; uid <= lastUID; uid++ {
		if unused(uid) {
			return account{uid, uid}, nil
		}
	}
	return account{}, fmt.Errorf("root cannot run Postgres, and the user ids %d to %d are all taken: make a user for it (useradd --system flightbill)",
		firstUID, lastUID)
}

// unused reports whether a user id, and the same group id, is nobody's, or one that an earlier start has taken.
func unused(uid int) bool {
	id := strconv.Itoa(uid)
	_, noUser := user.LookupId(id)
	_, noGroup := user.LookupGroupId(id)
	if noUser == nil || noGroup == nil {
		return false
	}
	processes, _ := filepath.Glob("/proc/[0-9]*") // macOS has none
	if !slices.ContainsFunc(processes, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && accountOf(info).UID == uid
	}) {
		return true
	}
	// They may be flightbill's: the folder is made before the first of them starts.
	_, err := os.Stat(account{uid, uid}.cacheDirs()[0])
	return err == nil
}

// nobody returns the id of the user that is everybody's who wants none of his own.
func nobody() int {
	if u, err := user.Lookup("nobody"); err == nil {
		if uid, err := strconv.ParseInt(u.Uid, 10, 64); err == nil {
			return int(uint32(uid)) //nolint:gosec // macOS writes it as -2
		}
	}
	return 65534
}

// accountOf returns the owner of a file.
func accountOf(info fs.FileInfo) account {
	stat := info.Sys().(*syscall.Stat_t) //nolint:forcetypeassert // on every Unix
	return account{int(stat.Uid), int(stat.Gid)}
}

// become turns this process, all threads of it, into the account's, for good.
func (a account) become() error {
	if os.Geteuid() != 0 {
		return nil
	}
	// The group list first: without root's rights it could not be cleared.
	err := syscall.Setgroups([]int{a.GID})
	if err == nil {
		err = syscall.Setgid(a.GID)
	}
	if err == nil {
		err = syscall.Setuid(a.UID)
	}
	if err != nil {
		return fmt.Errorf("root cannot run Postgres, and switching to user %d failed: %w; run flightbill as another user, "+
			"or make one that this container has (useradd --system flightbill)", a.UID, err)
	}
	return nil
}

// credential is for a process that root starts as the account.
func (a account) credential() *syscall.Credential {
	return &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID), Groups: []uint32{uint32(a.GID)}} //nolint:gosec // ids
}

// handOver makes a folder that belongs to the account, in one of root's. One that is there stays whose it is.
func (a account) handOver(dir string) error {
	parent, err := ownfolder.Make(filepath.Dir(dir), 0o755, 0)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(dir); err == nil {
		return nil
	}
	fresh, err := os.MkdirTemp(parent, "new-")
	if err != nil {
		return err
	}
	if err := errors.Join(os.Lchown(fresh, a.UID, a.GID), os.Chmod(fresh, cacheMode), os.Rename(fresh, dir)); err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	return nil
}

// mayEnter returns the first folder on the way to dir, or dir itself, that the account may not enter.
func (a account) mayEnter(dir string) (closed string, ok bool) {
	if parent := filepath.Dir(dir); parent != dir {
		if closed, ok := a.mayEnter(parent); !ok {
			return closed, false
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return dir, errors.Is(err, fs.ErrNotExist)
	}
	bit := fs.FileMode(0o001)
	switch owner := accountOf(info); {
	case owner.UID == a.UID:
		bit = 0o100
	case owner.GID == a.GID:
		bit = 0o010
	}
	return dir, info.Mode().Perm()&bit != 0
}

// prepareDir makes the data folder, where it is missing, and hands it to the account. It returns the folder's path
// without symbolic links, the one spelling that all processes share.
func prepareDir(dir string, owner account) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := owner.checkReach(filepath.Dir(dir)); err != nil {
		return "", err
	}
	if dir, err = ownfolder.Make(dir, 0o700, owner.UID); err != nil {
		return "", fmt.Errorf("data folder: %w; or choose another with FLIGHTBILL_DATA_DIR", err)
	}
	folder, err := ownfolder.Open(dir, owner.UID)
	if err != nil {
		return "", fmt.Errorf("data folder: %w; or choose another with FLIGHTBILL_DATA_DIR", err)
	}
	defer folder.Close()

	// A folder given by mistake, such as /etc, must not change hands.
	entries, err := fs.ReadDir(folder.FS(), ".")
	if err != nil {
		return "", fmt.Errorf("read the data folder: %w; choose another with FLIGHTBILL_DATA_DIR", err)
	}
	named := func(name string) func(os.DirEntry) bool {
		return func(e os.DirEntry) bool { return e.Name() == name && !(name == lockFile && e.IsDir()) }
	}
	entries = slices.DeleteFunc(entries, named("lost+found"))
	// A serve with a DATABASE_URL may have left its statistics here, or half of them.
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool {
		return e.Name() == "results.json" || strings.HasPrefix(e.Name(), ".results-")
	})
	if len(entries) > 0 && !slices.ContainsFunc(entries, named(lockFile)) {
		return "", fmt.Errorf("%w: %s is not empty and holds no flightbill database; choose another with FLIGHTBILL_DATA_DIR",
			ErrNotDataFolder, dir)
	}

	info, err := folder.Stat(".")
	if err != nil {
		return "", err
	}
	if os.Geteuid() != 0 || accountOf(info).UID == owner.UID {
		return dir, owner.checkReach(dir) // again: now without symbolic links
	}
	if err := folder.Chown(".", owner.UID, owner.GID); err != nil {
		return "", fmt.Errorf("hand the data folder to user %d: %w", owner.UID, err)
	}
	return dir, owner.checkReach(dir)
}

// checkReach tells root's user what to do about a folder that the account may not enter.
func (a account) checkReach(dir string) error {
	if os.Geteuid() != 0 {
		return nil // the system's own error says it all
	}
	if closed, ok := a.mayEnter(dir); !ok {
		return fmt.Errorf("%w: root cannot run Postgres, so it runs as user %d, who may not enter %s; choose a folder elsewhere with "+
			"FLIGHTBILL_DATA_DIR (%s is a good one), or run flightbill as another user",
			ErrUnreachable, a.UID, closed, DefaultDir())
	}
	return nil
}

// cacheMode lets the group in: with that of the account, initdb runs as another user.
const cacheMode = 0o750

// cacheDirs returns the places for the Postgres binaries, in order of preference. None of them is shared with others.
func (a account) cacheDirs() []string {
	switch dir := ownfolder.Cache(); {
	case dir == "":
		return nil
	case os.Geteuid() == 0:
		return []string{filepath.Join(dir, strconv.Itoa(a.UID))}
	default:
		return []string{dir}
	}
}
