package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db/imports"
)

func (a *app) newTariffsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tariffs", Short: "Check and try a file of tariffs before it is imported", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{fmt.Errorf("say which: flightbill tariffs check|try FILE.csv[.gz]")}
		},
	}
	cmd.AddCommand(a.newTariffsCheckCommand(), a.newTariffsTryCommand())
	return cmd
}

// tariffCheckView is what an import of a file would say and do.
type tariffCheckView struct {
	Errors    []string               `json:"errors"` // any: the import would refuse the file
	Warnings  []string               `json:"warnings"`
	Rows      int64                  `json:"rows"`
	Added     int64                  `json:"added"`
	Changed   int64                  `json:"changed"`
	Unchanged int64                  `json:"unchanged"`
	Tariffs   []imports.TariffChange `json:"tariffs"` // those that are added or changed
}

func (a *app) newTariffsCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "check FILE.csv[.gz]", Args: cobra.ExactArgs(1),
		Short: "Say all that an import of a tariff file would say, and what it would change; saves nothing; - reads standard input",
		RunE: func(cmd *cobra.Command, args []string) error {
			file, closeFile, err := a.openFile(args[0])
			if err != nil {
				return fmt.Errorf("tariffs check: %w", err)
			}
			defer closeFile()
			facts, err := a.sourceFacts()
			if err != nil {
				return err
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				bar := newProgress(a.stderr, "checking tariffs", 0)
				result, changes, err := imports.CheckTariffs(cmd.Context(), pool, filepath.Base(args[0]), file, bar.set, facts...)
				bar.finish()
				if err != nil {
					if problems := imports.Problems(err); asJSON && problems != nil {
						if err := printJSON(a.stdout, tariffCheckView{Errors: problems, Warnings: []string{}, Tariffs: []imports.TariffChange{}}); err != nil {
							return err
						}
					}
					return err
				}
				if asJSON {
					return printJSON(a.stdout, tariffCheckView{
						[]string{}, append([]string{}, result.Warnings...), result.Rows, result.Added, result.Changed, result.Unchanged, append([]imports.TariffChange{}, changes...),
					})
				}
				return a.printTariffCheck(result, changes)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) printTariffCheck(result imports.Result, changes []imports.TariffChange) error {
	a.sayWouldImport(result)
	rows := make([][]string, len(changes))
	for i, c := range changes {
		what := "added"
		if !c.Added {
			columns := make([]string, len(c.Columns))
			for j, column := range c.Columns {
				columns[j] = fmt.Sprintf("%s %q, was %q", column.Column, column.After, column.Before)
			}
			what = strings.Join(columns, "; ")
		}
		rows[i] = []string{fmt.Sprint(c.Line), c.Code, c.Airport, c.AppliesTo, c.Customer, c.ValidFrom.String(), what}
	}
	if len(rows) > 0 {
		return table(a.stdout, []string{">LINE", "CODE", "AIRPORT", "APPLIES TO", "CUSTOMER", "VALID FROM", "WOULD BE"}, rows)
	}
	return nil
}

func (a *app) sayWouldImport(result imports.Result) {
	for _, warning := range result.Warnings {
		a.complain("warning: " + warning)
	}
	a.sayf("Tariffs: %s rows: %s would be added, %s changed, %s are as they are. Nothing was saved.",
		count(result.Rows), count(result.Added), count(result.Changed), count(result.Unchanged))
}
