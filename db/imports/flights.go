package imports

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/internal/csvcell"
)

// flightColumns are those of the table flights, by name. An empty cell is a
// fact that is not known.
var flightColumns = []csvColumn{
	{name: "flight_id"},
	{name: "callsign"},
	{name: "operator"},
	{name: "registration"},
	{name: "aircraft_type"},
	{name: "mtow_kg"},
	{name: "origin"},
	{name: "destination"},
	{name: "departed_at"},
	{name: "landed_at"},
	{name: "distance_km"},
	{name: "passengers", optional: true},
	{name: "movement", optional: true},
	{name: "mtow_lb", optional: true},
	{name: "on_block_at", optional: true},
	{name: "off_block_at", optional: true},
	{name: factColumn, optional: true},
}

// factsColumn is the column of the table that has what a file has in columns of facts.
const factsColumn = "facts"

// loadFlights streams the file into a temporary table and goes on from there
// in single statements, so that memory stays flat whatever the file's size.
// Facts are only read here: whether a mass can be right is for billing to say.
//
// 336,776 flights on 2 busy cores, Postgres among them: 6 s, and as much again
// for the same file a second time; 2 s of it are spent here.
func loadFlights(ctx context.Context, pool *pgxpool.Pool, file *csvFile) (Result, error) {
	var facts []string // the columns of the table beside flight_id that the file has
	for _, c := range flightColumns[1:] {
		if file.has(c.name) {
			facts = append(facts, c.name)
		}
	}
	if len(file.facts) > 0 {
		facts = append(facts, factsColumn)
	}
	var result Result
	err := pgx.BeginTxFunc(ctx, pool, db.ReadCommitted, func(tx pgx.Tx) error {
		if err := copyFlights(ctx, tx, file, facts); err != nil {
			return err
		}
		if err := refuseDifferingRepetitions(ctx, tx, file, facts); err != nil {
			return err
		}
		if err := refuseTooManyFacts(ctx, tx, file); err != nil {
			return err
		}
		var err error
		if result, err = mergeFlights(ctx, tx, file, facts); err != nil {
			return err
		}
		result.BilledOtherwise, err = countBilledOtherwise(ctx, tx)
		return err
	})
	return result, err
}

func copyFlights(ctx context.Context, tx pgx.Tx, file *csvFile, facts []string) error {
	columns := strings.Join(facts, ", ")
	if len(file.facts) > 0 { // what is wrong with them as a whole is said below
		columns = strings.TrimSuffix(columns, factsColumn) + "facts::jsonb AS facts"
	}
	_, err := tx.Exec(ctx, `CREATE TEMP TABLE import_flights ON COMMIT DROP AS
		SELECT 0::bigint AS line, flight_id, `+columns+` FROM flightbill.flights WITH NO DATA`)
	if err != nil {
		return fmt.Errorf("make a temporary table: %w", err)
	}
	source := &flightCopy{file: file, facts: facts}
	_, err = tx.Conn().PgConn().CopyFrom(ctx, source, `COPY import_flights FROM STDIN`)
	source.stop()
	if wrong := file.err(); wrong != nil {
		return wrong
	}
	if err != nil {
		return fmt.Errorf("copy the flights: %w", err)
	}
	// Nothing else would tell the planner how many there are.
	if _, err := tx.Exec(ctx, `ANALYZE import_flights`); err != nil {
		return fmt.Errorf("count the flights: %w", err)
	}
	return nil
}

