package billing

import "github.com/shopspring/decimal"

// takesUnits reports whether unit, free, free_mode and rounding say how the basis
// counts.
func (b Basis) takesUnits() bool {
	switch b {
	case BasisPerTonne, BasisPerKm, BasisPerPassenger, BasisPerUnit, BasisPerTime:
		return true
	default:
		return false
	}
}

// ofCharges reports whether the basis counts other charges.
func (b Basis) ofCharges() bool { return b == BasisPercent || b == BasisTopUp }

// quantity returns how many units of its basis a flight makes under a tariff, or why
// that cannot be said. The steps to it go to trace, which may be nil.
func (p *pricing) quantity(t *Tariff, tr *trace) (ratio, gap) {
	units, missing := p.units(t, tr)
	if missing.kind != noGap || t.Times == "" {
		return units, missing
	}
	var by ratio
	if t.Times == bandTonnes {
		by, missing = p.tonnesInBand(t, tr)
	} else {
		by, missing = p.count(t, t.Times, tr)
	}
	if missing.kind != noGap {
		return ratio{}, missing
	}
	return units.times(by), gap{}
}

// units returns what the basis counts: the value, and of bases that have them, units of
// it beyond what is free.
func (p *pricing) units(t *Tariff, tr *trace) (ratio, gap) {
	value, missing := p.value(t, tr)
	if missing.kind != noGap || !t.Basis.takesUnits() {
		return value, missing
	}
	units := t.unitsOf(value)
	tr.units(t, value, units)
	if t.cuts(bandUnits) {
		inside := t.cut(units)
		tr.cut(t, bandUnits, units, inside)
		units = inside
	}
	return units, gap{}
}

// unitsOf returns (value − free) / unit, rounded; not below 0.
func (t *Tariff) unitsOf(value ratio) ratio {
	if t.FreeMode == FreeThreshold {
		if value.cmp(t.Free) <= 0 {
			return integer(0)
		}
	} else if !t.Free.IsZero() {
		value = value.minus(t.Free).notBelowZero()
	}
	if !t.Unit.IsZero() {
		value = value.over(t.Unit)
	}
	return value.round(t.rounding(), one)
}

// rounding returns that of units.
func (t *Tariff) rounding() Rounding {
	switch {
	case t.Rounding != "":
		return t.Rounding
	case t.Basis == BasisPerTime:
		return RoundUp
	default:
		return RoundNone
	}
}

// countsPlainly reports whether the quantity is what the basis counts, as it is.
func (t *Tariff) countsPlainly() bool {
	return t.Unit.IsZero() && t.Free.IsZero() && t.rounding() == RoundNone && t.Times == "" && !(t.hasBand() && t.isMarginal())
}

// value returns what the basis counts, before units are made of it.
func (p *pricing) value(t *Tariff, tr *trace) (ratio, gap) {
	switch t.Basis {
	case BasisPerFlight:
		return integer(1), gap{}
	case BasisPerTonne:
		return p.tonnesInBand(t, tr)
	case BasisPerKm:
		return p.count(t, "distance_km", tr.unless(t.countsPlainly()))
	case BasisPerPassenger:
		return p.count(t, "passengers", tr.unless(t.countsPlainly()))
	case BasisPerTime:
		return p.count(t, "stay_minutes", tr)
	case BasisPerUnit:
		sum := integer(0)
		for _, name := range t.Of {
			n, missing := p.count(t, name, tr)
			if missing.kind != noGap {
				return ratio{}, missing
			}
			if len(t.Of) == 1 {
				return n, gap{}
			}
			sum = sum.add(n)
		}
		tr.sum(t.Of, sum)
		return sum, gap{}
	case BasisRoute, BasisTerminal, BasisFormula:
		return p.serviceUnits(t, tr)
	default:
		return integer(0), gap{}
	}
}

// count returns a fact that counts, cut by the band where that names it.
func (p *pricing) count(t *Tariff, name string, tr *trace) (ratio, gap) {
	var value ratio
	var missing gap
	if name == "stay_minutes" {
		value, missing = p.facts.stayMinutes()
	} else {
		var n decimal.Decimal
		n, missing = p.facts.number(name)
		value = number(n)
	}
	if missing.kind != noGap {
		return ratio{}, missing
	}
	tr.fact(p, name)
	if t.cuts(name) {
		inside := t.cut(value)
		tr.cut(t, name, value, inside)
		value = inside
	}
	return value, gap{}
}

// tonnesInBand returns the tonnes of the flight, cut by the band where that names
// tonnes or kg.
func (p *pricing) tonnesInBand(t *Tariff, tr *trace) (ratio, gap) {
	if t.cuts(bandKilograms) {
		m := p.facts.massOf()
		if m.gap.kind != noGap {
			return ratio{}, m.gap
		}
		kg := number(m.kg)
		inside := t.cut(kg)
		tr.fact(p, "mtow_kg")
		tr.cut(t, bandKilograms, kg, inside)
		tonnes := t.rule.tonnes.ofKg(inside)
		tr.tonnesOf(&t.rule.tonnes, inside, tonnes)
		return tonnes, gap{}
	}
	tonnes, missing := p.tonnes(t)
	if missing.kind != noGap {
		return ratio{}, missing
	}
	tr.tonnes(p, &t.rule.tonnes, t.rule.tonneIndex)
	if t.cuts(bandTonnes) {
		inside := t.cut(tonnes)
		tr.cut(t, bandTonnes, tonnes, inside)
		tonnes = inside
	}
	return tonnes, gap{}
}

// tonnes returns the mass in tonnes as the tariff rounds it.
func (p *pricing) tonnes(t *Tariff) (ratio, gap) {
	return p.tonnesBy(&t.rule.tonnes, t.rule.tonneIndex)
}

// tonnesBy returns the mass in tonnes by a rule, made once for all tariffs of the rule.
func (p *pricing) tonnesBy(rule *tonneRule, index int) (ratio, gap) {
	m := p.facts.massOf()
	if m.gap.kind != noGap {
		return ratio{}, m.gap
	}
	if p.madeTonnes == nil {
		p.madeTonnes = make([]madeTonnes, len(p.set.tonneRules))
	}
	made := &p.madeTonnes[index]
	if !made.known {
		made.known, made.value = true, rule.of(m)
	}
	return made.value, gap{}
}

// madeTonnes is a mass in tonnes, and the step that says so once it was asked for.
type madeTonnes struct {
	known bool
	value ratio
	step  Step
}
