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
	var payer string
	cmd := &cobra.Command{
		Use: "correct FLIGHT_ID [--payer billed|register]", Short: "Read a billed flight's facts anew and bill the difference", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var who db.Payer
			if payer != "" {
				var err error
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
				corrector := jobs.Corrector{Pool: pool, Books: db.NewPriceBooks(pool), Source: source, Payer: who, Now: a.now}
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
	return cmd
}

func (a *app) sayCorrection(id string, correction jobs.Correction) error {
	switch {
	case len(correction.Lines) > 0:
	case correction.FactsChanged:
		fmt.Fprintf(a.stdout, "Flight %s: the facts have changed and are kept; its charges to customer %s stay as they are\n", id, correction.Customer)
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
