package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db/exports"
)

func (a *app) newExportCommand() *cobra.Command {
	names := make([]string, len(exports.Kinds))
	for i, kind := range exports.Kinds {
		names[i] = string(kind)
	}
	var from, to string
	cmd := &cobra.Command{
		Use:       "export " + strings.Join(names, "|") + " [FILE.csv[.gz]]",
		Short:     "Write a CSV file that import reads back; of invoices, charges and the journal one for ledgers. Without FILE, or with -, to standard output",
		Args:      cobra.RangeArgs(1, 2),
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			kind := exports.Kind(args[0])
			if !slices.Contains(exports.Kinds, kind) {
				return usageError{fmt.Errorf("cannot export %q: say one of %s", kind, strings.Join(names, ", "))}
			}
			days, err := exportDays(kind, from, to)
			if err != nil {
				return err
			}
			name := "-"
			if len(args) == 2 {
				name = args[1]
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				var rows int64
				err := a.writeFile(name, func(w io.Writer) error {
					bar := newProgress(a.stderr, "exporting "+string(kind), 0)
					defer bar.finish()
					var err error
					rows, err = exports.Export(cmd.Context(), pool, kind, days, w, bar.set)
					return err
				})
				if err == nil && name != "-" {
					a.sayf("%s: %s rows written to %s", string(kind), count(rows), name)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "of flights that moved, invoices issued, charges of flights flown, or lines of the journal on that day (YYYY-MM-DD) or later")
	cmd.Flags().StringVar(&to, "to", "", "on that day or earlier")
	return cmd
}

func exportDays(kind exports.Kind, from, to string) (days exports.Days, err error) {
	if (from != "" || to != "") && !kind.TakesDays() {
		return days, usageError{fmt.Errorf("--from and --to go with flights, invoices, charges and journal: %s are written whole", kind)}
	}
	return fromTo(from, to)
}

func fromTo(from, to string) (days exports.Days, err error) {
	if days.From, err = dateFlag("--from", from); err != nil {
		return days, err
	}
	if days.To, err = dateFlag("--to", to); err != nil {
		return days, err
	}
	if !days.From.IsZero() && !days.To.IsZero() && days.To.Before(days.From) {
		return days, usageError{fmt.Errorf("--to %s is before --from %s", days.To, days.From)}
	}
	return days, nil
}

// writeFile has a file written, or standard output where it is called -. A file is there
// once all of it is, and in place of one that was there before.
func (a *app) writeFile(name string, write func(io.Writer) error) error {
	if name == "-" {
		w := a.stdout
		if s, ok := w.(screen); ok && !isTerminal(w) { // a file is written as it is
			w = s.Writer
		}
		return write(w)
	}
	file, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if strings.HasSuffix(name, ".gz") {
		zipped := gzip.NewWriter(file)
		err = errors.Join(write(zipped), zipped.Close())
	} else {
		err = write(file)
	}
	if err != nil {
		return errors.Join(err, file.Close(), os.Remove(file.Name()))
	}
	const mode = 0o644 // as other programs write files; CreateTemp's are for their owner alone
	if err := errors.Join(file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, errors.Join(err, os.Remove(file.Name())))
	}
	if err := os.Rename(file.Name(), name); err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
