package pinot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

// table answers as Pinot does that has these rows: those of the ids asked for, up to LIMIT. One that is "found as"
// another comes where that is asked for.
func table(rows ...map[string]string) answerFunc {
	return func(_ *http.Request, sql string) (int, string) {
		ids, limit := askedFor(sql)
		var found []map[string]string
		for _, row := range rows {
			of := cmp.Or(row["found as"], strings.Trim(row["flight_id"], `"`))
			if slices.Contains(ids, of) && len(found) < limit {
				found = append(found, row)
			}
		}
		return http.StatusOK, rowsBody(found...)
	}
}

// askedFor reads a query for flights.
func askedFor(sql string) (ids []string, limit int) {
	_, rest, _ := strings.Cut(sql, ` WHERE ("flight_id") `)
	for {
		at := strings.IndexByte(rest, '\'')
		if at < 0 {
			break
		}
		var id string
		id, rest, _ = parseLiteral(rest[at:])
		ids = append(ids, id)
	}
	_, _ = fmt.Sscanf(strings.TrimPrefix(rest, ")"), " LIMIT %d", &limit)
	return ids, limit
}

func rowsOf(ids []string) []map[string]string {
	rows := make([]map[string]string, len(ids))
	for i, id := range ids {
		rows[i] = flightRow(id)
	}
	return rows
}

