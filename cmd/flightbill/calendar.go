package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// What became of a customer's closing date.
const (
	periodBefore = "before start" // before the first run of all
	periodOpen   = "open"         // its run is still to come
	periodIssued = "issued"
	periodEmpty  = "empty" // run, and nothing to bill
	periodHeld   = "held"
	periodParked = "parked"
	periodMissed = "missed" // its run was due and has not been done
)

// closingView is one closing date of one customer.
type closingView struct {
	Customer string       `json:"customer"`
	ClosesOn billing.Date `json:"closes_on"`
	State    string       `json:"state"`
	Invoices []string     `json:"invoices"`
	Reason   string       `json:"reason,omitempty"`
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
				closings, err := a.closings(cmd.Context(), pool, calendar, first, last)
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

// closings holds the billing calendar, by its rules, against the invoices that
// there are.
func (a *app) closings(ctx context.Context, pool *pgxpool.Pool, calendar billing.Calendar, first, last billing.Date) ([]closingView, error) {
	q := dbsqlc.New(pool)
	customers, err := q.CustomerList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list customers: %w", err)
	}
	invoices, err := q.InvoiceListPeriods(ctx, dbsqlc.InvoiceListPeriodsParams{FromDate: first, ToDate: last})
	if err != nil {
		return nil, fmt.Errorf("list invoices: %w", err)
	}
	cutoff, err := q.BillingRunCutoff(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the cut-off: %w", err)
	}
	type period struct {
		customer int64
		closesOn billing.Date
	}
	found := map[period][]dbsqlc.InvoiceListPeriodsRow{}
	dates := map[int64]map[billing.Date]bool{}
	for _, i := range invoices {
		p := period{i.CustomerID, i.ClosesOn}
		found[p] = append(found[p], i)
		if dates[i.CustomerID] == nil {
			dates[i.CustomerID] = map[billing.Date]bool{}
		}
		dates[i.CustomerID][i.ClosesOn] = true // of an earlier frequency, perhaps
	}

	views := []closingView{}
	for _, c := range customers {
		rule := billing.Customer{ID: c.ID, Code: c.Code, Frequency: billing.Frequency(c.BillingFrequency), WeekEndsOn: int(c.WeekEndsOn)}
		all := dates[c.ID]
		if all == nil {
			all = map[billing.Date]bool{}
		}
		for _, d := range billing.ClosingDates(rule, first, last) {
			all[d] = true
		}
		for d := first; !d.After(last); d = d.AddDays(1) {
			if !all[d] {
				continue
			}
			view := closingView{Customer: c.Code, ClosesOn: d, Invoices: []string{}}
			view.State = a.emptyState(calendar, cutoff, d)
			for _, i := range found[period{c.ID, d}] {
				view.Invoices = append(view.Invoices, nameOf(i.Number, i.ID))
				if state := draftState(i, c.BillingHold, cutoff); view.State == periodEmpty || view.State == periodBefore || state != periodIssued {
					view.State = state
				}
				if i.ParkedReason != nil {
					view.Reason = *i.ParkedReason
				}
			}
			views = append(views, view)
		}
	}
	return views, nil
}

// emptyState is the state of a closing date without invoices.
func (a *app) emptyState(calendar billing.Calendar, cutoff, closesOn billing.Date) string {
	switch {
	case !closesOn.After(calendar.Baseline()):
		return periodBefore
	case !closesOn.After(cutoff):
		return periodEmpty
	case calendar.RunTime(calendar.RunDate(closesOn)).After(a.now()):
		return periodOpen
	}
	return periodMissed
}

func draftState(i dbsqlc.InvoiceListPeriodsRow, onHold bool, cutoff billing.Date) string {
	switch {
	case i.Status != "DRAFT":
		return periodIssued
	case i.ParkedReason != nil:
		return periodParked
	case i.ClosesOn.After(cutoff):
		return periodOpen
	case onHold:
		return periodHeld
	}
	return periodMissed
}

func (a *app) printCalendar(closings []closingView) error {
	if len(closings) == 0 {
		fmt.Fprintln(a.stdout, "no customer has a closing date in these days")
		return nil
	}
	rows := make([][]string, len(closings))
	states := map[string]int64{}
	for i, c := range closings {
		rows[i] = []string{c.Customer, c.ClosesOn.String(), c.State, strings.Join(c.Invoices, " "), c.Reason}
		states[c.State]++
	}
	if err := table(a.stdout, []string{"CUSTOMER", "CLOSES ON", "STATE", "INVOICES", ""}, rows); err != nil {
		return err
	}
	var totals []string
	for _, state := range []string{periodIssued, periodEmpty, periodOpen, periodHeld, periodParked, periodMissed, periodBefore} {
		if states[state] > 0 {
			totals = append(totals, count(states[state])+" "+state)
		}
	}
	fmt.Fprintf(a.stdout, "\n%s closing dates: %s\n", count(int64(len(closings))), strings.Join(totals, ", "))
	return nil
}
