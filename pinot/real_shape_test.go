package pinot

import (
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/pinot/pinottest"
)

// legFields are another operator's table: an id of several columns, dates and times of day as integers, other units.
const legFields = `{
	"dimensionFieldSpecs": [
		{"name": "carrier", "dataType": "STRING"},
		{"name": "number", "dataType": "INT"},
		{"name": "dep", "dataType": "STRING"},
		{"name": "arr", "dataType": "STRING"},
		{"name": "tail", "dataType": "STRING"},
		{"name": "dep_date", "dataType": "INT"},
		{"name": "dep_time", "dataType": "INT"},
		{"name": "on_date", "dataType": "INT"},
		{"name": "on_time", "dataType": "INT"},
		{"name": "mtow_lb", "dataType": "INT"},
		{"name": "dist_nm", "dataType": "FLOAT"},
		{"name": "vip", "dataType": "BOOLEAN"},
		{"name": "via", "dataType": "STRING", "singleValueField": false},
		{"name": "note", "dataType": "STRING"}
	],
	"metricFieldSpecs": [{"name": "pax", "dataType": "LONG"}]
}`

// legColumns is the example of the README. An absent date becomes one before 1970, which is absent.
const legColumns = `
	flight_id     = CONCAT(CONCAT(UPPER(carrier), number, ''), CONCAT(dep_date, dep, '-'), '-'),
	callsign      = CONCAT(UPPER(carrier), number, ''),
	operator      = UPPER(carrier),
	registration  = tail,
	aircraft_type = ,
	mtow_kg       = CASE WHEN mtow_lb < 0 THEN 0 ELSE mtow_lb * 0.45359237 END,
	origin        = dep,
	destination   = arr,
	departed_at   = fromDateTime(CASE WHEN dep_date < 0 THEN 19000101 ELSE dep_date END, 'yyyyMMdd')
	                + FLOOR(dep_time / 100) * 3600000 + MOD(dep_time, 100) * 60000,
	landed_at     = fromDateTime(CASE WHEN on_date < 0 THEN 19000101 ELSE on_date END, 'yyyyMMdd')
	                + FLOOR(on_time / 100) * 3600000 + MOD(on_time, 100) * 60000,
	distance_km   = dist_nm * 1.852,
	passengers    = pax`

const legHeader = "carrier,number,dep,arr,tail,dep_date,dep_time,on_date,on_time,mtow_lb,dist_nm,vip,via,note,pax"

func TestRealTableOfAnotherShape(t *testing.T) {
	t.Parallel()
	table := pinottest.Table(t, legFields, pinottest.CSV(
		legHeader,
		"ua,1545,KEWR,KIAH,N14228,20130101,457,20130101,5,165347,1216.5,true,KORD,x,0",
		"AA,7,KJFK,EGLL,,20130228,2359,20130228,2400,,,,,,112",
		"DL,8,KJFK,KATL,,20130228,,,630,351000,100,,,,",
	))
	want := []billing.Flight{
		{
			ID: "UA1545-20130101-KEWR", Callsign: "UA1545", Operator: "UA", Registration: "N14228", Origin: "KEWR", Destination: "KIAH",
			MTOWKg: new(int64(75000)), MTOWLb: new(int64(165347)), // a column of the table
			DepartedAt: new(time.Date(2013, 1, 1, 4, 57, 0, 0, time.UTC)),
			LandedAt:   new(time.Date(2013, 1, 1, 0, 5, 0, 0, time.UTC)),
			DistanceKm: new(decimal.RequireFromString("2252.958")),
		},
		{
			ID: "AA7-20130228-KJFK", Callsign: "AA7", Operator: "AA", Origin: "KJFK", Destination: "EGLL", Passengers: new(int64(112)),
			DepartedAt: new(time.Date(2013, 2, 28, 23, 59, 0, 0, time.UTC)),
			LandedAt:   new(time.Date(2013, 3, 1, 0, 0, 0, 0, time.UTC)),
		},
		{ // the time of day without the date, and the date without the time of day
			ID: "DL8-20130228-KJFK", Callsign: "DL8", Operator: "DL", Origin: "KJFK", Destination: "KATL",
			MTOWKg: new(int64(159211)), MTOWLb: new(int64(351000)), DistanceKm: new(decimal.RequireFromString("185.20000000000002")), // Pinot's sum
		},
	}
	s := realSource(t, Config{Table: table, Columns: legColumns})
	require.NoError(t, s.Check(t.Context()))
	for _, f := range want {
		got, err := s.Flight(t.Context(), f.ID)
		require.NoError(t, err)
		require.Truef(t, sameFlight(f, got), "want %+v\ngot  %+v", f, got)
	}
	_, err := s.Flight(t.Context(), "UA1545-20130102-KEWR")
	require.Equal(t, billing.NotYet, kindOf(t, err))

	misfits := map[string]string{
		"passengers=vip":       "column passengers, read as vip, does not fit",
		"passengers=via":       "column passengers, read as via, does not fit",
		"registration=via":     "column registration, read as via, does not fit",
		"registration=number":  "column registration, read as number, does not fit",
		"callsign=vip":         "column callsign, read as vip, does not fit",
		"landed_at=note":       "column landed_at, read as note, does not fit",
		"landed_at=via":        "column landed_at, read as via, does not fit",
		"mtow_kg=carrier":      "column mtow_kg, read as carrier, does not fit",
		"mtow_kg=mtow_kg":      "column mtow_kg, read as mtow_kg, does not fit",
		"mtow_kg=FLOR(number)": "column mtow_kg, read as FLOR(number), does not fit",
		"flight_id=number":     "column flight_id, read as number, does not fit",
	}
	for columns, says := range misfits {
		t.Run(columns, func(t *testing.T) {
			t.Parallel()
			rest := "flight_id=carrier,callsign=,operator=carrier,registration=,aircraft_type=,mtow_kg=,origin=dep,destination=arr,departed_at=,landed_at=on_date,distance_km=,passengers="
			s := realSource(t, Config{Table: table, Columns: replaceColumn(rest, columns)})
			err := s.Check(t.Context())
			require.ErrorContains(t, err, "PINOT_COLUMNS: "+says)
		})
	}
}

// replaceColumn puts one column's mapping in the place of another for it.
func replaceColumn(columns, with string) string {
	name, _, _ := strings.Cut(with, "=")
	pieces := strings.Split(columns, ",")
	for i, piece := range pieces {
		if strings.HasPrefix(piece, name+"=") {
			pieces[i] = with
		}
	}
	return strings.Join(pieces, ",")
}
