package billing

import (
	"errors"
	"fmt"

	"github.com/shopspring/decimal"
)

// Basis says what a tariff counts.
type Basis string

// Bases, with what one unit is.
const (
	BasisPerFlight    Basis = "per_flight"    // a flight
	BasisPerTonne     Basis = "per_tonne"     // a tonne of mass or part of one
	BasisPerKm        Basis = "per_km"        // a kilometre
	BasisPerPassenger Basis = "per_passenger" // a passenger
	BasisRoute        Basis = "route"         // an en-route service unit
	BasisTerminal     Basis = "terminal"      // a terminal service unit
	BasisPerUnit      Basis = "per_unit"      // what the facts named in Of count
	BasisPerTime      Basis = "per_time"      // a minute on the stand
	BasisFormula      Basis = "formula"       // a power of the distance times one of the mass
	BasisPercent      Basis = "percent"       // of the charges with the codes in Of
	BasisTopUp        Basis = "top_up"        // what those charges are short of Minimum
)

// ParseBasis reads a basis by its name.
func ParseBasis(s string) (Basis, error) {
	switch b := Basis(s); b {
	case BasisPerFlight, BasisPerTonne, BasisPerKm, BasisPerPassenger, BasisRoute, BasisTerminal:
		return b, nil
	default:
		return "", fmt.Errorf("basis %q is not known: write per_flight, per_tonne, per_km, per_passenger, route or terminal", s)
	}
}

// AppliesTo says at which end of a flight a tariff's airport counts.
type AppliesTo string

// The ends of a flight; a flight from an airport to itself is charged once
// under AppliesAny.
const (
	AppliesDeparture AppliesTo = "departure"
	AppliesArrival   AppliesTo = "arrival"
	AppliesAny       AppliesTo = "any"
)

// ParseAppliesTo reads an end of a flight by its name.
func ParseAppliesTo(s string) (AppliesTo, error) {
	switch a := AppliesTo(s); a {
	case AppliesDeparture, AppliesArrival, AppliesAny:
		return a, nil
	default:
		return "", fmt.Errorf("applies_to %q is not known: write departure, arrival or any", s)
	}
}

// Tariff is a dated price rule.
type Tariff struct {
	ID          int64
	Code        string
	Description string
	Basis       Basis
	CustomerID  int64  // 0: every customer
	Airport     string // "": everywhere
	AppliesTo   AppliesTo
	BandFrom    *decimal.Decimal // tonnes, excluded; nil: from nothing
	BandTo      *decimal.Decimal // tonnes, included; nil: without end
	UnitRate    decimal.Decimal  // in Currency, for one unit of the basis
	Minimum     *decimal.Decimal // in Currency; nil: none
	Currency    string           // ISO 4217
	TaxRate     decimal.Decimal  // 0.20 is 20 %
	ValidFrom   Date
	ValidTo     Date // excluded; no date: open

	// The rest may be left out of a tariff file. What is empty is the default.
	When          When            // conditions, all of which must hold
	During        During          // local time of the landing or take-off
	Of            []string        // facts (per_unit, formula) or codes (percent, top_up)
	Unit          decimal.Decimal // of the basis, in one unit of quantity; 0: 1
	Free          decimal.Decimal // of the basis, without charge
	FreeMode      FreeMode
	Rounding      Rounding // of units; "": up for per_time, else none
	Times         string   // tonnes, or the fact that multiplies; "": nothing
	TonneKg       TonneKg
	TonneRounding Rounding        // "": up
	TonneStep     decimal.Decimal // 0: 1
	BandOf        string          // tonnes, kg, units or a fact; "": tonnes
	BandMode      BandMode        // "": marginal for per_tonne, else whole
	Fixed         decimal.Decimal // in Currency, added once
	Factor        *decimal.Decimal
	Maximum       *decimal.Decimal // in Currency
	MinimumAtZero bool
	DistanceLess  decimal.Decimal
	DistanceUnit  decimal.Decimal  // 0: 1
	DistancePower *decimal.Decimal // nil: the distance does not count
	MassUnit      decimal.Decimal  // tonnes; 0: 1
	MassPower     *decimal.Decimal // nil: the mass does not count
	Decimals      *int32           // of either power; nil: 2
	TaxCategory   TaxCategory      // "": standard
	TaxReason     string

	airport string // the canonical form of Airport, in a TariffSet
}

// FreeMode says what the free part of a quantity does.
type FreeMode string

// Free modes; "" is FreeDeduct.
const (
	FreeDeduct    FreeMode = "deduct"    // it is never charged
	FreeThreshold FreeMode = "threshold" // nothing up to it, everything beyond
)

// Rounding says how a quantity becomes a multiple of a step.
type Rounding string

// Roundings; nearest is half away from zero.
const (
	RoundUp      Rounding = "up"
	RoundNearest Rounding = "nearest"
	RoundDown    Rounding = "down"
	RoundNone    Rounding = "none"
)

// BandMode says what a band does.
type BandMode string

// Band modes.
const (
	BandMarginal BandMode = "marginal" // the part inside the band counts
	BandWhole    BandMode = "whole"    // the tariff applies inside the band only
)

// TonneKg says what a tonne is.
type TonneKg string

// Tonnes; "" is TonneMetric.
const (
	TonneMetric TonneKg = "1000"      // kg
	TonneLb     TonneKg = "453.59237" // 1,000 lb
)

// TaxCategory says how a charge is taxed.
type TaxCategory string

