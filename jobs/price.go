package jobs

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// kept is what a price keeps of an earlier one.
type kept struct {
	payer    *billing.Customer           // nil: the customer that has the flight's aircraft or operator
	declared map[string]billing.Declared // nil: what the registers have now
}

// whileStale bills a flight of the ledger anew, and again while customers, tariffs, the
// cut-off or the ledger have changed meanwhile. A refusal counts only where it comes from
// the book now in force.
func whileStale(ctx context.Context, books *db.PriceBooks, bill func(*db.PriceBook) (db.Outcome, error)) (db.Outcome, error) {
	book, err := books.Current(ctx)
	for range maxStale {
		if err != nil {
			return "", err
		}
		outcome, failure := bill(book)
		_, refused := errors.AsType[*billing.Error](failure)
		switch {
		case failure == nil && (outcome == db.Billed || outcome == db.AlreadyBilled):
			return outcome, nil
		case failure != nil && !refused && !db.BookChanged(failure):
			return "", failure
		}
		before := book
		if book, err = books.Refresh(ctx); err == nil && refused && book == before {
			return "", failure
		}
	}
	return "", cmp.Or(err, errStale)
}

// price prices a flight.
func price(
	ctx context.Context, books *db.PriceBooks, book *db.PriceBook, flight billing.Flight, kept kept, bounds billing.Bounds, now time.Time,
) (db.Bill, error) {
	c, err := caseOf(ctx, books, book, flight, kept, now)
	if err != nil {
		return db.Bill{}, err
	}
	charges, err := billing.Price(c, book.Tariffs, bounds)
	if err != nil {
		return db.Bill{}, err
	}
	return db.Bill{Flight: flight, Customer: c.Customer, LandedOn: c.MovedOn, Declared: c.Declared(), Charges: charges, Book: book}, nil
}

// caseOf returns what a flight is priced from. Where nobody pays for it, all but the
// customer is there.
func caseOf(ctx context.Context, books *db.PriceBooks, book *db.PriceBook, flight billing.Flight, kept kept, now time.Time) (billing.Case, error) {
	if err := billing.CheckMoved(flight, now); err != nil {
		return billing.Case{}, err
	}
	c, err := books.Case(ctx, book, flight, kept.declared)
	if err != nil {
		return billing.Case{}, err
	}
	c.Now = now
	if kept.payer != nil {
		c.Customer = *kept.payer
		return c, nil
	}
	customer, known, err := books.Customer(ctx, book, flight)
	switch {
	case err != nil:
		return billing.Case{}, err
	case !known:
		return c, billing.NoCustomer(flight)
	}
	c.Customer = customer
	return c, nil
}
