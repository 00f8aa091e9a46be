package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
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

// Job names the attempt at a River job that a save completes.
type Job struct {
	ID      int64
	Attempt int
	Client  string // the River client that works this attempt
}

// Bill is a priced flight, ready to be saved.
type Bill struct {
	Flight   billing.Flight
	Customer billing.Customer
	LandedOn billing.Date
	Charges  []billing.Charge
	Book     *PriceBook // what it was priced from
}

// Save is a bill to be saved, and the job that is completed with it.
type Save struct {
	Job  *Job // nil: a save without a job
	Bill Bill
	At   time.Time
}

// SaveFlight bills a flight and completes its job in one transaction and one
// round trip. ErrJobLost means that the job is in other hands by now and that
// nothing was saved. db may be a pool or a transaction.
func SaveFlight(ctx context.Context, db dbsqlc.DBTX, job *Job, bill Bill, now time.Time) (Outcome, error) {
	outcomes, err := SaveFlights(ctx, db, []Save{{job, bill, now}})
	if err != nil {
		return "", err
	}
	return outcomes[0], nil
}

// SaveFlights is SaveFlight for several flights in one transaction: where one
// fails, nothing is saved of any. They are priced from one book, their jobs are
// one client's, and no flight comes twice. Two such transactions never wait for
// each other in a circle, whatever flights they have.
func SaveFlights(ctx context.Context, db dbsqlc.DBTX, saves []Save) ([]Outcome, error) {
	first := saves[0]
	book := first.Bill.Book
	params := dbsqlc.FlightSaveParams{
		PriceBookVersion: book.Version, Cutoff: book.Cutoff,
		At: first.At, Today: billing.DateOf(first.At, book.Calendar.Location),
	}
	for _, save := range saves {
		if err := add(&params, book, save); err != nil {
			return nil, err
		}
	}
	rows, err := dbsqlc.New(db).FlightSave(ctx, params)
	if err != nil {
		return nil, saveError(saves, err)
	}
	outcomes := make([]Outcome, len(saves))
	for i := range outcomes {
		outcomes[i] = Outcome(rows[i])
	}
	return outcomes, nil
}

func saveError(saves []Save, err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == sqlStateJobLost {
		return fmt.Errorf("%w: %s", ErrJobLost, pgErr.Message)
	}
	if others := len(saves) - 1; others > 0 {
		return fmt.Errorf("save flight %s and %d others: %w", saves[0].Bill.Flight.ID, others, err)
	}
	return fmt.Errorf("save flight %s: %w", saves[0].Bill.Flight.ID, err)
}

// add adds a flight, its job and its charges to the arrays of a save.
func add(p *dbsqlc.FlightSaveParams, book *PriceBook, save Save) error {
	bill := save.Bill
	id := bill.Flight.ID
	facts, err := json.Marshal(bill.Flight)
	if err != nil {
		return fmt.Errorf("encode the facts of flight %s: %w", id, err)
	}
	var job Job
	if save.Job != nil {
		job = *save.Job
		if p.JobClient != "" && p.JobClient != job.Client {
			return fmt.Errorf("flight %s: the saves of one transaction are for jobs of %s and of %s", id, p.JobClient, job.Client)
		}
		p.JobClient = job.Client
	}
	if bill.Book != book || slices.Contains(p.FlightIds, id) {
		return fmt.Errorf("flight %s comes twice in one transaction, or is priced from another book than the rest", id)
	}
	p.JobIds = append(p.JobIds, job.ID)
	p.JobAttempts = append(p.JobAttempts, int16(job.Attempt)) //nolint:gosec // River's column is a smallint

	closesOn, late := book.Calendar.Period(bill.Customer, bill.LandedOn, book.Cutoff)
	p.FlightIds = append(p.FlightIds, id)
	p.CustomerIds = append(p.CustomerIds, bill.Customer.ID)
	p.LandedOn = append(p.LandedOn, bill.LandedOn)
	p.Facts = append(p.Facts, facts)
	p.ClosesOn = append(p.ClosesOn, closesOn)
	p.Late = append(p.Late, late)
	for _, c := range bill.Charges {
		p.LineOf = append(p.LineOf, int32(len(p.FlightIds))) //nolint:gosec // at most maxGroup
		addLine(p, c)
	}
	return nil
}

// sqlStateJobLost is what save_flights raises for a job in other hands.
const sqlStateJobLost = "FB001"

// addLine adds a charge to the arrays of a save. Decimals go as text, so that
// they arrive as they are; money with all decimals of its currency.
func addLine(p *dbsqlc.FlightSaveParams, c billing.Charge) {
	places, _ := billing.MinorUnits(c.Currency) // billing.Price knows the currency
	p.TariffIds = append(p.TariffIds, c.TariffID)
	p.Codes = append(p.Codes, c.Code)
	p.Descriptions = append(p.Descriptions, c.Description)
	p.Quantities = append(p.Quantities, c.Quantity.String())
	p.UnitRates = append(p.UnitRates, c.UnitRate.String())
	p.Amounts = append(p.Amounts, c.Amount.StringFixed(places))
	p.TaxRates = append(p.TaxRates, c.TaxRate.String())
	p.TaxAmounts = append(p.TaxAmounts, c.TaxAmount.StringFixed(places))
	p.Currencies = append(p.Currencies, c.Currency)
}
