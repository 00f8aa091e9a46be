package billing

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/shopspring/decimal"
)

// When is what must hold of a flight's facts for a tariff to apply: all of its conditions.
// The zero When has none.
type When struct {
	conditions []condition
}

// condition is what must hold of one fact.
type condition struct {
	name     string
	operator string
	values   []Fact // of = and !=; one of < <= > and >=; none of present and absent
	written  string
}

// What a condition may ask. A fact that is not there answers present and absent alone.
const (
	isEqual   = "="
	isNot     = "!="
	isLess    = "<"
	isAtMost  = "<="
	isMore    = ">"
	isAtLeast = ">="
	isPresent = "present"
	isAbsent  = "absent"
)

// comparisons in the order in which they are looked for.
var comparisons = []string{isNot, isAtMost, isAtLeast, isEqual, isLess, isMore}

// maxWhen bounds the characters of the columns when and during.
const maxWhen = 1000

const howWhen = "write conditions such as noise_class=A|B; stand!=remote; seats>=30; tail_tax absent"

// ParseWhen reads the column when. Its errors say at which character.
func ParseWhen(text string) (When, error) {
	var w When
	text = strings.Trim(text, blanks)
	if text == "" {
		return w, nil
	}
	if n := utf8.RuneCountInString(text); n > maxWhen {
		return When{}, fmt.Errorf("it has %d characters: %d at most", n, maxWhen)
	}
	for at, part := range items(text, ";") {
		c, err := parseCondition(part)
		if err != nil {
			return When{}, fmt.Errorf("character %d: %w", at, err)
		}
		w.conditions = append(w.conditions, c)
		if !meet(c.name, w.comparable(asWritten).conditions) {
			return When{}, fmt.Errorf("character %d: %s leaves no value of %s that meets all conditions before it too, so the tariff would never apply: a list of values is %s=A|B",
				at, c.written, c.name, c.name)
		}
	}
	return w, nil
}

// items returns the parts of a list without the blanks around them, and at which
// character each begins.
func items(list, separator string) iter.Seq2[int, string] {
	return func(yield func(at int, item string) bool) {
		at := 1
		for part := range strings.SplitSeq(list, separator) {
			item := strings.TrimLeft(part, blanks)
			if !yield(at+utf8.RuneCountInString(part[:len(part)-len(item)]), strings.TrimRight(item, blanks)) {
				return
			}
			at += utf8.RuneCountInString(part) + utf8.RuneCountInString(separator)
		}
	}
}

func parseCondition(text string) (condition, error) {
	if text == "" {
		return condition{}, fmt.Errorf("there is no condition: %s", howWhen)
	}
	end := strings.IndexAny(text, blanks+"=!<>")
	if end < 0 {
		end = len(text)
	}
	c := condition{name: text[:end]}
	switch {
	case slices.Contains(quantityNames, c.name):
		return c, fmt.Errorf("%q is a quantity of the tariff and no fact: a condition on mass is mtow_kg<2000, one on tonnes or units a band (band_of)", c.name)
	case !factName.MatchString(c.name):
		return c, fmt.Errorf("%q is not the name of a fact, in snake_case: %s", shortened(c.name), howWhen)
	}
	rest := strings.Trim(text[end:], blanks)
	if rest == isPresent || rest == isAbsent {
		c.operator, c.written = rest, c.name+" "+rest
		return c, nil
	}
	i := slices.IndexFunc(comparisons, func(operator string) bool { return strings.HasPrefix(rest, operator) })
	if i < 0 {
		return c, fmt.Errorf("%s is followed by %q: = != < <= > >= present or absent are allowed", c.name, shortened(rest))
	}
	c.operator = comparisons[i]
	if slices.Contains(textFacts, c.name) && c.operator != isEqual && c.operator != isNot {
		return c, fmt.Errorf("%s is text and no number: = != present or absent are allowed", c.name)
	}
	return c, c.parseValues(strings.TrimPrefix(rest, c.operator))
}

