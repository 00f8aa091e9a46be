package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/db/dbsqlc"
)

// BankEntry is an entry of a bank's statement, and what became of it.
type BankEntry = dbsqlc.BankEntryListRow

// BankEntries returns the entries that were imported, the last first; only those that a
// person has to look at where unmatched is set.
func BankEntries(ctx context.Context, pool *pgxpool.Pool, unmatched bool, maxRows int32) ([]BankEntry, error) {
	entries, err := dbsqlc.New(pool).BankEntryList(ctx, dbsqlc.BankEntryListParams{Unmatched: unmatched, MaxRows: maxRows})
	if err != nil {
		return nil, fmt.Errorf("list the bank's entries: %w", err)
	}
	return entries, nil
}

// BookBankEntry books an entry on an invoice: an amount, or all that is left of it.
func BookBankEntry(ctx context.Context, pool *pgxpool.Pool, entry int64, number string, amount decimal.NullDecimal) (payment int64, err error) {
	payment, err = dbsqlc.New(pool).BankEntryBook(ctx, dbsqlc.BankEntryBookParams{EntryID: entry, InvoiceNumber: number, Amount: amount})
	if err != nil {
		return 0, fmt.Errorf("book entry %d: %w", entry, err)
	}
	return payment, nil
}

// IgnoreBankEntry puts an entry aside.
func IgnoreBankEntry(ctx context.Context, pool *pgxpool.Pool, entry int64, reason string) error {
	if err := dbsqlc.New(pool).BankEntryIgnore(ctx, dbsqlc.BankEntryIgnoreParams{EntryID: entry, Reason: reason}); err != nil {
		return fmt.Errorf("ignore entry %d: %w", entry, err)
	}
	return nil
}
