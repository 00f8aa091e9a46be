package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

func (a *app) newConsolidateCommand() *cobra.Command {
	var runDate string
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "consolidate",
		Short: "Issue the consolidated invoices that are due, now: the missed runs up to a date, and that date's",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asked, err := dateFlag("--run-date", runDate)
			if err != nil {
				return err
			}
			open := a.withRightClock
			if dryRun {
				open = a.withPlannedCalendar
			}
			return open(cmd.Context(), func(pool *pgxpool.Pool, calendar billing.Calendar) error {
				today := billing.DateOf(a.now(), calendar.Location)
				if asked.IsZero() {
					if asked = calendar.LastDueRun(a.now()); asked.IsZero() {
						return fmt.Errorf("no run is due yet: the first run date is %s; give an earlier --run-date only with --dry-run", calendar.Start)
					}
				}
				if dryRun {
					return a.preview(cmd.Context(), pool, calendar, asked, asJSON)
				}
				if asked.After(today) {
					return usageError{fmt.Errorf("run date %s is still to come (today is %s in %s); --dry-run shows what it would issue so far",
						asked, today, calendar.Location)}
				}
				return a.consolidate(cmd.Context(), pool, asked, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&runDate, "run-date", "", "local date to run, YYYY-MM-DD (default: the last one due)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what the runs would do, and do nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) consolidate(ctx context.Context, pool *pgxpool.Pool, runDate billing.Date, asJSON bool) error {
	consolidator := &jobs.Consolidator{
		Pool: pool, Books: db.NewPriceBooks(pool), Now: a.now, Logger: a.logger.With(componentKey, "SCHEDULED"),
	}
	bar := newProgress(a.stderr, "issuing invoices", 0)
	var issued int64
	results, err := consolidator.Run(ctx, runDate, db.ByHand, func(p jobs.Progress) error {
		issued += p.Invoices
		bar.set(issued)
		return nil
	})
	bar.finish()
	if err != nil {
		return err
	}
	if asJSON {
		if results == nil {
			results = []jobs.RunResult{}
		}
		return printJSON(a.stdout, results)
	}
	if len(results) == 0 {
		a.sayf("nothing to do: %s has been run", runDate)
		return nil
	}
	rows := make([][]string, len(results))
	var parked int64
	for i, r := range results {
		rows[i] = []string{r.RunDate.String(), r.ClosesOn.String(), count(r.Invoices), count(r.Charges), count(r.Held), count(r.Parked)}
		parked += r.Parked
	}
	if err := table(a.stdout, []string{"RUN DATE", "CLOSES ON", ">INVOICES", ">CHARGES", ">HELD", ">PARKED"}, rows); err != nil {
		return err
	}
	if parked > 0 {
		return fmt.Errorf("drafts that could not be issued are parked; flightbill calendar says which and why")
	}
	return nil
}

func dateFlag(flag, value string) (billing.Date, error) {
	if value == "" {
		return billing.Date{}, nil
	}
	date, err := billing.ParseDate(value)
	if err != nil {
		return date, usageError{fmt.Errorf("%s: %w", flag, err)}
	}
	return date, nil
}
