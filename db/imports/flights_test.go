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

// What an airport knows of its end of a flight.
func TestFlightsMovements(t *testing.T) {
	t.Parallel()
	b := setup(t)
	header := "flight_id,callsign,operator,registration,aircraft_type,mtow_kg,origin,destination,departed_at,landed_at,distance_km,movement,mtow_lb,on_block_at,off_block_at"
	lines := []string{
		header,
		"F1,,,,,,,EIDW,,2013-01-01T10:00:00Z,,arrival,5000,2013-01-01T10:07:00Z,2013-01-01T12:14:00+01:00",
		"F2,,,,,,EIDW,,2013-01-01T10:00:00Z,,,departure,,,",
		"F3,,,,,,EIDW,EGLL,,,,,,,",
	}
	b.load(imports.Flights, 3, 0, 0, lines...)
	b.load(imports.Flights, 0, 0, 3, lines...)
	b.expect(`SELECT flight_id, movement, mtow_lb, on_block_at, off_block_at FROM flights ORDER BY flight_id`,
		`(F1,arrival,5000,"2013-01-01 10:07:00+00","2013-01-01 11:14:00+00")`, "(F2,departure,,,)", "(F3,,,,)")
	b.refuse(imports.Flights, csvOf(header, "F4,,,,,,,,,,,landing,5000.5,noon,"),
		`line 2: column movement: "landing" is not usable: write arrival, departure, or nothing for a whole leg`,
		`line 2: column mtow_lb: "5000.5"`, `line 2: column on_block_at: "noon"`)
}

// A file's facts replace those of their names, and no others.
func TestFlightsNamedFacts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Flights, 2, 0, 0, flightHeader+",fact.noise_class,FACT.Pax_Dep,fact.stand",
		"F1,,,,,,,,,,,B,12345678901234567890.12345678901234567890,\"12 \"\"A\"\" \\ \ttab\"",
		"F2,,,,,,,,,,,N/A,0,007")
	b.expect(`SELECT flight_id, facts FROM flights ORDER BY flight_id`,
		`(F1,"{""stand"": ""12 \\""A\\"" \\\\ \\ttab"", ""pax_dep"": 12345678901234567890.1234567890123456789, ""noise_class"": ""B""}")`,
		`(F2,"{""stand"": 7, ""pax_dep"": 0}")`)
	b.load(imports.Flights, 0, 0, 2, flightHeader, "F1,,,,,,,,,,", "F2,,,,,,,,,,")
	b.load(imports.Flights, 0, 0, 1, flightHeader+",fact.pax_dep", "F2,,,,,,,,,,,0.00")
	b.load(imports.Flights, 1, 1, 1, flightHeader+",fact.noise_class,fact.seats", "F1,,,,,,,,,,,C,", "F2,,,,,,,,,,,,", "F3,,,,,,,,,,,A,180")
	b.load(imports.Flights, 0, 1, 0, flightHeader+",fact.stand", "F2,,,,,,,,,,,")
	b.expect(`SELECT flight_id, facts - 'stand' FROM flights ORDER BY flight_id`,
		`(F1,"{""pax_dep"": 12345678901234567890.1234567890123456789, ""noise_class"": ""C""}")`, `(F2,"{""pax_dep"": 0}")`, `(F3,"{""seats"": 180, ""noise_class"": ""A""}")`)
	b.expect(`SELECT flight_id FROM flights WHERE facts ? 'stand'`, "(F1)")

	b.load(imports.Flights, 1, 0, 0, flightHeader+",fact.origin_country,fact.stand", "F4,,,,,,,,,,,NA,NA")
	b.expect(`SELECT facts FROM flights WHERE flight_id = 'F4'`, `("{""origin_country"": ""NA""}")`)

	b.refuse(imports.Flights, csvOf(flightHeader+",fact.noise_class,fact.seats", "F1,,,,,,,,,,,A,1", "F1,,,,,,,,,,,A,2"),
		`line 3: column flight_id: "F1" is not usable: line 2 has the same flight with another fact.seats`)
	for column, part := range map[string]string{
		"fact.noise-class": `column "fact.noise-class": fact name "noise-class" is not snake_case`, "fact.": "is not snake_case", "fact.mtow_kg": "use the column",
		"fact.tonnes": "means a quantity", "facts": `column "facts" is not known: the columns are flight_id, `, "fact.pax,fact.pax": "column fact.pax is there twice",
	} {
		b.refuse(imports.Flights, csvOf(flightHeader+","+column, "F1,,,,,,,,,,"), part)
	}
	b.refuse(imports.Flights, csvOf(flightHeader+",fact.a", "F1,,,,,,,,,,,"+strings.Repeat("x", 201)), "line 2: column fact.a: ", "200 at most")

	many := flightHeader
	for i := range 120 {
		many += fmt.Sprintf(",fact.f%d", i)
	}
	b.refuse(imports.Flights, csvOf(many, "F1,,,,,,,,,,"+strings.Repeat(","+strings.Repeat("é", 150), 120)),
		`line 2: column flight_id: "F1" is not usable: the flight's facts, with those that it has already, have more than 20000 bytes`)
	b.load(imports.Flights, 1, 0, 1, many, "F9,,,,,,,,,,"+strings.Repeat(",12", 120), "F9,,,,,,,,,,"+strings.Repeat(",12.0", 120))
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
