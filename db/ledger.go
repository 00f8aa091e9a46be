package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// ledgerParts are what the journal has accounts for.
var ledgerParts = []string{"receivable", "revenue", "tax", "bank", "interest", "rounding"}

// maxAccount is how many characters an account has at most.
const maxAccount = 64

// LedgerAccount is the account of the ledger for a part of the journal; of tax, also for
// one category and rate alone.
type LedgerAccount struct {
	What        string
	TaxCategory string // "": for all
	TaxRate     decimal.Decimal
	Account     string // "": no longer one of its own
}

// Name is the account's as ParseLedgerAccount reads it: tax, or tax:standard:0.20.
func (a LedgerAccount) Name() string {
	if a.TaxCategory == "" {
		return a.What
	}
	return a.What + ":" + a.TaxCategory + ":" + a.TaxRate.String()
}

// ParseLedgerAccount reads NAME=ACCOUNT.
func ParseLedgerAccount(text string) (LedgerAccount, error) {
	name, account, found := strings.Cut(text, "=")
	account = strings.TrimSpace(account)
	if !found {
		return LedgerAccount{}, fmt.Errorf("%q is not NAME=ACCOUNT, such as revenue=4000 or tax:standard:0.20=2201", text)
	}
	parts := strings.Split(strings.ToLower(name), ":")
	a := LedgerAccount{What: parts[0], Account: account}
	switch {
	case !slices.Contains(ledgerParts, a.What):
		return a, fmt.Errorf("%q is none of the ledger's accounts; they are %s", name, strings.Join(ledgerParts, ", "))
	case len([]rune(account)) > maxAccount:
		return a, fmt.Errorf("%s: an account has %d characters at most", name, maxAccount)
	case len(parts) == 1 && account == "":
		return a, fmt.Errorf("%s: give its account, such as %s=4000", name, name)
	case len(parts) == 1:
		return a, nil
	case len(parts) != 3 || a.What != "tax":
		return a, fmt.Errorf("%q: only tax has accounts by category and rate, such as tax:standard:0.20", name)
	}
	a.TaxCategory = parts[1]
	var err error
	if !slices.Contains(taxCategories, a.TaxCategory) {
		return a, fmt.Errorf("%q: the tax category %q is none of %s", name, a.TaxCategory, strings.Join(taxCategories, ", "))
	}
	if len(parts[2]) > 20 {
		return a, fmt.Errorf("%q: the rate is too long: 20 %% is 0.20", name)
	}
	if a.TaxRate, err = decimal.NewFromString(parts[2]); err != nil || a.TaxRate.IsNegative() || a.TaxRate.GreaterThan(decimal.NewFromInt(1)) {
		return a, fmt.Errorf("%q: the rate %q is not one from 0 to 1: 20 %% is 0.20", name, parts[2])
	}
	return a, nil
}

var taxCategories = []string{"standard", "zero", "exempt", "reverse_charge", "export", "outside"}

// LedgerAccounts returns all that there are.
func LedgerAccounts(ctx context.Context, pool *pgxpool.Pool) ([]LedgerAccount, error) {
	rows, err := dbsqlc.New(pool).LedgerAccountList(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the ledger's accounts: %w", err)
	}
	accounts := make([]LedgerAccount, len(rows))
	for i, row := range rows {
		accounts[i] = LedgerAccount{What: row.What, TaxCategory: text(row.TaxCategory), TaxRate: row.TaxRate.Decimal, Account: row.Account}
	}
	return accounts, nil
}

// SetLedgerAccounts changes accounts, all or none.
func SetLedgerAccounts(ctx context.Context, pool *pgxpool.Pool, accounts []LedgerAccount) error {
	err := pgx.BeginTxFunc(ctx, pool, ReadCommitted, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		var failed error
		for _, a := range accounts {
			switch {
			case a.Account == "":
				failed = errors.Join(failed, q.LedgerAccountRemove(ctx, dbsqlc.LedgerAccountRemoveParams{TaxCategory: a.TaxCategory, TaxRate: a.TaxRate}))
			case a.TaxCategory == "":
				failed = errors.Join(failed, q.LedgerAccountSet(ctx, dbsqlc.LedgerAccountSetParams{What: a.What, Account: a.Account}))
			default:
				failed = errors.Join(failed, q.LedgerAccountSet(ctx, dbsqlc.LedgerAccountSetParams{
					What: a.What, Account: a.Account, TaxCategory: &a.TaxCategory, TaxRate: decimal.NewNullDecimal(a.TaxRate),
				}))
			}
		}
		return failed
	})
	if err != nil {
		return fmt.Errorf("set the ledger's accounts: %w", err)
	}
	return nil
}

// JournalLine is a row of the view journal.
type JournalLine = dbsqlc.JournalListRow

// Journal returns the lines of some days, in their order; no date: no limit.
func Journal(ctx context.Context, pool *pgxpool.Pool, from, to billing.Date, maxRows int32) ([]JournalLine, error) {
	lines, err := dbsqlc.New(pool).JournalList(ctx, dbsqlc.JournalListParams{FromDate: from, ToDate: to, MaxRows: maxRows})
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return lines, nil
}
