package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// resultsInterval is how often the results are written anew.
const resultsInterval = 30 * time.Second

// Machine says what the figures were measured on.
type Machine struct {
	Host     string `json:"host"`
	CPU      string `json:"cpu"`
	CPUs     int    `json:"cpus"`
	Go       string `json:"go"`
	Postgres string `json:"postgres"`
	Workers  int    `json:"workers"`
}

// ThisMachine describes the machine; Postgres and workers are the caller's to
// say.
func ThisMachine(postgres string, workers int) Machine {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return Machine{
		Host: host, CPU: cpuModel(), CPUs: runtime.NumCPU(),
		Go: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH, Postgres: postgres, Workers: workers,
	}
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(info)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// WriteResults keeps a file of the statistics up to date until ctx ends, and
// writes it a last time then.
func WriteResults(ctx context.Context, path string, stats *Stats, machine Machine, logger *slog.Logger) {
	ticker := time.NewTicker(resultsInterval)
	defer ticker.Stop()
	for running := true; running; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			running = false
		}
		if err := writeResults(path, stats.Snapshot(), machine); err != nil {
			logger.WarnContext(ctx, "performance statistics could not be written; set FLIGHTBILL_RESULTS to a file that can be, or to nothing",
				"file", path, "error", err)
		}
	}
}

// writeResults replaces the file as a whole, so that nobody reads half of one.
func writeResults(path string, snapshot Snapshot, machine Machine) (err error) {
	content, err := json.MarshalIndent(struct {
		WrittenAt time.Time `json:"written_at"`
		Machine   Machine   `json:"machine"`
		Snapshot
	}{time.Now().UTC(), machine, snapshot}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the results' folder: %w", err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".results-*.json")
	if err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, writeErr := file.Write(append(content, '\n'))
	if err := errors.Join(writeErr, file.Chmod(0o644), file.Close()); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return os.Rename(file.Name(), path)
}
