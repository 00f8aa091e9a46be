package billing_test

import (
	"math/big"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

// quantityOf returns the quantity charged, 0 where there is no charge.
func quantityOf(t tb, f billing.Flight, b billing.Basis, changes ...func(*billing.Tariff)) decimal.Decimal {
	t.Helper()
	charges := price(t, f, tariff(1, "X", append(changes, basis(b, "1"))...))
	if len(charges) == 0 {
		return decimal.Zero
	}
	require.Len(t, charges, 1)
	return charges[0].Quantity
}

func TestQuantities(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct {
		name   string
		basis  billing.Basis
		flight billing.Flight
		want   string
	}{
		{"a flight", billing.BasisPerFlight, flight(), "1"},
		{"whole tonnes", billing.BasisPerTonne, flight(mass(78_000)), "78"},
		{"a part of a tonne", billing.BasisPerTonne, flight(mass(78_001)), "79"},
		{"less than a tonne", billing.BasisPerTonne, flight(mass(1)), "1"},
		{"kilometres, with their decimals", billing.BasisPerKm, flight(distance("1188.250")), "1188.25"},
		{"kilometres from a double", billing.BasisPerKm, flight(distance("1.1885E3")), "1188.5"},
		{"passengers", billing.BasisPerPassenger, flight(), "150"},

		// Known service units. 1188.5 km: 11.485, rounded 11.49; 78.0 t: √1.56 = 1.24900, 1.25.
		{"A320 over 1188.5 km", billing.BasisRoute, flight(), "14.3625"},
		{"50 t over 140 km is one unit", billing.BasisRoute, flight(mass(50_000), distance("140")), "1"},
		{"half a hundredth of distance goes up", billing.BasisRoute, flight(mass(50_000), distance("1040.5")), "10.01"},
		{"not to the even one only", billing.BasisRoute, flight(mass(50_000), distance("1041.5")), "10.02"},
		{"40 km are free", billing.BasisRoute, flight(mass(50_000), distance("40")), "0"},
		{"never below 0", billing.BasisRoute, flight(mass(50_000), distance("0")), "0"},
		{"B744, √7.938 = 2.8174", billing.BasisRoute, flight(mass(396_900), distance("140")), "2.82"},
		{"tenths of a tonne: 78.74 is 78.7, 1.25", billing.BasisRoute, flight(mass(78_749), distance("140")), "1.25"},
		{"tenths of a tonne: 78.75 is 78.8, 1.26", billing.BasisRoute, flight(mass(78_750), distance("140")), "1.26"},
		{"too light to count", billing.BasisRoute, flight(mass(49), distance("140")), "0"},

		{"50 t is one unit", billing.BasisTerminal, flight(mass(50_000)), "1"},
		{"1.56^0.7 = 1.3652", billing.BasisTerminal, flight(mass(78_000)), "1.37"},
		{"7.938^0.7 = 4.2638", billing.BasisTerminal, flight(mass(396_900)), "4.26"},
		{"0.36^0.7 = 0.4891", billing.BasisTerminal, flight(mass(18_000)), "0.49"},
		{"9.0538^0.7 = 4.67500013: barely up", billing.BasisTerminal, flight(mass(452_690)), "4.68"},
		{"5.9508^0.7 = 3.48499972: barely down", billing.BasisTerminal, flight(mass(297_540)), "3.48"},
		{"too light for a hundredth", billing.BasisTerminal, flight(mass(1)), "0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, quantityOf(t, tc.flight, tc.basis).String())
		})
	}
}

func TestQuantityIsTrimmed(t *testing.T) {
	t.Parallel()

	for given, places := range map[string]int32{"1188.250": -2, "1188.000": 0, "0.0010": -3} {
		assert.Equal(t, places, quantityOf(t, flight(distance(given)), billing.BasisPerKm).Exponent(), given)
	}
}

