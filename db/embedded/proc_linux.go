package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// executable returns the path to run this program again. The link works even where the file has meanwhile been replaced
// or removed, as after an upgrade or under go run.
func executable() (string, error) { return "/proc/self/exe", nil }

// isPostmaster reports whether a process is the Postgres server of a cluster.
func isPostmaster(pid int, dataDir string) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	args := strings.Split(string(raw), "\x00")
	return filepath.Base(args[0]) == "postgres" && slices.Contains(args, dataDir)
}
