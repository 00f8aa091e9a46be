package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"golang.org/x/sync/errgroup"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// Trial prices billed flights on paper: at the tariffs in force, and at others.
type Trial struct {
	Pool   *pgxpool.Pool
	Books  *db.PriceBooks
	Tried  *billing.TariffSet
	Bounds billing.Bounds
}

// trialPage is how many flights a processor takes at once.
const trialPage = 1_000

// Comparison says what flights come to at the tariffs in force, before, and at those that
// are tried, after.
type Comparison struct {
	Flights int64 // that were compared
	Changed int64 // those that come to something else
	Lines   []ComparedLine
	Refused []ComparedRefusal
}

// ComparedLine is what a customer's flights come to under a code.
type ComparedLine struct {
	Customer, Code, Currency string
	Flights                  int64 // that have such a charge, before or after
	Changed                  int64 // those of which it is another
	Before, After            decimal.Decimal
	TaxBefore, TaxAfter      decimal.Decimal
}

// ComparedRefusal is why flights cannot be billed, and how many.
type ComparedRefusal struct {
	Reason        billing.Reason
	Before, After int64
	Example       string // what is said of the first of them
}

// Compare prices all billed flights that moved from one day to another both ways, from the
// facts that they were billed from, on all processors. It saves nothing.
func (t *Trial) Compare(ctx context.Context, from, to billing.Date, progress func(done int64)) (Comparison, error) {
	book, err := t.Books.Refresh(ctx)
	if err != nil {
		return Comparison{}, err
	}
	pages := make(chan []db.LedgerFlight, 1)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(pages)
		return t.read(ctx, from, to, pages, progress)
	})
	tallies := make([]*trialTally, runtime.GOMAXPROCS(0))
	for i := range tallies {
		tallies[i] = newTrialTally()
		group.Go(func() error {
			for page := range pages {
				if err := t.compare(ctx, book, page, tallies[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = group.Wait()
	switch {
	case db.BookChanged(err):
		return Comparison{}, fmt.Errorf("customers, tariffs or registers were changed meanwhile; try the file again: %w", err)
	case err != nil:
		return Comparison{}, err
	}
	for _, tally := range tallies[1:] {
		tallies[0].add(tally)
	}
	return tallies[0].comparison(), nil
}

// read hands the flights out, page by page.
func (t *Trial) read(ctx context.Context, from, to billing.Date, pages chan<- []db.LedgerFlight, progress func(done int64)) error {
	var done int64
	after := ""
	for {
		page, err := db.LedgerPage(ctx, t.Pool, after, from, to, trialPage)
		if err != nil || len(page) == 0 {
			return err
		}
		select {
		case pages <- page:
		case <-ctx.Done():
			return ctx.Err()
		}
		after = page[len(page)-1].FlightID
		done += int64(len(page))
		progress(done)
	}
}

func (t *Trial) compare(ctx context.Context, book *db.PriceBook, page []db.LedgerFlight, tally *trialTally) error {
	cases, err := t.Books.LedgerCases(ctx, book, page)
	if err != nil {
		return err
	}
	for _, c := range cases {
		before, refusedBefore, err := t.price(c, book.Tariffs)
		if err != nil {
			return err
		}
		after, refusedAfter, err := t.price(c, t.Tried)
		if err != nil {
			return err
		}
		tally.refuse(c.Flight.ID, refusedBefore, func(r *ComparedRefusal) { r.Before++ })
		tally.refuse(c.Flight.ID, refusedAfter, func(r *ComparedRefusal) { r.After++ })
		tally.count(c.Customer, before, after)
	}
	return nil
}

// price returns the charges, or why there are none.
func (t *Trial) price(c billing.Case, tariffs *billing.TariffSet) ([]billing.Charge, *billing.Error, error) {
	charges, err := billing.Price(c, tariffs, t.Bounds)
	if refused, ok := errors.AsType[*billing.Error](err); ok {
		return nil, refused, nil
	}
	return charges, nil, err
}
