package pinot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// flightRow is a row of rowsBody for this id.
func flightRow(id string, others ...string) map[string]string {
	row := map[string]string{"flight_id": `"` + id + `"`}
	for i := 0; i < len(others); i += 2 {
		row[others[i]] = others[i+1]
	}
	return row
}

func TestFlights(t *testing.T) {
	t.Parallel()
	many := make([]map[string]string, 150)
	for i := range many {
		many[i] = flightRow("A1", "mtow_kg", fmt.Sprint(1000+i%2))
	}
	cases := []struct {
		name string
		rows []map[string]string
		ids  []string
		want []string
	}{
		{"all", []map[string]string{flightRow("A1"), flightRow("A2")}, []string{"A2", "A1"}, []string{"A1", "A2"}},
		{"one unknown", []map[string]string{flightRow("A1")}, []string{"A1", "A2"}, []string{"A1"}},
		{"none", nil, []string{"A1", "A2"}, nil},
		{"loaded twice", []map[string]string{flightRow("A1"), flightRow("A2"), flightRow("A1")}, []string{"A1", "A2"}, []string{"A1", "A2"}},
		{
			"one ambiguous",
			[]map[string]string{flightRow("A1", "operator", `"X"`), flightRow("A2"), flightRow("A1", "operator", `"Y"`)},
			[]string{"A1", "A2"},
			[]string{"A2"},
		},
		{"one unusable", []map[string]string{flightRow("A1", "passengers", "1.5"), flightRow("A2")}, []string{"A1", "A2"}, []string{"A2"}},
		{"one unreadable", []map[string]string{flightRow("A1", "operator", "5"), flightRow("A2")}, []string{"A1", "A2"}, []string{"A2"}},
		{"another flight's row", []map[string]string{flightRow("A1"), flightRow("A3")}, []string{"A1", "A2"}, nil},
		{"a row of no flight", []map[string]string{flightRow("A1"), flightRow("null")}, []string{"A1", "A2"}, nil},
		{"an id that is no text", []map[string]string{flightRow("A1"), {"flight_id": "5"}}, []string{"A1", "A2"}, nil},
		{"twice the same", []map[string]string{flightRow("A1")}, []string{"A1", "A1"}, []string{"A1"}},
		{"ids that none can have", []map[string]string{flightRow("A1")}, []string{"A1", "", "null", "F\xff"}, []string{"A1"}},
		{"cut", append(many[:99:99], flightRow("A2")), []string{"A1", "A2"}, nil},
		{"not cut", append(many[:98:98], flightRow("A2")), []string{"A1", "A2"}, []string{"A2"}},
		{"too many rows of one", make([]map[string]string, rowLimit), append(manyIDs(MaxFlights-1), "F1"), nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t, always(http.StatusOK, rowsBody(tc.rows...)))
			s := newSource(t, Config{Brokers: []string{b.URL}})
			got, err := s.Flights(t.Context(), tc.ids)
			require.NoError(t, err)
			require.NotNil(t, got)
			require.Equal(t, tc.want, slices.Sorted(maps.Keys(got)))
			for id, f := range got {
				require.Equal(t, id, f.ID)
				require.EqualValues(t, 1357046400000, *f.MTOWKg)
			}
			require.Len(t, b.asked(), 1)
		})
	}
}

func manyIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("B%02d", i)
	}
	return ids
}

func TestFlightsQuery(t *testing.T) {
	t.Parallel()
	b := newBroker(t, always(http.StatusOK, recorded(t, "0.11-unknown")))
	s := newSource(t, Config{Brokers: []string{b.URL}, Columns: `flight_id=CONCAT(carrier, CONCAT("day", origin, '-'), '-')`})
	asked := func(ids ...string) string {
		_, err := s.Flights(t.Context(), ids)
		require.NoError(t, err)
		all := b.asked()
		_, where, _ := strings.Cut(all[len(all)-1], ` FROM "flights" WHERE `)
		return where
	}
	const key = `(CONCAT(carrier, CONCAT("day", origin, '-'), '-'))`
	require.Equal(t, key+" = 'A1' LIMIT 100", asked("A1"))
	require.Equal(t, key+" IN ('A1', 'x'') OR (1=1', 'é') LIMIT 100", asked("x') OR (1=1", "A1", "é", "A1"))
	require.True(t, strings.HasSuffix(asked(manyIDs(MaxFlights)...), "'B48', 'B49') LIMIT 500"))
	before := len(b.asked())
	for _, none := range [][]string{nil, {"", "null"}} {
		got, err := s.Flights(t.Context(), none)
		require.NoError(t, err)
		require.Empty(t, got)
	}
	_, err := s.Flights(t.Context(), manyIDs(MaxFlights+1))
	require.ErrorContains(t, err, "51 flights asked for at once; the most is 50")
	require.Len(t, b.asked(), before)
}

