package billing_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

// powerOf returns a flight and a tariff that price x^p to a number of decimals, at 1 a
// unit.
func powerOf(x, p decimal.Decimal, decimals int32) (billing.Case, *billing.TariffSet) {
	power := tariff(1, "POWER", basis(billing.BasisFormula, "1"), of("x"), func(t *billing.Tariff) { t.DistancePower, t.Decimals = &p, &decimals })
	c := billing.Case{Flight: flight(facts("x", x.String())), Customer: acme, MovedOn: billing.NewDate(2026, time.November, 23)}
	return c, billing.NewTariffSet([]billing.Tariff{power}, nil)
}

func powered(t require.TestingT, x, p decimal.Decimal, decimals int32) decimal.Decimal {
	c, set := powerOf(x, p, decimals)
	charges, err := billing.Price(c, set, unbounded)
	require.NoError(t, err)
	if len(charges) == 0 {
		return decimal.Zero
	}
	return charges[0].Quantity
}

// Every power that a tariff can have is that of the second computation.
func TestPowersAgainstASecondComputation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := decimal.New(rapid.Int64Range(1, 300).Draw(t, "hundredths"), -2)
		x := drawDecimal(t, 7, 3, "x")
		decimals := rapid.Int32Range(0, 6).Draw(t, "decimals")
		want := searched(rat(x), p, int(decimals))
		require.Zero(t, want.Cmp(rat(powered(t, x, p, decimals))), "%s^%s to %d decimals is %s", x, p, decimals, want.FloatString(6))
	})
}

// A power that is the half between two figures, which no float can tell, is rounded up,
// and one just below it down.
func TestPowersThatAreHalves(t *testing.T) {
	t.Parallel()
	for half := int64(1); half < 4000; half += 26 { // 0.005, 0.135, …
		y := decimal.New(half*5, -3)
		for p, whole := range map[string]int64{"0.5": 2, "0.25": 4, "0.2": 5, "0.1": 10} {
			x := y.Pow(decimal.NewFromInt(whole))
			require.Equal(t, y.Round(2).String(), powered(t, x, dec(p), 2).String(), "%s^%s", x, p)
			below := x.Sub(decimal.New(1, -30))
			require.Equal(t, y.Truncate(2).String(), powered(t, below, dec(p), 2).String(), "%s^%s", below, p)
		}
	}
}

// BenchmarkPower prices a flight by one power: go test ./billing -run '^$' -bench Power.
func BenchmarkPower(b *testing.B) {
	for _, p := range []string{"0.5", "0.7", "0.33", "2.99"} {
		b.Run(p, func(b *testing.B) {
			c, set := powerOf(dec("735.4"), dec(p), 2)
			for b.Loop() {
				_, err := billing.Price(c, set, billing.DefaultBounds)
				require.NoError(b, err)
			}
		})
	}
}
