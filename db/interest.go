package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// Interest is a line of interest on an invoice that is, or was, paid late.
type Interest struct {
	Customer string
	dbsqlc.InterestChargeRow
}

// errDryRun rolls back.
var errDryRun = errors.New("dry run")

// ChargeInterest charges interest through a day to a customer, or to all that have a rate, one
// in each transaction. A dry run charges nobody, and returns what would be.
func ChargeInterest(
	ctx context.Context, pool *pgxpool.Pool, calendar billing.Calendar, customer string, through billing.Date, now time.Time, dryRun bool,
) ([]Interest, error) {
	if customer != "" {
		if _, err := ReadCustomer(ctx, pool, customer); err != nil {
			return nil, err
		}
	}
	codes, err := dbsqlc.New(pool).InterestCustomers(ctx, customer)
	if err != nil {
		return nil, fmt.Errorf("read who pays interest: %w", err)
	}
	var charged []Interest
	for _, code := range codes {
		err := pgx.BeginTxFunc(ctx, pool, ReadCommitted, func(tx pgx.Tx) error {
			rows, err := dbsqlc.New(tx).InterestCharge(ctx, dbsqlc.InterestChargeParams{
				Customer: code, Through: through, At: now, Today: billing.DateOf(now, calendar.Location),
			})
			if err != nil {
				return err
			}
			for _, row := range rows {
				charged = append(charged, Interest{code, row})
			}
			if dryRun {
				return errDryRun
			}
			return nil
		})
		if err != nil && !errors.Is(err, errDryRun) {
			return charged, fmt.Errorf("charge customer %q interest: %w", code, err)
		}
	}
	return charged, nil
}
