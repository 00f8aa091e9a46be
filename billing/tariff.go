package billing

import (
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
	case BasisPerFlight, BasisPerTonne, BasisPerKm, BasisPerPassenger, BasisRoute, BasisTerminal,
		BasisPerUnit, BasisPerTime, BasisFormula, BasisPercent, BasisTopUp:
		return b, nil
	default:
		return "", fmt.Errorf("basis %q is not known: write per_flight, per_tonne, per_km, per_passenger, per_unit, per_time, "+
			"route, terminal, formula, percent or top_up", s)
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
	UnitCode      string // of a unit of quantity, by UN/ECE recommendation 20; "": the basis' own
	Account       string // of the ledger; "": that of all revenue

	// Unreadable is what of a row in the database cannot be read: flights that the tariff
	// may apply to are refused, and no others.
	Unreadable string

	rule rule // in a TariffSet
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

// CountedFacts names the facts that must be numbers where the tariff applies, each under
// the column that counts it. Columns of flights and quantities are not among them.
func (t *Tariff) CountedFacts() map[string]string {
	counted := map[string]string{}
	add := func(column string, names ...string) {
		for _, name := range names {
			if _, seen := counted[name]; !seen && CheckFactName(name) == nil {
				counted[name] = column
			}
		}
	}
	add("when", t.When.Counted()...)
	if t.Basis == BasisPerUnit || t.Basis == BasisFormula {
		add("of", t.Of...)
	}
	add("times", t.Times)
	add("band_of", t.BandOf)
	return counted
}
