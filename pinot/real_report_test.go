package pinot

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/pinot/pinottest"
)

func TestRealFlightsProbeAndInspect(t *testing.T) {
	t.Parallel()
	table := pinottest.Flights(t,
		pinottest.CSV(flightsHeader, recordedRow, secondRow, "F2,,UAL,,,,KEWR,KIAH,,,,"),
		pinottest.CSV(flightsHeader, secondRow, "F4,,UAL,N4,,5,KEWR,KIAH,,,,", "F4,,DAL,N4,,5,KEWR,KIAH,,,,"),
	)
	for _, columns := range []string{"", `flight_id=CONCAT(SUBSTR("flight_id", 0, 1), SUBSTR("flight_id", 1), '')`} {
		s := realSource(t, Config{Table: table, Columns: columns})
		require.NoError(t, s.Probe(t.Context()))
		ids := []string{"F1", "F2", "F3", "F4", "F5", "x' OR '1'='1", `\`}
		answers, err := s.Flights(t.Context(), ids)
		require.NoError(t, err)
		for id, want := range map[string]billing.Flight{"F1": recordedFlight(), "F3": secondFlight()} {
			require.True(t, sameFlight(want, answers[id].Flight), "want %+v\ngot  %+v", want, answers[id])
		}
		for _, id := range ids {
			f, err := s.Flight(t.Context(), id)
			require.Equal(t, billing.Answer{Flight: f, Err: err}, answers[id])
		}
		require.ErrorContains(t, answers["F4"].Err, "has 2 differing rows")
		report, err := s.Inspect(t.Context(), "F2")
		require.NoError(t, err)
		require.EqualValues(t, 6, *report.Rows)
		require.Equal(t, 6, report.SampledRows)
		require.Equal(t, "UAL", report.Flight.Operator)
		landed, mass := report.Columns[9], report.Columns[5]
		require.Equal(t, ColumnReport{Name: "mtow_kg", Expression: `"mtow_kg"`, Type: "INT", Absent: 1}, mass)
		require.Equal(t, ColumnReport{Name: "landed_at", Expression: `"landed_at"`, Type: "LONG", Absent: 3}, landed)
	}
}
