package billing

import (
	"fmt"
	"slices"
)

// Explanation says what a tariff comes to for a flight.
type Explanation struct {
	Tariff *Tariff
	Charge *Charge // nil: none
	Why    string  // there is none: the first condition that fails, or the fact that is missing
	Detail []Step  // how the quantity came to 0, where that is why
	Other  bool    // it is for another customer, or for an airport that the flight does not touch
}

// Explain says of every tariff of the set what it comes to for a flight, by code and id.
// Unlike Price, it goes on where one cannot be priced; whether the flight can be billed,
// Price says.
func Explain(c Case, tariffs *TariffSet, bounds Bounds) []Explanation {
	p := newPricing(&c, tariffs, bounds)
	sorted := tariffs.sorted()

	why := map[*Tariff]string{}
	var rows []row
	for _, t := range sorted {
		if why[t] = p.whyNot(t); why[t] == "" {
			m := t.terms()
			_, open := p.judge(&m)
			rows = append(rows, row{t: t, gap: open})
		}
	}
	for _, r := range rows {
		if own := replacing(r.t, rows); own != nil {
			why[r.t] = fmt.Sprintf("replaced by tariff %d, the customer's own of code %q", own.ID, own.Code)
		}
	}
	rows = withoutReplaced(rows)
	p.countFlight(rows)
	charges := p.explainCharges(rows, why)

	list := make([]Explanation, len(sorted))
	for i, t := range sorted {
		list[i] = Explanation{Tariff: t, Charge: charges[t], Why: why[t], Other: p.isOther(t)}
		if why[t] == noQuantity {
			list[i].Detail = p.stepsOf(t)
		}
	}
	return list
}

// isOther reports whether a tariff is for another customer, or for an airport that the
// flight does not touch.
func (p *pricing) isOther(t *Tariff) bool {
	return t.CustomerID != 0 && t.CustomerID != p.c.Customer.ID || t.Airport != "" && t.rule.airport != p.from && t.rule.airport != p.to
}

// replacing returns a tariff of the customer's own that applies instead of a general one,
// or nil.
func replacing(t *Tariff, rows []row) *Tariff {
	for i := range rows {
		own := rows[i].t
		if t.CustomerID == 0 && own.CustomerID != 0 && own.rule.code == t.rule.code && rows[i].gap.kind == noGap {
			return own
		}
	}
	return nil
}

// explainCharges returns the charges that can be made, and notes in why what keeps others
// from it.
func (p *pricing) explainCharges(rows []row, why map[*Tariff]string) map[*Tariff]*Charge {
	for i := range rows {
		switch r := &rows[i]; {
		case r.t.rule.unusable != "":
			why[r.t] = r.t.rule.unusable
		case r.gap.kind != noGap:
			why[r.t] = p.gapText(r.gap)
		}
	}
	// A percentage of what cannot be priced would be a wrong figure.
	sound := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return why[r.t] != "" })
	for _, r := range inTurn(sound) {
		for _, code := range r.t.rule.of {
			if slices.ContainsFunc(rows, func(other row) bool {
				return r.t.countsCharge(other.t, code) && why[other.t] != "" && other.charge == nil
			}) {
				why[r.t] = fmt.Sprintf("the charge %q, which it counts, cannot be priced", code)
			}
		}
		if why[r.t] != "" {
			continue
		}
		charge, err := p.chargeOfCharges(r, sound)
		if err != nil {
			why[r.t] = err.Error()
		}
		r.charge = charge
	}
	charges := map[*Tariff]*Charge{}
	for _, r := range sound {
		if charges[r.t] = r.charge; r.charge == nil && why[r.t] == "" {
			why[r.t] = nothingText(r.t)
		}
	}
	return charges
}

// stepsOf returns the steps to the quantity of a tariff that applies.
func (p *pricing) stepsOf(t *Tariff) []Step {
	tr := p.conditionsOf(t)
	p.quantity(t, tr)
	return tr.take()
}

// noQuantity says that a tariff counts nothing.
const noQuantity = "it applies, with quantity 0"

// nothingText says why a tariff that applies makes no charge.
func nothingText(t *Tariff) string {
	switch t.Basis {
	case BasisPercent:
		return "none of the charges that it counts is on the flight, or they come to 0"
	case BasisTopUp:
		return "the charges that it counts come to its minimum or more"
	default:
		return noQuantity
	}
}

// gapText says what a tariff lacks.
func (p *pricing) gapText(g gap) string {
	switch g.kind {
	case gapStay:
		return "needs " + stayText(&p.c.Flight) + ", which the flight does not have yet"
	case gapUnusable:
		return "the flight " + g.what
	default:
		return "needs a fact that the flight does not have: " + p.factText(g.fact)
	}
}

// whyNot returns the first condition of a tariff that fails, or "".
func (p *pricing) whyNot(t *Tariff) string {
	e, m, day := t.entry(), t.terms(), p.c.MovedOn.ordinal()
	switch {
	case day < e.from:
		return fmt.Sprintf("valid from %s, and the flight is of %s", t.ValidFrom, p.c.MovedOn)
	case day >= e.to:
		return fmt.Sprintf("no longer valid on %s, and the flight is of %s", t.ValidTo, p.c.MovedOn)
	case e.customer != 0 && e.customer != p.c.Customer.ID:
		return "for another customer"
	case e.ends&p.ends(t.rule.airport) == 0:
		return p.whyNotAt(t)
	}
	if fails, _ := p.judge(&m); !fails {
		return ""
	}
	if j := t.rule.when.Judge(p.look); j.Outcome == Fails {
		return "when " + j.String()
	}
	if m.timed {
		if local, missing := p.wallClock(t); missing.kind == noGap && !t.During.Holds(local) {
			return fmt.Sprintf("during %s, and it was %s in %s", t.During, local.Format("Mon 15:04"), local.Location())
		}
	}
	value, _ := p.bandValue(t)
	return fmt.Sprintf("for %s in %s, and that is %s", t.bandOf(), t.bandText(), value.text())
}

func (p *pricing) whyNotAt(t *Tariff) string {
	airport := quotedOr(t.Airport, "any airport")
	from, to := quotedOr(p.c.Flight.Origin, "an unknown airport"), quotedOr(p.c.Flight.Destination, "an unknown airport")
	switch p.c.Flight.Movement {
	case Arrival:
		return fmt.Sprintf("for %s at %s, and this is the arrival at %s", endText(t.AppliesTo), airport, to)
	case Departure:
		return fmt.Sprintf("for %s at %s, and this is the departure from %s", endText(t.AppliesTo), airport, from)
	default:
		return fmt.Sprintf("for %s at %s, and the flight is from %s to %s", endText(t.AppliesTo), airport, from, to)
	}
}

func endText(a AppliesTo) string {
	switch a {
	case AppliesArrival:
		return "arrivals"
	case AppliesDeparture:
		return "departures"
	default:
		return "arrivals and departures"
	}
}