// outages are recorded answers that Pinot does not vouch for.
func outages() []string {
	return []string{
		"0.11-server-down", "0.11-server-gone", "0.11-server-restarting", "0.11-broker-starting", "0.11-one-of-two-frozen",
		"0.11-timeout", "0.11-table-missing", "1.x-one-of-two-frozen", "1.x-fewer-servers", "1.x-partial", "1.x-server-gone",
	}
}

func TestFlightsAndProbeDuringAnOutage(t *testing.T) {
	t.Parallel()
	for _, name := range outages() {
		b := newBroker(t, always(http.StatusOK, recorded(t, name)))
		s := newSource(t, Config{Brokers: []string{b.URL}})
		_, flightsErr := s.Flights(t.Context(), []string{"F1", "F2"})
		for _, err := range []error{flightsErr, s.Probe(t.Context())} {
			failure, ok := errors.AsType[*billing.Error](err)
			require.True(t, ok, "%s: %v", name, err)
			require.Equal(t, billing.Outage, failure.Kind)
			require.ErrorContains(t, err, strings.TrimPrefix(b.URL, "http://"))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := newSource(t, Config{Brokers: []string{"127.0.0.1:1"}})
	_, err := s.Flights(ctx, []string{"F1"})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Probe(ctx), context.Canceled)
}

func TestProbe(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		recorded(t, "0.11-unknown"), recorded(t, "1.x-unknown"),
		rowsBody(flightRow("?", "operator", "5")), // a broken row is no outage
	} {
		b := newBroker(t, always(http.StatusOK, body))
		s := newSource(t, Config{Brokers: []string{b.URL}})
		require.NoError(t, s.Probe(t.Context()))
		require.Len(t, b.asked(), 1)
		require.Contains(t, b.asked()[0], `WHERE ("flight_id") = '?' LIMIT 100`)
	}
}

// The servers come back between a look-up that no server was asked for and the count
// that tells partitions from an outage: the flight is not unknown.
func TestServersComeBackDuringALookUp(t *testing.T) {
	t.Parallel()
	gone, flight := recorded(t, "1.x-server-gone"), recorded(t, "1.x-flight")
	const counted = `{"resultTable":{"dataSchema":{"columnNames":["count(*)"],"columnDataTypes":["LONG"]},"rows":[[7]]},
		"exceptions":[],"numServersQueried":1,"numServersResponded":1}`
	back := false
	b := newBroker(t, func(_ *http.Request, sql string) (int, string) {
		switch {
		case sql == `SELECT COUNT(*) FROM "flights"`:
			back = true
			return http.StatusOK, counted
		case back:
			return http.StatusOK, flight
		default:
			return http.StatusOK, gone
		}
	})
	s := newSource(t, Config{Brokers: []string{b.URL}})
	_, err := s.Flight(t.Context(), "F1")
	require.NoError(t, err)
}

// A broker asks no server where the table's partitions rule the flight out.
func TestPartitionsRuleTheFlightOut(t *testing.T) {
	t.Parallel()
	const counted = `{"resultTable":{"dataSchema":{"columnNames":["count(*)"],"columnDataTypes":["LONG"]},"rows":[[7]]},
		"exceptions":[],"numServersQueried":2,"numServersResponded":%d}`
	for name, responded := range map[string]int{"ruled out": 2, "half of Pinot is away": 1} {
		pruned := recorded(t, "1.x-server-gone")
		b := newBroker(t, func(_ *http.Request, sql string) (int, string) {
			if sql == `SELECT COUNT(*) FROM "flights"` {
				return http.StatusOK, fmt.Sprintf(counted, responded)
			}
			return http.StatusOK, pruned
		})
		s := newSource(t, Config{Brokers: []string{b.URL}})
		_, err := s.Flight(t.Context(), "F1")
		failure, ok := errors.AsType[*billing.Error](err)
		require.True(t, ok, name)
		probeErr := s.Probe(t.Context())
		found, flightsErr := s.Flights(t.Context(), []string{"F1", "F2"})
		if responded == 2 {
			require.Equal(t, billing.ReasonFlightUnknown, failure.Reason, name)
			require.NoError(t, probeErr)
			require.NoError(t, flightsErr)
			require.Empty(t, found)
			continue
		}
		require.Equal(t, billing.ReasonSourceDown, failure.Reason, name)
		require.ErrorContains(t, probeErr, "only 1 of 2 servers responded")
		require.ErrorContains(t, flightsErr, "only 1 of 2 servers responded")
	}
}

// The one broker that answers is found where both failed a moment ago.
func TestProbeTriesAll(t *testing.T) {
	t.Parallel()
	up := recorded(t, "1.x-unknown")
	var answers atomic.Bool
	back := newBroker(t, func(*http.Request, string) (int, string) {
		if answers.Load() {
			return http.StatusOK, up
		}
		return http.StatusServiceUnavailable, ""
	})
	s := newSource(t, Config{Brokers: []string{closedAddress(t), back.URL}})
	require.Error(t, s.Probe(t.Context()))
	answers.Store(true)
	for range 4 {
		require.NoError(t, s.Probe(t.Context()))
	}
}
