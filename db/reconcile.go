package db

import (
	"context"
	"fmt"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// LedgerEntry is a flight that was billed.
type LedgerEntry = dbsqlc.ReconcileLedgerPageRow

// LedgerEntries returns a page of the flights that were billed with a date from one day to another, in
// the order of their ids: the next after an id.
func LedgerEntries(ctx context.Context, db dbsqlc.DBTX, after string, from, to billing.Date, most int) ([]LedgerEntry, error) {
	page, err := dbsqlc.New(db).ReconcileLedgerPage(ctx, dbsqlc.ReconcileLedgerPageParams{
		After: after, FromDate: from, ToDate: to, Page: int32(most), //nolint:gosec // a page is small
	})
	if err != nil {
		return nil, fmt.Errorf("read the ledger after flight %q: %w", after, err)
	}
	return page, nil
}

// FlightState is what flightbill has of a flight at one moment: when it moved as it was billed, and its
// state in the queue.
type FlightState = dbsqlc.ReconcileFlightStatesRow

// FlightStates returns what flightbill has of flights, whether it has anything of them or not.
func FlightStates(ctx context.Context, db dbsqlc.DBTX, ids []string) (map[string]FlightState, error) {
	rows, err := dbsqlc.New(plannedAnew{db}).ReconcileFlightStates(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("look up %d flights in queue and ledger: %w", len(ids), err)
	}
	states := make(map[string]FlightState, len(rows))
	for _, row := range rows {
		states[row.FlightID] = row
	}
	return states, nil
}
