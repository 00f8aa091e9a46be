package billing

import (
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// Step is a fact or a figure that an amount was made of.
type Step struct {
	What  string `json:"what"`           // "mtow_kg", "units"
	Value string `json:"value"`          // "73500", "3"
	How   string `json:"how,omitempty"`  // "(67 - 30) / 15, rounded up"
	From  string `json:"from,omitempty"` // of a fact that is not the flight source's: "aircraft G-ABCD"
}

// trace gathers the steps to an amount; a nil one gathers none. What quantity and unit
// rate say by themselves is no step.
type trace struct{ steps []Step }

func (tr *trace) unless(no bool) *trace {
	if no {
		return nil
	}
	return tr
}

func (tr *trace) add(s Step) {
	if tr.steps == nil {
		tr.steps = make([]Step, 0, 4)
	}
	tr.steps = append(tr.steps, s)
}

func (tr *trace) has(what string) bool {
	return slices.ContainsFunc(tr.steps, func(s Step) bool { return s.What == what })
}

// fact notes a fact, once.
func (tr *trace) fact(p *pricing, name string) {
	if tr == nil || tr.has(name) {
		return
	}
	r := p.facts.fact(name)
	step := Step{What: name, Value: r.text(), How: r.how, From: r.from}
	if r.gap.kind == gapMissing {
		step.Value = "absent"
	}
	if m := &p.facts.mass; name == "mtow_kg" && m.from == "" && p.c.Flight.MTOWKg == nil && m.lb != nil {
		tr.fact(p, "mtow_lb")
		step.How = decimal.NewFromInt(*m.lb).String() + " × " + kgOfLb.String()
	}
	tr.add(step)
}

// tonnes notes the mass in tonnes by a rule, with the mass.
func (tr *trace) tonnes(p *pricing, rule *tonneRule, index int) {
	if tr == nil || tr.has(bandTonnes) {
		return
	}
	m, made := p.facts.massOf(), &p.madeTonnes[index]
	inPounds := rule.tonne == TonneLb && m.lb != nil
	if inPounds {
		tr.fact(p, "mtow_lb")
	} else {
		tr.fact(p, "mtow_kg")
	}
	switch {
	case made.step.What != "":
	case inPounds:
		made.step = Step{What: bandTonnes, Value: made.value.text(), How: decimal.NewFromInt(*m.lb).String() + " / 1000" + rule.roundingText()}
	default:
		made.step = rule.made(whole(m.kg), made.value)
	}
	tr.add(made.step)
}

// tonnesOf notes some kg in tonnes.
func (tr *trace) tonnesOf(rule *tonneRule, kg, tonnes ratio) {
	if tr != nil {
		tr.add(rule.made(kg, tonnes))
	}
}

// made returns the step from kg to tonnes.
func (r *tonneRule) made(kg, tonnes ratio) Step {
	return Step{What: bandTonnes, Value: tonnes.text(), How: kg.text() + " / " + string(r.tonne) + r.roundingText()}
}

func (r *tonneRule) roundingText() string { return roundingText(r.rounding, r.step) }

func roundingText(how Rounding, step decimal.Decimal) string {
	if how == RoundNone {
		return ""
	}
	text := ", rounded " + string(how)
	if !step.Equal(one) {
		text += " to " + step.String()
	}
	return text
}

// cut notes which part of a quantity lies inside a band.
func (tr *trace) cut(t *Tariff, name string, of, inside ratio) {
	if tr != nil {
		tr.add(Step{What: name + " in band", Value: inside.text(), How: "of " + of.text() + ", in " + t.bandText()})
	}
}

// sum notes facts that are counted together.
func (tr *trace) sum(names []string, sum ratio) {
	if tr != nil {
		tr.add(Step{What: "sum", Value: sum.text(), How: strings.Join(names, " + ")})
	}
}

// units notes what is made of a value.
func (tr *trace) units(t *Tariff, value, units ratio) {
	if tr == nil || t.Unit.IsZero() && t.Free.IsZero() && (t.rounding() == RoundNone || units.cmp(value.n) == 0 && value.isDecimal()) {
		return
	}
	how, none := value.text(), ""
	switch {
	case t.Free.IsZero():
	case t.FreeMode == FreeThreshold:
		none = ", none up to " + t.Free.String()
	default:
		how = "(" + how + " - " + t.Free.String() + ")"
		if value.cmp(t.Free) < 0 {
			how += ", not below 0,"
		}
	}
	if !t.Unit.IsZero() {
		how += " / " + t.Unit.String()
	}
	tr.add(Step{What: bandUnits, Value: units.text(), How: how + roundingText(t.rounding(), one) + none})
}

func (tr *trace) distanceFactor(f *formula, distance ratio, factor decimal.Decimal) {
	if tr == nil {
		return
	}
	how := distance.text()
	if !f.less.IsZero() {
		how = "(" + how + " - " + f.less.String() + ")"
	}
	tr.factor("distance factor", how, f.distanceUnit, &f.distancePower, factor)
}

func (tr *trace) massFactor(f *formula, tonnes ratio, factor decimal.Decimal) {
	if tr != nil {
		tr.factor("mass factor", tonnes.text(), f.massUnit, &f.massPower, factor)
	}
}

func (tr *trace) factor(what, how string, unit decimal.Decimal, power *exponent, factor decimal.Decimal) {
	if !unit.Equal(one) {
		how += " / " + unit.String()
	}
	if !power.p.Equal(one) {
		how = "(" + how + ")^" + power.p.String()
	}
	tr.add(Step{What: what, Value: factor.String(), How: how + ", to " + decimal.NewFromInt32(power.decimals).String() + " decimals"})
}

// charges notes the sum of the charges with a code.
func (tr *trace) charges(code string, sum decimal.Decimal) {
	if tr != nil {
		tr.add(Step{What: code, Value: sum.String()})
	}
}

// amount notes what is more than quantity times rate.
func (tr *trace) amount(t *Tariff, quantity, amount ratio) {
	if tr == nil || t.Fixed.IsZero() && t.Factor == nil {
		return
	}
	how := quantity.text() + " × " + t.UnitRate.String()
	switch {
	case quantity.sign() == 0:
		how = t.Fixed.String()
	case t.Fixed.IsNegative():
		how += " - " + t.Fixed.Neg().String()
	case t.Fixed.IsPositive():
		how += " + " + t.Fixed.String()
	}
	if t.Factor != nil {
		if !t.Fixed.IsZero() && quantity.sign() != 0 {
			how = "(" + how + ")"
		}
		how += " × " + t.Factor.String()
	}
	tr.add(Step{What: "amount", Value: amount.text(), How: how})
}

// limit notes that the amount is the tariff's minimum or maximum.
func (tr *trace) limit(what string, limit decimal.Decimal, amount ratio) {
	if tr == nil {
		return
	}
	word := "more than "
	if what == "maximum" {
		word = "less than "
	}
	tr.add(Step{What: what, Value: limit.String(), How: word + amount.text()})
}

// text writes the number, to 12 decimals where it has no end.
func (r ratio) text() string { return r.decimal().String() }
