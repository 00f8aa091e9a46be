package billing

import (
	"errors"
	"time"
)

// judge reports whether a condition of a tariff is false, and if none is, which fact is
// needed to say so of all: its conditions on facts, its hours, and the band of a tariff
// that applies inside it only.
func (p *pricing) judge(m *terms) (fails bool, open gap) {
	t := m.tariff
	if !t.rule.when.IsZero() {
		j := t.rule.when.Judge(p.look)
		if j.Outcome == Fails {
			return true, gap{}
		}
		open = p.gapOf(&j)
	}
	if m.timed {
		minute, missing := p.weekMinute(t)
		switch {
		case missing.kind != noGap:
			open = open.or(missing)
		case !t.During.holdsAt(minute):
			return true, gap{}
		}
	}
	if m.banded {
		value, missing := p.bandValue(t)
		switch {
		case missing.kind != noGap:
			open = open.or(missing)
		case !t.holds(value):
			return true, gap{}
		}
	}
	return false, open
}

// or returns the gap, or another where there is none.
func (g gap) or(other gap) gap {
	if g.kind != noGap {
		return g
	}
	return other
}

// errUnusable stands for a fact's gap, which has the words.
var errUnusable = errors.New("the fact cannot be right")

// conditionFact returns a fact as conditions compare it; zero where there is none.
func (p *pricing) conditionFact(name string) (Fact, error) {
	switch name {
	case "origin":
		return Fact{text: p.from}, nil
	case "destination":
		return Fact{text: p.to}, nil
	case "registration":
		return Fact{text: p.registration}, nil
	case "operator":
		return Fact{text: p.operator}, nil
	}
	r := p.facts.fact(name)
	if r.gap.kind == gapUnusable {
		return Fact{}, errUnusable
	}
	return r.value, nil
}

// gapOf returns what is due to which conditions cannot be judged.
func (p *pricing) gapOf(j *Judgement) gap {
	if j.Outcome == Holds {
		return gap{}
	}
	r := p.facts.fact(j.Name())
	if r.gap.kind != noGap {
		return r.gap
	}
	return notANumber(r)
}

// clock is what an airport's clocks showed at the landing or take-off.
type clock struct {
	read   bool
	at     time.Time
	minute int // of the week
	gap    gap
}

// wallClock returns what the clocks of the tariff's airport showed at the landing or
// take-off.
func (p *pricing) wallClock(t *Tariff) (time.Time, gap) {
	c := p.clockOf(t)
	return c.at, c.gap
}

// weekMinute returns the same as the minutes since Monday.
func (p *pricing) weekMinute(t *Tariff) (int, gap) {
	c := p.clockOf(t)
	return c.minute, c.gap
}

func (p *pricing) clockOf(t *Tariff) *clock {
	c := &p.clocks[0]
	if t.AppliesTo == AppliesArrival {
		c = &p.clocks[1]
	}
	if !c.read {
		*c = p.readClock(t.AppliesTo)
	}
	return c
}

func (p *pricing) readClock(end AppliesTo) clock {
	at, airport, column, name := p.c.Flight.LandedAt, p.c.Destination, "landed_at", "destination"
	if end == AppliesDeparture {
		at, airport, column, name = p.c.Flight.DepartedAt, p.c.Origin, "departed_at", "origin"
	}
	switch {
	case at == nil:
		return clock{read: true, gap: gap{kind: gapMissing, fact: column}}
	case airport == nil || airport.Location == nil:
		return clock{read: true, gap: gap{kind: gapMissing, fact: name + timeZone}}
	}
	local := at.In(airport.Location)
	return clock{read: true, at: local, minute: weekMinute(local)}
}

// timeZone ends the name of the gap where an airport's is not known.
const timeZone = " timezone"

// conditionsOf returns a trace that has what the conditions of a tariff asked for.
func (p *pricing) conditionsOf(t *Tariff) *trace {
	tr := &p.trace
	tr.restart()
	for i := range t.rule.when.conditions {
		tr.fact(p, t.rule.when.conditions[i].name)
	}
	if !t.During.IsZero() {
		if local, missing := p.wallClock(t); missing.kind == noGap {
			tr.add(Step{What: "local time", Value: local.Format("Mon 15:04"), How: "in " + local.Location().String()})
		}
	}
	if t.hasBand() && !t.isMarginal() {
		switch of := t.bandOf(); of {
		case bandTonnes:
			if _, missing := p.tonnes(t); missing.kind == noGap {
				tr.tonnes(p, &t.rule.tonnes, t.rule.tonneIndex)
			}
		case bandKilograms:
			tr.fact(p, "mtow_kg")
		case bandUnits: // the quantity's own steps have them
		default:
			tr.fact(p, of)
		}
	}
	return tr
}
