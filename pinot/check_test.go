package pinot

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// exception is an answer with one exception.
func exception(t *testing.T, name string) func() (int, string) {
	t.Helper()
	body := recorded(t, name)
	return func() (int, string) { return http.StatusOK, body }
}

// typedBody is a vouched answer whose columns have these types, with one row.
func typedBody(types ...string) string {
	quoted := `"` + strings.Join(types, `","`) + `"`
	row := strings.TrimSuffix(strings.Repeat("null,", len(types)), ",")
	return `{"resultTable":{"dataSchema":{"columnDataTypes":[` + quoted + `]},"rows":[[` + row +
		`]]},"numServersQueried":1,"numServersResponded":1}`
}

func goodTypes() []string {
	return []string{"STRING", "STRING", "STRING", "STRING", "STRING", "INT", "STRING", "STRING", "LONG", "LONG", "DOUBLE", "INT"}
}

func TestCheckPasses(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"0.11-flight", "0.11-unknown", "1.x-flight", "1.x-unknown", "0.11-big-decimal", "0.11-arithmetic"} {
		b := newBroker(t, always(http.StatusOK, recorded(t, name)))
		s := newSource(t, Config{Brokers: []string{b.URL}})
		require.NoError(t, s.Check(t.Context()), name)
	}
}

func TestCheckNamesTheColumn(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, columns, culprit, exception, setting, want string
	}{
		{
			"missing", "", `"passengers"`, "0.11-column-missing", "PINOT_COLUMNS",
			`column passengers, read as "passengers", does not fit table flights; map it to an expression that gives a number, or write passengers= `,
		},
		{
			"missing, 1.x", "", `"landed_at"`, "1.x-column-missing", "PINOT_COLUMNS",
			`column landed_at, read as "landed_at", does not fit table flights; map it to an expression that gives a TIMESTAMP or epoch ms: exception 710`,
		},
		{
			"a mapped one", "operator=nofunc(origin)", "nofunc", "0.11-function-missing", "PINOT_COLUMNS",
			"column operator, read as nofunc(origin), does not fit",
		},
		{"syntax", "mtow_kg=a b c", "a b c", "0.11-syntax", "PINOT_COLUMNS", "column mtow_kg, read as a b c,"},
		{"the key", "flight_id=nokey", "nokey", "0.11-column-missing", "PINOT_COLUMNS", "column flight_id, read as nokey,"},
		{"the key as a filter", "", "WHERE", "0.11-function-missing", "PINOT_COLUMNS", `column flight_id, read as "flight_id",`},
		{
			"only together", "", `"callsign", "operator"`, "0.11-syntax", "PINOT_COLUMNS", "the columns do not work together: exception 150",
		},
		{
			"one that may be missing", "movement=moves", "moves", "0.11-column-missing", "PINOT_COLUMNS",
			"column movement, read as moves, does not fit table flights; map it to an expression that gives text, or write movement= where",
		},
		{"table", "", "SELECT", "0.11-table-missing", "PINOT_TABLE", "Pinot has no table flights: exception 190"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			fails := exception(t, tc.exception)
			b := newBroker(t, func(_ *http.Request, sql string) (int, string) {
				if strings.Contains(sql, tc.culprit) {
					return fails()
				}
				list, _, _ := strings.Cut(strings.TrimPrefix(sql, "SELECT "), " FROM ")
				return http.StatusOK, typedBody(goodTypes()[:len(strings.Split(list, ", "))]...)
			})
			s := newSource(t, Config{Brokers: []string{b.URL}, Columns: tc.columns})
			err := s.Check(t.Context())
			wrong, ok := errors.AsType[*ConfigError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, tc.setting, wrong.Setting)
			require.ErrorContains(t, err, tc.want)
			_, isException := errors.AsType[*exceptionError](err)
			require.True(t, isException, "says what Pinot said")
		})
	}
}

