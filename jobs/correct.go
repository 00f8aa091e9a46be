package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// Corrector corrects flights that were billed from wrong facts.
type Corrector struct {
	Pool   *pgxpool.Pool
	Books  *db.PriceBooks
	Source FlightSource
	Payer  db.Payer // empty: who was billed, unless aircraft, operator or day have changed
	Bounds billing.Bounds
	Now    func() time.Time
}

// Correction is what a correction did.
type Correction struct {
	Lines        []db.AdjustmentLine
	FactsChanged bool
	Customer     string // code of who pays now
}

// Correct reads a billed flight's facts anew, prices them at the tariffs in force
// for its date, and adds the difference to what it was charged.
func (c *Corrector) Correct(ctx context.Context, id string) (Correction, error) {
	answers, err := c.Source.Flights(ctx, []string{id})
	if err = cmp.Or(err, answers[id].Err); err != nil {
		return Correction{}, err
	}
	return c.correctTo(ctx, answers[id].Flight)
}

// correctTo corrects a billed flight to the facts given.
func (c *Corrector) correctTo(ctx context.Context, flight billing.Flight) (correction Correction, err error) {
	_, err = whileStale(ctx, c.Books, func(book *db.PriceBook) (outcome db.Outcome, err error) {
		correction, outcome, err = c.correct(ctx, book, flight)
		return outcome, err
	})
	switch {
	case errors.Is(err, errStale):
		return Correction{}, fmt.Errorf("flight %s: it, customers or tariffs changed %d times while it was being corrected", flight.ID, maxStale)
	case err != nil:
		return Correction{}, err
	}
	return correction, nil
}

func (c *Corrector) correct(ctx context.Context, book *db.PriceBook, flight billing.Flight) (Correction, db.Outcome, error) {
	billed, err := db.ReadBilledFlight(ctx, c.Pool, flight.ID)
	switch {
	case err != nil:
		return Correction{}, "", err
	case billed == nil:
		return Correction{}, "", fmt.Errorf("flight %s has not been billed: there is nothing to correct; enqueue it", flight.ID)
	case len(billed.Voids) > 0:
		return Correction{}, "", stillVoided(flight.ID, billed)
	}
	bill, err := price(ctx, c.Books, book, flight, kept{payer: c.payer(billed, book, flight)}, c.Bounds, c.Now())
	if err != nil {
		return Correction{}, "", err
	}
	adjustment := billed.Corrected(bill)
	differ, err := adjustment.FactsDiffer()
	if err != nil {
		return Correction{}, "", fmt.Errorf("compare the facts of flight %s: %w", flight.ID, err)
	}
	correction := Correction{Lines: adjustment.Lines, FactsChanged: differ, Customer: bill.Customer.Code}
	if !differ && len(adjustment.Lines) == 0 {
		return correction, db.Billed, nil
	}
	outcome, err := db.AdjustFlight(ctx, c.Pool, nil, adjustment, c.Now())
	return correction, outcome, err
}

// payer returns who pays, nil where aircraft and operator say it.
func (c *Corrector) payer(billed *db.BilledFlight, book *db.PriceBook, flight billing.Flight) *billing.Customer {
	if c.Payer == db.PayerBilled || c.Payer == "" && billed.SamePayer(flight, book.Calendar.MovementDate(flight)) {
		return &billed.Customer
	}
	return nil
}

func stillVoided(id string, billed *db.BilledFlight) error {
	numbers := strings.Join(each(billed.Voids, func(v db.Void) string { return v.Number }), ", ")
	if billed.RebillAsked() {
		return fmt.Errorf("flight %s is about to be billed again, since its invoice %s was voided; correct it after that (flight_processing_queue shows what it waits for)",
			id, numbers)
	}
	return fmt.Errorf("flight %s is not billed: its invoice %s was voided and it was not billed again; have that done first, with flightbill.rebill_invoice",
		id, numbers)
}
