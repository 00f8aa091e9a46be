package main

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db"
)

func (a *app) newVoidCommand() *cobra.Command {
	var reason string
	var rebill bool
	cmd := &cobra.Command{
		Use: "void NUMBER --reason R [--rebill]", Short: "Void an issued invoice by a credit note, or a period's credit note by an invoice", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usageError{fmt.Errorf("--reason: say why in a few words: they stand on the credit note")}
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				note, flights, err := db.VoidInvoice(cmd.Context(), pool, args[0], reason, rebill)
				if err != nil {
					return err
				}
				what := "are not billed again"
				if rebill {
					what = "go back to the queue"
				}
				fmt.Fprintf(a.stdout, "%s is void by %s; of its flights, %s %s\n", args[0], note, count(flights), what)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; stands on the credit note")
	cmd.Flags().BoolVar(&rebill, "rebill", false, "bill its flights again, at the tariffs now in force for their dates")
	return cmd
}
