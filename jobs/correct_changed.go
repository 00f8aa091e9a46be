package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// Changes says what CorrectChanged found.
type Changes struct {
	Compared  int64             // billed flights that the source still has
	Gone      int64             // those that it has no longer
	Corrected []CorrectedFlight // those whose facts have changed
	Refused   []error           // those that cannot be priced from their new facts, or read
}

// CorrectedFlight is a flight and what its correction did.
type CorrectedFlight struct {
	FlightID string
	Correction
}

// CorrectChanged compares the billed flights that landed from one day to another, of
// which no date is no bound, with the flight source, and corrects those whose facts
// have changed since they were billed. Where it fails, it has corrected what it returns.
func (c *Corrector) CorrectChanged(ctx context.Context, from, to billing.Date, progress func(compared int64)) (Changes, error) {
	var changes Changes
	after := ""
	for {
		page, err := db.BilledFlights(ctx, c.Pool, after, from, to, MaxBatch)
		if err != nil || len(page) == 0 {
			return changes, err
		}
		if err := c.correctPage(ctx, page, &changes); err != nil {
			return changes, err
		}
		after = page[len(page)-1].ID
		progress(changes.Compared + changes.Gone)
	}
}

func (c *Corrector) correctPage(ctx context.Context, billed []billing.Flight, changes *Changes) error {
	answers, err := c.Source.Flights(ctx, each(billed, func(f billing.Flight) string { return f.ID }))
	if err != nil {
		return err
	}
	for _, kept := range billed {
		answer := answers[kept.ID]
		refusal, _ := errors.AsType[*billing.Error](answer.Err)
		switch {
		case refusal != nil && refusal.Reason == billing.ReasonFlightUnknown:
			changes.Gone++
			continue
		case answer.Err != nil:
			changes.Compared++
			changes.Refused = append(changes.Refused, answer.Err)
			continue
		}
		changes.Compared++
		same, err := db.SameFacts(kept, answer.Flight)
		if err != nil {
			return fmt.Errorf("compare the facts of flight %s: %w", kept.ID, err)
		}
		if same {
			continue
		}
		correction, err := c.correctTo(ctx, answer.Flight)
		switch {
		case err == nil:
			changes.Corrected = append(changes.Corrected, CorrectedFlight{kept.ID, correction})
		case db.Away(err) || ctx.Err() != nil:
			return err
		default: // one that is locked, voided meanwhile or cannot be priced holds up no other
			changes.Refused = append(changes.Refused, err)
		}
	}
	return nil
}
