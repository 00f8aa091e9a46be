package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/flightbill/flightbill/internal/ownfolder"
)

// name is the server's superuser, and the database that [Server.URL] points to.
const name = "flightbill"

// Config says which server to start, and where.
type Config struct {
	// Dir is the data folder. It may only be empty for an ephemeral server: that gets a temporary folder, which the
	// holder removes when the server stops.
	Dir string

	// Ephemeral trades durability for speed: for tests. A machine that crashes loses the data.
	Ephemeral bool

	// Parameters are server settings that go over this package's own.
	Parameters map[string]string

	// Version of Postgres; 18 where empty.
	Version Version

	// Logger is told about the rare slow steps, such as the download.
	Logger *slog.Logger

	// cacheDirs replaces the places where Postgres binaries are kept, repository that where they come from; tests.
	cacheDirs  []string
	repository string

	// ports are tried before free ones; tests.
	ports []int
}

func (c Config) withDefaults() (Config, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Dir == "" && !c.Ephemeral {
		return c, errors.New("embedded Postgres has no data folder: the home folder is unknown; set FLIGHTBILL_DATA_DIR")
	}
	// pg_ctl passes the path on through a shell, inside double quotes.
	if strings.ContainsAny(c.Dir, "\"$`\\\n") {
		return c, fmt.Errorf("embedded Postgres cannot use the data folder %q: its path holds one of \" $ ` \\ or a line end", c.Dir)
	}
	for key := range c.Parameters {
		if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_.") != "" {
			return c, fmt.Errorf("embedded Postgres: %q is not the name of a server setting", key)
		}
	}
	return c, nil
}

// version is the one to start; withDefaults keeps the field empty, which means that any running one will do.
func (c Config) version() Version {
	if c.Version == "" {
		return defaultVersion
	}
	return c.Version
}

// DefaultDir returns the data folder to use where none is set: under the user's data directory; for root under /var/lib,
// since the user that the server then runs as cannot enter root's home. It is empty if there is no home folder at all.
func DefaultDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/flightbill"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) && runtime.GOOS != "darwin" {
		return filepath.Join(dir, "flightbill")
	}
	home := ownfolder.Home()
	if home == "" {
		return ""
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", "flightbill")
	}
	return filepath.Join(home, ".local", "share", "flightbill")
}
