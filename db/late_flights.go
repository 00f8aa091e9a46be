package db

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// LateFlight says why a flight is on a later invoice than that of its period.
type LateFlight struct {
	FlightID string       `json:"flight_id"`
	FlownOn  billing.Date `json:"flown_on"`
	ClosesOn billing.Date `json:"closes_on"` // its own; none where the customer's periods are others by now
	RunAt    *time.Time   `json:"run_at"`    // null: before the billing start
	SavedAt  time.Time    `json:"saved_at"`
}

// readLateFlights explains the late flights of an invoice.
func readLateFlights(ctx context.Context, q *dbsqlc.Queries, invoice int64) ([]LateFlight, error) {
	rows, err := q.InvoiceLateFlights(ctx, invoice)
	if err != nil || len(rows) == 0 {
		return []LateFlight{}, err
	}
	settings, err := q.BillingSettingsGet(ctx)
	if err != nil {
		return nil, err
	}
	calendar, err := Settings{Timezone: settings.Timezone, Close: billing.CloseMode(settings.Close), BillingStart: settings.BillingStart}.Calendar()
	if err != nil {
		return nil, err
	}
	late := make([]LateFlight, len(rows))
	for i, f := range rows {
		customer := billing.Customer{Frequency: billing.Frequency(f.BillingFrequency), WeekEndsOn: int(f.WeekEndsOn)}
		own, _ := calendar.Period(customer, f.LandedOn, billing.Date{})
		late[i] = LateFlight{FlightID: f.FlightID, FlownOn: f.LandedOn, SavedAt: f.BilledAt}
		run, err := q.BillingRunFirstFrom(ctx, own)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if run.StartedAt.After(f.BilledAt) { // not what made it late: frequency or closing mode were others
			continue
		}
		late[i].ClosesOn = own
		if Trigger(run.Trigger) != byStart {
			late[i].RunAt = &run.StartedAt
		}
	}
	return late, nil
}
