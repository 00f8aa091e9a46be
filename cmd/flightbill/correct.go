package main

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

func (a *app) newCorrectCommand() *cobra.Command {
	return &cobra.Command{
		Use: "correct FLIGHT_ID", Short: "Read a billed flight's facts anew and bill the difference", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCalendar(cmd.Context(), func(pool *pgxpool.Pool, _ billing.Calendar) error {
				source, closeSource, err := a.openSource(cmd.Context(), pool)
				if err != nil {
					return err
				}
				defer closeSource()
				corrector := jobs.Corrector{Pool: pool, Books: db.NewPriceBooks(pool), Source: source, Bounds: a.config.Bounds, Now: a.now}
				correction, err := corrector.Correct(cmd.Context(), args[0])
				if err != nil {
					return fmt.Errorf("correct: %w", err)
				}
				return a.sayCorrection(args[0], correction)
			})
		},
	}
}

func (a *app) sayCorrection(id string, correction jobs.Correction) error {
	switch {
	case len(correction.Lines) > 0:
	case correction.FactsChanged:
		fmt.Fprintf(a.stdout, "Flight %s: the facts have changed and are kept; its charges stay as they are\n", id)
		return nil
	default:
		fmt.Fprintf(a.stdout, "Flight %s: nothing has changed\n", id)
		return nil
	}
	rows := make([][]string, len(correction.Lines))
	for i, l := range correction.Lines {
		on := "a document of its own"
		if !l.ClosesOn.IsZero() {
			on = "draft closing on " + l.ClosesOn.String()
		}
		c := l.Charge
		rows[i] = []string{l.Customer.Code, on, c.Code, c.Quantity.String(), c.UnitRate.String(), money(c.Amount, c.Currency), money(c.TaxAmount, c.Currency), c.Currency}
	}
	return table(a.stdout, []string{"CUSTOMER", "ON", "CODE", ">QUANTITY", ">RATE", ">AMOUNT", ">TAX", "CURRENCY"}, rows)
}
