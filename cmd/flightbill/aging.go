package main

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// agingView is what a customer has to pay in one currency, by how many days it is past due.
type agingView struct {
	Customer  string          `json:"customer"`
	Currency  string          `json:"currency"`
	NotYetDue decimal.Decimal `json:"not_yet_due"`
	Days30    decimal.Decimal `json:"days_0_30"`
	Days60    decimal.Decimal `json:"days_31_60"`
	Days90    decimal.Decimal `json:"days_61_90"`
	Over90    decimal.Decimal `json:"days_over_90"`
	Credit    decimal.Decimal `json:"credit"`
	Open      decimal.Decimal `json:"open"`
}

func (a *app) newAgingCommand() *cobra.Command {
	var on, customer string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "aging", Short: "Show what each customer has open, by how long it is past due", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			day, err := dateFlag("--on", on)
			if err != nil {
				return err
			}
			return a.withPlannedCalendar(cmd.Context(), func(pool *pgxpool.Pool, calendar billing.Calendar) error {
				if day.IsZero() {
					day = billing.DateOf(a.now(), calendar.Location)
				}
				ages, err := db.ListAging(cmd.Context(), pool, day, customer)
				if err != nil {
					return err
				}
				views, rows := make([]agingView, len(ages)), make([][]string, len(ages))
				for i, r := range ages {
					views[i] = agingView(r)
					rows[i] = []string{r.Customer, r.Currency}
					for _, amount := range []decimal.Decimal{r.NotYetDue, r.Days30, r.Days60, r.Days90, r.Over90, r.Credit, r.Open} {
						rows[i] = append(rows[i], money(amount, r.Currency))
					}
				}
				if asJSON {
					return printJSON(a.stdout, views)
				}
				return table(a.stdout, []string{"CUSTOMER", "CURRENCY", ">NOT YET DUE", ">0-30 DAYS", ">31-60", ">61-90", ">OVER 90", ">CREDIT", ">OPEN"}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&on, "on", "", "as of the end of this local day, YYYY-MM-DD, from what was issued and paid by then (default: today)")
	cmd.Flags().StringVar(&customer, "customer", "", "only this customer, by code")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
