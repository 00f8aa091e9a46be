//go:build unix

package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/flightbill/flightbill/internal/javajars"
)

// parentEnv makes the test binary a program that starts a cluster, says so, and then does nothing.
const parentEnv = "FLIGHTBILL_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentEnv) != "" {
		c, err := Start(context.Background(), Options{})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(c.dir)
		for _, p := range c.processes() {
			fmt.Println(p.cmd.Process.Pid)
		}
		fmt.Println("end")
		select {}
	}
	goleak.VerifyTestMain(m)
}

func start(t *testing.T, options Options) *Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c, err := Start(ctx, options)
	if errors.Is(err, ErrNoJava) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

const testSchema = `{"schemaName": "t", "dimensionFieldSpecs": [{"name": "id", "dataType": "STRING"}, {"name": "n", "dataType": "INT"}]}`

const testTable = `{"tableName": "t", "tableType": "OFFLINE", "segmentsConfig": {"replication": "1"},
	"tenants": {}, "tableIndexConfig": {"loadMode": "MMAP"}, "metadata": {},
	"ingestionConfig": {"batchIngestionConfig": {"segmentIngestionType": "APPEND", "segmentIngestionFrequency": "DAILY"}}}`

func TestClusterServesWhatIsLoaded(t *testing.T) {
	t.Parallel()
	before := time.Now()
	c := start(t, Options{SessionTimeout: 2 * time.Second})
	t.Logf("up in %s", time.Since(before))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	require.NoError(t, c.CreateTable(ctx, []byte(testSchema), []byte(testTable)))
	require.NoError(t, c.Load(ctx, "t", CSV, strings.NewReader("id,n\na;b,1\nc,2\n")))
	require.NoError(t, c.WaitRows(ctx, "t", 2))
	require.NoError(t, c.Load(ctx, "t", JSON, strings.NewReader(`{"id": "d", "n": 3}`)))
	require.NoError(t, c.WaitRows(ctx, "t", 3))
	holders, err := c.Holders(ctx, "t")
	require.NoError(t, err)
	require.Equal(t, []*Process{c.Server(0)}, holders)
	t.Logf("loaded after %s", time.Since(before))

	// What is stopped or killed comes back with its rows.
	server := c.Server(0)
	since := time.Now()
	require.NoError(t, server.Stop(ctx))
	t.Logf("stop %s", time.Since(since))
	require.ErrorIs(t, server.Freeze(), os.ErrProcessDone)
	since = time.Now()
	require.NoError(t, server.Restart(ctx))
	require.NoError(t, c.WaitRows(ctx, "t", 3))
	t.Logf("restart %s", time.Since(since))
	since = time.Now()
	require.NoError(t, server.Kill())
	require.NoError(t, server.Restart(ctx))
	require.NoError(t, c.WaitRows(ctx, "t", 3))
	t.Logf("restart killed %s", time.Since(since))

	// A frozen process does not keep the cluster from closing.
	require.NoError(t, c.Broker(0).Freeze())
	require.NoError(t, c.Close())
	requireGone(t, c.dir, pids(c))
}

func TestClusterEndsWithAKilledParent(t *testing.T) {
	t.Parallel()
	if _, err := javajars.Java(t.Context(), oldestJava); err != nil {
		t.Skip(err)
	}
	path, err := os.Executable()
	require.NoError(t, err)
	parent := exec.Command(path)
	parent.Env = append(os.Environ(), parentEnv+"=1")
	stdout, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	var said []string
	for lines := bufio.NewScanner(stdout); lines.Scan() && lines.Text() != "end"; {
		said = append(said, lines.Text())
	}
	require.NoError(t, parent.Process.Kill())
	_ = parent.Wait()
	require.Len(t, said, 5, "the folder and four processes: %s", said)

	var running []int
	for _, line := range said[1:] {
		var pid int
		_, err := fmt.Sscan(line, &pid)
		require.NoError(t, err)
		running = append(running, pid)
	}
	requireGone(t, said[0], running)
}

func TestStartSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Start(t.Context(), Options{})
	require.ErrorIs(t, err, ErrNoJava)
	require.ErrorContains(t, err, "install Java 11 or newer, and Maven")

	old := filepath.Join(os.Getenv("PATH"), "java")
	require.NoError(t, os.WriteFile(old, []byte("#!/bin/sh\necho 'openjdk version \"1.8.0_392\"' >&2\n"), 0o700))
	_, err = Start(t.Context(), Options{})
	require.ErrorIs(t, err, ErrNoJava)
	require.ErrorContains(t, err, "1.8.0_392")

	// Java alone serves once the jars are there.
	_, err = jars.Fetch(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler))
	require.ErrorIs(t, noJava(err), ErrNoJava)
	require.ErrorContains(t, err, "there is no mvn on PATH")
}

func pids(c *Cluster) (all []int) {
	for _, p := range c.processes() {
		all = append(all, p.cmd.Process.Pid)
	}
	return all
}

// requireGone waits until the processes have ended and the folder is removed.
func requireGone(t *testing.T, dir string, running []int) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, pid := range running {
			if syscall.Kill(pid, 0) == nil {
				return false
			}
		}
		_, err := os.Stat(dir)
		return errors.Is(err, fs.ErrNotExist)
	}, time.Minute, 50*time.Millisecond)
}
