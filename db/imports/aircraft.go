package imports

import (
	"context"
	"strconv"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// aircraftColumns: any but the key may be missing, and then changes nothing on an
// aircraft that is there.
var aircraftColumns = []csvColumn{
	{name: "registration"},
	{name: "valid_from", optional: true},
	{name: "valid_to", optional: true},
	{name: "aircraft_type", optional: true},
	{name: "mtow_kg", optional: true},
	{name: factColumn, optional: true},
}

func openAircraft(q *dbsqlc.Queries) register {
	return register{
		what: "aircraft", table: "aircraft", read: readAircraft, key: aircraftKey, keyText: "registration and valid_from",
		list: func(ctx context.Context, rows []entry) ([]entry, error) {
			list, err := q.AircraftListForImport(ctx, formsOf(rows, "registration"))
			if err != nil {
				return nil, err
			}
			entries := make([]entry, len(list))
			for i, a := range list {
				entries[i] = entry{id: strconv.FormatInt(a.ID, 10), cells: map[string]string{
					"registration": a.Registration, "valid_from": dayOrNothing(a.ValidFrom), "valid_to": dayOrNothing(a.ValidTo),
					"aircraft_type": a.AircraftType, "mtow_kg": massText(a.MtowKg),
				}}
				if entries[i].facts, err = factsOf(a.Facts); err != nil {
					return nil, err
				}
			}
			return entries, nil
		},
		check:    checkAircraft,
		checkAll: refuseTwoDeclarations,
		update:   q.AircraftUpdateMany, insert: q.AircraftInsertMany,
	}
}

func readAircraft(f *csvFile) map[string]string {
	const one = "write one registration; each aircraft has a row of its own"
	cells := f.present(map[string]func(string) string{
		"registration":  func(column string) string { return f.one(column, one) },
		"valid_from":    f.day,
		"valid_to":      f.day,
		"aircraft_type": func(column string) string { return f.one(column, "write one type, such as A320") },
		"mtow_kg":       f.mass,
	})
	if cells["registration"] == "" {
		f.wrong("registration", one)
	}
	return cells
}

func aircraftKey(cells map[string]string) string {
	return billing.CodeForm(cells["registration"]) + " " + cells["valid_from"]
}

// validityOf returns the days on which an entry holds.
func validityOf(e entry) billing.Validity {
	var v billing.Validity
	v.From, _ = billing.ParseDate(e.cells["valid_from"]) // they were written by Date.String, or are empty
	v.To, _ = billing.ParseDate(e.cells["valid_to"])
	return v
}

func checkAircraft(f *csvFile, e entry) {
	if v := validityOf(e); !v.To.IsZero() && !v.From.Before(v.To) {
		f.problemf(e.line, "valid_to %s is not after valid_from %s: it is the first day on which this no longer holds", v.To, v.From)
	}
}

// refuseTwoDeclarations: of two that hold on one day, either could be right.
func refuseTwoDeclarations(f *csvFile, entries []entry) {
	byForm := map[string][]entry{}
	for _, e := range entries {
		form := billing.CodeForm(e.cells["registration"])
		for _, other := range byForm[form] {
			if e.line > 0 && validityOf(e).Overlaps(validityOf(other)) {
				f.problemf(e.line, "aircraft %s %s overlaps %s: end one where the other begins",
					shown(e.cells["registration"]), daysText(e), whereIs(other))
			}
		}
		byForm[form] = append(byForm[form], e)
	}
}

func whereIs(e entry) string {
	if e.line > 0 {
		return "line " + strconv.Itoa(e.line) + ", " + daysText(e)
	}
	return "what the database has " + daysText(e)
}

// daysText says when an entry holds.
func daysText(e entry) string {
	from, to := e.cells["valid_from"], e.cells["valid_to"]
	switch {
	case from == "" && to == "":
		return "(always valid)"
	case from == "":
		return "(valid to " + to + ")"
	case to == "":
		return "(valid from " + from + ")"
	}
	return "(valid from " + from + " to " + to + ")"
}

// formsOf returns the forms in which codes of a column are compared.
func formsOf(rows []entry, column string) []string {
	forms := make([]string, len(rows))
	for i, row := range rows {
		forms[i] = billing.CodeForm(row.cells[column])
	}
	return forms
}
