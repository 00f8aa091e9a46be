package pinot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// FuzzAnswer: whatever a broker answers is an error that says what it is, or a flight that
// can be kept.
func FuzzAnswer(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, fact := range []string{`"A"`, `"0"`, "0", "12.50", "1E30", "-2147483648", `"-2147483648"`, `"-Infinity"`, `"null"`, "true", `"1\u0000"`, "1E-29"} {
		f.Add([]byte(wideBody(fact)))
	}
	for _, number := range []string{"1e999999999", "-1E-99999", "1e400", `"1e9"`, "0.1e-5", "253402300799999.5", `"Infinity"`, "-9223372036854775809", "[1]", `"\u0000"`} {
		f.Add([]byte(rowsBody(map[string]string{
			"operator": number, "mtow_kg": number, "passengers": number, "distance_km": number, "landed_at": number,
		})))
	}
	m, err := newMapping(Config{Facts: wideFacts})
	require.NoError(f, err)
	narrow, wide := newSelection(m[:len(columns)].in(nil)), newSelection(m)
	f.Fuzz(func(t *testing.T, text []byte) {
		read := func(q query) (*body, error) {
			b, err := readBody(&http.Response{Body: io.NopCloser(bytes.NewReader(text))}, q)
			if err == nil {
				require.LessOrEqual(t, len(b.rows), q.rows)
				err = vouch(b, q)
			}
			if err != nil {
				require.NotEqual(t, billing.CauseUnreachable, billing.CauseOf(err), "%v", err)
			}
			return b, err
		}
		if b, err := read(query{rows: 100, names: true}); err == nil {
			require.NotNil(t, b.names)
		}
		sel := narrow
		b, err := read(query{width: len(sel.expressions), rows: 100})
		if err != nil {
			sel = wide
			b, err = read(query{width: len(sel.expressions), rows: 100})
		}
		if err != nil {
			return
		}
		for _, row := range b.rows {
			flight, err := sel.readRow(row)
			var wrongType *typeError
			var wrongValue *valueError
			if errors.As(err, &wrongType) || errors.As(err, &wrongValue) {
				require.LessOrEqual(t, len(err.Error()), 2000)
				continue
			}
			require.NoError(t, err)
			kept, err := json.Marshal(flight)
			require.NoError(t, err)
			require.LessOrEqual(t, len(kept), 20_000)
			require.True(t, utf8.Valid(kept))
			var again billing.Flight
			require.NoError(t, json.Unmarshal(kept, &again), "%s", kept)
			require.Equal(t, flight.Facts, again.Facts)
			require.NotContains(t, flight.ID+flight.Callsign+flight.Operator+flight.Registration+flight.AircraftType+flight.Origin+flight.Destination, "\x00")
		}
	})
}

const wideFacts = "noise_class=nc,pax_transfer=pt"

// wideBody is an answer with all columns that a table can have, and two facts.
func wideBody(fact string) string {
	var values []string
	for _, c := range columns {
		value := "1357046400000"
		switch {
		case c.name == "movement":
			value = `"Departure"`
		case c.family == asText:
			value = `"X"`
		}
		values = append(values, value)
	}
	values = append(values, fact, fact)
	return fmt.Sprintf(`{"resultTable":{"dataSchema":{"columnNames":["movement","x"],"columnDataTypes":[%s]},"rows":[[%s]]},"numServersQueried":1,"numServersResponded":1}`,
		strings.TrimSuffix(strings.Repeat(`"STRING",`, len(columns)+2), ","), strings.Join(values, ","))
}

// FuzzParseHeaders: what is accepted can be sent, and an error repeats no value.
func FuzzParseHeaders(f *testing.F) {
	for _, seed := range []string{"", "X-Tenant=a", `X-A=b,"X-C=d,e"`, "X-A", "=b", "X-A=\n", "Host=a", "X-A=b,x-a=c", `"X-A=b""c"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, setting string) {
		headers, err := parseHeaders(setting)
		if err != nil {
			require.ErrorContains(t, err, "PINOT_HEADERS: ")
			require.Less(t, len(err.Error()), 200+len(setting))
			return
		}
		var sent bytes.Buffer
		require.NoError(t, headers.Write(&sent))
		read := strings.Count(sent.String(), "\r\n")
		require.Equal(t, len(headers), read, "one line each")
		for _, values := range headers {
			require.Len(t, values, 1)
			require.Contains(t, sent.String(), ": "+values[0]+"\r\n")
		}
	})
}

// FuzzParseAddress: what is accepted has a host to ask, and an error repeats nothing.
func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"a:1", "http://a", "https://user:pw@a:443/", "a", "ftp://a", "http://a:99999", "[::1]:8099", "http://a?x", "http://a b:1", "a:1/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		b, err := parseAddress(address)
		if err != nil {
			return
		}
		req, err := http.NewRequest(http.MethodGet, b.url+controllerPath, http.NoBody)
		require.NoError(t, err)
		require.NotEmpty(t, req.URL.Hostname())
		require.Equal(t, b.name, req.URL.Host)
		again, err := parseAddress(b.url)
		require.NoError(t, err)
		require.Equal(t, b, again)
	})
}
