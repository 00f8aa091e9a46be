package billing_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

func TestApart(t *testing.T) {
	t.Parallel()
	year := func(tariff *billing.Tariff) { tariff.ValidFrom = date(t, "2026-01-01") }
	when := func(text string) func(*billing.Tariff) {
		return func(tariff *billing.Tariff) { tariff.When = when(t, text) }
	}
	during := func(text string) func(*billing.Tariff) {
		return func(tariff *billing.Tariff) { tariff.During = during(t, text) }
	}
	band := func(of, from, to string) func(*billing.Tariff) {
		return func(tariff *billing.Tariff) {
			tariff.BandOf = of
			if from != "" {
				tariff.BandFrom = decPtr(from)
			}
			if to != "" {
				tariff.BandTo = decPtr(to)
			}
		}
	}
	basis := func(b billing.Basis) func(*billing.Tariff) {
		return func(tariff *billing.Tariff) { tariff.Basis = b }
	}
	applies := func(a billing.AppliesTo) func(*billing.Tariff) {
		return func(tariff *billing.Tariff) { tariff.AppliesTo = a }
	}
	type changes = []func(*billing.Tariff)
	for name, test := range map[string]struct {
		a, b  changes
		apart bool
	}{
		"nothing": {changes{}, changes{}, false},

		"arrival and departure": {changes{applies(billing.AppliesArrival)}, changes{applies(billing.AppliesDeparture)}, true},
		"arrival and any":       {changes{applies(billing.AppliesArrival)}, changes{applies(billing.AppliesAny)}, false},

		"validity that meets":    {changes{func(t *billing.Tariff) { t.ValidTo = billing.NewDate(2026, 6, 1) }}, changes{func(t *billing.Tariff) { t.ValidFrom = billing.NewDate(2026, 6, 1) }}, true},
		"validity by one day":    {changes{func(t *billing.Tariff) { t.ValidTo = billing.NewDate(2026, 6, 2) }}, changes{func(t *billing.Tariff) { t.ValidFrom = billing.NewDate(2026, 6, 1) }}, false},
		"hours":                  {changes{during("06:00-22:00")}, changes{during("22:00-06:00")}, true},
		"hours and always":       {changes{during("06:00-22:00")}, changes{}, false},
		"hours by one minute":    {changes{during("06:00-22:01")}, changes{during("22:00-06:00")}, false},
		"the night of Sunday":    {changes{during("Su 22:00-06:00")}, changes{during("Mo 05:00-07:00")}, false},
		"hours of other ends":    {changes{during("06:00-22:00")}, changes{applies(billing.AppliesAny), during("22:00-06:00")}, false},
		"values":                 {changes{when("noise_class=A|B")}, changes{when("noise_class=C|D")}, true},
		"a value of both":        {changes{when("noise_class=A|B")}, changes{when("noise_class=C|b")}, false},
		"one number":             {changes{when("chapter=3")}, changes{when("chapter=3.0")}, false},
		"another fact":           {changes{when("noise_class=A")}, changes{when("stand=B")}, false},
		"a condition and none":   {changes{when("noise_class=A")}, changes{}, false},
		"all but that":           {changes{when("stand=remote")}, changes{when("stand!=Remote|cargo")}, true},
		"all but those":          {changes{when("stand!=remote")}, changes{when("stand!=cargo")}, false},
		"numbers":                {changes{when("mtow_kg<2000")}, changes{when("mtow_kg>=2000")}, true},
		"numbers that meet":      {changes{when("mtow_kg<=2000")}, changes{when("mtow_kg>=2000")}, false},
		"numbers close together": {changes{when("mtow_kg>2; mtow_kg<5")}, changes{when("mtow_kg<2.000000000000000000000000000001")}, false},
		"numbers by a hole":      {changes{when("mtow_kg<=2000; mtow_kg!=2000")}, changes{when("mtow_kg>=2000")}, true},
		"a number and a text":    {changes{when("mtow_kg>0")}, changes{when("mtow_kg=none given")}, true},
		"a list and a range":     {changes{when("seats=1|5")}, changes{when("seats>=2; seats<=4")}, true},
		"present and absent":     {changes{when("tail_tax absent")}, changes{when("tail_tax present")}, true},
		"absent and a value":     {changes{when("tail_tax absent")}, changes{when("tail_tax!=1")}, true},
		"present and a value":    {changes{when("tail_tax present")}, changes{when("tail_tax!=1")}, false},
		"by the second of two":   {changes{when("stand=remote; noise_class=A")}, changes{when("noise_class=B; stand=remote")}, true},

		"bands that meet":            {changes{band("", "", "10")}, changes{band("tonnes", "10", "")}, true},
		"bands by a tonne":           {changes{band("", "", "11")}, changes{band("", "10", "20")}, false},
		"bands of two measures":      {changes{band("", "", "10")}, changes{band("kg", "10", "")}, false},
		"bands of one fact":          {changes{band("seats", "", "10")}, changes{band("seats", "10", "")}, true},
		"marginal ones":              {changes{basis(billing.BasisPerTonne), band("", "", "10")}, changes{basis(billing.BasisPerTonne), band("", "10", "")}, true},
		"a marginal one and a whole": {changes{basis(billing.BasisPerTonne), band("", "", "10")}, changes{band("", "10", "")}, false},
		"tonnes rounded otherwise":   {changes{band("", "", "10")}, changes{band("", "10", ""), func(t *billing.Tariff) { t.TonneRounding = billing.RoundDown }}, false},
		"tonnes rounded so anyhow":   {changes{band("", "", "10")}, changes{band("", "10", ""), func(t *billing.Tariff) { t.TonneRounding, t.TonneStep = billing.RoundUp, dec("1.0") }}, true},
		"tonnes of pounds":           {changes{band("", "", "10")}, changes{band("", "10", ""), func(t *billing.Tariff) { t.TonneKg = billing.TonneLb }}, false},
		"units":                      {changes{basis(billing.BasisPerTime), band("units", "", "10")}, changes{basis(billing.BasisPerTime), band("units", "10", ""), func(t *billing.Tariff) { t.Rounding = billing.RoundUp }}, true},
		"units of another size":      {changes{basis(billing.BasisPerTime), band("units", "", "10")}, changes{basis(billing.BasisPerTime), band("units", "10", ""), func(t *billing.Tariff) { t.Unit = dec("15") }}, false},
		"units after free ones":      {changes{basis(billing.BasisPerTime), band("units", "", "10")}, changes{basis(billing.BasisPerTime), band("units", "10", ""), func(t *billing.Tariff) { t.Free = dec("15") }}, false},
	} {
		tariff := func(changes changes) *billing.Tariff {
			made := billing.Tariff{Code: "LAND", Basis: billing.BasisPerFlight, AppliesTo: billing.AppliesArrival}
			year(&made)
			for _, change := range changes {
				change(&made)
			}
			return &made
		}
		require.Equal(t, test.apart, billing.Apart(tariff(test.a), tariff(test.b)), name)
		require.Equal(t, test.apart, billing.Apart(tariff(test.b), tariff(test.a)), name+", the other way round")
	}
}

