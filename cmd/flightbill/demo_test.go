package main

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/pinot/local"
)

// runDemo returns what the demo says, and skips the test where this machine
// cannot run it.
func runDemo(t *testing.T, args ...string) string {
	t.Helper()
	return runDemoOn(t, nil, args...)
}

// runDemoOn has other data in it; nil: its own.
func runDemoOn(t *testing.T, data fs.FS, args ...string) string {
	t.Helper()
	var out, failures strings.Builder
	env := func(name string) (string, bool) {
		if name == "FLIGHTBILL_HTTP_ADDR" {
			return "127.0.0.1:0", true
		}
		return "", false
	}
	demo := app{stdin: strings.NewReader(""), stdout: &out, stderr: &failures, demoData: data}
	status := demo.run(t.Context(), append([]string{"demo"}, args...), env)
	skipWithoutJava(t, failures.String())
	require.Equal(t, exitDone, status, &failures)
	require.NotContains(t, failures.String(), "ERROR")
	return out.String()
}

func skipWithoutJava(t *testing.T, failures string) {
	t.Helper()
	if strings.Contains(failures, local.ErrNoJava.Error()) {
		t.Skip("needs a real Pinot: " + strings.TrimSpace(failures))
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	said := runDemo(t)
	for _, line := range []string{
		"billed      3,763", "cancelled     705  a fact is missing", "waiting        85  not landed yet",
		"31 daily runs issued 40 consolidated invoices", "126 invoices issued, 8,379,064.48 USD", "River UI was at http://127.0.0.1:",
		"units 4: (94 - 45) / 15, rounded up", "during 22:00-06:00, and it was Tue 07:40 in America/Chicago",
		"billed, and no longer in the source  UAL1696-20130101-EWR",
	} {
		require.Contains(t, said, line)
	}

	// With the flights in Pinot, whatever it makes of facts that are not there, the
	// same comes out.
	t.Run("pinot", func(t *testing.T) {
		t.Parallel()
		saidOnPinot := runDemo(t, "--pinot")
		require.Contains(t, saidOnPinot, "Loaded 4,553 flights of January 2013 into Pinot.")
		require.Equal(t, demoResults(t, said), demoResults(t, saidOnPinot))
	})
}

// Files from before tariffs had conditions, and flights facts of their own, come to what they
// came to, to the cent.
func TestOldFilesKeepTheirSums(t *testing.T) {
	t.Parallel()
	tariffs, err := os.ReadFile("testdata/old_files/tariffs.csv")
	require.NoError(t, err)
	customers, err := demoData.ReadFile("demodata/customers.csv")
	require.NoError(t, err)
	said := runDemoOn(t, fstest.MapFS{
		"customers.csv": {Data: customers}, "tariffs.csv": {Data: tariffs}, "aircraft_types.csv": {Data: []byte("aircraft_type\n")}, "issuer.csv": {Data: []byte("name\nAirports\n")},
		demoFlights: {Data: oldFlights(t)},
	})
	for _, line := range []string{
		"billed      3,763", "cancelled     705  a fact is missing", "waiting        85  not landed yet",
		"31 daily runs issued 40 consolidated invoices", "126 invoices issued, 6,506,412.83 USD",
	} {
		require.Contains(t, said, line)
	}
}

// oldFlights are the demo's, as they were: with their real facts.
func oldFlights(t *testing.T) []byte {
	t.Helper()
	packed, err := demoData.ReadFile("demodata/" + demoFlights)
	require.NoError(t, err)
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	rows, err := csv.NewReader(plain).ReadAll()
	require.NoError(t, err)
	width := slices.Index(rows[0], "distance_km") + 1
	require.Equal(t, 11, width)
	for i := range rows {
		rows[i] = rows[i][:width]
	}
	var out bytes.Buffer
	require.NoError(t, csv.NewWriter(&out).WriteAll(rows))
	return out.Bytes()
}

// demoResults is what a demo says of flights and invoices, without what varies.
func demoResults(t *testing.T, said string) string {
	t.Helper()
	from, to := strings.Index(said, "Ran the closing dates"), strings.Index(said, "flights a second")
	require.Positive(t, from)
	require.Greater(t, to, from)
	results := said[from:to]
	return results[:strings.LastIndex(results, "\n")]
}

// Killed, the demo leaves nothing behind: no process and no folder.
func TestDemoOnPinotKilled(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "flightbill-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, os.ModeSticky|0o777)) // as a folder for temporary files is: root's Postgres runs as another user, and cleans up as that
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })

	demo := startProcess(t, []string{"demo", "--pinot"}, "TMPDIR="+dir)
	require.Eventually(t, func() bool { return strings.Contains(demo.said(), "Loaded") || demo.hasEnded() },
		5*time.Minute, 20*time.Millisecond, "the demo has a Pinot: four JVMs, on two cores beside other tests")
	eventually(t, "the demo has a Postgres, too", func() bool { return strings.Contains(demo.said(), "Enqueued the flights") || demo.hasEnded() })
	skipWithoutJava(t, demo.said())
	require.False(t, demo.hasEnded())
	for _, pattern := range []string{"flightbill-pinot-*", "flightbill-postgres-*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		require.Len(t, found, 1, pattern)
	}
	require.NoError(t, demo.Process.Kill())
	<-demo.ended
	eventually(t, "nothing is left", func() bool {
		left, err := os.ReadDir(dir)
		return err == nil && len(left) == 0 && processesNaming(t, dir) == 0
	})
}

// processesNaming counts the processes with a text in their command line, where
// the system tells.
func processesNaming(t *testing.T, text string) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range files {
		// One that has just ended is not there to be read.
		if content, err := os.ReadFile(file); err == nil && strings.Contains(string(content), text) {
			n++
		}
	}
	return n
}
