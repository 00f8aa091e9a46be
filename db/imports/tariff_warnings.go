package imports

import (
	"context"
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// highTax is more than any country's: 0.5 is rather 0.05 than 50 %.
var highTax = decimal.New(5, -1)

// tariffWarnings says what is right in itself and may be meant otherwise, of the codes of
// the file.
func tariffWarnings(ctx context.Context, q *dbsqlc.Queries, f *csvFile, rows []tariffRow, lines map[tariffKey]int) ([]string, error) {
	var warnings []string
	var forms []string
	for _, row := range rows {
		forms = append(forms, billing.CodeForm(row.tariff.Code))
		if row.tariff.TaxRate.GreaterThanOrEqual(highTax) {
			warnings = append(warnings, fmt.Sprintf("%s: line %d: column tax_rate: %s is %s %%; write 20 %% as 0.20",
				f.name, row.line, row.tariff.TaxRate, row.tariff.TaxRate.Shift(2)))
		}
	}
	gaps, err := q.TariffGapList(ctx, forms)
	if err != nil {
		return nil, fmt.Errorf("look for days without a tariff: %w", err)
	}
	for _, gap := range gaps {
		a, b, whose := rulesOf(gap)
		days := "on " + a.ValidTo.String()
		if last := b.ValidFrom.AddDays(-1); last.After(a.ValidTo) {
			days = fmt.Sprintf("from %s to %s", a.ValidTo, last)
		}
		warnings = append(warnings, fmt.Sprintf("%s: %s: no rule is valid %s, between the rule of %s and the rule of %s, so flights then go without it; valid_to is the first day on which a rule is no longer valid",
			f.name, whose, days, ruleText(a, lines), ruleText(b, lines)))
	}
	if len(warnings) > maxProblems {
		more := len(warnings) - maxProblems
		warnings = append(warnings[:maxProblems], fmt.Sprintf("%s: and %d more of these", f.name, more))
	}
	return warnings, nil
}
