//go:build unix

package ownfolder

import (
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
)

// Cache returns where flightbill's downloads are kept: for root not in its home, which may be another user's, as under sudo.
// It is empty if there is no home folder at all.
func Cache() string {
	switch {
	case os.Geteuid() == 0 && runtime.GOOS == "darwin":
		return "/Library/Caches/flightbill"
	case os.Geteuid() == 0:
		return "/var/cache/flightbill"
	}
	if dir, err := os.UserCacheDir(); err == nil && filepath.IsAbs(dir) {
		return filepath.Join(dir, "flightbill")
	}
	if home := Home(); home != "" {
		return filepath.Join(home, ".cache", "flightbill")
	}
	return ""
}

// Home also works where HOME is unset, as under cron, systemd and setpriv.
func Home() string {
	if home, err := os.UserHomeDir(); err == nil && filepath.IsAbs(home) {
		return home
	}
	if u, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil && filepath.IsAbs(u.HomeDir) {
		return u.HomeDir
	}
	return ""
}
