package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
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
	if filter.Customer != "" {
		if _, err := ReadCustomer(ctx, db, filter.Customer); err != nil {
			return nil, err
		}
	}
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

// ReadCustomer reads a customer by its code.
func ReadCustomer(ctx context.Context, db dbsqlc.DBTX, code string) (billing.Customer, error) {
	row, err := dbsqlc.New(db).CustomerGet(ctx, code)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return billing.Customer{}, fmt.Errorf("customer %q is not known", code)
	case err != nil:
		return billing.Customer{}, fmt.Errorf("read customer %q: %w", code, err)
	}
	return *customerOf(row.ID, row.Code, row.Name, row.BillingFrequency, row.WeekEndsOn), nil
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

	Charges     []InvoiceCharge
	LateFlights []LateFlight
	Payments    []Payment
	Events      []dbsqlc.InvoiceEventsRow
}

// InvoiceCharge is a charge on an invoice.
type InvoiceCharge struct {
	dbsqlc.InvoiceChargesRow

	Detail []billing.Step // how the amount came about
}

// FlightCharge is a line that a flight has, and where.
type FlightCharge struct {
	dbsqlc.FlightChargesRow

	Detail []billing.Step // how the amount came about
}

// ReadFlightCharges reads the lines that a flight has, in the order in which they came.
func ReadFlightCharges(ctx context.Context, db dbsqlc.DBTX, id string) ([]FlightCharge, error) {
	rows, err := dbsqlc.New(db).FlightCharges(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read the charges of flight %s: %w", id, err)
	}
	charges := make([]FlightCharge, len(rows))
	for i, row := range rows {
		charges[i].FlightChargesRow = row
		if charges[i].Detail, err = detailOf(id, row.Code, row.Detail); err != nil {
			return nil, err
		}
	}
	return charges, nil
}

// detailOf reads how an amount came about.
func detailOf(flight, code string, detail []byte) ([]billing.Step, error) {
	steps := []billing.Step{}
	if len(detail) == 0 {
		return steps, nil
	}
	if err := json.Unmarshal(detail, &steps); err != nil {
		return nil, fmt.Errorf("read how %s of flight %s came about (charges.detail): %w", code, flight, err)
	}
	return steps, nil
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
	charges, err := q.InvoiceCharges(ctx, row.ID)
	if err != nil {
		return nil, fmt.Errorf("read the charges of invoice %s: %w", name, err)
	}
	for _, c := range charges {
		steps, err := detailOf(c.FlightID, c.Code, c.Detail)
		if err != nil {
			return nil, err
		}
		invoice.Charges = append(invoice.Charges, InvoiceCharge{c, steps})
	}
	if invoice.LateFlights, err = readLateFlights(ctx, q, row.ID); err != nil {
		return nil, fmt.Errorf("read why flights of invoice %s are late: %w", name, err)
	}
	if invoice.Payments, err = ListPayments(ctx, db, PaymentFilter{InvoiceID: &row.ID, MaxRows: math.MaxInt32}); err != nil {
		return nil, err
	}
	if invoice.Events, err = q.InvoiceEvents(ctx, row.ID); err != nil {
		return nil, fmt.Errorf("read the story of invoice %s: %w", name, err)
	}
	return invoice, nil
}