// refuseDifferingRepetitions: an id that the file has with differing facts is
// an error, since either could be right.
func refuseDifferingRepetitions(ctx context.Context, tx pgx.Tx, file *csvFile, facts []string) error {
	var differing []string
	for _, c := range facts {
		if c != factsColumn {
			differing = append(differing, fmt.Sprintf("CASE WHEN a.%[1]s IS DISTINCT FROM b.%[1]s THEN '%[1]s' END", c))
		}
	}
	for _, name := range file.facts {
		differing = append(differing, fmt.Sprintf("CASE WHEN a.facts -> '%[1]s' IS DISTINCT FROM b.facts -> '%[1]s' THEN 'fact.%[1]s' END", name))
	}
	rows, err := tx.Query(ctx, `
		WITH repeated AS (
			SELECT flight_id, min(line) AS line FROM import_flights GROUP BY flight_id HAVING count(*) > 1
		), compared AS (
			SELECT a.flight_id, a.line AS first, b.line AS second, array_to_string(ARRAY[`+strings.Join(differing, ", ")+`]::text[], ', ') AS differing
			FROM repeated
			JOIN import_flights a USING (flight_id, line)
			JOIN import_flights b ON b.flight_id = a.flight_id AND b.line > a.line
		)
		SELECT flight_id, first, second, differing FROM compared WHERE differing <> '' ORDER BY second LIMIT $1`, maxProblems)
	if err != nil {
		return fmt.Errorf("look for repeated flights: %w", err)
	}
	var id, columns string
	var first, second int
	_, err = pgx.ForEachRow(rows, []any{&id, &first, &second, &columns}, func() error {
		file.wrongAt(second, "flight_id", id, fmt.Sprintf("line %d has the same flight with another %s", first, columns))
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for repeated flights: %w", err)
	}
	return file.err()
}

// merged is a flight's facts, of table with those of row: they replace those of the names
// that the file has, and an empty cell takes one away.
func merged(file *csvFile, table, row string) string {
	return fmt.Sprintf("(%s.facts - '{%s}'::text[]) || %s.facts", table, strings.Join(file.facts, ","), row)
}

// refuseTooManyFacts says which flights would have more than the table keeps of one.
func refuseTooManyFacts(ctx context.Context, tx pgx.Tx, file *csvFile) error {
	if len(file.facts) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `
		SELECT i.line, i.flight_id FROM import_flights i LEFT JOIN flightbill.flights f USING (flight_id)
		WHERE octet_length(coalesce(`+merged(file, "f", "i")+`, i.facts)::text) > $1 ORDER BY i.line LIMIT $2`, maxFacts, maxProblems)
	if err != nil {
		return fmt.Errorf("look for flights with too many facts: %w", err)
	}
	var line int
	var id string
	_, err = pgx.ForEachRow(rows, []any{&line, &id}, func() error {
		file.wrongAt(line, "flight_id", id, fmt.Sprintf("the flight's facts, with those that it has already, have more than %d bytes: leave some out", maxFacts))
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for flights with too many facts: %w", err)
	}
	return file.err()
}

// mergeFlights writes what is new or differs. ON CONFLICT alone would also lock
// each row that stays as it is: 15 MB of WAL for 336,776 of them.
// Sorted, so that two imports cannot wait for each other.
func mergeFlights(ctx context.Context, tx pgx.Tx, file *csvFile, facts []string) (result Result, err error) {
	// list has each column of the row; beside a row of the table, its facts become those merged with the table's.
	list := func(row, table string) string {
		columns := make([]string, len(facts))
		for i, c := range facts {
			columns[i] = row + "." + c
			if c == factsColumn && table != "" {
				columns[i] = merged(file, table, row)
			}
		}
		return strings.Join(columns, ", ")
	}
	assignments := make([]string, len(facts))
	for i, c := range facts {
		assignments[i] = fmt.Sprintf("%[1]s = excluded.%[1]s", c)
		if c == factsColumn {
			assignments[i] = "facts = " + merged(file, "f", "excluded")
		}
	}
	// A row that was inserted has no xmax.
	err = tx.QueryRow(ctx, `
		WITH written AS (
			INSERT INTO flightbill.flights AS f (flight_id, `+strings.Join(facts, ", ")+`)
			SELECT DISTINCT ON (i.flight_id) i.flight_id, `+list("i", "")+`
			FROM import_flights i
			WHERE NOT EXISTS (
				SELECT FROM flightbill.flights o
				WHERE o.flight_id = i.flight_id AND (`+list("o", "")+`) IS NOT DISTINCT FROM (`+list("i", "o")+`))
			ORDER BY i.flight_id, i.line
			ON CONFLICT (flight_id) DO UPDATE SET `+strings.Join(assignments, ", ")+`
			WHERE (`+list("f", "")+`) IS DISTINCT FROM (`+list("excluded", "f")+`)
			RETURNING f.xmax = 0 AS added
		)
		SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added) FROM written`).
		Scan(&result.Added, &result.Changed)
	if err != nil {
		return Result{}, fmt.Errorf("write the flights: %w", err)
	}
	return result, nil
}

// countBilledOtherwise counts those flights of the file that were billed from other facts,
// whether it was this file or something before it that changed them.
func countBilledOtherwise(ctx context.Context, tx pgx.Tx) (n int64, err error) {
	err = tx.QueryRow(ctx, `
		SELECT count(*) FROM flightbill.changed_flights c
		WHERE EXISTS (SELECT FROM import_flights i WHERE i.flight_id = c.flight_id)`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count flights that were billed from other facts: %w", err)
	}
	return n, nil
}

// flightCopy is the file as COPY reads it.
type flightCopy struct {
	file    *csvFile
	facts   []string
	buf     []byte
	pending []byte // the part of buf that is still to be read

	// pgx reads in a goroutine, and does not wait for it where the connection
	// is lost.
	mu      sync.Mutex
	stopped bool
}

// stop waits until nobody reads, for good.
func (c *flightCopy) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
}

