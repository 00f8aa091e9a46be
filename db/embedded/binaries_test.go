//go:build unix

package embedded

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/internal/ownfolder"
)

// emptyCache returns a cache of the default version in a new folder, which a server's user can write to.
func emptyCache(t *testing.T) cache {
	t.Helper()
	sum, err := defaultVersion.sum(platform())
	require.NoError(t, err)
	c := cache{dir: dataDir(t), version: defaultVersion, platform: platform(), sum: sum}
	require.NoError(t, os.MkdirAll(c.path(), 0o755))
	give(t, c.dir)
	return c
}

// give gives a folder and what is in it to the user that a new server runs as.
func give(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	owner := ownerOf(t, "")
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		require.NoError(t, err)
		return os.Lchown(path, owner.UID, owner.GID)
	}))
}

// keepPackage puts the usual cache's package into another one; where there is none, that one downloads it.
func keepPackage(t *testing.T, c cache) {
	t.Helper()
	usual := c
	usual.dir = ownerOf(t, "").cacheDirs()[0]
	if content, err := usual.kept(); err == nil {
		require.NoError(t, os.WriteFile(c.archive(), content, 0o644))
	}
}

func TestHalfUnpackedBinariesAreMadeAnew(t *testing.T) {
	t.Parallel()
	c := emptyCache(t)
	keepPackage(t, c)
	half := filepath.Join(c.tree()+".new", "bin", "pg_ctl")
	require.NoError(t, os.MkdirAll(filepath.Dir(half), 0o755))
	require.NoError(t, os.WriteFile(half, nil, 0o755))
	give(t, c.dir)

	server := start(t, Config{Ephemeral: true, cacheDirs: []string{c.dir}})
	require.Equal(t, "yes", query(t, server.URL(), "SELECT 'yes'"), "alive")
	left, err := filepath.Glob(filepath.Join(c.path(), "*"))
	require.NoError(t, err)
	require.Equal(t, []string{c.archive(), c.tree()}, left)

	// Nothing of it is root's, and no program has more than its mode.
	owner := ownerOf(t, "")
	require.NoError(t, filepath.WalkDir(c.path(), func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		require.Equal(t, owner.UID, accountOf(info).UID, path)
		if entry.Type() != fs.ModeSymlink {
			require.Zero(t, info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|0o022), path)
		}
		return nil
	}))
}

// Programs that another user could have put there are not run, and no other place is tried that is anybody's.
func TestCacheOfAnotherUserIsNotUsed(t *testing.T) {
	t.Parallel()
	trap := func(t *testing.T) (c cache, sprung string) {
		t.Helper()
		c = emptyCache(t)
		sprung = dataDir(t)
		bin := filepath.Join(c.tree(), "bin")
		require.NoError(t, os.MkdirAll(bin, 0o755))
		for _, program := range []string{"initdb", "pg_ctl"} {
			require.NoError(t, os.WriteFile(filepath.Join(bin, program), []byte("#!/bin/sh\ntouch "+sprung+"\n"), 0o755))
		}
		give(t, c.dir)
		require.NoError(t, os.Chmod(filepath.Dir(sprung), 0o777))
		return c, sprung
	}

	t.Run("control", func(t *testing.T) {
		t.Parallel()
		c, sprung := trap(t)
		_, err := Start(t.Context(), Config{Ephemeral: true, cacheDirs: []string{c.dir}})
		require.Error(t, err)
		require.FileExists(t, sprung, "a trap in the user's own folder works")
	})
	t.Run("writable", func(t *testing.T) {
		t.Parallel()
		c, sprung := trap(t)
		require.NoError(t, os.Chmod(filepath.Dir(c.dir), 0o777))
		_, err := Start(t.Context(), Config{Ephemeral: true, cacheDirs: []string{c.dir}})
		require.ErrorContains(t, err, "others may write to folder")
		require.ErrorContains(t, err, "FLIGHTBILL_DATA_DIR")
		require.Equal(t, os.Geteuid() != 0, strings.Contains(err.Error(), "XDG_CACHE_HOME"), "it has no say for root")
		require.NoFileExists(t, sprung)
	})
	t.Run("owned", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() != 0 {
			t.Skip("only root can give folders away")
		}
		c, sprung := trap(t)
		require.NoError(t, os.Chown(c.dir, 60002, 60002))
		_, err := Start(t.Context(), Config{Ephemeral: true, cacheDirs: []string{c.dir}})
		require.ErrorContains(t, err, "belongs to user 60002")
		require.NoFileExists(t, sprung)
	})
}

