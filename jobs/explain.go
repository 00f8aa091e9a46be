package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// Explainer says what would be made of a flight now. It changes nothing.
type Explainer struct {
	Pool   *pgxpool.Pool
	Books  *db.PriceBooks
	Source FlightSource
	Bounds billing.Bounds
	Now    func() time.Time
}

// Explanation is what would be made of a flight now, and what was.
type Explanation struct {
	Refusal *billing.Error        // why it would not be billed; nil: it would
	Case    *billing.Case         // what it is priced from; nil: it is not in the source, or has not moved
	Tariffs []billing.Explanation // of all, by code and id; none without a case
	Charges []billing.Charge      // that it would have

	Billed  *db.BilledFlight  // nil: never
	Lines   []db.FlightCharge // that it has
	Differs bool              // from what a correction would make of them
}

// Explain explains a flight. payer is who is to pay; nil: the customer that has its
// aircraft or operator.
func (e *Explainer) Explain(ctx context.Context, id string, payer *billing.Customer) (*Explanation, error) {
	book, err := e.Books.Current(ctx)
	if err != nil {
		return nil, err
	}
	found := &Explanation{}
	if err := e.readLedger(ctx, id, found); err != nil {
		return nil, err
	}
	answers, err := e.Source.Flights(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	if err := answers[id].Err; err != nil {
		return found, found.refuse(err)
	}
	c, refused := caseOf(ctx, e.Books, book, answers[id].Flight, kept{payer: payer}, e.Now())
	if err := found.refuse(refused); err != nil || c.MovedOn.IsZero() {
		return found, err
	}
	found.Case, found.Tariffs = &c, billing.Explain(c, book.Tariffs, e.Bounds)
	if found.Refusal != nil {
		return found, nil //nolint:nilerr // it is what is told
	}
	if found.Charges, err = billing.Price(c, book.Tariffs, e.Bounds); err != nil {
		return found, found.refuse(err)
	}
	if found.Billed != nil {
		correction := found.Billed.Corrected(db.Bill{Flight: c.Flight, Customer: c.Customer, LandedOn: c.MovedOn, Declared: c.Declared(), Charges: found.Charges, Book: book})
		found.Differs = len(correction.Lines) > 0
	}
	return found, nil
}

func (e *Explainer) readLedger(ctx context.Context, id string, found *Explanation) (err error) {
	if found.Billed, err = db.ReadBilledFlight(ctx, e.Pool, id); err != nil || found.Billed == nil {
		return err
	}
	found.Lines, err = db.ReadFlightCharges(ctx, e.Pool, id)
	return err
}

// refuse notes why the flight is not billed. Any other error is returned: nothing is known
// of the flight then.
func (e *Explanation) refuse(err error) error {
	said, ok := errors.AsType[*billing.Error](err)
	switch {
	case err == nil:
		return nil
	case ok && (said.Kind == billing.Refused || said.Kind == billing.NotYet):
		e.Refusal = said
		return nil
	}
	return fmt.Errorf("explain the price: %w", err)
}
