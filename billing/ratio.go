package billing

import (
	"cmp"
	"math"
	"math/big"
	"strconv"

	"github.com/shopspring/decimal"
)

// ratio is an exact number: n / d where 64 bits hold it, as they nearly always do, which
// takes no memory; else a fraction of any size.
type ratio struct {
	n, d int64 // d is above 0
	big  *big.Rat
}

var one = decimal.New(1, 0)

// powersOfTen that 64 bits hold.
var powersOfTen = func() (powers [19]int64) {
	powers[0] = 1
	for i := 1; i < len(powers); i++ {
		powers[i] = powers[i-1] * 10
	}
	return powers
}()

func integer(n int64) ratio { return ratio{n: n, d: 1} }

// number returns a decimal as it is.
func number(d decimal.Decimal) ratio {
	digits, places := d.NumDigits(), -int(d.Exponent())
	switch {
	case digits > 18 || places > 18 || digits-places > 18:
		return fraction(d.Rat())
	case places < 0:
		return integer(d.CoefficientInt64() * powersOfTen[-places])
	default:
		return ratio{n: d.CoefficientInt64(), d: powersOfTen[places]}
	}
}

// fraction returns a fraction, which nobody may change afterwards.
func fraction(x *big.Rat) ratio {
	if x.Num().BitLen() < 64 && x.Denom().BitLen() < 64 {
		return ratio{n: x.Num().Int64(), d: x.Denom().Int64()}
	}
	return ratio{big: x}
}

// rat returns the number as a fraction, which nobody may change.
func (r ratio) rat() *big.Rat {
	if r.big != nil {
		return r.big
	}
	return big.NewRat(r.n, r.d)
}

// integers returns the number as a fraction of whole numbers of the caller's own.
func (r ratio) integers() (numerator, denominator *big.Int) {
	if r.big != nil {
		return new(big.Int).Set(r.big.Num()), new(big.Int).Set(r.big.Denom())
	}
	return big.NewInt(r.n), big.NewInt(r.d)
}

// product reports whether 64 bits hold it, with its opposite.
func product(a, b int64) (c int64, fits bool) {
	c = a * b
	if -small < a && a < small && -small < b && b < small {
		return c, true
	}
	return c, a == 0 || c/a == b && c != math.MinInt64
}

// small numbers are those whose products 64 bits hold.
const small = 1 << 31

// sum is the same of a sum.
func sum(a, b int64) (c int64, fits bool) {
	c = a + b
	return c, (c > a) == (b > 0) && c != math.MinInt64
}

func (r ratio) times(other ratio) ratio {
	if r.big == nil && other.big == nil {
		n, ok := product(r.n, other.n)
		d, fits := product(r.d, other.d)
		if ok && fits {
			return ratio{n: n, d: d}
		}
	}
	return fraction(new(big.Rat).Mul(r.rat(), other.rat()))
}

func (r ratio) mul(by decimal.Decimal) ratio { return r.times(number(by)) }

// over divides by a number above 0.
func (r ratio) over(by decimal.Decimal) ratio {
	b := number(by)
	if b.big != nil {
		return r.times(fraction(new(big.Rat).Inv(b.big)))
	}
	return r.times(ratio{n: b.d, d: b.n})
}

func (r ratio) add(other ratio) ratio {
	if r.d < other.d {
		r, other = other, r
	}
	if r.big == nil && other.big == nil && r.d%other.d == 0 { // one of them has the decimals of both
		n, ok := product(other.n, r.d/other.d)
		if n, fits := sum(r.n, n); ok && fits {
			return ratio{n: n, d: r.d}
		}
	}
	return fraction(new(big.Rat).Add(r.rat(), other.rat()))
}

func (r ratio) plus(d decimal.Decimal) ratio { return r.add(number(d)) }

func (r ratio) minus(d decimal.Decimal) ratio { return r.add(number(d).negated()) }

func (r ratio) negated() ratio { return r.times(integer(-1)) }

func (r ratio) sign() int {
	if r.big != nil {
		return r.big.Sign()
	}
	return cmp.Compare(r.n, 0)
}

// cmp compares with a decimal.
func (r ratio) cmp(d decimal.Decimal) int { return r.compare(number(d)) }

func (r ratio) compare(other ratio) int {
	if r.big == nil && other.big == nil {
		a, ok := product(r.n, other.d)
		b, fits := product(other.n, r.d)
		if ok && fits {
			return cmp.Compare(a, b)
		}
	}
	return r.rat().Cmp(other.rat())
}

