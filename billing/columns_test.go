package billing_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

func fixed(amount string) func(*billing.Tariff) {
	return func(t *billing.Tariff) { t.Fixed = dec(amount) }
}

// steps writes a charge's detail as a clerk reads it.
func steps(c billing.Charge) string {
	var lines []string
	for _, s := range c.Detail {
		line := s.What + " " + s.Value
		if s.How != "" {
			line += ": " + s.How
		}
		if s.From != "" {
			line += " (" + s.From + ")"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// Quantity, amount and what the charge says of them; "" for no charge.
func TestColumns(t *testing.T) {
	t.Parallel()
	threshold := func(t *billing.Tariff) { t.FreeMode = billing.FreeThreshold }
	rounding := func(r billing.Rounding) func(*billing.Tariff) {
		return func(t *billing.Tariff) { t.Rounding = r }
	}
	tonnes := func(r billing.Rounding, step string) func(*billing.Tariff) {
		return func(t *billing.Tariff) { t.TonneRounding, t.TonneStep = r, dec(step) }
	}
	bandOf := func(of string, mode billing.BandMode) func(*billing.Tariff) {
		return func(t *billing.Tariff) { t.BandOf, t.BandMode = of, mode }
	}
	factor := func(f string) func(*billing.Tariff) {
		return func(t *billing.Tariff) { t.Factor = decPtr(f) }
	}
	maximum := func(amount string) func(*billing.Tariff) {
		return func(t *billing.Tariff) { t.Maximum = decPtr(amount) }
	}
	atZero := func(t *billing.Tariff) { t.MinimumAtZero = true }
	nox := func(kg string) billing.Flight { return flight(facts("nox_kg", kg)) }
	perKg := func(changes ...func(*billing.Tariff)) billing.Tariff {
		return tariff(1, "X", append(changes, basis(billing.BasisPerUnit, "2"), of("nox_kg"))...)
	}
	perTonne := func(changes ...func(*billing.Tariff)) billing.Tariff {
		return tariff(1, "X", append(changes, basis(billing.BasisPerTonne, "2"))...)
	}
	perTime := func(changes ...func(*billing.Tariff)) billing.Tariff {
		return tariff(1, "X", append(changes, basis(billing.BasisPerTime, "2"))...)
	}
	for _, tc := range []struct {
		name             string
		flight           billing.Flight
		tariff           billing.Tariff
		quantity, amount string
		steps            string
	}{
		{"a plain flight needs no word", flight(), tariff(1, "X"), "1", "10.00", ""},
		{"plain passengers need none", flight(), tariff(1, "X", basis(billing.BasisPerPassenger, "2")), "150", "300.00", ""},
		{"plain kilometres need none", flight(), tariff(1, "X", basis(billing.BasisPerKm, "2")), "1188.5", "2377.00", ""},
		{"one fact", nox("14.2"), perKg(), "14.2", "28.40", "nox_kg 14.2"},
		{"several facts", flight(facts("a", "1", "b", "2.5")), tariff(1, "X", basis(billing.BasisPerUnit, "2"), of("a", "b")), "3.5", "7.00", "a 1\nb 2.5\nsum 3.5: a + b"},
		{"a unit without end", nox("10"), perKg(units("3", "")), "3.333333333333", "6.67", "nox_kg 10\nunits 3.333333333333: 10 / 3"},
		{"more than the free part", nox("10"), perKg(units("", "4")), "6", "12.00", "nox_kg 10\nunits 6: (10 - 4)"},
		{"the free part", nox("4"), perKg(units("", "4")), "", "", ""},
		{"less than the free part", nox("3"), perKg(units("", "4")), "", "", ""},
		{"at the threshold", nox("4"), perKg(units("", "4"), threshold), "", "", ""},
		{"above the threshold", nox("4.5"), perKg(units("", "4"), threshold), "4.5", "9.00", "nox_kg 4.5\nunits 4.5: 4.5, none up to 4"},
		{"hours above the threshold", nox("10"), perKg(units("4", "6"), threshold, rounding(billing.RoundUp)), "3", "6.00", "nox_kg 10\nunits 3: 10 / 4, rounded up, none up to 6"},
		{"up", nox("10"), perKg(units("4", ""), rounding(billing.RoundUp)), "3", "6.00", "nox_kg 10\nunits 3: 10 / 4, rounded up"},
		{"nearest, half goes up", nox("10"), perKg(units("4", ""), rounding(billing.RoundNearest)), "3", "6.00", "nox_kg 10\nunits 3: 10 / 4, rounded nearest"},
		{"down", nox("11"), perKg(units("4", ""), rounding(billing.RoundDown)), "2", "4.00", "nox_kg 11\nunits 2: 11 / 4, rounded down"},
		{"minutes are rounded up by default", flight(stay(61*time.Minute + time.Second)), perTime(), "62", "124.00",
			"stay_minutes 61.016666666667: on_block_at to off_block_at\nunits 62: 61.016666666667, rounded up"},
		{"a stay of a third of a minute, exactly", flight(stay(20 * time.Second)), perTime(rounding(billing.RoundNone), factor("3")), "0.333333333333", "2.00",
			"stay_minutes 0.333333333333: on_block_at to off_block_at\namount 2: 0.333333333333 × 2 × 3"},
		{"times", nox("10"), perKg(times("tonnes")), "780", "1560.00", "nox_kg 10\nmtow_kg 78000\ntonnes 78: 78000 / 1000, rounded up"},
		{"half tonnes", flight(mass(78_200)), perTonne(tonnes(billing.RoundUp, "0.5")), "78.5", "157.00", "mtow_kg 78200\ntonnes 78.5: 78200 / 1000, rounded up to 0.5"},
		{"nearest tenth", flight(mass(78_250)), perTonne(tonnes(billing.RoundNearest, "0.1")), "78.3", "156.60", "mtow_kg 78250\ntonnes 78.3: 78250 / 1000, rounded nearest to 0.1"},
		{"not rounded", flight(mass(78_251)), perTonne(tonnes(billing.RoundNone, "1")), "78.251", "156.50", "mtow_kg 78251\ntonnes 78.251: 78251 / 1000"},
		{"down to whole tonnes", flight(mass(78_999)), perTonne(tonnes(billing.RoundDown, "1")), "78", "156.00", "mtow_kg 78999\ntonnes 78: 78999 / 1000, rounded down"},
		{"tonnes inside a band", flight(), perTonne(band("50", "60")), "10", "20.00",
			"mtow_kg 78000\ntonnes 78: 78000 / 1000, rounded up\ntonnes in band 10: of 78, in the band above 50 up to 60"},
		{"kilograms inside a band", flight(mass(7_000)), perTonne(band("5700", ""), bandOf("kg", "")), "2", "4.00",
			"mtow_kg 7000\nkg in band 1300: of 7000, in the band above 5700\ntonnes 2: 1300 / 1000, rounded up"},
		{"units inside a band", flight(stay(100 * time.Minute)), perTime(units("15", ""), band("4", "6"), bandOf("units", billing.BandMarginal)), "2", "4.00",
			"stay_minutes 100: on_block_at to off_block_at\nunits 7: 100 / 15, rounded up\nunits in band 2: of 7, in the band above 4 up to 6"},
		{"minutes inside a band", flight(stay(100 * time.Minute)), perTime(units("15", ""), band("60", ""), bandOf("stay_minutes", billing.BandMarginal)), "3", "6.00",
			"stay_minutes 100: on_block_at to off_block_at\nstay_minutes in band 40: of 100, in the band above 60\nunits 3: 40 / 15, rounded up"},
		{"tonnes inside a band, in times", nox("10"), perKg(times("tonnes"), band("", "50"), bandOf("", billing.BandMarginal)), "500", "1000.00",
			"nox_kg 10\nmtow_kg 78000\ntonnes 78: 78000 / 1000, rounded up\ntonnes in band 50: of 78, in the band up to 50"},
		{"a whole band", flight(), tariff(1, "X", band("50", "")), "1", "10.00", "mtow_kg 78000\ntonnes 78: 78000 / 1000, rounded up"},
		{"fixed", flight(mass(73_000)), perTonne(fixed("281.96")), "73", "427.96", "mtow_kg 73000\ntonnes 73: 73000 / 1000, rounded up\namount 427.96: 73 × 2 + 281.96"},
		{"fixed and factor", nox("10"), perKg(fixed("1"), factor("0.5")), "10", "10.50", "nox_kg 10\namount 10.5: (10 × 2 + 1) × 0.5"},
		{"less fixed", nox("10"), perKg(fixed("-5"), minimum("0")), "10", "15.00", "nox_kg 10\namount 15: 10 × 2 - 5"},
		{"a minimum after the factor", nox("10"), perKg(factor("0.5"), minimum("12")), "10", "12.00", "nox_kg 10\namount 10: 10 × 2 × 0.5\nminimum 12: more than 10"},
		{"a maximum", nox("10"), perKg(maximum("12.345")), "10", "12.35", "nox_kg 10\nmaximum 12.345: less than 20"},
		{"nothing, and so no fixed", nox("0"), perKg(fixed("5"), minimum("7")), "", "", ""},
		{"nothing, and fixed even so", nox("0"), perKg(fixed("5"), factor("2"), atZero), "0", "10.00", "nox_kg 0\namount 10: 5 × 2"},
		{"nothing, and a minimum even so", nox("0"), perKg(minimum("7"), atZero), "0", "7.00", "nox_kg 0\nminimum 7: more than 0"},
		{"a formula of the distance in NM", flight(facts("nm", "1000")), tariff(1, "X", basis(billing.BasisFormula, "2"), of("nm"), func(t *billing.Tariff) {
			t.DistanceUnit, t.DistancePower, t.DistanceLess, t.Decimals = dec("100"), decPtr("0.5"), dec("10"), new(int32(3))
		}), "3.146", "6.29", "nm 1000\ndistance factor 3.146: ((1000 - 10) / 100)^0.5, to 3 decimals"},
		{"a service unit", flight(), tariff(1, "X", basis(billing.BasisRoute, "2")), "14.3625", "28.73",
			"distance_km 1188.5\ndistance factor 11.49: (1188.5 - 40) / 100, to 2 decimals\nmtow_kg 78000\n" +
				"tonnes 78: 78000 / 1000, rounded nearest to 0.1\nmass factor 1.25: (78 / 50)^0.5, to 2 decimals"},
		{"tonnes by two rules", flight(mass(73_400)), tariff(1, "X", basis(billing.BasisTerminal, "2"), times("tonnes")), "96.94", "193.88",
			"mtow_kg 73400\ntonnes 73.4: 73400 / 1000\nmass factor 1.31: (73.4 / 50)^0.7, to 2 decimals\ntonnes 74: 73400 / 1000, rounded up"},
		{"a stay that is not over is absent", flight(), tariff(1, "X", onlyWhen(t, "stay_minutes absent; tail_tax absent")), "1", "10.00", "stay_minutes absent\ntail_tax absent"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, tc.tariff.Validate())
			charges := price(t, tc.flight, tc.tariff)
			if tc.quantity == "" {
				assert.Empty(t, charges)
				return
			}
			require.Len(t, charges, 1)
			assert.Equal(t, tc.quantity, charges[0].Quantity.String())
			assert.Equal(t, tc.amount, charges[0].Amount.StringFixed(2))
			assert.Equal(t, tc.steps, steps(charges[0]))
		})
	}
}

func percent(id int64, code, rate string, codes ...string) billing.Tariff {
	return tariff(id, code, basis(billing.BasisPercent, rate), of(codes...))
}

func topUp(id int64, code, to string, codes ...string) billing.Tariff {
	return tariff(id, code, basis(billing.BasisTopUp, "1"), of(codes...), minimum(to))
}

func TestPercentagesAndTopUps(t *testing.T) {
	t.Parallel()
	charged := func(t *testing.T, tariffs ...billing.Tariff) map[string]string {
		t.Helper()
		require.Empty(t, billing.ValidateSet(tariffs, nil))
		all := map[string]string{}
		for _, c := range price(t, flight(), tariffs...) {
			all[c.Code] += c.Quantity.String() + " = " + c.Amount.StringFixed(2)
		}
		return all
	}
	landing := tariff(1, "LANDING", basis(billing.BasisPerFlight, "100.01"))
	t.Run("in the order of what they are of, whatever their codes", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, map[string]string{"LANDING": "1 = 100.01", "C": "100.01 = 50.01", "B": "150.02 = 15.00", "A": "165.02 = 16.50"},
			charged(t, percent(2, "A", "0.1", "landing", "B", "C"), percent(3, "B", "0.1", "LANDING", "C"), percent(4, "C", "0.5", "Landing"), landing))
	})
	t.Run("of all charges with a code", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, map[string]string{"LANDING": "1 = 100.011 = 10.00", "NIGHT": "110.01 = 55.01"},
			charged(t, landing, tariff(2, "LANDING"), percent(3, "NIGHT", "0.5", "LANDING")))
	})
	t.Run("of nothing is none, of 0 too", func(t *testing.T) {
		t.Parallel()
		free := tariff(5, "FREE", basis(billing.BasisPerFlight, "0"))
		none := tariff(6, "NONE", func(tariff *billing.Tariff) { tariff.ValidTo = billing.NewDate(2021, time.January, 1) })
		require.Equal(t, map[string]string{"LANDING": "1 = 100.01", "FREE": "1 = 0.00"}, charged(t, landing, free, none, percent(2, "P", "0.5", "NONE"), percent(3, "Q", "0.5", "FREE")))
	})
	t.Run("with all that amounts have", func(t *testing.T) {
		t.Parallel()
		p := percent(2, "P", "0.5", "LANDING")
		p.Fixed, p.Factor, p.Maximum = dec("1"), decPtr("0.1"), decPtr("5.05")
		require.Equal(t, map[string]string{"LANDING": "1 = 100.01", "P": "100.01 = 5.05"}, charged(t, landing, p))
	})
	t.Run("half of the landing, for training", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, map[string]string{"LANDING": "1 = 100.01", "TRAINING": "100.01 = -50.01"}, charged(t, landing, percent(2, "TRAINING", "-0.5", "LANDING")))
	})
	t.Run("topped up after percentages", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, map[string]string{"LANDING": "1 = 100.01", "P": "100.01 = 50.01", "A-TOP": "49.98 = 49.98"},
			charged(t, topUp(3, "A-TOP", "200", "LANDING", "P"), percent(2, "P", "0.5", "LANDING"), landing))
		charges := price(t, flight(), landing, topUp(3, "TOP", "150", "LANDING"))
		require.Equal(t, "1", charges[1].UnitRate.String())
		require.Equal(t, "LANDING 100.01\nminimum 150: less 100.01", steps(charges[1]))
	})
	t.Run("not topped up beyond", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, map[string]string{"LANDING": "1 = 100.01"}, charged(t, landing, topUp(3, "TOP", "100.01", "LANDING")))
	})
	t.Run("topped up from nothing", func(t *testing.T) {
		t.Parallel()
		none := tariff(6, "NONE", func(tariff *billing.Tariff) { tariff.ValidTo = billing.NewDate(2021, time.January, 1) })
		require.Equal(t, map[string]string{"TOP": "30 = 30.00"}, charged(t, none, topUp(3, "TOP", "30", "NONE")))
	})
	t.Run("of the customer's own, where it replaces", func(t *testing.T) {
		t.Parallel()
		own := tariff(2, "LANDING", basis(billing.BasisPerFlight, "40"), forCustomer(1))
		require.Equal(t, map[string]string{"LANDING": "1 = 40.00", "P": "40 = 20.00"}, charged(t, landing, own, percent(3, "P", "0.5", "LANDING")))
	})
}

