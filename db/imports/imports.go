package imports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Kind says what a file holds.
type Kind string

// Kinds of files that Load reads.
const (
	Customers     Kind = "customers"
	Tariffs       Kind = "tariffs"
	Flights       Kind = "flights"
	Aircraft      Kind = "aircraft"
	AircraftTypes Kind = "aircraft_types"
	Airports      Kind = "airports"
	Issuer        Kind = "issuer"
	Rates         Kind = "rates"
)

// Kinds are all that there are, in the order in which one can need another.
var Kinds = []Kind{Customers, Tariffs, Aircraft, AircraftTypes, Airports, Flights, Issuer, Rates}

// loader reads files of one kind.
type loader struct {
	columns []csvColumn
	most    int64 // bytes of a file; 0: any number
	load    func(context.Context, *pgxpool.Pool, *csvFile) (Result, error)
}

var loaders = map[Kind]loader{
	Customers:     {customerColumns, maxKept, loadCustomers},
	Tariffs:       {tariffColumns, maxKept, loadTariffs},
	Flights:       {flightColumns, 0, loadFlights},
	Aircraft:      {aircraftColumns, maxKept, registerLoader(openAircraft)},
	AircraftTypes: {aircraftTypeColumns, maxKept, registerLoader(openAircraftTypes)},
	Airports:      {airportColumns, maxKept, registerLoader(openAirports)},
	Issuer:        {issuerColumns, maxKept, loadIssuer},
	Rates:         {rateColumns, maxKept, loadRates},
}

// Result says what an import did. Rows is the sum of the next three: a row
// that the file has twice counts as unchanged the second time.
type Result struct {
	Rows      int64 `json:"rows"` // without the header
	Added     int64 `json:"added"`
	Changed   int64 `json:"changed"`
	Unchanged int64 `json:"unchanged"`

	// BilledOtherwise is how many of the file's flights were billed from other facts.
	BilledOtherwise int64 `json:"billed_otherwise,omitempty"`
	// Warnings are about what is right in itself, and may be meant otherwise.
	Warnings []string `json:"warnings,omitempty"`
}

// Load reads a CSV file into the database: all of it, or nothing where any
// row is wrong. A row whose key the database has changes that row; nothing is
// ever removed but an operator or aircraft that its customer no longer lists.
//
// The header names the columns, in any order. An unknown column is an error,
// since a mistyped name would lose data without a word. Spaces around a cell do
// not count, but in flight_id; nor do rows without any text. Data that begin with gzip's magic number are
// decompressed, whatever name says; name is for messages.
//
// An error is about the first few wrong rows, each with file, line and column.
//
// progress, unless nil, is told now and then how many rows have been read,
// never by two goroutines at once.
//
// sourceFacts names the facts that the flight source has beside the database's, which no
// tariff is warned of.
func Load(
	ctx context.Context, pool *pgxpool.Pool, kind Kind, name string, r io.Reader, progress func(rows int64), sourceFacts ...string,
) (Result, error) {
	l, known := loaders[kind]
	if !known {
		return Result{}, fmt.Errorf("cannot import %q: %s", kind, KindNames())
	}
	return l.run(ctx, pool, name, r, progress, sourceFacts...)
}

func (l loader) run(ctx context.Context, pool *pgxpool.Pool, name string, r io.Reader, progress func(rows int64), sourceFacts ...string) (Result, error) {
	file, err := openCSV(name, r, l.columns, l.most, progress)
	if err != nil {
		return Result{}, err
	}
	file.sourceFacts = sourceFacts
	if len(file.facts) > 0 {
		if file.counted, err = countedFacts(ctx, pool); err != nil {
			return Result{}, fmt.Errorf("import %s: %w", name, err)
		}
	}
	result, err := l.load(ctx, pool, file)
	if _, wrong := errors.AsType[*fileError](err); wrong {
		return Result{}, err
	}
	switch {
	case err != nil && ctx.Err() != nil: // pgx may say i/o timeout instead
		return Result{}, fmt.Errorf("import %s: %w", name, ctx.Err())
	case err != nil:
		return Result{}, fmt.Errorf("import %s: %w", name, err)
	}
	result.Rows, result.Warnings = file.read, append(result.Warnings, file.warnings...)
	result.Unchanged = result.Rows - result.Added - result.Changed
	return result, nil
}

// KindNames says which kinds there are.
func KindNames() string {
	names := make([]string, len(Kinds))
	for i, kind := range Kinds {
		names[i] = string(kind)
	}
	last := len(names) - 1
	return "say " + strings.Join(names[:last], ", ") + " or " + names[last]
}
