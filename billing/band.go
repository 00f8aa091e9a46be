package billing

import "github.com/shopspring/decimal"

// bandKilograms is a band of the mass itself.
const bandKilograms = "kg"

func (t *Tariff) hasBand() bool { return t.BandFrom != nil || t.BandTo != nil }

// isMarginal reports whether the band says which part of a quantity counts, and not
// whether the tariff applies.
func (t *Tariff) isMarginal() bool { return t.bandMode() == BandMarginal }

// cuts reports whether the band cuts a quantity by its name.
func (t *Tariff) cuts(name string) bool {
	return t.hasBand() && t.isMarginal() && t.bandOf() == name
}

// cut returns the part of a quantity that lies inside the band.
func (t *Tariff) cut(q ratio) ratio {
	if t.BandTo != nil {
		q = q.atMost(*t.BandTo)
	}
	if t.BandFrom != nil {
		q = q.minus(*t.BandFrom)
	}
	return q.notBelowZero()
}

// holds reports whether a quantity lies inside the band: above its lower end, and not
// above its upper one.
func (t *Tariff) holds(q ratio) bool {
	return (t.BandFrom == nil || q.cmp(*t.BandFrom) > 0) && (t.BandTo == nil || q.cmp(*t.BandTo) <= 0)
}

// bandValue returns what the band limits.
func (p *pricing) bandValue(t *Tariff) (ratio, gap) {
	switch of := t.bandOf(); of {
	case bandTonnes:
		return p.tonnes(t)
	case bandKilograms:
		m := p.facts.massOf()
		return number(m.kg), m.gap
	case bandUnits:
		return p.units(t, nil)
	default:
		return p.limited(of)
	}
}

// limited returns a fact that a band limits: unlike one that counts, it may be below 0.
func (p *pricing) limited(name string) (ratio, gap) {
	if name == "stay_minutes" {
		return p.facts.stayMinutes()
	}
	r := p.facts.fact(name)
	if r.gap.kind != noGap {
		return ratio{}, r.gap
	}
	n, ok := r.value.Number()
	if !ok {
		return ratio{}, notANumber(r)
	}
	return number(n), gap{}
}

// bandText says what the band is.
func (t *Tariff) bandText() string {
	limit := func(word string, d *decimal.Decimal) string {
		if d == nil {
			return ""
		}
		return " " + word + " " + d.String()
	}
	return "the band" + limit("above", t.BandFrom) + limit("up to", t.BandTo)
}
