// Package exports writes CSV files of what the database has.
//
//   - Export writes one Kind: what package imports reads back to the very same rows, and
//     invoices, charges and the journal for ledgers.
//   - Rows go from the server to the file one by one, all of one snapshot: memory stays flat.
package exports

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/imports"
	"github.com/flightbill/flightbill/internal/csvcell"
)

// Kind says what a file holds.
type Kind string

// Kinds of files that Export writes.
const (
	Customers     Kind = "customers"
	Tariffs       Kind = "tariffs"
	Aircraft      Kind = "aircraft"
	AircraftTypes Kind = "aircraft_types"
	Airports      Kind = "airports"
	Flights       Kind = "flights"
	Issuer        Kind = "issuer"
	Rates         Kind = "rates"
	Invoices      Kind = "invoices"
	Charges       Kind = "charges"
	Journal       Kind = "journal"
)

// Kinds are all that there are.
var Kinds = []Kind{Customers, Tariffs, Aircraft, AircraftTypes, Airports, Flights, Issuer, Rates, Invoices, Charges, Journal}

// Days are the first and the last day that a file is about; no date: no limit.
type Days struct{ From, To billing.Date }

// TakesDays reports whether files of the kind can be about some days only.
func (k Kind) TakesDays() bool { return kinds[k].days }

// progressEvery is how many rows are written between two words of progress.
const progressEvery = 1000

// file is what files of one kind have.
type file struct {
	columns []string
	days    bool
	table   string // that has facts in a column facts; "": none
	where   string // of the days, $1 and $2
	// rows selects the columns in their order, each as text, and behind them the facts.
	rows string
}

// Export writes a CSV file, and returns how many rows it has without the header.
//
// progress, unless nil, is told now and then how many rows have been written.
func Export(ctx context.Context, pool *pgxpool.Pool, kind Kind, days Days, w io.Writer, progress func(rows int64)) (written int64, err error) {
	what, known := kinds[kind]
	if !known {
		return 0, fmt.Errorf("cannot export %q", kind)
	}
	buffered := bufio.NewWriterSize(w, 64<<10)
	out := &writer{csv: csv.NewWriter(buffered), progress: progress}
	err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if kind == Tariffs {
			return exportTariffs(ctx, tx, what, out)
		}
		return exportRows(ctx, tx, kind, what, days, out)
	})
	if err == nil {
		err = out.close()
	}
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		return 0, fmt.Errorf("export %s: %w", kind, err)
	}
	return out.rows, nil
}

func exportTariffs(ctx context.Context, tx pgx.Tx, what file, out *writer) error {
	if err := out.csv.Write(what.columns); err != nil {
		return err
	}
	rows, err := db.TariffCells(ctx, tx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := out.write(row); err != nil {
			return err
		}
	}
	return nil
}

func exportRows(ctx context.Context, tx pgx.Tx, kind Kind, what file, days Days, out *writer) error {
	var args []any
	if what.days {
		args = []any{days.From, days.To}
	}
	header := slices.Clone(what.columns)
	var names []string
	if what.table != "" {
		var err error
		if names, err = factNames(ctx, tx, what, args); err != nil {
			return err
		}
		for _, name := range names {
			header = append(header, "fact."+name)
		}
	}
	if err := out.csv.Write(header); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, what.rows, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	cells := make([]string, len(header))
	for rows.Next() {
		raw := rows.RawValues()
		for i := range what.columns {
			cells[i] = string(raw[i])
		}
		if what.table != "" {
			if err := addFacts(cells[len(what.columns):], names, raw[len(what.columns)]); err != nil {
				return fmt.Errorf("%s: %w", cells[0], err)
			}
		}
		if kind == Airports {
			cells[1] = imports.OtherCodes(cells[0], strings.Split(cells[1], "\n"))
		}
		if err := out.write(cells); err != nil {
			return err
		}
	}
	return rows.Err()
}

// factNames returns the names of all facts that rows have.
func factNames(ctx context.Context, tx pgx.Tx, what file, args []any) ([]string, error) {
	rows, err := tx.Query(ctx, `SELECT DISTINCT k COLLATE "C" FROM `+what.table+` CROSS JOIN LATERAL jsonb_object_keys(facts) AS k `+what.where+` ORDER BY 1`, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// addFacts fills in the cells of facts, by name.
func addFacts(cells, names []string, text []byte) error {
	clear(cells)
	if len(names) == 0 || string(text) == "{}" {
		return nil
	}
	var facts map[string]billing.Fact
	if err := json.Unmarshal(text, &facts); err != nil {
		return err
	}
	for i, name := range names {
		cells[i] = facts[name].String()
	}
	return nil
}

// writer writes rows, none of whose cells a spreadsheet would run.
type writer struct {
	csv      *csv.Writer
	progress func(rows int64)
	rows     int64
}

// write changes the cells.
func (w *writer) write(cells []string) error {
	for i, cell := range cells {
		cell = strings.ReplaceAll(cell, "\r\n", "\n") // as it is read, within quotes
		cells[i] = csvcell.Write(cell)
	}
	w.rows++
	if w.progress != nil && w.rows%progressEvery == 0 {
		w.progress(w.rows)
	}
	return w.csv.Write(cells)
}

func (w *writer) close() error {
	if w.progress != nil {
		w.progress(w.rows)
	}
	w.csv.Flush()
	return w.csv.Error()
}
