package pinot

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// recordedFlight is the flight of the recorded answers.
func recordedFlight() billing.Flight {
	return billing.Flight{
		ID: "F1", Callsign: "UAL1545", Operator: "UAL", Registration: "N14228", AircraftType: "B739",
		MTOWKg: new(int64(79016)), Origin: "KEWR", Destination: "KIAH",
		DepartedAt: new(time.Date(2013, 1, 1, 9, 57, 0, 0, time.UTC)),
		LandedAt:   new(time.Date(2013, 1, 1, 13, 20, 0, 0, time.UTC)),
		DistanceKm: new(decimal.RequireFromString("2253.1")),
	}
}

// secondFlight is the flight that was loaded twice.
func secondFlight() billing.Flight {
	return billing.Flight{
		ID: "F3", Callsign: "AAL1", Operator: "AAL", Registration: "N3", AircraftType: "B77W",
		MTOWKg: new(int64(351533)), Origin: "KJFK", Destination: "EGLL",
		DepartedAt: new(time.Date(2013, 1, 1, 9, 57, 0, 0, time.UTC)),
		LandedAt:   new(time.Date(2013, 1, 1, 16, 6, 40, 123_000_000, time.UTC)),
		DistanceKm: new(decimal.RequireFromString("5555.55")),
		Passengers: new(int64(300)),
	}
}

func TestFlightReadsRecordedAnswers(t *testing.T) {
	t.Parallel()
	bare := billing.Flight{ID: "F2", Operator: "UAL", Origin: "KEWR", Destination: "KIAH"}
	nulls := billing.Flight{ID: "F1", Operator: "UAL", Origin: "KEWR", Destination: "KIAH"}
	cases := map[string]billing.Flight{
		"0.11-flight":            recordedFlight(),
		"0.11-absent-metrics":    bare, // "null", 0, 1970
		"0.11-absent-dimensions": bare, // "NULL", -2147483648, "-Infinity"
		"0.11-loaded-twice":      secondFlight(),
		"0.11-arithmetic":        secondFlight(), // 351533.0
		"0.11-big-decimal":       recordedFlight(),
		"1.x-flight":             recordedFlight(),
		"1.x-null-handling":      nulls,
	}
	for name, want := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t, always(http.StatusOK, recorded(t, name)))
			s := newSource(t, Config{Brokers: []string{b.URL}})
			got, err := s.Flight(t.Context(), want.ID)
			require.NoError(t, err)
			require.Truef(t, sameFlight(want, got), "want %+v\ngot  %+v", want, got)
			if want.DistanceKm != nil {
				require.Equal(t, want.DistanceKm.String(), got.DistanceKm.String())
			}
			if got.LandedAt != nil {
				require.Equal(t, time.UTC, got.LandedAt.Location())
			}
		})
	}
}

