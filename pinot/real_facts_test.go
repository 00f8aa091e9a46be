package pinot

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/pinot/pinottest"
)

// airportFields are those of an airport's table: movements, stand times, and facts of its own.
const airportFields = `{
	"dimensionFieldSpecs": [
		{"name": "flight_id", "dataType": "STRING"},
		{"name": "operator", "dataType": "STRING"},
		{"name": "origin", "dataType": "STRING"},
		{"name": "destination", "dataType": "STRING"},
		{"name": "movement", "dataType": "STRING"},
		{"name": "mtow_lb", "dataType": "INT"},
		{"name": "noise_cat", "dataType": "STRING"},
		{"name": "stand", "dataType": "STRING"},
		{"name": "nox", "dataType": "DOUBLE"},
		{"name": "training", "dataType": "BOOLEAN"},
		{"name": "agents", "dataType": "STRING", "singleValueField": false}
	],
	"metricFieldSpecs": [{"name": "fee", "dataType": "BIG_DECIMAL"}, {"name": "pax_trf", "dataType": "INT"}, {"name": "passengers", "dataType": "INT"}],
	"dateTimeFieldSpecs": [
		{"name": "departed_at", "dataType": "TIMESTAMP", "format": "1:MILLISECONDS:TIMESTAMP", "granularity": "1:MILLISECONDS"},
		{"name": "landed_at", "dataType": "TIMESTAMP", "format": "1:MILLISECONDS:TIMESTAMP", "granularity": "1:MILLISECONDS"},
		{"name": "on_block_at", "dataType": "TIMESTAMP", "format": "1:MILLISECONDS:TIMESTAMP", "granularity": "1:MILLISECONDS"},
		{"name": "off_block_at", "dataType": "LONG", "format": "1:MILLISECONDS:EPOCH", "granularity": "1:MILLISECONDS"}
	]
}`

const (
	airportHeader  = "flight_id,operator,origin,destination,movement,mtow_lb,noise_cat,stand,nox,fee,training,agents,pax_trf,passengers,departed_at,landed_at,on_block_at,off_block_at"
	airportColumns = "callsign=,registration=,aircraft_type=,mtow_kg=,distance_km="
	airportFacts   = "noise_class=noise_cat, stand=stand, nox_kg=nox, fee=fee, training=CAST(training AS STRING), pax_transfer=pax_trf"
)

func TestRealFacts(t *testing.T) {
	t.Parallel()
	const a1 = "A1,UAL,KEWR,KIAH,ARRIVAL,165347,A,1E3,8.25,12.5,true,x;y,14,180,,1357046400000,1357046700000,1357050300000"
	table := pinottest.Table(t, airportFields,
		pinottest.CSV(airportHeader, a1,
			"D1,UAL,KIAH,KEWR,departure,,b,007,,,false,,0,0,1357034220000,,,",
			"L1,UAL,KIAH,KEWR,,,,,,,,,,,,1357046400000,,",
			"X1,UAL,KIAH,KEWR,arrival,,A,,,,,,,,,1357046400000,,",
			"X2,UAL,KIAH,KEWR,both,,A,,,,,,,,,1357046400000,,",
		),
		pinottest.CSV(airportHeader, a1, "X1,UAL,KIAH,KEWR,arrival,,B,,,,,,,,,1357046400000,,"),
	)
	at := func(ms int64) *time.Time { return new(time.UnixMilli(ms).UTC()) }
	want := []billing.Flight{
		{
			ID: "A1", Operator: "UAL", Origin: "KEWR", Destination: "KIAH", Movement: billing.Arrival, MTOWLb: new(int64(165347)), Passengers: new(int64(180)),
			LandedAt: at(1357046400000), OnBlockAt: at(1357046700000), OffBlockAt: at(1357050300000),
			Facts: map[string]billing.Fact{
				"noise_class": billing.TextFact("A"), "stand": billing.TextFact("1E3"), "nox_kg": billing.NumberFact(decimal.RequireFromString("8.25")),
				"fee": billing.NumberFact(decimal.RequireFromString("12.5")), "training": billing.TextFact("true"), "pax_transfer": billing.TextFact("14"),
			},
		},
		{
			ID: "D1", Operator: "UAL", Origin: "KIAH", Destination: "KEWR", Movement: billing.Departure, DepartedAt: at(1357034220000),
			Facts: map[string]billing.Fact{
				"noise_class": billing.TextFact("b"), "stand": billing.TextFact("007"), "training": billing.TextFact("false"), "pax_transfer": billing.TextFact("0"),
			},
		},
		{
			ID: "L1", Operator: "UAL", Origin: "KIAH", Destination: "KEWR", LandedAt: at(1357046400000),
			Facts: map[string]billing.Fact{"training": billing.TextFact("false"), "pax_transfer": billing.TextFact("0")},
		},
	}
	s := realSource(t, Config{Table: table, Columns: airportColumns, Facts: airportFacts, Zeros: "pax_transfer"})
	require.NoError(t, s.Check(t.Context()))
	for _, f := range want {
		got, err := s.Flight(t.Context(), f.ID)
		require.NoError(t, err)
		require.Truef(t, sameFlight(f, got), "want %+v\ngot  %+v", f, got)
	}
	_, err := s.Flight(t.Context(), "X1")
	require.ErrorContains(t, err, "has 2 differing rows", "in a fact")
	_, err = s.Flight(t.Context(), "X2")
	require.ErrorContains(t, err, `has movement "both", which is not arrival or departure`)

	report, err := s.Inspect(t.Context(), "A1")
	require.NoError(t, err)
	require.Equal(t, ColumnReport{Name: "movement", Expression: `"movement"`, Type: "STRING", Value: "arrival", Absent: 1, Unreadable: 1, Problem: report.Columns[12].Problem}, report.Columns[12])
	require.Equal(t, ColumnReport{Name: "fee", Expression: "fee", Type: "BIG_DECIMAL", Value: "12.5", Absent: 5}, report.Columns[len(columns)+3])
	require.Equal(t, ColumnReport{Name: "pax_transfer", Expression: "pax_trf", Type: "INT", Value: "14"}, report.Columns[len(columns)+5])

	without := realSource(t, Config{Table: table, Columns: airportColumns + ",movement=,mtow_lb=", Facts: "pax_transfer=pax_trf"})
	f, err := without.Flight(t.Context(), "D1")
	require.NoError(t, err)
	require.Equal(t, billing.Leg, f.Movement)
	require.Empty(t, f.Facts, "a 0 is a missing number")

	for facts, says := range map[string]string{
		"training=training": "fact training, read as training, does not fit",
		"x=agents":          "fact x, read as agents, does not fit",
		"x=on_block_at":     "fact x, read as on_block_at, does not fit",
		"x=nothing":         "fact x, read as nothing, does not fit",
	} {
		s := realSource(t, Config{Table: table, Columns: airportColumns, Facts: facts})
		require.ErrorContains(t, s.Check(t.Context()), "PINOT_FACTS: "+says)
	}
}
