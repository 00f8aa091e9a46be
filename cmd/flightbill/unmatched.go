package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// unmatchedView is a code that fits nothing, as the view unmatched_codes has it.
type unmatchedView struct {
	FoundIn  string        `json:"found_in"`
	Kind     string        `json:"kind"`
	Code     string        `json:"code"`
	Flights  int64         `json:"flights"`
	LastSeen *billing.Date `json:"last_seen"`
}

// unmatchedMeaning says, for where a code is found and its kind, what is the matter.
var unmatchedMeaning = map[[2]string]string{
	{"flights", "airport"}:        "no tariff names an airport of these flights",
	{"flights", "operator"}:       "nobody pays: no customer has it, nor the aircraft",
	{"flights", "registration"}:   "nobody pays: no customer has it, and the operator is not known",
	{"tariffs", "airport"}:        "no flight has it",
	{"customers", "operator"}:     "no flight has it",
	{"customers", "registration"}: "no flight has it",
}

func (a *app) newUnmatchedCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "unmatched", Short: "List the airports, operators and registrations that fit nothing", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				codes, err := db.UnmatchedCodes(cmd.Context(), pool)
				if err != nil {
					return err
				}
				views := make([]unmatchedView, len(codes))
				for i, c := range codes {
					views[i] = unmatchedView{FoundIn: c.FoundIn, Kind: c.Kind, Code: c.Code, Flights: c.Flights}
					if !c.LastSeen.IsZero() {
						views[i].LastSeen = &c.LastSeen
					}
				}
				if asJSON {
					return printJSON(a.stdout, views)
				}
				return a.printUnmatched(views)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) printUnmatched(codes []unmatchedView) error {
	if len(codes) == 0 {
		fmt.Fprintln(a.stdout, "all codes of flights, tariffs and customers fit")
		return nil
	}
	rows := make([][]string, len(codes))
	for i, c := range codes {
		lastSeen := ""
		if c.LastSeen != nil {
			lastSeen = c.LastSeen.String()
		}
		rows[i] = []string{c.FoundIn, c.Kind, fmt.Sprintf("%q", c.Code), count(c.Flights), lastSeen, unmatchedMeaning[[2]string{c.FoundIn, c.Kind}]}
	}
	return table(a.stdout, []string{"IN", "KIND", "CODE", ">FLIGHTS", "LAST SEEN", ""}, rows)
}

// sayUnmatched says in a line how many codes fit nothing, if there are any. What was
// imported is in the database, whatever comes of this.
func (a *app) sayUnmatched(ctx context.Context, pool *pgxpool.Pool) {
	counts, err := db.CountUnmatchedCodes(ctx, pool)
	if err != nil {
		a.complain(fmt.Sprintf("the codes of flights, tariffs and customers could not be compared: %v", err))
		return
	}
	for _, c := range counts {
		kind := c.Kind
		if c.Codes != 1 {
			kind += "s"
		}
		a.sayf("%s %s of %s: %s", count(c.Codes), kind, c.FoundIn, unmatchedMeaning[[2]string{c.FoundIn, c.Kind}])
	}
	if len(counts) > 0 {
		fmt.Fprintln(a.stdout, "flightbill unmatched lists them")
	}
}
