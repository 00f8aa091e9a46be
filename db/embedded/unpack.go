package embedded

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"
)

const (
	maxUnpacked = 512 << 20 // bytes; the largest package has 148 MB
	maxEntries  = 10_000    // it has 1,060
)

// unpackPackage puts the Postgres that is in a package, a zip with one .txz in it, into a folder.
func unpackPackage(content []byte, dir string) error {
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return err
	}
	for _, entry := range archive.File {
		if !strings.HasSuffix(entry.Name, ".txz") {
			continue
		}
		file, err := entry.Open()
		if err != nil {
			return err
		}
		defer file.Close()
		uncompressed, err := xz.NewReader(bufio.NewReader(file))
		if err != nil {
			return err
		}
		return unpack(uncompressed, dir)
	}
	return errors.New("the package holds no .txz")
}

// unpack makes the folders, files and links of a tar archive in a folder, and nothing outside it. Owners and modes are not
// the archive's to choose, but for whether a file is a program.
func unpack(archive io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	entries := tar.NewReader(archive)
	left := int64(maxUnpacked)
	for count := 0; ; count++ {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if left -= header.Size; left < 0 || count == maxEntries {
			return fmt.Errorf("the archive is larger than %d MB or %d files", maxUnpacked>>20, maxEntries)
		}
		if err := unpackEntry(root, header, entries); err != nil {
			return fmt.Errorf("unpack %q: %w", header.Name, err)
		}
	}
}

func unpackEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	name := filepath.Clean(header.Name)
	if !filepath.IsLocal(name) {
		return errors.New("it lies outside its folder")
	}
	if err := root.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o750)
	case tar.TypeReg:
		mode := fs.FileMode(0o640)
		if header.Mode&0o100 != 0 {
			mode = 0o750
		}
		file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Close())
	case tar.TypeSymlink:
		// Those of libraries, to other versions of themselves.
		if header.Linkname != filepath.Base(header.Linkname) || header.Linkname == ".." {
			return fmt.Errorf("it is a link to %q, which is not in the same folder", header.Linkname)
		}
		return root.Symlink(header.Linkname, name)
	default:
		return fmt.Errorf("it is of type %q: not a folder, file or symbolic link", header.Typeflag)
	}
}
