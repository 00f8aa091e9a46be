package pinot

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// sampled answers look-ups as table does, and whoever asks for any rows with all of them.
func sampled(rows ...map[string]string) answerFunc {
	one, all := table(rows...), rowsBody(rows...)
	return func(r *http.Request, sql string) (int, string) {
		if !strings.Contains(sql, "WHERE") {
			return http.StatusOK, all
		}
		return one(r, sql)
	}
}

const javaText = `"2026-11-20 10:00:00.0"`

// What no row has readable is a misfit of the mapping, however many flights are asked for.
func TestUnreadableColumnIsAMisfit(t *testing.T) {
	t.Parallel()
	text := []map[string]string{
		flightRow("A1", "landed_at", javaText), flightRow("A2", "landed_at", javaText), flightRow("A3", "landed_at", "null"),
	}
	for _, ids := range [][]string{{"A1"}, {"A1", "A2"}, {"A1", "A3"}, {"A1", "none"}} {
		b := newBroker(t, sampled(text...))
		s := newSource(t, Config{Brokers: []string{b.URL}})
		require.NoError(t, s.Probe(t.Context()), "before it is known")
		_, err := s.Flights(t.Context(), ids)
		for _, err := range []error{err, s.Probe(t.Context())} {
			failure, ok := errors.AsType[*billing.Error](err)
			require.True(t, ok, "%v: %v", ids, err)
			require.Equal(t, billing.Outage, failure.Kind)
			require.Equal(t, billing.CauseConfiguration, failure.Cause)
			require.ErrorContains(t, err, `PINOT_COLUMNS: column landed_at, read as "landed_at", does not fit table flights`)
			require.ErrorContains(t, err, `none can be read: has landed_at "2026-11-20 10:00:00.0"`)
		}
		_, ok := errors.AsType[*ConfigError](newSource(t, Config{Brokers: []string{b.URL}}).Check(t.Context()))
		require.True(t, ok, "serve does not start with it")
	}
}

// One bad row among good ones is that flight's own, also where it is asked for alone.
func TestUnreadableRowIsItsFlights(t *testing.T) {
	t.Parallel()
	bad := flightRow("A1", "landed_at", javaText)
	for name, rows := range map[string][]map[string]string{
		"among good ones":    {bad, flightRow("A2")},
		"a good one is late": {bad, flightRow("A3", "landed_at", javaText), flightRow("A4", "landed_at", "null"), flightRow("A2")},
		"the only row":       {bad},
		"twice the same":     {bad, bad},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t, sampled(rows...))
			s := newSource(t, Config{Brokers: []string{b.URL}})
			require.NoError(t, s.Check(t.Context()))
			for range 20 {
				_, err := s.Flight(t.Context(), "A1")
				failure, ok := errors.AsType[*billing.Error](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, billing.Refused, failure.Kind)
				require.Equal(t, billing.ReasonUnusableFacts, failure.Reason)
			}
			require.NoError(t, s.Probe(t.Context()))
			require.Less(t, len(b.asked()), 20+6, "others are not looked at each time")
		})
	}
}

// The type tells by one row, and the last of a batch is enough to tell that it is not all.
func TestTypeOfAColumnThatCannotBe(t *testing.T) {
	t.Parallel()
	wrong := strings.ReplaceAll(rowsBody(flightRow("F1", "landed_at", javaText)), `"LONG","LONG"`, `"LONG","STRING"`)
	s := newSource(t, Config{Brokers: []string{newBroker(t, always(http.StatusOK, wrong)).URL}})
	_, err := s.Flight(t.Context(), "F1")
	require.ErrorContains(t, err, "its type is STRING: has landed_at")
	require.Equal(t, billing.CauseConfiguration, billing.CauseOf(err))
}

// Once the table is put right, the probe finds it so.
func TestMisfitThatIsPutRight(t *testing.T) {
	t.Parallel()
	var right atomic.Bool
	before := sampled(flightRow("A1", "landed_at", javaText), flightRow("A2", "landed_at", javaText))
	after := sampled(flightRow("A1"), flightRow("A2"))
	b := newBroker(t, func(r *http.Request, sql string) (int, string) {
		if right.Load() {
			return after(r, sql)
		}
		return before(r, sql)
	})
	s := newSource(t, Config{Brokers: []string{b.URL}})
	_, err := s.Flight(t.Context(), "A1")
	require.Error(t, err)
	require.Error(t, s.Probe(t.Context()))
	right.Store(true)
	require.NoError(t, s.Probe(t.Context()))
	_, err = s.Flight(t.Context(), "A1")
	require.NoError(t, err)
	before1 := len(b.asked())
	require.NoError(t, s.Probe(t.Context()))
	require.Len(t, b.asked(), before1+1, "and is one query again")
}