// Not parallel: it sets environment variables. The shared temporary folder is no place, even where there is no other.
func TestUsualCacheIsOnesOwn(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "/home/someone")
	want := map[string]string{"linux": "/home/someone/.cache/flightbill", "darwin": "/home/someone/Library/Caches/flightbill"}
	if os.Geteuid() == 0 { // whose home may be another user's, as under sudo
		want = map[string]string{"linux": "/var/cache/flightbill/1", "darwin": "/Library/Caches/flightbill/1"}
	}
	require.Equal(t, []string{want[runtime.GOOS]}, account{1, 1}.cacheDirs())

	_, err := binaries(order{Version: defaultVersion}, func(string) {})
	require.ErrorContains(t, err, "the home folder is unknown; set FLIGHTBILL_DATA_DIR, or XDG_CACHE_HOME")
}

func TestVersionWithoutAChecksum(t *testing.T) {
	t.Parallel()
	_, err := binaries(order{Version: "1.0.0", CacheDirs: []string{t.TempDir()}}, func(string) {})
	require.ErrorContains(t, err, "there is no embedded Postgres 1.0 for "+platform())
	require.ErrorContains(t, err, "DATABASE_URL")
}

// Where the usual place is of no use, a data folder has its own.
func TestCacheInTheDataFolder(t *testing.T) {
	t.Parallel()
	bad := emptyCache(t)
	require.NoError(t, os.Chmod(bad.dir, 0o777))
	good := emptyCache(t)
	require.NoError(t, os.MkdirAll(good.tree(), 0o755))
	give(t, good.dir)
	if os.Geteuid() == 0 { // this process's user is not the server's here
		require.NoError(t, os.Chown(good.dir, 0, 0))
	}
	tree, err := binaries(order{Version: defaultVersion, CacheDirs: []string{bad.dir, good.dir}}, func(string) {})
	require.NoError(t, err)
	require.Equal(t, good.tree(), tree)
}

func TestPackageThatIsNotTheOneKnown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, want string
		answer     http.HandlerFunc
	}{
		{"missing", "404 Not Found", http.NotFound},
		{"another", "what came is not the package that this flightbill knows", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("PK")) }},
		{"cut short", "unexpected EOF", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("PK"))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var asked []string
			host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.URL.Path)
				test.answer(w, r)
			}))
			defer host.Close()
			c := emptyCache(t)
			// What an earlier download left is not trusted, either.
			require.NoError(t, os.WriteFile(c.archive(), []byte("PK"), 0o644))
			give(t, c.dir)
			_, err := Start(t.Context(), Config{Ephemeral: true, cacheDirs: []string{c.dir}, repository: host.URL})
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, "DATABASE_URL")
			require.False(t, c.complete())
			require.Len(t, asked, 1, "no checksum is asked for: it would be the same host's")
			require.Regexp(t, `^/io/zonky/test/postgres/embedded-postgres-binaries-(.+)/18\.3\.0/embedded-postgres-binaries-(.+)-18\.3\.0\.jar$`, asked[0])
		})
	}
}

