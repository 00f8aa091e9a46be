package billing

import (
	"math"
	"math/big"

	"github.com/shopspring/decimal"
)

// formula is ((d − less) / unit)^p × (t / mass unit)^q, each factor rounded.
type formula struct {
	distance      string // the fact; "": the distance does not count
	less          decimal.Decimal
	distanceUnit  decimal.Decimal
	distancePower exponent
	mass          bool // whether the mass counts
	tonnes        tonneRule
	tonneIndex    int
	massUnit      decimal.Decimal
	massPower     exponent
}

// routeUnits are those of Commission Implementing Regulation (EU) 2019/317, Annex VIII,
// and of EUROCONTROL's Conditions of Application of the Route Charges System: hundreds of
// kilometres of great circle, less 20 km at each end, times √(t / 50), t to one
// decimal.
var routeUnits = formula{
	distance: "distance_km", less: decimal.New(40, 0), distanceUnit: decimal.New(100, 0), distancePower: newExponent(one, 2),
	mass: true, tonnes: tonneRule{TonneMetric, RoundNearest, decimal.New(1, -1)}, massUnit: decimal.New(50, 0), massPower: newExponent(decimal.New(5, -1), 2),
}

// terminalUnits are those of the same regulation's terminal charge: (t / 50)^0.7.
var terminalUnits = formula{
	mass: true, tonnes: tonneRule{TonneMetric, RoundNone, one}, massUnit: decimal.New(50, 0), massPower: newExponent(decimal.New(7, -1), 2),
}

// formulaOf returns the formula of a tariff.
func formulaOf(t *Tariff) *formula {
	switch t.Basis {
	case BasisRoute:
		return new(routeUnits)
	case BasisTerminal:
		return new(terminalUnits)
	case BasisFormula:
	default:
		return nil
	}
	f := formula{less: t.DistanceLess, distanceUnit: orOne(t.DistanceUnit), tonnes: t.tonneRule(), massUnit: orOne(t.MassUnit)}
	decimals := int32(2)
	if t.Decimals != nil {
		decimals = *t.Decimals
	}
	if t.DistancePower != nil {
		f.distance, f.distancePower = "distance_km", newExponent(*t.DistancePower, decimals)
		if len(t.Of) > 0 {
			f.distance = t.Of[0]
		}
	}
	if t.MassPower != nil {
		f.mass, f.massPower = true, newExponent(*t.MassPower, decimals)
	}
	return &f
}

// serviceUnits returns what the tariff's formula comes to.
func (p *pricing) serviceUnits(t *Tariff, tr *trace) (ratio, gap) {
	f := t.rule.formula
	units := integer(1)
	if f.distance != "" {
		distance, missing := p.count(t, f.distance, tr)
		if missing.kind != noGap {
			return ratio{}, missing
		}
		factor := f.distancePower.of(distance.minus(f.less).notBelowZero().over(f.distanceUnit))
		tr.factor("distance factor", distance, f.less, f.distanceUnit, &f.distancePower, factor)
		units = units.times(factor)
	}
	if f.mass {
		tonnes, missing := p.tonnesBy(&f.tonnes, f.tonneIndex)
		if missing.kind != noGap {
			return ratio{}, missing
		}
		factor := f.massPower.of(tonnes.over(f.massUnit))
		tr.tonnes(p, &f.tonnes, f.tonneIndex)
		tr.factor("mass factor", tonnes, decimal.Zero, f.massUnit, &f.massPower, factor)
		units = units.times(factor)
	}
	return units, gap{}
}

// exponent is a power p = a / b, in lowest terms, whose result is rounded.
type exponent struct {
	p        decimal.Decimal
	a, b     int64
	decimals int32
	scale    *big.Int // (2 × 10^decimals)^b
}

func newExponent(p decimal.Decimal, decimals int32) exponent {
	fraction := p.Rat()
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)
	scale.Lsh(scale, 1)
	return exponent{p, fraction.Num().Int64(), fraction.Denom().Int64(), decimals, scale.Exp(scale, fraction.Denom(), nil)}
}

// isOne reports whether it only rounds.
func (e *exponent) isOne() bool { return e.a == 1 && e.b == 1 }

// of returns x^p, half away from zero, x not being below 0.
//
// A power is hardly ever a finite decimal. It is rounded by comparing whole numbers,
// which decides every case exactly; one computed to some digits first, or in floats,
// could fall on the wrong side of a half. With x = N / D and s = 10^decimals the result is
// n / s for (2n − 1)^b · D^a ≤ (2s)^b · N^a < (2n + 1)^b · D^a: n is the b-th root of
// (2s)^b · N^a / D^a, cut off to a whole number, plus one, halved. The cut never crosses a
// half, which is a whole number there.
func (e *exponent) of(x ratio) ratio {
	switch {
	case x.sign() == 0:
		return integer(0)
	case e.isOne():
		return number(x.roundTo(e.decimals))
	}
	numerator, denominator := x.integers()
	radicand := numerator.Exp(numerator, big.NewInt(e.a), nil)
	radicand.Mul(radicand, e.scale)
	radicand.Quo(radicand, denominator.Exp(denominator, big.NewInt(e.a), nil))

	halves := root(radicand, e.b)
	halves.Add(halves, big.NewInt(1))
	return number(decimal.NewFromBigInt(halves.Rsh(halves, 1), -e.decimals))
}

// root returns the largest whole number whose b-th power is at most x.
func root(x *big.Int, b int64) *big.Int {
	if b == 1 || x.Sign() == 0 {
		return x
	}
	// Newton's steps in whole numbers: from any start the first leads to the root or above
	// it, and each after it down, until there is none below. The start, in floats, only
	// saves steps.
	found := newtonStep(rootNear(x, b), x, b)
	for {
		next := newtonStep(found, x, b)
		if next.Cmp(found) >= 0 {
			return found
		}
		found = next
	}
}

// newtonStep returns ((b − 1) · r + x / r^(b − 1)) / b.
func newtonStep(r, x *big.Int, b int64) *big.Int {
	less := big.NewInt(b - 1)
	next := new(big.Int).Exp(r, less, nil)
	next.Quo(x, next)
	next.Add(next, less.Mul(less, r))
	return next.Quo(next, big.NewInt(b))
}

// rootNear returns the root to some digits, and at least 1.
func rootNear(x *big.Int, b int64) *big.Int {
	cut := max(x.BitLen()-64, 0)
	first := new(big.Int).Rsh(x, uint(cut)).Uint64()
	log := (math.Log2(float64(first)) + float64(cut)) / float64(b)
	zeros := max(int(log)-52, 0) // what a float does not hold
	near := big.NewInt(int64(math.Exp2(log-float64(zeros))) + 1)
	return near.Lsh(near, uint(zeros))
}
