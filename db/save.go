package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flightbill/flightbill/billing"
)

// Outcome is what a save came to.
type Outcome string

const (
	// Billed: the flight is in the ledger with its charges.
	Billed Outcome = "billed"
	// AlreadyBilled: it had been; only the job was completed.
	AlreadyBilled Outcome = "already_billed"
	// Stale: nothing was changed, because the price came from an old PriceBook.
	Stale Outcome = "stale"
	// Voided: nothing was changed, because it had been billed and its invoice was
	// voided.
	Voided Outcome = "voided"
	// Changed: nothing was changed, because the ledger is newer than what was read
	// of it.
	Changed Outcome = "changed"
)

// Bill is a priced flight, ready to be saved.
type Bill struct {
	Flight   billing.Flight
	Customer billing.Customer
	LandedOn billing.Date // its movement date
	Declared map[string]billing.Declared
	Charges  []billing.Charge
	Book     *PriceBook // what it was priced from
}

// Save is a bill to be saved, and the job that is completed with it.
type Save struct {
	Job  *Job // nil: a save without a job
	Bill Bill
	At   time.Time
}

// Sender is a pool or a transaction.
type Sender interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// SaveFlights bills flights and completes their jobs in one transaction and one round
// trip: where one fails, nothing is saved of any. They are priced from one book, their
// jobs are one client's, and no flight comes twice. Two such transactions never wait for
// each other in a circle, whatever flights they have.
func SaveFlights(ctx context.Context, db Sender, saves []Save) ([]Outcome, error) {
	var outcomes []Outcome
	batch := beginBatch()
	if err := queueSave(batch, saves, &outcomes); err != nil {
		return nil, err
	}
	if err := db.SendBatch(ctx, batch).Close(); err != nil {
		return nil, saveError(saves, err)
	}
	return outcomes, nil
}

const saveFlights = `SELECT flightbill.save_flights($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
	$20::text[]::numeric[], $21::text[]::numeric[], $22::text[]::numeric[], $23::text[]::numeric[], $24::text[]::numeric[], $25, $26)`

// queueSave adds saves to a batch.
func queueSave(batch *pgx.Batch, saves []Save, outcomes *[]Outcome) error {
	first := saves[0]
	book := first.Bill.Book
	var p saveArrays
	for _, save := range saves {
		if err := p.add(book, save); err != nil {
			return err
		}
	}
	batch.Queue(saveFlights, book.Version, book.Cutoff, first.At, billing.DateOf(first.At, book.Calendar.Location),
		p.jobClient, p.jobIDs, p.jobAttempts, p.jobAttemptedAt,
		p.flightIDs, p.customerIDs, p.landedOn, p.facts, p.declared, p.closesOn, p.late,
		p.lineOf, p.tariffIDs, p.codes, p.descriptions, p.quantities, p.unitRates, p.amounts, p.taxRates, p.taxAmounts, p.currencies, p.details,
	).QueryRow(func(row pgx.Row) error { return row.Scan(outcomes) })
	return nil
}

func saveError(saves []Save, err error) error {
	of := "flight " + saves[0].Bill.Flight.ID
	if others := len(saves) - 1; others > 0 {
		of = fmt.Sprintf("%s and %d others", of, others)
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case pgErr.Code == sqlStateJobLost:
			return fmt.Errorf("%w: %s", ErrJobLost, pgErr.Message)
		case pgErr.Code == sqlStateLocked && strings.Contains(pgErr.Where, "customers"): // it names the relation
			return fmt.Errorf("save %s: %w: %w", of, ErrCustomerLocked, err)
		case pgErr.Code == sqlStateLocked:
			return fmt.Errorf("save %s: %w: %w", of, ErrLocked, err)
		}
	}
	return fmt.Errorf("save %s: %w", of, err)
}

// saveArrays are the arguments of save_flights, an element a flight, and of the lines an
// element a charge.
type saveArrays struct {
	jobClient      string
	jobIDs         []int64
	jobAttempts    []int16
	jobAttemptedAt []time.Time

	flightIDs   []string
	customerIDs []int64
	landedOn    []billing.Date
	facts       [][]byte
	declared    [][]byte
	closesOn    []billing.Date
	late        []bool

	lineOf                                               []int32
	tariffIDs                                            []int64
	codes, descriptions                                  []string
	quantities, unitRates, amounts, taxRates, taxAmounts []string
	currencies                                           []string
	details                                              [][]byte // nil: none
}