func TestFlights(t *testing.T) {
	t.Parallel()
	a1, a2 := flightRow("A1"), flightRow("A2")
	times := func(n int, id string) []map[string]string { return rowsOf(slices.Repeat([]string{id}, n)) }
	const (
		unknown    = "is not in the flight source yet"
		unreadable = "answers what cannot be read"
	)
	cases := []struct {
		name    string
		rows    []map[string]string
		ids     []string
		wrong   map[string]string // what is said of those that are not there to be billed
		queries int
	}{
		{"all", []map[string]string{a1, a2}, []string{"A2", "A1"}, nil, 1},
		{"one unknown", []map[string]string{a1}, []string{"A1", "A2"}, map[string]string{"A2": unknown}, 1},
		{"none", nil, []string{"A1", "A2"}, map[string]string{"A1": unknown, "A2": unknown}, 1},
		{"loaded twice", []map[string]string{a1, a2, a1}, []string{"A1", "A2"}, nil, 1},
		{
			"one ambiguous",
			[]map[string]string{flightRow("A1", "operator", `"X"`), a2, flightRow("A1", "operator", `"Y"`)},
			[]string{"A1", "A2"},
			map[string]string{"A1": "has 2 differing rows"}, 1,
		},
		{
			"one unusable",
			[]map[string]string{flightRow("A1", "passengers", "1.5"), a2},
			[]string{"A1", "A2"},
			map[string]string{"A1": "has passengers 1.5"}, 1,
		},
		{
			"one unreadable",
			[]map[string]string{flightRow("A1", "operator", "5"), a2},
			[]string{"A1", "A2"},
			map[string]string{"A1": unreadable}, 1,
		},
		{
			"another flight's row",
			[]map[string]string{a1, flightRow("A9", "found as", "A2")},
			[]string{"A1", "A2"},
			map[string]string{"A2": unreadable}, 3,
		},
		{
			"another's row besides its own",
			[]map[string]string{a1, a2, flightRow("A9", "found as", "A2")},
			[]string{"A1", "A2"},
			map[string]string{"A2": unreadable}, 3,
		},
		{
			"a row of no flight",
			[]map[string]string{a1, flightRow("null", "found as", "A2")},
			[]string{"A1", "A2"},
			map[string]string{"A2": unreadable}, 3,
		},
		{
			"an id that is no text",
			[]map[string]string{a1, {"flight_id": "5", "found as": "A2"}},
			[]string{"A1", "A2", "A3"},
			map[string]string{"A2": unreadable, "A3": unknown}, 6, // one of them for other rows, to compare
		},
		{"twice the same", []map[string]string{a1}, []string{"A1", "A1"}, nil, 1},
		{
			"ids that none can have",
			[]map[string]string{a1, flightRow("null")},
			[]string{"A1", "", "null", "F\xff"},
			map[string]string{"": unknown, "null": unknown, "F\xff": unknown}, 1,
		},
		{
			"cut off",
			append(times(99, "A2"), flightRow("A2", "operator", `"Y"`), a1),
			[]string{"A1", "A2"},
			map[string]string{"A2": "has 2 differing rows"}, 3,
		},
		{"not cut off", append(times(98, "A1"), a2), []string{"A1", "A2"}, nil, 1},
		{
			"too many rows of one",
			append(times(rowLimit, "A1"), rowsOf(manyIDs(19))...),
			append(manyIDs(19), "A1"),
			map[string]string{"A1": "has 100 rows or more"}, 1,
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t, table(tc.rows...))
			s := newSource(t, Config{Brokers: []string{b.URL}})
			answers, err := s.Flights(t.Context(), tc.ids)
			require.NoError(t, err)
			require.Len(t, b.asked(), tc.queries)
			for _, id := range tc.ids {
				answer, ok := answers[id]
				require.True(t, ok, id)
				f, err := s.Flight(t.Context(), id)
				require.Equal(t, billing.Answer{Flight: f, Err: err}, answer, "as alone")
				if wrong, ok := tc.wrong[id]; ok {
					require.ErrorContains(t, answer.Err, wrong, id)
				} else {
					require.NoError(t, answer.Err, id)
					require.Equal(t, id, answer.Flight.ID)
				}
			}
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
	require.True(t, strings.HasSuffix(asked(manyIDs(50)...), "'B48', 'B49') LIMIT 500"))
	before := len(b.asked())
	got, err := s.Flights(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, got)
	require.Len(t, b.asked(), before)
}

// Any number may be asked for; no query's text grows with it.
func TestFlightsAreAskedForInParts(t *testing.T) {
	t.Parallel()
	ids := manyIDs(2*maxAsked + 1)
	slices.Reverse(ids)
	b := newBroker(t, table(rowsOf(ids[1:])...))
	s := newSource(t, Config{Brokers: []string{b.URL}})
	answers, err := s.Flights(t.Context(), append(ids, ids...))
	require.NoError(t, err)
	require.Len(t, answers, len(ids))
	require.ErrorContains(t, answers[ids[0]].Err, "is not in the flight source yet")
	for _, id := range ids[1:] {
		require.NoError(t, answers[id].Err)
		require.Equal(t, id, answers[id].Flight.ID)
	}
	var sizes []int
	for _, sql := range b.asked() {
		part, _ := askedFor(sql)
		sizes = append(sizes, len(part))
	}
	require.Equal(t, []int{maxAsked, maxAsked, 1}, sizes)
}

// Pinot goes away between a query that could not tell and the next.
func TestPinotGoesAwayBetweenHalves(t *testing.T) {
	t.Parallel()
	answer, gone := table(flightRow("A1"), flightRow("A9", "found as", "A2")), recorded(t, "0.11-server-down")
	for _, answered := range []int64{1, 2} {
		var asked atomic.Int64
		b := newBroker(t, func(r *http.Request, sql string) (int, string) {
			if asked.Add(1) > answered {
				return http.StatusOK, gone
			}
			return answer(r, sql)
		})
		s := newSource(t, Config{Brokers: []string{b.URL}})
		answers, err := s.Flights(t.Context(), []string{"A1", "A2"})
		failure, ok := errors.AsType[*billing.Error](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, billing.Outage, failure.Kind)
		require.Nil(t, answers)
		require.Len(t, b.asked(), int(answered)+1)
	}
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
		for i, err := range []error{flightsErr, s.Probe(t.Context())} {
			failure, ok := errors.AsType[*billing.Error](err)
			require.True(t, ok, "%s: %v", name, err)
			require.Equal(t, billing.Outage, failure.Kind)
			if name == "0.11-table-missing" && i == 1 {
				require.ErrorContains(t, err, "PINOT_TABLE: Pinot has no table flights")
				continue
			}
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
			require.Equal(t, billing.Answer{Err: billing.UnknownFlight("F1")}, found["F1"])
			require.Equal(t, billing.Answer{Err: billing.UnknownFlight("F2")}, found["F2"])
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

// multiStage is an answer of the multi-stage engine, which does not count its servers.
func multiStage(body string) string {
	return strings.Replace(body, `"numServersQueried":1,"numServersResponded":1`, `"numServersQueried":0,"numServersResponded":0`, 1)
}

// Rows for which no server was asked are rows; none are only believed beside a count of
// rows, and never where there is no answer at all.
func TestAnswersOfTheMultiStageEngine(t *testing.T) {
	t.Parallel()
	const counted = `{"resultTable":{"dataSchema":{"columnNames":["count(*)"],"columnDataTypes":["LONG"]},"rows":[[%s]]},
		"exceptions":[],"numServersQueried":0,"numServersResponded":0}`
	found := table(flightRow("A1"), flightRow("A3"))
	for count, want := range map[string]billing.Reason{"7": billing.ReasonFlightUnknown, "0": billing.ReasonSourceDown, "null": billing.ReasonSourceDown} {
		b := newBroker(t, func(r *http.Request, sql string) (int, string) {
			if sql == `SELECT COUNT(*) FROM "flights"` {
				return http.StatusOK, fmt.Sprintf(counted, count)
			}
			status, body := found(r, sql)
			return status, multiStage(body)
		})
		s := newSource(t, Config{Brokers: []string{b.URL}})
		_, err := s.Flight(t.Context(), "A1")
		require.NoError(t, err)
		answers, err := s.Flights(t.Context(), []string{"A1", "A2", "A3"})
		require.NoError(t, err)
		require.NoError(t, answers["A3"].Err)
		require.Equal(t, billing.UnknownFlight("A2"), answers["A2"].Err, "rows came")

		_, err = s.Flight(t.Context(), "A2")
		failure, ok := errors.AsType[*billing.Error](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, want, failure.Reason, count)
		require.Equal(t, want == billing.ReasonFlightUnknown, s.Probe(t.Context()) == nil)
	}
	for _, body := range []string{
		strings.Replace(multiStage(rowsBody(flightRow("A1"))), `"exceptions":[]`, `"exceptions":[{"errorCode":250,"message":"timeout"}]`, 1),
		strings.Replace(multiStage(rowsBody(flightRow("A1"))), `"exceptions":[]`, `"exceptions":[],"partialResult":true`, 1),
	} {
		s := newSource(t, Config{Brokers: []string{newBroker(t, always(http.StatusOK, body)).URL}})
		_, err := s.Flight(t.Context(), "A1")
		failure, ok := errors.AsType[*billing.Error](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, billing.Outage, failure.Kind)
	}
}

// Not even beside a count: what does not say how many servers were asked is no answer.
func TestAnEmptyObjectIsNoUnknownFlight(t *testing.T) {
	t.Parallel()
	const counted = `{"resultTable":{"dataSchema":{"columnDataTypes":["LONG"]},"rows":[[7]]},"numServersQueried":1,"numServersResponded":1}`
	b := newBroker(t, func(_ *http.Request, sql string) (int, string) {
		if strings.Contains(sql, "COUNT") {
			return http.StatusOK, counted
		}
		return http.StatusOK, "{}"
	})
	s := newSource(t, Config{Brokers: []string{b.URL}})
	_, err := s.Flight(t.Context(), "A1")
	failure, ok := errors.AsType[*billing.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, billing.Outage, failure.Kind)
	require.Equal(t, billing.CauseUnreadable, failure.Cause)
	require.ErrorContains(t, err, "it does not say how many servers were asked")
}

func TestZeros(t *testing.T) {
	t.Parallel()
	b := newBroker(t, table(flightRow("A1", "passengers", "0", "distance_km", "0.0", "mtow_kg", "0", "landed_at", "0")))
	for setting, kept := range map[string][2]bool{"": {}, "passengers": {false, true}, "passengers,distance_km": {true, true}} {
		f, err := newSource(t, Config{Brokers: []string{b.URL}, Zeros: setting}).Flight(t.Context(), "A1")
		require.NoError(t, err)
		got := [2]bool{f.DistanceKm != nil, f.Passengers != nil}
		require.Equal(t, kept, got, setting)
		require.Nil(t, f.MTOWKg)
		require.Nil(t, f.LandedAt)
	}
}

// The cause is one of a few words, whatever Pinot says.
func TestCauses(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]billing.Cause{
		recorded(t, "0.11-server-restarting"):      billing.CauseIncomplete, // exception 305
		recorded(t, "0.11-server-down"):            billing.CauseIncomplete,
		recorded(t, "0.11-server-gone"):            billing.CauseIncomplete,
		recorded(t, "0.11-broker-starting"):        billing.CauseIncomplete,
		recorded(t, "1.x-fewer-servers"):           billing.CauseIncomplete,
		recorded(t, "1.x-partial"):                 billing.CauseIncomplete,
		recorded(t, "0.11-timeout"):                billing.CauseTimeout,
		recorded(t, "0.11-table-missing"):          billing.CauseConfiguration,
		recorded(t, "1.x-column-missing"):          billing.CauseConfiguration,
		recorded(t, "0.11-function-missing"):       billing.CauseFailure, // also what a server's trouble looks like
		`{"exceptions":[{"errorCode":987654321}]}`: billing.CauseFailure,
		`<html>`: billing.CauseUnreadable,
	} {
		s := newSource(t, Config{Brokers: []string{newBroker(t, always(http.StatusOK, body)).URL}})
		_, err := s.Flights(t.Context(), []string{"F1"})
		failure, ok := errors.AsType[*billing.Error](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, want, failure.Cause, "%v", err)
		require.Contains(t, billing.Causes(), failure.Cause)
	}
	_, err := newSource(t, Config{Brokers: []string{closedAddress(t)}}).Flights(t.Context(), []string{"F1"})
	require.Equal(t, billing.CauseUnreachable, billing.CauseOf(err))
}
