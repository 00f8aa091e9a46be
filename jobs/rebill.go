package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// billedBefore reports whether a job is marked as that of a flight of a voided
// invoice: enqueue_flights does so.
func billedBefore(job *rivertype.JobRow) bool {
	return bytes.Contains(job.Metadata, []byte(`"billed_before"`))
}

// rebill bills a flight of a voided invoice again, from the facts that were kept:
// the flight source is not asked. One for which that was not asked is refused.
func (w *IngestFlight) rebill(ctx context.Context, job *river.Job[IngestFlightArgs]) (db.Outcome, error) {
	id := job.Args.FlightID
	return w.withCurrentBook(ctx, id, func(book *db.PriceBook) (db.Outcome, error) {
		billed, err := db.ReadBilledFlight(ctx, w.Pool, id)
		switch {
		case err != nil:
			return "", err
		case billed == nil:
			return "", fmt.Errorf("flight %s is marked as billed before, and is not in the ledger", id)
		case len(billed.Voids) == 0:
			return db.AlreadyBilled, nil // River completes the job
		case !billed.RebillAsked():
			return "", w.refuseVoided(ctx, id)
		}
		bill, err := w.price(ctx, book, billed.Flight)
		if err != nil {
			return "", fromKeptFacts(billed, err)
		}
		return db.AdjustFlight(ctx, w.Pool, jobOf(job), billed.Rebilled(bill), w.Now())
	})
}

func (w *IngestFlight) refuseVoided(ctx context.Context, id string) error {
	message, err := dbsqlc.New(w.Pool).VoidedFlightMessage(ctx, id)
	if err != nil {
		return fmt.Errorf("look why flight %s is not billed again: %w", id, err)
	}
	return &billing.Error{Kind: billing.Refused, Reason: billing.ReasonInvoiceVoided, Message: message}
}

// fromKeptFacts says of a refusal that it is about the facts in the ledger: to
// correct the flight source would not help.
func fromKeptFacts(billed *db.BilledFlight, err error) error {
	var refusal *billing.Error
	if !errors.As(err, &refusal) || refusal.Kind == billing.Outage {
		return err
	}
	return &billing.Error{Kind: billing.Refused, Reason: refusal.Reason, Err: refusal, Message: fmt.Sprintf(
		"voided invoice %s is to be billed again from the facts kept in billed_flights", billed.Voids[len(billed.Voids)-1].Number)}
}
