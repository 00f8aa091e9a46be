package pinot

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/pinot/pinottest"
)

// realSource reads a table of the real cluster. Its timeout is above the broker's own.
func realSource(t testing.TB, cfg Config) *Source {
	t.Helper()
	cluster := pinottest.Cluster(t)
	if cfg.Brokers == nil && cfg.Controller == "" {
		cfg.Brokers = cluster.BrokerAddresses()
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	s, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

const flightsHeader = "flight_id,callsign,operator,registration,aircraft_type,mtow_kg,origin,destination,departed_at,landed_at,distance_km,passengers"

// Rows of the flights that recordedFlight and secondFlight return.
const (
	recordedRow = "F1,UAL1545,UAL,N14228,B739,79016,KEWR,KIAH,1357034220000,1357046400000,2253.1,"
	secondRow   = "F3,AAL1,AAL,N3,B77W,351533,KJFK,EGLL,1357034220000,1357056400123,5555.55,300"
)

// kindOf returns what became of looking a flight up; empty where it was found.
func kindOf(t testing.TB, err error) billing.Kind {
	t.Helper()
	if err == nil {
		return ""
	}
	failure, ok := errors.AsType[*billing.Error](err)
	require.True(t, ok, "%v", err)
	return failure.Kind
}

// waitFound waits until a flight is found. Until then, any failure is fine but those of the given kind.
func waitFound(t testing.TB, s *Source, id string, never billing.Kind) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		_, err := s.Flight(ctx, id)
		if err == nil {
			return
		}
		require.NoError(t, ctx.Err(), "flight %s does not come back: %v", id, err)
		require.NotEqual(t, never, kindOf(t, err), "flight %s: %v", id, err)
		time.Sleep(20 * time.Millisecond)
	}
}

func TestRealFlightIsReadExactly(t *testing.T) {
	t.Parallel()
	table := pinottest.Flights(t, pinottest.CSV(
		flightsHeader,
		recordedRow,
		secondRow,
		"F2,,UAL,,,,KEWR,KIAH,,,,", // what is missing is absent, not a value
		// Text is in the time zone of Java, here 3 h 30 min behind UTC.
		"F4,null,NULL,,,1,KEWR,KIAH,2013-01-01 06:27:00,2013-01-01 09:50:00.5,1E-7,-2147483648",
		"F5,,UAL,,,2147483647,KEWR,KIAH,0,253402300799999,123456789.123456,0",
	))
	want := []billing.Flight{
		recordedFlight(),
		secondFlight(),
		{ID: "F2", Operator: "UAL", Origin: "KEWR", Destination: "KIAH"},
		{
			ID: "F4", MTOWKg: new(int64(1)), Origin: "KEWR", Destination: "KIAH",
			DepartedAt: new(time.Date(2013, 1, 1, 9, 57, 0, 0, time.UTC)),
			LandedAt:   new(time.Date(2013, 1, 1, 13, 20, 0, 500_000_000, time.UTC)),
			DistanceKm: new(decimal.RequireFromString("0.0000001")),
		},
		{
			ID: "F5", Operator: "UAL", MTOWKg: new(int64(2147483647)), Origin: "KEWR", Destination: "KIAH",
			LandedAt:   new(lastInstant),
			DistanceKm: new(decimal.RequireFromString("123456789.123456")),
		},
	}
	s := realSource(t, Config{Table: table})
	require.NoError(t, s.Check(t.Context()))
	for _, f := range want {
		got, err := s.Flight(t.Context(), f.ID)
		require.NoError(t, err)
		require.Truef(t, sameFlight(f, got), "want %+v\ngot  %+v", f, got)
	}
	_, err := s.Flight(t.Context(), "F9")
	require.Equal(t, billing.NotYet, kindOf(t, err), "%v", err)
}

