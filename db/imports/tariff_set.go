package imports

import (
	"fmt"

	"github.com/flightbill/flightbill/billing"
)

// checkTariffSet says what is wrong with tariffs beside others, of the file or of the
// database. What was wrong there before and is not the file's is no matter of this import.
func checkTariffSet(f *csvFile, before, after []billing.Tariff, canonical func(code string) string, lines map[billing.RuleKey]int) error {
	type known struct {
		id      int64
		message string
	}
	old := map[known]bool{}
	for _, p := range billing.ValidateSet(before, canonical) {
		old[known{before[p.Index].ID, p.Message}] = true
	}
	for _, p := range billing.ValidateSet(after, canonical) {
		t := &after[p.Index]
		switch line := lines[t.Key()]; {
		case line > 0:
			f.problemf(line, "tariff %q: %s", t.Code, p.Message)
		case !old[known{t.ID, p.Message}]:
			f.problems = append(f.problems, fmt.Errorf("%s: with this file, tariff %q of the database%s: %s", f.name, t.Code, whereText(t), p.Message))
		}
	}
	return f.err()
}

// whereText tells tariffs of one code apart.
func whereText(t *billing.Tariff) string {
	text := ""
	if t.Airport != "" {
		text = " at " + shown(t.Airport)
	}
	return text + " from " + t.ValidFrom.String()
}