func TestFlightFailures(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, file, body string
		status           int // 200 where not given
		kind             billing.Kind
		message          string
	}{
		{name: "unknown, 0.11", file: "0.11-unknown", kind: billing.NotYet, message: "is not in the flight source yet"},
		{name: "unknown, 1.x", file: "1.x-unknown", kind: billing.NotYet, message: "is not in the flight source yet"},
		{name: "differing rows", file: "0.11-differing", kind: billing.NotYet, message: "has 2 differing rows"},
		{name: "table missing", file: "0.11-table-missing", kind: billing.Outage, message: "exception 190: TableDoesNotExistError"},
		{name: "column missing, 0.11", file: "0.11-column-missing", kind: billing.Outage, message: "exception 710"},
		{name: "column missing, 1.x", file: "1.x-column-missing", kind: billing.Outage, message: "Unknown columnName 'pax'"},
		{name: "syntax", file: "0.11-syntax", kind: billing.Outage, message: "exception 150"},
		{name: "function missing", file: "0.11-function-missing", kind: billing.Outage, message: "exception 200"},
		{name: "broker's timeout", file: "0.11-timeout", kind: billing.Outage, message: "exception 400"},
		{name: "server down", file: "0.11-server-down", kind: billing.Outage, message: "exception 425"},
		{name: "server gone, 0.11", file: "0.11-server-gone", kind: billing.Outage, message: "it had no server to ask"},
		{name: "server gone, 1.x", file: "1.x-server-gone", kind: billing.Outage, message: "it had no server to ask"},
		{name: "server restarting", file: "0.11-server-restarting", kind: billing.Outage, message: "exception 305"},
		{name: "broker starting", file: "0.11-broker-starting", kind: billing.Outage, message: "exception 410"},
		{name: "rows beside an exception, 0.11", file: "0.11-one-of-two-frozen", kind: billing.Outage, message: "exception 427"},
		{name: "rows beside an exception, 1.x", file: "1.x-one-of-two-frozen", kind: billing.Outage, message: "exception 427"},
		{name: "fewer servers, no exception", file: "1.x-fewer-servers", kind: billing.Outage, message: "only 1 of 2 servers responded"},
		{name: "partial, no exception", file: "1.x-partial", kind: billing.Outage, message: "the result is partial"},
		{name: "text for a cast instant", file: "0.11-timestamp-text", kind: billing.Outage, message: `its type is TIMESTAMP: has landed_at "2013-01-01 13:20:00.0"`},
		{name: "HTTP 500", status: http.StatusInternalServerError, body: "oops", kind: billing.Outage, message: "HTTP status 500"},
		{name: "HTTP 302", status: http.StatusFound, body: "", kind: billing.Outage, message: "HTTP status 302"},
		{
			name: "HTTP 500 with exceptions", status: http.StatusInternalServerError, file: "0.11-column-missing",
			kind: billing.Outage, message: "exception 710",
		},
		{
			name: "HTTP 500 with rows", status: http.StatusInternalServerError, file: "0.11-flight",
			kind: billing.Outage, message: "HTTP status 500",
		},
		{name: "empty body", body: "", kind: billing.Outage, message: "not an answer of Pinot"},
		{name: "empty object", body: "{}", kind: billing.Outage, message: "not an answer of Pinot: it does not say"},
		{name: "JSON null", body: "null", kind: billing.Outage, message: "not an answer of Pinot: it does not say"},
		{name: "a page of HTML", body: "<html>", kind: billing.Outage, message: "not an answer of Pinot"},
		{name: "more after it", body: rowsBody() + "x", kind: billing.Outage, message: "not an answer of Pinot"},
		{name: "cut off", body: strings.TrimSuffix(rowsBody(), "}"), kind: billing.Outage, message: "not an answer of Pinot"},
		{name: "other types", body: `{"resultTable":[]}`, kind: billing.Outage, message: "not an answer of Pinot"},
		{name: "too large", body: `{"x":"` + strings.Repeat("x", 2<<20) + `"}`, kind: billing.Outage, message: "more than 1253376 bytes"},
		{name: "an endless list", body: `{"x":[` + strings.Repeat("{},", 1<<20), kind: billing.Outage, message: "more than 1253376 bytes"},
		{name: "nested", body: `{"x":` + strings.Repeat("[", 20_000), kind: billing.Outage, message: "exceeded max depth"},
		{
			name: "exceptions, and then none", body: `{"exceptions":[{"errorCode":1,"message":"a"}],"exceptions":[]}`,
			kind: billing.Outage, message: "not an answer of Pinot: exceptions is there twice",
		},
		{name: "more rows than asked for", body: rowsBody(make([]map[string]string, 101)...), kind: billing.Outage, message: "more than 100 of a kind"},
		{
			name: "a long row", body: strings.Replace(rowsBody(nil), `"rows":[[`, `"rows":[[1,`, 1),
			kind: billing.Outage, message: "a row of 13 values instead of 12",
		},
		{
			name: "no result table", body: `{"exceptions":[],"numServersQueried":1,"numServersResponded":1}`,
			kind: billing.Outage, message: "has no result table",
		},
		{
			name: "no columns", body: `{"resultTable":{},"numServersQueried":1,"numServersResponded":1}`,
			kind: billing.Outage, message: "has no result table",
		},
		{
			name: "a short row", body: strings.Replace(rowsBody(nil), `"rows":[[`, `"rows":[["F1"],[`, 1),
			kind: billing.Outage, message: "a row of 1 values instead of 12",
		},
		{
			name: "another flight", body: rowsBody(map[string]string{"flight_id": `"F2"`}),
			kind: billing.Outage, message: `asked for flight "F1", got "F2"`,
		},
		{
			name: "a number for text", body: rowsBody(map[string]string{"operator": "5"}),
			kind: billing.Outage, message: "column operator came as a number where text is needed",
		},
		{
			name: "a list for a number", body: rowsBody(map[string]string{"mtow_kg": "[1]"}),
			kind: billing.Outage, message: "column mtow_kg came as a list where a number is needed",
		},
		{
			name: "true for an instant", body: rowsBody(map[string]string{"landed_at": "true"}),
			kind: billing.Outage, message: "column landed_at came as true or false",
		},
		{
			name: "an object for text", body: rowsBody(map[string]string{"origin": `{}`}),
			kind: billing.Outage, message: "column origin came as an object",
		},
		{
			name: "part of a passenger", body: rowsBody(map[string]string{"passengers": "180.5"}),
			kind: billing.Refused, message: "has passengers 180.5, which is not a whole number",
		},
		{
			name: "not a number", body: rowsBody(map[string]string{"mtow_kg": `"heavy"`}),
			kind: billing.Refused, message: `has mtow_kg "heavy", which is not a number`,
		},
		{
			name: "too many rows to compare", body: rowsBody(make([]map[string]string, rowLimit)...),
			kind: billing.Refused, message: "has 100 rows or more",
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			body, status := tc.body, tc.status
			if tc.file != "" {
				body = recorded(t, tc.file)
			}
			if status == 0 {
				status = http.StatusOK
			}
			b := newBroker(t, always(status, body))
			s := newSource(t, Config{Brokers: []string{b.URL}, Timeout: time.Minute}) // what is too large takes its time
			id := "F1"
			if tc.file == "0.11-differing" {
				id = "F4"
			}
			_, err := s.Flight(t.Context(), id)
			failure, ok := errors.AsType[*billing.Error](err)
			require.Truef(t, ok, "%T: %v", err, err)
			require.Equal(t, tc.kind, failure.Kind, err)
			require.ErrorContains(t, err, tc.message)
			if tc.kind == billing.Outage && !strings.Contains(err.Error(), "PINOT_COLUMNS: column landed_at, read as") { // the mapping is no broker's
				require.ErrorContains(t, err, strings.TrimPrefix(b.URL, "http://"), "names the broker")
			}
			require.NotContains(t, err.Error(), "\n")
			require.Less(t, len(err.Error()), 700)
		})
	}
}