// Tax categories; "" is TaxStandard. All others have rate 0.
const (
	TaxStandard      TaxCategory = "standard"
	TaxZero          TaxCategory = "zero"
	TaxExempt        TaxCategory = "exempt"
	TaxReverseCharge TaxCategory = "reverse_charge"
	TaxExport        TaxCategory = "export"
	TaxOutside       TaxCategory = "outside"
)

// What is beyond is mistyped, or in another unit. The table tariffs has the same
// bounds.
var (
	maxRate = decimal.New(1, 12)    // excluded
	maxBand = decimal.New(1_000, 0) // tonnes
)

// Validate reports everything a tariff has to be put right in before it can be
// used, in words for the clerk who wrote it.
func (t *Tariff) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if t.Code == "" {
		wrong("code is empty: give the tariff a short name, such as LANDING")
	}
	if _, err := ParseBasis(string(t.Basis)); err != nil {
		errs = append(errs, err)
	}
	if _, err := ParseAppliesTo(string(t.AppliesTo)); err != nil {
		errs = append(errs, err)
	}
	if _, ok := MinorUnits(t.Currency); !ok {
		wrong("currency %q is not an ISO 4217 code in use, such as EUR", t.Currency)
	}
	for _, amount := range []struct {
		name  string
		value decimal.Decimal
	}{{"unit_rate", t.UnitRate}, {"minimum", orZero(t.Minimum)}, {"tax_rate", t.TaxRate}} {
		if amount.value.IsNegative() {
			wrong("%s %s is negative: write 0 or more", amount.name, amount.value)
		}
		if !amount.value.LessThan(maxRate) {
			wrong("%s %s has more than 12 digits before the point: write an amount such as 5.50", amount.name, shortened(amount.value.String()))
		}
	}
	if t.TaxRate.GreaterThan(decimal.New(1, 0)) {
		wrong("tax_rate %s would be %s %%: write 20 %% as 0.20", t.TaxRate, t.TaxRate.Shift(2))
	}
	errs = append(errs, t.validateBand(), t.validateValidity())

	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("tariff %q: %w", t.Code, err)
	}
	return nil
}

func (t *Tariff) validateBand() error {
	from := decimal.Zero
	if t.BandFrom != nil {
		from = *t.BandFrom
	}
	switch {
	case from.IsNegative():
		return fmt.Errorf("band_from %s is negative: write tonnes, 0 or more, or leave it empty", from)
	case t.BandTo != nil && !t.BandTo.GreaterThan(from):
		return fmt.Errorf("band_to %s is not above band_from %s, so no mass is inside the band", t.BandTo, from)
	case from.GreaterThan(maxBand):
		return fmt.Errorf("band_from %s is above %s t: kilograms? tonnes are needed", shortened(from.String()), maxBand)
	case t.BandTo != nil && t.BandTo.GreaterThan(maxBand):
		return fmt.Errorf("band_to %s is above %s t: kilograms? tonnes are needed, or nothing for no limit", shortened(t.BandTo.String()), maxBand)
	case !from.IsInteger() || t.BandTo != nil && !t.BandTo.IsInteger():
		// Masses count as whole tonnes: with a band to 5.7, one of 5.5 t, which
		// counts as 6, would be outside.
		return errors.New("band_from and band_to must be whole tonnes: a mass counts as each tonne or part of one")
	default:
		return nil
	}
}

func (t *Tariff) validateValidity() error {
	switch {
	case t.ValidFrom.IsZero():
		return errors.New("valid_from is empty: write the first day of the tariff")
	case !t.ValidTo.IsZero() && !t.ValidTo.After(t.ValidFrom):
		return fmt.Errorf("valid_to %s is not after valid_from %s: it is the first day on which the tariff no longer holds",
			t.ValidTo, t.ValidFrom)
	default:
		return nil
	}
}

// covers reports whether validity, customer and airport of the tariff hold for
// a flight. Its band is another matter: that needs the mass.
func (t *Tariff) covers(c *Case) bool {
	if !(Validity{t.ValidFrom, t.ValidTo}).Holds(c.MovedOn) {
		return false
	}
	if t.CustomerID != 0 && t.CustomerID != c.Customer.ID {
		return false
	}
	departs, arrives := c.Flight.Movement != Arrival, c.Flight.Movement != Departure
	atOrigin, atDestination := true, true
	if t.Airport != "" {
		atOrigin, atDestination = t.airport == c.originForm(), t.airport == c.destinationForm()
	}
	switch t.AppliesTo {
	case AppliesDeparture:
		return departs && atOrigin
	case AppliesArrival:
		return arrives && atDestination
	case AppliesAny:
		return departs && atOrigin || arrives && atDestination
	default:
		return false
	}
}

func orZero(d *decimal.Decimal) decimal.Decimal {
	if d == nil {
		return decimal.Zero
	}
	return *d
}

// limitsMass reports whether the tariff applies to some masses only. A band of
// a tariff per tonne says which tonnes count, not whether it applies.
func (t *Tariff) limitsMass() bool {
	return t.Basis != BasisPerTonne && (t.BandFrom != nil || t.BandTo != nil)
}

// holdsMass reports whether a mass in kg is inside the band.
func (t *Tariff) holdsMass(kg int64) bool {
	tonnes := startedTonnes(kg)
	return (t.BandFrom == nil || tonnes.GreaterThan(*t.BandFrom)) &&
		(t.BandTo == nil || tonnes.LessThanOrEqual(*t.BandTo))
}
