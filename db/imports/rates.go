package imports

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// currencyColumn stands among the columns of a file for any number of them, each with the
// code of a currency in its place.
const currencyColumn = "CURRENCY"

// rateColumns are those of a row a rate; or date, and a column a currency, as the European
// Central Bank publishes what one euro is worth.
var rateColumns = []csvColumn{
	{name: "currency", optional: true}, {name: "in_currency", optional: true}, {name: "day", optional: true}, {name: "rate", optional: true},
	{name: "date", optional: true}, {name: currencyColumn, optional: true},
}

const euro = "EUR"

const (
	expectedCurrency = "write an ISO 4217 code in use, such as EUR"
	expectedRate     = "write what one unit is worth, above 0 and below 1000000000000, with 12 decimals at most, such as 1.0842"
	expectedRateDay  = "write the day of the rate as YYYY-MM-DD"
)

// addCurrencyColumn makes a column of a currency known, where the file may have such. The
// European Central Bank ends its header with a comma.
func (f *csvFile) addCurrencyColumn(column string) {
	_, allowed := f.columns[currencyColumn]
	_, twice := f.columns[column]
	if !allowed || twice || column != "" && (len(column) != 3 || strings.Trim(column, "abcdefghijklmnopqrstuvwxyz") != "") {
		return
	}
	f.columns[column] = -1
	if column != "" {
		f.currencies = append(f.currencies, column)
	}
}

type rateKey struct {
	currency, inCurrency string
	day                  billing.Date
}

type rateRow struct {
	rateKey

	line int
	rate string
}

func loadRates(ctx context.Context, pool *pgxpool.Pool, file *csvFile) (result Result, err error) {
	rows := readRates(file)
	if err := file.err(); err != nil {
		return Result{}, err
	}
	err = pgx.BeginTxFunc(ctx, pool, db.ReadCommitted, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		// What is compared here must still be so when it is written.
		if _, err := tx.Exec(ctx, `LOCK TABLE flightbill.currency_rates IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return fmt.Errorf("lock the currency rates: %w", err)
		}
		result, err = writeRates(ctx, q, rows)
		return err
	})
	return result, err
}

// readRates reads the file in either form, and counts rates for rows.
func readRates(f *csvFile) (rows []rateRow) {
	byKey := map[rateKey]int{}
	count := int64(0)
	add := func(row rateRow) {
		count++
		first, repeated := byKey[row.rateKey]
		switch {
		case !repeated:
			byKey[row.rateKey] = len(rows)
			rows = append(rows, row)
		case rows[first].rate != row.rate:
			f.problemf(f.line, "line %d has another rate of %s in %s on %s", rows[first].line, row.currency, row.inCurrency, row.day)
		}
	}
	wide := f.has("date")
	for _, column := range []string{"currency", "in_currency", "day", "rate"} {
		if f.has(column) == wide || wide && len(f.currencies) == 0 || !wide && len(f.currencies) > 0 {
			f.problems = append(f.problems, fmt.Errorf("%s: the columns must be currency, in_currency, day and rate; or Date and those of currencies, such as USD, as the European Central Bank has them", f.name))
			return nil
		}
	}
	for f.next() {
		if len(rows) > maxEntries {
			f.problemf(f.line, "the file has more than %d rates: split it", maxEntries)
			break
		}
		if wide {
			f.euroRates(add)
		} else if row, ok := f.rateRow(); ok {
			add(row)
		}
	}
	f.read = count
	return rows
}

func (f *csvFile) rateRow() (row rateRow, ok bool) {
	problems := len(f.problems)
	row.line, row.currency, row.inCurrency = f.line, f.currency("currency"), f.currency("in_currency")
	if row.currency == row.inCurrency && row.currency != "" {
		f.wrong("in_currency", "write another currency than in column currency")
	}
	row.day = f.rateDay("day")
	row.rate = f.rate("rate", true)
	return row, len(f.problems) == problems
}

// euroRates are the row's in the form of the European Central Bank. Currencies that are no
// longer in use are left out.
func (f *csvFile) euroRates(add func(rateRow)) {
	problems := len(f.problems)
	day := f.rateDay("date")
	for _, column := range f.currencies {
		code := strings.ToUpper(column)
		if _, ok := billing.MinorUnits(code); !ok || code == euro {
			continue
		}
		if rate := f.rate(column, false); rate != "" && len(f.problems) == problems {
			add(rateRow{rateKey{euro, code, day}, f.line, rate})
		}
	}
}

func (f *csvFile) currency(column string) string {
	code := strings.ToUpper(f.cell(column))
	if _, ok := billing.MinorUnits(code); !ok {
		f.wrong(column, expectedCurrency)
		return ""
	}
	return code
}

// rateDay also reads 27 November 2026, as the European Central Bank's file of one day has it.
func (f *csvFile) rateDay(column string) billing.Date {
	cell := f.cell(column)
	if t, err := time.Parse("2 January 2006", cell); err == nil {
		return billing.DateOf(t, time.UTC)
	}
	day, err := billing.ParseDate(cell)
	if err != nil {
		f.wrong(column, expectedRateDay)
	}
	return day
}

// rate returns a rate as it is kept, "" where the cell is empty or wrong.
func (f *csvFile) rate(column string, required bool) string {
	if f.cell(column) == "" {
		if required {
			f.wrong(column, expectedRate)
		}
		return ""
	}
	const decimals = 12
	rate := f.decimal(column, expectedRate)
	switch {
	case rate == nil:
		return ""
	case !rate.IsPositive() || !rate.LessThan(maxRate) || !rate.Equal(rate.Truncate(decimals)):
		f.wrong(column, expectedRate)
		return ""
	}
	return rate.String()
}

var maxRate = decimal.New(1, 12) // excluded, as the table has it

func writeRates(ctx context.Context, q *dbsqlc.Queries, rows []rateRow) (result Result, err error) {
	const most = 20_000
	slices.SortFunc(rows, func(a, b rateRow) int {
		return cmp.Or(cmp.Compare(a.currency, b.currency), cmp.Compare(a.inCurrency, b.inCurrency), a.day.Compare(b.day))
	})
	for chunk := range slices.Chunk(rows, most) {
		records := make([]map[string]string, len(chunk))
		for i, row := range chunk {
			records[i] = map[string]string{"currency": row.currency, "in_currency": row.inCurrency, "day": row.day.String(), "rate": row.rate}
		}
		existing := map[rateKey]string{}
		err := writeRecords(ctx, records, func(ctx context.Context, list []byte) error {
			known, err := q.CurrencyRateListForImport(ctx, list)
			for _, r := range known {
				existing[rateKey{r.Currency, r.InCurrency, r.Day}] = r.Rate
			}
			return err
		})
		if err != nil {
			return Result{}, fmt.Errorf("read the currency rates: %w", err)
		}
		var write []map[string]string
		for i, row := range chunk {
			switch rate, exists := existing[row.rateKey]; {
			case !exists:
				result.Added++
			case rate != row.rate:
				result.Changed++
			default:
				continue
			}
			write = append(write, records[i])
		}
		if err := writeRecords(ctx, write, q.CurrencyRateUpsertMany); err != nil {
			return Result{}, fmt.Errorf("write the currency rates: %w", err)
		}
	}
	return result, nil
}
