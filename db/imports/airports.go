package imports

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

var airportColumns = []csvColumn{
	{name: "code"},
	{name: "other_codes", optional: true, most: maxText},
	{name: "country", optional: true},
	{name: "timezone", optional: true},
}

var (
	countryCode = regexp.MustCompile(`^[A-Z]{2}$`)
	// zoneName is the constraint on airports.timezone.
	zoneName = regexp.MustCompile(`^(UTC|[A-Za-z_]+(/[A-Za-z_-]+)+|Etc/GMT[+-][0-9]{1,2})$`)
)

func openAirports(q *dbsqlc.Queries) register {
	return register{
		what: "airports", table: "airports", read: readAirport, keyText: "airport",
		key: func(cells map[string]string) string { return billing.CodeForm(cells["code"]) },
		list: func(ctx context.Context, rows []entry) ([]entry, error) {
			forms := formsOf(rows, "code")
			for _, row := range rows {
				for code := range strings.FieldsSeq(row.cells["other_codes"]) {
					forms = append(forms, billing.CodeForm(code))
				}
			}
			list, err := q.AirportListForImport(ctx, forms)
			if err != nil {
				return nil, err
			}
			entries := make([]entry, len(list))
			for i, a := range list {
				entries[i] = entry{id: a.Code, cells: map[string]string{
					"code": a.Code, "other_codes": OtherCodes(a.Code, a.OtherCodes), "country": a.Country, "timezone": a.Timezone,
				}}
			}
			return entries, nil
		},
		check:    func(*csvFile, entry) {},
		checkAll: refuseCodesOfTwoAirports,
		update:   q.AirportUpdateMany, insert: q.AirportInsertMany,
	}
}

func readAirport(f *csvFile) map[string]string {
	const one = "write one code, such as EGLL; each airport has a row of its own"
	cells := f.present(map[string]func(string) string{
		"code": func(column string) string { return f.one(column, one) },
		"other_codes": func(column string) string {
			codes := f.cell(column)
			if strings.ContainsAny(codes, separators) {
				f.wrong(column, "write spaces between several")
			}
			return OtherCodes(f.cell("code"), strings.Fields(codes))
		},
		"country": func(column string) string {
			country := billing.CleanCountry(f.raw(column))
			if country != "" && !countryCode.MatchString(country) {
				f.wrong(column, "write the two letters of ISO 3166, such as IE, or nothing where it is not known")
			}
			return country
		},
		"timezone": func(column string) string {
			zone := f.cell(column)
			if _, err := time.LoadLocation(zone); zone != "" && (err != nil || !zoneName.MatchString(zone)) {
				f.wrong(column, "write a name such as Europe/Dublin, or nothing where it is not known")
			}
			return zone
		},
	})
	if cells["code"] == "" {
		f.wrong("code", one)
	}
	return cells
}

// OtherCodes writes the codes of an airport beside its first one, each once, and without
// the blanks in it, which do not count: they stand between codes.
func OtherCodes(code string, others []string) string {
	var codes []string
	for _, other := range others {
		other = strings.Join(strings.Fields(other), "")
		known := func(c string) bool { return billing.SameCode(c, other) }
		if other != "" && !known(code) && !slices.ContainsFunc(codes, known) {
			codes = append(codes, other)
		}
	}
	slices.Sort(codes)
	return strings.Join(codes, " ")
}

// refuseCodesOfTwoAirports: a flight from LHR must be from one airport.
func refuseCodesOfTwoAirports(f *csvFile, entries []entry) {
	owner := map[string]entry{}
	for _, e := range entries {
		for i, code := range append([]string{e.cells["code"]}, strings.Fields(e.cells["other_codes"])...) {
			form := billing.CodeForm(code)
			other, taken := owner[form]
			if !taken {
				owner[form] = e
				continue
			}
			line, column, where := e.line, "code", "in the database"
			if i > 0 {
				column = "other_codes"
			}
			if other.line > 0 {
				where = fmt.Sprintf("in line %d", other.line)
			}
			f.wrongAt(line, column, code, fmt.Sprintf("airport %s has this code, %s; a code is that of one airport: write the row with the code %s, or take this code from it in this file",
				shown(other.cells["code"]), where, shown(other.cells["code"])))
		}
	}
}
