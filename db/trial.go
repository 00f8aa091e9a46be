package db

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// LedgerFlight is a billed flight as it is in the ledger.
type LedgerFlight = dbsqlc.TrialFlightPageRow

// CountLedger counts the billed flights that moved from one day to another. Those whose
// invoice was voided and that were not billed again are left out.
func CountLedger(ctx context.Context, db dbsqlc.DBTX, from, to billing.Date) (int64, error) {
	n, err := dbsqlc.New(db).TrialFlightCount(ctx, dbsqlc.TrialFlightCountParams{FromDate: from, ToDate: to})
	if err != nil {
		return 0, fmt.Errorf("count the flights in the ledger: %w", err)
	}
	return n, nil
}

// LedgerPage returns the next of them after an id.
func LedgerPage(ctx context.Context, db dbsqlc.DBTX, after string, from, to billing.Date, most int) ([]LedgerFlight, error) {
	flights, err := dbsqlc.New(db).TrialFlightPage(ctx, dbsqlc.TrialFlightPageParams{
		After: after, FromDate: from, ToDate: to, Page: int32(most), //nolint:gosec // a page is small
	})
	if err != nil {
		return nil, fmt.Errorf("read the ledger after flight %q: %w", after, err)
	}
	return flights, nil
}

// LedgerCases returns what flights are priced from, with who paid for them last. A fact
// that they were billed from stays; one that they lacked is what the registers have now.
func (p *PriceBooks) LedgerCases(ctx context.Context, book *PriceBook, page []LedgerFlight) ([]billing.Case, error) {
	flights := make([]billing.Flight, len(page))
	for i, f := range page {
		if err := json.Unmarshal(f.Facts, &flights[i]); err != nil {
			return nil, fmt.Errorf("read the facts of flight %s in the ledger: %w", f.FlightID, err)
		}
		flights[i].ID = f.FlightID
	}
	if err := p.Learn(ctx, book, flights); err != nil {
		return nil, err
	}
	cases := make([]billing.Case, len(page))
	for i, f := range page {
		c, err := p.Case(ctx, book, flights[i], nil)
		if err != nil {
			return nil, err
		}
		var declared map[string]billing.Declared
		if err := json.Unmarshal(f.Declared, &declared); err != nil {
			return nil, fmt.Errorf("read the declared facts of flight %s in the ledger: %w", f.FlightID, err)
		}
		known := maps.Clone(declared)
		for _, now := range []map[string]billing.Declared{c.Aircraft, c.AircraftType} {
			for name, fact := range now {
				if _, kept := known[name]; !kept {
					known[name] = fact
				}
			}
		}
		c.Aircraft, c.AircraftType, c.First = known, nil, slices.Collect(maps.Keys(declared))
		c.MovedOn, c.Customer = f.LandedOn, billing.Customer{ID: f.CustomerID, Code: f.Customer}
		cases[i] = c
	}
	return cases, nil
}
