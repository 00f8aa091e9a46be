package imports

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

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

// loadTariffs also changes tariffs that charges were made from: a charge
// keeps the rate, the text and the tax that it was made with.
func loadTariffs(ctx context.Context, pool *pgxpool.Pool, file *csvFile) (Result, error) {
	return loadTariffsThen(ctx, pool, file, func(pgx.Tx, *billing.TariffSet) error { return nil })
}

// loadTariffsThen ends its transaction with what is then to be done with the tariffs.
func loadTariffsThen(ctx context.Context, pool *pgxpool.Pool, file *csvFile, then func(pgx.Tx, *billing.TariffSet) error) (Result, error) {
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
		after, err := db.Tariffs(ctx, q)
		if err != nil {
			return err
		}
		canonical, err := db.CanonicalAirports(ctx, q, slices.Concat(before, after))
		if err != nil {
			return err
		}
		if err := checkTariffSet(file, before, after, canonical, lines); err != nil {
			return err
		}
		rules := rules{tariffs: billing.NewTariffSet(after, canonical), lines: lines, customers: map[int64]string{}}
		for _, row := range rows {
			rules.customers[row.tariff.CustomerID] = row.customer
		}
		if err := rules.checkOverlaps(file); err != nil {
			return err
		}
		if result.Warnings, err = tariffWarnings(ctx, q, file, rows, &rules); err != nil {
			return err
		}
		return then(tx, rules.tariffs)
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
			for _, problem := range tariff.Problems() {
				f.problemf(f.line, "%w", problem)
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
func linesOf(f *csvFile, rows []tariffRow) (map[billing.RuleKey]int, error) {
	lines := make(map[billing.RuleKey]int, len(rows))
	first := make(map[billing.RuleKey]billing.Tariff, len(rows))
	for _, row := range rows {
		key := row.tariff.Key()
		line, repeated := lines[key]
		switch {
		case !repeated:
			lines[key], first[key] = row.line, row.tariff
		case !sameTariff(first[key], row.tariff):
			f.wrongAt(row.line, "code", row.tariff.Code,
				fmt.Sprintf("line %d says something else of the tariff with this code, customer, airport, applies_to, band, when, during and valid_from", line))
		}
	}
	return lines, f.err()
}

// sameTariff reports whether a file says the same of both.
func sameTariff(a, b billing.Tariff) bool {
	return slices.Equal(billing.WriteTariff(&a, ""), billing.WriteTariff(&b, ""))
}

func writeTariffs(
	ctx context.Context, q *dbsqlc.Queries, f *csvFile, before []billing.Tariff, rows []tariffRow, lines map[billing.RuleKey]int,
) (Result, error) {
	existing := make(map[billing.RuleKey]billing.Tariff, len(before))
	for _, t := range before {
		existing[t.Key()] = t
	}

	var added, changed []map[string]string
	for _, row := range rows {
		t := row.tariff
		old, exists := existing[t.Key()]
		switch {
		case row.line != lines[t.Key()]: // a repetition
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
