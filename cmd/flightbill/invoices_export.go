package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/exports"
	"github.com/flightbill/flightbill/document/render"
)

func (a *app) newInvoicesExportCommand() *cobra.Command {
	formats := make([]string, len(render.Formats))
	for i, format := range render.Formats {
		formats[i] = string(format)
	}
	var format, out, customer, from, to string
	cmd := &cobra.Command{
		Use:   "export NUMBER… | --from D --to D --customer CODE [--format " + strings.Join(formats, "|") + "]",
		Short: "Write invoices as files, as their customers get them: what was written once is given again, byte for byte",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(formats, format) {
				return usageError{fmt.Errorf("--format: %q is not one of %s", format, strings.Join(formats, ", "))}
			}
			byDay := from != "" || to != "" || customer != ""
			if byDay == (len(args) > 0) {
				return usageError{errors.New("say which invoices: flightbill invoices export NUMBER…, or --from, --to and --customer")}
			}
			days, err := exportDays(exports.Invoices, from, to)
			if err != nil {
				return err
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				numbers := args
				if customer != "" {
					if _, err := db.ReadCustomer(cmd.Context(), pool, customer); err != nil {
						return err
					}
				}
				if byDay {
					if numbers, err = db.ListNumbers(cmd.Context(), pool, customer, days.From, days.To); err != nil {
						return err
					}
				}
				return a.exportInvoices(cmd.Context(), pool, numbers, render.Format(format), out)
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", string(render.PDF), strings.Join(formats, ", "))
	cmd.Flags().StringVar(&out, "out", ".", "folder, or file of one invoice; -: standard output")
	cmd.Flags().StringVar(&customer, "customer", "", "those of this customer, by code")
	cmd.Flags().StringVar(&from, "from", "", "those issued on that day (YYYY-MM-DD) or later")
	cmd.Flags().StringVar(&to, "to", "", "on that day or earlier")
	return cmd
}

// exportInvoices writes as many as can be written, and says why others cannot.
func (a *app) exportInvoices(ctx context.Context, pool *pgxpool.Pool, numbers []string, format render.Format, out string) error {
	toFile := out == "-"
	if info, err := os.Stat(out); !toFile && (err != nil || !info.IsDir()) {
		toFile = true
	}
	if toFile && len(numbers) > 1 {
		return usageError{fmt.Errorf("--out %s: it is no folder, and %s invoices are as many files", out, count(int64(len(numbers))))}
	}
	if len(numbers) == 0 {
		a.sayf("no invoice is of this customer and these days")
		return nil
	}
	var problems []error
	for _, number := range numbers {
		file, err := db.GiveDocument(ctx, pool, number, format, a.now())
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			problems = append(problems, err)
			continue
		}
		name := out
		if !toFile {
			name = filepath.Join(out, number+"."+format.Ending())
		}
		err = a.writeFile(name, func(w io.Writer) error {
			_, err := w.Write(file)
			return err
		})
		if err != nil {
			return err
		}
		if name != "-" {
			a.sayf("%s: %s bytes written to %s", number, count(int64(len(file))), name)
		}
	}
	return errors.Join(problems...)
}
