package billing_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// FuzzPrice: whatever facts, rates and columns, a charge is exact: rounded once, half away
// from zero, and of no more digits than rate and quantity make. Nothing panics, and a
// tariff that Validate refuses makes no charge.
func FuzzPrice(f *testing.F) {
	add := func(kg int64, km string, passengers int64, rate, minimum, tax, currency string, basis byte) {
		f.Add(kg, km, passengers, rate, minimum, tax, currency, basis, uint32(0), "", "", "", "", "", "", "")
	}
	add(70_500, "449", 180, "2.00", "10", "0.20", "EUR", 1)
	add(700_000, "25000", 1500, "999999999999.999999999999", "999999999999", "1", "JPY", 4)
	add(1, "0.0000000000000000000000000000000000001", 0, "0.005", "0", "0.5", "KWD", 2)
	add(-1, "-1", -1, "1e400", "1e-400", "1e-5", "XXX", 9)
	f.Add(int64(42_000), "449", int64(180), "200", "", "0", "JPY", byte(7), uint32(0), "360", "30", "281.96", "0.5", "100000", "", "67")
	f.Add(int64(2_268), "500.5", int64(1), "61.37", "", "0", "EUR", byte(8), uint32(0x3f), "0.3", "40", "", "", "", "0.67", "many")
	f.Add(int64(1), "1", int64(0), "0", "5", "0", "EUR", byte(6), uint32(0xfff), "0.000000000001", "999999999999", "-1", "0", "5", "3", "0")
	bases := []billing.Basis{
		billing.BasisPerFlight, billing.BasisPerTonne, billing.BasisPerKm, billing.BasisPerPassenger, billing.BasisRoute, billing.BasisTerminal,
		billing.BasisPerUnit, billing.BasisPerTime, billing.BasisFormula,
	}
	roundings := []billing.Rounding{"", billing.RoundUp, billing.RoundNearest, billing.RoundDown, billing.RoundNone}
	f.Fuzz(func(
		t *testing.T, kg int64, km string, passengers int64, rate, minimum, tax, currency string, basis byte, modes uint32,
		unit, free, fixed, factor, maximum, power, count string,
	) {
		good := true
		number := func(text string) *decimal.Decimal {
			if text == "" {
				return nil
			}
			n, err := decimal.NewFromString(text)
			if good = good && err == nil && len(text) <= 100 && n.Exponent() <= 400 && n.Exponent() >= -400; !good { // as every way in
				return nil
			}
			return &n
		}
		pick := func(n uint32) uint32 { // the next of the modes
			chosen := modes % n
			modes /= n
			return chosen
		}
		landed := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
		flight := billing.Flight{
			ID: "F1", MTOWKg: &kg, DistanceKm: number(km), Passengers: &passengers, LandedAt: &landed, OnBlockAt: &landed,
			OffBlockAt: new(landed.Add(time.Duration(passengers) * time.Second)), Facts: map[string]billing.Fact{"count": billing.TextFact(count)},
		}
		tariff := billing.Tariff{
			ID: 1, Code: "A", Basis: bases[int(basis)%len(bases)], AppliesTo: billing.AppliesAny, Currency: currency,
			UnitRate: orZero(number(rate)), Minimum: number(minimum), TaxRate: orZero(number(tax)), ValidFrom: billing.NewDate(2020, 1, 1),
			Fixed: orZero(number(fixed)), Factor: number(factor), Maximum: number(maximum),
		}
		switch tariff.Basis {
		case billing.BasisFormula:
			tariff.MassPower, tariff.MassUnit, tariff.DistanceLess = number(power), orZero(number(unit)), orZero(number(free))
			if pick(2) == 1 {
				tariff.DistancePower, tariff.Decimals = number(power), new(int32(pick(8)))
			}
		case billing.BasisPerFlight, billing.BasisRoute, billing.BasisTerminal:
		default:
			tariff.Unit, tariff.Free, tariff.Rounding = orZero(number(unit)), orZero(number(free)), roundings[pick(5)]
			tariff.FreeMode = []billing.FreeMode{"", billing.FreeThreshold}[pick(2)]
		}
		if tariff.Basis == billing.BasisPerUnit {
			tariff.Of = []string{"count"}
		}
		tariff.TonneKg, tariff.TonneRounding = []billing.TonneKg{"", billing.TonneLb}[pick(2)], roundings[pick(5)]
		tariff.Times = []string{"", "tonnes", "count"}[pick(3)]
		if pick(2) == 1 {
			tariff.BandOf, tariff.BandMode, tariff.BandTo = []string{"", "kg", "units", "count"}[pick(4)], []billing.BandMode{"", billing.BandMarginal}[pick(2)], number(power)
		}
		tariff.MinimumAtZero = pick(2) == 1
		if !good {
			return
		}
		charges, err := priceOf(flight, billing.Customer{ID: 1, Code: "C"}, billing.NewDate(2026, 3, 4), []billing.Tariff{tariff}, billing.DefaultBounds)
		if err != nil {
			require.Less(t, len(err.Error()), 2500+(len(currency)+len(count))*10)
			return
		}
		require.NoError(t, tariff.Validate())
		for _, c := range charges {
			requireExact(t, &tariff, c)
		}
	})
}

// requireExact checks amounts and tax by the quantity, which is exact or has 12 decimals.
func requireExact(t *testing.T, tariff *billing.Tariff, c billing.Charge) {
	t.Helper()
	minor, known := billing.MinorUnits(c.Currency)
	require.True(t, known)
	half := decimal.New(5, -minor-1)
	factor := decimal.New(1, 0)
	if tariff.Factor != nil {
		factor = *tariff.Factor
	}
	exact := c.Quantity.Mul(tariff.UnitRate).Add(tariff.Fixed).Mul(factor)
	if tariff.Minimum != nil {
		exact = decimal.Max(exact, *tariff.Minimum)
	}
	if tariff.Maximum != nil {
		exact = decimal.Min(exact, *tariff.Maximum)
	}
	if c.Quantity.Exponent() <= -12 { // it may have been rounded
		half = half.Add(tariff.UnitRate.Mul(factor).Shift(-12))
	}
	requireRounded(t, exact, c.Amount, half, minor)
	requireRounded(t, c.Amount.Mul(tariff.TaxRate), c.TaxAmount, decimal.New(5, -minor-1), minor)
	require.True(t, c.Quantity.IsPositive() || tariff.MinimumAtZero && c.Quantity.IsZero())
	require.False(t, c.Amount.IsNegative())
	require.Less(t, len(c.Amount.String())+len(c.TaxAmount.String())+len(c.Quantity.String()), 3000)
	require.LessOrEqual(t, len(c.Detail), 12)
}

// requireRounded checks by differences, with no rounding of its own.
func requireRounded(t *testing.T, exact, rounded, half decimal.Decimal, minor int32) {
	t.Helper()
	require.True(t, rounded.Equal(rounded.Truncate(minor)), "%s has more decimals than %d", rounded, minor)
	off := rounded.Sub(exact)
	require.True(t, off.LessThanOrEqual(half) && off.Neg().LessThan(half), "%s of %s", rounded, exact)
}