func (c *flightCopy) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return 0, io.EOF
	}
	if len(c.pending) == 0 {
		c.fill()
	}
	if len(c.pending) == 0 {
		if err := c.file.err(); err != nil {
			return 0, err
		}
		return 0, io.EOF
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

func (c *flightCopy) fill() {
	c.buf = c.buf[:0]
	for len(c.buf) < 32<<10 && c.file.next() {
		c.addRow()
	}
	c.pending = c.buf
}

func (c *flightCopy) addRow() {
	f := c.file
	id := f.raw("flight_id")
	if !db.ValidFlightID(id) || billing.CleanText(id) == "" { // it could be imported, and never be billed
		f.wrong("flight_id", "write 1 to 128 of A-Z a-z 0-9 space . _ : / + # @ ~ -, the first a letter or digit, the last no space")
	}
	if warning := WarnOfFlightID(id); warning != "" {
		f.warnf(f.line, "column flight_id: %s", warning)
	}
	c.buf = strconv.AppendInt(c.buf, int64(f.line), 10)
	c.buf = appendCopyText(append(c.buf, '\t'), id)
	for _, column := range c.facts {
		c.buf = append(c.buf, '\t')
		c.addFact(column)
	}
	c.buf = append(c.buf, '\n')
}

func (c *flightCopy) addFact(column string) {
	f := c.file
	if column == factsColumn {
		c.buf = appendCopyText(c.buf, string(f.appendFacts(nil)))
		return
	}
	cell := f.cell(column)
	switch column {
	case "movement":
		switch billing.Movement(cell) {
		case billing.Arrival, billing.Departure:
			c.buf = append(c.buf, cell...)
			return
		case billing.Leg:
		default:
			f.wrong(column, "write arrival, departure, or nothing for a whole leg")
		}
	case "mtow_kg", "passengers", "mtow_lb":
		if n, ok := f.integer(column, "write a whole number, or nothing where it is not known", math.MinInt64, math.MaxInt64); ok {
			c.buf = strconv.AppendInt(c.buf, n, 10)
			return
		}
	case "distance_km":
		if csvcell.IsDecimal(cell) { // as it stands, so that it stays exact
			c.buf = append(c.buf, cell...)
			return
		}
		f.decimal(column, "write a number such as 2253.1, or nothing where it is not known")
	case "departed_at", "landed_at", "on_block_at", "off_block_at":
		if t, ok := f.instant(column); ok {
			c.buf = t.AppendFormat(c.buf, time.RFC3339Nano)
			return
		}
	default:
		if cell != "" {
			c.buf = appendCopyText(c.buf, cell)
			return
		}
	}
	c.buf = append(c.buf, `\N`...)
}

var copyEscapes = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`)

// appendCopyText writes a value as COPY's text format has it.
func appendCopyText(buf []byte, value string) []byte {
	if !strings.ContainsAny(value, "\\\t\n\r") {
		return append(buf, value...)
	}
	return append(buf, copyEscapes.Replace(value)...)
}
