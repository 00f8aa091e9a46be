package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// PriceBook is what flights are priced from, as it was at one version: the
// calendar, the cut-off, the tariffs, the customers and the registers. A save refuses a price
// made from a book that is no longer the current one, so that reading from
// memory is never wrong, only at times done again.
type PriceBook struct {
	Version  int64
	Calendar billing.Calendar
	Cutoff   billing.Date // the last closing date run
	// Unfinished: a run's drafts are not all issued yet.
	Unfinished bool

	Tariffs *billing.TariffSet

	payers    *payers
	registers *registers
}

// refreshTimeout bounds the reading of a book: nobody waits for long behind a reader
// whose connection has died.
const refreshTimeout = 10 * time.Second

// errBookChanged: the database has a newer version than this book.
var errBookChanged = errors.New("price book has changed")

// PriceBooks hands out the current PriceBook and keeps it until it is told, or
// sees, that there is a newer one.
type PriceBooks struct {
	// RegisterFirst names facts of which the register of aircraft goes before the flight
	// source.
	RegisterFirst billing.RegisterFirst

	pool *pgxpool.Pool

	asking  chan struct{} // holds a token while the database is asked
	current atomic.Pointer[PriceBook]
}

// NewPriceBooks returns an empty keeper; the first use reads the book.
func NewPriceBooks(pool *pgxpool.Pool) *PriceBooks {
	return &PriceBooks{RegisterFirst: billing.DefaultRegisterFirst, pool: pool, asking: make(chan struct{}, 1)}
}

// Kept returns the book that is kept, nil before the first was read. It never
// waits.
func (p *PriceBooks) Kept() *PriceBook { return p.current.Load() }

// Current returns the book that is kept, or reads it.
func (p *PriceBooks) Current(ctx context.Context) (*PriceBook, error) {
	if book := p.current.Load(); book != nil {
		return book, nil
	}
	return p.Refresh(ctx)
}

// Refresh asks the database whether the book is still the current one and
// returns the one that is. Equal pointers mean that nothing has changed.
func (p *PriceBooks) Refresh(ctx context.Context) (*PriceBook, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	select {
	case p.asking <- struct{}{}:
		defer func() { <-p.asking }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for customers and tariffs that are being read: %w", ctx.Err())
	}
	var book *PriceBook
	// One snapshot, so that version, cut-off and tariffs belong together.
	err := pgx.BeginTxFunc(ctx, p.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var err error
		book, err = readBook(ctx, dbsqlc.New(tx), p.current.Load())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read customers and tariffs: %w", err)
	}
	p.current.Store(book)
	return book, nil
}

// Customer returns who pays for a flight that has moved; false where nobody does.
func (p *PriceBooks) Customer(ctx context.Context, book *PriceBook, f billing.Flight) (billing.Customer, bool, error) {
	for { // what was learnt may be forgotten meanwhile, where there is much
		customer, known := book.payers.of(f, book.Calendar.MovementDate(f))
		switch {
		case customer != nil:
			return *customer, true, nil
		case known:
			return billing.Customer{}, false, nil
		}
		if err := p.learnCustomers(ctx, book, []billing.Flight{f}); err != nil {
			return billing.Customer{}, false, err
		}
	}
}

// Case returns what a flight that has moved is priced from, but for who pays. declared is
// what the registers had when it was billed; nil: what they have now.
func (p *PriceBooks) Case(ctx context.Context, book *PriceBook, f billing.Flight, declared map[string]billing.Declared) (billing.Case, error) {
	c := billing.Case{Flight: f, MovedOn: book.Calendar.MovementDate(f), First: p.RegisterFirst}
	for !book.registers.complete(&c) { // as in Customer
		if err := p.learnRegisters(ctx, book, []billing.Flight{f}); err != nil {
			return billing.Case{}, err
		}
	}
	if declared != nil {
		c.Aircraft, c.AircraftType, c.First = declared, nil, slices.Collect(maps.Keys(declared))
	}
	return c, nil
}

