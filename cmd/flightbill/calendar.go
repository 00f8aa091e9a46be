package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// closingView is one closing date of one customer, as the view billing_calendar
// has it; one for each invoice where there are several.
type closingView struct {
	Customer  string           `json:"customer"`
	ClosesOn  billing.Date     `json:"closes_on"`
	RunDate   billing.Date     `json:"run_date"`
	DueAt     *time.Time       `json:"due_at"`
	Status    string           `json:"status"`
	InvoiceID int64            `json:"invoice_id,omitempty"`
	Number    string           `json:"number,omitempty"`
	Currency  string           `json:"currency,omitempty"`
	Outside   bool             `json:"outside_scope,omitempty"` // of VAT
	Total     *decimal.Decimal `json:"total,omitempty"`
	Reason    string           `json:"reason,omitempty"`
}

func (a *app) newCalendarCommand() *cobra.Command {
	var from, to string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "calendar", Short: "Show each customer's closing dates and what became of them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			first, err := dateFlag("--from", from)
			if err != nil {
				return err
			}
			last, err := dateFlag("--to", to)
			if err != nil {
				return err
			}
			return a.withPlannedCalendar(cmd.Context(), func(pool *pgxpool.Pool, calendar billing.Calendar) error {
				today := billing.DateOf(a.now(), calendar.Location)
				if first.IsZero() {
					first = today.AddDays(-62)
				}
				if last.IsZero() {
					last = max2(first, today).AddDays(31)
				}
				if last.Before(first) {
					return usageError{fmt.Errorf("--to %s is before --from %s", last, first)}
				}
				closings, err := closings(cmd.Context(), pool, first, last)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(a.stdout, closings)
				}
				return a.printCalendar(closings)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "first closing date, YYYY-MM-DD (default: two months ago)")
	cmd.Flags().StringVar(&to, "to", "", "last closing date, YYYY-MM-DD (default: in a month)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func max2(a, b billing.Date) billing.Date {
	if a.After(b) {
		return a
	}
	return b
}

func closings(ctx context.Context, pool *pgxpool.Pool, first, last billing.Date) ([]closingView, error) {
	rows, err := db.ListClosings(ctx, pool, first, last)
	if err != nil {
		return nil, err
	}
	views := make([]closingView, len(rows))
	for i, row := range rows {
		views[i] = closingView{
			Customer: row.Customer, ClosesOn: row.ClosesOn, RunDate: row.RunDate, DueAt: row.DueAt, Status: row.Status,
			InvoiceID: row.InvoiceID, Number: row.Number, Currency: row.Currency, Outside: row.OutsideScope, Total: db.DecimalOrNil(row.Total), Reason: row.Reason,
		}
	}
	return views, nil
}

func (a *app) printCalendar(closings []closingView) error {
	if len(closings) == 0 {
		fmt.Fprintln(a.stdout, "no customer has a closing date in these days")
		return nil
	}
	rows := make([][]string, len(closings))
	statuses := map[string]int64{}
	for i, c := range closings {
		statuses[c.Status]++
		rows[i] = []string{c.Customer, c.ClosesOn.String(), c.RunDate.String(), c.Status, c.Number, "", c.Currency, c.Reason}
		if c.Number == "" && c.InvoiceID != 0 {
			rows[i][4] = nameOf(nil, c.InvoiceID)
		}
		if c.Outside {
			rows[i][7] = strings.TrimPrefix(c.Reason+"; "+outsideScope, "; ")
		}
		if c.Total != nil {
			rows[i][5] = money(*c.Total, c.Currency)
		}
	}
	if err := table(a.stdout, []string{"CUSTOMER", "CLOSES ON", "RUN DATE", "STATUS", "INVOICE", ">TOTAL", "CURRENCY", ""}, rows); err != nil {
		return err
	}
	var totals []string
	for _, status := range []string{"issued", "empty", "open", "due", "held", "parked", "missed"} {
		if statuses[status] > 0 {
			totals = append(totals, count(statuses[status])+" "+status)
		}
	}
	a.sayf("\n%s: %s", count(int64(len(closings))), strings.Join(totals, ", "))
	return nil
}
