package billing

import (
	"fmt"
	"slices"

	"github.com/shopspring/decimal"
)

// mass is the maximum take-off mass of a flight.
type mass struct {
	known bool // whether it has been looked up
	kg    decimal.Decimal
	lb    *int64 // where it is the source's, and the source has pounds
	from  string // "": the flight source
	gap   gap
}

// kgOfLb is a pound, by definition.
var kgOfLb = decimal.New(45359237, -8)

// massOf returns the mass, looked up once.
func (f *facts) massOf() *mass {
	if !f.mass.known {
		f.mass = f.c.massOf(f.bounds)
	}
	return &f.mass
}

// massOf returns the mass: the source's, else as the aircraft was declared, else as its
// type was; where First names mtow_kg, as the aircraft was declared first. The source
// may have kilograms or pounds.
func (c *Case) massOf(bounds Bounds) mass {
	flight := &c.Flight
	declared, ok := c.Aircraft["mtow_kg"]
	source := flight.MTOWKg != nil || flight.MTOWLb != nil
	switch {
	case ok && (!source || slices.Contains(c.First, "mtow_kg")):
		return declaredMass(declared, bounds)
	case flight.MTOWKg != nil:
		return mass{
			known: true, kg: decimal.NewFromInt(*flight.MTOWKg), lb: flight.MTOWLb,
			gap: unusableGap("mtow_kg", unusableMass(flight, bounds)),
		}
	case source:
		return mass{
			known: true, kg: decimal.NewFromInt(*flight.MTOWLb).Mul(kgOfLb), lb: flight.MTOWLb,
			gap: unusableGap("mtow_kg", unusableMass(flight, bounds)),
		}
	}
	if ofType, ok := c.AircraftType["mtow_kg"]; ok {
		return declaredMass(ofType, bounds)
	}
	return mass{known: true, gap: gap{kind: gapMissing, fact: "mtow_kg"}}
}

func declaredMass(d Declared, bounds Bounds) mass {
	m := mass{known: true, from: d.From}
	kg, ok := d.Value.Number()
	most := decimal.NewFromInt(int64(bounds.withDefaults().MTOWKg))
	switch {
	case !ok || !kg.IsPositive():
		m.gap = unusableGap("mtow_kg", fmt.Sprintf("has a maximum take-off mass (mtow_kg) of %q kg, from %s", shortened(d.Value.String()), d.From))
	case kg.GreaterThan(most):
		m.gap = unusableGap("mtow_kg", fmt.Sprintf("has a maximum take-off mass (mtow_kg) of %s kg, from %s, above %s kg (FLIGHTBILL_MAX_MTOW_KG): "+
			"grams or pounds? kg are needed", shortened(kg.String()), d.From, most))
	}
	m.kg, m.gap.from = kg, d.From
	return m
}

// tonneRule says what a tonne is, and how a mass is rounded to tonnes.
type tonneRule struct {
	tonne    TonneKg
	rounding Rounding
	step     decimal.Decimal
}

// tonnesOf returns a mass in tonnes.
func (r *tonneRule) of(m *mass) ratio {
	var t ratio
	switch {
	case r.tonne != TonneLb:
		t = number(m.kg).over(thousand)
	case m.lb != nil:
		t = integer(*m.lb).over(thousand)
	default:
		t = number(m.kg).over(tonneLb)
	}
	return t.round(r.rounding, r.step)
}

// ofKg returns a part of a mass in tonnes.
func (r *tonneRule) ofKg(kg ratio) ratio {
	if r.tonne == TonneLb {
		return kg.over(tonneLb).round(r.rounding, r.step)
	}
	return kg.over(thousand).round(r.rounding, r.step)
}

var (
	thousand = decimal.New(1000, 0)
	tonneLb  = decimal.New(45359237, -5) // 1,000 lb in kg
)
