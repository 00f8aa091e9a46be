package billing

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// Charge is one priced line of one flight under one tariff.
type Charge struct {
	TariffID    int64
	Code        string
	Description string
	Quantity    decimal.Decimal // units of the tariff's basis: exact, or to 12 decimals where it has no end
	UnitRate    decimal.Decimal // in Currency, for one unit
	Amount      decimal.Decimal // in Currency, without tax, to its minor unit
	TaxRate     decimal.Decimal // 0.20 is 20 %
	TaxAmount   decimal.Decimal // in Currency, to its minor unit
	TaxCategory TaxCategory
	Currency    string // ISO 4217
	Detail      []Step // what quantity and unit rate do not say, for a clerk to do the amount again by hand
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
// A tariff does not apply where a condition of it is false, whatever is missing for
// others. Errors are *Error, checked in this order: ReasonNoTariff where no tariff
// applies, nor could; ReasonNotOffBlock where one needs the stay on the stand, which is
// not over; ReasonMissingFact where the flight lacks what one needs; ReasonUnusableFacts
// where a fact, needed or not, cannot be right, or a tariff is not fit for use. All are
// of kind Refused but ReasonNotOffBlock, which is NotYet. Of tariffs that a customer's
// own replace, nothing matters.
//
// Amounts of tariffs come first, then percentages, in the order in which one is of
// another, then top-ups.
func Price(c Case, tariffs *TariffSet, bounds Bounds) ([]Charge, error) {
	p := newPricing(&c, tariffs, bounds)
	rows := p.applying()
	if len(rows) == 0 {
		return nil, noTariff(&c, p.facts.massOf())
	}
	p.countFlight(rows)
	if err := p.refusal(rows); err != nil {
		return nil, err
	}
	if err := p.countCharges(rows); err != nil {
		return nil, err
	}
	charges := p.charges[:0]
	for i := range rows {
		if rows[i].charge != nil { // which is not before its place
			charges = append(charges, *rows[i].charge)
		}
	}
	if len(charges) == 0 {
		return nil, nil
	}
	return charges, nil
}

// pricing is one flight on its way to a price.
type pricing struct {
	c          *Case
	set        *TariffSet
	facts      facts
	look       func(name string) (Fact, error) // for conditions
	madeTonnes []madeTonnes                    // by each of the set's rules for tonnes
	charges    []Charge                        // room for one of each row
	trace      trace                           // of the charge that is being made
	clocks     [2]clock                        // at the origin and at the destination

	from, to, registration, operator string // the forms of these codes
}

func newPricing(c *Case, tariffs *TariffSet, bounds Bounds) *pricing {
	p := &pricing{c: c, set: tariffs, facts: facts{c: c, bounds: bounds, resolved: make([]resolved, 0, usualFacts)}}
	p.from = CodeForm(canonicalCode(c.Origin, c.Flight.Origin))
	p.to = CodeForm(canonicalCode(c.Destination, c.Flight.Destination))
	p.registration, p.operator = CodeForm(c.Flight.Registration), CodeForm(c.Flight.Operator)
	p.look = p.conditionFact
	return p
}

// row is a tariff that applies to a flight, or would if a fact were there.
type row struct {
	t      *Tariff
	gap    gap // why it cannot be said whether it applies, or what it comes to
	charge *Charge
	room   *Charge // where it is made: all charges of a flight are in one piece of memory
}

// usualRows and usualFacts make room for what most flights have.
const usualRows, usualFacts = 32, 8

// applying returns the tariffs that apply to a flight, and those of which that cannot be
// said, by code and id.
func (p *pricing) applying() []row {
	rows := p.applyingAt("", make([]row, 0, usualRows))
	if p.from != "" {
		rows = p.applyingAt(p.from, rows)
	}
	if p.to != "" && p.to != p.from {
		rows = p.applyingAt(p.to, rows)
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.t.rule.order, b.t.rule.order) })
	return withoutReplaced(rows)
}

