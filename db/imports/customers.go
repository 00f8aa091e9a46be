package imports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
	"github.com/flightbill/flightbill/document"
)

// customerColumns: any but the key may be missing, and then changes nothing on
// a customer that exists.
var customerColumns = append([]csvColumn{
	{name: "code"},
	{name: "name", optional: true, most: maxText},
	{name: "operators", optional: true, most: maxRow},
	{name: "aircraft", optional: true, most: maxRow},
	{name: "billing_frequency", optional: true},
	{name: "week_ends_on", optional: true},
	{name: "payment_terms_days", optional: true},
	{name: "billing_hold", optional: true},
}, masterColumns(document.CustomerColumns)...)

// masterColumns are columns of master data in a file.
func masterColumns(columns []document.Column) []csvColumn {
	list := make([]csvColumn, len(columns))
	for i, c := range columns {
		list[i] = csvColumn{name: c.Name, optional: true, most: maxText}
	}
	return list
}

// master returns the row's cells of those columns of master data that the file has, as
// they are kept; an empty cell is "".
func (f *csvFile) master(columns []document.Column) map[string]string {
	cells := map[string]string{}
	for _, column := range columns {
		if !f.has(column.Name) {
			continue
		}
		value, expected := column.Read(f.raw(column.Name))
		if expected != "" {
			f.wrong(column.Name, expected)
		}
		cells[column.Name] = value
	}
	return cells
}

// customerCode is the constraint on customers.code.
var customerCode = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)

const (
	expectedFrequency = "write per_flight, weekly or monthly"
	expectedWeekEnd   = "write 1 (Monday) to 7 (Sunday) for a weekly customer, nothing for another"
)

// customerRow is a row of the file. Nil is what the file does not say.
type customerRow struct {
	line       int
	code       string
	name       *string
	frequency  *string
	weekEndsOn *int16 // 0: none
	terms      *int32
	hold       *bool
	operators  []held
	aircraft   []held
	cells      map[string]string // of document.CustomerColumns, those that the file has
}

// customerRecord is a customer as the database has it.
type customerRecord struct {
	id         int64
	name       string
	frequency  string
	weekEndsOn int16 // 0: none
	terms      int32
	hold       bool
	cells      map[string]string // of document.CustomerColumns, those that are not empty
}

func (c customerRecord) equal(other customerRecord) bool {
	return c.name == other.name && c.frequency == other.frequency && c.weekEndsOn == other.weekEndsOn && c.terms == other.terms && c.hold == other.hold
}