// conditions draws some, of few facts and few values, so that two lists have much in common.
func conditions(t *rapid.T, label string) billing.When {
	texts := make([]string, rapid.IntRange(0, 3).Draw(t, label))
	for i := range texts {
		name := rapid.SampledFrom([]string{"class", "seats"}).Draw(t, label)
		switch operator := rapid.SampledFrom([]string{"=", "!=", "<", "<=", ">", ">=", " present", " absent"}).Draw(t, label); operator {
		case "=", "!=":
			values := rapid.SliceOfN(rapid.SampledFrom([]string{"A", "b", "1", "2", "3"}), 1, 3).Draw(t, label)
			texts[i] = name + operator + strings.Join(values, "|")
		case " present", " absent":
			texts[i] = name + operator
		default:
			texts[i] = name + operator + rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, label)
		}
	}
	w, err := billing.ParseWhen(strings.Join(texts, "; "))
	if err != nil {
		require.ErrorContains(t, err, "would never apply")
		return billing.When{}
	}
	return w
}

// Of all facts there can be with few values, both hold of some exactly where they are not apart.
func TestApartByFacts(t *testing.T) {
	t.Parallel()
	values := []string{"", "a", "B", "other", "0", "1", "1.5", "2", "2.5", "3", "4"}
	rapid.Check(t, func(t *rapid.T) {
		a, b := conditions(t, "a"), conditions(t, "b")
		both := false
		for _, class := range values {
			for _, seats := range values {
				facts := factsOf("class=" + class + " seats=" + seats)
				both = both || a.Judge(facts).Outcome == billing.Holds && b.Judge(facts).Outcome == billing.Holds
			}
		}
		apart := billing.Apart(&billing.Tariff{When: a}, &billing.Tariff{When: b})
		require.Equal(t, !both, apart, "%s / %s", a, b)
	})
}

