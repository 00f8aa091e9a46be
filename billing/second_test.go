package billing_test

import (
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

// What follows computes prices a second time from the columns' definitions: in fractions
// from end to end, by search instead of roots, and without any code of the package's.

// second is one flight, for the second computation.
type second struct {
	facts map[string]*big.Rat
	kg    *big.Rat
	stay  *big.Rat // minutes
}

func rat(d decimal.Decimal) *big.Rat { return d.Rat() }

func ratOr(d decimal.Decimal, zero int64) *big.Rat {
	if d.IsZero() {
		return big.NewRat(zero, 1)
	}
	return d.Rat()
}

func isZero(r *big.Rat) bool          { return r.Sign() == 0 }
func sub(a, b *big.Rat) *big.Rat      { return new(big.Rat).Sub(a, b) }
func multiply(a, b *big.Rat) *big.Rat { return new(big.Rat).Mul(a, b) }
func quotient(a, b *big.Rat) *big.Rat { return new(big.Rat).Quo(a, b) }

func atLeast(a *big.Rat, least int64) *big.Rat {
	if b := big.NewRat(least, 1); a.Cmp(b) < 0 {
		return b
	}
	return a
}

// toSteps rounds a number, not below 0, to a multiple of a step.
func toSteps(x *big.Rat, how billing.Rounding, step *big.Rat) *big.Rat {
	if how == billing.RoundNone {
		return x
	}
	steps := quotient(x, step)
	floor := new(big.Rat).SetInt(new(big.Int).Div(steps.Num(), steps.Denom()))
	rest := sub(steps, floor)
	if how == billing.RoundUp && !isZero(rest) || how == billing.RoundNearest && rest.Cmp(big.NewRat(1, 2)) >= 0 {
		floor.Add(floor, big.NewRat(1, 1))
	}
	return multiply(floor, step)
}

// searched returns x^p to so many decimals: the n of which (n − ½)^b ≤ x^a·s^b < (n + ½)^b.
func searched(x *big.Rat, p decimal.Decimal, decimals int) *big.Rat {
	a, b := int(p.Rat().Num().Int64()), int(p.Rat().Denom().Int64())
	scale := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil))
	exact := multiply(power(x, a), power(scale, b))
	above := func(n *big.Int) bool { // whether the exact value is below n + ½
		return exact.Cmp(power(new(big.Rat).Add(new(big.Rat).SetInt(n), big.NewRat(1, 2)), b)) < 0
	}
	high := big.NewInt(1)
	for !above(high) {
		high.Lsh(high, 1)
	}
	low := big.NewInt(0)
	for low.Cmp(high) < 0 {
		middle := new(big.Int).Rsh(new(big.Int).Add(low, high), 1)
		if above(middle) {
			high = middle
		} else {
			low = middle.Add(middle, big.NewInt(1))
		}
	}
	return quotient(new(big.Rat).SetInt(low), scale)
}

func (s *second) tonnes(t *billing.Tariff, kg *big.Rat) *big.Rat {
	tonnes := quotient(kg, big.NewRat(1000, 1))
	if t.TonneKg == billing.TonneLb {
		tonnes = quotient(kg, rat(dec("453.59237")))
	}
	how := t.TonneRounding
	if how == "" {
		how = billing.RoundUp
	}
	return toSteps(tonnes, how, ratOr(t.TonneStep, 1))
}

func marginal(t *billing.Tariff) bool {
	return t.BandMode == billing.BandMarginal || t.BandMode == "" && t.Basis == billing.BasisPerTonne
}

// inside returns the part of a quantity that is in the band, where the band is of that.
func inside(t *billing.Tariff, name string, q *big.Rat) *big.Rat {
	of := t.BandOf
	if of == "" {
		of = "tonnes"
	}
	if of != name || !marginal(t) {
		return q
	}
	part := new(big.Rat)
	from, to := big.NewRat(0, 1), q
	if t.BandFrom != nil {
		from = rat(*t.BandFrom)
	}
	if t.BandTo != nil && rat(*t.BandTo).Cmp(q) < 0 {
		to = rat(*t.BandTo)
	}
	if to.Cmp(from) > 0 {
		part.Sub(to, from)
	}
	return part
}

func (s *second) named(t *billing.Tariff, name string) *big.Rat {
	if name == "tonnes" {
		return inside(t, "tonnes", s.tonnes(t, inside(t, "kg", s.kg)))
	}
	return inside(t, name, s.facts[name])
}

