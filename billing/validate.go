package billing

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// What is beyond is mistyped, or in another unit. The table tariffs has the same
// bounds.
var (
	maxRate    = decimal.New(1, 12)    // excluded
	maxBand    = decimal.New(1_000, 0) // tonnes
	maxPercent = decimal.New(10, 0)    // 1,000 %
)

// maxPlaces are the decimals of a column that says how a quantity is made.
const maxPlaces = 12

// problems are what a tariff has to be put right in.
type problems []error

func (p *problems) addf(format string, args ...any) { *p = append(*p, fmt.Errorf(format, args...)) }

// Validate reports everything a tariff has to be put right in before it can be
// used, in words for the clerk who wrote it.
func (t *Tariff) Validate() error { return errors.Join(t.Problems()...) }

// Problems returns what Validate reports, one by one.
func (t *Tariff) Problems() []error {
	found := t.problems()
	for i, problem := range found {
		found[i] = fmt.Errorf("tariff %q: %w", t.Code, problem)
	}
	return found
}

func (t *Tariff) wrong() error { return errors.Join(t.problems()...) }

func (t *Tariff) problems() problems {
	var p problems
	if t.Unreadable != "" {
		p.addf("%s", t.Unreadable)
	}
	if t.Code == "" {
		p.addf("code is empty: give the tariff a short name, such as LANDING")
	}
	if _, err := ParseBasis(string(t.Basis)); err != nil {
		p = append(p, err)
	}
	if _, err := ParseAppliesTo(string(t.AppliesTo)); err != nil {
		p = append(p, err)
	}
	t.validateAmounts(&p)
	t.validateTax(&p)
	t.validateLedger(&p)
	t.validateConditions(&p)
	t.validateQuantity(&p)
	t.validateTonnes(&p)
	t.validateFormula(&p)
	if t.Basis == BasisTopUp {
		t.validateTopUp(&p)
	}
	return p
}

func (t *Tariff) validateAmounts(p *problems) {
	if _, ok := MinorUnits(t.Currency); !ok {
		p.addf("currency %q is not an ISO 4217 code in use, such as EUR", t.Currency)
	}
	isPercent := t.Basis == BasisPercent
	for _, amount := range []struct {
		name     string
		value    decimal.Decimal
		negative bool // allowed
	}{
		{"unit_rate", t.UnitRate, isPercent},
		{"minimum", orZero(t.Minimum), false},
		{"maximum", orZero(t.Maximum), isPercent},
		{"tax_rate", t.TaxRate, false},
		{"fixed", t.Fixed, true},
		{"factor", orZero(t.Factor), false},
	} {
		if amount.value.IsNegative() && !amount.negative {
			p.addf("%s %s is negative: write 0 or more", amount.name, shortened(amount.value.String()))
		}
		if !amount.value.Abs().LessThan(maxRate) {
			p.addf("%s %s has more than 12 digits before the point: write an amount such as 5.50", amount.name, shortened(amount.value.String()))
		}
	}
	switch {
	case t.Minimum != nil && t.Maximum != nil && t.Maximum.LessThan(*t.Minimum):
		p.addf("maximum %s is below minimum %s: no amount is between the two", t.Maximum, t.Minimum)
	case isPercent && t.UnitRate.IsNegative() && t.Minimum != nil:
		p.addf("minimum %s would undo unit_rate %s, which is a rebate: leave minimum empty", t.Minimum, t.UnitRate)
	case isPercent && t.UnitRate.Abs().GreaterThan(maxPercent):
		p.addf("unit_rate %s would be %s %%: write 50 %% as 0.5", t.UnitRate, t.UnitRate.Shift(2))
	case t.Fixed.IsNegative() && !isPercent && t.Minimum == nil:
		p.addf("fixed %s is negative: write a minimum, below which the amount does not go, or 0 or more", t.Fixed)
	}
}

func (t *Tariff) validateTax(p *problems) {
	if t.TaxRate.GreaterThan(one) {
		p.addf("tax_rate %s would be %s %%: write 20 %% as 0.20", t.TaxRate, t.TaxRate.Shift(2))
	}
	switch t.TaxCategory {
	case "", TaxStandard:
		if t.TaxReason != "" {
			p.addf("tax_reason %q says why a charge is not taxed as usual: write the tax_category too, or leave it empty", shortened(t.TaxReason))
		}
	case TaxZero, TaxExempt, TaxReverseCharge, TaxExport, TaxOutside:
		if !t.TaxRate.IsZero() {
			p.addf("tax_rate %s does not go with tax_category %s, whose rate is 0: write 0, or tax_category standard", t.TaxRate, t.TaxCategory)
		}
	default:
		p.addf("tax_category %q is not known: write standard, zero, exempt, reverse_charge, export or outside", t.TaxCategory)
	}
}