// applyingAt adds those of an airport.
func (p *pricing) applyingAt(airport string, rows []row) []row {
	day, here := p.c.MovedOn.ordinal(), p.ends(airport)
	groups := p.set.at[airport]
	for i := range groups {
		g := &groups[i]
		var judged, fails bool
		var open gap
		for j := range g.entries {
			e := &g.entries[j]
			if day < e.from || day >= e.to || e.ends&here == 0 || e.customer != 0 && e.customer != p.c.Customer.ID {
				continue
			}
			if !judged {
				judged = true
				if fails, open = p.judge(&g.terms); fails {
					break
				}
			}
			rows = append(rows, row{t: e.tariff, gap: open})
		}
	}
	return rows
}

// ends returns which ends of the flight are billed and are at an airport; "": any.
func (p *pricing) ends(airport string) ends {
	var here ends
	if p.c.Flight.Movement != Arrival && (airport == "" || airport == p.from) {
		here |= origin
	}
	if p.c.Flight.Movement != Departure && (airport == "" || airport == p.to) {
		here |= destination
	}
	return here
}

// withoutReplaced leaves out the general tariffs whose code a tariff of the customer's
// own has that applies.
func withoutReplaced(rows []row) []row {
	var own []string
	for _, r := range rows {
		if r.t.CustomerID != 0 && r.gap.kind == noGap {
			own = append(own, r.t.rule.code)
		}
	}
	return slices.DeleteFunc(rows, func(r row) bool { return r.t.CustomerID == 0 && slices.Contains(own, r.t.rule.code) })
}

// countFlight prices the tariffs that count what the flight is, or says what they lack.
func (p *pricing) countFlight(rows []row) {
	p.charges = make([]Charge, len(rows))
	p.trace.steps = make([]Step, 0, 4*len(rows))
	for i := range rows {
		r := &rows[i]
		r.room = &p.charges[i]
		if r.gap.kind != noGap || r.t.rule.unusable != "" || r.t.Basis.ofCharges() {
			continue
		}
		tr := p.conditionsOf(r.t)
		quantity, open := p.quantity(r.t, tr)
		if r.gap = open; open.kind == noGap {
			r.charge = r.price(quantity, tr)
		}
	}
}

// refusal returns why a flight cannot be billed by its tariffs.
func (p *pricing) refusal(rows []row) error {
	for _, kind := range []gapKind{gapStay, gapMissing} {
		for _, r := range rows {
			if r.gap.kind == kind {
				return p.lacking(r.t, r.gap)
			}
		}
	}
	if err := CheckFacts(p.c.Flight, p.facts.bounds); err != nil {
		return err
	}
	for _, r := range rows {
		if r.t.rule.unusable != "" {
			return unusableTariff(p.c.Flight.ID, r.t.Code, r.t.rule.unusable)
		}
		if r.gap.kind == gapUnusable {
			return p.lacking(r.t, r.gap)
		}
	}
	return nil
}

// countCharges prices percentages, in the order in which one is of another, and then
// top-ups.
func (p *pricing) countCharges(rows []row) error {
	for _, r := range inTurn(rows) {
		charge, err := p.chargeOfCharges(r, rows)
		if err != nil {
			return err
		}
		r.charge = charge
	}
	return nil
}

// inTurn returns the percentages in the order in which one is of another, and then the
// top-ups.
func inTurn(rows []row) []*row {
	var later []*row
	for i := range rows {
		if rows[i].t.Basis.ofCharges() {
			later = append(later, &rows[i])
		}
	}
	turn := func(t *Tariff) int {
		if t.Basis == BasisTopUp {
			return math.MaxInt
		}
		return t.rule.depth
	}
	slices.SortStableFunc(later, func(a, b *row) int { return cmp.Compare(turn(a.t), turn(b.t)) })
	return later
}
