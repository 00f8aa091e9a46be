package embedded

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
)

func executable() (string, error) { return os.Executable() }

// isPostmaster reports whether a process is the Postgres server of a cluster.
func isPostmaster(pid int, dataDir string) bool {
	out, err := exec.Command("/bin/ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(out), "/postgres -D "+dataDir+" ")
}
