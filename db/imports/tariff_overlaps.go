package imports

import (
	"fmt"
	"strings"

	"github.com/flightbill/flightbill/billing"
)

// rules is the tariffs as the file leaves them, with what tells whose and where each is.
type rules struct {
	tariffs   *billing.TariffSet
	lines     map[billing.RuleKey]int // of the file
	customers map[int64]string        // their codes, of those that the file names
}

// maxOverlaps bounds the pairs that are named.
const maxOverlaps = 10

// checkOverlaps says which rules overlap before the database would, which knows nothing
// of lines.
func (r *rules) checkOverlaps(f *csvFile) error {
	pairs := r.tariffs.Overlaps()
	for _, p := range pairs[:min(len(pairs), maxOverlaps)] {
		f.problems = append(f.problems, fmt.Errorf(
			"%s: %s: the rule of %s and the rule of %s overlap, so both would price the same flight: end one where the other begins, or set them apart by band, during, or a fact in when that both name",
			f.name, r.whose(p), r.text(p.A, p.B), r.text(p.B, p.A)))
	}
	return f.err()
}

// gaps warns of days without a rule between two of a code that the file has.
func (r *rules) gaps(f *csvFile, codes map[string]bool) []string {
	var warnings []string
	for _, p := range r.tariffs.Gaps() {
		if !codes[billing.CodeForm(p.A.Code)] {
			continue
		}
		days := "on " + p.A.ValidTo.String()
		if last := p.B.ValidFrom.AddDays(-1); last.After(p.A.ValidTo) {
			days = fmt.Sprintf("from %s to %s", p.A.ValidTo, last)
		}
		warnings = append(warnings, fmt.Sprintf("%s: %s: no rule is valid %s, between the rule of %s and the rule of %s, so flights then go without it; valid_to is the first day on which a rule is no longer valid",
			f.name, r.whose(p), days, r.text(p.A, p.B), r.text(p.B, p.A)))
	}
	return warnings
}

// whose says what two rules have in common.
func (r *rules) whose(p billing.TariffPair) string {
	whom, where := "every customer", "every airport"
	if p.A.CustomerID != 0 {
		whom = "customer " + shown(r.customers[p.A.CustomerID])
	}
	if p.A.Airport != "" {
		where = "airport " + shown(p.A.Airport)
	}
	return fmt.Sprintf("tariff %q for %s at %s", p.A.Code, whom, where)
}

// text tells a rule apart from another of its code.
func (r *rules) text(t, other *billing.Tariff) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if !billing.SameCode(t.Airport, other.Airport) {
		add("at %s", shown(t.Airport))
	}
	if t.AppliesTo != other.AppliesTo {
		add("applies_to %s", t.AppliesTo)
	}
	of := t.BandOf
	if of == "" || of == "tonnes" {
		of = "t"
	}
	if t.BandFrom != nil {
		add("above %s %s", t.BandFrom, of)
	}
	if t.BandTo != nil {
		add("up to %s %s", t.BandTo, of)
	}
	if !t.When.IsZero() {
		add("when %s", t.When)
	}
	if !t.During.IsZero() {
		add("during %s", t.During)
	}
	valid := "valid from " + t.ValidFrom.String()
	if !t.ValidTo.IsZero() {
		valid += " to " + t.ValidTo.String()
	}
	parts = append(parts, valid)
	place := "the database"
	if line := r.lines[t.Key()]; line > 0 {
		place = fmt.Sprintf("line %d", line)
	}
	return fmt.Sprintf("%s (%s)", place, strings.Join(parts, ", "))
}
