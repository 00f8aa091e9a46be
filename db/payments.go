package db

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// Payment is money that moved, a set-off, or a rest that was written off.
type Payment = dbsqlc.PaymentListRow

// PaymentFilter says which payments to list, and at most how many.
type PaymentFilter = dbsqlc.PaymentListParams

// ListPayments lists payments in the order of their days.
func ListPayments(ctx context.Context, db dbsqlc.DBTX, filter PaymentFilter) ([]Payment, error) {
	if filter.Customer != "" {
		if _, err := ReadCustomer(ctx, db, filter.Customer); err != nil {
			return nil, err
		}
	}
	payments, err := dbsqlc.New(db).PaymentList(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("list payments: %w", err)
	}
	return payments, nil
}

// NewPayment is what is told of a payment: money that came in is above 0. Without a
// reference of the bank, the same told twice is two payments.
type NewPayment = dbsqlc.PaymentRecordParams

// RecordPayment records a payment, and returns its id.
func RecordPayment(ctx context.Context, db dbsqlc.DBTX, payment NewPayment) (int64, error) {
	id, err := dbsqlc.New(db).PaymentRecord(ctx, payment)
	if err != nil {
		return 0, fmt.Errorf("record a payment: %w", err)
	}
	return id, nil
}

// ReversePayment takes a payment back, and returns the id of what does.
func ReversePayment(ctx context.Context, db dbsqlc.DBTX, id int64, reason string) (int64, error) {
	reversal, err := dbsqlc.New(db).PaymentReverse(ctx, dbsqlc.PaymentReverseParams{ID: id, Reason: reason})
	if err != nil {
		return 0, fmt.Errorf("take back a payment: %w", err)
	}
	return reversal, nil
}

// SetOff uses what is a customer's on one document for another: an amount, or as much as goes.
// It returns how much.
func SetOff(ctx context.Context, db dbsqlc.DBTX, from, to string, amount decimal.NullDecimal) (string, error) {
	done, err := dbsqlc.New(db).PaymentSetOff(ctx, dbsqlc.PaymentSetOffParams{FromNumber: from, ToNumber: to, Amount: amount})
	if err != nil {
		return "", fmt.Errorf("set off: %w", err)
	}
	return done, nil
}

// WriteOffRounding settles a small rest of an invoice.
func WriteOffRounding(ctx context.Context, db dbsqlc.DBTX, number, reason string) (int64, error) {
	id, err := dbsqlc.New(db).PaymentWriteOff(ctx, dbsqlc.PaymentWriteOffParams{Number: number, Reason: reason})
	if err != nil {
		return 0, fmt.Errorf("write off: %w", err)
	}
	return id, nil
}

// Balance is what is open on an issued document.
type Balance = dbsqlc.InvoiceBalanceGetRow

// ReadBalance reads what is open on an issued document.
func ReadBalance(ctx context.Context, db dbsqlc.DBTX, number string) (Balance, error) {
	balance, err := dbsqlc.New(db).InvoiceBalanceGet(ctx, number)
	if err != nil {
		return balance, fmt.Errorf("read what is open on invoice %s: %w", number, err)
	}
	return balance, nil
}

// Statement is what happened between a customer and who bills it, in one currency.
type Statement struct {
	Currency string
	Opening  decimal.Decimal // what was open before the first day; below 0: the customer's credit
	Lines    []StatementLine
	Closing  decimal.Decimal // what was open at the end of the last day
}

// StatementLine is a document or a payment, and what is open after it.
type StatementLine struct {
	dbsqlc.StatementLinesRow

	Balance decimal.Decimal
}

// ReadStatement reads a customer's statement of account of some days, with both of them, by
// currency.
func ReadStatement(ctx context.Context, pool *pgxpool.Pool, customer string, from, to billing.Date) ([]Statement, error) {
	var statements []Statement
	of := func(currency string) *Statement {
		i := slices.IndexFunc(statements, func(s Statement) bool { return s.Currency == currency })
		if i < 0 {
			i = len(statements)
			statements = append(statements, Statement{Currency: currency})
		}
		return &statements[i]
	}
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := ReadCustomer(ctx, tx, customer); err != nil {
			return err
		}
		q := dbsqlc.New(tx)
		opening, err := q.StatementOpening(ctx, dbsqlc.StatementOpeningParams{Customer: customer, Day: from})
		if err != nil {
			return err
		}
		for _, row := range opening {
			s := of(row.Currency)
			s.Opening, s.Closing = row.Balance, row.Balance
		}
		lines, err := q.StatementLines(ctx, dbsqlc.StatementLinesParams{Customer: customer, FromDate: from, ToDate: to})
		if err != nil {
			return err
		}
		for _, row := range lines {
			s := of(row.Currency)
			s.Closing = s.Closing.Add(row.Amount)
			s.Lines = append(s.Lines, StatementLine{row, s.Closing})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the statement of customer %q: %w", customer, err)
	}
	return statements, nil
}

// Aging is what a customer had to pay in one currency at the end of a day, by how long it
// was past due then.
type Aging = dbsqlc.AgingListRow

// ListAging lists what was open at the end of a day; no customer: of all.
func ListAging(ctx context.Context, db dbsqlc.DBTX, day billing.Date, customer string) ([]Aging, error) {
	if customer != "" {
		if _, err := ReadCustomer(ctx, db, customer); err != nil {
			return nil, err
		}
	}
	rows, err := dbsqlc.New(db).AgingList(ctx, dbsqlc.AgingListParams{Day: day, Customer: customer})
	if err != nil {
		return nil, fmt.Errorf("read what was open on %s: %w", day, err)
	}
	return rows, nil
}
