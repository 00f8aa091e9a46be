package billing_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// FuzzPrice: whatever facts and rates, a charge is exact: rounded once, half away from
// zero, and of no more digits than rate and quantity make.
func FuzzPrice(f *testing.F) {
	f.Add(int64(70_500), "449", int64(180), "2.00", "10", "0.20", "EUR", byte(1))
	f.Add(int64(700_000), "25000", int64(1500), "999999999999.999999999999", "999999999999", "1", "JPY", byte(4))
	f.Add(int64(1), "0.0000000000000000000000000000000000001", int64(0), "0.005", "0", "0.5", "KWD", byte(2))
	f.Add(int64(-1), "-1", int64(-1), "1e400", "1e-400", "1e-5", "XXX", byte(9))
	bases := []billing.Basis{
		billing.BasisPerFlight, billing.BasisPerTonne, billing.BasisPerKm, billing.BasisPerPassenger, billing.BasisRoute, billing.BasisTerminal,
	}
	f.Fuzz(func(t *testing.T, kg int64, km string, passengers int64, rate, minimum, tax, currency string, basis byte) {
		var numbers [4]decimal.Decimal
		for i, text := range []string{km, rate, minimum, tax} {
			n, err := decimal.NewFromString(text)
			if err != nil || len(text) > 100 || n.Exponent() > 400 || n.Exponent() < -400 { // as every way in
				return
			}
			numbers[i] = n
		}
		landed := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
		flight := billing.Flight{ID: "F1", MTOWKg: &kg, DistanceKm: &numbers[0], Passengers: &passengers, LandedAt: &landed}
		tariff := billing.Tariff{
			ID: 1, Code: "A", Basis: bases[int(basis)%len(bases)], AppliesTo: billing.AppliesTo("any"), Currency: currency,
			UnitRate: numbers[1], Minimum: &numbers[2], TaxRate: numbers[3], ValidFrom: billing.NewDate(2020, 1, 1),
		}
		charges, err := priceOf(flight, billing.Customer{ID: 1, Code: "C"}, billing.NewDate(2026, 3, 4), []billing.Tariff{tariff}, billing.DefaultBounds)
		if err != nil {
			require.Less(t, len(err.Error()), 1000+len(currency)*10)
			return
		}
		for _, c := range charges {
			minor, known := billing.MinorUnits(c.Currency)
			require.True(t, known)
			half := decimal.New(5, -minor-1)
			exact := decimal.Max(c.Quantity.Mul(tariff.UnitRate), *tariff.Minimum)
			requireRounded(t, exact, c.Amount, half, minor)
			requireRounded(t, c.Amount.Mul(tariff.TaxRate), c.TaxAmount, half, minor)
			require.True(t, c.Quantity.IsPositive())
			require.False(t, c.Amount.IsNegative())
			require.Less(t, len(c.Amount.String())+len(c.TaxAmount.String())+len(c.Quantity.String()), 3000)
		}
	})
}

// requireRounded checks by differences, with no rounding of its own.
func requireRounded(t *testing.T, exact, rounded, half decimal.Decimal, minor int32) {
	t.Helper()
	require.True(t, rounded.Equal(rounded.Truncate(minor)), "%s has more decimals than %d", rounded, minor)
	off := rounded.Sub(exact)
	require.True(t, off.LessThanOrEqual(half) && off.Neg().LessThan(half), "%s of %s", rounded, exact)
}
