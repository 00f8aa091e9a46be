package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/imports"
	"github.com/flightbill/flightbill/jobs"
)

// trialView is what a file of tariffs would change, as --json has it.
type trialView struct {
	File    imports.Result     `json:"file"`
	From    billing.Date       `json:"from"`
	To      billing.Date       `json:"to"`
	Flights int64              `json:"flights"`
	Changed int64              `json:"changed"`
	Lines   []trialLineView    `json:"lines"`
	Refused []trialRefusalView `json:"refused"`
}

type trialLineView struct {
	Customer   string          `json:"customer"`
	Code       string          `json:"code"`
	Currency   string          `json:"currency"`
	Flights    int64           `json:"flights"`
	Changed    int64           `json:"changed"`
	Before     decimal.Decimal `json:"before"`
	After      decimal.Decimal `json:"after"`
	Difference decimal.Decimal `json:"difference"`
	TaxBefore  decimal.Decimal `json:"tax_before"`
	TaxAfter   decimal.Decimal `json:"tax_after"`
}

type trialRefusalView struct {
	Reason  billing.Reason `json:"reason"`
	Before  int64          `json:"before"`
	After   int64          `json:"after"`
	Example string         `json:"example"`
}

func (a *app) newTariffsTryCommand() *cobra.Command {
	var asJSON bool
	var from, to string
	cmd := &cobra.Command{
		Use: "try FILE.csv[.gz] --from D --to D", Args: cobra.ExactArgs(1),
		Short: "Bill a period's flights anew on paper, at the tariffs in force and with a file's over them, and show the difference; saves nothing",
		RunE: func(cmd *cobra.Command, args []string) error {
			first, err := dateFlag("--from", from)
			if err != nil {
				return err
			}
			last, err := dateFlag("--to", to)
			switch {
			case err != nil:
				return err
			case first.IsZero() || last.IsZero():
				return usageError{errors.New("give the first and the last day of the period: --from and --to")}
			case last.Before(first):
				return usageError{fmt.Errorf("--to %s is before --from %s", last, first)}
			}
			file, closeFile, err := a.openFile(args[0])
			if err != nil {
				return fmt.Errorf("tariffs try: %w", err)
			}
			defer closeFile()
			facts, err := a.sourceFacts()
			if err != nil {
				return err
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				result, tried, err := imports.TryTariffs(cmd.Context(), pool, filepath.Base(args[0]), file, facts...)
				if err != nil {
					return err
				}
				trial := jobs.Trial{Pool: pool, Books: db.NewPriceBooks(pool), Tried: tried, Bounds: a.config.Bounds}
				comparison, err := a.compare(cmd.Context(), pool, &trial, first, last)
				if err != nil {
					return fmt.Errorf("tariffs try: %w", err)
				}
				view := trialViewOf(result, first, last, comparison)
				if asJSON {
					return printJSON(a.stdout, view)
				}
				return a.printTrial(view)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "flights that moved on that day (YYYY-MM-DD) or later")
	cmd.Flags().StringVar(&to, "to", "", "flights that moved on that day or earlier")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) compare(ctx context.Context, pool *pgxpool.Pool, trial *jobs.Trial, from, to billing.Date) (jobs.Comparison, error) {
	flights, err := db.CountLedger(ctx, pool, from, to)
	if err != nil || flights == 0 { // of a database that has billed nothing, not even the time zone is known
		return jobs.Comparison{}, err
	}
	bar := newProgress(a.stderr, "trying tariffs", flights)
	defer bar.finish()
	return trial.Compare(ctx, from, to, bar.set)
}

func trialViewOf(file imports.Result, from, to billing.Date, c jobs.Comparison) trialView {
	view := trialView{
		File: file, From: from, To: to, Flights: c.Flights, Changed: c.Changed,
		Lines: make([]trialLineView, len(c.Lines)), Refused: make([]trialRefusalView, len(c.Refused)),
	}
	for i, l := range c.Lines {
		view.Lines[i] = trialLineView{l.Customer, l.Code, l.Currency, l.Flights, l.Changed, l.Before, l.After, l.After.Sub(l.Before), l.TaxBefore, l.TaxAfter}
	}
	for i, r := range c.Refused {
		view.Refused[i] = trialRefusalView(r)
	}
	return view
}

func (a *app) printTrial(v trialView) error {
	a.sayWouldImport(v.File)
	a.sayf("%s billed flights of %s to %s, at the tariffs in force (before) and with the file's (after): %s come to something else.",
		count(v.Flights), v.From, v.To, count(v.Changed))
	if len(v.Lines) > 0 {
		if err := a.printTrialLines(v.Lines); err != nil {
			return err
		}
	}
	if len(v.Refused) == 0 {
		return nil
	}
	rows := make([][]string, len(v.Refused))
	for i, r := range v.Refused {
		rows[i] = []string{string(r.Reason), count(r.Before), count(r.After), r.Example}
	}
	a.sayf("\nFlights that cannot be billed count with nothing above:")
	return table(a.stdout, []string{"NOT BILLED", ">BEFORE", ">AFTER", "FOR EXAMPLE"}, rows)
}

// plus adds a line to a sum of its code or currency.
func (l trialLineView) plus(other trialLineView) trialLineView {
	return trialLineView{
		Code: other.Code, Currency: other.Currency, Flights: l.Flights + other.Flights, Changed: l.Changed + other.Changed,
		Before: l.Before.Add(other.Before), After: l.After.Add(other.After), Difference: l.Difference.Add(other.Difference),
		TaxBefore: l.TaxBefore.Add(other.TaxBefore), TaxAfter: l.TaxAfter.Add(other.TaxAfter),
	}
}

// printTrialLines prints the sums of each code and of all, and of each customer and code
// those that are not what they were.
func (a *app) printTrialLines(lines []trialLineView) error {
	sums, totals := map[[2]string]trialLineView{}, map[string]trialLineView{}
	var changed [][]string
	for _, l := range lines {
		key := [2]string{l.Code, l.Currency}
		sums[key] = sums[key].plus(l)
		totals[l.Currency] = totals[l.Currency].plus(l)
		if l.Changed > 0 {
			changed = append(changed, append([]string{l.Customer}, l.row()...))
		}
	}
	rows := make([][]string, 0, len(sums))
	for _, key := range slices.SortedFunc(maps.Keys(sums), func(x, y [2]string) int { return slices.Compare(x[:], y[:]) }) {
		rows = append(rows, sums[key].row())
	}
	fmt.Fprintln(a.stdout)
	if err := table(a.stdout, trialHeadings(), rows); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout)
	for _, currency := range slices.Sorted(maps.Keys(totals)) {
		t := totals[currency]
		a.sayf("In all %s before, %s after, difference %s, tax difference %s %s",
			money(t.Before, currency), money(t.After, currency), money(t.Difference, currency), money(t.TaxAfter.Sub(t.TaxBefore), currency), currency)
	}
	if len(changed) == 0 {
		return nil
	}
	fmt.Fprintln(a.stdout)
	return table(a.stdout, append([]string{"CUSTOMER"}, trialHeadings()...), changed)
}

func trialHeadings() []string {
	return []string{"CODE", ">FLIGHTS", ">CHANGED", ">BEFORE", ">AFTER", ">DIFFERENCE", ">TAX DIFFERENCE", "CURRENCY"}
}

func (l trialLineView) row() []string {
	return []string{
		l.Code, count(l.Flights), count(l.Changed), money(l.Before, l.Currency), money(l.After, l.Currency), money(l.Difference, l.Currency),
		money(l.TaxAfter.Sub(l.TaxBefore), l.Currency), l.Currency,
	}
}
