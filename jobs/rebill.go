package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/riverqueue/river/rivertype"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// billedBefore reports whether a job is marked as that of a flight of a voided
// invoice: enqueue_flights does so.
func billedBefore(job *rivertype.JobRow) bool {
	return bytes.Contains(job.Metadata, []byte(`"billed_before":`))
}

// rebill bills a flight of a voided invoice again, from the facts that were kept:
// the flight source is not asked. One for which that was not asked is refused.
func (w *IngestFlight) rebill(ctx context.Context, a *attempt) {
	outcome, err := whileStale(ctx, w.books, func(book *db.PriceBook) (db.Outcome, error) { return w.rebillFrom(ctx, book, a) })
	switch {
	case err != nil:
		w.decide(ctx, a, err)
	case outcome == db.AlreadyBilled:
		a.verdict = &verdict{ending: done}
	default:
		a.verdict, a.written = &verdict{ending: billed}, true
		w.tell(ctx, a)
	}
}

func (w *IngestFlight) rebillFrom(ctx context.Context, book *db.PriceBook, a *attempt) (db.Outcome, error) {
	billed, err := db.ReadBilledFlight(ctx, w.pool, a.flightID)
	switch {
	case err != nil:
		return "", err
	case billed == nil:
		return "", fmt.Errorf("flight %s is marked as billed before, and is not in the ledger", a.flightID)
	case len(billed.Voids) == 0:
		return db.AlreadyBilled, nil
	case !billed.RebillAsked():
		return "", w.refuseVoided(ctx, a.flightID)
	}
	kept := kept{&billed.Customer, billed.Declared}
	if billed.RebillPayer() == db.PayerRegister {
		kept.payer = nil
	}
	bill, err := price(ctx, w.books, book, billed.Flight, kept, w.bounds, w.now())
	if err != nil {
		return "", fromKeptFacts(billed, err)
	}
	if err := w.locked.check(bill.Customer); err != nil {
		return "", err
	}
	job := db.JobOf(a.JobRow)
	outcome, err := db.AdjustFlight(ctx, w.pool, &job, billed.Rebilled(bill), w.now())
	switch {
	case errors.Is(err, db.ErrCustomerLocked):
		err = w.locked.note(bill.Customer, err)
	case errors.Is(err, db.ErrLocked):
		err = flightLocked(a, err)
	}
	return outcome, err
}

func (w *IngestFlight) refuseVoided(ctx context.Context, id string) error {
	why, err := dbsqlc.New(w.pool).VoidedFlightMessage(ctx, id)
	if err != nil {
		return fmt.Errorf("look why flight %s is not billed again: %w", id, err)
	}
	return &billing.Error{Kind: billing.Refused, Reason: billing.ReasonInvoiceVoided, Message: why.Message, Public: why.Public}
}

// fromKeptFacts says of a refusal that it is about the facts in the ledger: to
// correct the flight source would not help.
func fromKeptFacts(billed *db.BilledFlight, err error) error {
	var refusal *billing.Error
	if !errors.As(err, &refusal) || refusal.Kind == billing.Outage {
		return err
	}
	var asked db.Void
	for _, void := range billed.Voids {
		if void.Rebill {
			asked = void
		}
	}
	return &billing.Error{Kind: billing.Refused, Reason: refusal.Reason, Err: refusal, Message: fmt.Sprintf(
		"voided invoice %s is to be billed again from the facts kept in billed_flights (payer: %s)", asked.Number, billed.RebillPayer()),
		Public: "its voided invoice is to be billed again from the facts that were kept: " + refusal.ForQueue()}
}
