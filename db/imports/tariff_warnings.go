package imports

import (
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
)

// highTax is more than any country's: 0.5 is rather 0.05 than 50 %.
var highTax = decimal.New(5, -1)

// tariffWarnings says what is right in itself and may be meant otherwise, of the codes of
// the file.
func tariffWarnings(f *csvFile, rows []tariffRow, rules *rules) []string {
	var warnings []string
	codes := map[string]bool{}
	for _, row := range rows {
		codes[billing.CodeForm(row.tariff.Code)] = true
		if row.tariff.TaxRate.GreaterThanOrEqual(highTax) {
			warnings = append(warnings, fmt.Sprintf("%s: line %d: column tax_rate: %s is %s %%; write 20 %% as 0.20",
				f.name, row.line, row.tariff.TaxRate, row.tariff.TaxRate.Shift(2)))
		}
	}
	warnings = append(warnings, rules.gaps(f, codes)...)
	if len(warnings) > maxProblems {
		more := len(warnings) - maxProblems
		warnings = append(warnings[:maxProblems], fmt.Sprintf("%s: and %d more of these", f.name, more))
	}
	return warnings
}
