package pinot

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// endless repeats a text up to a size no answer has.
func endless(start, again string) func(io.Writer) {
	return func(w io.Writer) {
		_, _ = io.WriteString(w, start)
		block := strings.Repeat(again, 1+(64<<10)/len(again))
		for range (1 << 30) / len(block) {
			if _, err := io.WriteString(w, block); err != nil {
				return
			}
		}
	}
}

const startOfTable = `{"numServersQueried":1,"numServersResponded":1,"resultTable":{`

// ofBroker and ofController are answers that do not end, by what there is too much of.
var (
	ofBroker = map[string]func(io.Writer){
		"objects":        endless(`{"x":[`, `{},`),
		"nested":         endless(`{"x":`, `[`),
		"fields":         endless(`{`, `"":0,`),
		"text":           endless(`{"x":"`, `\u0000`),
		"digits":         endless(`{"x":`, `9`),
		"exceptions":     endless(`{"exceptions":[`, `{},`),
		"an exception":   endless(`{"exceptions":[{"message":"`, `\n`),
		"columns":        endless(startOfTable+`"dataSchema":{"columnDataTypes":[`, `"",`),
		"names":          endless(startOfTable+`"dataSchema":{"columnNames":[`, `"",`),
		"a name":         endless(startOfTable+`"dataSchema":{"columnNames":["`, `x`),
		"rows":           endless(startOfTable+`"rows":[`, `[],`),
		"a row":          endless(startOfTable+`"rows":[[`, `0,`),
		"a value":        endless(startOfTable+`"rows":[["`, `x`),
		"values":         endless(startOfTable+`"rows":[`, `["`+strings.Repeat("x", 4000)+`",{},[],0],`),
		"a nested value": endless(startOfTable+`"rows":[[`, `{"":`),
	}
	ofController = map[string]func(io.Writer){
		"tables":           endless(`{`, `"a":[],`),
		"brokers":          endless(`{"flights":[`, `{},`),
		"another table's":  endless(`{"a":[`, `{},`),
		"names of brokers": endless(`{"flights":[`, `{"host":"`+strings.Repeat("x", 4000)+`"},`),
	}
)

// newHostile answers every request with a text that does not end.
func newHostile(t *testing.T, zipped bool, write func(io.Writer)) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !zipped {
			write(w)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		write(z)
		_ = z.Close()
	}))
	t.Cleanup(server.Close)
	return server
}

// Whatever a peer answers, it costs no more than what was asked for may.
//
//nolint:paralleltest // what others use would count
func TestHostileAnswersCostLittle(t *testing.T) {
	// With all columns mapped, flights are what is asked for first; else the table's columns are.
	const all = "movement=,mtow_lb=,on_block_at=,off_block_at="
	cost := func(name, columns string, zipped, controller bool, write func(io.Writer)) {
		peer := newHostile(t, zipped, write)
		cfg := Config{Brokers: []string{peer.URL}, Timeout: time.Minute, Columns: columns, Facts: wideFacts}
		if controller {
			cfg.Brokers, cfg.Controller = nil, peer.URL
		}
		ids := make([]string, maxAsked)
		for i := range ids {
			ids[i] = fmt.Sprint("F", i)
		}
		s := newSource(t, cfg)
		stop := make(chan struct{})
		used := peakOfHeap(stop)
		_, err := s.Flights(t.Context(), ids)
		close(stop)
		require.Less(t, <-used, uint64(64<<20), name)
		require.Equal(t, billing.CauseUnreadable, billing.CauseOf(err), "%s: %v", name, err)
		require.Less(t, len(err.Error()), 1000, name)
	}
	for name, write := range ofBroker {
		cost(name, all, false, false, write)
		cost(name+", for the columns", "", false, false, write)
	}
	for name, write := range ofController {
		cost(name, all, false, true, write)
	}
	cost("a bomb", all, true, false, ofBroker["text"])
	cost("a controller's bomb", all, true, true, ofBroker["text"])
}

// An answer that comes in drops is given up in time.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"x":"`)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Millisecond)
		}
	}))
	t.Cleanup(server.Close)
	s := newSource(t, Config{Brokers: []string{server.URL}, Timeout: 200 * time.Millisecond})
	_, err := s.Flight(t.Context(), "F1")
	require.ErrorContains(t, err, "no answer within 200ms")
}

// peakOfHeap returns by how much the heap grew, at its peak before stop.
func peakOfHeap(stop <-chan struct{}) <-chan uint64 {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	runtime.GC()
	metrics.Read(heap)
	before, found := heap[0].Value.Uint64(), make(chan uint64, 1)
	go func() {
		peak := before
		for {
			metrics.Read(heap)
			peak = max(peak, heap[0].Value.Uint64())
			select {
			case <-stop:
				found <- peak - before
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return found
}