func TestFlightQuery(t *testing.T) {
	t.Parallel()
	b := newBroker(t, always(http.StatusOK, recorded(t, "0.11-unknown")))
	s := newSource(t, Config{Brokers: []string{b.URL}})
	_, err := s.Flight(t.Context(), "x' OR flight_id='F3")
	require.ErrorContains(t, err, "is not in the flight source yet")
	require.Equal(t, []string{`SELECT "flight_id", "callsign", "operator", "registration", "aircraft_type", "mtow_kg", ` +
		`"origin", "destination", CAST("departed_at" AS LONG), CAST("landed_at" AS LONG), "distance_km", "passengers" ` +
		`FROM "flights" WHERE ("flight_id") = 'x'' OR flight_id=''F3' LIMIT 100`}, b.asked())
}

func TestFlightMapped(t *testing.T) {
	t.Parallel()
	body := `{"resultTable":{"dataSchema":{"columnDataTypes":["","","","","",""]},
		"rows":[["F1","UAL","N1","KEWR","KIAH",1389052800000]]},"numServersQueried":1,"numServersResponded":1}`
	b := newBroker(t, always(http.StatusOK, body))
	s := newSource(t, Config{
		Brokers: []string{b.URL},
		Table:   "movements_OFFLINE",
		Columns: `operator=UPPER(carrier), callsign=UPPER(carrier), landed_at=on_s * 1000, flight_id=TRIM("id"),` +
			`aircraft_type=,mtow_kg=,departed_at=,distance_km=,passengers=`,
	})
	f, err := s.Flight(t.Context(), "F1")
	require.NoError(t, err)
	want := billing.Flight{
		ID: "F1", Operator: "UAL", Callsign: "UAL", Registration: "N1", Origin: "KEWR", Destination: "KIAH",
		LandedAt: new(time.Date(2014, 1, 7, 0, 0, 0, 0, time.UTC)),
	}
	require.Equal(t, want, f)
	require.Equal(t, []string{`SELECT TRIM("id"), UPPER(carrier), "registration", "origin", "destination", ` +
		`CAST(on_s * 1000 AS LONG) FROM "movements_OFFLINE" WHERE (TRIM("id")) = 'F1' LIMIT 100`}, b.asked())
}