// Not parallel: it sets environment variables.
func TestDownloadThatFails(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("NO_PROXY", "")
	var log bytes.Buffer
	_, err := Start(t.Context(), Config{
		Ephemeral: true, cacheDirs: []string{emptyCache(t).dir}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	for _, want := range []string{"Postgres 18.3", "maven", "connection refused", "HTTPS_PROXY", "DATABASE_URL"} {
		require.ErrorContains(t, err, want)
	}
	require.Contains(t, log.String(), "downloading Postgres 18.3")
}

func TestUnpackStaysInItsFolder(t *testing.T) {
	t.Parallel()
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644} }
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink, Mode: 0o777}
	}
	for name, test := range map[string]struct {
		entries []tar.Header
		want    string
	}{
		"parent":                {[]tar.Header{file("../out")}, "lies outside"},
		"parent in the middle":  {[]tar.Header{file("bin/../../out")}, "lies outside"},
		"absolute":              {[]tar.Header{file("/out")}, "lies outside"},
		"absolute link":         {[]tar.Header{link("lib", "/etc")}, "not in the same folder"},
		"link to parent":        {[]tar.Header{link("lib", "..")}, "not in the same folder"},
		"link into parent":      {[]tar.Header{link("lib", "../out")}, "not in the same folder"},
		"link below":            {[]tar.Header{link("a", "b/c"), link("d", "a/../../out")}, "not in the same folder"},
		"hard link":             {[]tar.Header{{Name: "passwd", Linkname: "/etc/passwd", Typeflag: tar.TypeLink}}, "not a folder, file or symbolic link"},
		"device":                {[]tar.Header{{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}}, "not a folder, file or symbolic link"},
		"pipe":                  {[]tar.Header{{Name: "pipe", Typeflag: tar.TypeFifo}}, "not a folder, file or symbolic link"},
		"a file twice":          {[]tar.Header{file("a"), file("a")}, "file exists"},
		"a file through a link": {[]tar.Header{link("a", "out"), file("a")}, "file exists"},
		"too large":             {[]tar.Header{{Name: "a", Typeflag: tar.TypeReg, Size: maxUnpacked + 1}}, "larger than 512 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			dir := filepath.Join(parent, "tree")
			require.NoError(t, os.Mkdir(dir, 0o700))
			require.ErrorContains(t, unpack(archive(t, test.entries...), dir), test.want)
			entries, err := os.ReadDir(parent)
			require.NoError(t, err)
			require.Len(t, entries, 1, "something lies outside")
		})
	}
}

func TestUnpackTakesNoModes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, unpack(archive(t,
		tar.Header{Name: "./bin/program", Typeflag: tar.TypeReg, Mode: 0o6777, Uid: 1, Gid: 1},
		tar.Header{Name: "text", Typeflag: tar.TypeReg, Mode: 0o666},
		tar.Header{Name: "bin/link", Linkname: "program", Typeflag: tar.TypeSymlink},
	), dir))
	for path, want := range map[string]fs.FileMode{"bin": fs.ModeDir | 0o750, "bin/program": 0o750, "text": 0o640, "bin/link": 0o750} {
		info, err := os.Stat(filepath.Join(dir, path))
		require.NoError(t, err)
		require.Equal(t, want, info.Mode(), path)
		require.Equal(t, os.Geteuid(), accountOf(info).UID, path)
	}
}

func archive(t *testing.T, entries ...tar.Header) *bytes.Buffer {
	t.Helper()
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, header := range entries {
		require.NoError(t, writer.WriteHeader(&header))
	}
	return &buffer
}

// All that is run comes from a checked folder: what binaries returns has passed, at a path without links.
func TestBinariesThroughALink(t *testing.T) {
	t.Parallel()
	c := emptyCache(t)
	require.NoError(t, os.MkdirAll(c.tree(), 0o755))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(c.dir, link))
	give(t, c.dir)
	if os.Geteuid() == 0 { // this process's user is not the server's here
		require.NoError(t, os.Chown(c.dir, 0, 0))
	}
	tree, err := binaries(order{Version: c.version, CacheDirs: []string{link}}, func(string) {})
	require.NoError(t, err)
	require.Equal(t, c.tree(), tree)
	require.NoError(t, ownfolder.Check(filepath.Dir(filepath.Dir(tree)), os.Geteuid()))
}
