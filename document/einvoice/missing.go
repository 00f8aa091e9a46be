package einvoice

import (
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/document"
)

// Missing says for what an issued invoice may be refused as an e-invoice: what was not
// known of issuer and customer, by the names of the columns, and what its amounts lack.
func Missing(inv *document.Invoice) []string {
	var categories []billing.TaxCategory
	for _, t := range inv.Taxes {
		if !slices.Contains(categories, t.Category) {
			categories = append(categories, t.Category)
		}
	}
	var missing []string
	for _, gap := range document.IssuerGaps(&inv.Issuer, categories) {
		missing = append(missing, fmt.Sprintf("issuer's %s: %s", gap.Column, gap.Why))
	}
	for _, gap := range document.CustomerGaps(&inv.Issuer, &inv.BillTo, categories) {
		missing = append(missing, fmt.Sprintf("customer's %s: %s", gap.Column, gap.Why))
	}
	if len(inv.Lines) == 0 {
		missing = append(missing, "a line (EN 16931, BR-16)")
	}
	if declaredElsewhere(inv) && inv.TaxCurrencyRate == nil {
		missing = append(missing, fmt.Sprintf("the tax in %s, in which it is declared: no rate was known on %s", inv.TaxCurrency, inv.IssuedOn))
	}
	for _, t := range inv.Taxes {
		if off := t.Tax.Sub(t.Base.Mul(t.Rate)).Abs(); off.GreaterThanOrEqual(decimal.NewFromInt(1)) {
			missing = append(missing, fmt.Sprintf("a tax that is %s %% of %s: it was rounded line by line, and is %s off (EN 16931, BR-CO-17)",
				percent(t.Rate), t.Base, off.StringFixed(2)))
		}
	}
	return missing
}
