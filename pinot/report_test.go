package pinot

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// inspected is a broker of a table without callsigns. A row leaves out what it has
// of them.
func inspected(count int, rows ...string) answerFunc {
	types := slices.Delete(goodTypes(), 1, 2)
	return func(_ *http.Request, sql string) (int, string) {
		if strings.HasPrefix(sql, "SELECT COUNT(*)") {
			return http.StatusOK, fmt.Sprintf(`{"resultTable":{"dataSchema":{"columnDataTypes":["LONG"]},"rows":[[%d]]},
				"numServersQueried":1,"numServersResponded":1}`, count)
		}
		_, condition, one := strings.Cut(sql, "WHERE ")
		var given []string
		for _, row := range rows {
			if id := strings.Split(row, `"`)[1]; !one || strings.Contains(condition, "'"+id+"'") {
				given = append(given, "["+row+"]")
			}
		}
		return http.StatusOK, `{"resultTable":{"dataSchema":{"columnDataTypes":["` + strings.Join(types, `","`) + `"]},
			"rows":[` + strings.Join(given, ",") + `]},"numServersQueried":1,"numServersResponded":1}`
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	b := newBroker(t, inspected(
		70_000,
		`"A1","null","N1","B738",-2147483648,"KEWR","KIAH",1357034220000,1357046400000,0,0`,
		`"A2","UAL","N2","B738",74999.6,"KEWR","KIAH",1357034220000,1357046400000,2253.10,1.5`,
		`"A3","UAL","N3","B738",0,"KEWR","KIAH",0,0,100,"many"`,
	))
	closed := closedAddress(t)
	s := newSource(t, Config{Brokers: []string{closed, b.URL}, Columns: "callsign="})
	r, err := s.Inspect(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, "flights", r.Table)
	require.EqualValues(t, 70_000, *r.Rows)
	require.Equal(t, 3, r.SampledRows)
	require.Len(t, r.Brokers, 2)
	require.Equal(t, closed, r.Brokers[0].Name)
	require.Contains(t, r.Brokers[0].Problem, "connection refused")
	require.Empty(t, r.Brokers[1].Problem)
	require.Equal(t, []ColumnReport{
		{Name: "flight_id", Expression: `"flight_id"`, Type: "STRING", Value: "A1"},
		{Name: "callsign", Absent: 3},
		{Name: "operator", Expression: `"operator"`, Type: "STRING", Value: "UAL", Absent: 1},
		{Name: "registration", Expression: `"registration"`, Type: "STRING", Value: "N1"},
		{Name: "aircraft_type", Expression: `"aircraft_type"`, Type: "STRING", Value: "B738"},
		{Name: "mtow_kg", Expression: `"mtow_kg"`, Type: "INT", Value: "75000", Absent: 2},
		{Name: "origin", Expression: `"origin"`, Type: "STRING", Value: "KEWR"},
		{Name: "destination", Expression: `"destination"`, Type: "STRING", Value: "KIAH"},
		{Name: "departed_at", Expression: `"departed_at"`, Type: "LONG", Value: "2013-01-01T09:57:00Z", Absent: 1},
		{Name: "landed_at", Expression: `"landed_at"`, Type: "LONG", Value: "2013-01-01T13:20:00Z", Absent: 1},
		{Name: "distance_km", Expression: `"distance_km"`, Type: "DOUBLE", Value: "2253.1", Absent: 1},
		{
			Name: "passengers", Expression: `"passengers"`, Type: "INT", Absent: 1,
			Unreadable: 2, Problem: "has passengers 1.5, which is not a whole number",
		},
		{Name: "movement", Absent: 3},
		{Name: "mtow_lb", Absent: 3},
		{Name: "on_block_at", Absent: 3},
		{Name: "off_block_at", Absent: 3},
	}, r.Columns)
	require.Contains(t, strings.Join(b.asked(), "\n"), " LIMIT 1000")

	r, err = s.Inspect(t.Context(), "A1")
	require.NoError(t, err)
	require.Equal(t, "A1", r.Flight.ID)
	require.Empty(t, r.Columns[2].Value, "the flight's, not another row's")
	require.Equal(t, "B738", r.Columns[4].Value)

	for id, reason := range map[string]billing.Reason{"A2": billing.ReasonUnusableFacts, "A4": billing.ReasonFlightUnknown} {
		r, err = s.Inspect(t.Context(), id)
		require.NoError(t, err)
		require.Nil(t, r.Flight)
		refusal, ok := errors.AsType[*billing.Error](r.Refusal)
		require.True(t, ok)
		require.Equal(t, reason, refusal.Reason)
		require.Empty(t, r.Columns[4].Value)
		require.Equal(t, "STRING", r.Columns[4].Type)
	}
}

func TestInspectFailures(t *testing.T) {
	t.Parallel()
	for _, name := range outages() {
		b := newBroker(t, always(http.StatusOK, recorded(t, name)))
		r, err := newSource(t, Config{Brokers: []string{b.URL}}).Inspect(t.Context(), "F1")
		require.Error(t, err, name)
		require.NotEmpty(t, r.Brokers[0].Problem, name)
		require.Nil(t, r.Rows, name)
	}
	s := newSource(t, Config{Controller: closedAddress(t)})
	_, err := s.Inspect(t.Context(), "")
	failure, ok := errors.AsType[*billing.Error](err)
	require.True(t, ok)
	require.Equal(t, billing.Outage, failure.Kind)
	require.ErrorContains(t, err, "controller 127.0.0.1:")

	missing := recorded(t, "0.11-column-missing")
	b := newBroker(t, func(_ *http.Request, sql string) (int, string) {
		if strings.Contains(sql, `"passengers"`) {
			return http.StatusOK, missing
		}
		list, _, _ := strings.Cut(sql, " FROM ")
		return http.StatusOK, typedBody(goodTypes()[:strings.Count(list, ", ")+1]...)
	})
	r, err := newSource(t, Config{Brokers: []string{b.URL}}).Inspect(t.Context(), "")
	wrong, ok := errors.AsType[*ConfigError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "PINOT_COLUMNS", wrong.Setting)
	require.Empty(t, r.Brokers[0].Problem, "the broker answers")
}

// An outage that begins in the middle is none of the flight's.
func TestInspectOutageAtTheFlight(t *testing.T) {
	t.Parallel()
	fits, away := inspected(1, `"A1","UAL","N1","B738",1,"KEWR","KIAH",1,1,1,1`), recorded(t, "0.11-server-down")
	b := newBroker(t, func(r *http.Request, sql string) (int, string) {
		if strings.Contains(sql, "'A1'") {
			return http.StatusOK, away
		}
		return fits(r, sql)
	})
	r, err := newSource(t, Config{Brokers: []string{b.URL}, Columns: "callsign="}).Inspect(t.Context(), "A1")
	require.ErrorContains(t, err, "exception 425")
	require.NoError(t, r.Refusal)
}

// A fact is called the same in a column, in JSON and in a report.
func TestFactsAreCalledAsColumns(t *testing.T) {
	t.Parallel()
	f := secondFlight()
	f.Movement, f.MTOWLb, f.OnBlockAt, f.OffBlockAt = billing.Arrival, new(int64(775000)), f.LandedAt, f.LandedAt
	f.Facts = map[string]billing.Fact{"pax_transfer": billing.TextFact("0"), "noise_class": billing.TextFact("A")}
	facts, err := factsOf(f)
	require.NoError(t, err)
	require.Equal(t, "0", facts["pax_transfer"])
	require.Equal(t, "A", facts["noise_class"])
	for _, c := range columns {
		require.Contains(t, facts, c.name)
	}
	require.Len(t, facts, len(columns)+2)
	require.Equal(t, "5555.55", facts["distance_km"])
	require.Equal(t, "351533", facts["mtow_kg"])
}
