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

func TestRegisterFirst(t *testing.T) {
	t.Parallel()
	load := func(given ...string) (billing.RegisterFirst, error) {
		c, err := loadConfig(func(name string) (string, bool) {
			return strings.Join(given, ""), name == "FLIGHTBILL_REGISTER_FIRST" && given != nil
		})
		return c.RegisterFirst, err
	}
	for text, want := range map[string]billing.RegisterFirst{"": {}, " mtow_kg, aircraft_type ,noise_class,": {"mtow_kg", "aircraft_type", "noise_class"}} {
		first, err := load(text)
		require.NoError(t, err)
		require.Equal(t, want, first)
	}
	first, err := load()
	require.NoError(t, err)
	require.Equal(t, billing.RegisterFirst{"mtow_kg"}, first)
	for _, text := range []string{"passengers", "mtow_lb", "Noise", "mtow_kg;seats"} {
		_, err := load(text)
		require.ErrorContains(t, err, "FLIGHTBILL_REGISTER_FIRST: ")
		require.ErrorContains(t, err, "is nothing that the register of aircraft has")
	}
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

func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	empty, blank, large := file("empty", ""), file("blank", "\n\n"), file("large", strings.Repeat("s3cr3t", maxSecret))
	load := func(given map[string]string) (config, error) {
		return loadConfig(func(name string) (string, bool) { value, ok := given[name]; return value, ok })
	}
	for name, field := range map[string]func(config) string{
		"DATABASE_URL":             func(c config) string { return c.DatabaseURL },
		"FLIGHTBILL_HTTP_PASSWORD": func(c config) string { return c.HTTPPassword },
		"PINOT_HEADERS":            func(c config) string { return c.PinotAccess.Headers },
	} {
		for _, end := range []string{"", "\n", "\r\n"} {
			c, err := load(map[string]string{name + "_FILE": file("secret", "a s3cr3t "+end), name: ""})
			require.NoError(t, err)
			require.Equal(t, "a s3cr3t ", field(c), "its blanks belong to it")
		}
		for path, fault := range map[string]string{
			filepath.Join(dir, "none"): "no such file", dir: "is a directory", empty: "is empty", blank: "is empty", large: "has more than 65536 bytes",
		} {
			_, err := load(map[string]string{name + "_FILE": path})
			require.ErrorContains(t, err, name+"_FILE: ")
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, fault)
			require.NotContains(t, err.Error(), "s3cr3t")
		}
		_, err := load(map[string]string{name + "_FILE": empty, name: "s3cr3t"})
		require.EqualError(t, err, name+"_FILE: set it or "+name+", not both")
	}
}

// An address that is not understood, and a file that is not there, are settings to put right.
func TestUnusableSecretsEndTheStart(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ setting, want string }{
		{"DATABASE_URL_FILE=" + filepath.Join(t.TempDir(), "none"), "none: no such file"},
		{"DATABASE_URL=postgres://clerk:p@s3cr3t@127.0.0.1:1/flightbill", "DATABASE_URL is not a Postgres address: it has more than one @"},
	} {
		for _, command := range [][]string{{"serve"}, {"migrate", "up"}, {"invoices", "list"}} {
			name, value, _ := strings.Cut(tc.setting, "=")
			var out strings.Builder
			status := run(t.Context(), command, func(asked string) (string, bool) { return value, asked == name }, strings.NewReader(""), &out, &out)
			require.Equal(t, exitUsage, status, out.String())
			require.Contains(t, out.String(), tc.want)
			require.NotContains(t, out.String(), "s3cr3t")
		}
	}
}
