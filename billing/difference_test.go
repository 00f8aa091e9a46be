package billing_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

func line(tariff int64, quantity, rate, amount, tax string) billing.Charge {
	number := decimal.RequireFromString
	return billing.Charge{
		TariffID: tariff, Code: "RUNWAY", Quantity: number(quantity), UnitRate: number(rate), Amount: number(amount),
		TaxRate: number("0.20"), TaxAmount: number(tax), Currency: "EUR",
	}
}

func linesOf(charges []billing.Charge) []string {
	lines := []string{}
	for _, c := range charges {
		lines = append(lines, c.Quantity.String()+" x "+c.UnitRate.String()+" = "+c.Amount.String()+" + "+c.TaxAmount.String())
	}
	return lines
}

func TestDifference(t *testing.T) {
	t.Parallel()
	type charges = []billing.Charge
	old, dearer := line(1, "71", "2.00", "142.00", "28.40"), line(1, "71", "2.10", "149.10", "29.82")
	other, free := line(2, "1", "5", "5.00", "1.00"), line(3, "1", "0", "0.00", "0.00")
	yen := old
	yen.Currency = "JPY"
	for name, c := range map[string]struct {
		standing, now   charges
		reversed, added []string
	}{
		"nothing":                         {nil, nil, []string{}, []string{}},
		"unchanged":                       {charges{old, other, free}, charges{other, old, free}, []string{}, []string{}},
		"unchanged, written otherwise":    {charges{old}, charges{line(1, "71.0", "2", "142", "28.4")}, []string{}, []string{}},
		"new":                             {nil, charges{old}, []string{}, []string{"71 x 2 = 142 + 28.4"}},
		"gone":                            {charges{old}, nil, []string{"-71 x 2 = -142 + -28.4"}, []string{}},
		"an exemption goes":               {charges{free}, nil, []string{"-1 x 0 = 0 + 0"}, []string{}},
		"one of two changes":              {charges{old, other}, charges{dearer, other}, []string{"-71 x 2 = -142 + -28.4"}, []string{"71 x 2.1 = 149.1 + 29.82"}},
		"another tariff":                  {charges{old}, charges{line(9, "71", "2", "142", "28.4")}, []string{"-71 x 2 = -142 + -28.4"}, []string{"71 x 2 = 142 + 28.4"}},
		"another currency":                {charges{old}, charges{yen}, []string{"-71 x 2 = -142 + -28.4"}, []string{"71 x 2 = 142 + 28.4"}},
		"another minimum":                 {charges{line(1, "3", "2", "10", "2")}, charges{line(1, "3", "2", "12", "2.4")}, []string{"-3 x 2 = -10 + -2"}, []string{"3 x 2 = 12 + 2.4"}},
		"voided":                          {charges{old, line(1, "-71", "2", "-142", "-28.4")}, charges{old}, []string{}, []string{"71 x 2 = 142 + 28.4"}},
		"corrected before, and once more": {charges{old, line(1, "-71", "2", "-142", "-28.4"), line(1, "50", "2", "100", "20")}, charges{line(1, "60", "2", "120", "24")}, []string{"-50 x 2 = -100 + -20"}, []string{"60 x 2 = 120 + 24"}},
		"voided, of what was corrected":   {charges{line(1, "-71", "2", "-142", "-28.4"), line(1, "50", "2", "100", "20")}, charges{line(1, "50", "2", "100", "20")}, []string{"21 x 2 = 42 + 8.4"}, []string{"50 x 2 = 100 + 20"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reversed, added := billing.Difference(c.standing, c.now)
			require.Equal(t, c.reversed, linesOf(reversed))
			require.Equal(t, c.added, linesOf(added))
		})
	}
}

// Whatever stands: with the difference, what stands is what is to be charged, and
// nothing is left to correct.
func TestDifferenceComesToTheNewPrice(t *testing.T) {
	t.Parallel()
	charges := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) billing.Charge {
		number := func(low, high int64, what string) decimal.Decimal {
			return decimal.New(rapid.Int64Range(low, high).Draw(rt, what), -2)
		}
		return billing.Charge{
			TariffID: rapid.Int64Range(1, 3).Draw(rt, "tariff"), Code: "A", UnitRate: number(0, 2, "rate"), TaxRate: number(0, 1, "tax rate"),
			Quantity: number(-3, 3, "quantity"), Amount: number(-3, 3, "amount"), TaxAmount: number(-1, 1, "tax"),
			Currency: rapid.SampledFrom([]string{"EUR", "JPY"}).Draw(rt, "currency"),
		}
	}), 0, 6)
	rapid.Check(t, func(rt *rapid.T) {
		standing, now := charges.Draw(rt, "standing"), charges.Draw(rt, "now")
		reversed, added := billing.Difference(standing, now)
		sum := map[string]decimal.Decimal{}
		for sign, lines := range map[int64][][]billing.Charge{1: {standing, reversed, added}, -1: {now}} {
			for _, part := range lines {
				for _, c := range part {
					sum[c.Currency] = sum[c.Currency].Add(c.Amount.Add(c.TaxAmount).Mul(decimal.NewFromInt(sign)))
				}
			}
		}
		for currency, rest := range sum {
			require.True(rt, rest.IsZero(), "%s: %s", currency, rest)
		}
		all := append(append(append([]billing.Charge{}, standing...), reversed...), added...)
		reversed, added = billing.Difference(all, now)
		require.Empty(rt, reversed)
		require.Empty(rt, added)
	})
}
