package billing

import (
	"cmp"

	"github.com/shopspring/decimal"
)

// price returns the line for a quantity; none for a quantity of 0, unless the tariff
// has a minimum for that, too.
func (r *row) price(quantity ratio, tr *trace) *Charge {
	t := r.t
	if quantity.sign() == 0 && !t.MinimumAtZero {
		return nil
	}
	return r.line(quantity, t.UnitRate, t.clamp(t.amount(quantity, tr), tr), tr)
}

// line makes a charge; the amount is rounded here.
func (r *row) line(quantity ratio, rate decimal.Decimal, exact ratio, tr *trace) *Charge {
	t, amount := r.t, exact.roundTo(r.t.rule.minor)
	*r.room = Charge{
		TariffID:    t.ID,
		Code:        t.Code,
		Description: t.Description,
		Quantity:    quantity.decimal(),
		UnitRate:    rate,
		Amount:      amount,
		TaxRate:     t.TaxRate,
		TaxAmount:   t.tax(amount),
		TaxCategory: cmp.Or(t.TaxCategory, TaxStandard),
		Currency:    t.Currency,
		Detail:      tr.take(),
	}
	return r.room
}

func (t *Tariff) tax(amount decimal.Decimal) decimal.Decimal {
	if t.TaxRate.IsZero() {
		return decimal.Zero
	}
	return number(amount).mul(t.TaxRate).roundTo(t.rule.minor)
}

// amount returns (quantity × unit rate + fixed) × factor; of no quantity, fixed × factor.
func (t *Tariff) amount(quantity ratio, tr *trace) ratio {
	amount := quantity.mul(t.UnitRate)
	if !t.Fixed.IsZero() {
		amount = amount.plus(t.Fixed)
	}
	if t.Factor != nil {
		amount = amount.mul(*t.Factor)
	}
	tr.amount(t, quantity, amount)
	return amount
}

// clamp keeps an amount between the tariff's minimum and its maximum.
func (t *Tariff) clamp(amount ratio, tr *trace) ratio {
	limited := amount
	if t.Minimum != nil && limited.cmp(*t.Minimum) < 0 {
		limited = number(*t.Minimum)
		tr.limit("minimum", *t.Minimum, amount)
	}
	if t.Maximum != nil && limited.cmp(*t.Maximum) > 0 {
		limited = number(*t.Maximum)
		tr.limit("maximum", *t.Maximum, amount)
	}
	return limited
}

func orZero(d *decimal.Decimal) decimal.Decimal {
	if d == nil {
		return decimal.Zero
	}
	return *d
}
