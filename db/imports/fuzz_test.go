package imports

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
	"github.com/flightbill/flightbill/document"
	"github.com/flightbill/flightbill/internal/csvcell"
)

// A file may have as many bytes as are allowed, and no more; so may a row.
func TestBounds(t *testing.T) {
	t.Parallel()
	read := func(text string, most int64) (records int, err error) {
		rows := newRows(strings.NewReader(text), most)
		for ; err == nil; records++ {
			_, err = rows.next()
		}
		return records - 1, err
	}
	records, err := read("a\nb\n", 4)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 2, records)
	_, err = read("a\nb\n", 3)
	require.ErrorContains(t, err, "the file has more than")
	records, err = read(strings.Repeat("x", maxRow), 0)
	require.ErrorIs(t, err, io.EOF)
	require.Equal(t, 1, records)
	_, err = read(strings.Repeat("x", maxRow+1), 0)
	require.ErrorContains(t, err, "the row has more than 1048576 bytes")
}

// FuzzFiles: whatever a file holds, its rows can be kept, or each error names the file.
func FuzzFiles(f *testing.F) {
	files, err := filepath.Glob("testdata/*.csv")
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text[:min(len(text), 500)])
	}
	for _, seed := range []string{
		"code,name,operators,aircraft\nA,B,\"X@2025-01-01..2026-01-01 Y\",G-OWN\n", "code;name\n", "code,name\r\nA,\"B\"\"\r\n\"\r\n",
		"\xff\xfeA", "PK\x03\x04", "\x1f\x8b", "\ufeffcode,name,billing_frequency\rA,B,monthly\r", "code,name\nA,\x00\n", "code,name\nA,\"B\n", ",,\n\ncode\nA\n",
		"flight_id,callsign,operator,registration,aircraft_type,mtow_kg,origin,destination,departed_at,landed_at,distance_km,movement,fact.a,fact.b\nF1,,,,,,,,,,,arrival,\"\\\"\"\",0\n",
		"registration,valid_from,valid_to,aircraft_type,mtow_kg,fact.noise_class\nG-OWN,2025-01-01,2025-01-01,A320,73500,B\nG OWN,2025-01-01,,,,\n",
		"Date,USD,CYP,\n2026-03-02,1.08,N/A,\n", "currency,in_currency,day,rate\nUSD,EUR,2026-03-02,1e9\n", "name,vat_id,iban,country\nA,,IE29,NA\n",
		"aircraft_type,mtow_kg,fact.seats\nA320,0,180\n", "code,other_codes,country,timezone\nEGLL,LHR London-Heathrow,GB,Europe/London\nLHR,,gb,GMT0\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for kind, l := range loaders {
			file, err := openCSV("f.csv", bytes.NewReader(text), l.columns, maxKept, nil)
			if err != nil {
				require.True(t, strings.HasPrefix(err.Error(), "f.csv: "), "%v", err)
				continue
			}
			var kept []string
			switch kind {
			case Customers:
				for _, row := range readCustomers(file) {
					kept = append(kept, row.code)
					if row.name != nil {
						kept = append(kept, *row.name)
					}
				}
			case Tariffs:
				for _, row := range readTariffs(file) {
					kept = append(kept, row.tariff.Code, row.tariff.Description, row.tariff.Airport)
					require.LessOrEqual(t, len(row.tariff.UnitRate.String()), 200)
				}
			case Aircraft, AircraftTypes, Airports:
				open := map[Kind]func(*dbsqlc.Queries) register{Aircraft: openAircraft, AircraftTypes: openAircraftTypes, Airports: openAirports}[kind]
				for _, row := range readRegister(file, open(nil)) {
					kept = slices.AppendSeq(kept, maps.Values(row.cells))
					_, err := json.Marshal(row.facts)
					require.NoError(t, err)
				}
			case Issuer:
				for file.next() {
					for column, value := range file.master(document.IssuerColumns) {
						if column != "country" { // NA is Namibia
							kept = append(kept, value)
						}
					}
				}
			case Rates:
				for _, row := range readRates(file) {
					kept = append(kept, row.currency, row.inCurrency, row.rate)
				}
			case Flights:
				source := &flightCopy{file: file, facts: []string{"movement", "on_block_at", factsColumn}}
				for file.next() {
					before := len(file.problems)
					source.buf = source.buf[:0]
					source.addRow()
					if len(file.problems) == before {
						require.Equal(t, 1, bytes.Count(source.buf, []byte("\n")), "%q", source.buf)
						require.True(t, db.ValidFlightID(file.raw("flight_id")))
					}
				}
			}
			if err := file.err(); err != nil {
				for line := range strings.Lines(err.Error()) {
					require.True(t, strings.HasPrefix(line, "f.csv: "), "%v", err)
				}
				continue
			}
			for _, value := range kept {
				require.True(t, utf8.ValidString(value) && !strings.Contains(value, "\x00"), "%q", value)
				require.Equal(t, billing.CleanText(value), value)
			}
		}
		_ = FlightIDs("f.csv", bytes.NewReader(text), func(id string) error {
			require.True(t, db.ValidFlightID(id), "%q", id)
			return nil
		})
	})
}

// FuzzDecimal: what is taken for a number is one to Postgres too, and has no exponent that
// arithmetic would write out.
func FuzzDecimal(f *testing.F) {
	for _, seed := range []string{"0", "-0.5", "5.", ".5", "1e9", "1e999999999", "٣", "0x1", "1_0", "+1", "--1", "NaN", "Infinity", strings.Repeat("9", 101)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cell string) {
		if !csvcell.IsDecimal(cell) {
			return
		}
		file := &csvFile{columns: map[string]int{"x": 0}, record: []string{cell}}
		d := file.decimal("x", "")
		require.NotNil(t, d, cell)
		require.LessOrEqual(t, len(d.String()), 100)
		require.Regexp(t, `^-?[0-9]+(\.[0-9]+)?$`, cell)
	})
}