// A percentage or a top-up of an airport counts the charges of that airport, and those of
// no airport; one without airport counts all of the flight.
func TestPercentagesOfAnAirport(t *testing.T) {
	t.Parallel()
	set := []billing.Tariff{
		tariff(1, "LANDING", basis(billing.BasisPerFlight, "100"), airport("KORD", billing.AppliesArrival)),
		tariff(2, "LANDING", basis(billing.BasisPerFlight, "40"), airport("KJFK", billing.AppliesDeparture)),
		tariff(3, "LANDING", basis(billing.BasisPerFlight, "3")),
		columnsOf(percent(4, "NIGHT", "0.5", "LANDING"), airport("ORD", billing.AppliesArrival)),
		columnsOf(percent(5, "NOISE", "0.1", "LANDING", "NIGHT"), airport("JFK", billing.AppliesDeparture)),
		percent(6, "REBATE", "-0.01", "LANDING"),
		columnsOf(topUp(7, "TOP-ORD", "200", "LANDING", "NIGHT"), airport("ORD", billing.AppliesArrival)),
		topUp(8, "TOP", "200", "LANDING", "NIGHT"),
	}
	want := map[string]string{"NIGHT": "103 = 51.50", "NOISE": "43 = 4.30", "REBATE": "143 = -1.43", "TOP-ORD": "45.5 = 45.50", "TOP": "5.5 = 5.50"}
	c := billing.Case{
		Flight: flight(), Customer: acme, MovedOn: date(t, landingDay),
		Origin: &billing.Airport{Code: "JFK"}, Destination: &billing.Airport{Code: "ORD"},
	}
	charged := func(tariffs []billing.Tariff) map[string]string {
		charges, err := billing.Price(c, billing.NewTariffSet(tariffs, canonical), billing.DefaultBounds)
		require.NoError(t, err)
		all := map[string]string{}
		for _, c := range charges {
			if c.Code != "LANDING" {
				all[c.Code] = c.Quantity.String() + " = " + c.Amount.StringFixed(2)
			}
		}
		return all
	}
	require.Equal(t, want, charged(set))

	t.Run("whatever the currency of the other airport", func(t *testing.T) {
		t.Parallel()
		abroad := []billing.Tariff{set[0], columnsOf(set[1], currency("GBP")), set[3]}
		require.Empty(t, billing.ValidateSet(abroad, canonical))
		require.Equal(t, map[string]string{"NIGHT": "100 = 50.00"}, charged(abroad))

		everywhere := append(slices.Clone(abroad), set[5])
		require.Len(t, billing.ValidateSet(everywhere, canonical), 1)
		_, err := billing.Price(c, billing.NewTariffSet(everywhere, canonical), billing.DefaultBounds)
		requireRefused(t, err, billing.Refused, billing.ReasonUnusableFacts, `counts the charge "LANDING", which is in GBP`)
	})
	t.Run("explained where only the other airport's cannot be priced", func(t *testing.T) {
		t.Parallel()
		lacking := columnsOf(set[1], func(t *billing.Tariff) { t.Basis, t.Of = billing.BasisPerUnit, []string{"nox_kg"} })
		require.Equal(t, map[int64]string{
			1: "= 100.00", 2: "needs a fact that the flight does not have: nox_kg", 4: "= 50.00", 6: `the charge "LANDING", which it counts, cannot be priced`,
		}, explained(c, set[0], lacking, set[3], set[5]))
	})
}

