package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pinotRows are the rows of a table of three flights, which has neither callsigns
// nor passengers.
var pinotRows = map[string]string{
	"F1": `"F1","UAL","N14228","B739",79016,"KEWR","KIAH",1357034220000,1357046400000,2253.1`,
	"F2": `"F2","UAL","N1","null",0,"KEWR","KIAH",0,0,0`,
	"F3": `"F3","null","null","B739",79016,"KEWR","KIAH",1357034220000,1357046400000,2253.1`,
	"F4": `"F4","UAL","N1","B739",79016,"KEWR","KIAH",1357046400000,1357034220000,2253.1`,
}

const pinotColumns = "callsign=,passengers="

// newPinotBroker answers as a broker of that table.
func newPinotBroker(t *testing.T) string {
	t.Helper()
	return startPinotBroker(t, "127.0.0.1:0")
}

func startPinotBroker(t *testing.T, address string) string {
	t.Helper()
	const answer = `{"resultTable":{"dataSchema":{"columnDataTypes":[%s]},"rows":[%s]},
		"exceptions":[],"numServersQueried":1,"numServersResponded":1}`
	const types = `"STRING","STRING","STRING","STRING","INT","STRING","STRING","LONG","LONG","DOUBLE"`
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sql, _ := io.ReadAll(r.Body)
		switch {
		case bytes.Contains(sql, []byte(`passengers`)):
			fmt.Fprint(w, `{"exceptions":[{"errorCode":710,"message":"Unknown columnName 'passengers'"}]}`)
			return
		case bytes.Contains(sql, []byte("SELECT *")): //nolint:unqueryvet // the names of the columns are asked for
			fmt.Fprint(w, `{"resultTable":{"dataSchema":{"columnNames":["flight_id"],"columnDataTypes":["STRING"]},"rows":[["F1"]]},"numServersQueried":1,"numServersResponded":1}`)
			return
		case bytes.Contains(sql, []byte("COUNT(*)")):
			fmt.Fprintf(w, answer, `"LONG"`, "[12345]")
			return
		}
		list, _, _ := bytes.Cut(sql, []byte(" FROM "))
		if n := bytes.Count(list, []byte(", ")); n < 9 { // columns one by one
			fmt.Fprintf(w, answer, `"STRING"`+strings.Repeat(`,"STRING"`, n), "")
			return
		}
		_, condition, one := bytes.Cut(sql, []byte("WHERE"))
		var rows []string
		for _, id := range []string{"F1", "F2", "F3", "F4"} {
			if !one || bytes.Contains(condition, []byte("'"+id+"'")) {
				rows = append(rows, "["+pinotRows[id]+"]")
			}
		}
		fmt.Fprintf(w, answer, types, strings.Join(rows, ","))
	}))
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	require.NoError(t, server.Listener.Close())
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// runWith runs a command line with this environment and no other.
func runWith(env map[string]string, args ...string) (status int, stdout, stderr string) {
	var out, errs strings.Builder
	look := func(name string) (string, bool) {
		value, given := env[name]
		return value, given
	}
	status = run(context.Background(), args, look, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

func TestPinotCheck(t *testing.T) {
	t.Parallel()
	env := map[string]string{"PINOT_BROKERS": newPinotBroker(t), "PINOT_COLUMNS": pinotColumns}
	status, stdout, stderr := runWith(env, "pinot", "check")
	require.Equal(t, exitDone, status, stderr)
	require.Regexp(t, `127\.0\.0\.1:\d+ +answers\n`, stdout)
	require.Contains(t, stdout, "Rows in table flights: 12,345\n")
	require.Regexp(t, `\nmtow_kg +"mtow_kg" +INT +79016 +25 % +not billable per_tonne, route, terminal, or with a band\n`, stdout)
	require.Regexp(t, `\noperator +"operator" +STRING +UAL +25 % +only the registration`, stdout)
	require.Regexp(t, `\norigin +"origin" +STRING +KEWR +0 %\n`, stdout)
	require.Regexp(t, `\npassengers +\(not in the table\) +absent +100 % +not billable per_passenger\n`, stdout)
	require.Contains(t, stdout, "the first 4 rows that Pinot gave")

	status, stdout, stderr = runWith(env, "pinot", "check", "--json")
	require.Equal(t, exitDone, status, stderr)
	var report struct {
		Rows    int `json:"rows"`
		Sampled int `json:"sampled_rows"`
		Columns []struct {
			Name   string `json:"name"`
			Absent int    `json:"absent"`
		} `json:"columns"`
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.Equal(t, 12345, report.Rows)
	require.Equal(t, 4, report.Sampled)
	require.Equal(t, "mtow_kg", report.Columns[5].Name)
	require.Equal(t, 1, report.Columns[5].Absent)
}

func TestPinotCheckFlight(t *testing.T) {
	t.Parallel()
	env := map[string]string{"PINOT_BROKERS": newPinotBroker(t), "PINOT_COLUMNS": pinotColumns}
	for id, want := range map[string]string{
		"F1": "Nothing in these facts stops flight F1.",
		"F2": "not_landed: flight F2 has not landed yet",
		"F3": "no_customer: flight F3 has no customer",
		"F4": "unusable_facts: flight F4 landed (landed_at 2013-01-01T09:57:00Z) before it took off",
		"F5": "flight_unknown: flight F5 is not in the flight source yet",
	} {
		status, stdout, stderr := runWith(env, "pinot", "check", id)
		require.Equal(t, exitDone, status, stderr)
		require.Contains(t, stdout, want)
		require.Equal(t, id != "F5", strings.Contains(stdout, "COLUMN"), stdout)
		if id == "F2" {
			require.Regexp(t, `\nmtow_kg +"mtow_kg" +INT +absent: not billable per_tonne`, stdout)
			require.Regexp(t, `\naircraft_type +"aircraft_type" +STRING +absent\n`, stdout)
		}
	}
	status, stdout, stderr := runWith(env, "pinot", "check", "F3", "--json")
	require.Equal(t, exitDone, status, stderr)
	var report map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.Equal(t, "no_customer", report["stopped_by"])
	require.Contains(t, report["flight"], "mtow_kg")
}

// Facts with names of their own stand beside the columns.
func TestPinotCheckFacts(t *testing.T) {
	t.Parallel()
	env := map[string]string{
		"PINOT_BROKERS": newPinotBroker(t), "PINOT_COLUMNS": pinotColumns, "PINOT_FACTS": `noise_class="aircraft_type", mass="mtow_kg"`, "PINOT_ZERO_IS_A_FACT": "mass",
	}
	status, stdout, stderr := runWith(env, "pinot", "check")
	require.Equal(t, exitDone, status, stderr)
	require.Regexp(t, `\nmovement +\(not in the table\) +absent +100 % +billed as a whole flight`, stdout)
	require.Regexp(t, `\nnoise_class +"aircraft_type" +STRING +B739 +25 %\n`, stdout)
	require.Regexp(t, `\nmass +"mtow_kg" +INT +79016 +0 %\n`, stdout)

	status, stdout, stderr = runWith(env, "pinot", "check", "F1", "--json")
	require.Equal(t, exitDone, status, stderr)
	var report struct {
		Flight struct {
			Facts map[string]any `json:"facts"`
		} `json:"flight"`
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.Equal(t, map[string]any{"noise_class": "B739", "mass": 79016.0}, report.Flight.Facts)
}

func TestPinotCheckFailures(t *testing.T) {
	t.Parallel()
	broker := newPinotBroker(t)
	cases := []struct {
		env    map[string]string
		args   []string
		status int
		want   string
	}{
		{nil, nil, exitUsage, "PINOT_BROKERS: set it, or PINOT_CONTROLLER"},
		{map[string]string{"PINOT_BROKERS": broker, "PINOT_COLUMNS": "speed=fast"}, nil, exitUsage, "PINOT_COLUMNS: at position 1"},
		{map[string]string{"PINOT_BROKERS": broker, "PINOT_FACTS": "mtow_kg=x"}, nil, exitUsage, `PINOT_FACTS: at position 1: fact name "mtow_kg" is that of a column`},
		{map[string]string{"PINOT_BROKERS": broker, "PINOT_ZERO_IS_A_FACT": "speed"}, nil, exitUsage, `PINOT_ZERO_IS_A_FACT: "speed" is not one of`},
		{map[string]string{"PINOT_BROKERS": broker}, []string{"?"}, exitUsage, `"?" is not a flight id`},
		{map[string]string{"PINOT_BROKERS": broker}, nil, exitFailed, "PINOT_COLUMNS: column passengers"},
		{map[string]string{"PINOT_BROKERS": "127.0.0.1:1"}, nil, exitFailed, "broker 127.0.0.1:1: "},
		{map[string]string{"PINOT_CONTROLLER": "127.0.0.1:1"}, []string{"F1"}, exitFailed, "controller 127.0.0.1:1: "},
	}
	for _, tc := range cases {
		status, _, stderr := runWith(tc.env, append([]string{"pinot", "check"}, tc.args...)...)
		require.Equal(t, tc.status, status, stderr)
		require.Contains(t, stderr, tc.want)
	}
	_, stdout, _ := runWith(map[string]string{"PINOT_BROKERS": "127.0.0.1:1"}, "pinot", "check")
	require.Contains(t, stdout, "connection refused", "each broker's own answer")
	status, _, stderr := runWith(nil, "pinot")
	require.Equal(t, exitUsage, status)
	require.Contains(t, stderr, "say what")
}
