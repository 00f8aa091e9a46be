package imports

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

var tariffColumns = columnsOfTariffs()

func columnsOfTariffs() []csvColumn {
	columns := make([]csvColumn, len(billing.TariffColumns))
	for i, c := range billing.TariffColumns {
		columns[i] = csvColumn{name: c.Name, optional: c.Optional}
		if c.Long {
			columns[i].most = maxText
		}
	}
	return columns
}

// tariffRow is a row of the file.
type tariffRow struct {
	line     int
	customer string // code; "": every customer
	tariff   billing.Tariff
}

// tariffKey is what makes two rows the same rule, codes by their form. No lower end of the band and
// a lower end of 0 are one key: two such rules always overlap.
type tariffKey struct {
	code     string
	customer int64
	airport  string
	bandFrom string
	bandTo   string
	from     billing.Date
}

func keyOf(t billing.Tariff) tariffKey {
	key := tariffKey{billing.CodeForm(t.Code), t.CustomerID, billing.CodeForm(t.Airport), "0", optional(t.BandTo), t.ValidFrom}
	if t.BandFrom != nil {
		key.bandFrom = t.BandFrom.String()
	}
	return key
}

// optional writes a decimal, and none as nothing.
func optional(d *decimal.Decimal) string {
	if d == nil {
		return ""
	}
	return d.String()
}

// loadTariffs also changes tariffs that charges were made from: a charge
// keeps the rate, the text and the tax that it was made with.
func loadTariffs(ctx context.Context, pool *pgxpool.Pool, file *csvFile) (Result, error) {
	return loadTariffsThen(ctx, pool, file, func(pgx.Tx) error { return nil })
}

