package imports_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/imports"
)

// endless is a start, and then one text for ever; it counts what is read.
type endless struct {
	start, again string
	rest         string // of again
	read         int64
}

func (e *endless) Read(p []byte) (n int, _ error) {
	n = copy(p, e.start)
	e.start = e.start[n:]
	for n < len(p) && e.start == "" {
		if e.rest == "" {
			e.rest = e.again
		}
		copied := copy(p[n:], e.rest)
		e.rest, n = e.rest[copied:], n+copied
	}
	e.read += int64(n)
	return n, nil
}

const (
	customersHeader = "code,name,operators,billing_frequency\n"
	tariffsHeader   = "code,description,basis,airport,applies_to,band_from,band_to,unit_rate,minimum,currency,tax_rate,valid_from,valid_to\n"
	flightsHeader   = "flight_id,callsign,operator,registration,aircraft_type,mtow_kg,origin,destination,departed_at,landed_at,distance_km\n"
	aTariff         = "LANDING,,per_flight,,any,,,5.50,,EUR,0,2025-01-01,\n"
)

// A file that does not end, or is a bomb of gzip, is refused before it fills memory.
func TestEndlessFiles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const row = "the row has more than 1048576 bytes: is there a quote that is not closed?"
	for name, c := range map[string]struct {
		kind         imports.Kind
		start, again string
		want         string
		most         int64
	}{
		"no line":       {imports.Flights, "", "x", "file.csv: the file cannot be read on from here: " + row, 2 << 20},
		"zeros":         {imports.Flights, "", "\x00", "file.csv: the file cannot be read on from here: " + row, 2 << 20},
		"columns":       {imports.Flights, "", "a,", "file.csv: the file cannot be read on from here: " + row, 2 << 20},
		"an open quote": {imports.Flights, flightsHeader + "F1,,,,,,,,,,\nF2,\"", "x\n", "file.csv: line 3: the file cannot be read on from here: " + row, 2 << 20},
		"a cell":        {imports.Flights, flightsHeader + "F1,,,,,,,,,,\nF2,", "x", "file.csv: line 3: the file cannot be read on from here: " + row, 2 << 20},
		"cells":         {imports.Customers, customersHeader + "A,", ",", "file.csv: line 2: the file cannot be read on from here: " + row, 2 << 20},
		"blank lines":   {imports.Customers, customersHeader, "\n", row, 2 << 20},
		"one customer for ever": {
			imports.Customers, customersHeader, "A," + strings.Repeat("x", 1000) + ",,monthly\n",
			"the file has more than 67108864 bytes, unpacked: split it", 65 << 20,
		},
	} {
		file := &endless{start: c.start, again: c.again}
		b.refuseFrom(c.kind, file, c.want)
		assert.LessOrEqual(t, file.read, c.most, name)
	}
	for start, want := range map[string]string{
		"":           "ids.txt: line 1: the file cannot be read on from here: " + row,
		"F1\n\"":     "ids.txt: line 2: the file cannot be read on from here: " + row,
		"F1\n\n\nF2": "ids.txt: line 4: the file cannot be read on from here: " + row,
	} {
		file := &endless{start: start, again: "x"}
		err := imports.FlightIDs("ids.txt", file, func(string) error { return nil })
		require.ErrorContains(t, err, want)
		require.LessOrEqual(t, file.read, int64(2<<20))
	}

	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	_, err := io.CopyN(w, &endless{start: customersHeader + `A,"`, again: "x"}, 200<<20)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	size := bomb.Len()
	b.refuseFrom(imports.Customers, &bomb, row)
	require.Greater(t, bomb.Len(), size/2, "most of it is not even unpacked")
}

func TestLongCells(t *testing.T) {
	t.Parallel()
	b := setup(t)
	long := strings.Repeat("é", 201)
	shown := `"` + strings.Repeat("é", 80) + `"…`
	b.refuse(imports.Flights, flightsHeader+"F1,"+long+",,,,,,,,,\n", "file.csv: line 2: column callsign: "+shown+" has 201 characters: 200 at most")
	b.refuse(imports.Customers, customersHeader+"A,"+strings.Repeat(long, 5)+",,monthly\n", "file.csv: line 2: column name: "+shown+" has 1005 characters: 1000 at most")
	b.refuse(imports.Tariffs, tariffsHeader+"A,"+strings.Repeat(long, 5)+strings.TrimPrefix(aTariff, "LANDING,"), "file.csv: line 2: column description: "+shown)
	b.refuse(imports.Tariffs, tariffsHeader+strings.Replace(aTariff, "5.50", strings.Repeat("9", 10_000), 1), "line 2: column unit_rate: ", " has 10000 characters: 200 at most")
	b.refuse(imports.Tariffs, tariffsHeader+strings.Replace(aTariff, "5.50", "1e999999999", 1), `line 2: column unit_rate: "1e999999999" is not usable`)
	b.refuse(imports.Flights, flightsHeader+"F1,,,,,1e999999999,,,,,1e-999999999\n", `column mtow_kg: "1e999999999" is not usable`, `column distance_km: "1e-999999999" is not usable`)
	b.refuse(imports.Flights, flightsHeader+"F1,,A\x00B,,,,,,,,\n", `column operator: "A\x00B" is not text in UTF-8`)

	// Many operators are no long text.
	operators := make([]string, 500)
	for i := range operators {
		operators[i] = "OP" + strings.Repeat("I", i+1)
	}
	b.load(imports.Customers, 1, 0, 0, strings.TrimSpace(customersHeader), "A,"+strings.Repeat("é", 1000)+`,"`+strings.Join(operators, " ")+`",monthly`)
}
