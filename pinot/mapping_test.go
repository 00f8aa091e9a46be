package pinot

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseColumns(t *testing.T) {
	t.Parallel()
	cases := map[string]map[string]string{
		"":                                {"operator": `"operator"`, "passengers": `"passengers"`},
		"  ":                              {"operator": `"operator"`},
		"operator=carrier":                {"operator": "carrier", "callsign": `"callsign"`},
		"operator=UPPER(carrier)":         {"operator": "UPPER(carrier)"},
		" operator = a , origin = b":      {"operator": "a", "origin": "b"},
		"passengers=":                     {"passengers": ""},
		"movement=":                       {"movement": "", "mtow_lb": `"mtow_lb"`},
		"landed_at=,movement='departure'": {"landed_at": "", "movement": "'departure'"},
		"passengers=,origin=b":            {"passengers": "", "origin": "b"},
		"operator=CONCAT(a,b,'='),callsign=IF(x=',',(y),z)": {"operator": "CONCAT(a,b,'=')", "callsign": "IF(x=',',(y),z)"},
		"operator='a,b=c',origin=`d,e`":                     {"operator": "'a,b=c'", "origin": "`d,e`"},
		`operator="a,(b",origin='it''s, ok'`:                {"operator": `"a,(b"`, "origin": "'it''s, ok'"},
		"mtow_kg=CASE WHEN lb = 0 THEN 0 ELSE lb*0.45 END":  {"mtow_kg": "CASE WHEN lb = 0 THEN 0 ELSE lb*0.45 END"},
		"operator='--',mtow_kg=a-(-b)/c":                    {"operator": "'--'", "mtow_kg": "a-(-b)/c"},
	}
	for setting, want := range cases {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			m, err := parseColumns(setting)
			require.NoError(t, err)
			require.Len(t, m, len(columns))
			for name, expression := range want {
				require.Equal(t, expression, m.named(name).expression)
			}
		})
	}
}

func TestParseColumnsErrors(t *testing.T) {
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
		"landed_at=,movement=":       "position 1: column landed_at needs an expression",
		"noise_class=nc":             `position 1: no column is called "noise_class"; the columns are flight_id,`,
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
			_, err := parseColumns(setting)
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

func TestParseColumnsGivesBackWhatWasWritten(t *testing.T) {
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
		m, err := parseColumns(strings.Join(pieces, ","))
		require.NoError(t, err)
		for i, c := range columns {
			expression, mapped := want[c.name]
			if !mapped {
				expression = `"` + c.name + `"`
			}
			require.Equal(t, expression, m[i].expression)
			require.Equal(t, c.need == ifThere && !mapped, m[i].ifThere)
		}
	})
}

func TestParseFacts(t *testing.T) {
	t.Parallel()
	m, err := newMapping(Config{Facts: ` noise_class = CONCAT(a, b, ',') , pax_transfer=pax_trf,international='yes'`, Zeros: " passengers,pax_transfer , "})
	require.NoError(t, err)
	facts := m[len(columns):]
	require.Len(t, facts, 3)
	for i, want := range [][2]string{{"noise_class", "CONCAT(a, b, ',')"}, {"pax_transfer", "pax_trf"}, {"international", "'yes'"}} {
		require.Equal(t, want, [2]string{facts[i].name, facts[i].expression})
		require.Equal(t, asFact, facts[i].family)
		require.Equal(t, want[0] == "pax_transfer", facts[i].zero)
	}
	require.True(t, m.named("passengers").zero)
	require.False(t, m.named("distance_km").zero)
	for setting, want := range map[string]string{
		"a=x,a=y":        "position 5: fact a is there twice",
		"a=x,b=":         `position 5: fact b needs an expression, such as b="b"`,
		"a=x,,b=y":       "position 5: nothing between two commas",
		"a":              `position 1: "a" is not name=expression`,
		"Noise=x":        `position 1: fact name "Noise" is not snake_case`,
		"a=x, mtow_kg=y": `position 5: fact name "mtow_kg" is that of a column of flights`,
		"tonnes=x":       `position 1: fact name "tonnes" means a quantity`,
		"a=(":            "position 3: the parenthesis ( is not closed",
		"a=b;":           "position 4: a semicolon",
	} {
		_, err := newMapping(Config{Facts: setting})
		require.ErrorContains(t, err, "PINOT_FACTS: at "+want)
	}
	for _, setting := range []string{"mtow_kg", "operator", "noise_class", "passengers;distance_km"} {
		_, err := newMapping(Config{Facts: "pax_transfer=p", Zeros: setting})
		require.ErrorContains(t, err, `PINOT_ZERO_IS_A_FACT: "`+setting+`" is not one of distance_km, passengers, nor a fact that PINOT_FACTS names`)
	}
}

// FuzzParseColumns: whatever is written, an accepted expression cannot leak out of
// its place in the query, and nothing panics.
func FuzzParseColumns(f *testing.F) {
	for _, seed := range []string{"", "operator=UPPER(carrier),mtow_kg=a*1.5", "operator='a,b'", "operator=(", "a=,=", "passengers=", "operator=a\"b", "origin=')'", "noise_class=nc,pax=UPPER(p)", "landed_at=,movement=m"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, setting string) {
		for of, parse := range map[string]func(string) (mapping, error){settingColumns: parseColumns, settingFacts: parseFacts} {
			m, err := parse(setting)
			if err != nil {
				require.ErrorContains(t, err, of+": at position ")
				continue
			}
			for _, c := range m {
				if c.expression == "" {
					require.True(t, c.need != needed || c.name == "landed_at")
					continue
				}
				// Beside another piece it is still one: quotes and parentheses close.
				pieces, err := splitPieces(of, "x="+c.expression+",y=1")
				require.NoError(t, err)
				require.Len(t, pieces, 2)
			}
		}
	})
}