func (c *condition) parseValues(text string) error {
	values := strings.Split(text, "|")
	for i, value := range values {
		value = strings.Trim(value, blanks)
		values[i] = value
		fact := NamedFact(c.name, value)
		_, isNumber := fact.Number()
		switch {
		case value == "":
			return fmt.Errorf("%s%s lacks a value: write it, or %s absent", c.name, c.operator, c.name)
		case strings.ContainsAny(value[:1], "=!<>"):
			return fmt.Errorf("%s%s is followed by %q: no value begins with = ! < or >", c.name, c.operator, shortened(value))
		case fact.IsZero():
			return fmt.Errorf("%s%s%s asks for a value that says that there is none: write %s absent, or %s present", c.name, c.operator, value, c.name, c.name)
		case utf8.RuneCountInString(value) > maxFact:
			return fmt.Errorf("%s%s: the value has more than %d characters", c.name, c.operator, maxFact)
		case c.operator != isEqual && c.operator != isNot && (!isNumber || len(values) > 1):
			return fmt.Errorf("%s%s%s needs one number, such as 30 or 2.5", c.name, c.operator, shortened(strings.Trim(text, blanks)))
		}
		c.values = append(c.values, fact)
	}
	c.written = c.name + c.operator + strings.Join(values, "|")
	return nil
}

// String returns the conditions as they are written, with blanks in one way.
func (w When) String() string { return w.join(func(c *condition) string { return c.written }) }

func (w When) join(text func(c *condition) string) string {
	texts := make([]string, len(w.conditions))
	for i := range w.conditions {
		texts[i] = text(&w.conditions[i])
	}
	return strings.Join(texts, "; ")
}

// IsZero reports whether there are no conditions.
func (w When) IsZero() bool { return len(w.conditions) == 0 }

// Names returns the facts that the conditions ask for, each once.
func (w When) Names() []string {
	var names []string
	for _, c := range w.conditions {
		if !slices.Contains(names, c.name) {
			names = append(names, c.name)
		}
	}
	return names
}

// Counted lists the facts that it compares as numbers.
func (w When) Counted() []string {
	var names []string
	for _, c := range w.conditions {
		if slices.Contains([]string{isLess, isAtMost, isMore, isAtLeast}, c.operator) && !slices.Contains(names, c.name) {
			names = append(names, c.name)
		}
	}
	return names
}

// form is the same for all ways to write the same conditions with the same values.
func (w When) form() string {
	sorted := slices.Clone(w.comparable(asWritten).conditions)
	for i, c := range sorted {
		values := make([]string, len(c.values))
		for j, v := range c.values {
			values[j] = upperASCII(v.String())
		}
		slices.Sort(values)
		sorted[i].written = c.name + " " + c.operator + strings.Join(slices.Compact(values), "|")
	}
	slices.SortFunc(sorted, func(a, b condition) int { return cmp.Compare(a.written, b.written) })
	return When{sorted}.String()
}

// Outcome says whether conditions hold of a flight.
type Outcome int8

// Outcomes.
const (
	Holds    Outcome = iota
	Fails            // a condition is false, whatever is missing for others
	Lacks            // none is false, but a fact that one asks for is not there
	Unusable         // none is false, but a fact that one asks for cannot be right
)

// Judgement is an Outcome and what it is due to: the first condition that fails, else the
// first that cannot be told.
type Judgement struct {
	Outcome   Outcome
	Err       error // of Unusable, where the fact itself came with one
	condition *condition
	value     Fact
}

