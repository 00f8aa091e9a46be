package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/dbtest"
)

func TestDefaultResults(t *testing.T) {
	t.Parallel()
	require.Equal(t, "../../benchmarks/results.json", defaultResults("../..", "/data"), "this is a checkout")
	require.Equal(t, "/data/results.json", defaultResults(".", "/data"))
	require.Empty(t, defaultResults(".", ""))
	elsewhere := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "go.mod"), []byte("module example.com/other\n"), 0o600))
	require.Equal(t, "/data/results.json", defaultResults(elsewhere, "/data"), "somebody else's module")
}

func TestResultsSetToNothing(t *testing.T) {
	t.Parallel()
	c, err := loadConfig(func(name string) (string, bool) { return "", name == "FLIGHTBILL_RESULTS" })
	require.NoError(t, err)
	require.Empty(t, c.Results)
}

// Outside a checkout the statistics are in the data folder, made for them, and
// the working directory stays as it was.
func TestServeWritesItsResults(t *testing.T) {
	t.Parallel()
	settings := map[string]string{
		"DATABASE_URL": dbtest.URL(t), "FLIGHTBILL_DATA_DIR": filepath.Join(t.TempDir(), "new", "data"), "FLIGHTBILL_HTTP_ADDR": "127.0.0.1:0",
	}
	env := func(name string) (string, bool) { value, given := settings[name]; return value, given }
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log, ended := &process{}, make(chan int)
	go func() { ended <- run(ctx, []string{"serve"}, env, strings.NewReader(""), io.Discard, log) }()
	eventually(t, "serve works", func() bool { return strings.Contains(log.said(), "flightbill is working") })
	stop()
	require.Equal(t, exitDone, <-ended, log.said())
	require.FileExists(t, filepath.Join(settings["FLIGHTBILL_DATA_DIR"], "results.json"))
	require.NoDirExists(t, "benchmarks")
}
