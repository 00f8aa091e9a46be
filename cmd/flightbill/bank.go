package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/imports"
)

func (a *app) newBankCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "bank", Short: "Take in what the bank says of the account, and book the payments in it", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{fmt.Errorf("say which: flightbill bank import FILE, list, book ENTRY NUMBER [AMOUNT], or ignore ENTRY --reason R")}
		},
	}
	cmd.AddCommand(a.newBankImportCommand(), a.newBankListCommand(), a.newBankBookCommand(), a.newBankIgnoreCommand())
	return cmd
}

func (a *app) newBankImportCommand() *cobra.Command {
	var format string
	var dry, asJSON bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Import a statement of the account, CAMT.053 or CSV, plain or .gz: book what names an invoice, list the rest. All of the file or nothing; - reads standard input",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch imports.BankFormat(format) {
			case imports.BankByContent, imports.BankCAMT, imports.BankCSV:
			default:
				return usageError{fmt.Errorf("--format: %q is neither camt nor csv", format)}
			}
			file, closeFile, err := a.openFile(args[0])
			if err != nil {
				return fmt.Errorf("bank import: %w", err)
			}
			defer closeFile()
			return a.withRightClock(cmd.Context(), func(pool *pgxpool.Pool, _ billing.Calendar) error {
				bar := newProgress(a.stderr, "importing entries", 0)
				result, err := imports.LoadBank(cmd.Context(), pool, filepath.Base(args[0]), file, imports.BankFormat(format), dry, bar.set)
				bar.finish()
				if err != nil {
					return err
				}
				return a.sayBankImport(result, dry, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "camt or csv; what it looks like where this is not given")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and change nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// bankImportView is what an import did.
type bankImportView struct {
	imports.BankResult

	Listed []bankEntryView `json:"listed"`
	DryRun bool            `json:"dry_run"`
}

func (a *app) sayBankImport(r imports.BankResult, dry, asJSON bool) error {
	if asJSON {
		return printJSON(a.stdout, bankImportView{BankResult: r, Listed: bankEntryViews(r.Listed), DryRun: dry})
	}
	what := "%s entries: %s booked, %s for you to look at, %s imported before"
	if dry {
		what = "%s entries: %s would be booked, %s would be for you to look at, %s were imported before"
	}
	a.sayf(what, count(r.Entries), count(r.Booked), count(r.Unmatched), count(r.Known))
	if r.NotBooked > 0 {
		a.sayf("%s more are left out: the bank has not booked them yet, or they are of 0", count(r.NotBooked))
	}
	if len(r.Listed) == 0 {
		return nil
	}
	fmt.Fprintln(a.stdout)
	if err := a.printBankEntries(r.Listed); err != nil {
		return err
	}
	if shown := int64(len(r.Listed)); !dry && shown < r.Unmatched {
		a.sayf("these are the last %s: 'flightbill bank list --unmatched --limit …' shows all", count(shown))
	}
	return nil
}

func (a *app) newBankListCommand() *cobra.Command {
	var unmatched, asJSON bool
	var most int32
	cmd := &cobra.Command{
		Use: "list", Short: "List the bank's entries, the last first, and what became of them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				entries, err := db.BankEntries(cmd.Context(), pool, unmatched, most)
				if err != nil {
					return err
				}
				switch {
				case asJSON:
					return printJSON(a.stdout, bankEntryViews(entries))
				case len(entries) == 0:
					fmt.Fprintln(a.stdout, "there are none")
					return nil
				}
				return a.printBankEntries(entries)
			})
		},
	}
	cmd.Flags().BoolVar(&unmatched, "unmatched", false, "only those for you to look at")
	cmd.Flags().Int32Var(&most, "limit", 1000, "at most so many")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// bankEntryView is an entry of a bank's statement.