// Judge says whether the conditions hold of a flight's facts; fact returns one by name,
// zero where it is not there. Nothing is allocated.
func (w When) Judge(fact func(name string) (Fact, error)) Judgement {
	var open Judgement
	for i := range w.conditions {
		c := &w.conditions[i]
		value, err := fact(c.name)
		outcome := Unusable
		if err == nil {
			outcome = c.judge(value)
		}
		switch {
		case outcome == Fails:
			return Judgement{Outcome: Fails, condition: c, value: value}
		case outcome != Holds && open.Outcome == Holds:
			open = Judgement{outcome, err, c, value}
		}
	}
	return open
}

func (c *condition) judge(value Fact) Outcome {
	switch {
	case c.operator == isPresent:
		return held(!value.IsZero())
	case c.operator == isAbsent:
		return held(value.IsZero())
	case value.IsZero():
		return Lacks
	case c.operator == isEqual:
		return held(c.has(value))
	case c.operator == isNot:
		return held(!c.has(value))
	case value.number == nil:
		return Unusable
	}
	switch order := compareNumbers(*value.number, *c.values[0].number); c.operator {
	case isLess:
		return held(order < 0)
	case isAtMost:
		return held(order <= 0)
	case isMore:
		return held(order > 0)
	default:
		return held(order >= 0)
	}
}

func held(holds bool) Outcome {
	if holds {
		return Holds
	}
	return Fails
}

func (c *condition) has(value Fact) bool {
	for i := range c.values {
		if c.values[i].Equal(value) {
			return true
		}
	}
	return false
}

// Name returns the fact that the judgement is due to; "" where all conditions hold.
func (j Judgement) Name() string {
	if j.condition == nil {
		return ""
	}
	return j.condition.name
}

// Condition returns the condition that the judgement is due to, as it is written; ""
// where all hold.
func (j Judgement) Condition() string {
	if j.condition == nil {
		return ""
	}
	return j.condition.written
}

// String says what the judgement is due to, for a clerk: noise_class=A|B, but it is C.
func (j Judgement) String() string {
	switch {
	case j.Outcome == Holds:
		return "all conditions hold"
	case j.Err != nil:
		return fmt.Sprintf("%s cannot be told: %v", j.condition.written, j.Err)
	case j.Outcome == Lacks:
		return fmt.Sprintf("%s cannot be told: there is no %s", j.condition.written, j.condition.name)
	case j.Outcome == Unusable:
		return fmt.Sprintf("%s needs a number, but it is %q", j.condition.written, j.value)
	case j.value.IsZero():
		return j.condition.written + ", but there is none"
	default:
		return fmt.Sprintf("%s, but it is %s", j.condition.written, j.value)
	}
}

// asWritten takes a code as it stands.
func asWritten(code string) string { return code }

// apart reports whether no facts meet the conditions of both, with codes in the form in
// which they are compared.
func (w When) apart(other When) bool {
	for i := range w.conditions {
		name := w.conditions[i].name
		if slices.ContainsFunc(other.conditions, func(c condition) bool { return c.name == name }) && !meet(name, w.conditions, other.conditions) {
			return true
		}
	}
	return false
}

// nothing is less than any two values in tariffs differ by, which have 30 decimals at most.
var nothing = decimal.New(1, -31)

// meet reports whether a value of a fact meets all conditions on it. If any does, one of a
// few does: each value that a condition names, the numbers next to it, a text that none
// names, and none at all.
func meet(name string, lists ...[]condition) bool {
	var conditions []*condition
	candidates := []Fact{{}, {text: "\x00"}, NumberFact(decimal.Zero)}
	for _, list := range lists {
		for i := range list {
			c := &list[i]
			if c.name != name {
				continue
			}
			conditions = append(conditions, c)
			for _, v := range c.values {
				candidates = append(candidates, v)
				if n, ok := v.Number(); ok {
					candidates = append(candidates, NumberFact(n.Add(nothing)), NumberFact(n.Sub(nothing)))
				}
			}
		}
	}
	return slices.ContainsFunc(candidates, func(value Fact) bool {
		return !slices.ContainsFunc(conditions, func(c *condition) bool { return c.judge(value) != Holds })
	})
}
