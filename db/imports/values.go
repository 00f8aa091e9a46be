package imports

import (
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/internal/csvcell"
)

func (f *csvFile) has(column string) bool { return f.columns[column] >= 0 }

// raw returns a cell as it stands; "" where the file does not have the column.
func (f *csvFile) raw(column string) string {
	if i := f.columns[column]; i >= 0 {
		return f.record[i]
	}
	return ""
}

// cell returns a cell without the blanks around it, and nothing where it only says that
// there is nothing.
func (f *csvFile) cell(column string) string { return billing.CleanText(f.raw(column)) }

// required returns a cell that must not be empty.
func (f *csvFile) required(column, expected string) string {
	cell := f.cell(column)
	if cell == "" {
		f.wrong(column, expected)
	}
	return cell
}

// integer returns a whole number; false where the cell is empty or wrong.
func (f *csvFile) integer(column, expected string, low, high int64) (int64, bool) {
	cell := f.cell(column)
	if cell == "" {
		return 0, false
	}
	n, err := strconv.ParseInt(cell, 10, 64)
	if err != nil || n < low || n > high {
		f.wrong(column, expected)
		return 0, false
	}
	return n, true
}

// decimal returns a decimal number; nil where the cell is empty or wrong.
func (f *csvFile) decimal(column, expected string) *decimal.Decimal {
	cell := f.cell(column)
	if cell == "" {
		return nil
	}
	if !csvcell.IsDecimal(cell) {
		f.wrong(column, expected)
		return nil
	}
	d, err := decimal.NewFromString(cell)
	if err != nil {
		f.wrong(column, expected)
		return nil
	}
	return &d
}

// one returns a cell that holds one code: with a separator in it, it would be no code
// that anything has.
func (f *csvFile) one(column, expected string) string {
	cell := f.cell(column)
	if strings.ContainsAny(cell, separators) {
		f.wrong(column, expected)
	}
	return cell
}

// separators are what people write between codes.
const separators = ",;|/&"

// date returns a day; no date where the cell is empty or wrong.
func (f *csvFile) date(column, expected string) billing.Date {
	cell := f.cell(column)
	if cell == "" {
		return billing.Date{}
	}
	d, err := billing.ParseDate(cell)
	if err != nil {
		f.wrong(column, expected)
	}
	return d
}

// instantLayouts are RFC 3339, and the shorter zones of Postgres' own output.
var instantLayouts = []string{time.RFC3339, "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05Z0700"}

// instant returns a timestamp with zone, in UTC; false where the cell is empty
// or wrong.
func (f *csvFile) instant(column string) (time.Time, bool) {
	cell := f.cell(column)
	if cell == "" {
		return time.Time{}, false
	}
	text := cell
	if len(text) > 10 && text[10] == ' ' {
		text = text[:10] + "T" + text[11:]
	}
	for _, layout := range instantLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			if t = t.UTC(); t.Year() >= 1 && t.Year() <= 9999 {
				return t, true
			}
		}
	}
	f.wrong(column, "write a time with its zone, such as 2013-01-01T10:17:00Z or 2013-01-01T10:17:00+01:00")
	return time.Time{}, false
}
