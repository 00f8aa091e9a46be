package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// maxReconciledShown is how many flights of a kind a terminal gets.
const maxReconciledShown = 20

// reconciledView is a flight that is not simply billed, as --json has it.
type reconciledView struct {
	FlightID string            `json:"flight_id"`
	State    jobs.Completeness `json:"state"`
	Reason   billing.Reason    `json:"reason,omitempty"`
	Date     *billing.Date     `json:"date"`      // in the flight source
	BilledOn *billing.Date     `json:"billed_on"` // the date that was billed
}

// reconcileView is what --json has beside the flights.
type reconcileView struct {
	From       billing.Date        `json:"from"`
	To         billing.Date        `json:"to"`
	Source     string              `json:"source"`
	InSource   int64               `json:"in_source"`
	Counts     []jobs.OutcomeCount `json:"counts"`
	Enqueued   *int64              `json:"enqueued,omitempty"` // with --enqueue
	OtherQueue *int64              `json:"already_queued,omitempty"`
}

// reconcileWords say what a flight has come to.
var reconcileWords = map[jobs.Completeness]string{
	jobs.Billed: "billed", jobs.Waiting: "waiting in the queue", jobs.Cancelled: "cancelled", jobs.Discarded: "discarded", jobs.Voided: "invoice voided, not billed again",
	jobs.NeverEnqueued: "never enqueued", jobs.UnusableID: "id that cannot be enqueued",
	jobs.Moved: "billed for another day", jobs.Gone: "billed, and no longer in the source", jobs.Ambiguous: "billed, and there with differing rows",
}

type reconcileOptions struct {
	from, to billing.Date
	enqueue  bool
	asJSON   bool
	list     jobs.Completeness // or empty
	shown    int               // flights of a kind
}

