package billing_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

func when(t tb, text string) billing.When {
	t.Helper()
	w, err := billing.ParseWhen(text)
	require.NoError(t, err, text)
	return w
}

// factsOf reads "noise_class=C seats=12".
func factsOf(text string) func(string) (billing.Fact, error) {
	facts := map[string]billing.Fact{}
	for pair := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(pair, "=")
		facts[name] = billing.TextFact(value)
	}
	return func(name string) (billing.Fact, error) { return facts[name], nil }
}

func TestWhenHolds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		when, facts string
		outcome     billing.Outcome
		why         string
	}{
		{"", "", billing.Holds, "all conditions hold"},
		{"noise_class=A|B", "noise_class=b", billing.Holds, "all conditions hold"},
		{"noise_class=A|B", "noise_class=C", billing.Fails, "noise_class=A|B, but it is C"},
		{"noise_class = A | B ", "", billing.Lacks, "noise_class=A|B cannot be told: there is no noise_class"},
		{"stand!=remote|cargo", "stand=Remote", billing.Fails, "stand!=remote|cargo, but it is Remote"},
		{"stand!=remote|cargo", "stand=contact", billing.Holds, ""},
		{"stand!=remote", "", billing.Lacks, "stand!=remote cannot be told: there is no stand"},
		// Numbers are compared as numbers where both are, else as text.
		{"chapter=3", "chapter=03.0", billing.Holds, ""},
		{"chapter=3|A", "chapter=a", billing.Holds, ""},
		{"chapter!=3", "chapter=III", billing.Holds, ""},
		{"mass=2000000000000000000000000000.5", "mass=2000000000000000000000000000.50", billing.Holds, ""},
		{"mtow_kg<2000", "mtow_kg=1999", billing.Holds, ""},
		{"mtow_kg<2000", "mtow_kg=2000", billing.Fails, "mtow_kg<2000, but it is 2000"},
		{"mtow_kg<=2000", "mtow_kg=2000.0", billing.Holds, ""},
		{"mtow_kg<=2000", "mtow_kg=2000.01", billing.Fails, "mtow_kg<=2000, but it is 2000.01"},
		{"seats>30", "seats=30", billing.Fails, "seats>30, but it is 30"},
		{"seats>=30", "seats=30", billing.Holds, ""},
		{"seats>=30", "seats=9", billing.Fails, "seats>=30, but it is 9"},
		{"seats>=30", "seats=many", billing.Unusable, `seats>=30 needs a number, but it is "many"`},
		{"seats>-1", "seats=0", billing.Holds, ""},
		{"tail_tax absent", "", billing.Holds, ""},
		{"tail_tax absent", "tail_tax=0", billing.Fails, "tail_tax absent, but it is 0"},
		{"tail_tax  present", "tail_tax=0", billing.Holds, ""},
		{"tail_tax present", "", billing.Fails, "tail_tax present, but there is none"},
		// One that is false counts before one that cannot be told, wherever it stands.
		{"seats>=30; noise_class=A", "noise_class=B", billing.Fails, "noise_class=A, but it is B"},
		{"seats>=30; noise_class=A", "seats=many noise_class=B", billing.Fails, "noise_class=A, but it is B"},
		{"noise_class=A;seats>=30;stand=1", "noise_class=A seats=many", billing.Unusable, `seats>=30 needs a number, but it is "many"`},
		{"noise_class=A;stand=1;seats>=30", "noise_class=A seats=many", billing.Lacks, "stand=1 cannot be told: there is no stand"},
		{"mass>=2000; mass<5000", "mass=5000", billing.Fails, "mass<5000, but it is 5000"},
	} {
		judgement := when(t, test.when).Judge(factsOf(test.facts))
		require.Equal(t, test.outcome, judgement.Outcome, test.when+" / "+test.facts)
		if test.why != "" {
			require.Equal(t, test.why, judgement.String())
		}
	}

	broken := errors.New("off_block_at is before on_block_at")
	facts := func(name string) (billing.Fact, error) {
		if name == "stay_minutes" {
			return billing.Fact{}, broken
		}
		return billing.TextFact("A"), nil
	}
	judgement := when(t, "stay_minutes>30; stand=A").Judge(facts)
	require.Equal(t, billing.Unusable, judgement.Outcome)
	require.ErrorIs(t, judgement.Err, broken)
	require.Equal(t, "stay_minutes", judgement.Name())
	require.Equal(t, "stay_minutes>30 cannot be told: off_block_at is before on_block_at", judgement.String())
	judgement = when(t, "stay_minutes>30; stand=B").Judge(facts)
	require.Equal(t, billing.Fails, judgement.Outcome)
	require.NoError(t, judgement.Err)
	require.Equal(t, "stand=B", judgement.Condition())
}

