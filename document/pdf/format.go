package pdf

import (
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
)

// signs are those that mean one currency wherever they are read. A dollar or a yen may be
// of several countries: these have their code.
var signs = map[string]string{"EUR": "€", "GBP": "£"}

// dayMonthYear returns how a date is written in full.
func dayMonthYear(format string) func(*words, billing.Date) string {
	return func(w *words, d billing.Date) string {
		year, month, day := parts(d)
		return fmt.Sprintf(format, day, w.months[month-1], year)
	}
}

// frenchDate has an ordinal number for the first of a month.
func frenchDate(w *words, d billing.Date) string {
	year, month, day := parts(d)
	if day == 1 {
		return fmt.Sprintf("1er"+nbsp+"%s"+nbsp+"%d", w.months[month-1], year)
	}
	return fmt.Sprintf("%d"+nbsp+"%s"+nbsp+"%d", day, w.months[month-1], year)
}

func parts(d billing.Date) (year int, month time.Month, day int) {
	return d.Start(time.UTC).Date()
}

// inTable writes a date for a table.
func (w *words) inTable(d billing.Date) string {
	if d.IsZero() {
		return ""
	}
	year, month, day := parts(d)
	return fmt.Sprintf(w.shortDate, day, int(month), year, w.months[month-1])
}

// decimal writes a number with all its digits, and at least so many behind the point.
func (w *words) decimal(d decimal.Decimal, digits int32) string {
	whole, fraction, _ := strings.Cut(d.Abs().String(), ".") // without zeros at its end
	fraction += strings.Repeat("0", max(0, int(digits)-len(fraction)))
	var b strings.Builder
	if d.IsNegative() {
		b.WriteString("−") // as wide as a digit
	}
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(w.group)
		}
		b.WriteRune(digit)
	}
	if fraction != "" {
		b.WriteString(w.point + fraction)
	}
	return b.String()
}

// plain writes an amount without its currency, which the head of the table has.
func (w *words) plain(d decimal.Decimal, currency string) string {
	digits, _ := billing.MinorUnits(currency)
	return w.decimal(d, digits)
}

// money writes an amount with its currency.
func (w *words) money(d decimal.Decimal, currency string) string {
	sign, known := signs[currency]
	text := w.plain(d, currency)
	switch {
	case w.signFirst && known && d.IsNegative():
		return "−" + sign + strings.TrimPrefix(text, "−")
	case w.signFirst && known:
		return sign + text
	case w.signFirst:
		return currency + nbsp + text
	case known:
		return text + nbsp + sign
	default:
		return text + nbsp + currency
	}
}

// share writes a rate of tax: 0.20 is 20 %.
func (w *words) share(rate decimal.Decimal) string {
	return fmt.Sprintf(w.percent, w.decimal(rate.Shift(2), 0))
}

// grouped writes an IBAN as it is read aloud.
func grouped(iban string) string {
	var b strings.Builder
	for i, r := range strings.ReplaceAll(iban, " ", "") {
		if i > 0 && i%4 == 0 {
			b.WriteString(nbsp)
		}
		b.WriteRune(r)
	}
	return b.String()
}
