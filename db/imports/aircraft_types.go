package imports

import (
	"context"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

var aircraftTypeColumns = []csvColumn{
	{name: "aircraft_type"},
	{name: "mtow_kg", optional: true},
	{name: factColumn, optional: true},
}

func openAircraftTypes(q *dbsqlc.Queries) register {
	return register{
		what: "types of aircraft", table: "aircraft_types", keyText: "type",
		read: func(f *csvFile) map[string]string {
			const one = "write one type, such as A320; each has a row of its own"
			cells := f.present(map[string]func(string) string{
				"aircraft_type": func(column string) string { return f.one(column, one) },
				"mtow_kg":       f.mass,
			})
			if cells["aircraft_type"] == "" {
				f.wrong("aircraft_type", one)
			}
			return cells
		},
		key: func(cells map[string]string) string { return billing.CodeForm(cells["aircraft_type"]) },
		list: func(ctx context.Context, rows []entry) ([]entry, error) {
			list, err := q.AircraftTypeListForImport(ctx, formsOf(rows, "aircraft_type"))
			if err != nil {
				return nil, err
			}
			entries := make([]entry, len(list))
			for i, a := range list {
				entries[i] = entry{id: a.AircraftType, cells: map[string]string{"aircraft_type": a.AircraftType, "mtow_kg": massText(a.MtowKg)}}
				if entries[i].facts, err = factsOf(a.Facts); err != nil {
					return nil, err
				}
			}
			return entries, nil
		},
		check:  func(*csvFile, entry) {},
		update: q.AircraftTypeUpdateMany, insert: q.AircraftTypeInsertMany,
	}
}
