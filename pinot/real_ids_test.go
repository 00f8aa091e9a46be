package pinot

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/pinot/pinottest"
)

// idRow is a flight of which the id matters, and the callsign to tell it by.
type idRow struct {
	ID          string `json:"flight_id"`
	Callsign    string `json:"callsign"`
	Operator    string `json:"operator"`
	Origin      string `json:"origin"`
	Destination string `json:"destination"`
}

// idTable makes a table with a flight for each id, whose callsign is its number.
func idTable(t testing.TB, ids []string) (s *Source, callsigns map[string]string) {
	t.Helper()
	callsigns = map[string]string{}
	var rows []idRow
	for _, id := range ids {
		if _, ok := callsigns[id]; ok {
			continue
		}
		callsigns[id] = "C" + strconv.Itoa(len(callsigns))
		rows = append(rows, idRow{id, callsigns[id], "UAL", "KEWR", "KIAH"})
	}
	return realSource(t, Config{Table: pinottest.Flights(t, pinottest.JSON(t, rows...))}), callsigns
}

// hostileIDs are what one would try to get at other flights with, and what trips escaping.
var hostileIDs = []string{
	"F1", "f1", "F1 ", " F1", "F%", "F_", "F\\", "\\'", "\\\\'", "'", "''", "'''", "F''1", "\"", "\"\"", "`",
	"x' OR flight_id='F1", "x' OR '1'='1", "' OR 1=1 --", "') OR (1=1", "x'; DROP TABLE flights; --", "x' UNION SELECT 1 --",
	"F1' LIMIT 0 --", "F1'/*", "*/F1", "--", "F1--", ";", "F;1", "?", "??", "F?1", "'?'", "$1", ":id", "%s", "%v", "%27", "%", "{}", "[1]",
	"é", "e\u0301", "日本", "🛫", "\u2019", "\u02bc", "＇", "ß", "SS", "\u202eF1", "a\u00a0b", "\ufeffF1", "\t", "a\tb", "a\nb", "a\r\nb",
	"\x01", "\x7f", "BAW123-20261122-LHR", "NULLS", "true", "1", "1.0", "-1", "1e3", "0x41", "U&'\\0041'", "E'\\x41'", "N'x'", "_utf8'x'",
	"option(timeoutMs=1)", "F1' option(timeoutMs=1) --", "SET x=1;", strings.Repeat("'", 128), strings.Repeat("é", 64),
}

func FuzzRealFlightID(f *testing.F) {
	for _, id := range append(hostileIDs, "", " ", "null", "NULL", "\x00", "F1\x00", "\xff", "x' OR flight_id='F", "F1'") {
		f.Add(id)
	}
	var ids []string
	for _, id := range hostileIDs {
		if strings.TrimSpace(id) != "" {
			ids = append(ids, id)
		}
	}
	s, callsigns := idTable(f, ids)
	answers, err := s.Flights(f.Context(), append(ids, "none", "F", "F1F1"))
	require.NoError(f, err)
	for id, answer := range answers {
		requireAnswer(f, callsigns, id, answer)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if len(id) > 128 {
			t.Skip("no id in the queue is that long")
		}
		requireItself(t, s, callsigns, id)
	})
}

// requireItself checks that an id gets its own flight or, if it has none, none. Pinot reads two quotes side by side in a
// literal's text as one, after SQL has done so: such an id may not be found, or be refused as another's. None in the
// queue has a quote.
func requireItself(t *testing.T, s *Source, callsigns map[string]string, id string) {
	t.Helper()
	f, err := s.Flight(t.Context(), id)
	requireAnswer(t, callsigns, id, billing.Answer{Flight: f, Err: err})
}

func requireAnswer(t testing.TB, callsigns map[string]string, id string, answer billing.Answer) {
	t.Helper()
	f, err := answer.Flight, answer.Err
	callsign, ok := callsigns[id]
	if err != nil && strings.Contains(id, "''") {
		require.NotEqual(t, billing.Refused, kindOf(t, err), "id %q: %v", id, err)
		return
	}
	if !ok {
		require.Equal(t, billing.NotYet, kindOf(t, err), "id %q: %v", id, err)
		return
	}
	require.NoError(t, err, "id %q", id)
	require.Equal(t, id, f.ID)
	require.Equal(t, callsign, f.Callsign, "id %q", id)
}

func TestRealRandomFlightIDs(t *testing.T) {
	t.Parallel()
	const alphabet = "'\"?\\`;--/**/%__()  ,.=<>!|&^~@#$:{}[]\t\nFf01éß日🛫\u2019\u00a0"
	letters := []rune(alphabet)
	random := rand.New(rand.NewPCG(1, 2))
	next := func() string {
		var id strings.Builder
		id.WriteByte('F')
		for range random.IntN(40) {
			id.WriteRune(letters[random.IntN(len(letters))])
		}
		return id.String()
	}
	ids := make([]string, 300)
	for i := range ids {
		ids[i] = next()
		require.True(t, utf8.ValidString(ids[i]))
	}
	s, callsigns := idTable(t, ids)
	for part := range slices.Chunk(ids, 60) {
		others := []string{next(), next(), next()}
		t.Run("", func(t *testing.T) {
			t.Parallel()
			asked := slices.Concat(others, part)
			answers, err := s.Flights(t.Context(), asked)
			require.NoError(t, err)
			for _, id := range asked {
				requireItself(t, s, callsigns, id)
				requireAnswer(t, callsigns, id, answers[id])
			}
		})
	}
}
