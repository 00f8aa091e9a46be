// Command airports keeps migrations/00015_airports.sql: codes, countries and time zones of the world's airports, from the Python
// package airportsdata. Run it from the module's root:
//
//	go run ./internal/airports            say whether the file is as it was written; exit status 0: it is
//	go run ./internal/airports -from W    write it, and the package's licence, from the package's wheel W
//
// The wheel of another version needs its name and checksum here, and a migration of its own.
package main

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

const (
	wheel    = "airportsdata-20260905-py3-none-any.whl" // pip download --no-deps airportsdata==20260905
	wheelSum = "d7eaa9a57d373b0adaaae0d52da2af0bb0edf73f7baa170f7c415d3342bf4868"

	file    = "migrations/00015_airports.sql"
	fileSum = "0ad91e6ba6542d85e2b3f1652de1c7730240488efacaa65419f4be9499b56c06"

	licenceFile = "internal/airports/LICENSE"
)

// currentZones are the names that the package's old ones lead to: machines without the old names are common.
var currentZones = map[string]string{
	"America/Thunder_Bay": "America/Toronto",
	"America/Yellowknife": "America/Edmonton",
	"Asia/Choibalsan":     "Asia/Ulaanbaatar",
	"Australia/Currie":    "Australia/Hobart",
	"Europe/Uzhgorod":     "Europe/Kyiv",
	"Europe/Zaporozhye":   "Europe/Kyiv",
	"Pacific/Enderbury":   "Pacific/Kanton",
}

// formerCodes are those that airports had before: flights of then are billed and corrected still.
var formerCodes = map[string]string{
	"KDJT": "KPBI", // Palm Beach, until 2026
}

var (
	icaoCode  = regexp.MustCompile(`^[A-Z]{4}$`) // the package has others of its own where there is none
	iataCode  = regexp.MustCompile(`^[A-Z0-9]{3}$`)
	localCode = regexp.MustCompile(`^[A-Z0-9]{3,4}$`)
)

func main() {
	from := flag.String("from", "", "the wheel to write the file from")
	flag.Parse()
	if err := run(*from); err != nil {
		fmt.Fprintln(os.Stderr, "airports:", err)
		os.Exit(1)
	}
}

func run(from string) error {
	if from == "" {
		return check()
	}
	packed, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if sum := sumOf(packed); sum != wheelSum {
		return fmt.Errorf("%s has the SHA-256 %s, that of %s is %s", from, sum, wheel, wheelSum)
	}
	content, err := unpack(packed)
	if err != nil {
		return err
	}
	airports, err := read(content["airports.csv"], content["iata_macs.csv"])
	if err != nil {
		return err
	}
	text := migration(airports)
	if err := os.WriteFile(licenceFile, content["LICENSE"], 0o644); err != nil { //nolint:gosec // a source file, for all to read
		return err
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // a source file, for all to read
		return err
	}
	fmt.Printf("%s has %d airports\n", file, len(airports))
	return check()
}

// check compares the file with its checksum: the package is not at hand everywhere.
func check() error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if sum := sumOf(text); sum != fileSum {
		return fmt.Errorf("%s has the SHA-256 %s and not %s: it is not what this command wrote; write it anew with -from, or note the new sum in internal/airports", file, sum, fileSum)
	}
	fmt.Println(file, "is as it was written")
	return nil
}

func sumOf(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }

// unpack returns the wheel's files that are used, by the last part of their names.
func unpack(packed []byte) (map[string][]byte, error) {
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, err
	}
	content := map[string][]byte{}
	for _, name := range []string{"airports.csv", "iata_macs.csv", "LICENSE"} {
		i := slices.IndexFunc(archive.File, func(f *zip.File) bool { return strings.HasSuffix(f.Name, "/"+name) })
		if i < 0 {
			return nil, fmt.Errorf("the wheel has no %s", name)
		}
		r, err := archive.File[i].Open()
		if err != nil {
			return nil, err
		}
		if content[name], err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
	return content, nil
}

type airport struct {
	codes         []string // the canonical one first
	country, zone string
}

