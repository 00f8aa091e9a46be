//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFile is the file in the data folder that the server's holder keeps locked.
const lockFile = "flightbill.lock"

// openLock opens a lock file, making it where it is missing. Links are refused: root opens the file in a folder that belongs to
// a less trusted user.
func openLock(path string, owner account) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		if err := giveLock(file, owner); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	return file, nil
}

// giveLock gives away only what looks as if it had just been made: that user may have put another name of a file of root's there.
func giveLock(file *os.File, owner account) error {
	info, err := file.Stat()
	if err != nil || accountOf(info).UID == owner.UID {
		return err
	}
	if stat := info.Sys().(*syscall.Stat_t); !info.Mode().IsRegular() || stat.Nlink != 1 || info.Size() > 0 { //nolint:forcetypeassert // on every Unix
		return fmt.Errorf("%s is not the lock file that flightbill makes, and does not belong to user %d: move it away", file.Name(), owner.UID)
	}
	return file.Chown(owner.UID, owner.GID)
}

// tryLock reports whether the lock was free; it now belongs to this open file and to every process that inherits it.
func tryLock(file *os.File) (bool, error) {
	err := flock(file, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// tryShared reports whether nobody has the lock. Who tries to take it at this moment has to try again.
func tryShared(file *os.File) (bool, error) {
	err := flock(file, syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

func waitLock(file *os.File) error { return flock(file, syscall.LOCK_EX) }

func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK), err == nil:
			return err
		default:
			return fmt.Errorf("lock %s: %w (is it on a network file system?)", file.Name(), err)
		}
	}
}