func (t *Tariff) validateLedger(p *problems) {
	if t.UnitCode != "" && !unitCodeForm.MatchString(t.UnitCode) {
		p.addf("unit_code %q is not a code of UN/ECE recommendation 20: write 2 or 3 capitals or digits, such as TNE", shortened(t.UnitCode))
	}
	if !isAccount(t.Account) {
		p.addf("account %q is not usable: %s", shortened(t.Account), accountForm)
	}
}

// validateConditions checks what says whether the tariff applies.
func (t *Tariff) validateConditions(p *problems) {
	if !t.During.IsZero() && t.AppliesTo == AppliesAny {
		p.addf("during %q does not go with applies_to any: write arrival for the landing or departure for the take-off", t.During)
	}
	switch {
	case t.ValidFrom.IsZero():
		p.addf("valid_from is empty: write the first day of the tariff")
	case !t.ValidTo.IsZero() && !t.ValidTo.After(t.ValidFrom):
		p.addf("valid_to %s is not after valid_from %s: it is the first day on which the tariff no longer holds", t.ValidTo, t.ValidFrom)
	}
	switch {
	case t.BandMode != "" && t.BandMode != BandMarginal && t.BandMode != BandWhole:
		p.addf("band_mode %q is not known: write marginal or whole", t.BandMode)
	case !t.hasBand():
		if t.BandOf != "" || t.BandMode != "" {
			p.addf("band_of and band_mode say nothing without a band: write band_from or band_to, or leave them empty")
		}
	default:
		t.validateBandOf(p)
		t.validateBand(p)
	}
}

func (t *Tariff) validateBandOf(p *problems) {
	of := t.bandOf()
	known := of == bandTonnes || of == bandKilograms || of == bandUnits
	switch {
	case !known && !isNumberFact(of):
		p.addf("band_of %q is not known: write tonnes, kg, units, or the name of a fact that is a number", shortened(of))
	case of == bandUnits && !t.Basis.takesUnits():
		p.addf("band_of units does not go with basis %s: it is for per_tonne, per_km, per_passenger, per_unit and per_time", t.Basis)
	case t.isMarginal() && !t.counts(of):
		p.addf("band_mode marginal cuts what the tariff counts, and that is not band_of %s: write band_mode whole for a tariff that applies inside its band only", of)
	}
}

// counts reports whether the tariff multiplies a quantity by its name, which a marginal
// band could cut.
func (t *Tariff) counts(name string) bool {
	switch name {
	case bandUnits:
		return t.Basis.takesUnits()
	case bandTonnes, bandKilograms:
		return t.Basis == BasisPerTonne || t.Times == bandTonnes
	case t.Times:
		return true
	}
	switch t.Basis {
	case BasisPerKm:
		return name == "distance_km"
	case BasisPerPassenger:
		return name == "passengers"
	case BasisPerTime:
		return name == "stay_minutes"
	case BasisPerUnit:
		return slices.Contains(t.Of, name)
	default:
		return false
	}
}

func (t *Tariff) validateBand(p *problems) {
	from := orZero(t.BandFrom)
	inTonnes := t.bandOf() == bandTonnes
	rule := t.tonneRule()
	switch {
	case from.IsNegative():
		p.addf("band_from %s is negative: write %s, 0 or more, or leave it empty", from, t.bandOf())
	case t.BandTo != nil && !t.BandTo.GreaterThan(from):
		p.addf("band_to %s is not above band_from %s, so no %s is inside the band", t.BandTo, from, bandNoun(t.bandOf()))
	case inTonnes && from.GreaterThan(maxBand):
		p.addf("band_from %s is above %s t: kilograms? tonnes are needed", shortened(from.String()), maxBand)
	case inTonnes && t.BandTo != nil && t.BandTo.GreaterThan(maxBand):
		p.addf("band_to %s is above %s t: kilograms? tonnes are needed, or nothing for no limit", shortened(t.BandTo.String()), maxBand)
	case !from.LessThan(maxRate) || t.BandTo != nil && !t.BandTo.LessThan(maxRate):
		p.addf("band_from and band_to have more than 12 digits before the point: write numbers such as 2000")
	case inTonnes && rule.rounding != RoundNone && rule.step.IsPositive() &&
		!(isMultiple(from, rule.step) && (t.BandTo == nil || isMultiple(*t.BandTo, rule.step))):
		// With a band to 5.7, a mass of 5.5 t, which counts as 6, would be outside.
		if rule.step.Equal(one) && rule.rounding == RoundUp {
			p.addf("band_from and band_to must be whole tonnes: a mass counts as each tonne or part of one (tonne_rounding, tonne_step)")
		} else {
			p.addf("band_from and band_to must be multiples of %s tonnes, to which a mass is rounded (tonne_rounding, tonne_step)", rule.step)
		}
	}
}

