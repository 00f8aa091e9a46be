package jobs

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flightbill/flightbill/billing"
)

// trialTally is what one processor has counted.
type trialTally struct {
	flights, changed int64
	lines            map[trialLine]*ComparedLine
	refused          map[trialRefusal]*countedRefusal
}

// trialLine is what counts together: codes by their form.
type trialLine struct {
	customer       int64
	code, currency string
}

// trialRefusal is what counts together: of a missing fact also which, and what for.
type trialRefusal struct {
	reason billing.Reason
	what   string
}

// countedRefusal has the flight that its example is about: the first, by id.
type countedRefusal struct {
	ComparedRefusal
	flightID string
}

func newTrialTally() *trialTally {
	return &trialTally{lines: map[trialLine]*ComparedLine{}, refused: map[trialRefusal]*countedRefusal{}}
}

// refuse counts a flight that cannot be billed; no error: it can be.
func (t *trialTally) refuse(flightID string, err *billing.Error, count func(*ComparedRefusal)) {
	if err == nil {
		return
	}
	key := trialRefusal{reason: err.Reason}
	if err.Reason == billing.ReasonMissingFact || err.Reason == billing.ReasonNotOffBlock {
		key.what = strings.Replace(err.Message, flightID, "", 1)
	}
	r := t.refused[key]
	if r == nil {
		r = &countedRefusal{ComparedRefusal{Reason: err.Reason, Example: err.Message}, flightID}
		t.refused[key] = r
	}
	if flightID < r.flightID {
		r.Example, r.flightID = err.Message, flightID
	}
	count(&r.ComparedRefusal)
}

// count adds what a flight comes to.
func (t *trialTally) count(customer billing.Customer, before, after []billing.Charge) {
	flight := map[trialLine]*ComparedLine{}
	line := func(c *billing.Charge) *ComparedLine {
		key := trialLine{customer.ID, billing.CodeForm(c.Code), c.Currency}
		if flight[key] == nil {
			flight[key] = &ComparedLine{Customer: customer.Code, Code: c.Code, Currency: c.Currency, Flights: 1}
		}
		return flight[key]
	}
	for i := range after { // a code is shown as it would be written
		l := line(&after[i])
		l.After, l.TaxAfter = l.After.Add(after[i].Amount), l.TaxAfter.Add(after[i].TaxAmount)
	}
	for i := range before {
		l := line(&before[i])
		l.Before, l.TaxBefore = l.Before.Add(before[i].Amount), l.TaxBefore.Add(before[i].TaxAmount)
	}
	t.flights++
	changed := false
	for key, l := range flight {
		if !l.Before.Equal(l.After) || !l.TaxBefore.Equal(l.TaxAfter) {
			changed, l.Changed = true, 1
		}
		t.addLine(key, l)
	}
	if changed {
		t.changed++
	}
}

func (t *trialTally) addLine(key trialLine, l *ComparedLine) {
	sum := t.lines[key]
	if sum == nil {
		t.lines[key] = l
		return
	}
	sum.Flights, sum.Changed = sum.Flights+l.Flights, sum.Changed+l.Changed
	sum.Before, sum.After = sum.Before.Add(l.Before), sum.After.Add(l.After)
	sum.TaxBefore, sum.TaxAfter = sum.TaxBefore.Add(l.TaxBefore), sum.TaxAfter.Add(l.TaxAfter)
}

// add adds what another processor has counted.
func (t *trialTally) add(other *trialTally) {
	t.flights, t.changed = t.flights+other.flights, t.changed+other.changed
	for key, l := range other.lines {
		t.addLine(key, l)
	}
	for key, r := range other.refused {
		sum := t.refused[key]
		if sum == nil {
			t.refused[key] = r
			continue
		}
		sum.Before, sum.After = sum.Before+r.Before, sum.After+r.After
		if r.flightID < sum.flightID {
			sum.Example, sum.flightID = r.Example, r.flightID
		}
	}
}

// comparison returns the lines by customer, code and currency, and the refusals by how
// many they are.
func (t *trialTally) comparison() Comparison {
	c := Comparison{Flights: t.flights, Changed: t.changed}
	for _, l := range t.lines {
		c.Lines = append(c.Lines, *l)
	}
	slices.SortFunc(c.Lines, func(a, b ComparedLine) int {
		return cmp.Or(cmp.Compare(a.Customer, b.Customer), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Currency, b.Currency))
	})
	for _, r := range t.refused {
		c.Refused = append(c.Refused, r.ComparedRefusal)
	}
	slices.SortFunc(c.Refused, func(a, b ComparedRefusal) int {
		return cmp.Or(cmp.Compare(b.After, a.After), cmp.Compare(b.Before, a.Before), cmp.Compare(a.Example, b.Example))
	})
	return c
}
