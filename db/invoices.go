package db

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// InvoiceFilter says which invoices to list, and at most how many. No customer: all
// customers'. No status: of any status.
type InvoiceFilter = dbsqlc.InvoiceListParams

// ListInvoices lists invoices. A draft's sums are those of its charges so far.
func ListInvoices(ctx context.Context, db dbsqlc.DBTX, filter InvoiceFilter) ([]dbsqlc.InvoiceListRow, error) {
	invoices, err := dbsqlc.New(db).InvoiceList(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("list invoices: %w", err)
	}
	return invoices, nil
}

// SumInvoices sums invoices by customer, status and currency.
func SumInvoices(ctx context.Context, db dbsqlc.DBTX) ([]dbsqlc.InvoiceSummaryRow, error) {
	sums, err := dbsqlc.New(db).InvoiceSummary(ctx)
	if err != nil {
		return nil, fmt.Errorf("sum the invoices: %w", err)
	}
	return sums, nil
}

// ListClosings lists the closing dates between two days, with both of them, as the
// view billing_calendar has them.
func ListClosings(ctx context.Context, db dbsqlc.DBTX, from, to billing.Date) ([]dbsqlc.BillingCalendarListRow, error) {
	closings, err := dbsqlc.New(db).BillingCalendarList(ctx, dbsqlc.BillingCalendarListParams{FromDate: from, ToDate: to})
	if err != nil {
		return nil, fmt.Errorf("read the billing calendar: %w", err)
	}
	return closings, nil
}

// UnmarkInvoicePaid takes back a payment that was marked by mistake.
func UnmarkInvoicePaid(ctx context.Context, db dbsqlc.DBTX, number, reason string) error {
	if err := dbsqlc.New(db).InvoiceUnmarkPaid(ctx, dbsqlc.InvoiceUnmarkPaidParams{Number: number, Reason: reason}); err != nil {
		return fmt.Errorf("take back a payment: %w", err)
	}
	return nil
}

// Invoice is all there is to an invoice.
type Invoice struct {
	dbsqlc.InvoiceGetRow

	Charges     []dbsqlc.InvoiceChargesRow
	LateFlights []LateFlight
	Events      []dbsqlc.InvoiceEventsRow
}

// ReadInvoice reads an invoice by its number, or a draft by its id.
func ReadInvoice(ctx context.Context, db dbsqlc.DBTX, name string) (*Invoice, error) {
	q := dbsqlc.New(db)
	params := dbsqlc.InvoiceGetParams{Number: &name}
	if id, err := strconv.ParseInt(name, 10, 64); err == nil {
		params = dbsqlc.InvoiceGetParams{ID: &id}
	}
	row, err := q.InvoiceGet(ctx, params)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("invoice %s is not known; flightbill invoices list shows numbers, and the ids of drafts", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read invoice %s: %w", name, err)
	}
	invoice := &Invoice{InvoiceGetRow: row}
	if invoice.Charges, err = q.InvoiceCharges(ctx, row.ID); err != nil {
		return nil, fmt.Errorf("read the charges of invoice %s: %w", name, err)
	}
	if invoice.LateFlights, err = readLateFlights(ctx, q, row.ID); err != nil {
		return nil, fmt.Errorf("read why flights of invoice %s are late: %w", name, err)
	}
	if invoice.Events, err = q.InvoiceEvents(ctx, row.ID); err != nil {
		return nil, fmt.Errorf("read the story of invoice %s: %w", name, err)
	}
	return invoice, nil
}
