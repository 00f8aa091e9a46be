// Command demodata keeps the facts in the demo's flights that the real ones lack: passengers, stands, times on them. It makes
// them from what the flights have, so that they are the same each time. Run it from the module's root:
//
//	go run ./internal/demodata           say whether the file is as it would be made; exit status 0: it is
//	go run ./internal/demodata -write    write it
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
	"strconv"
	"time"
)

const (
	flightsFile = "cmd/flightbill/demodata/flights-2013-01.csv.gz"
	typesFile   = "cmd/flightbill/demodata/aircraft_types.csv"
)

// made are the columns that are made, after those that are real.
var made = []string{"passengers", "fact.pax_local", "fact.pax_transfer", "fact.stand", "on_block_at", "off_block_at"}

func main() {
	write := flag.Bool("write", false, "write the file")
	flag.Parse()
	if err := run(*write); err != nil {
		fmt.Fprintln(os.Stderr, "demodata:", err)
		os.Exit(1)
	}
}

func run(write bool) error {
	packed, err := os.ReadFile(flightsFile)
	if err != nil {
		return err
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	was, err := io.ReadAll(unpacked)
	if err != nil {
		return err
	}
	types, err := os.ReadFile(typesFile)
	if err != nil {
		return err
	}
	is, err := withFacts(was, types)
	switch {
	case err != nil:
		return err
	case write:
		return writeFlights(is)
	case !bytes.Equal(was, is):
		return fmt.Errorf("%s is not as it would be made: go run ./internal/demodata -write", flightsFile)
	}
	fmt.Println(flightsFile, "is as it would be made")
	return nil
}

func writeFlights(content []byte) error {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	return os.WriteFile(flightsFile, packed.Bytes(), 0o644) //nolint:gosec // for everybody
}

// withFacts returns the flights with the columns that are made.
func withFacts(flights, types []byte) ([]byte, error) {
	seats, err := seatsOf(types)
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(bytes.NewReader(flights)).ReadAll()
	if err != nil {
		return nil, err
	}
	kept := slices.DeleteFunc(slices.Clone(rows[0]), func(column string) bool { return slices.Contains(made, column) })
	out := [][]string{slices.Concat(kept, made)}
	for _, row := range rows[1:] {
		cells := map[string]string{}
		for i, column := range rows[0] {
			cells[column] = row[i]
		}
		if err := addFacts(cells, seats); err != nil {
			return nil, fmt.Errorf("flight %s: %w", cells["flight_id"], err)
		}
		var next []string
		for _, column := range out[0] {
			next = append(next, cells[column])
		}
		out = append(out, next)
	}
	var b bytes.Buffer
	err = csv.NewWriter(&b).WriteAll(out)
	return b.Bytes(), err
}

// seatsOf returns the seats of each type of aircraft.
func seatsOf(types []byte) (map[string]int, error) {
	rows, err := csv.NewReader(bytes.NewReader(types)).ReadAll()
	if err != nil {
		return nil, err
	}
	name, count := slices.Index(rows[0], "aircraft_type"), slices.Index(rows[0], "fact.seats")
	seats := map[string]int{}
	for _, row := range rows[1:] {
		if seats[row[name]], err = strconv.Atoi(row[count]); err != nil {
			return nil, fmt.Errorf("seats of %s: %w", row[name], err)
		}
	}
	return seats, nil
}

// addFacts makes a flight's. Of an aircraft whose type is not known nobody knows the
// passengers; one that has not departed was never off its stand.
func addFacts(cells map[string]string, seats map[string]int) error {
	id := cells["flight_id"]
	for _, column := range made {
		cells[column] = ""
	}
	if n := seats[cells["aircraft_type"]]; n > 0 {
		passengers := n * between(id, "load", 60, 95) / 100
		transfer := passengers * between(id, "transfer", 0, 30) / 100
		cells["passengers"], cells["fact.pax_local"], cells["fact.pax_transfer"] = strconv.Itoa(passengers), strconv.Itoa(passengers-transfer), strconv.Itoa(transfer)
	}
	cells["fact.stand"] = "contact"
	if between(id, "stand", 1, 4) == 1 {
		cells["fact.stand"] = "remote"
	}
	if cells["departed_at"] == "" {
		return nil
	}
	departed, err := time.Parse(time.RFC3339, cells["departed_at"])
	if err != nil {
		return err
	}
	off := departed.Add(-time.Duration(between(id, "taxi", 8, 25)) * time.Minute)
	on := off.Add(-time.Duration(between(id, "turnaround", 35, 180)) * time.Minute)
	cells["off_block_at"], cells["on_block_at"] = off.Format(time.RFC3339), on.Format(time.RFC3339)
	return nil
}

// between returns a number from low to high that a flight always gets for a purpose.
func between(id, purpose string, low, high int) int {
	h := fnv.New32a()
	_, _ = io.WriteString(h, purpose+" "+id)
	return low + int(h.Sum32()%uint32(high-low+1)) //nolint:gosec // small numbers
}
