package billing_test

import (
	"slices"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

// maybe draws whether a column is given.
func maybe(t *rapid.T, what string) bool { return rapid.IntRange(0, 2).Draw(t, what) == 0 }

func pickOf[T any](t *rapid.T, what string, values ...T) T {
	return rapid.SampledFrom(values).Draw(t, what)
}

// drawPriced draws a tariff that counts what the flight is, with columns that go with
// its basis.
func drawPriced(t *rapid.T, id int64, code string) billing.Tariff {
	tariff := tariff(id, code, basis(pickOf(t, "basis", billing.BasisPerFlight, billing.BasisPerTonne, billing.BasisPerKm, billing.BasisPerPassenger,
		billing.BasisPerUnit, billing.BasisPerTime, billing.BasisRoute, billing.BasisTerminal, billing.BasisFormula), "0"))
	tariff.UnitRate = drawDecimal(t, 5, 4, "rate")
	roundings := []billing.Rounding{billing.RoundUp, billing.RoundNearest, billing.RoundDown, billing.RoundNone}
	fixedRule := tariff.Basis == billing.BasisRoute || tariff.Basis == billing.BasisTerminal
	if !fixedRule && maybe(t, "tonne columns") {
		tariff.TonneKg = pickOf(t, "tonne_kg", billing.TonneMetric, billing.TonneLb)
		tariff.TonneRounding = pickOf(t, "tonne_rounding", roundings...)
		tariff.TonneStep = dec(pickOf(t, "tonne_step", "0.5", "0.1", "1", "5", "0.3"))
	}
	takesUnits := tariff.Basis != billing.BasisPerFlight && !fixedRule && tariff.Basis != billing.BasisFormula
	switch tariff.Basis {
	case billing.BasisPerUnit:
		tariff.Of = pickOf(t, "of", []string{"seats"}, []string{"seats", "pax_transfer"}, []string{"nox_kg", "seats", "pax_transfer"})
	case billing.BasisFormula:
		which := rapid.IntRange(1, 3).Draw(t, "factors")
		draw := func(what string) *decimal.Decimal {
			return decPtr(pickOf(t, what, "1", "0.5", "0.7", "0.8", "0.67", "2", "1.25"))
		}
		if which&1 > 0 {
			tariff.DistancePower, tariff.DistanceLess, tariff.DistanceUnit = draw("distance_power"), drawDecimal(t, 3, 1, "distance_less"), dec(pickOf(t, "distance_unit", "1", "100", "1.852"))
		}
		if which&2 > 0 {
			tariff.MassPower, tariff.MassUnit = draw("mass_power"), dec(pickOf(t, "mass_unit", "1", "50", "7"))
		}
		if maybe(t, "decimals given") {
			tariff.Decimals = new(rapid.Int32Range(0, 6).Draw(t, "decimals"))
		}
	default:
	}
	if takesUnits && maybe(t, "units") {
		tariff.Unit, tariff.Free = dec(pickOf(t, "unit", "1", "15", "7", "0.25", "100")), drawDecimal(t, 2, 1, "free")
		tariff.FreeMode = pickOf(t, "free_mode", "", billing.FreeDeduct, billing.FreeThreshold)
		tariff.Rounding = pickOf(t, "rounding", append(roundings, "")...)
	}
	if maybe(t, "times given") {
		tariff.Times = pickOf(t, "times", "tonnes", "seats")
	}
	drawBand(t, &tariff, takesUnits)
	if maybe(t, "fixed") {
		tariff.Fixed = drawDecimal(t, 4, 3, "fixed amount")
	}
	drawLimits(t, &tariff)
	return tariff
}

func drawBand(t *rapid.T, tariff *billing.Tariff, takesUnits bool) {
	if !maybe(t, "band") {
		return
	}
	measures := []string{"", "tonnes", "kg", "seats"}
	if takesUnits {
		measures = append(measures, "units")
	}
	tariff.BandOf, tariff.BandMode = pickOf(t, "band_of", measures...), pickOf(t, "band_mode", "", billing.BandMarginal, billing.BandWhole)
	low, high := rapid.Int64Range(0, 99).Draw(t, "low"), rapid.Int64Range(1, 100).Draw(t, "width")
	from, to := decimal.NewFromInt(low*15), decimal.NewFromInt((low+high)*15) // a multiple of every step
	if maybe(t, "band_from") {
		tariff.BandFrom = &from
	}
	if tariff.BandFrom == nil || maybe(t, "band_to") {
		tariff.BandTo = &to
	}
	if tariff.Validate() != nil { // what is beyond 1,000 t, or a marginal band of what does not count
		tariff.BandOf, tariff.BandMode, tariff.BandFrom, tariff.BandTo = "", "", nil, nil
	}
}

func drawLimits(t *rapid.T, tariff *billing.Tariff) {
	if maybe(t, "factor") {
		tariff.Factor = new(drawDecimal(t, 2, 2, "factor value"))
	}
	if maybe(t, "minimum") {
		tariff.Minimum = new(drawDecimal(t, 4, 3, "minimum amount"))
		tariff.MinimumAtZero = rapid.Bool().Draw(t, "minimum_at_zero")
	}
	if maybe(t, "maximum") {
		tariff.Maximum = new(drawDecimal(t, 4, 3, "above").Add(orZero(tariff.Minimum)))
	}
}

func orZero(d *decimal.Decimal) decimal.Decimal {
	if d == nil {
		return decimal.Zero
	}
	return *d
}

// drawOfCharges draws a percentage or a top-up of codes before it.
func drawOfCharges(t *rapid.T, id int64, code string, before []string, topUp bool) billing.Tariff {
	codes := slices.Clone(before)
	if len(codes) > 1 && rapid.Bool().Draw(t, "one code") {
		codes = codes[len(codes)-1:]
	}
	if topUp {
		return tariff(id, code, basis(billing.BasisTopUp, "1"), of(codes...), func(tariff *billing.Tariff) {
			tariff.Minimum = new(drawDecimal(t, 6, 3, "top_up to"))
		})
	}
	percent := tariff(id, code, basis(billing.BasisPercent, "0"), of(codes...))
	percent.UnitRate = drawDecimal(t, 3, 3, "fraction").Shift(-2)
	if rapid.Bool().Draw(t, "rebate") {
		percent.UnitRate = percent.UnitRate.Neg()
		return percent
	}
	drawLimits(t, &percent)
	return percent
}