// A column that the table loses, or a table that is dropped, while flights are read: named
// by the probe.
func TestMisfitWhileFlightsAreRead(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"1.x-column-missing": `PINOT_COLUMNS: column passengers, read as "passengers"`,
		"0.11-table-missing": "PINOT_TABLE: Pinot has no table flights",
	} {
		var gone atomic.Bool
		fails, answer := recorded(t, file), sampled(flightRow("A1"))
		b := newBroker(t, func(r *http.Request, sql string) (int, string) {
			switch {
			case gone.Load() && (strings.Contains(sql, "passengers") || strings.Contains(want, "PINOT_TABLE")):
				return http.StatusOK, fails
			case gone.Load():
				list, _, _ := strings.Cut(strings.TrimPrefix(sql, "SELECT "), " FROM ")
				return http.StatusOK, typedBody(goodTypes()[:len(strings.Split(list, ", "))]...)
			}
			return answer(r, sql)
		})
		s := newSource(t, Config{Brokers: []string{b.URL}})
		require.NoError(t, s.Check(t.Context()))
		_, err := s.Flight(t.Context(), "A1")
		require.NoError(t, err)
		gone.Store(true)
		_, err = s.Flight(t.Context(), "A1")
		require.Equal(t, billing.CauseConfiguration, billing.CauseOf(err), "%v", err)
		err = s.Probe(t.Context())
		require.Equal(t, billing.CauseConfiguration, billing.CauseOf(err), "%v", err)
		require.ErrorContains(t, err, want)
		gone.Store(false)
		require.NoError(t, s.Probe(t.Context()))
	}
}

// A Pinot that was away at the start is checked before flights are read.
func TestProbeChecksWhatWasNotChecked(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	down, fails := recorded(t, "0.11-server-down"), recorded(t, "0.11-column-missing")
	b := newBroker(t, func(*http.Request, string) (int, string) {
		if up.Load() {
			return http.StatusOK, fails
		}
		return http.StatusOK, down
	})
	s := newSource(t, Config{Brokers: []string{b.URL}})
	require.Equal(t, billing.CauseIncomplete, billing.CauseOf(s.Check(t.Context())))
	up.Store(true)
	require.Equal(t, billing.CauseConfiguration, billing.CauseOf(s.Probe(t.Context())))
}

// A cast that fails in each row: Pinot says so with the code of its servers' trouble, and
// not for an id that no row has. The check names the column, once it is not one flight's.
func TestCastThatFailsInEachRow(t *testing.T) {
	t.Parallel()
	fails := recorded(t, "0.11-function-missing")
	for name, all := range map[string]bool{"all rows": true, "one row": false} {
		b := newBroker(t, func(r *http.Request, sql string) (int, string) {
			cast := strings.Contains(sql, `CAST("landed_at" AS LONG)`)
			switch bad := strings.Contains(sql, "'A1'"); {
			case cast && (bad || all && !strings.Contains(sql, "'?'")):
				return http.StatusOK, fails
			case strings.Contains(sql, "WHERE"):
				return table(flightRow("A2"))(r, sql)
			}
			list, _, _ := strings.Cut(strings.TrimPrefix(sql, "SELECT "), " FROM ")
			return http.StatusOK, typedBody(goodTypes()[:len(strings.Split(list, ", "))]...)
		})
		s := newSource(t, Config{Brokers: []string{b.URL}})
		for range 3 * manyFailed {
			_, err := s.Flights(t.Context(), []string{"A1"})
			require.Equal(t, billing.CauseFailure, billing.CauseOf(err), "%v", err)
			_, err = s.Flights(t.Context(), []string{"A2"})
			require.Equal(t, all, err != nil, name)
		}
		err := s.Probe(t.Context())
		if !all {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, billing.CauseConfiguration, billing.CauseOf(err))
		require.ErrorContains(t, err, "PINOT_COLUMNS: column landed_at, read as")
	}
}
