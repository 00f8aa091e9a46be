package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db/imports"
	"github.com/flightbill/flightbill/pinot"
)

func (a *app) newImportCommand() *cobra.Command {
	names := make([]string, len(imports.Kinds))
	for i, kind := range imports.Kinds {
		names[i] = string(kind)
	}
	return &cobra.Command{
		Use:       "import " + strings.Join(names, "|") + " FILE.csv[.gz]",
		Short:     "Import a CSV file, all of it or nothing; - reads standard input",
		Args:      cobra.ExactArgs(2),
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			kind := imports.Kind(args[0])
			if !slices.Contains(imports.Kinds, kind) {
				return usageError{fmt.Errorf("cannot import %q: %s", kind, imports.KindNames())}
			}
			file, closeFile, err := a.openFile(args[1])
			if err != nil {
				return fmt.Errorf("import %s: %w", kind, err)
			}
			defer closeFile()
			facts, err := a.sourceFacts()
			if err != nil {
				return err
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				bar := newProgress(a.stderr, "importing "+string(kind), 0)
				result, err := imports.Load(cmd.Context(), pool, kind, filepath.Base(args[1]), file, bar.set, facts...)
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

// openFile opens a file that a command is given; - is standard input.
func (a *app) openFile(name string) (file io.Reader, closeFile func(), err error) {
	if name == "-" {
		return a.stdin, func() {}, nil
	}
	opened, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	return opened, func() { _ = opened.Close() }, nil
}

// sourceFacts names the facts that the flight source has beside those of the database.
func (a *app) sourceFacts() ([]string, error) {
	names, err := pinot.FactNames(a.config.PinotFacts)
	if err != nil {
		return nil, usageError{err}
	}
	return names, nil
}