// loadTariffsThen ends its transaction with what is then to be done.
func loadTariffsThen(ctx context.Context, pool *pgxpool.Pool, file *csvFile, then func(pgx.Tx) error) (Result, error) {
	rows := readTariffs(file)
	if err := file.err(); err != nil {
		return Result{}, err
	}
	var result Result
	err := pgx.BeginTxFunc(ctx, pool, db.ReadCommitted, func(tx pgx.Tx) error {
		// What is compared here must still be so when it is written. Neither
		// pricing nor saving waits for this lock.
		if _, err := tx.Exec(ctx, `LOCK TABLE flightbill.tariffs IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return fmt.Errorf("lock the tariffs: %w", err)
		}
		// A file can end a rule after the line that begins the next.
		if _, err := tx.Exec(ctx, `SET CONSTRAINTS flightbill.tariffs_do_not_overlap DEFERRED`); err != nil {
			return fmt.Errorf("put off the check for overlaps: %w", err)
		}
		q := dbsqlc.New(tx)
		if err := findCustomers(ctx, q, file, rows); err != nil {
			return err
		}
		lines, err := linesOf(file, rows)
		if err != nil {
			return err
		}
		before, err := db.Tariffs(ctx, q)
		if err != nil {
			return err
		}
		if result, err = writeTariffs(ctx, q, file, before, rows, lines); err != nil {
			return err
		}
		if err := checkTariffSet(ctx, q, file, before, lines); err != nil {
			return err
		}
		if err := checkOverlaps(ctx, q, file, lines); err != nil {
			return err
		}
		if result.Warnings, err = tariffWarnings(ctx, q, file, rows, lines); err != nil {
			return err
		}
		return then(tx)
	})
	return result, err
}

func readTariffs(f *csvFile) []tariffRow {
	var rows []tariffRow
	for f.next() {
		tariff, customer, wrong := billing.ReadTariff(f.raw)
		for _, w := range wrong {
			f.wrong(w.Column, w.Expected)
		}
		// Whatever Validate would find in a cell that was not read is no news.
		if len(wrong) == 0 {
			if err := tariff.Validate(); err != nil {
				f.problemf(f.line, "%w", err)
			}
		}
		rows = append(rows, tariffRow{line: f.line, customer: customer, tariff: tariff})
	}
	return rows
}

// findCustomers fills in the ids of the customers that rows are for.
func findCustomers(ctx context.Context, q *dbsqlc.Queries, f *csvFile, rows []tariffRow) error {
	codes := map[string]bool{}
	for _, row := range rows {
		if row.customer != "" {
			codes[row.customer] = true
		}
	}
	if len(codes) == 0 {
		return nil
	}
	list, err := q.CustomerIDList(ctx, slices.Collect(maps.Keys(codes)))
	if err != nil {
		return fmt.Errorf("look up the customers: %w", err)
	}
	ids := make(map[string]int64, len(list))
	for _, c := range list {
		ids[c.Code] = c.ID
	}
	for i, row := range rows {
		id, known := ids[row.customer]
		if row.customer != "" && !known {
			f.wrongAt(row.line, "customer", row.customer, "no customer has this code; import the customer first")
		}
		rows[i].tariff.CustomerID = id
	}
	return f.err()
}

// linesOf maps the rules of the file to their first lines.
func linesOf(f *csvFile, rows []tariffRow) (map[tariffKey]int, error) {
	lines := make(map[tariffKey]int, len(rows))
	first := make(map[tariffKey]billing.Tariff, len(rows))
	for _, row := range rows {
		key := keyOf(row.tariff)
		line, repeated := lines[key]
		switch {
		case !repeated:
			lines[key], first[key] = row.line, row.tariff
		case !sameTariff(first[key], row.tariff):
			f.wrongAt(row.line, "code", row.tariff.Code,
				fmt.Sprintf("line %d says something else of the tariff with this code, customer, airport, band and valid_from", line))
		}
	}
	return lines, f.err()
}

// sameTariff reports whether a file says the same of both.
func sameTariff(a, b billing.Tariff) bool {
	return slices.Equal(billing.WriteTariff(&a, ""), billing.WriteTariff(&b, ""))
}

func writeTariffs(
	ctx context.Context, q *dbsqlc.Queries, f *csvFile, before []billing.Tariff, rows []tariffRow, lines map[tariffKey]int,
) (Result, error) {
	existing := make(map[tariffKey]billing.Tariff, len(before))
	for _, t := range before {
		existing[keyOf(t)] = t
	}

	var added, changed []map[string]string
	for _, row := range rows {
		t := row.tariff
		old, exists := existing[keyOf(t)]
		switch {
		case row.line != lines[keyOf(t)]: // a repetition
		case !exists:
			added = append(added, tariffRecord(t))
			f.tariffChanges = append(f.tariffChanges, tariffChange(row, nil))
		case old.Unreadable != "" || !sameTariff(old, t):
			f.tariffChanges = append(f.tariffChanges, tariffChange(row, &old))
			t.ID = old.ID
			changed = append(changed, tariffRecord(t))
		}
	}
	if err := writeRecords(ctx, changed, q.TariffUpdateMany); err != nil {
		return Result{}, fmt.Errorf("change tariffs: %w", err)
	}
	if err := writeRecords(ctx, added, q.TariffInsertMany); err != nil {
		return Result{}, fmt.Errorf("add tariffs: %w", err)
	}
	return Result{Added: int64(len(added)), Changed: int64(len(changed))}, nil
}

// tariffRecord is a tariff as TariffInsertMany and TariffUpdateMany take it.
func tariffRecord(t billing.Tariff) map[string]string {
	record := map[string]string{"id": strconv.FormatInt(t.ID, 10)}
	if t.CustomerID != 0 {
		record["customer_id"] = strconv.FormatInt(t.CustomerID, 10)
	}
	for i, cell := range billing.WriteTariff(&t, "") {
		if cell != "" {
			record[billing.TariffColumns[i].Name] = cell
		}
	}
	return record
}

// writeRecords gives records to a statement as lists: one, unless it would be longer than
// Postgres takes. An empty statement would still be a change to the price book.
func writeRecords[T any](ctx context.Context, records []T, write func(context.Context, []byte) error) error {
	const most = 50_000
	for chunk := range slices.Chunk(records, most) {
		list, err := json.Marshal(chunk)
		if err != nil {
			return err
		}
		if err := write(ctx, list); err != nil {
			return err
		}
	}
	return nil
}

// checkOverlaps says which rules overlap before the constraint would, which
// knows nothing of lines.
func checkOverlaps(ctx context.Context, q *dbsqlc.Queries, f *csvFile, lines map[tariffKey]int) error {
	pairs, err := q.TariffOverlapList(ctx)
	if err != nil {
		return fmt.Errorf("look for overlapping tariffs: %w", err)
	}
	for _, p := range pairs {
		a, b, whose := rulesOf(dbsqlc.TariffGapListRow(p))
		f.problems = append(f.problems, fmt.Errorf(
			"%s: %s: the rule of %s and the rule of %s overlap, so both would price the same flight: end one where the other begins",
			f.name, whose, ruleText(a, lines), ruleText(b, lines)))
	}
	return f.err()
}

// rulesOf returns the two rules of a pair, and whose they are in words.
func rulesOf(p dbsqlc.TariffGapListRow) (a, b billing.Tariff, whose string) {
	a = billing.Tariff{
		Code: p.Code, CustomerID: p.CustomerID, Airport: p.Airport,
		BandFrom: db.DecimalOrNil(p.ABandFrom), BandTo: db.DecimalOrNil(p.ABandTo), ValidFrom: p.AValidFrom, ValidTo: p.AValidTo,
	}
	b = a
	b.BandFrom, b.BandTo, b.ValidFrom, b.ValidTo = db.DecimalOrNil(p.BBandFrom), db.DecimalOrNil(p.BBandTo), p.BValidFrom, p.BValidTo
	whom, where := "every customer", "every airport"
	if p.Customer != "" {
		whom = "customer " + shown(p.Customer)
	}
	if p.Airport != "" {
		where = "airport " + shown(p.Airport)
	}
	return a, b, fmt.Sprintf("tariff %q for %s at %s", p.Code, whom, where)
}

// ruleText tells two rules of one code apart.
func ruleText(t billing.Tariff, lines map[tariffKey]int) string {
	var s strings.Builder
	if line := lines[keyOf(t)]; line > 0 {
		fmt.Fprintf(&s, "line %d (", line)
	} else {
		s.WriteString("the database (")
	}
	if t.BandFrom != nil {
		fmt.Fprintf(&s, "above %s t, ", t.BandFrom)
	}
	if t.BandTo != nil {
		fmt.Fprintf(&s, "up to %s t, ", t.BandTo)
	}
	fmt.Fprintf(&s, "valid from %s", t.ValidFrom)
	if !t.ValidTo.IsZero() {
		fmt.Fprintf(&s, " to %s", t.ValidTo)
	}
	s.WriteString(")")
	return s.String()
}
