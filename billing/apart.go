package billing

import (
	"cmp"
	"strings"

	"github.com/shopspring/decimal"
)

// Apart reports whether two tariffs of one code, airport and customer are provably never
// for one part of one flight: by the end of the flight that they are for, by validity, by
// band, by local time, or by a fact that has no value which meets the conditions of both.
//
// The database's function tariffs_apart returns the same.
func Apart(a, b *Tariff) bool {
	return a.AppliesTo != b.AppliesTo && a.AppliesTo != AppliesAny && b.AppliesTo != AppliesAny ||
		!a.validity().Overlaps(b.validity()) ||
		a.bandsApart(b) ||
		a.AppliesTo == b.AppliesTo && a.During.apart(b.During) ||
		a.When.apart(b.When)
}

func (t *Tariff) validity() Validity { return Validity{t.ValidFrom, t.ValidTo} }

// bandsApart reports whether no measure is in both bands. Two that are marginal then price
// different parts of one flight.
func (t *Tariff) bandsApart(other *Tariff) bool {
	return t.bandMeasure() == other.bandMeasure() && t.bandMode() == other.bandMode() &&
		(t.BandTo != nil && !orZero(other.BandFrom).LessThan(*t.BandTo) ||
			other.BandTo != nil && !orZero(t.BandFrom).LessThan(*other.BandTo))
}

// bandMode returns what the band does.
func (t *Tariff) bandMode() BandMode {
	switch {
	case t.BandMode != "":
		return t.BandMode
	case t.Basis == BasisPerTonne:
		return BandMarginal
	default:
		return BandWhole
	}
}

// What a band limits, where it is neither kg nor a fact.
const (
	bandTonnes = "tonnes"
	bandUnits  = "units"
)

// bandOf returns what the band limits.
func (t *Tariff) bandOf() string { return cmp.Or(t.BandOf, bandTonnes) }

// measure is what a band limits, and all that says how it is measured. Bands of two
// measures cannot be compared.
type measure struct {
	of                 string
	tonneKg            TonneKg
	tonneRounding      Rounding
	tonneStep          string
	basis              Basis
	counts, unit, free string
	freeMode           FreeMode
	rounding           Rounding
}

func (t *Tariff) bandMeasure() measure {
	m := measure{of: t.bandOf()}
	if m.of == bandTonnes || m.of == bandUnits {
		m.tonneKg, m.tonneRounding = cmp.Or(t.TonneKg, TonneMetric), cmp.Or(t.TonneRounding, RoundUp)
		m.tonneStep = oneOr(t.TonneStep)
	}
	if m.of == bandUnits {
		m.basis, m.counts, m.unit, m.free = t.Basis, strings.Join(t.Of, "+"), oneOr(t.Unit), t.Free.String()
		m.freeMode, m.rounding = cmp.Or(t.FreeMode, FreeDeduct), t.Rounding
		if m.rounding == "" {
			m.rounding = RoundNone
			if t.Basis == BasisPerTime {
				m.rounding = RoundUp
			}
		}
	}
	return m
}

// oneOr writes a number; 0 is 1.
func oneOr(d decimal.Decimal) string {
	if d.IsZero() {
		return "1"
	}
	return d.String()
}

// RuleKey is what makes two tariffs one rule, of which one says something newer: codes by
// their form, conditions and hours however they are written. No lower end of a band and
// a lower end of 0 are one key: two such rules always overlap.
type RuleKey struct {
	code, airport            string
	customer                 int64
	appliesTo                AppliesTo
	when, during             string
	bandOf, bandFrom, bandTo string
	from                     Date
}

// Key returns the rule that the tariff is.
func (t *Tariff) Key() RuleKey {
	key := RuleKey{
		code: CodeForm(t.Code), airport: CodeForm(t.Airport), customer: t.CustomerID, appliesTo: t.AppliesTo,
		when: t.When.form(), during: t.During.form(), bandOf: t.bandOf(), bandFrom: orZero(t.BandFrom).String(), from: t.ValidFrom,
	}
	if t.BandTo != nil {
		key.bandTo = t.BandTo.String()
	}
	return key
}
