package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// lateView says why a flight is on a later invoice than that of its period.
type lateView struct {
	FlightID string       `json:"flight_id"`
	FlownOn  billing.Date `json:"flown_on"`
	ClosesOn billing.Date `json:"closes_on"` // its own; none where the customer's periods are others by now
	RunAt    *time.Time   `json:"run_at"`    // null: before the billing start
	SavedAt  time.Time    `json:"saved_at"`
}

// lateFlights explains the late flights of an invoice.
func lateFlights(ctx context.Context, pool *pgxpool.Pool, invoice int64) ([]lateView, error) {
	q := dbsqlc.New(pool)
	rows, err := q.InvoiceLateFlights(ctx, invoice)
	if err != nil || len(rows) == 0 {
		return []lateView{}, err
	}
	settings, err := q.BillingSettingsGet(ctx)
	if err != nil {
		return nil, err
	}
	calendar, err := db.Settings{Timezone: settings.Timezone, Close: billing.CloseMode(settings.Close), BillingStart: settings.BillingStart}.Calendar()
	if err != nil {
		return nil, err
	}
	late := make([]lateView, len(rows))
	for i, f := range rows {
		customer := billing.Customer{Frequency: billing.Frequency(f.BillingFrequency), WeekEndsOn: int(f.WeekEndsOn)}
		own, _ := calendar.Period(customer, f.LandedOn, billing.Date{})
		late[i] = lateView{FlightID: f.FlightID, FlownOn: f.LandedOn, SavedAt: f.BilledAt}
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
		if run.Trigger != "start" {
			late[i].RunAt = &run.StartedAt
		}
	}
	return late, nil
}

// String is the reason in words.
func (l lateView) String() string {
	why := "its own period had been run"
	switch {
	case l.ClosesOn.IsZero():
	case l.RunAt == nil:
		why = fmt.Sprintf("its own closing date %s is before the billing start", l.ClosesOn)
	default:
		why = fmt.Sprintf("its own closing date %s had been run, at %s", l.ClosesOn, l.RunAt.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("late: %s, flown on %s, saved at %s: %s", l.FlightID, l.FlownOn, l.SavedAt.UTC().Format(time.RFC3339), why)
}
