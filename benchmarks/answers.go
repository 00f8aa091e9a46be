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
	"sync/atomic"
	"time"

	"github.com/flightbill/flightbill/pinot"
)

// answerServer is the argument, followed by a delay, that makes this program a
// broker of Pinot instead: one that knows any flight, and that answers over HTTP
// as Pinot does, after that delay. A process of its own, so that what it costs
// is nobody's.
const answerServer = "answer-server"

// askedPath is where it tells how many flights it has been asked for.
const askedPath = "/asked"

// serveAnswers prints its address and serves until standard input closes.
func serveAnswers(ctx context.Context, delay time.Duration, stdin io.Reader, stdout io.Writer) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var asked atomic.Int64
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == askedPath {
			fmt.Fprint(w, asked.Load())
			return
		}
		var query struct {
			SQL string `json:"sql"`
		}
		if err := json.NewDecoder(r.Body).Decode(&query); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		time.Sleep(delay)
		w.Header().Set("Content-Type", "application/json")
		answer, flights := composeAnswer(query.SQL)
		asked.Add(int64(flights))
		_, _ = w.Write(answer)
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
func composeAnswer(sql string) (answer []byte, flights int) {
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
		n := numberOf(id)
		rows = append(rows, []any{
			id, fmt.Sprint("AIR", n), fmt.Sprint("AIR", 1+n%customers), fmt.Sprint("N", 1+n%997), "B738", massOf(n), "KJFK", "KBOS",
			landed.Add(-time.Hour).UnixMilli(), landed.UnixMilli(), 300 + n%3000, passengersOf(n),
		})
	}
	answer, _ = json.Marshal(map[string]any{ //nolint:errchkjson // of values that JSON can hold
		"resultTable": map[string]any{"dataSchema": map[string]any{"columnNames": names, "columnDataTypes": types}, "rows": rows},
		"exceptions":  []any{}, "numServersQueried": 1, "numServersResponded": 1, "numDocsScanned": len(rows), "totalDocs": 1_000_000,
	})
	return answer, len(rows)
}

// numberOf is what a flight's facts are made of.
func numberOf(id string) (n int) {
	for _, c := range []byte(id) {
		n = (n*31 + int(c)) % 1_000_003
	}
	return n
}

func massOf(n int) int       { return 70500 + n%9000 }
func passengersOf(n int) int { return 100 + n%80 }

// billedCents is what a flight comes to by the tariffs RUNWAY and PAX, tax
// included: every amount of theirs has a whole number of cents of tax.
func billedCents(id string) int {
	n := numberOf(id)
	tonnes := (massOf(n) + 999) / 1000
	return (max(tonnes*550, 6000) + passengersOf(n)*725) * 120 / 100
}

// startAnswers starts the process and returns a source that reads from it.
func startAnswers(ctx context.Context, delay time.Duration) (_ *pinot.Source, stop func() error, err error) {
	address, end, err := startBroker(ctx, delay)
	if err != nil {
		return nil, nil, err
	}
	source, err := pinot.New(pinot.Config{Brokers: []string{address}})
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return source, func() error { source.Close(); return end() }, nil
}

// startBroker starts the process and returns its address.
func startBroker(ctx context.Context, delay time.Duration) (address string, stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, self, answerServer, delay.String())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	end := func() error { return errors.Join(stdin.Close(), cmd.Wait()) }
	address, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return "", nil, errors.Join(err, end())
	}
	return strings.TrimSpace(address), end, nil
}