type bankEntryView struct {
	ID            int64           `json:"id"`
	Account       string          `json:"account"`
	BankReference string          `json:"bank_reference"`
	BookedOn      billing.Date    `json:"booked_on"`
	ValueOn       *billing.Date   `json:"value_on"`
	Amount        decimal.Decimal `json:"amount"`
	Currency      string          `json:"currency"`
	Payer         string          `json:"payer"`
	Text          string          `json:"text"`
	State         string          `json:"state"`
	Reason        string          `json:"reason"`
	Numbers       []string        `json:"numbers"`
	Payments      []string        `json:"payments"`
	Left          decimal.Decimal `json:"left"`
	File          string          `json:"file"`
	ImportedAt    time.Time       `json:"imported_at"`
}

func bankEntryViews(entries []db.BankEntry) []bankEntryView {
	views := make([]bankEntryView, len(entries))
	for i, e := range entries {
		views[i] = bankEntryView{
			e.ID, e.Account, e.BankReference, e.BookedOn, nil, e.Amount, e.Currency, e.Payer, e.Text, e.State, e.Reason, e.Numbers, e.Payments,
			e.Rest, e.File, e.ImportedAt,
		}
		if !e.ValueOn.IsZero() {
			views[i].ValueOn = &entries[i].ValueOn
		}
	}
	return views
}

// printBankEntries writes below each entry what its payer wrote, and what became of it.
func (a *app) printBankEntries(entries []db.BankEntry) error {
	rows, below := make([][]string, len(entries)), make([][]string, len(entries))
	for i, e := range entries {
		rows[i] = []string{strconv.FormatInt(e.ID, 10), e.BookedOn.String(), money(e.Amount, e.Currency), e.Currency, e.State, e.Payer}
		if e.Text != "" {
			below[i] = append(below[i], e.Text)
		}
		if len(e.Payments) > 0 {
			below[i] = append(below[i], "booked on "+strings.Join(e.Payments, ", "))
		}
		if e.Reason != "" {
			below[i] = append(below[i], e.State+": "+e.Reason)
		}
	}
	return tableWithLines(a.stdout, []string{"ENTRY", "DAY", ">AMOUNT", "CURRENCY", "STATE", "PAYER"}, rows, below)
}

func (a *app) newBankBookCommand() *cobra.Command {
	return &cobra.Command{
		Use: "book ENTRY NUMBER [AMOUNT]", Short: "Book an entry of the bank, or an amount of it, on an invoice; a debit on a credit note, as paid out", Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			entry, err := bankEntryID(args[0])
			if err != nil {
				return err
			}
			var amount decimal.NullDecimal
			if len(args) == 3 {
				if len(args[2]) > 40 || strings.ContainsAny(args[2], "eE") {
					return usageError{fmt.Errorf("%q is no amount: write one such as 1234.50", args[2])}
				}
				if amount.Decimal, err = decimal.NewFromString(args[2]); err != nil {
					return usageError{fmt.Errorf("%q is no amount: write one such as 1234.50", args[2])}
				}
				amount.Valid = true
			}
			return a.withRightClock(cmd.Context(), func(pool *pgxpool.Pool, _ billing.Calendar) error {
				payment, err := db.BookBankEntry(cmd.Context(), pool, entry, args[1], amount)
				if err != nil {
					return err
				}
				a.sayf("entry %s is booked on %s, as payment %s", args[0], args[1], strconv.FormatInt(payment, 10))
				return nil
			})
		},
	}
}

func (a *app) newBankIgnoreCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "ignore ENTRY --reason R", Short: "Put an entry of the bank aside that is no payment of an invoice", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			entry, err := bankEntryID(args[0])
			if err != nil {
				return err
			}
			if reason == "" {
				return usageError{fmt.Errorf("--reason: say why in a few words: they stand with the entry")}
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				if err := db.IgnoreBankEntry(cmd.Context(), pool, entry, reason); err != nil {
					return err
				}
				a.sayf("entry %s is ignored", args[0])
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; stands with the entry")
	return cmd
}

func bankEntryID(arg string) (int64, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return 0, usageError{fmt.Errorf("%q is no entry: give its number, as 'flightbill bank list' has it", arg)}
	}
	return id, nil
}
