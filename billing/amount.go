package billing

import "github.com/shopspring/decimal"

// charge returns the line for a quantity; none for a quantity of 0, unless the tariff
// has a minimum for that, too.
func (t *Tariff) charge(quantity ratio, tr *trace) *Charge {
	if quantity.sign() == 0 && !t.MinimumAtZero {
		return nil
	}
	amount := t.clamp(t.amount(quantity, tr), tr).roundTo(t.rule.minor)
	c := &Charge{
		TariffID:    t.ID,
		Code:        t.Code,
		Description: t.Description,
		Quantity:    quantity.decimal(),
		UnitRate:    t.UnitRate,
		Amount:      amount,
		TaxRate:     t.TaxRate,
		TaxAmount:   amount.Mul(t.TaxRate).Round(t.rule.minor),
		Currency:    t.Currency,
	}
	if tr != nil {
		c.Detail = tr.steps
	}
	return c
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
		limited = whole(*t.Minimum)
		tr.limit("minimum", *t.Minimum, amount)
	}
	if t.Maximum != nil && limited.cmp(*t.Maximum) > 0 {
		limited = whole(*t.Maximum)
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
