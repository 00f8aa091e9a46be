package main

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/jobs"
)

func (a *app) newOverdueCommand() *cobra.Command {
	var date string
	cmd := &cobra.Command{
		Use: "overdue", Short: "Turn unpaid invoices past due from PENDING to OVERDUE, now", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asked, err := dateFlag("--date", date)
			if err != nil {
				return err
			}
			return a.withRightClock(cmd.Context(), func(pool *pgxpool.Pool, calendar billing.Calendar) error {
				today := billing.DateOf(a.now(), calendar.Location)
				if asked.IsZero() {
					asked = today
				}
				if asked.After(today) {
					return usageError{fmt.Errorf("--date: %s is still to come (today is %s in %s): nothing is overdue yet then", asked, today, calendar.Location)}
				}
				marked, err := jobs.Overdue(cmd.Context(), pool, asked)
				if err != nil {
					return err
				}
				a.sayf("%s invoices due before %s are now overdue", count(marked), asked)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&date, "date", "", "judge as of this local date, YYYY-MM-DD (default: today)")
	return cmd
}
