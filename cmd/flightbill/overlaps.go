package main

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db"
)

// overlapView is a billed flight and the one before it that its aircraft cannot have
// flown too, as the view overlapping_flights has them.
type overlapView struct {
	Registration    string     `json:"registration"`
	FlightID        string     `json:"flight_id"`
	Customer        string     `json:"customer"`
	DepartedAt      *time.Time `json:"departed_at"`
	LandedAt        *time.Time `json:"landed_at"`
	OtherFlightID   string     `json:"other_flight_id"`
	OtherCustomer   string     `json:"other_customer"`
	OtherDepartedAt *time.Time `json:"other_departed_at"`
	OtherLandedAt   *time.Time `json:"other_landed_at"`
	Overlap         string     `json:"overlap"`
}

func (a *app) newOverlapsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "overlaps", Short: "Show billed flights that one aircraft cannot have flown both", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				rows, err := db.Overlaps(cmd.Context(), pool)
				if err != nil {
					return fmt.Errorf("overlaps: %w", err)
				}
				views := make([]overlapView, len(rows))
				for i, row := range rows {
					views[i] = overlapView(row)
				}
				if asJSON {
					return printJSON(a.stdout, views)
				}
				return a.printOverlaps(views)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) printOverlaps(views []overlapView) error {
	if len(views) == 0 {
		fmt.Fprintln(a.stdout, "No billed flights of one aircraft overlap.")
		return nil
	}
	rows := make([][]string, len(views))
	for i, v := range views {
		rows[i] = []string{
			v.Registration, v.FlightID, v.Customer, flown(v.DepartedAt, v.LandedAt),
			v.OtherFlightID, v.OtherCustomer, flown(v.OtherDepartedAt, v.OtherLandedAt), v.Overlap,
		}
	}
	return table(a.stdout, []string{"AIRCRAFT", "FLIGHT", "CUSTOMER", "FLOWN", "AND FLIGHT", "CUSTOMER", "FLOWN", "OVERLAP"}, rows)
}

// flown writes when a flight was in the air, in UTC, as far as that is known.
func flown(departed, landed *time.Time) string {
	const minutes = "2006-01-02 15:04Z"
	switch {
	case departed == nil:
		return "to " + landed.UTC().Format(minutes)
	case landed == nil:
		return "from " + departed.UTC().Format(minutes)
	}
	return departed.UTC().Format(minutes) + " to " + landed.UTC().Format(minutes)
}
