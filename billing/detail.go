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

// trace gathers the steps to the amounts of a flight; a nil one gathers none. What
// quantity and unit rate say by themselves is no step.
type trace struct {
	steps []Step // of the charges made, and from begin on of the one that is being made
	begin int
	text  []byte // that is being written
}

func (tr *trace) unless(no bool) *trace {
	if no {
		return nil
	}
	return tr
}

// restart begins a charge.
func (tr *trace) restart() { tr.steps = tr.steps[:tr.begin] }

// take returns the steps of the charge that has been made.
func (tr *trace) take() []Step {
	steps := tr.steps[tr.begin:len(tr.steps):len(tr.steps)]
	tr.begin = len(tr.steps)
	if len(steps) == 0 {
		return nil
	}
	return steps
}

func (tr *trace) add(s Step) { tr.steps = append(tr.steps, s) }

func (tr *trace) has(what string) bool {
	return slices.ContainsFunc(tr.steps[tr.begin:], func(s Step) bool { return s.What == what })
}

// write adds text and numbers to what is being written.
func (tr *trace) write(parts ...any) {
	for _, part := range parts {
		switch p := part.(type) {
		case string:
			tr.text = append(tr.text, p...)
		case ratio:
			tr.text = p.appendTo(tr.text)
		case decimal.Decimal:
			tr.text = number(p).appendTo(tr.text)
		}
	}
}

// written returns what has been written, in one piece of memory.
func (tr *trace) written() string {
	text := string(tr.text)
	tr.text = tr.text[:0]
	return text
}

func (tr *trace) say(parts ...any) string {
	tr.write(parts...)
	return tr.written()
}

// fact notes a fact, once.
func (tr *trace) fact(p *pricing, name string) {
	if tr == nil || tr.has(name) {
		return
	}
	r := p.facts.fact(name)
	step := Step{What: name, Value: r.text(), How: r.how, From: r.from}
	if r.value.IsZero() {
		step.Value = "absent"
	}
	if m := &p.facts.mass; name == "mtow_kg" && m.from == "" && p.c.Flight.MTOWKg == nil && m.lb != nil {
		tr.fact(p, "mtow_lb")
		step.How = tr.say(integer(*m.lb), " × ", kgOfLb)
	}
	tr.add(step)
}

// tonnes notes the mass in tonnes by a rule, with the mass.
func (tr *trace) tonnes(p *pricing, rule *tonneRule, index int) {
	if tr == nil {
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
		made.step = tr.made(rule, integer(*m.lb), "1000", made.value)
	default:
		made.step = tr.made(rule, number(m.kg), string(rule.tonne), made.value)
	}
	if !slices.Contains(tr.steps, made.step) { // another rule's tonnes are a step of their own
		tr.add(made.step)
	}
}

// tonnesOf notes some kg in tonnes.
func (tr *trace) tonnesOf(rule *tonneRule, kg, tonnes ratio) {
	if tr != nil {
		tr.add(tr.made(rule, kg, string(rule.tonne), tonnes))
	}
}

// made returns the step from a mass to tonnes.
func (tr *trace) made(rule *tonneRule, mass ratio, tonne string, tonnes ratio) Step {
	tr.write(mass, " / ", tonne)
	tr.writeRounding(rule.rounding, rule.step)
	return Step{What: bandTonnes, How: tr.written(), Value: tr.say(tonnes)}
}

func (tr *trace) writeRounding(how Rounding, step decimal.Decimal) {
	if how == RoundNone {
		return
	}
	tr.write(", rounded ", string(how))
	if !isOne(step) {
		tr.write(" to ", step)
	}
}

func isOne(d decimal.Decimal) bool { return number(d).compare(integer(1)) == 0 }

// cut notes which part of a quantity lies inside a band.
func (tr *trace) cut(t *Tariff, name string, of, inside ratio) {
	if tr != nil {
		tr.add(Step{What: name + " in band", Value: tr.say(inside), How: tr.say("of ", of, ", in ", t.bandText())})
	}
}

// sum notes facts that are counted together.
func (tr *trace) sum(names []string, sum ratio) {
	if tr != nil {
		tr.add(Step{What: "sum", Value: tr.say(sum), How: strings.Join(names, " + ")})
	}
}

// units notes what is made of a value.
func (tr *trace) units(t *Tariff, value, units ratio) {
	if tr == nil || t.Unit.IsZero() && t.Free.IsZero() && (t.rounding() == RoundNone || units.compare(value) == 0 && !value.isEndless()) {
		return
	}
	switch {
	case t.Free.IsZero(), t.FreeMode == FreeThreshold:
		tr.write(value)
	default:
		tr.write("(", value, " - ", t.Free, ")")
		if value.cmp(t.Free) < 0 {
			tr.write(", not below 0,")
		}
	}
	if !t.Unit.IsZero() {
		tr.write(" / ", t.Unit)
	}
	tr.writeRounding(t.rounding(), one)
	if t.FreeMode == FreeThreshold && !t.Free.IsZero() {
		tr.write(", none up to ", t.Free)
	}
	tr.add(Step{What: bandUnits, How: tr.written(), Value: tr.say(units)})
}

// factor notes ((value - less) / unit)^p.
func (tr *trace) factor(what string, value ratio, less, unit decimal.Decimal, power *exponent, factor ratio) {
	if tr == nil {
		return
	}
	if !power.isOne() {
		tr.write("(")
	}
	if less.IsZero() {
		tr.write(value)
	} else {
		tr.write("(", value, " - ", less, ")")
	}
	if !isOne(unit) {
		tr.write(" / ", unit)
	}
	if !power.isOne() {
		tr.write(")^", power.p)
	}
	tr.write(", to ", integer(int64(power.decimals)), " decimals")
	tr.add(Step{What: what, How: tr.written(), Value: tr.say(factor)})
}

// charges notes the sum of the charges with a code.
func (tr *trace) charges(code string, sum ratio) {
	if tr != nil {
		tr.add(Step{What: code, Value: tr.say(sum)})
	}
}

// amount notes what is more than quantity times rate.
func (tr *trace) amount(t *Tariff, quantity, amount ratio) {
	if tr == nil || t.Fixed.IsZero() && t.Factor == nil {
		return
	}
	none := quantity.sign() == 0
	brackets := t.Factor != nil && !none && !t.Fixed.IsZero()
	if brackets {
		tr.write("(")
	}
	switch {
	case none:
		tr.write(t.Fixed)
	case t.Fixed.IsNegative():
		tr.write(quantity, " × ", t.UnitRate, " - ", number(t.Fixed).negated())
	case t.Fixed.IsPositive():
		tr.write(quantity, " × ", t.UnitRate, " + ", t.Fixed)
	default:
		tr.write(quantity, " × ", t.UnitRate)
	}
	if brackets {
		tr.write(")")
	}
	if t.Factor != nil {
		tr.write(" × ", *t.Factor)
	}
	tr.add(Step{What: "amount", How: tr.written(), Value: tr.say(amount)})
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
	tr.add(Step{What: what, Value: tr.say(limit), How: tr.say(word, amount)})
}
