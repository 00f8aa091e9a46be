//go:build unix

package embedded

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
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

func TestFolderThatOthersMayChange(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	parent := filepath.Dir(dir)
	require.NoError(t, os.Chmod(parent, 0o777))
	_, err := Start(t.Context(), Config{Dir: dir, Ephemeral: true})
	require.ErrorContains(t, err, "others may write to folder \""+parent+"\"")
	require.ErrorContains(t, err, "FLIGHTBILL_DATA_DIR")
	require.NoFileExists(t, filepath.Join(dir, lockFile))
}

// Root gives away nothing that a less trusted user's link leads to.
func TestFolderBehindALink(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give folders away")
	}
	owner := ownerOf(t, "")
	for _, test := range []struct {
		name, want string
		make       func(t *testing.T, dir, target string)
	}{
		{"folder", "is a link that belongs to user", func(t *testing.T, dir, target string) {
			t.Helper()
			require.NoError(t, os.Mkdir(target, 0o755))
			require.NoError(t, os.Symlink(target, dir))
			require.NoError(t, os.Lchown(dir, owner.UID, owner.GID))
		}},
		{"lock", "is not the lock file that flightbill makes", func(t *testing.T, dir, target string) {
			t.Helper()
			require.NoError(t, os.WriteFile(target, []byte("root:*:"), 0o600))
			require.NoError(t, os.Mkdir(dir, 0o700))
			require.NoError(t, os.Chown(dir, owner.UID, owner.GID))
			require.NoError(t, os.Link(target, filepath.Join(dir, lockFile)))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir, target := dataDir(t), filepath.Join(filepath.Dir(dataDir(t)), "target")
			require.NoError(t, os.Chown(filepath.Dir(dir), owner.UID, owner.GID))
			test.make(t, dir, target)
			_, err := Start(t.Context(), Config{Dir: dir, Ephemeral: true})
			require.ErrorContains(t, err, test.want)
			info, err := os.Stat(target)
			require.NoError(t, err)
			require.Zero(t, accountOf(info).UID, "root's")
		})
	}
}

func TestFolderOfNobody(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root's servers run as another user")
	}
	dir := dataDir(t)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chown(dir, nobody(), nobody()))
	_, err := Start(t.Context(), Config{Dir: dir, Ephemeral: true})
	require.ErrorIs(t, err, ErrShared)
	require.ErrorContains(t, err, "chown -R ")
}

// The folder's owner is kept, also where it is not the one that a new folder would get.
func TestFolderKeepsItsOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root's servers run as another user")
	}
	dir := dataDir(t)
	fresh := ownerOf(t, dir)
	require.NotEqual(t, nobody(), fresh.UID)
	require.NotZero(t, fresh.UID)
	server := start(t, Config{Dir: dir, Ephemeral: true})
	for _, path := range []string{"", passwordFile, "data", "data/base", "data/postmaster.pid", lockFile} {
		info, err := os.Stat(filepath.Join(server.dir, path))
		require.NoError(t, err)
		require.Equal(t, fresh, accountOf(info), path)
	}
	// Running it must not make the id look like somebody else's.
	require.Equal(t, fresh, ownerOf(t, dataDir(t)))

	require.NoError(t, os.Chown(filepath.Dir(dir), fresh.UID+1, fresh.GID+1))
	require.Equal(t, account{fresh.UID + 1, fresh.GID + 1}, ownerOf(t, filepath.Dir(dir)))
	require.NoError(t, os.Chown(filepath.Dir(dir), 0, 0))
}

// Not parallel: it sets an environment variable. What root has had made is moved to the data folder, or copied.
func TestClusterMadeOnAnotherFileSystem(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has clusters made elsewhere")
	}
	dir := dataDir(t)
	device := func(path string) uint64 {
		info, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return uint64(info.Sys().(*syscall.Stat_t).Dev) //nolint:unconvert // an int32 on macOS
	}
	other := ""
	for _, candidate := range []string{"/dev/shm", "/var/tmp"} {
		if there := device(candidate); there != 0 && there != device(filepath.Dir(dir)) {
			other = candidate
		}
	}
	if other == "" {
		t.Skip("there has to be another file system at /dev/shm or /var/tmp")
	}
	t.Setenv("TMPDIR", other)
	server := start(t, Config{Dir: dir, Ephemeral: true})
	require.Equal(t, "yes", query(t, server.URL(), "SELECT 'yes'"), "alive")
	left, err := filepath.Glob(filepath.Join(other, "flightbill-initdb-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// Not parallel: it sets an environment variable.
func TestClusterThatIsNotAdoptedIsRemoved(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has clusters made elsewhere")
	}
	dir, temporary := dataDir(t), filepath.Dir(dataDir(t))
	require.NoError(t, os.Chmod(temporary, 0o777|fs.ModeSticky))
	t.Setenv("TMPDIR", temporary)
	// What stands in its way: the folder that is emptied at each start.
	inTheWay := filepath.Join(dir, "tmp", "of root")
	require.NoError(t, os.MkdirAll(inTheWay, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, lockFile), nil, 0o600))
	owner := ownerOf(t, "")
	require.NoError(t, os.Chown(dir, owner.UID, owner.GID))
	_, err := Start(t.Context(), Config{Dir: dir, Ephemeral: true})
	require.ErrorContains(t, err, inTheWay)
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, left)
}

// Of the ids that root may take, those are passed over that somebody has: by name, or by a process.
func TestUserIDsOfOthers(t *testing.T) {
	t.Parallel()
	require.False(t, unused(0), "root's")
	require.False(t, unused(1), "daemon's, who runs nothing")
	if os.Geteuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("only root can start a process of another user, and only Linux shows it in /proc")
	}
	const id = lastUID
	require.True(t, unused(id))
	process := exec.Command("sleep", "60")
	process.SysProcAttr = &syscall.SysProcAttr{Credential: account{id, id}.credential()}
	require.NoError(t, process.Start())
	defer func() { _ = process.Process.Kill(); _ = process.Wait() }()
	require.False(t, unused(id), "a process has it")
}