// Where Apart says so, no flight of a week meets both; and the other way about.
func TestApartByTimeAndBand(t *testing.T) {
	t.Parallel()
	monday := billing.NewDate(2026, time.March, 2)
	draw := func(t *rapid.T, label string) *billing.Tariff {
		tariff := &billing.Tariff{Basis: billing.BasisPerFlight, AppliesTo: billing.AppliesArrival}
		tariff.ValidFrom = monday.AddDays(rapid.IntRange(0, 6).Draw(t, label))
		tariff.ValidTo = tariff.ValidFrom.AddDays(rapid.IntRange(1, 7).Draw(t, label))
		tariff.During = during(t, rapid.SampledFrom([]string{"", "06:00-22:00", "22:00-06:00", "Mo-Th", "Fr-Su", "Su 23:00-01:00, Mo 01:00-06:00"}).Draw(t, label))
		if from := rapid.IntRange(-1, 4).Draw(t, label); from >= 0 {
			tariff.BandFrom = decPtr(fmt.Sprint(from))
		}
		if to := rapid.IntRange(0, 3).Draw(t, label); to > 0 {
			end := decimal.Max(decimal.Zero, deref(tariff.BandFrom)).Add(decimal.New(int64(to), 0))
			tariff.BandTo = &end
		}
		return tariff
	}
	meets := func(tariff *billing.Tariff, hour int, tonnes decimal.Decimal) bool {
		instant := time.Date(2026, time.March, 2, hour, 0, 0, 0, time.UTC)
		return billing.Validity{From: tariff.ValidFrom, To: tariff.ValidTo}.Holds(billing.DateOf(instant, time.UTC)) && tariff.During.Holds(instant) &&
			(tariff.BandFrom == nil || tonnes.GreaterThan(*tariff.BandFrom)) && (tariff.BandTo == nil || tonnes.LessThanOrEqual(*tariff.BandTo))
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		both := false
		for hour := range 14 * 24 {
			for half := range 20 {
				tonnes := decimal.New(int64(half*5), -1)
				both = both || meets(a, hour, tonnes) && meets(b, hour, tonnes)
			}
		}
		if billing.Apart(a, b) {
			require.False(t, both)
		} else if a.During.IsZero() && b.During.IsZero() { // a day of both may not be one of their weekdays
			require.True(t, both)
		}
	})
}

func deref(d *decimal.Decimal) decimal.Decimal {
	if d == nil {
		return decimal.Zero
	}
	return *d
}

// FuzzParseWhen: what can be read is written in one way, which says the same, and nothing
// it is asked of stops it.
func FuzzParseWhen(f *testing.F) {
	f.Add("noise_class=A|B; stand!=remote; seats>=30; tail_tax absent", "A")
	f.Add(" a = 1 ; a<2.5;a present", "2")
	f.Fuzz(func(t *testing.T, text, value string) {
		w, err := billing.ParseWhen(text)
		if err != nil {
			require.Less(t, len(err.Error()), 1500)
			return
		}
		again, err := billing.ParseWhen(w.String())
		require.NoError(t, err, w.String())
		require.Equal(t, w.String(), again.String())
		require.Equal(t, (&billing.Tariff{When: w}).Key(), (&billing.Tariff{When: again}).Key())
		fact := func(string) (billing.Fact, error) { return billing.TextFact(value), nil }
		require.Equal(t, w.Judge(fact).String(), again.Judge(fact).String())
		if w.Judge(fact).Outcome == billing.Holds {
			require.False(t, billing.Apart(&billing.Tariff{When: w}, &billing.Tariff{When: again}))
		}
	})
}

// FuzzParseDuring: the same of hours.
func FuzzParseDuring(f *testing.F) {
	f.Add("Mo-Fr 07:00-09:00, 22:00-06:00,Sa", int64(0))
	f.Add("su 23:59-24:00", int64(7*24*60*60-1))
	f.Fuzz(func(t *testing.T, text string, second int64) {
		d, err := billing.ParseDuring(text)
		if err != nil {
			require.Less(t, len(err.Error()), 1500)
			return
		}
		again, err := billing.ParseDuring(d.String())
		require.NoError(t, err, d.String())
		require.Equal(t, d, again)
		instant := time.Unix(second%(1<<35), 0).UTC()
		require.Equal(t, d.Holds(instant), d.Holds(instant.AddDate(0, 0, 7)))
		if d.Holds(instant) {
			require.False(t, billing.Apart(&billing.Tariff{During: d}, &billing.Tariff{During: again}))
		}
	})
}