func TestWhenIsWrittenInOneWay(t *testing.T) {
	t.Parallel()
	require.Equal(t, "noise_class=A|b c; seats>=30; tail_tax absent", when(t, " noise_class = A |b c;seats>= 30 ;\ttail_tax   absent").String())
	require.Equal(t, []string{"mass", "stand"}, when(t, "mass>=2000; stand=1; mass<5000").Names())
	require.True(t, when(t, " ").IsZero())
	key := func(text string) billing.RuleKey { return (&billing.Tariff{When: when(t, text)}).Key() }
	require.Equal(t, key("noise_class=A|B; seats>=30.0"), key("seats >= 30; noise_class=b|a|A"))
	require.NotEqual(t, key("noise_class=A|B"), key("noise_class!=A|B"))
	require.NotEqual(t, key("noise_class=A"), key("noise_class=B"))
}

func TestWhenRefuses(t *testing.T) {
	t.Parallel()
	const how = "write conditions such as noise_class=A|B; stand!=remote; seats>=30; tail_tax absent"
	for text, message := range map[string]string{
		"noise_class=A;":                "character 15: there is no condition: " + how,
		";":                             "character 1: there is no condition: " + how,
		"Noise_Class=A":                 `character 1: "Noise_Class" is not the name of a fact, in snake_case: ` + how,
		"é=1;  ü=1":                     `character 1: "é" is not the name of a fact, in snake_case: ` + how,
		"ok=é;  noise class=A":          `character 8: noise is followed by "class=A": = != < <= > >= present or absent are allowed`,
		"=A":                            `character 1: "" is not the name of a fact, in snake_case: ` + how,
		"noise_class":                   `character 1: noise_class is followed by "": = != < <= > >= present or absent are allowed`,
		"noise_class ABSENT":            `character 1: noise_class is followed by "ABSENT": = != < <= > >= present or absent are allowed`,
		"noise_class!A":                 `character 1: noise_class is followed by "!A": = != < <= > >= present or absent are allowed`,
		"tonnes<2":                      `character 1: "tonnes" is a quantity of the tariff and no fact: a condition on mass is mtow_kg<2000, one on tonnes or units a band (band_of)`,
		"noise_class=A|":                "character 1: noise_class= lacks a value: write it, or noise_class absent",
		"noise_class= ":                 "character 1: noise_class= lacks a value: write it, or noise_class absent",
		"noise_class==A":                `character 1: noise_class= is followed by "=A": no value begins with = ! < or >`,
		"seats=>30":                     `character 1: seats= is followed by ">30": no value begins with = ! < or >`,
		"seats<>30":                     `character 1: seats< is followed by ">30": no value begins with = ! < or >`,
		"stand=A|none":                  "character 1: stand=none asks for a value that says that there is none: write stand absent, or stand present",
		"seats>=many":                   "character 1: seats>=many needs one number, such as 30 or 2.5",
		"callsign>=5":                   "character 1: callsign is text and no number: = != present or absent are allowed",
		"seats>=30|40":                  "character 1: seats>=30|40 needs one number, such as 30 or 2.5",
		"seats<1e3":                     "character 1: seats<1e3 needs one number, such as 30 or 2.5",
		"a=" + strings.Repeat("x", 201): "character 1: a=: the value has more than 200 characters",
		"seats>=30;  seats<30":          "character 13: seats<30 leaves no value of seats that meets all conditions before it too, so the tariff would never apply: a list of values is seats=A|B",
		"stand=A; stand=B":              "character 10: stand=B leaves no value of stand that meets all conditions before it too, so the tariff would never apply: a list of values is stand=A|B",
		"tax absent; tax!=1":            "character 13: tax!=1 leaves no value of tax that meets all conditions before it too, so the tariff would never apply: a list of values is tax=A|B",
		strings.Repeat("a=1;", 251):     "it has 1004 characters: 1000 at most",
	} {
		_, err := billing.ParseWhen(text)
		require.EqualError(t, err, message, text)
	}
}

// A tariff of thousands that does not apply must cost nothing but a look.
//
//nolint:paralleltest // testing.AllocsPerRun wants to be alone
func TestWhenAllocatesNothing(t *testing.T) {
	w := when(t, "noise_class=A|B; seats>=30; stand!=Remote; tail_tax absent; mass<12.5")
	for _, facts := range []string{"noise_class=b seats=30 stand=contact mass=12.25", "noise_class=c", "noise_class=a seats=29.5", "seats=40"} {
		fact := factsOf(facts)
		require.Zero(t, testing.AllocsPerRun(100, func() { w.Judge(fact) }), facts)
	}
}

// Numbers compare as decimals do, whatever their digits.
func TestFactsCompareAsNumbers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`-?[0-9]{1,20}(\.[0-9]{1,20})?|-?[0-9]\.?0?[0-9]`)
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		order := dec(a).Cmp(dec(b))
		for operator, holds := range map[string]bool{"=": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0} {
			outcome := when(t, "n"+operator+b).Judge(factsOf("n=" + a)).Outcome
			require.Equal(t, holds, outcome == billing.Holds, a+operator+b)
		}
	})
}