func TestCheckTypes(t *testing.T) {
	t.Parallel()
	for i, c := range columns[:len(goodTypes())] {
		for _, wrong := range []string{"BOOLEAN", "BYTES", "STRING_ARRAY", "TIMESTAMP"} {
			types := goodTypes()
			types[i] = wrong
			b := newBroker(t, always(http.StatusOK, typedBody(types...)))
			s := newSource(t, Config{Brokers: []string{b.URL}})
			err := s.Check(t.Context())
			require.ErrorContains(t, err, "PINOT_COLUMNS: column "+c.name+", read as ")
			require.ErrorContains(t, err, "its type is "+wrong)
		}
	}
	for _, wrong := range []string{"BOOLEAN", "BYTES", "STRING_ARRAY", "TIMESTAMP"} {
		b := newBroker(t, always(http.StatusOK, typedBody(append(goodTypes(), "STRING", wrong)...)))
		s := newSource(t, Config{Brokers: []string{b.URL}, Facts: "noise_class=noise_cat,training=trn"})
		err := s.Check(t.Context())
		require.ErrorContains(t, err, "PINOT_FACTS: fact training, read as trn, does not fit table flights; map it to an expression that gives text or a number: its type is "+wrong)
	}
	types := goodTypes()
	types[5] = "STRING"
	b := newBroker(t, always(http.StatusOK, typedBody(types...)))
	require.ErrorContains(t, newSource(t, Config{Brokers: []string{b.URL}}).Check(t.Context()), "mtow_kg")
}

func TestCheckOutage(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"0.11-server-down", "0.11-server-gone", "0.11-server-restarting", "0.11-broker-starting", "0.11-one-of-two-frozen",
		"0.11-timeout", "1.x-partial", "1.x-server-gone",
	} {
		b := newBroker(t, always(http.StatusOK, recorded(t, name)))
		s := newSource(t, Config{Brokers: []string{b.URL}})
		err := s.Check(t.Context())
		failure, ok := errors.AsType[*billing.Error](err)
		require.True(t, ok, "%s: %v", name, err)
		require.Equal(t, billing.Outage, failure.Kind)
		require.Len(t, b.asked(), 1)
	}
}

// Trouble of a server that has passed while Check looked for a column to blame.
func TestCheckTransientException(t *testing.T) {
	t.Parallel()
	body := recorded(t, "0.11-function-missing")
	b := newBroker(t, func(_ *http.Request, sql string) (int, string) {
		if strings.Contains(sql, `"callsign", "operator"`) {
			return http.StatusOK, body
		}
		return http.StatusOK, typedBody(goodTypes()[:strings.Count(sql, ", ")+1]...)
	})
	s := newSource(t, Config{Brokers: []string{b.URL}})
	failure, ok := errors.AsType[*billing.Error](s.Check(t.Context()))
	require.True(t, ok)
	require.Equal(t, billing.Outage, failure.Kind)
}

// The trouble begins while Check looks for a column to blame.
func TestCheckOutageWhileProbing(t *testing.T) {
	t.Parallel()
	first, second := recorded(t, "0.11-column-missing"), recorded(t, "0.11-server-gone")
	b := newBroker(t, func(_ *http.Request, sql string) (int, string) {
		if strings.Contains(sql, `"callsign", "operator"`) {
			return http.StatusOK, first
		}
		return http.StatusOK, second
	})
	s := newSource(t, Config{Brokers: []string{b.URL}})
	failure, ok := errors.AsType[*billing.Error](s.Check(t.Context()))
	require.True(t, ok)
	require.Equal(t, billing.Outage, failure.Kind)
}

// columnsOf answers as the broker of a table that has the columns that every table has, and these others: it knows no
// further.
func columnsOf(t *testing.T, names ...string) *fakeBroker {
	t.Helper()
	missing := recorded(t, "0.11-column-missing")
	b := newBroker(t, func(_ *http.Request, sql string) (int, string) {
		if isNames(sql) {
			return http.StatusOK, namesBody(names...)
		}
		list, _, _ := strings.Cut(strings.TrimPrefix(sql, "SELECT "), " FROM ")
		for _, c := range columns {
			if strings.Contains(list, `"`+c.name+`"`) && c.need == ifThere && !slices.Contains(names, c.name) {
				return http.StatusOK, missing
			}
		}
		types := append(goodTypes(), slices.Repeat([]string{"UNKNOWN"}, len(columns))...)
		body := typedBody(types[:len(strings.Split(list, ", "))]...)
		if strings.Contains(sql, "WHERE") {
			start, _, _ := strings.Cut(body, `"rows":`)
			body = start + `"rows":[]},"numServersQueried":1,"numServersResponded":1}`
		}
		return http.StatusOK, body
	})
	b.asksNames = true
	return b
}

