package billing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// The figures that charging schemes publish, or that follow from their text alone.

func minimum(amount string) func(*billing.Tariff) {
	return func(t *billing.Tariff) { t.Minimum = decPtr(amount) }
}

func currency(code string) func(*billing.Tariff) {
	return func(t *billing.Tariff) { t.Currency = code }
}

func onlyWhen(t *testing.T, conditions string) func(*billing.Tariff) {
	t.Helper()
	parsed := when(t, conditions)
	return func(t *billing.Tariff) { t.When = parsed }
}

func of(names ...string) func(*billing.Tariff) { return func(t *billing.Tariff) { t.Of = names } }

func units(unit, free string) func(*billing.Tariff) {
	return func(t *billing.Tariff) {
		if unit != "" {
			t.Unit = dec(unit)
		}
		if free != "" {
			t.Free = dec(free)
		}
	}
}

func times(name string) func(*billing.Tariff) { return func(t *billing.Tariff) { t.Times = name } }

// facts gives a flight named facts: "noise_class", "A" and so on.
func facts(pairs ...string) func(*billing.Flight) {
	return func(f *billing.Flight) {
		if f.Facts == nil {
			f.Facts = map[string]billing.Fact{}
		}
		for i := 0; i < len(pairs); i += 2 {
			f.Facts[pairs[i]] = billing.NamedFact(pairs[i], pairs[i+1])
		}
	}
}

// stay gives a flight a stay on its stand.
func stay(d time.Duration) func(*billing.Flight) {
	return func(f *billing.Flight) {
		on := f.LandedAt.Add(5 * time.Minute)
		f.OnBlockAt, f.OffBlockAt = &on, new(on.Add(d))
	}
}

// requireAmounts requires what each of the tariffs comes to, by code and id.
func requireAmounts(t tb, charges []billing.Charge, amounts ...string) {
	t.Helper()
	got := []string{}
	for _, c := range charges {
		minor, _ := billing.MinorUnits(c.Currency)
		got = append(got, c.Amount.StringFixed(minor))
	}
	require.Equal(t, amounts, got)
}

// Narita International Airport, landing charge for international flights: JPY a tonne of
// maximum take-off mass by noise class, A to F, at least 50,000.
func TestPublishedNaritaLanding(t *testing.T) {
	t.Parallel()
	tariffs := []billing.Tariff{
		tariff(1, "LANDING", basis(billing.BasisPerTonne, "1550"), currency("JPY"), minimum("50000"), onlyWhen(t, "noise_class=A")),
		tariff(2, "LANDING", basis(billing.BasisPerTonne, "1650"), currency("JPY"), minimum("50000"), onlyWhen(t, "noise_class=B")),
	}
	for _, tc := range []struct {
		kg            int64
		class, amount string
	}{
		{42_000, "A", "65100"}, {45_000, "A", "69750"}, {22_000, "A", "50000"}, {53_000, "B", "87450"},
	} {
		requireAmounts(t, price(t, flight(mass(tc.kg), facts("noise_class", tc.class)), tariffs...), tc.amount)
	}
}

// Narita, aircraft parking charge: JPY 200 a tonne for each six hours begun.
func TestPublishedNaritaParking(t *testing.T) {
	t.Parallel()
	parking := tariff(1, "PARKING", basis(billing.BasisPerTime, "200"), currency("JPY"), units("360", ""), times("tonnes"))
	for _, tc := range []struct {
		kg     int64
		stay   time.Duration
		amount string
	}{
		{42_000, 5 * time.Hour, "8400"}, {45_000, 6 * time.Hour, "9000"}, {53_000, time.Minute, "10600"}, {42_000, 7 * time.Hour, "16800"},
	} {
		requireAmounts(t, price(t, flight(mass(tc.kg), stay(tc.stay)), parking), tc.amount)
	}
}

// Dublin Airport, Airport Charges 2025: narrow contact stand, EUR 35.80 a quarter of an
// hour begun, the first 30 minutes free: on blocks 10:00, off 11:07.
func TestPublishedDublinParking(t *testing.T) {
	t.Parallel()
	parking := tariff(1, "PARKING", basis(billing.BasisPerTime, "35.80"), units("15", "30"), onlyWhen(t, "stand=narrow_contact"))
	f := flight(facts("stand", "narrow_contact"), func(f *billing.Flight) {
		f.OnBlockAt, f.OffBlockAt = new(at(t, "2026-11-23T10:00:00Z")), new(at(t, "2026-11-23T11:07:00Z"))
	})
	charges := price(t, f, parking)
	requireAmounts(t, charges, "107.40")
	require.Equal(t, "3", charges[0].Quantity.String())
}

// Dublin Airport, Airport Charges 2025: NOx, EUR 0.25 a kg of each engine.
func TestPublishedDublinNOx(t *testing.T) {
	t.Parallel()
	nox := tariff(1, "NOX", basis(billing.BasisPerUnit, "0.25"), of("engines"), times("nox_kg"))
	requireAmounts(t, price(t, flight(facts("engines", "2", "nox_kg", "8")), nox), "4.00")
}

