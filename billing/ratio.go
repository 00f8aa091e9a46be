package billing

import (
	"math/big"

	"github.com/shopspring/decimal"
)

// ratio is an exact number n / d, d being above 0. Most are finite decimals, whose d
// is 1.
type ratio struct{ n, d decimal.Decimal }

var one = decimal.New(1, 0)

func whole(n decimal.Decimal) ratio { return ratio{n, one} }

// isDecimal reports whether it is held as one: its d is the very same 1.
func (r ratio) isDecimal() bool { return r.d == one }

// over divides by a number above 0.
func (r ratio) over(by decimal.Decimal) ratio {
	if by.CoefficientInt64() == 1 && by.NumDigits() == 1 { // a power of ten
		return ratio{r.n.Shift(-by.Exponent()), r.d}
	}
	return ratio{r.n, r.d.Mul(by)}.finite()
}

// finite holds a number whose denominator is a power of ten as a decimal.
func (r ratio) finite() ratio {
	if d := r.d.Normalize(); d.CoefficientInt64() == 1 && d.NumDigits() == 1 {
		return whole(r.n.Shift(-d.Exponent()))
	}
	return r
}

func (r ratio) times(other ratio) ratio {
	if r.isDecimal() && other.isDecimal() {
		return whole(r.n.Mul(other.n))
	}
	return ratio{r.n.Mul(other.n), r.d.Mul(other.d)}
}

func (r ratio) mul(by decimal.Decimal) ratio { return ratio{r.n.Mul(by), r.d} }

func (r ratio) plus(d decimal.Decimal) ratio {
	if r.isDecimal() {
		return whole(r.n.Add(d))
	}
	return ratio{r.n.Add(d.Mul(r.d)), r.d}
}

func (r ratio) minus(d decimal.Decimal) ratio { return r.plus(d.Neg()) }

func (r ratio) sign() int { return r.n.Sign() }

// cmp compares with a decimal.
func (r ratio) cmp(d decimal.Decimal) int {
	if r.isDecimal() {
		return compareNumbers(r.n, d)
	}
	return r.n.Cmp(d.Mul(r.d))
}

// notBelowZero returns the number, and 0 for one below.
func (r ratio) notBelowZero() ratio {
	if r.sign() < 0 {
		return whole(decimal.Zero)
	}
	return r
}

// atMost returns the lesser of the number and d.
func (r ratio) atMost(d decimal.Decimal) ratio {
	if r.cmp(d) > 0 {
		return whole(d)
	}
	return r
}

// round returns a number, not below 0, as a multiple of step.
func (r ratio) round(how Rounding, step decimal.Decimal) ratio {
	if how == RoundNone || how == "" {
		return r
	}
	divisor := r.d.Mul(step)
	if how == RoundNearest {
		return whole(r.n.DivRound(divisor, 0).Mul(step))
	}
	q, rest := r.n.QuoRem(divisor, 0)
	if how == RoundUp && rest.IsPositive() {
		q = q.Add(one)
	}
	return whole(q.Mul(step))
}

// roundTo rounds to a number of decimals, half away from zero.
func (r ratio) roundTo(places int32) decimal.Decimal {
	if r.isDecimal() {
		return r.n.Round(places)
	}
	return r.n.DivRound(r.d, places)
}

// endlessPlaces are the decimals that a number without end is shown with.
const endlessPlaces = 12

// decimal returns the number itself where it is a finite decimal, else rounded to 12
// decimals.
func (r ratio) decimal() decimal.Decimal {
	if r.isDecimal() {
		return trimmed(r.n)
	}
	exact := r.n.Rat()
	exact.Quo(exact, r.d.Rat())
	places, finite := exact.FloatPrec()
	if !finite {
		places = endlessPlaces
	}
	return trimmed(r.n.DivRound(r.d, int32(places)))
}

// trimmed returns the same number without zeros at the end of its decimals.
func trimmed(d decimal.Decimal) decimal.Decimal {
	if d.Exponent() < 0 {
		d = d.Normalize()
	}
	if d.Exponent() > 0 {
		d = decimal.NewFromBigInt(d.BigInt(), 0)
	}
	return d
}

func (r ratio) add(other ratio) ratio {
	if r.isDecimal() && other.isDecimal() {
		return whole(r.n.Add(other.n))
	}
	return ratio{r.n.Mul(other.d).Add(other.n.Mul(r.d)), r.d.Mul(other.d)}
}

// integers returns the number as a fraction of whole numbers, which nobody may change.
func (r ratio) integers() (numerator, denominator *big.Int) {
	low := min(r.n.Exponent(), r.d.Exponent(), 0)
	return r.n.Shift(-low).BigInt(), r.d.Shift(-low).BigInt()
}
