package imports_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/imports"
)

const aircraftRows = `SELECT registration, valid_from, valid_to, aircraft_type, mtow_kg, facts FROM aircraft ORDER BY code_form(registration), valid_from NULLS FIRST`

func TestAircraft(t *testing.T) {
	t.Parallel()
	b := setup(t)
	lines := []string{
		"registration,valid_from,valid_to,aircraft_type,mtow_kg,fact.noise_class,fact.seats", "G-OWN,,,A320,73500,B,180", "N1,2025-01-01,2026-01-01,,,NA,", "N1,2026-01-01,,B738,79016,,",
	}
	b.load(imports.Aircraft, 3, 0, 0, lines...)
	before := b.snapshot()
	b.load(imports.Aircraft, 0, 0, 4, lines[0], "G-OWN,,,A320,73500,B,180.0", "N1,2025-01-01,2026-01-01,,,,", "N1,2026-01-01,,B738,79016,,", "N1,2026-01-01,,B738,79016,,")
	require.Equal(t, before, b.snapshot(), "again changes nothing, not even the price book's version")

	// What a file does not have stays; an empty cell takes away.
	b.load(imports.Aircraft, 0, 1, 1, "registration,valid_from,fact.seats", "G-OWN,,174", "N1,2026-01-01,")
	b.load(imports.Aircraft, 0, 1, 0, "registration,valid_from,fact.noise_class,mtow_kg", "gown,,,")
	b.expect(aircraftRows, `(gown,,,A320,,"{""seats"": 174}")`, `(N1,2025-01-01,2026-01-01,,,{})`, `(N1,2026-01-01,,B738,79016,{})`)
}

// One file ends a declaration and begins the next, in either order.
func TestAircraftEndedAndBegun(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{
		"end first":       {"G-OWN,,2026-04-01,70000", "GOWN,2026-04-01,,73500"},
		"beginning first": {"GOWN,2026-04-01,,73500", "G-OWN,,2026-04-01,70000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.load(imports.Aircraft, 1, 0, 0, "registration,mtow_kg", "G-OWN,70000")
			b.load(imports.Aircraft, 1, 1, 0, append([]string{"registration,valid_from,valid_to,mtow_kg"}, lines...)...)
			b.expect(`SELECT mtow_kg, valid_from, valid_to FROM aircraft ORDER BY mtow_kg`, "(70000,,2026-04-01)", "(73500,2026-04-01,)")
		})
	}
}

func TestAircraftRefusesWrongRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const header = "registration,valid_from,valid_to,aircraft_type,mtow_kg,fact.noise_class\n"
	b.load(imports.Aircraft, 1, 0, 0, strings.TrimSpace(header), "G-OWN,2025-01-01,2026-01-01,A320,73500,B")
	for rows, part := range map[string]string{
		",,,A320,,":                              "file.csv: line 2: column registration is empty: write one registration",
		"NA,,,A320,,":                            `line 2: column registration: "NA" says that there is nothing`,
		"G-A;G-B,,,,,":                           `line 2: column registration: "G-A;G-B" is not usable: write one registration`,
		"G-A,01/02/2025,,,,":                     `line 2: column valid_from: "01/02/2025" is not usable: write a day as YYYY-MM-DD`,
		"G-A,2025-01-01,2025-01-01,,,":           "line 2: valid_to 2025-01-01 is not after valid_from 2025-01-01",
		"G-A,,,A320/A321,,":                      "line 2: column aircraft_type: ",
		"G-A,,,,0,":                              `line 2: column mtow_kg: "0" is not usable: write whole kg`,
		"G-A,,,,73.5,":                           `line 2: column mtow_kg: "73.5"`,
		"G-A,,,,1000001,":                        `line 2: column mtow_kg: "1000001"`,
		"G-A,,,,1,\nga,,,,2,":                    "line 3: line 2 says something else of the same registration and valid_from",
		"g own,2025-12-31,,,,":                   `line 2: aircraft "g own" (valid from 2025-12-31) overlaps what the database has (valid from 2025-01-01 to 2026-01-01): end one where the other begins`,
		"G-A,,2026-01-02,,,\nG-A,2026-01-01,,,,": "overlaps line 2, (valid to 2026-01-02): end one where the other begins",
		"G-A,,,,,\nG-A,2026-01-01,2027-01-01,,,": "(valid from 2026-01-01 to 2027-01-01) overlaps line 2, (always valid)",
	} {
		b.refuse(imports.Aircraft, header+rows+"\n", part)
	}
	b.refuse(imports.Aircraft, "valid_from\n2025-01-01\n", "column registration is missing")
	b.refuse(imports.Aircraft, "registration,fact.mtow_kg\nG-A,1\n", `column "fact.mtow_kg": `, "use the column")

	many := "registration"
	for i := range 120 {
		many += fmt.Sprintf(",fact.f%d", i)
	}
	b.refuse(imports.Aircraft, many+"\nG-A"+strings.Repeat(","+strings.Repeat("é", 150), 120)+"\n", "line 2: the facts, with those that are there already, have more than 20000 bytes")
}