func TestTonnesInBand(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct {
		kg       int64
		from, to string
		want     string
	}{
		{200_000, "", "136", "136"},
		{200_000, "136", "", "64"},
		{200_000, "0", "136", "136"},
		{200_000, "50", "136", "86"},
		{135_001, "136", "", "0"},
		{136_001, "136", "", "1"},
		{100_000, "136", "150", "0"},
		{140_500, "136", "150", "5"},
	} {
		got := quantityOf(t, flight(mass(tc.kg)), billing.BasisPerTonne, band(tc.from, tc.to))
		assert.Equal(t, tc.want, got.String(), "%+v", tc)
	}
}

// half is half of the last place that the factors are rounded to.
var half = big.NewRat(1, 200)

// bounds returns the numbers half a hundredth below and above, of which the
// exact one must lie between; the lower is in, the upper out.
func bounds(d decimal.Decimal) (low, high *big.Rat) {
	return new(big.Rat).Sub(d.Rat(), half), new(big.Rat).Add(d.Rat(), half)
}

func power(x *big.Rat, n int) *big.Rat {
	result := big.NewRat(1, 1)
	for range n {
		result.Mul(result, x)
	}
	return result
}

func TestRouteIsRoundedAwayFromTheExactRoot(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		kg := rapid.Int64Range(50, 1_000_000).Draw(t, "kg")
		p := quantityOf(t, flight(mass(kg), distance("140")), billing.BasisRoute) // d is 1

		tonnes := decimal.New(kg, -3).Round(1)
		exact := new(big.Rat).Quo(tonnes.Rat(), big.NewRat(50, 1))
		low, high := bounds(p)
		assert.LessOrEqual(t, power(low, 2).Cmp(exact), 0)
		assert.Positive(t, power(high, 2).Cmp(exact))
	})
}

func TestTerminalIsRoundedAwayFromTheExactPower(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		kg := rapid.OneOf(rapid.Int64Range(1_000, 1_000_000), rapid.Int64Range(1_000, 1<<62)).Draw(t, "kg")
		units := quantityOf(t, flight(mass(kg)), billing.BasisTerminal)

		exact := power(big.NewRat(kg, 50_000), 7)
		low, high := bounds(units)
		assert.LessOrEqual(t, power(low, 10).Cmp(exact), 0)
		assert.Positive(t, power(high, 10).Cmp(exact))
	})
}

// roundedRat rounds away from zero at half, by whole numbers only.
func roundedRat(x *big.Rat, places int32) *big.Rat {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	doubled := new(big.Int).Mul(x.Num(), scale)
	doubled.Mul(doubled, big.NewInt(2)).Add(doubled, x.Denom())
	floor := doubled.Div(doubled, new(big.Int).Mul(x.Denom(), big.NewInt(2)))
	return new(big.Rat).SetFrac(floor, scale)
}

func TestMoneyAgainstRationals(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		km := drawDecimal(t, 7, 3, "km").Add(dec("0.001"))
		rate, minimum := drawDecimal(t, 6, 5, "rate"), drawDecimal(t, 6, 4, "minimum")
		taxRate := drawDecimal(t, 4, 4, "tax rate").Shift(-4)
		currency := rapid.SampledFrom([]string{"EUR", "JPY", "KWD", "CLF"}).Draw(t, "currency")
		places, _ := billing.MinorUnits(currency)

		charges := price(t, flight(distance(km.String())), tariff(1, "KM", basis(billing.BasisPerKm, rate.String()),
			func(t *billing.Tariff) { t.Minimum, t.TaxRate, t.Currency = &minimum, taxRate, currency }))
		require.Len(t, charges, 1)

		amount := new(big.Rat).Mul(km.Rat(), rate.Rat())
		if amount.Cmp(minimum.Rat()) < 0 {
			amount = minimum.Rat()
		}
		amount = roundedRat(amount, places)
		assert.Zero(t, amount.Cmp(charges[0].Amount.Rat()), "amount %s", charges[0].Amount)
		tax := roundedRat(new(big.Rat).Mul(amount, taxRate.Rat()), places)
		assert.Zero(t, tax.Cmp(charges[0].TaxAmount.Rat()), "tax %s", charges[0].TaxAmount)
		assert.True(t, charges[0].Quantity.Equal(km), "the quantity keeps its decimals")
	})
}
