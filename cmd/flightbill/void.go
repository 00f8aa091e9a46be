package main

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

func (a *app) newVoidCommand() *cobra.Command {
	var reason, payer string
	var rebill bool
	cmd := &cobra.Command{
		Use: "void NUMBER --reason R [--rebill [--payer billed|register]]", Short: "Void an issued invoice by a credit note, or a period's credit note by an invoice", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usageError{fmt.Errorf("--reason: say why in a few words: they stand on the credit note")}
			}
			who, err := db.ParsePayer(payer)
			if err != nil {
				return usageError{fmt.Errorf("--payer: %w", err)}
			}
			if cmd.Flags().Changed("payer") && !rebill {
				return usageError{fmt.Errorf("--payer: it says who pays when the flights are billed again; give --rebill too")}
			}
			return a.withRightClock(cmd.Context(), func(pool *pgxpool.Pool, _ billing.Calendar) error {
				note, flights, err := db.VoidInvoice(cmd.Context(), pool, args[0], reason, rebill, who)
				if err != nil {
					return err
				}
				a.sayVoided(args[0], note, flights, rebill)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; stands on the credit note")
	cmd.Flags().BoolVar(&rebill, "rebill", false, "bill its flights again, at the tariffs now in force for their dates")
	cmd.Flags().StringVar(&payer, "payer", string(db.PayerBilled), payerHelp)
	return cmd
}

const payerHelp = "who pays when flights are billed again: billed, who was billed before; register, the customer that has a flight's aircraft or operator on its date"

func (a *app) sayVoided(number, note string, flights []db.VoidedFlights, rebill bool) {
	var total int64
	payers := make([]string, len(flights))
	for i, f := range flights {
		total += f.Flights
		if payers[i] = f.Customer + " pays for " + count(f.Flights); f.Customer == "" {
			payers[i] = "no customer is there for " + count(f.Flights)
		}
	}
	what := "are not billed again"
	if rebill {
		what = "go back to the queue: " + strings.Join(payers, ", ")
	}
	a.sayf("%s is void by %s; of its flights, %s %s", number, note, count(total), what)
}
