package pinot

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// get returns a column's expression.
func (m mapping) get(name string) string {
	for i, c := range columns {
		if c.name == name {
			return m[i]
		}
	}
	return "no such column"
}

func TestParseMapping(t *testing.T) {
	t.Parallel()
	cases := map[string]map[string]string{
		"":                           {"operator": `"operator"`, "passengers": `"passengers"`},
		"  ":                         {"operator": `"operator"`},
		"operator=carrier":           {"operator": "carrier", "callsign": `"callsign"`},
		"operator=UPPER(carrier)":    {"operator": "UPPER(carrier)"},
		" operator = a , origin = b": {"operator": "a", "origin": "b"},
		"passengers=":                {"passengers": ""},
		"passengers=,origin=b":       {"passengers": "", "origin": "b"},
		"operator=CONCAT(a,b,'='),callsign=IF(x=',',(y),z)": {"operator": "CONCAT(a,b,'=')", "callsign": "IF(x=',',(y),z)"},
		"operator='a,b=c',origin=`d,e`":                     {"operator": "'a,b=c'", "origin": "`d,e`"},
		`operator="a,(b",origin='it''s, ok'`:                {"operator": `"a,(b"`, "origin": "'it''s, ok'"},
		"mtow_kg=CASE WHEN lb = 0 THEN 0 ELSE lb*0.45 END":  {"mtow_kg": "CASE WHEN lb = 0 THEN 0 ELSE lb*0.45 END"},
		"operator='--',mtow_kg=a-(-b)/c":                    {"operator": "'--'", "mtow_kg": "a-(-b)/c"},
	}
	for setting, want := range cases {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			m, err := parseMapping(setting)
			require.NoError(t, err)
			require.Len(t, m, len(columns))
			for name, expression := range want {
				require.Equal(t, expression, m.get(name))
			}
		})
	}
}

func TestParseMappingErrors(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"carrier=operator":           `position 1: no column is called "carrier"`,
		"operator=a,pax=b":           `position 12: no column is called "pax"`,
		"Operator=a":                 `position 1: no column is called "Operator"`,
		"operator=a,operator=b":      "position 12: column operator is mapped twice",
		"operator=a,,origin=b":       "position 12: nothing between two commas",
		"operator=a,":                "position 12: nothing between two commas",
		",operator=a":                "position 1: nothing between two commas",
		"operator":                   `position 1: "operator" is not name=expression`,
		"operator(=)":                `position 1: "operator(=)" is not name=expression`,
		"=a":                         `position 1: no column is called ""`,
		"operator=":                  "position 1: column operator needs an expression",
		"passengers=,landed_at= ":    "position 13: column landed_at needs an expression",
		"operator=UPPER(a":           "position 15: the parenthesis ( is not closed",
		"operator=UPPER(a))":         "position 18: the parenthesis ) was not opened",
		"operator='a":                "position 10: the quote ' is not closed",
		`operator="a`:                `position 10: the quote " is not closed`,
		"operator=`a":                "position 10: the quote ` is not closed",
		"operator=a;DROP":            "position 11: a semicolon",
		"operator=a -- all":          "position 12: a comment",
		"operator=a /* ,origin=b */": "position 12: a comment",
		"operator=a // b":            "position 12: a comment",
	}
	for setting, want := range cases {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			_, err := parseMapping(setting)
			require.ErrorContains(t, err, "PINOT_COLUMNS: at "+want)
		})
	}
}

// expressionGen makes expressions whose commas and equals signs are all inside
// parentheses or quotes.
func expressionGen() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		part := rapid.OneOf(
			rapid.StringMatching(`[a-z_0-9]{1,5}`),
			rapid.StringMatching(`'[a-z,=();\-]{0,4}'`),
			rapid.StringMatching(`"[a-z,=()']{0,4}"`),
			rapid.StringMatching("`[a-z,=()']{0,4}`"),
			rapid.StringMatching(`F\(a, ?b ?= ?'[)(,]',\(c\)\)`),
		)
		return strings.Join(rapid.SliceOfN(part, 1, 4).Draw(t, "parts"), rapid.SampledFrom([]string{" ", "*", " || "}).Draw(t, "between"))
	})
}

func TestParseMappingGivesBackWhatWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.Permutation(columns).Draw(t, "columns")
		order = order[:rapid.IntRange(1, len(order)).Draw(t, "mapped")]
		space := rapid.SampledFrom([]string{"", " ", "\t"})
		want := map[string]string{}
		var pieces []string
		for _, c := range order {
			want[c.name] = expressionGen().Draw(t, "expression")
			pieces = append(pieces, space.Draw(t, "a")+c.name+space.Draw(t, "b")+"="+space.Draw(t, "c")+want[c.name]+space.Draw(t, "d"))
		}
		m, err := parseMapping(strings.Join(pieces, ","))
		require.NoError(t, err)
		for i, c := range columns {
			expression, mapped := want[c.name]
			if !mapped {
				expression = `"` + c.name + `"`
			}
			require.Equal(t, expression, m[i])
		}
	})
}

// FuzzParseMapping: whatever is written, an accepted expression cannot leak out of
// its place in the query, and nothing panics.
func FuzzParseMapping(f *testing.F) {
	for _, seed := range []string{"", "operator=UPPER(carrier),mtow_kg=a*1.5", "operator='a,b'", "operator=(", "a=,=", "passengers=", "operator=a\"b", "origin=')'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, setting string) {
		m, err := parseMapping(setting)
		if err != nil {
			require.ErrorContains(t, err, "PINOT_COLUMNS: at position ")
			return
		}
		for i, expression := range m {
			if expression == "" {
				require.True(t, columns[i].optional)
				continue
			}
			// Beside another piece it is still one: quotes and parentheses close.
			pieces, err := splitPieces("x=" + expression + ",y=1")
			require.NoError(t, err)
			require.Len(t, pieces, 2)
		}
	})
}