// notBelowZero returns the number, and 0 for one below.
func (r ratio) notBelowZero() ratio {
	if r.sign() < 0 {
		return integer(0)
	}
	return r
}

// atMost returns the lesser of the number and d.
func (r ratio) atMost(d decimal.Decimal) ratio {
	if most := number(d); r.compare(most) > 0 {
		return most
	}
	return r
}

// round returns a number, not below 0, as a multiple of step.
func (r ratio) round(how Rounding, step decimal.Decimal) ratio {
	if how == RoundNone || how == "" {
		return r
	}
	return r.over(step).wholes(how).mul(step)
}

// wholes returns a number, not below 0, as a whole one.
func (r ratio) wholes(how Rounding) ratio {
	if r.big != nil {
		q, rest := new(big.Int).QuoRem(r.big.Num(), r.big.Denom(), new(big.Int))
		if how == RoundUp && rest.Sign() > 0 || how == RoundNearest && rest.Lsh(rest, 1).Cmp(r.big.Denom()) >= 0 {
			q.Add(q, big.NewInt(1))
		}
		return fraction(new(big.Rat).SetInt(q))
	}
	q, rest := r.n/r.d, r.n%r.d
	if how == RoundUp && rest > 0 || how == RoundNearest && rest >= r.d-rest {
		q++
	}
	return integer(q)
}

// roundTo rounds to a number of decimals, half away from zero.
func (r ratio) roundTo(places int32) decimal.Decimal {
	if r.big == nil && int(places) < len(powersOfTen) {
		if n, ok := product(r.n, powersOfTen[places]); ok {
			return decimal.New(ratio{n: n, d: r.d}.nearest(), -places)
		}
	}
	return decimal.NewFromBigRat(r.rat(), places)
}

// endlessPlaces are the decimals that a number without end is shown with.
const endlessPlaces = 12

// decimal returns the number itself where it is a finite decimal, else rounded to 12
// decimals.
func (r ratio) decimal() decimal.Decimal {
	if n, places, ok := r.digits(); ok {
		return decimal.New(n, -places)
	}
	exact := r.rat()
	places, finite := exact.FloatPrec()
	if !finite {
		places = endlessPlaces
	}
	return trimmed(decimal.NewFromBigRat(exact, int32(places)))
}

// isEndless reports whether its decimals have no end.
func (r ratio) isEndless() bool {
	if r.big != nil {
		_, finite := r.big.FloatPrec()
		return !finite
	}
	_, _, rest := factors(r.d)
	return r.n%rest != 0
}

// factors returns how many 2 and 5 a number above 0 is made of, and what else.
func factors(n int64) (twos, fives int32, rest int64) {
	for ; n%2 == 0; n /= 2 {
		twos++
	}
	for ; n%5 == 0; n /= 5 {
		fives++
	}
	return twos, fives, n
}

// digits returns what decimal does as n / 10^places, without zeros at its end; false
// where 64 bits do not hold it.
func (r ratio) digits() (n int64, places int32, ok bool) {
	if r.big != nil {
		return 0, 0, false
	}
	n = r.n
	twos, fives, rest := factors(r.d)
	if n%rest == 0 {
		n, places, ok = n/rest, max(twos, fives), true
		for ; fives < places && ok; fives++ {
			n, ok = product(n, 5)
		}
		for ; twos < places && ok; twos++ {
			n, ok = product(n, 2)
		}
	} else if n, ok = product(n, powersOfTen[endlessPlaces]); ok {
		n, places = ratio{n: n, d: r.d}.nearest(), endlessPlaces
	}
	for ; places > 0 && n%10 == 0; places-- {
		n /= 10
	}
	return n, places, ok && int(places) < len(powersOfTen)
}

// nearest returns the nearest whole number, the one away from zero of two, where it is no
// big one.
func (r ratio) nearest() int64 {
	if r.n < 0 {
		return -ratio{n: -r.n, d: r.d}.nearest()
	}
	return r.wholes(RoundNearest).n
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

// text writes the number, to 12 decimals where it has no end.
func (r ratio) text() string { return string(r.appendTo(nil)) }

func (r ratio) appendTo(text []byte) []byte {
	n, places, ok := r.digits()
	if !ok {
		return append(text, r.decimal().String()...)
	}
	if n < 0 {
		text = append(text, '-')
	}
	n = max(n, -n)
	point := powersOfTen[places]
	text = strconv.AppendInt(text, n/point, 10)
	if places == 0 {
		return text
	}
	text = strconv.AppendInt(text, point+n%point, 10) // 1 and all the decimals
	text[len(text)-int(places)-1] = '.'
	return text
}