func TestRealFlightLoadedTwice(t *testing.T) {
	t.Parallel()
	table := pinottest.Flights(t,
		pinottest.CSV(flightsHeader, recordedRow, secondRow),
		pinottest.CSV(flightsHeader, recordedRow, secondRow, "F6,,UAL,,,1,KEWR,KIAH,,,,"),
		pinottest.CSV(flightsHeader, "F6,,UAL,,,2,KEWR,KIAH,,,,"),
	)
	s := realSource(t, Config{Table: table})
	for _, f := range []billing.Flight{recordedFlight(), secondFlight()} {
		got, err := s.Flight(t.Context(), f.ID)
		require.NoError(t, err)
		require.Truef(t, sameFlight(f, got), "want %+v\ngot  %+v", f, got)
	}
	_, err := s.Flight(t.Context(), "F6")
	require.Equal(t, billing.NotYet, kindOf(t, err))
	require.ErrorContains(t, err, "flight F6 has 2 differing rows")
}

// More rows than Pinot returns without a LIMIT, the last of which differs.
func TestRealFlightLoadedElevenTimes(t *testing.T) {
	t.Parallel()
	rows := []string{flightsHeader}
	for range 11 {
		rows = append(rows, recordedRow)
	}
	s := realSource(t, Config{Table: pinottest.Flights(t, pinottest.CSV(rows...),
		pinottest.CSV(flightsHeader, "F1,,UAL,,,1,KEWR,KIAH,,,,"))})
	_, err := s.Flight(t.Context(), "F1")
	require.ErrorContains(t, err, "flight F1 has 2 differing rows")
}

func TestRealWrongTableOrColumnIsNoUnknownFlight(t *testing.T) {
	t.Parallel()
	table := pinottest.Flights(t, pinottest.CSV(flightsHeader, recordedRow))
	cases := map[string]struct {
		cfg            Config
		says, complain string
	}{
		"table":       {Config{Table: "test_none"}, "exception 190", "PINOT_TABLE: Pinot has no table test_none"},
		"column":      {Config{Table: table, Columns: "mtow_kg=mtow_lb"}, "exception 710", "PINOT_COLUMNS: column mtow_kg, read as mtow_lb,"},
		"key":         {Config{Table: table, Columns: "flight_id=leg_id"}, "exception 710", "PINOT_COLUMNS: column flight_id, read as leg_id,"},
		"syntax":      {Config{Table: table, Columns: "operator=a b c"}, "exception 150", "PINOT_COLUMNS: column operator, read as a b c,"},
		"function":    {Config{Table: table, Columns: "operator=nofunc(origin)"}, "exception 200", "PINOT_COLUMNS: column operator, read as nofunc(origin),"},
		"aggregate":   {Config{Table: table, Columns: "mtow_kg=SUM(mtow_kg)"}, "exception 150", "PINOT_COLUMNS: column mtow_kg, read as SUM(mtow_kg),"},
		"text":        {Config{Table: table, Columns: "landed_at=origin"}, "exception 200", "PINOT_COLUMNS: column landed_at, read as origin,"},
		"number":      {Config{Table: table, Columns: "operator=mtow_kg"}, "column operator came as a number", "PINOT_COLUMNS: column operator, read as mtow_kg,"},
		"text number": {Config{Table: table, Columns: "mtow_kg=origin"}, "", "PINOT_COLUMNS: column mtow_kg, read as origin,"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := realSource(t, tc.cfg)
			_, err := s.Flight(t.Context(), "F1")
			if tc.says != "" {
				require.Equal(t, billing.Outage, kindOf(t, err), "%v", err)
				require.ErrorContains(t, err, tc.says)
			}
			require.ErrorContains(t, s.Check(t.Context()), tc.complain)
		})
	}
}

func TestRealTableWithoutRowsIsNoUnknownFlight(t *testing.T) {
	t.Parallel()
	s := realSource(t, Config{Table: pinottest.Flights(t)})
	_, err := s.Flight(t.Context(), "F1")
	require.Equal(t, billing.Outage, kindOf(t, err))
	require.ErrorContains(t, err, "the table has no data yet")
	require.Equal(t, billing.Outage, kindOf(t, s.Check(t.Context())))
}
