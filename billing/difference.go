package billing

import (
	"slices"

	"github.com/shopspring/decimal"
)

// Difference returns the lines that make of what a flight has been charged,
// standing, what it is to be charged, now. What is the same in both gives no
// line. Of the rest, reversed takes back what stands, and added charges anew, so
// that each line can be checked by hand.
//
// Lines of one tariff, code, rate, tax category, tax rate and currency count together: a line
// and its reversal come to nothing.
func Difference(standing, now []Charge) (reversed, added []Charge) {
	were, are := netted(standing), netted(now)
	for _, old := range were {
		if i := slices.IndexFunc(are, old.sameLine); i >= 0 && old.sameSums(are[i]) {
			are = slices.Delete(are, i, i+1)
			continue
		}
		reversed = append(reversed, takenBack(old))
	}
	return reversed, are
}

// netted adds up what counts together and leaves out what comes to nothing.
func netted(charges []Charge) []Charge {
	var sums []Charge
	for _, c := range charges {
		i := slices.IndexFunc(sums, c.sameLine)
		if i < 0 {
			sums = append(sums, c)
			continue
		}
		sums[i].Quantity = sums[i].Quantity.Add(c.Quantity)
		sums[i].Amount = sums[i].Amount.Add(c.Amount)
		sums[i].TaxAmount = sums[i].TaxAmount.Add(c.TaxAmount)
		sums[i].Description, sums[i].Detail = c.Description, c.Detail // as it was said last
	}
	return slices.DeleteFunc(sums, func(c Charge) bool {
		return c.Quantity.IsZero() && c.Amount.IsZero() && c.TaxAmount.IsZero()
	})
}

func (c *Charge) sameLine(d Charge) bool {
	return c.TariffID == d.TariffID && SameCode(c.Code, d.Code) && c.Currency == d.Currency &&
		c.UnitRate.Equal(d.UnitRate) && c.TaxRate.Equal(d.TaxRate) && c.TaxCategory == d.TaxCategory
}

func (c *Charge) sameSums(d Charge) bool {
	return c.Quantity.Equal(d.Quantity) && c.Amount.Equal(d.Amount) && c.TaxAmount.Equal(d.TaxAmount)
}

func takenBack(c Charge) Charge {
	for _, figure := range []*decimal.Decimal{&c.Quantity, &c.Amount, &c.TaxAmount} {
		*figure = figure.Neg()
	}
	return c
}