// read returns the airports that have an ICAO or an IATA code, by code. The canonical code is ICAO's where there is one. A
// national one goes along where nothing else is called so, no city either.
func read(table, cities []byte) ([]airport, error) {
	rows, err := records(table, "icao", "iata", "lid", "country", "tz")
	if err != nil {
		return nil, err
	}
	metropolitan, err := records(cities, "City Code")
	if err != nil {
		return nil, err
	}
	named := map[string]int{} // how many are called so
	for _, row := range metropolitan {
		named[row[0]]++
	}
	var airports []airport
	var locals [][]string
	for _, row := range rows {
		icao, iata, lid := row[0], row[1], row[2]
		var codes, local []string
		if icaoCode.MatchString(icao) {
			codes = append(codes, icao)
		} else {
			local = append(local, icao)
		}
		if iata != "" && iata != icao {
			if !iataCode.MatchString(iata) {
				return nil, fmt.Errorf("airport %s: %q is no IATA code", icao, iata)
			}
			codes = append(codes, iata)
		}
		if len(codes) == 0 {
			continue
		}
		if former := formerCodes[icao]; former != "" {
			codes = append(codes, former)
		}
		if lid != icao && lid != iata {
			local = append(local, lid)
		}
		local = slices.DeleteFunc(local, func(code string) bool { return !localCode.MatchString(code) })
		for _, code := range slices.Concat(codes, local) {
			named[code]++
		}
		airports = append(airports, airport{codes: codes, country: row[3], zone: cmp.Or(currentZones[row[4]], row[4])})
		locals = append(locals, local)
	}
	for i := range airports {
		for _, code := range locals[i] {
			if named[code] == 1 {
				airports[i].codes = append(airports[i].codes, code)
			}
		}
	}
	slices.SortFunc(airports, func(a, b airport) int { return cmp.Compare(a.codes[0], b.codes[0]) })
	return airports, nil
}

// records returns the columns named of a CSV file.
func records(content []byte, columns ...string) ([][]string, error) {
	all, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("a file of the package is empty")
	}
	rows := make([][]string, len(all)-1)
	for _, column := range columns {
		at := slices.Index(all[0], column)
		if at < 0 {
			return nil, fmt.Errorf("a file of the package has no column %q", column)
		}
		for i, row := range all[1:] {
			rows[i] = append(rows[i], row[at])
		}
	}
	return rows, nil
}

const head = `-- The world's airports: those with an ICAO or an IATA code, in the form ICAO/IATA/national code, by time zone and country.
-- From the Python package airportsdata 20260905, Copyright (c) 2020- Mike Borsetti and (c) 2014 mwgg, MIT licence: see
-- THIRD_PARTY_LICENSES. Written by internal/airports.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;
INSERT INTO flightbill.airports (code, other_codes, country, timezone)
SELECT codes[1], codes[2:], country, timezone
FROM (VALUES
`

const tail = `
) AS place (timezone, country, airports), regexp_split_to_table(airports, '\s+') AS airport, string_to_array(airport, '/') AS codes
WHERE NOT EXISTS (SELECT FROM flightbill.airport_codes WHERE form = ANY (codes)) -- what was imported stays as it is
ORDER BY codes[1] COLLATE "C";

-- +goose Down
-- The airports stay until their table goes: some may have been imported.
`

// migration returns the file.
func migration(airports []airport) string {
	places := map[[2]string][]string{}
	for _, a := range airports {
		place := [2]string{a.zone, a.country}
		places[place] = append(places[place], strings.Join(a.codes, "/"))
	}
	var rows []string
	for place, codes := range places {
		rows = append(rows, fmt.Sprintf("('%s', '%s', '%s')", place[0], place[1], wrapped(codes)))
	}
	slices.Sort(rows)
	return head + strings.Join(rows, ",\n") + tail
}

// wrapped puts words into lines.
func wrapped(words []string) string {
	var b strings.Builder
	length := 0
	for i, word := range words {
		switch {
		case i == 0:
		case length+len(word) > 140:
			b.WriteByte('\n')
			length = 0
		default:
			b.WriteByte(' ')
		}
		b.WriteString(word)
		length += len(word) + 1
	}
	return b.String()
}
