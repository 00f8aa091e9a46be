package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/db/dbsqlc"
)

// VoidedFlights are how many of a voided invoice's flights a customer is to pay, were
// they billed again; without a code, nobody.
type VoidedFlights = dbsqlc.VoidedFlightPayersRow

// VoidInvoice voids an issued invoice by a credit note, and counts the flights on
// it. With rebill they go back to the queue.
func VoidInvoice(
	ctx context.Context, pool *pgxpool.Pool, number, reason string, rebill bool, payer Payer,
) (creditNote string, flights []VoidedFlights, err error) {
	err = pgx.BeginTxFunc(ctx, pool, ReadCommitted, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		var err error
		if creditNote, err = q.InvoiceVoid(ctx, dbsqlc.InvoiceVoidParams{Number: number, Reason: reason, Rebill: rebill, Payer: string(payer)}); err != nil {
			return fmt.Errorf("void: %w", err)
		}
		if flights, err = q.VoidedFlightPayers(ctx, creditNote); err != nil {
			return fmt.Errorf("count the flights of credit note %s: %w", creditNote, err)
		}
		return nil
	})
	return creditNote, flights, err
}
