//go:build unix

package embedded

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// parentEnv makes the test binary a program that starts a server on the folder it names, says so, and then does nothing.
const parentEnv = "FLIGHTBILL_TEST_PARENT"

func TestMain(m *testing.M) {
	Main()
	if dir := os.Getenv(parentEnv); dir != "" {
		server, err := Start(context.Background(), Config{Dir: dir, Ephemeral: true})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(server.URL())
		select {}
	}
	goleak.VerifyTestMain(m)
}

// dataDir returns the path of a folder that does not exist yet. It is like t.TempDir, but can be entered by the user that
// root's servers run as.
func dataDir(t *testing.T) string {
	t.Helper()
	parent, err := os.MkdirTemp("", "flightbill-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(parent, 0o755))
	parent, err = filepath.EvalSymlinks(parent)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(parent)) })
	return filepath.Join(parent, "flightbill")
}

// ownerOf returns who a server on a data folder runs as.
func ownerOf(t *testing.T, dir string) account {
	t.Helper()
	owner, err := accountFor(dir)
	require.NoError(t, err)
	return owner
}

// start starts or finds a server, and stops it when the test ends.
func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server, err := Start(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

// query returns the one value of a query's one row.
func query(t *testing.T, url, sql string) (value string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// requireGone waits until nothing listens any more where a server did.
func requireGone(t *testing.T, url string) {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	address := net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 10*time.Second, 20*time.Millisecond, "the server still listens")
}
