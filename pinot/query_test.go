package pinot

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// parseLiteral reads a SQL literal at the start of text as Pinot's parser does: a
// quote ends it, two are one. It returns the value and what follows.
func parseLiteral(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, "'") {
		return "", text, false
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != '\'' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), text[i+1:], true
	}
	return "", text, false
}

func FuzzLiteral(f *testing.F) {
	for _, seed := range []string{
		"UAL1545-20130101-KEWR", "", "'", "''", "'''", "x' OR flight_id='F3", `\`, `\'`, "a\x00b", "a\nb", "é世😀", "?", "%s",
		"'; DROP TABLE flights --", "option(timeoutMs=1)", "\u2019", "a''b'",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		const after = " LIMIT 100"
		value, rest, ok := parseLiteral(literal(id) + after)
		require.True(t, ok)
		require.Equal(t, id, value)
		require.Equal(t, after, rest)
	})
}

func TestLiteral(t *testing.T) {
	t.Parallel()
	require.Equal(t, "'F1'", literal("F1"))
	require.Equal(t, "'x'' OR flight_id=''F3'", literal("x' OR flight_id='F3"))
	rapid.Check(t, func(t *rapid.T) {
		id := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"'", "''", `\`, `"`, "a", " ", "%", "?"})).Draw(t, "id"), "")
		value, rest, ok := parseLiteral(literal(id))
		require.True(t, ok)
		require.Equal(t, id, value)
		require.Empty(t, rest)
	})
}

// The query reaches the broker as it was built, whatever is in the id.
func TestQueryOnTheWire(t *testing.T) {
	t.Parallel()
	b := newBroker(t, always(200, recorded(t, "0.11-unknown")))
	s := newSource(t, Config{Brokers: []string{b.URL}})
	for _, id := range []string{"?", "%s%d", `a\"b`, "é世😀", "a\nb", "<&>"} {
		_, err := s.Flight(t.Context(), id)
		require.ErrorContains(t, err, "is not in the flight source yet")
		asked := b.asked()
		require.Equal(t, s.flightQuery(s.chosen.Load(), []string{id}).sql, asked[len(asked)-1])
	}
}
