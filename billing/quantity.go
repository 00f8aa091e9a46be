package billing

import (
	"math/big"

	"github.com/shopspring/decimal"
)

// quantity returns how many units of the tariff's basis a flight makes, with
// all its decimals. The facts that the basis needs are there and usable.
func (t *Tariff) quantity(f *Flight) decimal.Decimal {
	switch t.Basis {
	case BasisPerFlight:
		return decimal.New(1, 0)
	case BasisPerTonne:
		return t.tonnesInBand(*f.MTOWKg)
	case BasisPerKm:
		return *f.DistanceKm
	case BasisPerPassenger:
		return decimal.New(*f.Passengers, 0)
	case BasisRoute:
		return distanceFactor(*f.DistanceKm).Mul(weightFactor(*f.MTOWKg))
	case BasisTerminal:
		return terminalUnits(*f.MTOWKg)
	default:
		return decimal.Zero
	}
}

// tonnesInBand returns how many of the tonnes of a mass, each tonne or part of
// one, lie inside the tariff's band.
func (t *Tariff) tonnesInBand(kg int64) decimal.Decimal {
	tonnes := startedTonnes(kg)
	if t.BandTo != nil {
		tonnes = decimal.Min(tonnes, *t.BandTo)
	}
	if t.BandFrom != nil {
		tonnes = tonnes.Sub(*t.BandFrom)
	}
	return decimal.Max(tonnes, decimal.Zero)
}

// startedTonnes returns the tonnes of a mass, each tonne or part of one.
func startedTonnes(kg int64) decimal.Decimal {
	tonnes := kg / 1000
	if kg%1000 > 0 {
		tonnes++
	}
	return decimal.New(tonnes, 0)
}

// distanceFactor returns the hundreds of kilometres of a flight, less 20 km at
// each end, to two decimals: Commission Implementing Regulation (EU) 2019/317,
// Annex VIII; EUROCONTROL, Conditions of Application of the Route Charges System.
func distanceFactor(km decimal.Decimal) decimal.Decimal {
	return decimal.Max(km.Sub(decimal.New(40, 0)).Shift(-2).Round(2), decimal.Zero)
}

// The two factors below are roots, hardly ever a finite decimal. They are
// rounded half away from zero by comparing whole numbers, which decides every
// case exactly; a root computed to some digits first, or in floats, could fall
// on the wrong side of a half.

// weightFactor returns √(t / 50) to two decimals, t being the mass in tonnes to
// one decimal (sources as for distanceFactor).
//
// With T = 10 t, the result is n / 100 for (2n − 1)² ≤ 80 T < (2n + 1)².
func weightFactor(kg int64) decimal.Decimal {
	tenths := kg / 100
	if kg%100 >= 50 {
		tenths++
	}
	root := new(big.Int).Mul(big.NewInt(tenths), big.NewInt(80))
	return hundredthsFromHalves(root.Sqrt(root))
}

// terminalUnits returns (t / 50)^0.7 to two decimals, t being the mass in
// tonnes (the terminal service unit of the same regulation and annex).
//
// The result is n / 100 for (2n − 1)¹⁰ · 50000⁷ ≤ 200¹⁰ · kg⁷ < (2n + 1)¹⁰ · 50000⁷.
func terminalUnits(kg int64) decimal.Decimal {
	radicand := new(big.Int).Exp(big.NewInt(kg), big.NewInt(7), nil)
	radicand.Mul(radicand, new(big.Int).Exp(big.NewInt(200), big.NewInt(10), nil))
	radicand.Div(radicand, new(big.Int).Exp(big.NewInt(50_000), big.NewInt(7), nil))
	return hundredthsFromHalves(tenthRoot(radicand))
}

// hundredthsFromHalves rounds a number of two-hundredths, cut off to a whole
// one, to hundredths: the cut never crosses a half, which is a whole number
// here.
func hundredthsFromHalves(halves *big.Int) decimal.Decimal {
	n := new(big.Int).Add(halves, big.NewInt(1))
	return decimal.NewFromBigInt(n.Rsh(n, 1), -2)
}

// tenthRoot returns the largest whole number whose tenth power is at most x.
func tenthRoot(x *big.Int) *big.Int {
	ten := big.NewInt(10)
	root, power := new(big.Int), new(big.Int)
	for bit := x.BitLen() / 10; bit >= 0; bit-- {
		root.SetBit(root, bit, 1)
		if power.Exp(root, ten, nil).Cmp(x) > 0 {
			root.SetBit(root, bit, 0)
		}
	}
	return root
}