func TestAircraftTypes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.AircraftTypes, 2, 0, 1, "aircraft_type,mtow_kg,fact.noise_class,fact.wake", "A320,73500,B,M", "C172,,A,L", "A320,73500,B,M")
	b.load(imports.AircraftTypes, 1, 1, 0, "aircraft_type,fact.noise_class", "a-320,C", "B738,")
	b.expect(`SELECT aircraft_type, mtow_kg, facts FROM aircraft_types ORDER BY aircraft_type`,
		`(B738,,{})`, `(C172,,"{""wake"": ""L"", ""noise_class"": ""A""}")`, `(a-320,73500,"{""wake"": ""M"", ""noise_class"": ""C""}")`)
	b.refuse(imports.AircraftTypes, "aircraft_type,mtow_kg\n,1\nA320;A321,\nA388,560t\n",
		"line 2: column aircraft_type is empty", `line 3: column aircraft_type: "A320;A321"`, `line 4: column mtow_kg: "560t" is not usable: write whole kg`)
	b.refuse(imports.AircraftTypes, "aircraft_type,mtow_kg\nA388,1\na388,2\n", "line 3: line 2 says something else of the same type")
}

// Codes that no airport has.
func TestAirports(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows := `SELECT code, other_codes, country, timezone FROM airports WHERE code LIKE 'QQ%' OR code LIKE 'qq%' ORDER BY code`
	lines := []string{"code,other_codes,country,timezone", "QQAA,Q11  Q-22 q11,GB,Europe/London", "QQBB,,,", "QQCC,Q33,IE,"}
	b.load(imports.Airports, 3, 0, 0, lines...)
	before := b.snapshot()
	b.load(imports.Airports, 0, 0, 3, lines...)
	b.load(imports.Airports, 0, 0, 1, "code,other_codes", "QQAA,Q-22 Q11 QQAA")
	require.Equal(t, before, b.snapshot())
	b.expect(rows, `(QQAA,"{Q-22,Q11}",GB,Europe/London)`, "(QQBB,{},,)", "(QQCC,{Q33},IE,)")

	b.refuse(imports.Airports, "code\nq33\n", `line 2: column code: "q33" is not usable: airport "QQCC" has this code, in the database;`, `write the row with the code "QQCC"`)
	b.refuse(imports.Airports, "code,other_codes\nQQDD,Q11\n", `line 2: column other_codes: "Q11" is not usable: airport "QQAA" has this code, in the database`)
	b.refuse(imports.Airports, "code,other_codes\nQQDD,Q77\nQQEE,q77\n", `line 3: column other_codes: "q77" is not usable: airport "QQDD" has this code, in line 2`)
	b.refuse(imports.Airports, "code,other_codes,country,timezone\nQQDD,A;B,IRL,Dublin\nQQEE,,ie,Europe/Atlantis\n,Q,,\n",
		`line 2: column other_codes: "A;B" is not usable: write spaces between several`, `line 2: column country: "IRL" is not usable: write the two letters`,
		`line 2: column timezone: "Dublin" is not usable: write a name such as Europe/Dublin`, `line 3: column country: "ie"`, `line 3: column timezone: "Europe/Atlantis"`,
		"line 4: column code is empty: write one code")

	b.load(imports.Airports, 1, 0, 0, "code,country", "Q9NA,NA")
	b.load(imports.Airports, 0, 0, 1, "code,country", "Q9NA, NA")
	b.expect(`SELECT country FROM airports WHERE code = 'Q9NA'`, "(NA)")

	// A code that goes from one airport to another, and two that change hands.
	b.load(imports.Airports, 1, 1, 0, "code,other_codes", "QQDD,Q11", "QQAA,Q-22")
	b.load(imports.Airports, 0, 2, 1, "code,other_codes", "QQDD,Q33", "QQCC,Q11", "QQBB,")
	b.load(imports.Airports, 0, 1, 0, "code", "qq-aa")
	b.load(imports.Airports, 0, 1, 0, "code,country", "QQBB, NA ") // Namibia
	b.expect(rows, "(QQBB,{},NA,)", "(QQCC,{Q11},IE,)", "(QQDD,{Q33},,)", "(qq-aa,{Q-22},GB,Europe/London)")
}

// Two files at once: the second sees what the first has written.
func TestRegistersTwoFilesAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	files := map[imports.Kind]string{
		imports.Aircraft: "registration,mtow_kg\n", imports.AircraftTypes: "aircraft_type,mtow_kg\n", imports.Airports: "code,other_codes\n",
	}
	for kind, content := range files {
		for i := range 300 {
			content += fmt.Sprintf("QQ%d,%d\n", i, i+1)
		}
		results := make(chan imports.Result, 4)
		for range 4 {
			go func() {
				result, err := b.read(kind, strings.NewReader(content))
				assert.NoError(t, err)
				results <- result
			}()
		}
		var added, unchanged int64
		for range 4 {
			result := <-results
			added, unchanged = added+result.Added, unchanged+result.Unchanged
		}
		require.Equal(t, []int64{300, 900}, []int64{added, unchanged}, kind)
	}
}