func bandNoun(of string) string {
	if of == bandTonnes || of == bandKilograms {
		return "mass"
	}
	return of
}

func isMultiple(n, of decimal.Decimal) bool {
	_, rest := n.QuoRem(of, 0)
	return rest.IsZero()
}

// validateQuantity checks what says what is counted.
func (t *Tariff) validateQuantity(p *problems) {
	t.validateOf(p)
	takes := t.Basis.takesUnits()
	given := func(column string, isGiven bool) {
		if isGiven && !takes {
			p.addf("%s does not go with basis %s: it is for per_tonne, per_km, per_passenger, per_unit and per_time", column, t.Basis)
		}
	}
	given("unit", !t.Unit.IsZero())
	given("free", !t.Free.IsZero())
	given("free_mode", t.FreeMode != "")
	given("rounding", t.Rounding != "")
	validateNumber(p, "unit", t.Unit, maxRate, "a number above 0, such as 15")
	validateNumber(p, "free", t.Free, maxRate, "0 or more, such as 30")
	if t.FreeMode != "" && t.FreeMode != FreeDeduct && t.FreeMode != FreeThreshold {
		p.addf("free_mode %q is not known: write deduct or threshold", t.FreeMode)
	}
	validateRounding(p, "rounding", t.Rounding)
	switch {
	case t.Times == "":
	case t.Basis.ofCharges():
		p.addf("times %q does not go with basis %s, which counts other charges", t.Times, t.Basis)
	case t.Times != bandTonnes && !isNumberFact(t.Times):
		p.addf("times %q is not known: write tonnes, or the name of a fact that is a number", shortened(t.Times))
	}
}

func (t *Tariff) validateOf(p *problems) {
	switch t.Basis {
	case BasisPercent, BasisTopUp:
		if len(t.Of) == 0 {
			p.addf("of is empty: write the codes of the charges that basis %s counts, with + between them", t.Basis)
		}
		for _, code := range t.Of {
			if CodeForm(code) == CodeForm(t.Code) {
				p.addf("of %q is the tariff's own code: write the codes of other charges", code)
			}
		}
	case BasisPerUnit, BasisFormula:
		if t.Basis == BasisPerUnit && len(t.Of) == 0 {
			p.addf("of is empty: write the facts that count, with + between them")
		}
		if t.Basis == BasisFormula && len(t.Of) > 1 {
			p.addf("of %q names several facts: a formula has one distance", strings.Join(t.Of, "+"))
		}
		for _, fact := range t.Of {
			if !isNumberFact(fact) {
				p.addf("of %q cannot count: write the name of a fact that is a number, in snake_case", shortened(fact))
			}
		}
	default:
		if len(t.Of) > 0 {
			p.addf("of %q does not go with basis %s: it is for per_unit, formula, percent and top_up", strings.Join(t.Of, "+"), t.Basis)
		}
	}
	for i, name := range t.Of {
		if slices.ContainsFunc(t.Of[:i], func(other string) bool { return SameCode(name, other) }) {
			p.addf("of names %q twice", name)
		}
	}
}

// textFacts are those that flightbill itself knows to be text.
var textFacts = []string{
	"flight_id", "callsign", "operator", "registration", "aircraft_type", "origin", "destination", "departed_at", "landed_at", "movement",
	"on_block_at", "off_block_at", "origin_country", "destination_country", "international",
}

// isNumberFact reports whether a name can be that of a fact that counts.
func isNumberFact(name string) bool {
	return factName.MatchString(name) && !slices.Contains(textFacts, name) && !slices.Contains(quantityNames, name) && name != "facts"
}

