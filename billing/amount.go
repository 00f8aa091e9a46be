package billing

import "github.com/shopspring/decimal"

// charge returns the line for a quantity; none for a quantity of 0, unless the tariff
// has a minimum for that, too.
func (p *pricing) charge(t *Tariff, quantity ratio, tr *trace) *Charge {
	if quantity.sign() == 0 && !t.MinimumAtZero {
		return nil
	}
	amount := t.clamp(t.amount(quantity, tr), tr).roundTo(t.rule.minor)
	return p.line(t, quantity.decimal(), t.UnitRate, amount, tr)
}

// line makes a charge, in the one piece of memory that all charges of the flight have.
func (p *pricing) line(t *Tariff, quantity, rate, amount decimal.Decimal, tr *trace) *Charge {
	p.charges = append(p.charges, Charge{
		TariffID:    t.ID,
		Code:        t.Code,
		Description: t.Description,
		Quantity:    quantity,
		UnitRate:    rate,
		Amount:      amount,
		TaxRate:     t.TaxRate,
		TaxAmount:   t.tax(amount),
		Currency:    t.Currency,
		Detail:      tr.steps,
	})
	return &p.charges[len(p.charges)-1]
}

func (t *Tariff) tax(amount decimal.Decimal) decimal.Decimal {
	if t.TaxRate.IsZero() {
		return decimal.Zero
	}
	return amount.Mul(t.TaxRate).Round(t.rule.minor)
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
