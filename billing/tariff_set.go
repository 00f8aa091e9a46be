package billing

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// TariffSet holds tariffs by the airport that they are for, each ready for use.
type TariffSet struct {
	at         map[string][]group // by the canonical form of the airport's code; "": everywhere
	all        []*Tariff
	tonneRules []tonneRule // that the tariffs have, each once
}

// group are tariffs of an airport that apply under the same terms, which are judged once
// for all of them: a file of 2,000 tariffs has some dozens.
type group struct {
	terms   terms
	entries []entry
}

// entry is what the tariffs of a group are told apart by, side by side in memory.
type entry struct {
	from, to int64 // days of the validity, in their order
	customer int64 // 0: every customer
	ends     ends
	tariff   *Tariff
}

func (t *Tariff) entry() entry {
	e := entry{from: t.ValidFrom.ordinal(), to: math.MaxInt64, customer: t.CustomerID, ends: endsOf(t.AppliesTo), tariff: t}
	if !t.ValidTo.IsZero() {
		e.to = t.ValidTo.ordinal()
	}
	return e
}

// terms are what of a tariff's conditions asks for more than the entry has.
type terms struct {
	timed  bool    // it has hours
	banded bool    // it applies inside its band only
	tariff *Tariff // any of those that have them
}

func (t *Tariff) terms() terms {
	return terms{
		timed: !t.During.IsZero(),
		// Of a tariff that is not fit for use, units cannot be made.
		banded: t.hasBand() && !t.isMarginal() && (t.rule.unusable == "" || t.bandOf() != bandUnits),
		tariff: t,
	}
}

// key is the same for the same terms.
func (m *terms) key() string {
	t := m.tariff
	key := t.rule.when.String()
	if m.timed {
		key += fmt.Sprintf("\x00during %s %s", t.AppliesTo, t.During)
	}
	if m.banded {
		key += fmt.Sprintf("\x00%s %d %s", t.bandOf(), t.rule.tonneIndex, t.bandText())
		if t.bandOf() == bandUnits { // which are the tariff's own
			key += fmt.Sprintf(" %p", t)
		}
	}
	return key
}

// ends are those of a flight.
type ends uint8

const (
	origin ends = 1 << iota
	destination
)

func endsOf(a AppliesTo) ends {
	switch a {
	case AppliesDeparture:
		return origin
	case AppliesArrival:
		return destination
	case AppliesAny:
		return origin | destination
	default:
		return 0
	}
}

// rule is what a set makes of a tariff once, for all flights.
type rule struct {
	order      int      // of its charge on a flight
	code       string   // the form of Code
	airport    string   // the canonical form of Airport
	when       When     // with codes in the form in which they are compared
	of         []string // the forms of the codes in Of
	depth      int      // of a percentage: after how many others it is priced
	tonnes     tonneRule
	tonneIndex int // of tonnes in the set
	formula    *formula
	minor      int32  // decimals of the currency
	unusable   string // why it cannot be used, or ""
}

// NewTariffSet returns the set of tariffs. canonical gives the code under which the
// register has an airport, and any other code as it is; nil: no register.
func NewTariffSet(tariffs []Tariff, canonical func(code string) string) *TariffSet {
	if canonical == nil {
		canonical = asWritten
	}
	s := &TariffSet{at: map[string][]group{}}
	for _, tariff := range tariffs {
		t := &tariff
		s.prepare(t, canonical)
		s.all = append(s.all, t)
	}
	s.group()
	codes := newCodeGraph(s.all)
	for _, t := range s.all {
		if t.rule.unusable == "" {
			t.rule.unusable = codes.wrong(t)
		}
		if t.Basis == BasisPercent && t.rule.unusable == "" {
			t.rule.depth = codes.depth(t.rule.code)
		}
	}
	return s
}

