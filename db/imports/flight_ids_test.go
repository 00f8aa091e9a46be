package imports_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/imports"
)

func readIDs(content string) (ids []string, err error) {
	err = imports.FlightIDs("ids.txt", strings.NewReader(content), func(id string) error {
		ids = append(ids, id)
		return nil
	})
	return ids, err
}

func TestFlightIDs(t *testing.T) {
	t.Parallel()
	want := []string{"F1", "F 2", "6.00E+12"}
	const plain = "F1\nF 2\n6.00E+12\n"
	for name, content := range map[string]string{
		"plain":                 plain,
		"no newline at the end": "F1\nF 2\n6.00E+12",
		"byte order mark":       "\ufeff" + plain,
		"CRLF":                  strings.ReplaceAll(plain, "\n", "\r\n"),
		"carriage returns":      strings.ReplaceAll(plain, "\n", "\r"),
		"blanks":                "\n F1\t\n\n  \nF 2 \n\n6.00E+12\n\n",
		"header":                "\ufeffFlight_ID\n" + plain,
		"quotes":                "\"flight_id\"\n\"F1\"\n\"F 2\"\n\"6.00E+12\"\n",
		"columns":               "date, flight_id ,gate\n1,F1,\n2,F 2,A\n,,\n3,6.00E+12,B\n",
		"gzip":                  string(zipped(t, "flight_id\n"+plain)),
	} {
		ids, err := readIDs(content)
		require.NoError(t, err, name)
		require.Equal(t, want, ids, name)
	}
	ids, err := readIDs("\ufeff\n\n")
	require.NoError(t, err)
	require.Empty(t, ids)

	for content, part := range map[string]string{
		"F1\nF;2\n":                         `ids.txt: line 2: flight id "F;2" cannot be enqueued: it is 1 to 128`,
		"F1\nF2,F3\n":                       "ids.txt: line 2: it has 2 cells: write one id a line",
		"F1,F2\n":                           "ids.txt: line 1: it has 2 cells",
		"flight_id,date\nF1,1\n,2\n":        `ids.txt: line 3: flight id "" cannot be enqueued`,
		"flight_id,date\nF1\n":              "ids.txt: line 2: it has 1 cells",
		"F1\n\"F2\n":                        "ids.txt: line 2: it is not CSV",
		"\xff\xfeF\x001\x00":                "ids.txt: cannot be read: it is UTF-16",
		"F\x001\x00":                        "UTF-16",
		"PK\x03\x04":                        "zip archive",
		"F1\nCaf\xe9\n":                     `ids.txt: line 2: flight id`,
		strings.Repeat("9", 200) + "\nF2\n": "ids.txt: line 1: flight id",
	} {
		_, err := readIDs(content)
		require.ErrorContains(t, err, part, "%q", content)
	}
	stop := errors.New("enough")
	require.ErrorIs(t, imports.FlightIDs("ids.txt", strings.NewReader(plain), func(string) error { return stop }), stop)
}

func TestWarnsOfIDsThatASpreadsheetMadeNumbersOf(t *testing.T) {
	t.Parallel()
	for id, odd := range map[string]bool{
		"6.00E+12": true, "6E+12": true, "1.23457E+11": true, "2e+10": true,
		"6.00": false, "600E12": false, "BA6.00E+12": false, "6.00E+12-LHR": false, "12E+3": false, "": false,
	} {
		require.Equal(t, odd, imports.WarnOfFlightID(id) != "", id)
	}
	b := setup(t)
	lines := []string{flightHeader}
	for n := range 12 {
		lines = append(lines, fmt.Sprintf("%d.00E+12,,,,,,,,,,", n%9+1)+strings.Repeat(" ", n/9))
	}
	result, err := b.read(imports.Flights, strings.NewReader(csvOf(append(lines, "F1,,,,,,,,,,")...)))
	require.NoError(t, err)
	require.Len(t, result.Warnings, 11)
	require.Contains(t, result.Warnings[0], `line 2: column flight_id: "1.00E+12" looks as if a spreadsheet had made a number of a flight id: format the column as text`)
	require.Contains(t, result.Warnings[10], "there is more of the kind")
}
