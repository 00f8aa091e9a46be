package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

func (a *app) newDeliveriesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "deliveries", Short: "List what was sent to webhooks and by mail, or have it tried again", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{fmt.Errorf("say which: flightbill deliveries list, or retry ID… or --failed")}
		},
	}
	var asJSON bool
	var state string
	var limit int32
	list := &cobra.Command{
		Use: "list", Short: "List deliveries, the newest first, with why they were not taken", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			states := []string{db.DeliveryPending, db.DeliveryFailed, db.Delivered, db.DeliveryGivenUp}
			if state != "" && !slices.Contains(states, state) {
				return usageError{fmt.Errorf("--state: %q is not one of %s", state, strings.Join(states, ", "))}
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				return a.listDeliveries(cmd.Context(), pool, state, limit, asJSON)
			})
		},
	}
	list.Flags().StringVar(&state, "state", "", "only of this state: pending, failed (tried again), delivered or given_up")
	list.Flags().Int32Var(&limit, "limit", 1000, "at most so many")
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON")

	var allFailed bool
	retry := &cobra.Command{
		Use: "retry ID… | --failed", Short: "Have deliveries tried again at once", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 0) != allFailed {
				return usageError{fmt.Errorf("give ids of deliveries, or --failed for all that have failed or were given up")}
			}
			if allFailed {
				args = nil
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				retried, err := db.RetryDeliveries(cmd.Context(), pool, args)
				if err != nil {
					return err
				}
				a.sayf("%s deliveries are tried again", count(retried))
				return nil
			})
		},
	}
	retry.Flags().BoolVar(&allFailed, "failed", false, "all that have failed or were given up")
	cmd.AddCommand(list, retry)
	return cmd
}

// deliveryView is a delivery in the list.
type deliveryView struct {
	ID          string       `json:"id"`
	Kind        string       `json:"kind"`
	Event       string       `json:"event"`
	Invoice     *string      `json:"invoice"`
	ClosesOn    billing.Date `json:"closes_on"` // of run.finished
	Target      string       `json:"target"`
	State       string       `json:"state"`
	Attempts    int32        `json:"attempts"`
	LastError   *string      `json:"last_error"`
	CreatedAt   time.Time    `json:"created_at"`
	NextAt      *time.Time   `json:"next_at"`
	DeliveredAt *time.Time   `json:"delivered_at"`
}

func (a *app) listDeliveries(ctx context.Context, pool *pgxpool.Pool, state string, limit int32, asJSON bool) error {
	deliveries, err := db.ListDeliveries(ctx, pool, state, limit)
	if err != nil {
		return err
	}
	views, rows, below := make([]deliveryView, len(deliveries)), make([][]string, len(deliveries)), make([][]string, len(deliveries))
	for i, d := range deliveries {
		views[i] = deliveryView(d)
		about := d.ClosesOn.String()
		if d.Invoice != nil {
			about = *d.Invoice
		}
		next := ""
		if d.NextAt != nil {
			next = d.NextAt.UTC().Format(time.RFC3339)
		}
		rows[i] = []string{d.ID, d.CreatedAt.UTC().Format(time.RFC3339), d.Event, about, d.Target, d.State, count(int64(d.Attempts)), next}
		if d.LastError != nil && d.State != db.Delivered {
			below[i] = []string{*d.LastError}
		}
	}
	if asJSON {
		return printJSON(a.stdout, views)
	}
	if err := tableWithLines(a.stdout, []string{"ID", "AT", "EVENT", "ABOUT", "TARGET", "STATE", ">TRIES", "NEXT"}, rows, below); err != nil {
		return err
	}
	if len(deliveries) == int(limit) {
		fmt.Fprintf(a.stderr, "the last %d; --limit shows more\n", limit)
	}
	return nil
}
