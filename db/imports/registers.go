package imports

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// maxEntries bounds a file of a register: there are not that many aircraft.
const maxEntries = 500_000

// entry is a row of a register: of a file, which may lack columns, or of the database.
type entry struct {
	line  int               // of the file; 0: the file does not have it
	id    string            // in the database; "": it is new
	cells map[string]string // by column, "": nothing
	facts map[string]billing.Fact
}

// onto returns what a row of a file makes of an entry of the database. Columns and facts
// that the file does not have stay; an empty cell takes away what was there.
func (e entry) onto(old entry) entry {
	n := entry{line: e.line, id: old.id, cells: map[string]string{}, facts: map[string]billing.Fact{}}
	maps.Copy(n.cells, old.cells)
	maps.Copy(n.cells, e.cells)
	maps.Copy(n.facts, old.facts)
	maps.Copy(n.facts, e.facts)
	maps.DeleteFunc(n.facts, func(_ string, fact billing.Fact) bool { return fact.IsZero() })
	return n
}

func (e entry) equal(other entry) bool {
	sameFact := func(a, b billing.Fact) bool { return a.String() == b.String() }
	return maps.Equal(e.cells, other.cells) && maps.EqualFunc(e.facts, other.facts, sameFact)
}

// record is the entry as a statement takes it.
func (e entry) record() map[string]any {
	record := map[string]any{"id": e.id, "facts": e.facts}
	for column, cell := range e.cells {
		if cell != "" {
			record[column] = cell
		}
	}
	return record
}

// register is what one of the registers has of its own.
type register struct {
	what    string
	table   string
	read    func(f *csvFile) map[string]string // the cells of a row, of the columns that the file has
	key     func(cells map[string]string) string
	keyText string // what is in the key, in words

	// list returns the entries of the database that those of a file could change, or be
	// in the way of.
	list           func(ctx context.Context, rows []entry) ([]entry, error)
	check          func(f *csvFile, after entry)     // an entry by itself
	checkAll       func(f *csvFile, entries []entry) // all that there would be, of those listed
	update, insert func(ctx context.Context, rows []byte) error
}

func registerLoader(open func(*dbsqlc.Queries) register) func(context.Context, *pgxpool.Pool, *csvFile) (Result, error) {
	return func(ctx context.Context, pool *pgxpool.Pool, file *csvFile) (Result, error) {
		return loadRegister(ctx, pool, file, open)
	}
}

// loadRegister changes entries that are there, by their key, and adds the others.
func loadRegister(ctx context.Context, pool *pgxpool.Pool, file *csvFile, open func(*dbsqlc.Queries) register) (result Result, err error) {
	rows := readRegister(file, open(nil))
	if err := file.err(); err != nil {
		return Result{}, err
	}
	err = pgx.BeginTxFunc(ctx, pool, db.ReadCommitted, func(tx pgx.Tx) error {
		r := open(dbsqlc.New(tx))
		// What is compared here must still be so when it is written.
		if _, err := tx.Exec(ctx, `LOCK TABLE flightbill.`+r.table+` IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return fmt.Errorf("lock the %s: %w", r.what, err)
		}
		result, err = r.write(ctx, file, rows)
		return err
	})
	return result, err
}

func readRegister(f *csvFile, r register) []entry {
	var rows []entry
	byKey := map[string]int{}
	for f.next() {
		if len(rows) == maxEntries {
			f.problemf(f.line, "the file has more than %d rows: split it", maxEntries)
			break
		}
		row := entry{line: f.line, cells: r.read(f), facts: f.namedFacts()}
		key := r.key(row.cells)
		first, repeated := byKey[key]
		switch {
		case !repeated:
			byKey[key] = len(rows)
			rows = append(rows, row)
		case !rows[first].equal(row):
			f.problemf(f.line, "line %d says something else of the same %s", rows[first].line, r.keyText)
		}
	}
	return rows
}

func (r register) write(ctx context.Context, f *csvFile, rows []entry) (Result, error) {
	existing, err := r.list(ctx, rows)
	if err != nil {
		return Result{}, fmt.Errorf("read the %s: %w", r.what, err)
	}
	all := map[string]entry{}
	for _, e := range existing {
		all[r.key(e.cells)] = e
	}
	var added, changed []map[string]any
	for _, row := range rows {
		key := r.key(row.cells)
		before := all[key]
		after := row.onto(before)
		r.check(f, after)
		refuseManyFacts(f, after)
		all[key] = after
		switch {
		case before.id == "":
			added = append(added, after.record())
		case !after.equal(before):
			changed = append(changed, after.record())
		}
	}
	if r.checkAll != nil {
		r.checkAll(f, slices.SortedFunc(maps.Values(all), func(a, b entry) int { return a.line - b.line }))
	}
	if err := f.err(); err != nil {
		return Result{}, err
	}
	// First what ends, or gives up a code, and then what begins.
	if err := writeRecords(ctx, changed, r.update); err != nil {
		return Result{}, fmt.Errorf("change %s: %w", r.what, err)
	}
	if err := writeRecords(ctx, added, r.insert); err != nil {
		return Result{}, fmt.Errorf("add %s: %w", r.what, err)
	}
	return Result{Added: int64(len(added)), Changed: int64(len(changed))}, nil
}

func refuseManyFacts(f *csvFile, e entry) {
	if text, err := json.Marshal(e.facts); err != nil || len(text)+2*len(e.facts) > maxFacts { // Postgres writes blanks
		f.problemf(e.line, "the facts, with those that are there already, have more than %d bytes: leave some out", maxFacts)
	}
}

// factsOf reads the column facts of a table.
func factsOf(text []byte) (facts map[string]billing.Fact, err error) {
	err = json.Unmarshal(text, &facts)
	return facts, err
}

// present returns a row's cells of those columns that the file has.
func (f *csvFile) present(read map[string]func(column string) string) map[string]string {
	cells := map[string]string{}
	for column, of := range read {
		if f.has(column) {
			cells[column] = of(column)
		}
	}
	return cells
}

// day returns a day as it is written, "" where the cell is empty or wrong.
func (f *csvFile) day(column string) string {
	return dayOrNothing(f.date(column, "write a day as YYYY-MM-DD, or nothing for no limit"))
}

// mass returns kg as text, "" where the cell is empty or wrong.
func (f *csvFile) mass(column string) string {
	const most = 1_000_000 // tenfold of what flies: grams, or pounds of a mistyped one
	if kg, ok := f.integer(column, "write whole kg, 1 to 1000000, or nothing where it is not known", 1, most); ok {
		return fmt.Sprint(kg)
	}
	return ""
}

func massText(kg int64) string {
	if kg == 0 {
		return ""
	}
	return fmt.Sprint(kg)
}