// What a table may lack is asked for where it has it, and where the mapping says so.
func TestColumnsThatMayBeMissing(t *testing.T) {
	t.Parallel()
	const asked = `"landed_at" AS LONG), "distance_km", "passengers"`
	for _, tc := range []struct {
		has           []string
		mapped, asked string
	}{
		{nil, "", asked + " FROM"},
		{[]string{"Movement", "other"}, "", asked + " FROM"},
		{[]string{"movement"}, "", asked + `, "movement" FROM`},
		{[]string{"movement"}, "movement=", asked + " FROM"},
		{[]string{"off_block_at", "mtow_lb"}, "", asked + `, "mtow_lb", CAST("off_block_at" AS LONG) FROM`},
		{[]string{"movement"}, "movement='arrival',mtow_lb=lb,on_block_at=,off_block_at=", asked + `, 'arrival', lb FROM`},
	} {
		b := columnsOf(t, tc.has...)
		s := newSource(t, Config{Brokers: []string{b.URL}, Columns: tc.mapped})
		_, err := s.Flights(t.Context(), []string{"A1", "A2"})
		require.NoError(t, err)
		_, err = s.Flight(t.Context(), "A1")
		require.ErrorContains(t, err, "is not in the flight source yet")
		queries := b.asked()
		last := queries[len(queries)-1]
		require.Contains(t, last, tc.asked)
		looks := len(slices.DeleteFunc(queries, func(sql string) bool { return !isNames(sql) }))
		if strings.Count(tc.mapped, "=") == 4 {
			require.Zero(t, looks, "all are mapped: the table need not be asked")
		} else {
			require.Equal(t, 1, looks, "once")
		}
		require.NoError(t, s.Check(t.Context()))
	}
}

// A table's columns that cannot be listed are no reason to leave out one that it may have.
func TestColumnsThatCannotBeListed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		body string
		want string
		kind billing.Cause
	}{
		{recorded(t, "0.11-server-down"), "exception 425", billing.CauseIncomplete},
		{recorded(t, "0.11-function-missing"), "the columns of table flights cannot be listed; name movement, mtow_lb, on_block_at, off_block_at in PINOT_COLUMNS, those that it lacks with nothing after the =", billing.CauseFailure},
		{recorded(t, "0.11-table-missing"), "PINOT_TABLE: Pinot has no table flights", billing.CauseConfiguration},
		{`{"resultTable":{"dataSchema":{"columnDataTypes":["STRING"]},"rows":[]},"numServersQueried":1,"numServersResponded":1}`, "no names of columns", billing.CauseUnreadable},
	} {
		away := true
		b := newBroker(t, func(_ *http.Request, sql string) (int, string) {
			switch {
			case isNames(sql) && away:
				return http.StatusOK, tc.body
			case isNames(sql):
				return http.StatusOK, namesBody()
			}
			return http.StatusOK, recorded(t, "0.11-flight")
		})
		b.asksNames = true
		s := newSource(t, Config{Brokers: []string{b.URL}})
		_, read := s.Flight(t.Context(), "F1")
		for _, err := range []error{read, s.Probe(t.Context())} {
			failure, ok := errors.AsType[*billing.Error](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, billing.Outage, failure.Kind)
			require.Equal(t, tc.kind, failure.Cause)
			require.ErrorContains(t, err, tc.want)
		}
		require.ErrorContains(t, s.Check(t.Context()), tc.want)
		away = false
		require.NoError(t, s.Probe(t.Context()))
		f, err := s.Flight(t.Context(), "F1")
		require.NoError(t, err)
		require.True(t, sameFlight(recordedFlight(), f))
	}
}
