package main

import (
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db/dbsqlc"
)

func (a *app) newVoidCommand() *cobra.Command {
	var params dbsqlc.InvoiceVoidParams
	cmd := &cobra.Command{
		Use: "void NUMBER --reason R [--rebill]", Short: "Void an issued invoice by a credit note", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if params.Reason == "" {
				return usageError{fmt.Errorf("--reason: say why in a few words: they stand on the credit note")}
			}
			params.Number = args[0]
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				return pgx.BeginFunc(cmd.Context(), pool, func(tx pgx.Tx) error {
					q := dbsqlc.New(tx)
					note, err := q.InvoiceVoid(cmd.Context(), params)
					if err != nil {
						return fmt.Errorf("void: %w", err)
					}
					flights, err := q.VoidedFlightCount(cmd.Context(), note)
					if err != nil {
						return fmt.Errorf("count the flights of credit note %s: %w", note, err)
					}
					what := "are not billed again"
					if params.Rebill {
						what = "go back to the queue"
					}
					fmt.Fprintf(a.stdout, "%s is void by credit note %s; of its flights, %s %s\n", params.Number, note, count(flights), what)
					return nil
				})
			})
		},
	}
	cmd.Flags().StringVar(&params.Reason, "reason", "", "why; stands on the credit note")
	cmd.Flags().BoolVar(&params.Rebill, "rebill", false, "bill its flights again, at the tariffs now in force for their dates")
	return cmd
}