func TestFlightWithoutAnID(t *testing.T) {
	t.Parallel()
	b := newBroker(t, always(http.StatusOK, rowsBody(map[string]string{"flight_id": `"null"`})))
	s := newSource(t, Config{Brokers: []string{b.URL}})
	for _, id := range []string{"", " ", "null", "NULL", "F\xff"} {
		_, err := s.Flight(t.Context(), id)
		failure, ok := errors.AsType[*billing.Error](err)
		require.True(t, ok)
		require.Equal(t, billing.ReasonFlightUnknown, failure.Reason)
	}
	require.Empty(t, b.asked())
}

func TestFlightCancelled(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}), make(chan struct{})
	b := newBroker(t, func(r *http.Request, _ string) (int, string) {
		close(started)
		select {
		case <-r.Context().Done():
		case <-release:
		}
		return http.StatusOK, rowsBody()
	})
	t.Cleanup(func() { close(release) })
	s := newSource(t, Config{Brokers: []string{b.URL}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	_, err := s.Flight(ctx, "F1")
	require.ErrorIs(t, err, context.Canceled)
	_, isFailure := errors.AsType[*billing.Error](err)
	require.False(t, isFailure, "says nothing about Pinot: %v", err)

	_, err = s.Flight(ctx, "F1")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, s.Check(ctx), context.Canceled)
	require.Len(t, b.asked(), 1)
}

func TestFlightTimesOut(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := newBroker(t, func(r *http.Request, _ string) (int, string) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
		return http.StatusOK, rowsBody()
	})
	t.Cleanup(func() { close(release) })
	s := newSource(t, Config{Brokers: []string{b.URL}, Timeout: 30 * time.Millisecond})
	_, err := s.Flight(t.Context(), "F1")
	failure, ok := errors.AsType[*billing.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, billing.Outage, failure.Kind)
	require.ErrorContains(t, err, "no answer within 30ms")
	require.NotErrorIs(t, err, context.DeadlineExceeded, "the caller's deadline has not passed")

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	_, err = s.Flight(ctx, "F1")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, isFailure := errors.AsType[*billing.Error](err)
	require.False(t, isFailure)
}

// TestClientStaysSilent runs itself in a process of its own: the client's logger
// writes to the standard error it found at start.
func TestClientStaysSilent(t *testing.T) {
	t.Parallel()
	const variable = "PINOT_TEST_SILENT"
	if os.Getenv(variable) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestClientStaysSilent$")
		cmd.Env = append(os.Environ(), variable+"=1")
		var stderr strings.Builder
		cmd.Stderr = &stderr
		require.NoError(t, cmd.Run())
		require.Empty(t, stderr.String())
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	for _, answer := range []answerFunc{
		always(http.StatusInternalServerError, ""), always(http.StatusOK, "<html>"), always(http.StatusOK, `{"resultTable":[]}`),
		always(http.StatusOK, "{}"), always(http.StatusFound, ""),
	} {
		b := newBroker(t, answer)
		s := newSource(t, Config{Brokers: []string{b.URL}})
		_, err := s.Flight(ctx, "F1")
		require.Error(t, err)
	}
	s := newSource(t, Config{Brokers: []string{"127.0.0.1:1"}})
	_, err := s.Flight(ctx, "F1")
	require.Error(t, err)
	cancel()
	_, err = s.Flight(ctx, "F1")
	require.Error(t, err)
}

func TestCredentialsAreSentAndNotLogged(t *testing.T) {
	t.Parallel()
	b := newBroker(t, func(r *http.Request, _ string) (int, string) {
		if user, password, _ := r.BasicAuth(); user != "flightbill" || password != "secret" {
			return http.StatusUnauthorized, ""
		}
		return http.StatusServiceUnavailable, ""
	})
	var log strings.Builder
	s := newSource(t, Config{
		Brokers: []string{strings.Replace(b.URL, "http://", "http://flightbill:secret@", 1), "http://flightbill:secret@127.0.0.1:1"},
		Logger:  slog.New(slog.NewTextHandler(&log, nil)),
	})
	_, err := s.Flight(t.Context(), "F1")
	require.ErrorContains(t, err, "HTTP status 503")
	require.NotContains(t, err.Error()+log.String(), "secret")
	require.Contains(t, log.String(), "gives no answer to rely on")
}

// BenchmarkFlight shows what a query costs beside the broker: the connection made
// for each is part of it.
func BenchmarkFlight(b *testing.B) {
	server := newBroker(b, always(http.StatusOK, rowsBody(nil)))
	s, err := New(Config{Brokers: []string{server.URL}})
	require.NoError(b, err)
	b.Cleanup(s.Close)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Flight(b.Context(), "F1"); err != nil {
			b.Fatal(err)
		}
	}
}