func (s *second) units(t *billing.Tariff) *big.Rat {
	value := new(big.Rat)
	switch t.Basis {
	case billing.BasisPerTonne:
		value = s.named(t, "tonnes")
	case billing.BasisPerKm:
		value = s.named(t, "distance_km")
	case billing.BasisPerPassenger:
		value = s.named(t, "passengers")
	case billing.BasisPerTime:
		value = inside(t, "stay_minutes", s.stay)
	case billing.BasisPerUnit:
		for _, name := range t.Of {
			value.Add(value, s.named(t, name))
		}
	default:
	}
	free := rat(t.Free)
	switch {
	case t.FreeMode == billing.FreeThreshold && value.Cmp(free) <= 0:
		value = new(big.Rat)
	case t.FreeMode != billing.FreeThreshold:
		value = atLeast(sub(value, free), 0)
	}
	how := t.Rounding
	if how == "" {
		how = billing.RoundNone
		if t.Basis == billing.BasisPerTime {
			how = billing.RoundUp
		}
	}
	return inside(t, "units", toSteps(quotient(value, ratOr(t.Unit, 1)), how, big.NewRat(1, 1)))
}

// serviceUnits are those of route, terminal and formula.
func (s *second) serviceUnits(t *billing.Tariff) *big.Rat {
	f := *t
	switch t.Basis {
	case billing.BasisRoute:
		f.DistanceLess, f.DistanceUnit, f.DistancePower, f.MassUnit, f.MassPower = dec("40"), dec("100"), decPtr("1"), dec("50"), decPtr("0.5")
		f.TonneRounding, f.TonneStep = billing.RoundNearest, dec("0.1")
	case billing.BasisTerminal:
		f.MassUnit, f.MassPower, f.TonneRounding = dec("50"), decPtr("0.7"), billing.RoundNone
	default:
	}
	decimals := 2
	if f.Decimals != nil {
		decimals = int(*f.Decimals)
	}
	product := big.NewRat(1, 1)
	if f.DistancePower != nil {
		name := "distance_km"
		if len(f.Of) > 0 {
			name = f.Of[0]
		}
		d := atLeast(sub(s.facts[name], rat(f.DistanceLess)), 0)
		product = multiply(product, searched(quotient(d, ratOr(f.DistanceUnit, 1)), *f.DistancePower, decimals))
	}
	if f.MassPower != nil {
		product = multiply(product, searched(quotient(s.tonnes(&f, s.kg), ratOr(f.MassUnit, 1)), *f.MassPower, decimals))
	}
	return product
}

// applies reports whether the flight is inside the band of a tariff for which that counts.
func (s *second) applies(t *billing.Tariff) bool {
	if t.BandFrom == nil && t.BandTo == nil || marginal(t) {
		return true
	}
	var value *big.Rat
	switch t.BandOf {
	case "", "tonnes":
		value = s.tonnes(t, s.kg)
	case "kg":
		value = s.kg
	case "units":
		value = s.units(t)
	default:
		value = s.facts[t.BandOf]
	}
	return (t.BandFrom == nil || value.Cmp(rat(*t.BandFrom)) > 0) && (t.BandTo == nil || value.Cmp(rat(*t.BandTo)) <= 0)
}

func (s *second) quantity(t *billing.Tariff) *big.Rat {
	var q *big.Rat
	switch t.Basis {
	case billing.BasisPerFlight:
		q = big.NewRat(1, 1)
	case billing.BasisRoute, billing.BasisTerminal, billing.BasisFormula:
		q = s.serviceUnits(t)
	default:
		q = s.units(t)
	}
	if t.Times != "" {
		q = multiply(q, s.named(t, t.Times))
	}
	return q
}

// amount returns what a quantity costs; nil: no charge.
func amount(t *billing.Tariff, q *big.Rat) *big.Rat {
	if isZero(q) && !t.MinimumAtZero {
		return nil
	}
	a := new(big.Rat).Add(multiply(q, rat(t.UnitRate)), rat(t.Fixed))
	if t.Factor != nil {
		a = multiply(a, rat(*t.Factor))
	}
	if t.Minimum != nil && a.Cmp(rat(*t.Minimum)) < 0 {
		a = rat(*t.Minimum)
	}
	if t.Maximum != nil && a.Cmp(rat(*t.Maximum)) > 0 {
		a = rat(*t.Maximum)
	}
	return rounded(a, t.Currency)
}

