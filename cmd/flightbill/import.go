package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db/imports"
)

func (a *app) newImportCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "import customers|tariffs|flights FILE.csv[.gz]",
		Short:     "Import a CSV file, all of it or nothing; - reads standard input",
		Args:      cobra.ExactArgs(2),
		ValidArgs: []string{"customers", "tariffs", "flights"},
		RunE: func(cmd *cobra.Command, args []string) error {
			kind := imports.Kind(args[0])
			switch kind {
			case imports.Customers, imports.Tariffs, imports.Flights:
			default:
				return usageError{fmt.Errorf("cannot import %q: say customers, tariffs or flights", args[0])}
			}
			var file = a.stdin
			if args[1] != "-" {
				opened, err := os.Open(args[1])
				if err != nil {
					return fmt.Errorf("import %s: %w", kind, err)
				}
				defer opened.Close()
				file = opened
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				bar := newProgress(a.stderr, "importing "+string(kind), 0)
				result, err := imports.Load(cmd.Context(), pool, kind, filepath.Base(args[1]), file, bar.set)
				bar.finish()
				if err != nil {
					return err
				}
				for _, warning := range result.Warnings {
					a.complain("warning: " + warning)
				}
				a.sayf("%s: %s rows: %s added, %s changed, %s as they were",
					kind, count(result.Rows), count(result.Added), count(result.Changed), count(result.Unchanged))
				if result.BilledOtherwise > 0 && a.config.FlightSource == sourcePostgres {
					a.sayf("%s of these flights have been billed, and from other facts: 'flightbill correct --changed' bills the difference; "+
						"the view flightbill.changed_flights shows them", count(result.BilledOtherwise))
				}
				a.sayUnmatched(cmd.Context(), pool)
				return nil
			})
		},
	}
}
