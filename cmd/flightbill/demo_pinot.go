package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/flightbill/flightbill/pinot"
	"github.com/flightbill/flightbill/pinot/local"
)

const (
	demoFlights = "flights-2013-01.csv.gz"
	demoTable   = "flights"
)

// demoPinot is a Pinot that has the demo's flights.
type demoPinot struct {
	source *pinot.Source
	ids    []string // of the flights
	stop   func()
}

// startDemoPinot starts a Pinot and loads the demo's flights into it. Nothing is
// left of it after stop, nor where this process is killed.
func (a *app) startDemoPinot(ctx context.Context) (_ *demoPinot, err error) {
	rows, ids, facts, err := a.demoFlightsForPinot()
	if err != nil {
		return nil, fmt.Errorf("read the demo's data: %w", err)
	}
	a.sayf("Starting Apache Pinot %s in a fresh folder: ZooKeeper, controller, broker, server (10 to 20 s) …", local.Version)
	cluster, err := local.Start(ctx, local.Options{Logger: slog.New(sayHandler{a.stdout})})
	if err != nil {
		return nil, err
	}
	p := &demoPinot{ids: ids, stop: func() { _ = cluster.Close() }} // its folder goes with it
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	schema, config := local.FlightsTable(demoTable)
	if schema, err = withDemoFacts(schema); err != nil {
		return nil, err
	}
	if err := cluster.CreateTable(ctx, schema, config); err != nil {
		return nil, err
	}
	if err := cluster.Load(ctx, demoTable, local.CSV, bytes.NewReader(rows)); err != nil {
		return nil, err
	}
	if err := cluster.WaitRows(ctx, demoTable, len(ids)); err != nil {
		return nil, err
	}
	if p.source, err = pinot.New(pinot.Config{Brokers: cluster.BrokerAddresses(), Table: demoTable, Facts: facts, Zeros: "pax_transfer", Logger: a.logger}); err != nil {
		return nil, err
	}
	p.stop = func() { p.source.Close(); _ = cluster.Close() }
	return p, p.source.Check(ctx)
}

// demoFlightsForPinot are the demo's flights with their instants as epoch ms, the
// way to write a TIMESTAMP that no time zone changes, and which facts have names of their own.
func (a *app) demoFlightsForPinot() (rows []byte, ids []string, facts string, err error) {
	packed, err := fs.ReadFile(a.demoFiles(), demoFlights)
	if err != nil {
		return nil, nil, "", err
	}
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, nil, "", err
	}
	records, err := csv.NewReader(plain).ReadAll()
	if err != nil {
		return nil, nil, "", err
	}
	header := records[0]
	var named []string
	for i, column := range header {
		if name, isFact := strings.CutPrefix(column, "fact."); isFact {
			header[i] = name
			named = append(named, fmt.Sprintf("%s=%q", name, name))
		}
	}
	for _, record := range records[1:] {
		for i, name := range header {
			switch {
			case name == "flight_id":
				ids = append(ids, record[i])
			case strings.HasSuffix(name, "_at") && record[i] != "":
				at, err := time.Parse(time.RFC3339, record[i])
				if err != nil {
					return nil, nil, "", err
				}
				record[i] = strconv.FormatInt(at.UnixMilli(), 10)
			}
		}
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	err = w.WriteAll(records)
	return out.Bytes(), ids, strings.Join(named, ","), err
}

// withDemoFacts adds to the schema of a table of flights the columns that only the demo's has.
func withDemoFacts(schema []byte) ([]byte, error) {
	var s map[string]any
	if err := json.Unmarshal(schema, &s); err != nil {
		return nil, err
	}
	add := func(kind string, columns ...map[string]string) {
		known, _ := s[kind].([]any)
		for _, column := range columns {
			known = append(known, column)
		}
		s[kind] = known
	}
	add("dimensionFieldSpecs",
		map[string]string{"name": "pax_local", "dataType": "INT"}, map[string]string{"name": "pax_transfer", "dataType": "INT"},
		map[string]string{"name": "stand", "dataType": "STRING"})
	const format, granularity = "1:MILLISECONDS:TIMESTAMP", "1:MILLISECONDS"
	add("dateTimeFieldSpecs",
		map[string]string{"name": "on_block_at", "dataType": "TIMESTAMP", "format": format, "granularity": granularity},
		map[string]string{"name": "off_block_at", "dataType": "TIMESTAMP", "format": format, "granularity": granularity})
	return json.Marshal(s)
}

// sayHandler writes what takes long as the demo's own words.
type sayHandler struct{ out io.Writer }

func (sayHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (h sayHandler) Handle(_ context.Context, r slog.Record) error {
	var details []string
	r.Attrs(func(a slog.Attr) bool {
		details = append(details, a.Key+" "+a.Value.String())
		return true
	})
	line := r.Message
	if len(details) > 0 {
		line += " (" + strings.Join(details, ", ") + ")"
	}
	_, err := fmt.Fprintln(h.out, line+" …")
	return err
}

func (h sayHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h sayHandler) WithGroup(string) slog.Handler      { return h }
