package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
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

func TestSettingsOfBounds(t *testing.T) {
	t.Parallel()
	given := map[string]string{}
	load := func() (config, error) {
		return loadConfig(func(name string) (string, bool) { value, ok := given[name]; return value, ok })
	}
	c, err := load()
	require.NoError(t, err)
	require.Equal(t, billing.DefaultBounds, c.Bounds)
	given = map[string]string{
		"FLIGHTBILL_MAX_MTOW_KG": "1000000", "FLIGHTBILL_MAX_DISTANCE_KM": "40000", "FLIGHTBILL_MAX_PASSENGERS": "2", "FLIGHTBILL_MAX_FLIGHT_TIME": "200h",
	}
	c, err = load()
	require.NoError(t, err)
	require.Equal(t, billing.Bounds{MTOWKg: 1_000_000, DistanceKm: 40_000, Passengers: 2, FlightTime: 200 * time.Hour}, c.Bounds)
	given = map[string]string{"FLIGHTBILL_MAX_MTOW_KG": "1000001", "FLIGHTBILL_MAX_FLIGHT_TIME": "0s"}
	_, err = load()
	require.ErrorContains(t, err, `FLIGHTBILL_MAX_MTOW_KG: "1000001" is not a number from 1 to 1000000`)
	require.ErrorContains(t, err, `FLIGHTBILL_MAX_FLIGHT_TIME: "0s" is not a duration above 0`)
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