// group puts the tariffs in the order of their charges, and into groups.
func (s *TariffSet) group() {
	type place struct{ airport, key string }
	known := map[place]int{}
	for i, t := range s.sorted() {
		t.rule.order = i
		m := t.terms()
		groups := s.at[t.rule.airport]
		at, ok := known[place{t.rule.airport, m.key()}]
		if !ok {
			at = len(groups)
			known[place{t.rule.airport, m.key()}] = at
			groups = append(groups, group{terms: m})
		}
		groups[at].entries = append(groups[at].entries, t.entry())
		s.at[t.rule.airport] = groups
	}
}

// sorted returns the tariffs by code and id.
func (s *TariffSet) sorted() []*Tariff {
	sorted := slices.Clone(s.all)
	slices.SortStableFunc(sorted, func(a, b *Tariff) int { return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.ID, b.ID)) })
	return sorted
}

// prepare makes the rule of a tariff.
func (s *TariffSet) prepare(t *Tariff, canonical func(code string) string) {
	t.rule = rule{code: CodeForm(t.Code), airport: CodeForm(canonical(t.Airport)), when: t.When.comparable(canonical), tonnes: t.tonneRule()}
	t.rule.minor, _ = MinorUnits(t.Currency)
	t.rule.tonneIndex = s.tonneIndex(t.rule.tonnes)
	if err := t.wrong(); err != nil {
		t.rule.unusable = fmt.Sprintf("is not fit for use: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	if t.rule.formula = formulaOf(t); t.rule.formula != nil {
		t.rule.formula.tonneIndex = s.tonneIndex(t.rule.formula.tonnes)
	}
	if t.Basis.ofCharges() {
		for _, code := range t.Of {
			t.rule.of = append(t.rule.of, CodeForm(code))
		}
	}
}

func (s *TariffSet) tonneIndex(r tonneRule) int {
	i := slices.IndexFunc(s.tonneRules, func(known tonneRule) bool {
		return known.tonne == r.tonne && known.rounding == r.rounding && known.step.Equal(r.step)
	})
	if i < 0 {
		i = len(s.tonneRules)
		s.tonneRules = append(s.tonneRules, r)
	}
	return i
}

// tonneRule returns how the tariff makes tonnes of a mass.
func (t *Tariff) tonneRule() tonneRule {
	r := tonneRule{t.TonneKg, t.TonneRounding, orOne(t.TonneStep)}
	if r.tonne == "" {
		r.tonne = TonneMetric
	}
	if r.rounding == "" {
		r.rounding = RoundUp
	}
	return r
}

func orOne(d decimal.Decimal) decimal.Decimal {
	if d.IsZero() {
		return one
	}
	return d
}

// comparable returns the conditions with codes in the form in which they are compared:
// LHR and EGLL are one airport in conditions, too.
func (w When) comparable(canonical func(code string) string) When {
	if !slices.ContainsFunc(w.conditions, func(c condition) bool { return isCode(c.name) }) {
		return w
	}
	conditions := slices.Clone(w.conditions)
	for i := range conditions {
		c := &conditions[i]
		if !isCode(c.name) {
			continue
		}
		c.values = slices.Clone(c.values)
		for j, v := range c.values {
			code := v.String()
			if c.isAirport() {
				code = canonical(code)
			}
			c.values[j] = Fact{text: CodeForm(code)}
		}
	}
	return When{conditions}
}

func (c *condition) isAirport() bool { return c.name == "origin" || c.name == "destination" }

// AirportCodes returns the codes of airports that the tariff has, in its column airport
// and in conditions.
func (t *Tariff) AirportCodes() []string {
	var codes []string
	if t.Airport != "" {
		codes = append(codes, t.Airport)
	}
	for i := range t.When.conditions {
		if c := &t.When.conditions[i]; c.isAirport() {
			for _, v := range c.values {
				codes = append(codes, v.String())
			}
		}
	}
	return codes
}

// isCode reports whether a fact is a code, all ways of writing which are one.
func isCode(fact string) bool {
	switch fact {
	case "origin", "destination", "registration", "operator":
		return true
	default:
		return false
	}
}

// All returns the tariffs in the order given.
func (s *TariffSet) All() []*Tariff { return s.all }