// add adds a flight, its job and its charges.
func (p *saveArrays) add(book *PriceBook, save Save) error {
	bill := save.Bill
	id := bill.Flight.ID
	facts, declared, err := bill.encode()
	if err != nil {
		return err
	}
	var job Job
	if save.Job != nil {
		job = *save.Job
		if p.jobClient != "" && p.jobClient != job.Client {
			return fmt.Errorf("flight %s: the saves of one transaction are for jobs of %s and of %s", id, p.jobClient, job.Client)
		}
		p.jobClient = job.Client
	}
	if bill.Book != book || slices.Contains(p.flightIDs, id) {
		return fmt.Errorf("flight %s comes twice in one transaction, or is priced from another book than the rest", id)
	}
	p.jobIDs = append(p.jobIDs, job.ID)
	p.jobAttempts = append(p.jobAttempts, int16(job.Attempt)) //nolint:gosec // River's column is a smallint
	p.jobAttemptedAt = append(p.jobAttemptedAt, job.AttemptedAt)

	closesOn, late := book.Calendar.Period(bill.Customer, bill.LandedOn, book.Cutoff)
	p.flightIDs = append(p.flightIDs, id)
	p.customerIDs = append(p.customerIDs, bill.Customer.ID)
	p.landedOn = append(p.landedOn, bill.LandedOn)
	p.facts = append(p.facts, facts)
	p.declared = append(p.declared, declared)
	p.closesOn = append(p.closesOn, closesOn)
	p.late = append(p.late, late)
	for _, c := range bill.Charges {
		p.lineOf = append(p.lineOf, int32(len(p.flightIDs))) //nolint:gosec // a batch is small
		if err := p.addLine(c); err != nil {
			return fmt.Errorf("encode the detail of %s of flight %s: %w", c.Code, id, err)
		}
	}
	return nil
}

var nothingDeclared = []byte("{}")

// encode returns the facts of a bill as the ledger keeps them.
func (b *Bill) encode() (facts, declared []byte, err error) {
	if facts, err = json.Marshal(b.Flight); err != nil {
		return nil, nil, fmt.Errorf("encode the facts of flight %s: %w", b.Flight.ID, err)
	}
	if len(b.Declared) == 0 {
		return facts, nothingDeclared, nil
	}
	if declared, err = encodeDeclared(b.Declared); err != nil {
		return nil, nil, fmt.Errorf("encode the declared facts of flight %s: %w", b.Flight.ID, err)
	}
	return facts, declared, nil
}

// encodeDeclared is json.Marshal, which takes three times as long for a map. Names of
// facts have nothing to escape.
func encodeDeclared(declared map[string]billing.Declared) ([]byte, error) {
	text := make([]byte, 0, 80*len(declared))
	for name, d := range declared {
		value, err := d.Value.MarshalJSON()
		if err != nil {
			return nil, err
		}
		from, err := json.Marshal(d.From)
		if err != nil {
			return nil, err
		}
		text = append(append(append(text, `,"`...), name...), `":{"value":`...)
		text = append(append(append(append(text, value...), `,"from":`...), from...), '}')
	}
	text[0] = '{'
	return append(text, '}'), nil
}

// What save_flights raises for a job in other hands, and Postgres for a lock that is not
// to be had in time.
const (
	sqlStateJobLost = "FB001"
	sqlStateLocked  = "55P03"
)

// addLine adds a charge to the arrays of a save. Decimals go as text, so that
// they arrive as they are; money with all decimals of its currency.
func (p *saveArrays) addLine(c billing.Charge) (err error) {
	places, _ := billing.MinorUnits(c.Currency) // billing.Price knows the currency
	p.tariffIDs = append(p.tariffIDs, c.TariffID)
	p.codes = append(p.codes, c.Code)
	p.descriptions = append(p.descriptions, c.Description)
	p.quantities = append(p.quantities, c.Quantity.String())
	p.unitRates = append(p.unitRates, c.UnitRate.String())
	p.amounts = append(p.amounts, c.Amount.StringFixed(places))
	p.taxRates = append(p.taxRates, c.TaxRate.String())
	p.taxAmounts = append(p.taxAmounts, c.TaxAmount.StringFixed(places))
	p.currencies = append(p.currencies, c.Currency)
	var detail []byte
	if len(c.Detail) > 0 {
		detail, err = json.Marshal(c.Detail)
	}
	p.details = append(p.details, detail)
	return err
}
