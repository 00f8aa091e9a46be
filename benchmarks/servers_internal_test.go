package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// setupServers has a stock server with half the embedded one's flights a second,
// and times a quarter longer.
func setupServers(t *testing.T) *serversReport {
	t.Helper()
	r := &serversReport{Passes: 2, Settings: map[string][]setting{
		embeddedServer: {{"version", "18.3"}, {"JIT", "off"}},
		stockServer:    {{"version", "15.14"}, {"JIT", "on"}},
	}}
	for _, turn := range serverTurns(make([]string, 1000)) {
		r.Lines = append(r.Lines, turn.lines...)
	}
	for _, l := range r.Lines {
		for _, times := range []float64{1, 3} {
			l.add(embeddedServer, outcome{FlightsPerSecond: 1000 * times, latencies: []float64{4 * times}})
			l.add(stockServer, outcome{FlightsPerSecond: 500 * times, latencies: []float64{5 * times}})
		}
	}
	return r
}

func TestServersAreCompared(t *testing.T) {
	t.Parallel()
	page := setupServers(t).markdown()
	for _, line := range []string{
		"| flightbill, 5 workers, Pinot 0 ms | 2,000 flights/s (1,000 to 3,000) | 1,000 flights/s (500 to 1,500) | 0.50 (0.50 to 0.50) | **no** |",
		"| flightbill, 1 worker, Pinot 5 ms | 2,000 flights/s (1,000 to 3,000) | 1,000 flights/s (500 to 1,500) | 0.50 (0.50 to 0.50) | **no** |",
		"| a lone flight, enqueued to saved, p99 | 8 ms (4 to 12) | 10 ms (5 to 15) | 0.80 (0.80 to 0.80) | yes |",
		"| 1,000 ids enqueued by `enqueue_flights` | 2,000 rows/s (1,000 to 3,000) | 1,000 rows/s (500 to 1,500) | 0.50 (0.50 to 0.50) | **no** |",
	} {
		assert.Contains(t, page, line)
	}
}

func TestServersRefuseWrongWork(t *testing.T) {
	t.Parallel()
	r := setupServers(t)
	lone := r.Lines[4]
	lone.add(stockServer, outcome{Refused: "one flight is missing"}) // without a latency
	assert.Contains(t, r.markdown(), "| "+lone.What+" | 8 ms (4 to 12) | 10 ms (5 to 15) | refused: stock: one flight is missing | **no** |")
}

func TestServersAreOnThePages(t *testing.T) {
	t.Parallel()
	r, dir := setupReport(t), t.TempDir()
	assert.NotContains(t, r.markdown(), "## Stock server")
	r.Servers = setupServers(t)
	assert.Contains(t, r.markdown(), r.Servers.markdown())
	assert.Contains(t, r.markdown(), "| JIT | off | on |")

	readme := filepath.Join(dir, "README.md")
	require.NoError(t, os.WriteFile(readme, []byte(showBegin+showEnd), 0o600))
	require.NoError(t, r.show(readme))
	shown, err := os.ReadFile(readme)
	require.NoError(t, err)
	assert.Contains(t, string(shown), r.Servers.markdown())

	r.Peers = nil // with -only servers
	require.NoError(t, r.write(dir))
	assert.Contains(t, r.markdown(), r.Servers.markdown())
	assert.NotContains(t, r.markdown(), "## Throughput")
}

func TestServersSayWhyThereIsNone(t *testing.T) {
	t.Parallel()
	run := &comparison{bench: &bench{passes: 2, scale: 1}, noStock: "no Postgres is installed"}
	assert.Contains(t, newReport(conditions{}, run, nil).markdown(), "\n- the stock server is left out: no Postgres is installed\n")
}

func TestAddressesAreNotShown(t *testing.T) {
	t.Parallel()
	const address = "postgres://u:secret@host/db"
	c := observe(options{database: address}, []string{"-database=" + address, "-only", "backlog"})
	assert.Equal(t, "go run ./benchmarks -database=URL -only backlog", c.command)
	_, err := openServer(t.Context(), givenServer, "host=h password=secret")
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "secret")
}
