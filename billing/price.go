package billing

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// Charge is one priced line of one flight under one tariff.
type Charge struct {
	TariffID    int64
	Code        string
	Description string
	Quantity    decimal.Decimal // units of the tariff's basis, not rounded
	UnitRate    decimal.Decimal // in Currency, for one unit
	Amount      decimal.Decimal // in Currency, without tax, to its minor unit
	TaxRate     decimal.Decimal // 0.20 is 20 %
	TaxAmount   decimal.Decimal // in Currency, to its minor unit
	Currency    string          // ISO 4217
	Detail      []Step          // how the amount came about, for a clerk to do again by hand
}

// clockSkew is how far the source's clock may be ahead of ours.
const clockSkew = 5 * time.Minute

// MovedAt returns when the movement that is billed took place: of a departure the
// take-off, else the landing. It is nil where the source does not have the time yet.
func (f *Flight) MovedAt() *time.Time {
	if f.Movement == Departure {
		return f.DepartedAt
	}
	return f.LandedAt
}

// CheckMoved returns a NotYet error for a flight whose movement has not taken place at
// now: without its time, or with one still to come, which is a forecast. A time that
// cannot be right is a Refused error.
func CheckMoved(f Flight, now time.Time) error {
	moved := f.MovedAt()
	if moved == nil {
		return notMoved(&f)
	}
	if what := unusableMovement(&f, now); what != "" {
		return UnusableFlight(f.ID, what)
	}
	if moved.After(now.Add(clockSkew)) {
		return movesLater(&f)
	}
	return nil
}

// CheckFacts returns a Refused error for a flight with a fact that cannot be right.
func CheckFacts(f Flight, bounds Bounds) error {
	if what := unusableFact(&f, bounds); what != "" {
		return UnusableFlight(f.ID, what)
	}
	return nil
}

// Price returns the charges for a flight whose movement has taken place, in the order of
// their tariffs' codes and ids; bounds are those of the facts.
//
// A flight may come to no charge at all, without error: under a tariff per
// tonne, say, whose band starts above its mass.
//
// Errors are *Error of kind Refused, checked in this order: ReasonNoTariff where
// no tariff applies; ReasonMissingFact where the flight lacks what an applying
// tariff needs; ReasonUnusableFacts where a fact, needed or not, cannot be
// right, or a tariff that applies is not fit for use.
func Price(c Case, tariffs *TariffSet, bounds Bounds) ([]Charge, error) {
	f := c.Flight
	applying, err := applyingTariffs(&c, tariffs, bounds)
	if err != nil {
		return nil, err
	}
	for _, t := range applying {
		if fact := missingFact(&f, t); fact != "" {
			return nil, lacksFact(f.ID, fact, t.Code)
		}
	}
	if err := CheckFacts(f, bounds); err != nil {
		return nil, err
	}

	var charges []Charge
	for _, t := range applying {
		minor, err := usableTariff(f.ID, t)
		if err != nil {
			return nil, err
		}
		if quantity := t.quantity(&f); quantity.IsPositive() {
			charges = append(charges, t.charge(quantity, minor))
		}
	}
	return charges, nil
}

// charge prices a quantity, to a number of decimals.
func (t *Tariff) charge(quantity decimal.Decimal, minor int32) Charge {
	amount := decimal.Max(quantity.Mul(t.UnitRate), orZero(t.Minimum)).Round(minor)
	return Charge{
		TariffID:    t.ID,
		Code:        t.Code,
		Description: t.Description,
		Quantity:    trimmed(quantity),
		UnitRate:    t.UnitRate,
		Amount:      amount,
		TaxRate:     t.TaxRate,
		TaxAmount:   amount.Mul(t.TaxRate).Round(minor),
		Currency:    t.Currency,
	}
}

// applyingTariffs returns the tariffs that apply to a flight, by code and id.
func applyingTariffs(c *Case, tariffs *TariffSet, bounds Bounds) ([]*Tariff, error) {
	f := &c.Flight
	var found []*Tariff
	for t := range tariffs.at(c) {
		if t.covers(c) {
			found = append(found, t)
		}
	}
	slices.SortStableFunc(found, func(a, b *Tariff) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.ID, b.ID))
	})

	// What is replaced whatever the mass is goes first: its band then needs none.
	found = withoutReplaced(found, func(own *Tariff) bool { return !own.limitsMass() })

	outside := func(t *Tariff) bool { return t.limitsMass() && !t.holdsMass(*f.MTOWKg) }
	if i := slices.IndexFunc(found, (*Tariff).limitsMass); i >= 0 {
		if f.MTOWKg == nil {
			return nil, lacksFact(f.ID, factMass, found[i].Code)
		}
		if what := unusableFact(&Flight{MTOWKg: f.MTOWKg}, bounds); what != "" {
			return nil, UnusableFlight(f.ID, what)
		}
		found = slices.DeleteFunc(found, outside)
	}
	if len(found) == 0 {
		return nil, noTariff(c)
	}
	return withoutReplaced(found, func(*Tariff) bool { return true }), nil
}

// withoutReplaced leaves out the general tariffs whose code a tariff of the
// customer's own has, of those own tariffs that count.
func withoutReplaced(found []*Tariff, counts func(own *Tariff) bool) []*Tariff {
	replaced := func(t *Tariff) bool {
		return t.CustomerID == 0 && slices.ContainsFunc(found, func(own *Tariff) bool {
			return own.CustomerID != 0 && SameCode(own.Code, t.Code) && counts(own)
		})
	}
	kept := make([]*Tariff, 0, len(found))
	for _, t := range found {
		if !replaced(t) {
			kept = append(kept, t)
		}
	}
	return kept
}

// Facts that tariffs need, as a clerk and the flight source call them.
const (
	factMass       = "maximum take-off mass (mtow_kg)"
	factDistance   = "distance (distance_km)"
	factPassengers = "number of passengers (passengers)"
)

// missingFact returns the fact that the tariff's basis needs and the flight
// lacks, or "".
func missingFact(f *Flight, t *Tariff) string {
	switch {
	case f.MTOWKg == nil && slices.Contains([]Basis{BasisPerTonne, BasisRoute, BasisTerminal}, t.Basis):
		return factMass
	case f.DistanceKm == nil && slices.Contains([]Basis{BasisPerKm, BasisRoute}, t.Basis):
		return factDistance
	case f.Passengers == nil && t.Basis == BasisPerPassenger:
		return factPassengers
	default:
		return ""
	}
}

// usableTariff returns the decimals of the tariff's currency, or an error where
// the tariff would make a charge that cannot be right.
func usableTariff(flightID string, t *Tariff) (minor int32, err error) {
	minor, ok := MinorUnits(t.Currency)
	if !ok {
		return 0, unusableTariff(flightID, t.Code, fmt.Sprintf("has the unknown currency %q", t.Currency))
	}
	if _, err := ParseBasis(string(t.Basis)); err != nil {
		return 0, unusableTariff(flightID, t.Code, fmt.Sprintf("has the unknown basis %q", t.Basis))
	}
	if t.UnitRate.IsNegative() || orZero(t.Minimum).IsNegative() || t.TaxRate.IsNegative() {
		return 0, unusableTariff(flightID, t.Code, "has a negative unit_rate, minimum or tax_rate")
	}
	return minor, nil
}

// trimmed returns the same number without zeros at the end of its decimals.
func trimmed(d decimal.Decimal) decimal.Decimal {
	return decimal.RequireFromString(d.String())
}
