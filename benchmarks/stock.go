package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
)

const stockScript = "internal/checks/stock-postgres"

// startStock starts a server of Debian's package, or opens the one at an address.
// Where there is neither, noStock says why.
func startStock(ctx context.Context, address string) (s *server, noStock string, err error) {
	if address != "" {
		s, err = openServer(ctx, stockServer, address)
		return s, "", err
	}
	address, stop, err := runStockScript()
	if err != nil {
		return nil, err.Error(), nil //nolint:nilerr // that is the answer
	}
	if s, err = openServer(ctx, stockServer, address); err != nil {
		return nil, "", errors.Join(err, stop())
	}
	s.stop = stop
	return s, "", nil
}

// runStockScript returns the server's address. The script gets a command that says
// it and lives until we close its standard input or end, however we end.
func runStockScript() (address string, stop func() error, err error) {
	//nolint:noctx // killed, it would leave the cluster
	cmd := exec.Command(stockScript, "-o", "track_commit_timestamp=on", "sh", "-c", `echo "$FLIGHTBILL_TEST_DATABASE_URL"; exec cat`)
	cmd.Env = os.Environ()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	end := func() error {
		err := errors.Join(stdin.Close(), cmd.Wait())
		if said.Len() > 0 { // of more use than its exit code
			err = errors.New(strings.Join(strings.Fields(said.String()), " "))
		}
		return err
	}
	address, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return "", nil, cmp.Or(end(), err)
	}
	return strings.TrimSpace(address), end, nil
}
