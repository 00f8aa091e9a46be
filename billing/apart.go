package billing

import (
	"cmp"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// Apart reports whether two tariffs of one code, airport and customer are provably never
// for one part of one flight: by the end of the flight that they are for, by validity, by
// band, by local time, or by a fact that has no value which meets the conditions of both.
// Of tariffs in a set, airports in conditions are compared as the register has them.
//
// The database's function tariffs_overlapping says the same.
func Apart(a, b *Tariff) bool {
	return a.AppliesTo != b.AppliesTo && a.AppliesTo != AppliesAny && b.AppliesTo != AppliesAny ||
		!a.validity().Overlaps(b.validity()) ||
		a.bandsApart(b) ||
		a.AppliesTo == b.AppliesTo && a.During.apart(b.During) ||
		a.comparableWhen().apart(b.comparableWhen())
}

func (t *Tariff) comparableWhen() When {
	if t.rule.code != "" {
		return t.rule.when
	}
	return t.When.comparable(asWritten)
}

func (t *Tariff) validity() Validity { return Validity{t.ValidFrom, t.ValidTo} }

// bandsApart reports whether no measure is in both bands. Two that are marginal then price
// different parts of one flight.
func (t *Tariff) bandsApart(other *Tariff) bool {
	return t.bandMeasure() == other.bandMeasure() && t.bandMode() == other.bandMode() && !t.bandsMeet(other)
}

func (t *Tariff) bandsMeet(other *Tariff) bool {
	return (t.BandTo == nil || orZero(other.BandFrom).LessThan(*t.BandTo)) &&
		(other.BandTo == nil || orZero(t.BandFrom).LessThan(*other.BandTo))
}

// TariffPair is two tariffs of one code, airport and customer.
type TariffPair struct{ A, B *Tariff }

// Overlaps returns the pairs of tariffs that are not apart, in the order of their ids.
func (s *TariffSet) Overlaps() []TariffPair {
	var pairs []TariffPair
	for _, tariffs := range s.alike() {
		for i, a := range tariffs {
			for _, b := range tariffs[i+1:] {
				if !Apart(a, b) {
					pairs = append(pairs, TariffPair{a, b})
				}
			}
		}
	}
	slices.SortFunc(pairs, func(x, y TariffPair) int { return cmp.Or(cmp.Compare(x.A.ID, y.A.ID), cmp.Compare(x.B.ID, y.B.ID)) })
	return pairs
}

// Gaps returns the pairs of which B follows A, for the same flights, with days between
// them on which no tariff is for those; in the order of those days.
func (s *TariffSet) Gaps() []TariffPair {
	var pairs []TariffPair
	for _, tariffs := range s.alike() {
		for _, a := range tariffs {
			for _, b := range tariffs {
				if a.ValidTo.IsZero() || !b.ValidFrom.After(a.ValidTo) || !a.sameFlights(b) {
					continue
				}
				between := *a
				between.ValidFrom, between.ValidTo = a.ValidTo, b.ValidFrom
				if between.BandFrom == nil || b.BandFrom != nil && b.BandFrom.GreaterThan(*between.BandFrom) {
					between.BandFrom = b.BandFrom
				}
				if between.BandTo == nil || b.BandTo != nil && b.BandTo.LessThan(*between.BandTo) {
					between.BandTo = b.BandTo
				}
				if !slices.ContainsFunc(tariffs, func(t *Tariff) bool { return !Apart(t, &between) }) {
					pairs = append(pairs, TariffPair{a, b})
				}
			}
		}
	}
	slices.SortFunc(pairs, func(x, y TariffPair) int {
		return cmp.Or(x.A.ValidTo.Compare(y.A.ValidTo), cmp.Compare(x.A.ID, y.A.ID), cmp.Compare(x.B.ID, y.B.ID))
	})
	return pairs
}

// sameFlights reports whether two tariffs are for the same flights, but for when they are
// valid and for a part of their bands.
func (t *Tariff) sameFlights(other *Tariff) bool {
	a, b := t.Key(), other.Key()
	return a.appliesTo == b.appliesTo && a.when == b.when && a.during == b.during && a.bandOf == b.bandOf && t.bandsMeet(other)
}

// alike returns the tariffs of each code, airport and customer, by id.
func (s *TariffSet) alike() map[RuleKey][]*Tariff {
	groups := map[RuleKey][]*Tariff{}
	for _, t := range s.all {
		key := RuleKey{code: t.rule.code, airport: t.rule.airport, customer: t.CustomerID}
		groups[key] = append(groups[key], t)
	}
	for _, tariffs := range groups {
		slices.SortFunc(tariffs, func(a, b *Tariff) int { return cmp.Compare(a.ID, b.ID) })
	}
	return groups
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
