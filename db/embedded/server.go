//go:build unix

package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// goneCheck is how often a process looks whether another's server is still there.
const goneCheck = time.Second

// Server is a running Postgres server.
type Server struct {
	dir      string
	state    state
	password string
	owner    account
	holder   *child        // nil if another process started the server
	gone     chan struct{} // see Gone
	stop     func() error  // what Stop does, once
}

// Start starts the server of a data folder, or finds the one that another process runs there and uses it. Of several
// processes that start at once, one starts the server. Main must have been called in this program.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	// Without this check a program that does not call Main would start copies of itself without end.
	if os.Getenv(holderEnv) != "" {
		return nil, errors.New("embedded Postgres: this program does not call embedded.Main first")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	owner, err := accountFor(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("embedded Postgres: %w", err)
	}
	removeDir := cfg.Dir == ""
	if removeDir {
		if cfg.Dir, err = os.MkdirTemp("", "flightbill-postgres-"); err != nil {
			return nil, err
		}
	}
	server, err := startIn(ctx, cfg, owner, removeDir)
	if err != nil && removeDir {
		_ = os.RemoveAll(cfg.Dir)
	}
	return server, err
}

func startIn(ctx context.Context, cfg Config, owner account, removeDir bool) (*Server, error) {
	dir, err := prepareDir(cfg.Dir, owner)
	if err != nil {
		return nil, err
	}
	lock, err := openLock(filepath.Join(dir, lockFile), owner)
	if err != nil {
		return nil, fmt.Errorf("open the data folder: %w", err)
	}
	// The holder inherits it, and holds the lock on.
	defer lock.Close()

	server := &Server{dir: dir, owner: owner}
	found, err := waitForServer(ctx, cfg, lock, server)
	if err != nil {
		return nil, err
	}
	if !found {
		if err := checkCluster(dir, cfg.version()); err != nil {
			return nil, err
		}
		dirs := cfg.cacheDirs
		if dirs == nil {
			dirs = owner.cacheDirs()
			if !removeDir {
				dirs = append(dirs, filepath.Join(dir, "cache"))
			}
		}
		server.holder, server.state, err = startHolder(ctx, cfg, lock, order{
			Dir: dir, RemoveDir: removeDir, Ephemeral: cfg.Ephemeral, Parameters: cfg.Parameters, Version: cfg.version(),
			Account: owner, CacheDirs: dirs, Repository: cmp.Or(cfg.repository, mavenCentral), Ports: cfg.ports,
		})
		if err != nil {
			return nil, fmt.Errorf("embedded Postgres: %w", err)
		}
		server.stop = sync.OnceValue(func() error { return server.stopOwned(removeDir) })
	}
	if found {
		server.watch()
	}
	if server.password, err = readPassword(dir); err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return server, nil
}

// waitForServer returns when a server has been found running, or when the lock was free: then it is this process's.
// As long as another process holds the lock, its server is about to be found, or to be gone.
func waitForServer(ctx context.Context, cfg Config, lock *os.File, server *Server) (found bool, err error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for waits := 0; ; waits++ {
		free, err := tryLock(lock)
		if err != nil || free {
			return false, err
		}
		server.state, found, err = find(ctx, server.dir)
		if err != nil {
			return false, err
		}
		if found {
			if cfg.Version != "" && cfg.Version.major() != server.state.Version.major() {
				return false, fmt.Errorf("%w: Postgres %s is running on %s, and %s is asked for",
					ErrOtherVersion, server.state.Version.display(), server.dir, cfg.Version.display())
			}
			return true, nil
		}
		if waits == 40 {
			cfg.Logger.InfoContext(ctx, "waiting for the process that is starting or stopping Postgres", "folder", server.dir)
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("wait for the Postgres server on %s that another process is starting or stopping: %w",
				server.dir, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// URL returns the connection string of the database flightbill, as its superuser.
func (s *Server) URL() string { return s.Database(name) }

// Database returns the connection string of another database on the server; it need not exist.
func (s *Server) Database(name string) string { return s.state.url(s.password, name) }

// Owned reports whether this process started the server, so that it ends with this process.
func (s *Server) Owned() bool { return s.holder != nil }

// Gone is closed when a server that another process started has ended, with that process or by itself. What comes after it
// on the folder is another server, on another port. It is nil where this process started the server.
func (s *Server) Gone() <-chan struct{} { return s.gone }

// watch closes gone in time, until Stop.
func (s *Server) watch() {
	s.gone = make(chan struct{})
	stopped := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(goneCheck)
		defer tick.Stop()
		for {
			select {
			case <-stopped:
				return
			case <-tick.C:
			}
			if s.isGone() {
				close(s.gone)
				return
			}
		}
	})
	s.stop = sync.OnceValue(func() error {
		close(stopped)
		watching.Wait()
		return nil
	})
}

// isGone reports whether nobody holds the server any more, or another one has taken its place.
func (s *Server) isGone() bool {
	lock, err := openLock(filepath.Join(s.dir, lockFile), s.owner)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) // the folder has gone, too
	}
	defer lock.Close()
	if free, err := tryShared(lock); err != nil || free {
		return err == nil
	}
	now, err := readState(s.dir)
	return err == nil && now != s.state
}

// Stop stops the server, disconnecting its clients, if this process started it; else it does nothing.
func (s *Server) Stop() error { return s.stop() }

func (s *Server) stopOwned(removeDir bool) error {
	holderErr := s.holder.stop()
	if holderErr == nil {
		return nil
	}
	// A holder that was killed has left Postgres behind, unless another process has since taken the folder over.
	lock, err := openLock(filepath.Join(s.dir, lockFile), s.owner)
	if err != nil {
		return errors.Join(holderErr, err)
	}
	defer lock.Close()
	if free, err := tryLock(lock); err != nil || !free {
		return err
	}
	if err := stopPostmaster(filepath.Join(s.dir, "data")); err != nil {
		return errors.Join(holderErr, err)
	}
	if removeDir {
		return os.RemoveAll(s.dir)
	}
	return nil
}
