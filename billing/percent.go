package billing

import (
	"fmt"
	"slices"
	"strings"
)

// chargeOfCharges prices a percentage or a top-up from the charges of a flight so far.
func (p *pricing) chargeOfCharges(row *row, rows []row) (*Charge, error) {
	t := row.t
	tr := p.conditionsOf(t)
	sum, found := integer(0), false
	for i, code := range t.rule.of {
		part, charged := integer(0), false
		for _, r := range rows {
			if r.charge == nil || !t.countsCharge(r.t, code) {
				continue
			}
			if r.charge.Currency != t.Currency {
				return nil, unusableTariff(p.c.Flight.ID, t.Code, fmt.Sprintf("in %s counts the charge %q, which is in %s: it must be in the same currency",
					t.Currency, r.charge.Code, r.charge.Currency))
			}
			part, charged = part.plus(r.charge.Amount), true
		}
		if charged {
			tr.charges(t.Of[i], part)
			sum, found = sum.add(part), true
		}
	}
	if t.Basis == BasisTopUp {
		return row.topUp(sum, tr), nil
	}
	if !found {
		return nil, nil //nolint:nilnil // no charge
	}
	return row.price(sum, tr), nil
}

// countsCharge reports whether a percentage or a top-up counts the charge of another
// tariff among those of a code. One that is for an airport leaves the charges of the
// flight's other airport out.
func (t *Tariff) countsCharge(other *Tariff, code string) bool {
	return other.rule.code == code && oneAirport(t.rule.airport, other.rule.airport)
}

// oneAirport reports whether two tariffs may be charged at one airport, by the canonical
// forms of theirs; "" is every airport.
func oneAirport(a, b string) bool { return a == b || a == "" || b == "" }

// topUp charges what a sum is short of the minimum.
func (r *row) topUp(sum ratio, tr *trace) *Charge {
	minimum := *r.t.Minimum
	short := number(minimum).add(sum.negated())
	if short.sign() <= 0 {
		return nil
	}
	tr.add(Step{What: "minimum", Value: tr.say(minimum), How: tr.say("less ", sum)})
	return r.line(short, one, short, tr)
}

// codeGraph says which codes percentages and top-ups are made of.
type codeGraph struct {
	of     map[string][]string // by the form of the code
	topUps map[string]bool     // codes that have a top-up
	depths map[string]int      // of percentages; 0 while it is being found
}

func newCodeGraph(tariffs []*Tariff) *codeGraph {
	g := &codeGraph{map[string][]string{}, map[string]bool{}, map[string]int{}}
	for _, t := range tariffs {
		code := CodeForm(t.Code)
		if t.Basis == BasisTopUp {
			g.topUps[code] = true
		}
		if t.Basis != BasisPercent {
			continue
		}
		for _, of := range t.Of {
			if of = CodeForm(of); !slices.Contains(g.of[code], of) {
				g.of[code] = append(g.of[code], of)
			}
		}
	}
	return g
}

// depth returns after how many others a percentage is priced: 0 for a code that has
// none.
func (g *codeGraph) depth(code string) int {
	if depth, known := g.depths[code]; known || len(g.of[code]) == 0 {
		return depth
	}
	g.depths[code] = 0
	deepest := 0
	for _, of := range g.of[code] {
		deepest = max(deepest, g.depth(of))
	}
	g.depths[code] = deepest + 1
	return deepest + 1
}

// circle returns the codes that lead from one back to itself, or nil.
func (g *codeGraph) circle(code string) []string {
	seen := map[string]bool{}
	var walk func(path []string) []string
	walk = func(path []string) []string {
		for _, of := range g.of[path[len(path)-1]] {
			if of == code {
				return append(path, of)
			}
			if seen[of] {
				continue
			}
			seen[of] = true
			if found := walk(append(slices.Clip(path), of)); found != nil {
				return found
			}
		}
		return nil
	}
	return walk([]string{code})
}

// wrong says what about the codes that a tariff is made of cannot be, or "".
func (g *codeGraph) wrong(t *Tariff) string {
	if !t.Basis.ofCharges() {
		return ""
	}
	code := CodeForm(t.Code)
	for _, of := range t.Of {
		switch form := CodeForm(of); {
		case form == code:
			return fmt.Sprintf("of %q is the tariff's own code: write the codes of other charges", of)
		case g.topUps[form]:
			return fmt.Sprintf("of %q is a top_up, which is priced last: write the codes of other charges", of)
		}
	}
	if circle := g.circle(code); t.Basis == BasisPercent && circle != nil {
		return fmt.Sprintf("of leads back to the tariff itself (%s): a percentage cannot be one of itself", strings.Join(circle, " of "))
	}
	return ""
}