func loadCustomers(ctx context.Context, pool *pgxpool.Pool, file *csvFile) (Result, error) {
	rows := readCustomers(file)
	refuseCodesTwice(file, rows)
	if err := file.err(); err != nil {
		return Result{}, err
	}
	load := customerLoad{file: file, rows: rows, records: map[string]customerRecord{}, added: map[string]bool{}, changed: map[string]bool{}}
	err := pgx.BeginTxFunc(ctx, pool, db.ReadCommitted, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		if err := load.readExisting(ctx, q); err != nil {
			return err
		}
		if err := load.refuseOtherCases(ctx, q); err != nil {
			return err
		}
		if err := load.checkRows(); err != nil {
			return err
		}
		// Two imports that give an operator to two customers: the second one must see what
		// the first did. After the customers' rows and before the price book's version,
		// which the next statement raises, as everybody else.
		if _, err := tx.Exec(ctx, `LOCK TABLE flightbill.customer_operators, flightbill.customer_aircraft IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return fmt.Errorf("lock operators and aircraft: %w", err)
		}
		if err := load.writeCustomers(ctx, q); err != nil {
			return err
		}
		return load.writeHoldings(ctx, q)
	})
	if err != nil {
		return Result{}, err
	}
	for code := range load.added {
		delete(load.changed, code)
	}
	return Result{Added: int64(len(load.added)), Changed: int64(len(load.changed))}, nil
}

func readCustomers(f *csvFile) []customerRow {
	var rows []customerRow
	byCode := map[string]int{}
	for f.next() {
		row := readCustomer(f)
		first, repeated := byCode[row.code]
		switch {
		case !repeated:
			byCode[row.code] = len(rows)
			rows = append(rows, row)
		case !rows[first].equal(row):
			f.wrong("code", fmt.Sprintf("line %d says something else of this customer", rows[first].line))
		}
	}
	return rows
}

func readCustomer(f *csvFile) customerRow {
	row := customerRow{line: f.line, code: f.cell("code"), operators: f.list("operators"), aircraft: f.list("aircraft")}
	if !customerCode.MatchString(row.code) {
		f.wrong("code", "write 1 to 32 letters, digits, dots, underscores or hyphens, the first a letter or digit")
	}
	if f.has("name") {
		name := f.required("name", "write the name that invoices are made out to")
		row.name = &name
	}
	if f.has("billing_frequency") {
		frequency := f.cell("billing_frequency")
		if _, err := billing.ParseFrequency(frequency); err != nil {
			f.wrong("billing_frequency", expectedFrequency)
		}
		row.frequency = &frequency
	}
	if f.has("week_ends_on") {
		day, _ := f.integer("week_ends_on", expectedWeekEnd, 1, 7)
		weekday := int16(day) //nolint:gosec // 0 to 7
		row.weekEndsOn = &weekday
	}
	// An empty cell of these two says nothing, as an absent column does.
	if days, ok := f.integer("payment_terms_days", "write 0 to 3650 days", 0, 3650); ok {
		terms := int32(days) //nolint:gosec // 0 to 3650
		row.terms = &terms
	}
	switch hold := strings.ToLower(f.cell("billing_hold")); hold {
	case "":
	case "true", "false": // spreadsheets write TRUE
		held := hold == "true"
		row.hold = &held
	default:
		f.wrong("billing_hold", "write true or false")
	}
	row.cells = f.master(document.CustomerColumns)
	return row
}

func (r customerRow) equal(other customerRow) bool {
	return same(r.name, other.name) && same(r.frequency, other.frequency) && same(r.weekEndsOn, other.weekEndsOn) &&
		same(r.terms, other.terms) && same(r.hold, other.hold) &&
		slices.Equal(r.operators, other.operators) && slices.Equal(r.aircraft, other.aircraft) && maps.Equal(r.cells, other.cells)
}

func same[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// onto returns what the row makes of a customer.
func (r customerRow) onto(c customerRecord) customerRecord {
	assign(&c.name, r.name)
	assign(&c.frequency, r.frequency)
	assign(&c.weekEndsOn, r.weekEndsOn)
	assign(&c.terms, r.terms)
	assign(&c.hold, r.hold)
	// Only a weekly customer has a week: with another frequency it goes, though
	// the file may not have its column.
	if r.weekEndsOn == nil && c.frequency != string(billing.Weekly) {
		c.weekEndsOn = 0
	}
	cells := map[string]string{}
	maps.Copy(cells, c.cells)
	maps.Copy(cells, r.cells)
	maps.DeleteFunc(cells, func(_, cell string) bool { return cell == "" })
	c.cells = cells
	return c
}

func assign[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// customerLoad is the import of a file that is right in itself.
type customerLoad struct {
	file           *csvFile
	rows           []customerRow
	records        map[string]customerRecord // by code, as the database has them
	added, changed map[string]bool           // codes
}

func (l *customerLoad) readExisting(ctx context.Context, q *dbsqlc.Queries) error {
	codes := make([]string, len(l.rows))
	for i, row := range l.rows {
		codes[i] = row.code
	}
	existing, err := q.CustomerListForImport(ctx, codes)
	if err != nil {
		return fmt.Errorf("read the customers: %w", err)
	}
	for _, c := range existing {
		cells := map[string]string{}
		if err := json.Unmarshal(c.Cells, &cells); err != nil {
			return fmt.Errorf("read customer %q: %w", c.Code, err)
		}
		l.keep(dbsqlc.CustomerInsertManyRow{
			ID: c.ID, Code: c.Code, Name: c.Name, BillingFrequency: c.BillingFrequency, WeekEndsOn: c.WeekEndsOn, PaymentTermsDays: c.PaymentTermsDays,
			BillingHold: c.BillingHold,
		}, cells)
	}
	return nil
}

func (l *customerLoad) keep(c dbsqlc.CustomerInsertManyRow, cells map[string]string) {
	record := customerRecord{id: c.ID, name: c.Name, frequency: c.BillingFrequency, terms: c.PaymentTermsDays, hold: c.BillingHold, cells: cells}
	assign(&record.weekEndsOn, c.WeekEndsOn)
	l.records[c.Code] = record
}

func (l *customerLoad) checkRows() error {
	for _, row := range l.rows {
		before, exists := l.records[row.code]
		after := row.onto(before)
		switch weekly := after.frequency == string(billing.Weekly); {
		case !exists && row.name == nil:
			l.file.problemf(row.line, "customer %s is new: it needs a column name", row.code)
		case !exists && row.frequency == nil:
			l.file.problemf(row.line, "customer %s is new: it needs a column billing_frequency: %s", row.code, expectedFrequency)
		case weekly && after.weekEndsOn == 0:
			l.file.wrongAt(row.line, "week_ends_on", "", expectedWeekEnd)
		case !weekly && after.weekEndsOn != 0:
			l.file.wrongAt(row.line, "week_ends_on", fmt.Sprint(after.weekEndsOn),
				fmt.Sprintf("customer %s is billed %s; %s", row.code, after.frequency, expectedWeekEnd))
		}
		if column, expected := document.CheckTogether(after.cells); column != "" {
			l.file.wrongAt(row.line, column, after.cells[column], expected)
		}
	}
	return l.file.err()
}

// writeCustomers first adds the new ones, which gives them the table's
// defaults, and then changes new and old ones alike.
func (l *customerLoad) writeCustomers(ctx context.Context, q *dbsqlc.Queries) error {
	var insert dbsqlc.CustomerInsertManyParams
	for _, row := range l.rows {
		if _, exists := l.records[row.code]; exists {
			continue
		}
		c := row.onto(customerRecord{})
		l.added[row.code] = true
		insert.Codes = append(insert.Codes, row.code)
		insert.Names = append(insert.Names, c.name)
		insert.BillingFrequencies = append(insert.BillingFrequencies, c.frequency)
		insert.WeeksEndOn = append(insert.WeeksEndOn, c.weekEndsOn)
	}
	if len(insert.Codes) > 0 {
		inserted, err := q.CustomerInsertMany(ctx, insert)
		if err != nil {
			return fmt.Errorf("add customers: %w", err)
		}
		for _, c := range inserted {
			l.keep(c, nil)
		}
	}

	var update dbsqlc.CustomerUpdateManyParams
	var cells []map[string]string
	for _, row := range l.rows {
		before := l.records[row.code]
		c := row.onto(before)
		if !maps.Equal(c.cells, before.cells) {
			l.changed[row.code] = true
			c.cells["id"] = strconv.FormatInt(c.id, 10)
			cells = append(cells, c.cells)
		}
		if c.equal(before) {
			continue
		}
		l.changed[row.code] = true
		update.Ids = append(update.Ids, c.id)
		update.Names = append(update.Names, c.name)
		update.BillingFrequencies = append(update.BillingFrequencies, c.frequency)
		update.WeeksEndOn = append(update.WeeksEndOn, c.weekEndsOn)
		update.PaymentTermsDays = append(update.PaymentTermsDays, c.terms)
		update.BillingHolds = append(update.BillingHolds, c.hold)
	}
	if len(update.Ids) > 0 {
		if err := q.CustomerUpdateMany(ctx, update); err != nil {
			return fmt.Errorf("change customers: %w", err)
		}
	}
	if err := writeRecords(ctx, cells, q.CustomerUpdateCells); err != nil {
		return fmt.Errorf("change what stands on customers' invoices: %w", err)
	}
	return nil
}

// writeHoldings makes each customer's operators and aircraft those of its row.
func (l *customerLoad) writeHoldings(ctx context.Context, q *dbsqlc.Queries) error {
	var errs []error
	for _, h := range []holding{operatorHolding(q), aircraftHolding(q)} {
		if l.file.has(h.column) {
			errs = append(errs, l.writeHolding(ctx, h))
		}
	}
	if err := l.file.err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

func (l *customerLoad) writeHolding(ctx context.Context, h holding) error {
	claims, inFile := l.claims(h), map[int64]bool{}
	for _, row := range l.rows {
		inFile[l.records[row.code].id] = true
	}
	existing, err := h.list(ctx, slices.Collect(maps.Keys(claims)), slices.Collect(maps.Keys(inFile)))
	if err != nil {
		return fmt.Errorf("read %s: %w", h.column, err)
	}

	var remove []int64
	var add holdings
	kept := map[claim]bool{}
	for _, o := range existing {
		claimed := claims[billing.CodeForm(o.code)]
		if inFile[o.customerID] {
			if i := slices.IndexFunc(claimed, func(c claim) bool { return c.held == o.held && c.customer == o.customer }); i >= 0 {
				kept[claimed[i]] = true
				continue
			}
			remove = append(remove, o.id)
			l.changed[o.customer] = true
			continue
		}
		for _, c := range claimed {
			if c.overlaps(o.held) {
				l.file.wrongAt(c.line, h.column, c.String(),
					fmt.Sprintf("%s belongs to customer %s, so it cannot be given to customer %s unless this file takes it from %s, or says on which days it is whose",
						shown(o.String()), o.customer, c.customer, o.customer))
			}
		}
	}
	for _, form := range slices.Sorted(maps.Keys(claims)) {
		for _, c := range claims[form] {
			if !kept[c] {
				add.append(c.held, l.records[c.customer].id)
				l.changed[c.customer] = true
			}
		}
	}
	if len(l.file.problems) > 0 {
		return nil
	}
	// An empty statement would still be a change to the price book.
	if len(remove) > 0 {
		if err := h.remove(ctx, remove); err != nil {
			return fmt.Errorf("remove %s: %w", h.column, err)
		}
	}
	if len(add.codes) > 0 {
		if err := h.add(ctx, add); err != nil {
			return fmt.Errorf("add %s: %w", h.column, err)
		}
	}
	return nil
}

// claim is an operator or an aircraft that a row gives its customer.
type claim struct {
	held
	customer string // code
	line     int
}

// claims are those of all rows, by their form.
func (l *customerLoad) claims(h holding) map[string][]claim {
	claims := map[string][]claim{}
	for _, row := range l.rows {
		for _, one := range h.of(row) {
			form := billing.CodeForm(one.code)
			for _, other := range claims[form] {
				switch {
				case !one.overlaps(other.held):
				case row.code == other.customer:
					l.file.wrongAt(row.line, h.column, one.String(), fmt.Sprintf("customer %s has it as %s too", row.code, shown(other.String())))
				default:
					l.file.wrongAt(row.line, h.column, one.String(),
						fmt.Sprintf("it is given to customer %s here and to customer %s in line %d", row.code, other.customer, other.line))
				}
			}
			claims[form] = append(claims[form], claim{one, row.code, row.line})
		}
	}
	return claims
}
