package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/jobs"
)

// The file is written when the process ends, however short it ran.
func TestWriteResultsAtTheEnd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "benchmarks", "results.json")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		jobs.WriteResults(ctx, path, jobs.NewStats(), jobs.ThisMachine("PostgreSQL 18.1", 5), slog.New(slog.NewTextHandler(t.Output(), nil)))
		close(done)
	}()
	cancel()
	<-done

	content, err := os.ReadFile(path)
	require.NoError(t, err)
	var found struct {
		WrittenAt time.Time    `json:"written_at"`
		Machine   jobs.Machine `json:"machine"`
		jobs.Snapshot
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&found))
	require.Equal(t, jobs.ThisMachine("PostgreSQL 18.1", 5), found.Machine)
	require.Positive(t, found.Machine.CPUs)
	require.False(t, found.WrittenAt.Before(found.StartedAt.Truncate(time.Second)))
	require.Contains(t, found.Flights.MillisecondsOf, "enqueue_to_saved")
	require.Equal(t, []string{"results.json"}, filesIn(t, filepath.Dir(path)))
}

// A file that cannot be written is a warning, and leaves nothing behind.
func TestWriteResultsWhereItCannot(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "results.json")
	require.NoError(t, os.MkdirAll(filepath.Join(path, "a folder of that name"), 0o755))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var log bytes.Buffer
	jobs.WriteResults(ctx, path, jobs.NewStats(), jobs.Machine{}, slog.New(slog.NewTextHandler(&log, nil)))
	require.Contains(t, log.String(), "FLIGHTBILL_RESULTS")
	require.Contains(t, log.String(), "results.json")
	require.Equal(t, []string{"results.json"}, filesIn(t, folder))
}

func filesIn(t *testing.T, folder string) []string {
	t.Helper()
	names, err := fs.Glob(os.DirFS(folder), "*")
	require.NoError(t, err)
	return names
}
