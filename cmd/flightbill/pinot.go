package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/pinot"
)

func (a *app) newPinotCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "pinot", Short: "Check what is read from Pinot", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{fmt.Errorf("say what: flightbill pinot check")}
		},
	}
	var asJSON bool
	check := &cobra.Command{
		Use: "check [FLIGHT_ID]", Short: "Show what is read from Pinot, and what is missing there, before anything is billed",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var id string
			if len(args) == 1 {
				if id = args[0]; !db.ValidFlightID(id) {
					return usageError{fmt.Errorf("%q is not a flight id", id)}
				}
			}
			return a.checkPinot(cmd.Context(), id, asJSON)
		},
	}
	check.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(check)
	return cmd
}

// newPinotSource returns the source of the settings, whether or not flights are
// billed from it.
func (a *app) newPinotSource(logger *slog.Logger) (*pinot.Source, error) {
	config := a.config.PinotAccess
	config.Brokers, config.Controller = a.config.PinotBrokers, a.config.PinotController
	config.Table, config.Columns, config.Logger = a.config.PinotTable, a.config.PinotColumns, logger
	config.Facts, config.Zeros = a.config.PinotFacts, a.config.PinotZero
	source, err := pinot.New(config)
	if err != nil {
		return nil, usageError{err}
	}
	return source, nil
}

// pinotView is a report with what would stop the flight.
type pinotView struct {
	*pinot.Report

	StoppedBy billing.Reason `json:"stopped_by,omitempty"`
	Message   string         `json:"message,omitempty"`
}

func (a *app) checkPinot(ctx context.Context, id string, asJSON bool) error {
	source, err := a.newPinotSource(nil)
	if err != nil {
		return err
	}
	defer source.Close()
	report, failure := source.Inspect(ctx, id)
	view := pinotView{Report: report}
	if stop, ok := errors.AsType[*billing.Error](a.stopped(report)); ok {
		view.StoppedBy, view.Message = stop.Reason, stop.Message
	}
	if asJSON {
		err = printJSON(a.stdout, view)
	} else {
		err = a.printPinot(view, id, failure == nil)
	}
	return errors.Join(failure, err)
}

// stopped says why the flight of a report cannot be billed, as far as its facts tell.
func (a *app) stopped(r *pinot.Report) error {
	if r.Flight == nil {
		return r.Refusal
	}
	if err := billing.CheckMoved(*r.Flight, a.now()); err != nil {
		return err
	}
	if r.Flight.Registration == "" && r.Flight.Operator == "" {
		return billing.NoCustomer(*r.Flight)
	}
	return billing.CheckFacts(*r.Flight, a.config.Bounds)
}

// withoutFact is what becomes of a flight that lacks a fact.
var withoutFact = map[string]string{
	"flight_id":    "the row is no flight's",
	"operator":     "only the registration can tell who pays",
	"registration": "only the operator can tell who pays",
	"mtow_kg":      "not billable per_tonne, route, terminal, or with a band",
	"origin":       "tariffs of its airport do not apply",
	"destination":  "tariffs of its airport do not apply",
	"landed_at":    "not billed: counts as not landed, but for a departure",
	"distance_km":  "not billable per_km or route",
	"passengers":   "not billable per_passenger",
	"movement":     "billed as a whole flight, once it has landed",
	"on_block_at":  "not billable for its time on the stand",
	"off_block_at": "not billable for its time on the stand",
}

func (a *app) printPinot(view pinotView, id string, fits bool) error {
	if err := a.printBrokers(view.Report); err != nil || !fits {
		return err
	}
	if id != "" {
		return a.printFlight(view, id)
	}
	rows := make([][]string, len(view.Columns))
	for i, c := range view.Columns {
		rows[i] = []string{c.Name, readAs(c), c.Type, c.Value, share(c.Absent, view.SampledRows), ""}
		if c.Absent > 0 {
			rows[i][3], rows[i][5] = cmp.Or(c.Value, "absent"), withoutFact[c.Name]
		}
	}
	if err := table(a.stdout, []string{"COLUMN", "READ AS", "TYPE", "SAMPLE", ">ABSENT", "WHERE ABSENT"}, rows); err != nil {
		return err
	}
	a.sayf("\nABSENT is of a sample: the first %s rows that Pinot gave.", count(int64(view.SampledRows)))
	for _, c := range view.Columns {
		if c.Unreadable > 0 {
			a.sayf("%s cannot be read in %s of them; the first %s.", c.Name, count(int64(c.Unreadable)), c.Problem)
		}
	}
	return nil
}

func (a *app) printBrokers(r *pinot.Report) error {
	if len(r.Brokers) == 0 {
		return nil // the error says why
	}
	rows := make([][]string, len(r.Brokers))
	for i, b := range r.Brokers {
		rows[i] = []string{b.Name, cmp.Or(b.Problem, "answers")}
	}
	if err := table(a.stdout, []string{"BROKER", ""}, rows); err != nil {
		return err
	}
	if r.Rows != nil {
		a.sayf("\nRows in table %s: %s\n", r.Table, count(*r.Rows))
	}
	return nil
}

// printFlight shows the facts of one flight, and what would stop it.
func (a *app) printFlight(view pinotView, id string) error {
	if view.Flight != nil {
		rows := make([][]string, len(view.Columns))
		for i, c := range view.Columns {
			value := c.Value
			if value == "" {
				value = "absent"
				if meaning := withoutFact[c.Name]; meaning != "" {
					value += ": " + meaning
				}
			}
			rows[i] = []string{c.Name, readAs(c), c.Type, value}
		}
		if err := table(a.stdout, []string{"COLUMN", "READ AS", "TYPE", "VALUE"}, rows); err != nil {
			return err
		}
		fmt.Fprintln(a.stdout)
	}
	if view.Message != "" {
		a.sayf("%s: %s", view.StoppedBy, view.Message)
		return nil
	}
	a.sayf("Nothing in these facts stops flight %s. Its customer and tariffs were not looked at.", id)
	return nil
}

func readAs(c pinot.ColumnReport) string { return cmp.Or(c.Expression, "(not in the table)") }

// share writes n of all in percent.
func share(n, all int) string {
	if all == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(n*1000/all)/10, 'f', -1, 64) + " %"
}
