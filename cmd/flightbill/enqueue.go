package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/imports"
)

// enqueueBatch is how many flights go in one statement; all statements of a
// command are one transaction.
const enqueueBatch = 10_000

// maxWarnings bounds what is said of odd ids.
const maxWarnings = 10

func (a *app) newEnqueueCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "enqueue ID… | --file FILE|-",
		Short: "Put flights in the queue: all of those named, or none",
		Args: func(_ *cobra.Command, args []string) error {
			if (len(args) == 0) == (file == "") {
				return fmt.Errorf("name flights, or give --file with one id a line, not both")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ids := func(yield func(string) error) error {
				for _, id := range args {
					if err := yield(id); err != nil {
						return err
					}
				}
				return nil
			}
			if file != "" {
				var input = a.stdin
				if file != "-" {
					opened, err := os.Open(file)
					if err != nil {
						return fmt.Errorf("enqueue: %w", err)
					}
					defer opened.Close()
					input = opened
				}
				ids = func(yield func(string) error) error {
					return imports.FlightIDs(filepath.Base(file), input, yield)
				}
			}
			return a.withQueue(cmd.Context(), func(pool *pgxpool.Pool) error {
				total, err := a.enqueue(cmd.Context(), pool, ids)
				if err != nil {
					return err
				}
				refused := ""
				if total.Refused > 0 {
					refused = fmt.Sprintf(", %s refused since their invoice was voided", count(total.Refused))
				}
				a.sayf("%s enqueued, %s brought back to work, %s already queued, %s already billed%s",
					count(total.Enqueued), count(total.Revived), count(total.AlreadyQueued), count(total.AlreadyBilled), refused)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "read ids from a file, one a line or the column flight_id of a CSV file; - is standard input")
	return cmd
}

func (a *app) enqueue(ctx context.Context, pool *pgxpool.Pool, ids func(func(string) error) error) (total db.Enqueued, err error) {
	bar := newProgress(a.stderr, "enqueueing", 0)
	defer bar.finish()
	var odd []string
	defer func() {
		for _, warning := range odd {
			a.complain("warning: " + warning)
		}
	}()
	// All are read before the first is enqueued: whoever writes the ids may take a while over
	// each, and other enqueuers of the same ones wait for this transaction.
	var batches [][]string
	err = ids(func(id string) error {
		if warning := imports.WarnOfFlightID(id); warning != "" && len(odd) < maxWarnings {
			odd = append(odd, warning)
		}
		last := len(batches) - 1
		if last < 0 || len(batches[last]) == enqueueBatch {
			batches, last = append(batches, nil), last+1
		}
		batches[last] = append(batches[last], id)
		return nil
	})
	if err != nil {
		return total, err
	}
	err = pgx.BeginTxFunc(ctx, pool, db.ReadCommitted, func(tx pgx.Tx) error {
		var sent int64
		for _, batch := range batches {
			row, err := db.Enqueue(ctx, tx, batch)
			if err != nil {
				return err
			}
			total.Enqueued += row.Enqueued
			total.Revived += row.Revived
			total.AlreadyQueued += row.AlreadyQueued
			total.AlreadyBilled += row.AlreadyBilled
			total.Refused += row.Refused
			sent += int64(len(batch))
			bar.set(sent)
		}
		return nil
	})
	return total, err
}
