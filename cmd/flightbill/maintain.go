package main

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

func (a *app) newMaintainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "maintain", Short: "Rebuild the indexes of the queue, beside processes that work; remove documents older than FLIGHTBILL_DOCUMENT_RETENTION", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				if retention := a.config.DocumentRetention; retention != "" {
					removed, err := db.RemoveDocuments(cmd.Context(), pool, retention)
					if err != nil {
						return err
					}
					a.sayf("invoice_documents: %s removed, kept for %s", count(removed), retention)
				}
				return db.Maintain(cmd.Context(), pool, jobs.IndexNames(), func(line string) { a.sayf("%s", line) })
			})
		},
	}
}
