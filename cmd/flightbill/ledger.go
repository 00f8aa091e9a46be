package main

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

func (a *app) newAccountsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "accounts", Short: "Show the accounts of the ledger that the journal writes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				accounts, err := db.LedgerAccounts(cmd.Context(), pool)
				if err != nil {
					return err
				}
				if asJSON {
					names := make(map[string]string, len(accounts))
					for _, account := range accounts {
						names[account.Name()] = account.Account
					}
					return printJSON(a.stdout, names)
				}
				rows := make([][]string, len(accounts))
				for i, account := range accounts {
					rows[i] = []string{account.Name(), account.Account}
				}
				return table(a.stdout, []string{"NAME", "ACCOUNT"}, rows)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(&cobra.Command{
		Use: "set NAME=ACCOUNT…", Short: "Change accounts of the ledger: receivable, revenue, tax, bank, interest, rounding, or tax:standard:0.20 for one category and rate; with nothing behind =, that one goes", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			accounts := make([]db.LedgerAccount, len(args))
			for i, arg := range args {
				var err error
				if accounts[i], err = db.ParseLedgerAccount(arg); err != nil {
					return usageError{err}
				}
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				if err := db.SetLedgerAccounts(cmd.Context(), pool, accounts); err != nil {
					return err
				}
				for _, account := range accounts {
					if account.Account == "" {
						a.sayf("%s has no account of its own: that of tax counts", account.Name())
						continue
					}
					a.sayf("%s is %s, in all of the journal", account.Name(), account.Account)
				}
				return nil
			})
		},
	})
	return cmd
}

// journalView is a line of the journal.
type journalView struct {
	Entry       string              `json:"entry"`
	Day         billing.Date        `json:"day"`
	Document    string              `json:"document"`
	Customer    string              `json:"customer"`
	What        string              `json:"what"`
	Account     string              `json:"account"`
	Code        string              `json:"code"`
	TaxCategory string              `json:"tax_category"`
	TaxRate     decimal.NullDecimal `json:"tax_rate"`
	Currency    string              `json:"currency"`
	Debit       decimal.Decimal     `json:"debit"`
	Credit      decimal.Decimal     `json:"credit"`
}

func (a *app) newJournalCommand() *cobra.Command {
	var from, to string
	var most int32
	var asJSON bool
	cmd := &cobra.Command{
		Use: "journal", Short: "Show the journal for a ledger, as double entry: what was issued and paid; export journal writes it whole", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			days, err := fromTo(from, to)
			if err != nil {
				return err
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				lines, err := db.Journal(cmd.Context(), pool, days.From, days.To, most)
				if err != nil {
					return err
				}
				if asJSON {
					views := make([]journalView, len(lines))
					for i, line := range lines {
						views[i] = journalView(line)
					}
					return printJSON(a.stdout, views)
				}
				return a.printJournal(lines)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "of that day (YYYY-MM-DD) or later")
	cmd.Flags().StringVar(&to, "to", "", "of that day or earlier")
	cmd.Flags().Int32Var(&most, "limit", 10000, "at most so many lines")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) printJournal(lines []db.JournalLine) error {
	if len(lines) == 0 {
		fmt.Fprintln(a.stdout, "nothing was issued or paid on these days")
		return nil
	}
	rows := make([][]string, len(lines))
	for i, l := range lines {
		detail := l.Code
		if l.TaxCategory != "" {
			detail = l.TaxCategory + " " + l.TaxRate.Decimal.Shift(2).String() + " %"
		}
		rows[i] = []string{l.Day.String(), l.Entry, l.Document, l.Customer, l.What, detail, l.Account, sideOf(l.Debit, l.Currency), sideOf(l.Credit, l.Currency), l.Currency}
	}
	return table(a.stdout, []string{"DAY", "ENTRY", "DOCUMENT", "CUSTOMER", "WHAT", "CODE", "ACCOUNT", ">DEBIT", ">CREDIT", "CURRENCY"}, rows)
}

func sideOf(amount decimal.Decimal, currency string) string {
	if amount.IsZero() {
		return ""
	}
	return money(amount, currency)
}
