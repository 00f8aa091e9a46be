package imports_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/imports"
)

const flightHeader = "flight_id,callsign,operator,registration,aircraft_type,mtow_kg,origin,destination,departed_at,landed_at,distance_km"

func TestFlightsFacts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Flights, 4, 0, 0, flightHeader+",passengers",
		"F1,UAL1,UAL,N1,B738,79016,KEWR,KIAH,2013-01-01T10:17:00Z,2013-01-01 15:30:00.25+01:00,2253.10,150",
		"F2,,,,,,,,,,,",
		"F 3, UAL3 ,UAL,\"tab\there\",\"back\\slash \\N\",-5,\"two\nlines\",KIAH,2013-01-01 10:17:00+00,2013-01-01T10:17:00-0130,-0.1,-1",
		"F4,\\.,\\M,,,007,,,,,12345678901234567890.12345678901234567890,0")
	b.expect(`SELECT flight_id, callsign, operator, registration, aircraft_type, mtow_kg, origin, destination, departed_at, landed_at,
		distance_km, passengers FROM flights WHERE flight_id <> 'F 3' ORDER BY flight_id`,
		`(F1,UAL1,UAL,N1,B738,79016,KEWR,KIAH,"2013-01-01 10:17:00+00","2013-01-01 14:30:00.25+00",2253.10,150)`,
		`(F2,,,,,,,,,,,)`,
		`(F4,"\\.","\\M",,,7,,,,,12345678901234567890.12345678901234567890,0)`)
	b.expect(`SELECT concat_ws('|', callsign, operator, registration, aircraft_type, mtow_kg, origin, departed_at, landed_at, distance_km,
		passengers) FROM flights WHERE flight_id = 'F 3'`,
		"(\"UAL3|UAL|tab\there|back\\\\slash \\\\N|-5|two\nlines|2013-01-01 10:17:00+00|2013-01-01 11:47:00+00|-0.1|-1\")")
	b.expect(`SELECT count(*) FROM flights WHERE '' IN (callsign, operator, registration, aircraft_type, origin, destination)`, "(0)")
}

func TestFlightsChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Flights, 3, 0, 0, flightHeader+",passengers",
		"F1,UAL1,UAL,N1,B738,79016,KEWR,KIAH,2013-01-01T10:17:00Z,,2253.1,150",
		"F2,UAL2,UAL,,,,KEWR,KIAH,,,,",
		"F3,UAL3,UAL,,,,KEWR,KIAH,,,,")
	// Column passengers is absent, and so are the passengers' changes.
	b.load(imports.Flights, 1, 2, 1, flightHeader,
		"F1,UAL1,UAL,N1,B738,79016,KEWR,KIAH,2013-01-01T10:17:00Z,2013-01-01T14:00:00Z,2253.1",
		"F2,UAL2,,,,,KEWR,KIAH,,,",
		"F3,UAL3,UAL,,,,KEWR,KIAH,,,",
		"F4,,,,,,,,,,")
	b.expect(`SELECT flight_id, operator, landed_at, passengers FROM flights ORDER BY flight_id`,
		`(F1,UAL,"2013-01-01 14:00:00+00",150)`, "(F2,,,)", "(F3,UAL,,)", "(F4,,,)")
}

func TestFlightsRepeatedRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Flights, 2, 0, 2, flightHeader,
		"F1,UAL1,UAL,,,,,,2013-01-01T10:17:00Z,,1.50",
		"F2,UAL2,UAL,,,,,,,,",
		"F1,UAL1,UAL,,,,,,2013-01-01T11:17:00+01:00,,1.5",
		"F1, UAL1,UAL,,,,,,2013-01-01T10:17:00Z,,1.5")
	b.refuse(imports.Flights, csvOf(flightHeader,
		"F1,\"over\ntwo lines\",UAL,,,,,,,,",
		"F2,UAL2,UAL,,,,,,,,",
		"F1,UAL1,UAL,,,,,,,,5",
		"F2,UAL2,UAL,,,,,,,,"), "line 5", `column flight_id: "F1"`, "line 2 has the same flight", "another callsign, distance_km")
}

func TestFlightsIsAllOrNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Flights, 1, 0, 0, flightHeader, "F1,UAL1,UAL,,,,,,,,")
	var content strings.Builder
	content.WriteString(csvOf(flightHeader, "F1,CHANGED,UAL,,,,,,,,"))
	for i := range 20_000 { // many times what COPY takes at once
		fmt.Fprintf(&content, "G%d,UAL,UAL,,,,,,,,\n", i)
	}
	b.refuse(imports.Flights, content.String()+"F2,UAL2,UAL,,,heavy,,,,,\n", "line 20003", `column mtow_kg: "heavy"`)
	b.expect(`SELECT flight_id, callsign FROM flights`, "(F1,UAL1)")
}

func TestFlightsRefusesWrongRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	columns := strings.Split(flightHeader, ",")
	for _, c := range []struct{ column, value, part string }{
		{"flight_id", "", "column flight_id is empty"},
		{"flight_id", " F9", "the first a letter or digit"},
		{"flight_id", "F9 ", "the last no space"},
		{"flight_id", "F9;DROP", "1 to 128"},
		{"flight_id", "F9é", "1 to 128"},
		{"flight_id", "\"F9\n\"", "1 to 128"},
		{"flight_id", strings.Repeat("F", 129), "1 to 128"},
		{"mtow_kg", "79016.5", "a whole number"},
		{"mtow_kg", "9223372036854775808", "a whole number"},
		{"mtow_kg", "79t", "a whole number"},
		{"distance_km", "far", "a number such as 2253.1"},
		{"distance_km", "Infinity", "a number such as 2253.1"},
		{"distance_km", "\"1,5\"", "a number such as 2253.1"},
		{"departed_at", "2013-01-01T10:17:00", "with its zone"},
		{"departed_at", "2013-01-01 10:17:00", "with its zone"},
		{"landed_at", "2013-02-30T10:17:00Z", "with its zone"},
		{"landed_at", "0001-01-01T00:00:00+01:00", "with its zone"},
		{"landed_at", "1357035420", "with its zone"},
	} {
		row := make([]string, len(columns))
		for i, column := range columns {
			switch column {
			case c.column:
				row[i] = c.value
			case "flight_id":
				row[i] = "F9"
			case "operator": // a row without any text does not count
				row[i] = "BAW"
			}
		}
		b.refuse(imports.Flights, csvOf(flightHeader, "F1,,,,,,,,,,", strings.Join(row, ",")), "line 3", "column "+c.column, c.part)
	}
	b.refuse(imports.Flights, csvOf(flightHeader+",passengers", "F1,,,,,,,,,,,1.5"), "line 2", `column passengers: "1.5"`)
}

// What a file has instead of nothing is nothing, in text as in numbers; and blanks
// around a fact are none of it.
func TestFlightsWordsForNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	words := []string{"NA", `\N`, "None", "#N/A", "null", "-", "NaN", " n/a ", "\u00a0"}
	lines := []string{flightHeader + ",passengers"}
	for i, word := range words {
		lines = append(lines, fmt.Sprintf("F%d,", i)+strings.Repeat(word+",", 10)+word)
	}
	b.load(imports.Flights, int64(len(words))+1, 0, 0, append(lines, "G1, UAL1\u00a0,\tUAL ,GOWN ,,,NAN ,LHR\t,,,,")...)
	b.expect(`SELECT count(*), count(*) FILTER (WHERE num_nonnulls(callsign, operator, registration, aircraft_type, mtow_kg, origin, destination,
		departed_at, landed_at, distance_km, passengers) = 0) FROM flights WHERE flight_id LIKE 'F%'`, fmt.Sprintf("(%d,%[1]d)", len(words)))
	b.expect(`SELECT callsign, operator, registration, origin, destination FROM flights WHERE flight_id = 'G1'`, "(UAL1,UAL,GOWN,NAN,LHR)")
	b.refuse(imports.Flights, csvOf(flightHeader, "NA,,,,,,,,,,"), "line 2", `column flight_id: "NA" says that there is nothing`)
}

// A correction of facts tells how many of the flights have been billed from the old ones.
func TestFlightsBilledFromOtherFacts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 1, 0, 0, "code,name,billing_frequency", "ACME,Acme,monthly")
	b.load(imports.Flights, 3, 0, 0, flightHeader, "F1,,,,,70000,,,,,100.5", "F2,,,,,70000,,,,,100.5", "F3,,,,,70000,,,,,100.5")
	_, err := b.owner.Exec(t.Context(), `INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at)
		SELECT flight_id, 1, '2013-01-01', '{"mtow_kg": 70000, "distance_km": "100.50"}', now() FROM flights WHERE flight_id <> 'F3'`)
	require.NoError(t, err)
	b.load(imports.Flights, 0, 0, 2, flightHeader, "F1,,,,,70000,,,,,100.50", "F2,,,,,70000,,,,,100.5")
	for changed := int64(2); changed >= 0; changed -= 2 { // and as often as the file is imported
		result, err := b.read(imports.Flights, strings.NewReader(csvOf(flightHeader, "F1,,,,,71000,,,,,100.5", "F2,,,,,70000,,,,,100.5", "F3,,,,,71000,,,,,100.5")))
		require.NoError(t, err)
		assert.Equal(t, imports.Result{Rows: 3, Changed: changed, Unchanged: 3 - changed, BilledOtherwise: 1}, result)
	}
}
