package main

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

func (a *app) newMaintainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "maintain", Short: "Rebuild the indexes of the queue, beside processes that work", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				return db.Maintain(cmd.Context(), pool, jobs.IndexNames(), func(line string) { a.sayf("%s", line) })
			})
		},
	}
}