func (t *Tariff) validateTonnes(p *problems) {
	if t.TonneKg != "" && t.TonneKg != TonneMetric && t.TonneKg != TonneLb {
		p.addf("tonne_kg %q is not known: write 1000, or 453.59237 for 1,000 lb", shortened(string(t.TonneKg)))
	}
	validateRounding(p, "tonne_rounding", t.TonneRounding)
	validateNumber(p, "tonne_step", t.TonneStep, maxStep.Add(one), "a number above 0, 1000 at most, such as 0.5")
	if (t.Basis == BasisRoute || t.Basis == BasisTerminal) && (t.TonneKg != "" || t.TonneRounding != "" || !t.TonneStep.IsZero()) {
		p.addf("tonne_kg, tonne_rounding and tonne_step do not go with basis %s, whose regulation says how a mass is rounded: leave them empty, or write basis formula", t.Basis)
	}
}

func validateRounding(p *problems, column string, r Rounding) {
	switch r {
	case "", RoundUp, RoundNearest, RoundDown, RoundNone:
	default:
		p.addf("%s %q is not known: write up, nearest, down or none", column, r)
	}
}

// validateNumber checks a column for which 0 is the same as nothing.
func validateNumber(p *problems, column string, value, below decimal.Decimal, write string) {
	switch {
	case value.IsNegative() || !value.LessThan(below):
		p.addf("%s %s is not allowed: write %s", column, shortened(value.String()), write)
	case !value.Equal(value.Truncate(maxPlaces)):
		p.addf("%s %s has more than %d decimals: write %s", column, shortened(value.String()), maxPlaces, write)
	}
}

func (t *Tariff) validateFormula(p *problems) {
	if t.Basis != BasisFormula {
		for _, column := range []struct {
			name  string
			given bool
		}{
			{"distance_less", !t.DistanceLess.IsZero()}, {"distance_unit", !t.DistanceUnit.IsZero()}, {"distance_power", t.DistancePower != nil},
			{"mass_unit", !t.MassUnit.IsZero()}, {"mass_power", t.MassPower != nil}, {"decimals", t.Decimals != nil},
		} {
			if column.given {
				p.addf("%s does not go with basis %s: it is for formula", column.name, t.Basis)
			}
		}
		return
	}
	validateNumber(p, "distance_less", t.DistanceLess, maxShape, "0 or more, such as 40")
	validateNumber(p, "distance_unit", t.DistanceUnit, maxShape, "a number above 0, such as 100")
	validateNumber(p, "mass_unit", t.MassUnit, maxShape, "tonnes above 0, such as 50")
	validatePower(p, "distance_power", t.DistancePower)
	validatePower(p, "mass_power", t.MassPower)
	switch {
	case t.DistancePower == nil && t.MassPower == nil:
		p.addf("distance_power and mass_power are both empty: write at least one, such as 1 or 0.5")
	case t.DistancePower == nil && (len(t.Of) > 0 || !t.DistanceLess.IsZero() || !t.DistanceUnit.IsZero()):
		p.addf("distance_power is empty, so the distance does not count: write it, such as 1, or leave of, distance_less and distance_unit empty")
	case t.MassPower == nil && !t.MassUnit.IsZero():
		p.addf("mass_power is empty, so the mass does not count: write it, such as 0.5, or leave mass_unit empty")
	}
	if t.Decimals != nil && (*t.Decimals < 0 || *t.Decimals > maxDecimals) {
		p.addf("decimals %d is not allowed: write 0 to %d", *t.Decimals, maxDecimals)
	}
}

func validatePower(p *problems, column string, power *decimal.Decimal) {
	switch {
	case power == nil:
	case !power.IsPositive() || power.GreaterThan(maxPower) || !power.Equal(power.Truncate(2)):
		p.addf("%s %s is not allowed: write a number above 0, 3 at most, with 2 decimals at most, such as 0.5; or nothing where it does not count",
			column, shortened(power.String()))
	}
}

func (t *Tariff) validateTopUp(p *problems) {
	if t.Minimum == nil {
		p.addf("minimum is empty: write what the charges in of come to at least")
	}
	if !t.UnitRate.IsZero() && !t.UnitRate.Equal(one) {
		p.addf("unit_rate %s does not go with basis top_up, which charges what is missing: write 1", t.UnitRate)
	}
	if !t.Fixed.IsZero() || t.Factor != nil || t.Maximum != nil || t.MinimumAtZero {
		p.addf("fixed, factor, maximum and minimum_at_zero do not go with basis top_up, which charges what is missing to minimum: leave them empty")
	}
}
