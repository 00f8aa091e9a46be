package imports

import (
	"context"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// highTax is more than any country's: 0.5 is rather 0.05 than 50 %.
var highTax = decimal.New(5, -1)

// wholeCharge is all of some charges: a percentage of more is rather one that is not written as a fraction.
var wholeCharge = decimal.New(1, 0)

// tariffWarnings says what is right in itself and may be meant otherwise, of the codes of
// the file.
func tariffWarnings(ctx context.Context, q *dbsqlc.Queries, f *csvFile, rows []tariffRow, rules *rules) ([]string, error) {
	var warnings []string
	codes := map[string]bool{}
	for _, row := range rows {
		codes[billing.CodeForm(row.tariff.Code)] = true
		if row.tariff.TaxRate.GreaterThanOrEqual(highTax) {
			warnings = append(warnings, fmt.Sprintf("%s: line %d: column tax_rate: %s is %s %%; write 20 %% as 0.20",
				f.name, row.line, row.tariff.TaxRate, row.tariff.TaxRate.Shift(2)))
		}
		if rate := row.tariff.UnitRate; row.tariff.Basis == billing.BasisPercent && rate.Abs().GreaterThan(wholeCharge) {
			warnings = append(warnings, fmt.Sprintf("%s: line %d: column unit_rate: %s is %s %% of the charges in of; write %s %% as %s",
				f.name, row.line, rate, rate.Shift(2), rate, rate.Shift(-2)))
		}
		if misfit := row.tariff.TaxReasonMisfit(); misfit != "" {
			warnings = append(warnings, fmt.Sprintf("%s: line %d: %s", f.name, row.line, misfit))
		}
		if unit := row.tariff.UnitCode; unit != "" && !billing.IsUnitCode(unit) {
			warnings = append(warnings, fmt.Sprintf("%s: line %d: column unit_code: %q is not among the units that flights are charged in; is it one of UN/ECE recommendation 20?",
				f.name, row.line, unit))
		}
	}
	unknown, err := warnOfUnknownFacts(ctx, q, f, rows)
	if err != nil {
		return nil, err
	}
	text, err := warnOfText(ctx, q, f, rows)
	if err != nil {
		return nil, err
	}
	warnings = append(append(warnings, unknown...), text...)
	warnings = append(warnings, rules.gaps(f, codes)...)
	if len(warnings) > maxProblems {
		more := len(warnings) - maxProblems
		warnings = append(warnings[:maxProblems], fmt.Sprintf("%s: and %d more of these", f.name, more))
	}
	return warnings, nil
}

// warnOfUnknownFacts names the facts that tariffs of the file ask for and that nothing has,
// each once: they may be misspelt.
func warnOfUnknownFacts(ctx context.Context, q *dbsqlc.Queries, f *csvFile, rows []tariffRow) ([]string, error) {
	type place struct {
		line   int
		column string
	}
	first := map[string]place{}
	var names []string
	for _, row := range rows {
		t := &row.tariff
		columns := []struct {
			column string
			names  []string
		}{{"when", t.When.Names()}, {"of", nil}, {"times", []string{t.Times}}, {"band_of", []string{t.BandOf}}}
		if t.Basis == billing.BasisPerUnit || t.Basis == billing.BasisFormula {
			columns[1].names = t.Of
		}
		for _, c := range columns {
			for _, name := range c.names {
				// A derived fact is known; so is what is no name of its own, but a column or a quantity.
				known := slices.Contains(billing.DerivedFacts, name) || slices.Contains(f.sourceFacts, name) || billing.CheckFactName(name) != nil
				if _, seen := first[name]; !seen && !known {
					first[name] = place{row.line, c.column}
					names = append(names, name)
				}
			}
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	unknown, err := q.FactNameListUnknown(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("look up the facts that tariffs ask for: %w", err)
	}
	var warnings []string
	for _, name := range names {
		if slices.Contains(unknown, name) {
			at := first[name]
			warnings = append(warnings, fmt.Sprintf("%s: line %d: column %s: no flight, aircraft or type of aircraft has a fact %q yet; is it spelt as the flight source has it?",
				f.name, at.line, at.column, name))
		}
	}
	return warnings, nil
}

// warnOfText names the facts that tariffs of the file count and that are text in what is
// there, each once.
func warnOfText(ctx context.Context, q *dbsqlc.Queries, f *csvFile, rows []tariffRow) ([]string, error) {
	first := map[string]string{}
	var names []string
	for _, row := range rows {
		for name, column := range row.tariff.CountedFacts() {
			if _, seen := first[name]; !seen {
				first[name] = fmt.Sprintf("%s: line %d: column %s: ", f.name, row.line, column)
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	text, err := q.FactNameListText(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("look up the facts that tariffs count: %w", err)
	}
	slices.Sort(text)
	var warnings []string
	for _, name := range text {
		warnings = append(warnings, first[name]+fmt.Sprintf("the fact %q counts here, and a flight, an aircraft or a type of aircraft has it as text: "+
			"where the tariff applies, such a flight cannot be billed", name))
	}
	return warnings, nil
}