// What a set cannot have is told at import, and a flight is not billed by it.
func TestValidateSet(t *testing.T) {
	t.Parallel()
	landing := tariff(1, "LANDING")
	pounds := tariff(2, "LANDING-GB", currency("GBP"))
	for _, tc := range []struct {
		name    string
		tariffs []billing.Tariff
		want    []string // by index: message
		refused string   // what Price says, where it can
	}{
		{"nothing wrong", []billing.Tariff{landing, percent(2, "A", "0.5", "LANDING"), percent(3, "B", "0.5", "A"), topUp(4, "C", "1", "A", "B", "LANDING")}, nil, ""},
		{"its own code", []billing.Tariff{landing, percent(2, "A", "0.5", "LANDING", "a")}, []string{`1: of "a" is the tariff's own code`}, "own code"},
		{"a circle", []billing.Tariff{landing, percent(2, "A", "0.5", "B"), percent(3, "B", "0.5", "C"), percent(4, "C", "0.5", "A", "LANDING")},
			[]string{"1: of leads back to the tariff itself (A of B of C of A)", "2: of leads back to the tariff itself (B of C of A of B)", "3: of leads back"}, "leads back"},
		{"a percentage of a top_up", []billing.Tariff{landing, topUp(2, "T", "5", "LANDING"), percent(3, "A", "0.5", "T")}, []string{`2: of "T" is a top_up`}, "top_up"},
		{"a top_up of a top_up", []billing.Tariff{landing, topUp(2, "T", "5", "LANDING"), topUp(3, "U", "5", "T")}, []string{`2: of "T" is a top_up`}, "top_up"},
		{"a code that no tariff has", []billing.Tariff{landing, percent(2, "A", "0.5", "LANDNIG")}, []string{`1: of "LANDNIG" is the code of no tariff`}, ""},
		{"another currency", []billing.Tariff{pounds, percent(3, "A", "0.5", "LANDING-GB")}, []string{`1: of "LANDING-GB" is charged in GBP, and this tariff in EUR`}, "in GBP"},
		{"another currency, at another airport", []billing.Tariff{columnsOf(pounds, airport("LHR", billing.AppliesArrival)), tariff(4, "LANDING-GB"),
			columnsOf(percent(3, "A", "0.5", "LANDING-GB"), airport("KORD", billing.AppliesArrival))}, nil, ""},
		{"another currency, at the same airport under another code", []billing.Tariff{columnsOf(pounds, airport("ORD", billing.AppliesArrival)),
			columnsOf(percent(3, "A", "0.5", "LANDING-GB"), airport("KORD", billing.AppliesArrival))}, []string{"1: of \"LANDING-GB\" is charged in GBP"}, ""},
		{"another currency, for another customer", []billing.Tariff{columnsOf(pounds, forCustomer(2)), tariff(4, "LANDING-GB"), columnsOf(percent(3, "A", "0.5", "LANDING-GB"), forCustomer(1))}, nil, ""},
		{"a code of another airport alone", []billing.Tariff{columnsOf(landing, airport("LHR", billing.AppliesArrival)), columnsOf(percent(2, "A", "0.5", "LANDING"), airport("KORD", billing.AppliesArrival))},
			[]string{`1: of "LANDING" is never charged where this tariff is`}, ""},
		{"a code of another customer alone", []billing.Tariff{columnsOf(landing, forCustomer(2)), columnsOf(percent(2, "A", "0.5", "LANDING"), forCustomer(1))},
			[]string{`1: of "LANDING" is never charged where this tariff is`}, ""},
		{"a top_up of a code of another airport", []billing.Tariff{columnsOf(landing, airport("LHR", billing.AppliesArrival)), columnsOf(topUp(2, "T", "5", "LANDING"), airport("KORD", billing.AppliesArrival))}, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			found := billing.ValidateSet(tc.tariffs, canonical)
			require.Len(t, found, len(tc.want))
			for i, p := range found {
				require.Contains(t, string(rune('0'+p.Index))+": "+p.Message, tc.want[i])
				require.Equal(t, "of", p.Column)
			}
			if tc.refused != "" {
				_, err := priceOf(flight(), acme, date(t, landingDay), tc.tariffs, billing.DefaultBounds)
				requireRefused(t, err, billing.Refused, billing.ReasonUnusableFacts, tc.refused, "correct the tariff")
			}
		})
	}
}

func columnsOf(t billing.Tariff, changes ...func(*billing.Tariff)) billing.Tariff {
	for _, change := range changes {
		change(&t)
	}
	return t
}
