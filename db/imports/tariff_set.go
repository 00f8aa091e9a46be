package imports

import (
	"context"
	"fmt"
	"slices"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// checkTariffSet says what is wrong with tariffs beside others, of the file or of the
// database. What was wrong there before and is not the file's is no matter of this import.
func checkTariffSet(ctx context.Context, q *dbsqlc.Queries, f *csvFile, before []billing.Tariff, lines map[billing.RuleKey]int) error {
	after, err := db.Tariffs(ctx, q)
	if err != nil {
		return err
	}
	canonical, err := db.CanonicalAirports(ctx, q, slices.Concat(before, after))
	if err != nil {
		return err
	}
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
