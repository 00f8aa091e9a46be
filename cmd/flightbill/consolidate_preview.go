package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// What a run would do with a draft.
const (
	actionIssue = "issue"
	actionRetry = "retry"       // it was parked, and is tried again: issued if it was put right
	actionPark  = "park"        // it has no charges
	actionHeld  = "stay held"   // until the hold is lifted
	actionStay  = "stay parked" // no run is to be done that would try it again
)

// draftView is a draft as a dry run shows it.
type draftView struct {
	// The closing date whose run would do it, and that run's date; no date: none
	// of these runs.
	Run      billing.Date    `json:"run_closes_on"`
	RunDate  billing.Date    `json:"run_date"`
	Action   string          `json:"action"`
	Customer string          `json:"customer"`
	ID       int64           `json:"id"`
	Kind     string          `json:"kind"`
	ClosesOn billing.Date    `json:"closes_on"`
	Currency string          `json:"currency"`
	Outside  bool            `json:"outside_scope"` // of VAT
	Charges  int64           `json:"charges"`
	Subtotal decimal.Decimal `json:"subtotal"`
	Tax      decimal.Decimal `json:"tax"`
	Total    decimal.Decimal `json:"total"`
	Reason   string          `json:"reason,omitempty"`
}

// preview prints what the runs missed up to a date, and that date's, would do.
func (a *app) preview(ctx context.Context, pool *pgxpool.Pool, calendar billing.Calendar, runDate billing.Date, asJSON bool) error {
	rows, err := db.PreviewRuns(ctx, pool, calendar, runDate)
	if err != nil {
		return err
	}
	views := make([]draftView, len(rows))
	for i, row := range rows {
		views[i] = draftView{
			row.RunClosesOn, billing.Date{}, actionOf(row), row.Customer, row.ID, row.Kind, row.ClosesOn, row.Currency, row.OutsideScope,
			row.Charges, row.Subtotal, row.Tax, row.Total, row.ParkedReason,
		}
		if !row.RunClosesOn.IsZero() {
			views[i].RunDate = calendar.RunDate(row.RunClosesOn)
		}
	}
	if asJSON {
		return printJSON(a.stdout, views)
	}
	if len(views) == 0 {
		a.sayf("the run of %s would issue nothing", runDate)
		return nil
	}
	cells := make([][]string, len(views))
	for i, v := range views {
		cells[i] = []string{
			v.RunDate.String(), v.Customer, fmt.Sprint(v.ID), kindOf(v.Kind, v.Outside), v.ClosesOn.String(), count(v.Charges), money(v.Total, v.Currency), v.Currency,
			v.Action, v.Reason,
		}
	}
	return table(a.stdout, []string{"RUN DATE", "CUSTOMER", ">DRAFT", "KIND", "CLOSES ON", ">CHARGES", ">TOTAL", "CURRENCY", "RUN WOULD", ""}, cells)
}

func actionOf(row db.DraftPreview) string {
	switch {
	case row.OnHold:
		return actionHeld
	case row.ParkedReason != "" && row.RunClosesOn.IsZero():
		return actionStay
	case row.ParkedReason != "":
		return actionRetry
	case row.Charges == 0:
		return actionPark
	}
	return actionIssue
}
