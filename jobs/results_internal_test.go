package jobs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever reads the file at any moment reads a whole one.
func TestResultsAreReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "results.json")
	stats := NewStats()
	require.NoError(t, writeResults(path, stats.Snapshot(), Machine{}))
	written := make(chan error, 1)
	go func() {
		for range 500 {
			stats.flightSnoozed("source_down")
			if err := writeResults(path, stats.Snapshot(), Machine{}); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	for reading := true; reading; {
		select {
		case err := <-written:
			require.NoError(t, err)
			reading = false
		default:
		}
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, json.Valid(content), "%d bytes", len(content))
	}
}
