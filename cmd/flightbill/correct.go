package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

func (a *app) newCorrectCommand() *cobra.Command {
	var changed bool
	var from, to, payer string
	cmd := &cobra.Command{
		Use: "correct FLIGHT_ID | --changed [--from D] [--to D] [--payer billed|register]", Short: "Read billed flights' facts anew and bill the difference",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case changed && len(args) == 0, !changed && len(args) == 1 && from == "" && to == "":
				return nil
			case !changed && len(args) == 1:
				return errors.New("--from and --to go with --changed")
			default:
				return errors.New("name one flight, or give --changed for all whose facts have changed since they were billed, not both")
			}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			first, err := dateFlag("--from", from)
			if err != nil {
				return err
			}
			last, err := dateFlag("--to", to)
			if err != nil {
				return err
			}
			if !last.IsZero() && last.Before(first) {
				return usageError{fmt.Errorf("--to %s is before --from %s", last, first)}
			}
			var who db.Payer
			if payer != "" {
				if who, err = db.ParsePayer(payer); err != nil {
					return usageError{fmt.Errorf("--payer: %w", err)}
				}
			}
			return a.withRightClock(cmd.Context(), func(pool *pgxpool.Pool, _ billing.Calendar) error {
				source, closeSource, err := a.openSource(cmd.Context(), pool)
				if err != nil {
					return err
				}
				defer closeSource()
				books := db.NewPriceBooks(pool)
				books.RegisterFirst = a.config.RegisterFirst
				corrector := jobs.Corrector{Pool: pool, Books: books, Source: source, Payer: who, Bounds: a.config.Bounds, Now: a.now}
				if changed {
					return a.correctChanged(cmd.Context(), &corrector, first, last)
				}
				correction, err := corrector.Correct(cmd.Context(), args[0])
				if err != nil {
					return fmt.Errorf("correct: %w", err)
				}
				return a.sayCorrection(args[0], correction)
			})
		},
	}
	cmd.Flags().StringVar(&payer, "payer", "", "who pays: billed, who was billed before; register, the customer that has the flight's aircraft or operator on its date "+
		"(default: who was billed, unless the flight has another aircraft, operator or day now)")
	cmd.Flags().BoolVar(&changed, "changed", false, "all flights whose facts are others now than those they were billed from")
	cmd.Flags().StringVar(&from, "from", "", "with --changed: only those flown on that day (YYYY-MM-DD) or later")
	cmd.Flags().StringVar(&to, "to", "", "with --changed: only those flown on that day or earlier")
	return cmd
}

// correctChanged says what was done also where it fails half way.
func (a *app) correctChanged(ctx context.Context, corrector *jobs.Corrector, from, to billing.Date) error {
	bar := newProgress(a.stderr, "comparing billed flights", 0)
	changes, failure := corrector.CorrectChanged(ctx, from, to, bar.set)
	bar.finish()
	var rows [][]string
	var unpriced int64
	for _, c := range changes.Corrected {
		if len(c.Lines) == 0 {
			unpriced++
		}
		for _, row := range correctionRows(c.Correction) {
			rows = append(rows, append([]string{c.FlightID}, row...))
		}
	}
	if len(rows) > 0 {
		if err := table(a.stdout, append([]string{"FLIGHT"}, correctionHeadings()...), rows); err != nil {
			return err
		}
	}
	a.sayf("%s billed flights compared: %s corrected, %s with other facts and the same charges, %s refused; %s are no longer in the flight source",
		count(changes.Compared), count(int64(len(changes.Corrected))-unpriced), count(unpriced), count(int64(len(changes.Refused))), count(changes.Gone))
	if err := errors.Join(append(changes.Refused, failure)...); err != nil {
		return fmt.Errorf("correct: %w", err)
	}
	return nil
}

func (a *app) sayCorrection(id string, correction jobs.Correction) error {
	switch {
	case len(correction.Lines) > 0:
		return table(a.stdout, correctionHeadings(), correctionRows(correction))
	case correction.FactsChanged:
		a.sayf("Flight %s: the facts have changed and are kept; its charges to customer %s stay as they are", id, correction.Customer)
	default:
		a.sayf("Flight %s: nothing has changed", id)
	}
	return nil
}

func correctionHeadings() []string {
	return []string{"CUSTOMER", "ON", "CODE", ">QUANTITY", ">RATE", ">AMOUNT", ">TAX", "CURRENCY"}
}

func correctionRows(correction jobs.Correction) [][]string {
	rows := make([][]string, len(correction.Lines))
	for i, l := range correction.Lines {
		on := "a document of its own"
		if !l.ClosesOn.IsZero() {
			on = "draft closing on " + l.ClosesOn.String()
		}
		c := l.Charge
		rows[i] = []string{l.Customer.Code, on, c.Code, c.Quantity.String(), c.UnitRate.String(), money(c.Amount, c.Currency), money(c.TaxAmount, c.Currency), c.Currency}
	}
	return rows
}
