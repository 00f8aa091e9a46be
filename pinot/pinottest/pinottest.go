//go:build unix

// Package pinottest gives tests a real Apache Pinot.
//
//   - One cluster for each test binary, started when the first test asks for it.
//   - Tables of its own for each test.
//   - Where Java or Maven is missing, such tests are skipped, with a line that says so.
//
// A package that uses it hands its TestMain over:
//
//	func TestMain(m *testing.M) { pinottest.Main(m, local.Options{}) }
//
// One that has a TestMain of its own calls Close at its end.
package pinottest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/flightbill/flightbill/pinot/local"
)

// timeout of starting the cluster, with a download, and of each thing done on it: ample, for a slow machine.
const timeout = 5 * time.Minute

// shared is what the tests of one test binary share.
var shared struct {
	mu      sync.Mutex
	options local.Options
	cluster *local.Cluster
	err     error
	tables  atomic.Int64
}

// Main runs a test binary's tests, then closes the cluster and fails if a goroutine was leaked. It does not return.
func Main(m *testing.M, options local.Options, ignoreLeaks ...goleak.Option) {
	shared.options = options
	code := m.Run()
	if err := Close(); err != nil {
		code = fail(err)
	}
	// A failed test may have leaked because it failed: one thing at a time.
	if code == 0 {
		if err := goleak.Find(ignoreLeaks...); err != nil {
			code = fail(err)
		}
	}
	os.Exit(code)
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "pinottest:", err)
	return 1
}

// Close closes the cluster, if a test started it.
func Close() error {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.cluster == nil {
		return nil
	}
	err := shared.cluster.Close()
	shared.cluster = nil
	return err
}

// Outage returns the cluster for a test that takes parts of it away. No other test may run beside it. It leaves the
// cluster whole; where it fails, the next test gets another one.
func Outage(t testing.TB) *local.Cluster {
	t.Helper()
	cluster := Cluster(t)
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		if err := Close(); err != nil {
			t.Errorf("pinottest: %v", err)
		}
	})
	return cluster
}

// Cluster returns the cluster, and skips the test where this machine cannot run one.
func Cluster(t testing.TB) *local.Cluster {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.cluster == nil && shared.err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		shared.cluster, shared.err = local.Start(ctx, shared.options)
	}
	if errors.Is(shared.err, local.ErrNoJava) {
		t.Skipf("needs a real Pinot: %v", shared.err)
	}
	if shared.err != nil {
		t.Fatalf("pinottest: %v", shared.err)
	}
	return shared.cluster
}

// Rows are the rows of one segment.
type Rows struct {
	format local.Format
	text   string
	count  int
}

// CSV gives rows as text with a header.
func CSV(lines ...string) Rows {
	return Rows{format: local.CSV, text: strings.Join(lines, "\n") + "\n", count: len(lines) - 1}
}

// JSON gives rows as what json.Marshal makes objects of. Any text can be a value.
func JSON[T any](t testing.TB, rows ...T) Rows {
	t.Helper()
	var text strings.Builder
	for _, row := range rows {
		if err := json.NewEncoder(&text).Encode(row); err != nil {
			t.Fatalf("pinottest: %v", err)
		}
	}
	return Rows{format: local.JSON, text: text.String(), count: len(rows)}
}

// Flights makes a table with the columns that flightbill reads by itself, loads rows into it, and returns its name once
// queries see them all.
func Flights(t testing.TB, segments ...Rows) string {
	t.Helper()
	name := tableName()
	schema, config := local.FlightsTable(name)
	load(t, name, schema, config, segments)
	return name
}

// Table is Flights with other columns: the fields of a Pinot schema, such as dimensionFieldSpecs, in JSON.
func Table(t testing.TB, fields string, segments ...Rows) string {
	t.Helper()
	name := tableName()
	var schema map[string]any
	if err := json.Unmarshal([]byte(fields), &schema); err != nil {
		t.Fatalf("pinottest: the fields: %v", err)
	}
	schema["schemaName"] = name
	text, err := json.Marshal(schema)
	if err != nil {
		t.Fatalf("pinottest: %v", err)
	}
	config := fmt.Appendf(nil, `{"tableName": %q, "tableType": "OFFLINE", "segmentsConfig": {"replication": "1"},
		"tenants": {}, "tableIndexConfig": {"loadMode": "MMAP"}, "metadata": {},
		"ingestionConfig": {"batchIngestionConfig": {"segmentIngestionType": "APPEND", "segmentIngestionFrequency": "DAILY"}}}`, name)
	load(t, name, text, config, segments)
	return name
}

func tableName() string { return fmt.Sprintf("test_%d", shared.tables.Add(1)) }

func load(t testing.TB, name string, schema, config []byte, segments []Rows) {
	t.Helper()
	cluster := Cluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	if err := cluster.CreateTable(ctx, schema, config); err != nil {
		t.Fatalf("pinottest: %v", err)
	}
	rows := 0
	for _, segment := range segments {
		if err := cluster.Load(ctx, name, segment.format, strings.NewReader(segment.text)); err != nil {
			t.Fatalf("pinottest: %v", err)
		}
		rows += segment.count
	}
	if err := cluster.WaitRows(ctx, name, rows); err != nil {
		t.Fatalf("pinottest: %v", err)
	}
}