// Dublin Airport, Airport Charges 2025: a passenger charge of EUR 0.90 less 5.6 %, and
// less 17.8 %.
func TestPublishedDublinRebates(t *testing.T) {
	t.Parallel()
	for rate, net := range map[string]string{"-0.056": "0.85", "-0.178": "0.74"} {
		charges := price(t, flight(passengers(1)),
			tariff(1, "PRM", basis(billing.BasisPerPassenger, "0.90")),
			tariff(2, "REBATE", basis(billing.BasisPercent, rate), of("PRM")))
		require.Len(t, charges, 2)
		require.Equal(t, net, charges[0].Amount.Add(charges[1].Amount).StringFixed(2))
	}
}

// Aéroports de Paris, landing charge 2016 at CDG and ORY: EUR 281.96 and 3.932 a tonne.
func TestPublishedParisLanding(t *testing.T) {
	t.Parallel()
	landing := tariff(1, "LANDING", basis(billing.BasisPerTonne, "3.932"), func(t *billing.Tariff) { t.Fixed = dec("281.96") })
	requireAmounts(t, price(t, flight(mass(73_000)), landing), "569.00")
}

// Gatwick Airport, take-off charge 2017: GBP 622 in peak months, 204 in the rest of the
// summer, 0 in winter.
func TestPublishedGatwickTakeOff(t *testing.T) {
	t.Parallel()
	season := func(id int64, rate, from, to string) billing.Tariff {
		return tariff(id, "TAKE-OFF", basis(billing.BasisPerFlight, rate), currency("GBP"), airport("EGKK", billing.AppliesDeparture),
			func(tariff *billing.Tariff) { tariff.ValidFrom, tariff.ValidTo = date(t, from), date(t, to) })
	}
	tariffs := []billing.Tariff{
		season(1, "0", "2017-01-01", "2017-04-01"), season(2, "204", "2017-04-01", "2017-06-01"),
		season(3, "622", "2017-06-01", "2017-10-01"), season(4, "204", "2017-10-01", "2017-11-01"), season(5, "0", "2017-11-01", "2018-01-01"),
	}
	for day, amount := range map[string]string{"2017-07-15": "622.00", "2017-05-31": "204.00", "2017-10-31": "204.00", "2017-12-01": "0.00"} {
		charges, err := priceOf(flight(route("EGKK", "LEMD")), acme, date(t, day), tariffs, billing.DefaultBounds)
		require.NoError(t, err)
		requireAmounts(t, charges, amount)
	}
}

// EUROCONTROL, Conditions of Application of the Route Charges System: the weight factor
// is √(t / 50), to two decimals.
func TestPublishedWeightFactor(t *testing.T) {
	t.Parallel()
	factor := tariff(1, "FACTOR", basis(billing.BasisFormula, "1"), func(t *billing.Tariff) {
		t.MassUnit, t.MassPower, t.TonneRounding, t.TonneStep = dec("50"), decPtr("0.5"), billing.RoundNearest, dec("0.1")
	})
	for kg, want := range map[int64]string{2_000: "0.2", 12_500: "0.5", 50_000: "1", 200_000: "2"} {
		require.Equal(t, want, price(t, flight(mass(kg)), factor)[0].Quantity.String())
		require.Equal(t, want, price(t, flight(mass(kg), distance("140")), tariff(1, "R", basis(billing.BasisRoute, "1")))[0].Quantity.String())
	}
}

// FAA overflight fees, 14 CFR 187: USD 61.75 a 100 nautical miles en route, and 26.51 a
// 100 nautical miles oceanic; 1,000 and 500 of them.
func TestPublishedOverflight(t *testing.T) {
	t.Parallel()
	charges := price(t, flight(facts("enroute_nm", "1000", "oceanic_nm", "500")),
		tariff(1, "ENROUTE", basis(billing.BasisPerUnit, "61.75"), of("enroute_nm"), units("100", ""), currency("USD")),
		tariff(2, "OCEANIC", basis(billing.BasisPerUnit, "26.51"), of("oceanic_nm"), units("100", ""), currency("USD")))
	requireAmounts(t, charges, "617.50", "132.55")
	require.Equal(t, "750.05", charges[0].Amount.Add(charges[1].Amount).String())
}

// EU 2019/317 and EUROCONTROL as formulas of one's own come to what route and terminal do.
func TestRouteAndTerminalAreFormulas(t *testing.T) {
	t.Parallel()
	routeFormula := tariff(1, "X", basis(billing.BasisFormula, "61.37"), func(t *billing.Tariff) {
		t.DistanceLess, t.DistanceUnit, t.DistancePower = dec("40"), dec("100"), decPtr("1")
		t.MassUnit, t.MassPower, t.TonneRounding, t.TonneStep = dec("50"), decPtr("0.5"), billing.RoundNearest, dec("0.1")
	})
	terminalFormula := tariff(1, "X", basis(billing.BasisFormula, "142.18"), func(t *billing.Tariff) {
		t.MassUnit, t.MassPower, t.TonneRounding = dec("50"), decPtr("0.7"), billing.RoundNone
	})
	for kg := int64(900); kg < 600_000; kg += 7_919 {
		f := flight(mass(kg), distance("1188.5"))
		for _, pair := range [][2]billing.Tariff{
			{routeFormula, tariff(1, "X", basis(billing.BasisRoute, "61.37"))},
			{terminalFormula, tariff(1, "X", basis(billing.BasisTerminal, "142.18"))},
		} {
			require.Equal(t, price(t, f, pair[1]), price(t, f, pair[0]), "%d kg", kg)
		}
	}
}