// rounded is half away from zero on both sides of it.
func rounded(a *big.Rat, currency string) *big.Rat {
	minor, _ := billing.MinorUnits(currency)
	if a.Sign() < 0 {
		return new(big.Rat).Neg(roundedRat(new(big.Rat).Neg(a), minor))
	}
	return roundedRat(a, minor)
}

// charges returns the amounts by tariff; tariffs are in an order in which each counts
// only codes of those before it.
func (s *second) charges(tariffs []billing.Tariff) map[int64]*big.Rat {
	all := map[int64]*big.Rat{}
	byCode := map[string][]*big.Rat{}
	for i := range tariffs {
		t := &tariffs[i]
		if !s.applies(t) {
			continue
		}
		var a *big.Rat
		sum, found := new(big.Rat), false
		for _, code := range t.Of {
			for _, part := range byCode[code] {
				sum, found = sum.Add(sum, part), true
			}
		}
		switch {
		case t.Basis == billing.BasisTopUp:
			if short := sub(rat(*t.Minimum), sum); short.Sign() > 0 {
				a = rounded(short, t.Currency)
			}
		case t.Basis != billing.BasisPercent:
			a = amount(t, s.quantity(t))
		case found:
			a = amount(t, sum)
		}
		if a != nil {
			all[t.ID], byCode[t.Code] = a, append(byCode[t.Code], a)
		}
	}
	return all
}

func TestPricesAgainstASecondComputation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var tariffs []billing.Tariff
		var codes []string
		id := int64(0)
		for i := range rapid.IntRange(1, 3).Draw(t, "tariffs") {
			id++
			codes = append(codes, fmt.Sprintf("B%d", i))
			tariffs = append(tariffs, drawPriced(t, id, codes[i]))
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "percentages") {
			id++
			code := fmt.Sprintf("A%d", 9-i) // of codes that come later in the alphabet
			tariffs = append(tariffs, drawOfCharges(t, id, code, codes, false))
			codes = append(codes, code)
		}
		if rapid.Bool().Draw(t, "top_up") {
			tariffs = append(tariffs, drawOfCharges(t, id+1, "A0", codes, true))
		}
		money := pickOf(t, "currency", "EUR", "JPY", "KWD")
		for i := range tariffs {
			tariffs[i].Currency = money
			require.NoError(t, tariffs[i].Validate())
		}
		require.Empty(t, billing.ValidateSet(tariffs, nil))

		kg := rapid.Int64Range(1, 640_000).Draw(t, "kg")
		seats, transfer := rapid.Int64Range(0, 1500).Draw(t, "seats"), rapid.Int64Range(0, 50).Draw(t, "pax_transfer")
		nox, km := drawDecimal(t, 4, 2, "nox_kg"), drawDecimal(t, 7, 3, "km")
		pax := rapid.Int64Range(0, 800).Draw(t, "passengers")
		seconds := time.Duration(rapid.Int64Range(0, 200_000).Draw(t, "stay in seconds")) * time.Second
		f := flight(mass(kg), passengers(pax), distance(km.String()), stay(seconds),
			facts("seats", fmt.Sprint(seats), "pax_transfer", fmt.Sprint(transfer), "nox_kg", nox.String()))
		s := &second{
			kg: big.NewRat(kg, 1), stay: big.NewRat(int64(seconds/time.Second), 60),
			facts: map[string]*big.Rat{
				"seats": big.NewRat(seats, 1), "pax_transfer": big.NewRat(transfer, 1), "nox_kg": rat(nox),
				"distance_km": rat(km), "passengers": big.NewRat(pax, 1),
			},
		}
		if rapid.Bool().Draw(t, "in pounds") {
			lb := rapid.Int64Range(1, 1_400_000).Draw(t, "lb")
			f.MTOWKg, f.MTOWLb = nil, &lb
			s.kg = multiply(big.NewRat(lb, 1), rat(dec("0.45359237")))
		}

		want := s.charges(tariffs)
		charges, err := priceOf(f, acme, date(t, landingDay), rapid.Permutation(tariffs).Draw(t, "shuffled"), unbounded)
		if len(want) == 0 && err != nil {
			return // none applies
		}
		require.NoError(t, err)
		require.Len(t, charges, len(want))
		for _, c := range charges {
			require.NotNil(t, want[c.TariffID], "%s is not charged", c.Code)
			require.Zero(t, want[c.TariffID].Cmp(c.Amount.Rat()), "%s: %s, by the second computation %s", c.Code, c.Amount, want[c.TariffID].FloatString(6))
		}
	})
}