func (a *app) newReconcileCommand() *cobra.Command {
	o := reconcileOptions{shown: maxReconciledShown}
	var from, to, list string
	cmd := &cobra.Command{
		Use: "reconcile [--from D] [--to D] [--enqueue] [--list STATE]", Args: cobra.NoArgs,
		Short: "Compare the flight source with what was billed, waits or was given up, and find flights that were never enqueued",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.from, err = dateFlag("--from", from); err != nil {
				return err
			}
			if o.to, err = dateFlag("--to", to); err != nil {
				return err
			}
			if o.list = jobs.Completeness(list); list != "" && (o.list == jobs.Billed || !slices.Contains(jobs.Completenesses(), o.list)) {
				return usageError{fmt.Errorf("--list: %q is not one of %s", list, listedStates())}
			}
			if list != "" && o.asJSON {
				return usageError{errors.New("give --list or --json, not both: --json has the flights of all states")}
			}
			return a.withPlannedCalendar(cmd.Context(), func(pool *pgxpool.Pool, calendar billing.Calendar) error {
				if o.to.IsZero() {
					o.to = billing.DateOf(a.now(), calendar.Location).AddDays(-1)
				}
				if o.from.IsZero() {
					o.from = o.to.AddDays(1 - cmp.Or(a.config.ReconcileDays, defaultReconcileDays))
					if o.from.Before(calendar.Start) && !o.to.Before(calendar.Start) {
						o.from = calendar.Start // what moved before is billed elsewhere
					}
				}
				if o.to.Before(o.from) {
					return usageError{fmt.Errorf("--to %s is before --from %s", o.to, o.from)}
				}
				source, closeSource, err := a.openSource(cmd.Context(), pool)
				if err != nil {
					return err
				}
				defer closeSource()
				return a.reconcile(cmd.Context(), &jobs.Reconciler{Pool: pool, Source: source, Now: a.now}, calendar, o)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "flights that moved on that day (YYYY-MM-DD, in the billing time zone) or later; the first of FLIGHTBILL_RECONCILE_DAYS days where it is left out")
	cmd.Flags().StringVar(&to, "to", "", "flights that moved on that day or earlier; yesterday where it is left out")
	cmd.Flags().BoolVar(&o.enqueue, "enqueue", false, "enqueue those that never were")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print JSON, with all flights that are not simply billed")
	cmd.Flags().StringVar(&list, "list", "", "print the ids of all flights of a state, one a line, and nothing else: "+listedStates())
	return cmd
}

func listedStates() string {
	var names []string
	for _, state := range jobs.Completenesses()[1:] {
		names = append(names, string(state))
	}
	return strings.Join(names, ", ")
}

// reconcile prints once all is compared: what there is of a comparison that fails would pass for all.
func (a *app) reconcile(ctx context.Context, r *jobs.Reconciler, calendar billing.Calendar, o reconcileOptions) error {
	found, err := newReconciledFile()
	if err != nil {
		return err
	}
	defer found.close()
	var bar *progress
	result, err := r.Run(ctx, calendar, o.from, o.to, found.add, func(done, of int64) {
		if bar == nil {
			bar = newProgress(a.stderr, "reconciling flights", of)
		}
		bar.set(done)
	})
	if bar != nil {
		bar.finish()
	}
	if err != nil {
		return fmt.Errorf("reconcile: %w", err)
	}
	view := reconcileView{From: o.from, To: o.to, Source: r.Source.Name(), InSource: result.InSource, Counts: result.Counts()}
	var enqueued db.Enqueued
	if o.enqueue {
		if enqueued, err = a.enqueueReconciled(ctx, r.Pool, found, result.Of(jobs.NeverEnqueued)); err != nil {
			return err
		}
		n, other := enqueued.Enqueued+enqueued.Revived, enqueued.AlreadyQueued+enqueued.AlreadyBilled
		view.Enqueued, view.OtherQueue = &n, &other
	}
	switch {
	case o.asJSON:
		err = found.printJSON(a.stdout, view)
	case o.list != "":
		err = found.each(func(f reconciledView) error {
			if f.State == o.list {
				fmt.Fprintln(a.stdout, oneLine(f.FlightID))
			}
			return nil
		})
	default:
		err = a.printReconciled(found, view, o.shown)
	}
	return errors.Join(err, reconcileFailure(result, o.enqueue))
}

// differenceError says what somebody has to look at.
type differenceError struct{ text string }

func (e differenceError) Error() string { return e.text }

// reconcileFailure is what somebody has to look at, for the exit status.
func reconcileFailure(r jobs.Reconciliation, enqueued bool) error {
	var problems []string
	if n := r.Of(jobs.NeverEnqueued); n > 0 && !enqueued {
		problems = append(problems, count(n)+" flights were never enqueued: --enqueue enqueues them")
	}
	if n := r.Of(jobs.UnusableID); n > 0 {
		problems = append(problems, count(n)+" flights have an id that cannot be enqueued")
	}
	if n := r.Changed(); n > 0 {
		problems = append(problems, count(n)+" flights were billed otherwise than the flight source has them now: for one on another day, flightbill correct bills the difference; one that is gone, void its invoice")
	}
	if problems == nil {
		return nil
	}
	return differenceError{"reconcile: " + strings.Join(problems, "; ")}
}

// enqueueReconciled enqueues the flights that never were, a batch a transaction, so that other
// applications that enqueue the same ones wait for one batch at most.
func (a *app) enqueueReconciled(ctx context.Context, pool *pgxpool.Pool, found *reconciledFile, flights int64) (total db.Enqueued, err error) {
	bar := newProgress(a.stderr, "enqueueing", flights)
	defer bar.finish()
	var batch []string
	var done int64
	flush := func() error {
		row, err := db.Enqueue(ctx, pool, batch)
		if err != nil {
			return fmt.Errorf("reconcile: %s flights are enqueued, and the others are not: %w", count(done), err)
		}
		total.Enqueued += row.Enqueued
		total.Revived += row.Revived
		total.AlreadyQueued += row.AlreadyQueued
		total.AlreadyBilled += row.AlreadyBilled
		done += int64(len(batch))
		batch = batch[:0]
		bar.set(done)
		return nil
	}
	err = found.each(func(f reconciledView) error {
		if f.State != jobs.NeverEnqueued {
			return nil
		}
		if batch = append(batch, f.FlightID); len(batch) < enqueueBatch {
			return nil
		}
		return flush()
	})
	if err == nil && len(batch) > 0 {
		err = flush()
	}
	return total, err
}

func (a *app) printReconciled(found *reconciledFile, v reconcileView, most int) error {
	days := v.From.String()
	if v.To != v.From {
		days += " to " + v.To.String()
	}
	a.sayf("%s flights moved on %s in flight source %s.\n", count(v.InSource), days, v.Source)
	rows := make([][]string, len(v.Counts))
	for i, c := range v.Counts {
		rows[i] = []string{reconcileWords[c.State], count(c.Flights), reasonWord(c.Reason)}
	}
	if len(rows) > 0 {
		if err := table(a.stdout, []string{"STATE", ">FLIGHTS", "WHY"}, rows); err != nil {
			return err
		}
	}
	if err := a.printReconciledFlights(found, v, most); err != nil {
		return err
	}
	if v.Enqueued != nil {
		a.sayf("\n%s flights enqueued, %s by others meanwhile.", count(*v.Enqueued), count(*v.OtherQueue))
	}
	return nil
}

// printReconciledFlights prints the first flights of each state.
func (a *app) printReconciledFlights(found *reconciledFile, v reconcileView, most int) error {
	shown := map[jobs.Completeness][]reconciledView{}
	err := found.each(func(f reconciledView) error {
		if len(shown[f.State]) < most {
			shown[f.State] = append(shown[f.State], f)
		}
		return nil
	})
	if err != nil {
		return err
	}
	totals := map[jobs.Completeness]int64{}
	for _, c := range v.Counts {
		totals[c.State] += c.Flights
	}
	var rows [][]string
	var more []string
	for _, state := range jobs.Completenesses() {
		for _, f := range shown[state] {
			rows = append(rows, []string{reconcileWords[state], f.FlightID, dateText(f.Date), dateText(f.BilledOn), reasonWord(f.Reason)})
		}
		if others := totals[state] - int64(len(shown[state])); state != jobs.Billed && others > 0 {
			more = append(more, fmt.Sprintf("%s more %s: --list %s lists all.", count(others), reconcileWords[state], state))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(a.stdout)
	if err := table(a.stdout, []string{"STATE", "FLIGHT", "MOVED ON", "BILLED FOR", "WHY"}, rows); err != nil {
		return err
	}
	for _, line := range more {
		a.sayf("%s", line)
	}
	return nil
}

func reasonWord(reason billing.Reason) string {
	if word, known := reasonWords[reason]; known {
		return word
	}
	return string(reason)
}

func dateText(d *billing.Date) string {
	if d == nil {
		return ""
	}
	return d.String()
}

// reconciledFile keeps what a comparison finds, of which there may be more than fits in memory.
type reconciledFile struct {
	file *os.File
	to   *bufio.Writer
}

func newReconciledFile() (*reconciledFile, error) {
	file, err := os.CreateTemp("", "flightbill-reconcile-*")
	if err != nil {
		return nil, fmt.Errorf("reconcile: %w", err)
	}
	return &reconciledFile{file: file, to: bufio.NewWriter(file)}, nil
}

func (f *reconciledFile) close() {
	_ = f.file.Close()
	_ = os.Remove(f.file.Name())
}

func (f *reconciledFile) add(r jobs.Reconciled) error {
	view := reconciledView{FlightID: r.FlightID, State: r.State, Reason: r.Reason}
	if !r.Date.IsZero() {
		view.Date = &r.Date
	}
	if !r.BilledOn.IsZero() {
		view.BilledOn = &r.BilledOn
	}
	return json.NewEncoder(f.to).Encode(view)
}

// each calls do for all flights, in the order in which they were found.
func (f *reconciledFile) each(do func(reconciledView) error) error {
	if err := f.to.Flush(); err != nil {
		return fmt.Errorf("reconcile: %w", err)
	}
	if _, err := f.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reconcile: %w", err)
	}
	for decoder := json.NewDecoder(bufio.NewReader(f.file)); ; {
		var view reconciledView
		switch err := decoder.Decode(&view); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reconcile: %w", err)
		}
		if err := do(view); err != nil {
			return err
		}
	}
}

// printJSON writes view with the flights as its last field, one a line.
func (f *reconciledFile) printJSON(w io.Writer, view reconcileView) error {
	head, err := json.MarshalIndent(view, "", "  ")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s,\n  \"flights\": [", strings.TrimSuffix(string(head), "\n}"))
	end := "\n    "
	err = f.each(func(flight reconciledView) error {
		line, err := json.Marshal(flight)
		fmt.Fprintf(w, "%s%s", end, line)
		end = ",\n    "
		return err
	})
	if err != nil {
		return err
	}
	if strings.HasPrefix(end, ",") {
		fmt.Fprint(w, "\n  ")
	}
	_, err = fmt.Fprint(w, "]\n}\n")
	return err
}
