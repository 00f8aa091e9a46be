package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// setupReport has every contender, each faster than the one before it.
func setupReport(t *testing.T) *report {
	t.Helper()
	var found []measured
	for i, p := range peers() {
		m := measured{peer: p, outcomes: map[time.Duration][]outcome{}}
		if p.latency {
			m.singles = []outcome{{latencies: []float64{3, 4, 900}}}
		}
		for _, delay := range p.delays() {
			o := outcome{FlightsPerSecond: float64(100 * (i + 1)), PeakMemoryMB: 50, AskedPer: 1}
			m.outcomes[delay] = []outcome{o, o}
		}
		found = append(found, m)
	}
	return newReport(conditions{}, &comparison{bench: &bench{passes: 2, scale: 1}}, found)
}

func TestComparisonIsWritten(t *testing.T) {
	t.Parallel()
	r, dir := setupReport(t), t.TempDir()
	require.NoError(t, r.write(dir))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	assert.Len(t, files, 5)
	for _, plot := range []string{"throughput.svg", "latency.svg", "scaling.svg"} {
		file, err := os.Open(filepath.Join(dir, plot))
		require.NoError(t, err)
		defer file.Close()
		for decoder := xml.NewDecoder(file); ; {
			_, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, plot)
		}
	}
}

func TestComparisonComparesWithTheBest(t *testing.T) {
	t.Parallel()
	r := setupReport(t)
	assert.Equal(t, "river-1ms", r.best(0).Name)
	assert.Contains(t, r.markdown(), "| 5 workers to the best of the others (River as documented, fetch cooldown 1ms), Pinot 0s | 1.20 (1.20 to 1.20) times | 1 or more | yes |")
}

func TestComparisonComparesProcesses(t *testing.T) {
	t.Parallel()
	r := setupReport(t)
	one, two := r.find("flightbill-1x5").rates(slower)[0], r.find("flightbill-2x5").rates(slower)[0]
	for _, page := range []string{r.processes(), r.targets()} {
		assert.Contains(t, page, ratios([]float64{two, two}, []float64{one, one}))
	}
	r.find("flightbill-1x5").Turns[slow.String()][0].Refused = "one flight is missing"
	assert.NotContains(t, r.processes(), "| 2 |")
}

func TestComparisonCountsScalingWhereCoresAreFree(t *testing.T) {
	t.Parallel()
	r := setupReport(t)
	r.Cores = 2
	for cores, met := range map[float64]string{1: "| **no** |", 1.1: "| – |"} {
		for i, o := range r.find("flightbill-1x5").Turns[slower.String()] {
			o.CPUPer1000 = cores / o.FlightsPerSecond * 1000
			r.find("flightbill-1x5").Turns[slower.String()][i] = o
		}
		r.Targets = nil
		r.setTargets()
		assert.Contains(t, r.targets(), number(cores)+" of 2 cores | 1.7 or more, where one uses half of them at most "+met)
	}
}

func TestComparisonWantsEachFlightAskedForOnce(t *testing.T) {
	t.Parallel()
	r := setupReport(t)
	assert.Contains(t, r.targets(), "| 9.60 (9.60 to 9.60) times, look-ups per flight: 1 | 0.85 or more, each flight asked for once | yes |")
	r.find("flightbill-1x5").Turns[slowest.String()][1].AskedPer = 1.1
	r.Targets = nil
	r.setTargets()
	assert.Contains(t, r.targets(), "look-ups per flight: 1.1 | 0.85 or more, each flight asked for once | **no** |")
}

func TestComparisonRefusesWrongWork(t *testing.T) {
	t.Parallel()
	r := setupReport(t)
	r.find("river-1ms").Turns["0s"][1].Refused = "one flight is missing"
	assert.Contains(t, r.table(), "| River as documented, fetch cooldown 1ms | 5 | refused: one flight is missing |")
	assert.Equal(t, "river-100ms", r.best(0).Name)
	assert.Equal(t, "river-1ms", r.best(delays[1]).Name)
}

func TestComparisonFitsIntoReadme(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	page := filepath.Join(t.TempDir(), "README.md")
	require.NoError(t, os.WriteFile(page, readme, 0o600))
	r := setupReport(t)
	for range 2 { // what was written is replaced
		require.NoError(t, r.show(page))
	}
	shown, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(shown), r.table()))
	assert.Contains(t, string(shown), "## Design notes")
}
