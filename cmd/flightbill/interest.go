package main

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// interestView is a line of interest on a late invoice.
type interestView struct {
	Customer string          `json:"customer"`
	Number   string          `json:"number"` // the late invoice
	Currency string          `json:"currency"`
	From     billing.Date    `json:"from"`
	Through  billing.Date    `json:"through"`
	Amount   decimal.Decimal `json:"amount"`
	On       int64           `json:"invoice_id,omitempty"` // the invoice or draft that it stands on
}

func (a *app) newInterestCommand() *cobra.Command {
	var through, customer string
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use: "interest", Short: "Charge interest on what was paid late or is, to customers that have a rate", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			day, err := dateFlag("--through", through)
			if err != nil {
				return err
			}
			return a.withRightClock(cmd.Context(), func(pool *pgxpool.Pool, calendar billing.Calendar) error {
				now := a.now()
				today := billing.DateOf(now, calendar.Location)
				if day.IsZero() {
					day = today.AddDays(-1)
				}
				if !day.Before(today) {
					return usageError{fmt.Errorf("--through: %s is not over (today is %s in %s): what is open at its end is not known", day, today, calendar.Location)}
				}
				charged, err := db.ChargeInterest(cmd.Context(), pool, calendar, customer, day, now, dryRun)
				views, rows := make([]interestView, len(charged)), make([][]string, len(charged))
				for i, c := range charged {
					views[i] = interestView{c.Customer, c.Number, c.Currency, c.FirstDay, c.LastDay, c.Amount, c.ChargedOn}
					if dryRun {
						views[i].On = 0 // it was rolled back
					}
					rows[i] = []string{c.Customer, c.Number, c.FirstDay.String(), c.LastDay.String(), money(c.Amount, c.Currency), c.Currency}
				}
				if err != nil {
					fmt.Fprintf(a.stderr, "%s lines were charged before it failed\n", count(int64(len(charged))))
					return err
				}
				if asJSON {
					return printJSON(a.stdout, views)
				}
				return table(a.stdout, []string{"CUSTOMER", "INVOICE", "FROM", "THROUGH", ">INTEREST", "CURRENCY"}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&through, "through", "", "the last local day that is charged, YYYY-MM-DD (default: yesterday)")
	cmd.Flags().StringVar(&customer, "customer", "", "only this customer, by code")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only show what would be charged")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
