package main

import (
	"errors"
	"fmt"
	"strings"
)

// typos is how many letters a name may be from a setting's to be taken for it, misspelt.
const typos = 2

// theirDatabase is a name that other programs have for their database's address. Without an
// address of its own flightbill works on an embedded database: a slip would not be seen.
const theirDatabase = "DATABASE_URI"

// checkNames looks for settings that have no effect for their names: one that is nearly a
// setting's is an error, since what it was to say could be stored otherwise for good, as
// the time zone is; any other is worth a warning. environ is as of os.Environ.
func checkNames(environ []string) (unknown []string, err error) {
	known := map[string]bool{}
	for _, s := range settings() {
		known[s.name] = true
	}
	named := false // that is, the database
	for _, entry := range environ {
		named = named || strings.HasPrefix(entry, "DATABASE_URL=") || strings.HasPrefix(entry, "DATABASE_URL_FILE=")
	}
	var problems []error
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if known[name] || notOurs(name) {
			continue
		}
		ours := strings.HasPrefix(name, "FLIGHTBILL_") || strings.HasPrefix(name, "PINOT_")
		nearest := nearestSetting(name)
		switch {
		case nearest != "" && (ours || strings.HasPrefix(nearest, "FLIGHTBILL_")), nearest != "" && !named && name != theirDatabase:
			problems = append(problems, fmt.Errorf("%s: there is no such setting; is %s meant? Rename it, or unset it", name, nearest))
		case ours, name == theirDatabase && !named:
			unknown = append(unknown, name)
		}
	}
	return unknown, errors.Join(problems...)
}

// notOurs is what Kubernetes sets for a service of such a name, and what tests do.
func notOurs(name string) bool {
	return strings.Contains(name, "_SERVICE_") || strings.Contains(name, "_PORT") || strings.HasPrefix(name, "FLIGHTBILL_TEST_")
}

func nearestSetting(name string) (nearest string) {
	least := typos + 1
	for _, s := range settings() {
		if d := distance(strings.ToUpper(name), s.name); d < least {
			nearest, least = s.name, d
		}
	}
	return nearest
}

// distance is how many letters have to be put in, left out or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
