package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/flightbill/flightbill/jobs"
	"github.com/flightbill/flightbill/pinot"
)

// answerServer is the argument, followed by a delay, that makes this program a
// broker of Pinot instead: one that knows any flight, and that answers over HTTP
// as Pinot does, after that delay. A process of its own, so that what it costs
// is nobody's.
const answerServer = "answer-server"

// serveAnswers prints its address and serves until standard input closes.
func serveAnswers(ctx context.Context, delay time.Duration, stdin io.Reader, stdout io.Writer) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var query struct {
			SQL string `json:"sql"`
		}
		if err := json.NewDecoder(r.Body).Decode(&query); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		time.Sleep(delay)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(composeAnswer(query.SQL))
	})}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		_ = server.Close()
	}()
	fmt.Fprintln(stdout, listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// composeAnswer has a row for each text that the condition names.
func composeAnswer(sql string) []byte {
	_, condition, _ := strings.Cut(sql, " WHERE ")
	condition, _, _ = strings.Cut(condition, " LIMIT ")
	names := []string{
		"flight_id", "callsign", "operator", "registration", "aircraft_type", "mtow_kg", "origin", "destination",
		"departed_at", "landed_at", "distance_km", "passengers",
	}
	types := []string{"STRING", "STRING", "STRING", "STRING", "STRING", "INT", "STRING", "STRING", "LONG", "LONG", "DOUBLE", "INT"}
	landed := time.Now().Add(-3 * time.Hour).Truncate(time.Minute)
	rows := [][]any{}
	for i, id := range strings.Split(condition, "'") {
		if i%2 == 0 {
			continue
		}
		n := 0
		for _, c := range []byte(id) {
			n = (n*31 + int(c)) % 1_000_003
		}
		rows = append(rows, []any{
			id, fmt.Sprint("AIR", n), fmt.Sprint("AIR", 1+n%customers), fmt.Sprint("N", 1+n%997), "B738", 70500 + n%9000, "KJFK", "KBOS",
			landed.Add(-time.Hour).UnixMilli(), landed.UnixMilli(), 300 + n%3000, 100 + n%80,
		})
	}
	answer, _ := json.Marshal(map[string]any{ //nolint:errchkjson // of values that JSON can hold
		"resultTable": map[string]any{"dataSchema": map[string]any{"columnNames": names, "columnDataTypes": types}, "rows": rows},
		"exceptions":  []any{}, "numServersQueried": 1, "numServersResponded": 1, "numDocsScanned": len(rows), "totalDocs": 1_000_000,
	})
	return answer
}

// startAnswers starts the process and returns a source that reads from it.
func startAnswers(ctx context.Context, delay time.Duration) (_ *pinot.Source, stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, self, answerServer, delay.String())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	end := func() error { return errors.Join(stdin.Close(), cmd.Wait()) }
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	source, err := pinot.New(pinot.Config{Brokers: []string{strings.TrimSpace(address)}})
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return source, func() error { source.Close(); return end() }, nil
}

// oneByOne hides that a source can read many flights at once.
type oneByOne struct{ jobs.FlightSource }
