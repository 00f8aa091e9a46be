package db

import (
	"cmp"
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
// fails, nothing is saved of any. Two such transactions never wait for each
// other in a circle, whatever flights they have.
func SaveFlights(ctx context.Context, db dbsqlc.DBTX, saves []Save) ([]Outcome, error) {
	params := make([]dbsqlc.FlightSaveParams, len(saves))
	order := make([]int, len(saves))
	for i, save := range saves {
		var err error
		if params[i], err = save.params(); err != nil {
			return nil, err
		}
		order[i] = i
	}
	// The order in which locks are taken: that of drafts, then flights.
	slices.SortFunc(order, func(i, j int) int {
		x, y := &params[i], &params[j]
		return cmp.Or(cmp.Compare(x.CustomerID, y.CustomerID), x.ClosesOn.Compare(y.ClosesOn), cmp.Compare(x.FlightID, y.FlightID))
	})
	sorted := make([]dbsqlc.FlightSaveParams, len(saves))
	for at, i := range order {
		sorted[at] = params[i]
	}

	outcomes := make([]Outcome, len(saves))
	var failure error
	batch := dbsqlc.New(db).FlightSave(ctx, sorted)
	batch.QueryRow(func(at int, outcome string, err error) {
		outcomes[order[at]] = Outcome(outcome)
		if err != nil && failure == nil { // what follows only says that there was one
			failure = saveError(sorted[at].FlightID, err)
		}
	})
	// Postgres commits after the last outcome: whether it could shows only here.
	// QueryRow, which has closed the batch, does not say.
	if err := batch.Close(); err != nil && failure == nil {
		failure = fmt.Errorf("commit the save of %d flights, %s first: %w", len(sorted), sorted[0].FlightID, err)
	}
	if failure != nil {
		return nil, failure
	}
	return outcomes, nil
}

func saveError(flightID string, err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == sqlStateJobLost {
		return fmt.Errorf("%w: %s", ErrJobLost, pgErr.Message)
	}
	return fmt.Errorf("save flight %s: %w", flightID, err)
}

func (s Save) params() (dbsqlc.FlightSaveParams, error) {
	bill := s.Bill
	facts, err := json.Marshal(bill.Flight)
	if err != nil {
		return dbsqlc.FlightSaveParams{}, fmt.Errorf("encode the facts of flight %s: %w", bill.Flight.ID, err)
	}
	closesOn, late := bill.Book.Calendar.Period(bill.Customer, bill.LandedOn, bill.Book.Cutoff)
	params := dbsqlc.FlightSaveParams{
		PriceBookVersion: bill.Book.Version, Cutoff: bill.Book.Cutoff,
		FlightID: bill.Flight.ID, CustomerID: bill.Customer.ID, LandedOn: bill.LandedOn, Facts: facts,
		ClosesOn: closesOn, Late: late, At: s.At, Today: billing.DateOf(s.At, bill.Book.Calendar.Location),
	}
	if s.Job != nil {
		attempt := int16(s.Job.Attempt) //nolint:gosec // River's column is a smallint
		params.JobID, params.JobAttempt, params.JobClient = &s.Job.ID, &attempt, &s.Job.Client
	}
	for _, c := range bill.Charges {
		addLine(&params, c)
	}
	return params, nil
}

// sqlStateJobLost is what save_flight raises for a job in other hands.
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