// Learn looks up who pays for flights, and what the registers have of them, in a query
// each, so that Customer and Case need not. Those that have not moved are left out.
func (p *PriceBooks) Learn(ctx context.Context, book *PriceBook, flights []billing.Flight) error {
	moved := slices.DeleteFunc(slices.Clone(flights), func(f billing.Flight) bool { return f.MovedAt() == nil })
	return cmp.Or(p.learnCustomers(ctx, book, moved), p.learnRegisters(ctx, book, moved))
}

func (p *PriceBooks) learnCustomers(ctx context.Context, book *PriceBook, flights []billing.Flight) error {
	registrations, operators := map[string]bool{}, map[string]bool{}
	var unknown []billing.Flight
	for _, f := range flights {
		if _, known := book.payers.of(f, book.Calendar.MovementDate(f)); !known {
			unknown = append(unknown, f)
			registrations[billing.CodeForm(f.Registration)], operators[billing.CodeForm(f.Operator)] = true, true
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	err := book.payers.ask(ctx, dbsqlc.New(p.pool), book.Version, slices.Collect(maps.Keys(registrations)), slices.Collect(maps.Keys(operators)))
	switch {
	case err == nil:
		return nil
	case len(unknown) == 1:
		return fmt.Errorf("look up the customer of flight %s: %w", unknown[0].ID, err)
	}
	return fmt.Errorf("look up the customers of flight %s and %d others: %w", unknown[0].ID, len(unknown)-1, err)
}

func (p *PriceBooks) learnRegisters(ctx context.Context, book *PriceBook, flights []billing.Flight) error {
	asked, err := book.registers.learn(ctx, dbsqlc.New(plannedAnew{p.pool}), book, flights)
	switch {
	case err == nil:
		return nil
	case len(flights) == 1:
		return fmt.Errorf("look up aircraft and airports of flight %s: %w", flights[0].ID, err)
	}
	return fmt.Errorf("look up aircraft and airports of %d flights: %w", asked, err)
}

// BookChanged reports whether an error means that the caller holds an old book.
func BookChanged(err error) bool { return errors.Is(err, errBookChanged) }

func readBook(ctx context.Context, q *dbsqlc.Queries, old *PriceBook) (*PriceBook, error) {
	head, err := q.PriceBookGet(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errors.New("the database has no billing settings yet: serve stores them at its first start, as do consolidate and overdue")
	}
	if err != nil {
		return nil, err
	}
	if old != nil && old.Version == head.Version && old.Cutoff == head.Cutoff && old.Unfinished == head.Unfinished {
		return old, nil
	}
	calendar, err := Settings{Timezone: head.Timezone, Close: billing.CloseMode(head.Close), BillingStart: head.BillingStart}.Calendar()
	if err != nil {
		return nil, err
	}
	book := &PriceBook{
		Version: head.Version, Calendar: calendar, Cutoff: head.Cutoff, Unfinished: head.Unfinished,
	}
	if old != nil && old.Version == head.Version { // only the runs have moved on
		book.Tariffs, book.payers, book.registers = old.Tariffs, old.payers, old.registers
		return book, nil
	}
	if book.payers, err = readPayers(ctx, q); err != nil {
		return nil, err
	}
	if book.registers, err = readRegisters(ctx, q); err != nil {
		return nil, err
	}
	book.Tariffs, err = TariffSet(ctx, q)
	return book, err
}

// TariffSet reads the tariffs, with their airports as the register has them.
func TariffSet(ctx context.Context, q *dbsqlc.Queries) (*billing.TariffSet, error) {
	tariffs, err := Tariffs(ctx, q)
	if err != nil {
		return nil, err
	}
	canonical, err := CanonicalAirports(ctx, q, tariffs)
	if err != nil {
		return nil, err
	}
	return billing.NewTariffSet(tariffs, canonical), nil
}

// CanonicalAirports returns what gives the code under which the register has an airport
// that one of the tariffs names, and any other code as it is.
func CanonicalAirports(ctx context.Context, q *dbsqlc.Queries, tariffs []billing.Tariff) (func(code string) string, error) {
	forms := map[string]string{}
	for i := range tariffs {
		for _, code := range tariffs[i].AirportCodes() {
			forms[code] = ""
		}
	}
	airports, err := q.AirportFormList(ctx, slices.Collect(maps.Keys(forms)))
	if err != nil {
		return nil, fmt.Errorf("look up the tariffs' airports: %w", err)
	}
	for _, a := range airports {
		forms[a.Code] = a.Form
	}
	return func(code string) string { return cmp.Or(forms[code], code) }, nil
}

// Tariffs reads all tariffs, those that have ended too.
func Tariffs(ctx context.Context, q *dbsqlc.Queries) ([]billing.Tariff, error) {
	rows, err := q.TariffList(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the tariffs: %w", err)
	}
	tariffs := make([]billing.Tariff, len(rows))
	for i := range rows {
		tariffs[i] = tariffOf(&rows[i])
	}
	return tariffs, nil
}

// TariffCells returns all tariffs, each as the cells of a tariff file.
func TariffCells(ctx context.Context, db dbsqlc.DBTX) ([][]string, error) {
	rows, err := dbsqlc.New(db).TariffList(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the tariffs: %w", err)
	}
	cells := make([][]string, len(rows))
	for i := range rows {
		t := tariffOf(&rows[i])
		if t.Unreadable != "" {
			return nil, fmt.Errorf("tariff %q (id %d): %s; put it right in the table tariffs", t.Code, t.ID, t.Unreadable)
		}
		cells[i] = billing.WriteTariff(&t, rows[i].Customer)
	}
	return cells, nil
}

func tariffOf(row *dbsqlc.TariffListRow) billing.Tariff {
	t := billing.Tariff{
		ID: row.ID, Code: row.Code, Description: row.Description, Basis: billing.Basis(row.Basis),
		CustomerID: row.CustomerID, Airport: row.Airport, AppliesTo: billing.AppliesTo(row.AppliesTo),
		BandFrom: DecimalOrNil(row.BandFrom), BandTo: DecimalOrNil(row.BandTo), UnitRate: row.UnitRate, Minimum: DecimalOrNil(row.Minimum),
		Currency: row.Currency, TaxRate: row.TaxRate, ValidFrom: row.ValidFrom, ValidTo: row.ValidTo,
		Unit: row.Unit, Free: row.Free, FreeMode: billing.FreeMode(row.FreeMode), Rounding: billing.Rounding(row.Rounding), Times: row.Times,
		TonneKg: billing.TonneKg(row.TonneKg), TonneRounding: billing.Rounding(row.TonneRounding), TonneStep: row.TonneStep,
		BandOf: row.BandOf, BandMode: billing.BandMode(row.BandMode),
		Fixed: row.Fixed, Factor: DecimalOrNil(row.Factor), Maximum: DecimalOrNil(row.Maximum), MinimumAtZero: row.MinimumAtZero,
		DistanceLess: row.DistanceLess, DistanceUnit: row.DistanceUnit, DistancePower: DecimalOrNil(row.DistancePower),
		MassUnit: row.MassUnit, MassPower: DecimalOrNil(row.MassPower),
		TaxCategory: billing.TaxCategory(row.TaxCategory), TaxReason: row.TaxReason,
		UnitCode: row.UnitCode, Account: row.Account,
	}
	if len(row.Of) > 0 {
		t.Of = row.Of
	}
	if row.Decimals != nil {
		t.Decimals = new(int32(*row.Decimals))
	}
	var err error
	if t.When, err = billing.ParseWhen(row.When); err != nil {
		t.Unreadable = "when: " + err.Error()
	} else if t.During, err = billing.ParseDuring(row.During); err != nil {
		t.Unreadable = "during: " + err.Error()
	}
	return t
}

// DecimalOrNil turns a number of the database into one of package billing: nil
// where there is none.
func DecimalOrNil(d decimal.NullDecimal) *decimal.Decimal {
	if !d.Valid {
		return nil
	}
	return &d.Decimal
}
