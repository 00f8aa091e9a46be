package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

const (
	// reconcileAfterRun is how long after a day's run its flights are reconciled: what was enqueued
	// before the run has had its try.
	reconcileAfterRun = 2 * time.Hour
	// reconcileTimeout is well above what 1,000,000 flights take.
	reconcileTimeout = 30 * time.Minute
	// reconcileAgain is when it looks whether the flight source is back.
	reconcileAgain = 5 * time.Minute
	// maxLogged is how many flights the log names.
	maxLogged = 10
)

// ReconcileFlightsArgs asks for the flights of the last days to be compared with the flight source.
type ReconcileFlightsArgs struct {
	Day billing.Date `json:"day"` // the one that they are before
}

// Kind is the job kind's name in the database.
func (ReconcileFlightsArgs) Kind() string { return "reconcile_flights" }

// InsertOpts make one job of each day, however many leaders insert it.
func (ReconcileFlightsArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: SchedulesQueue, UniqueOpts: river.UniqueOpts{ByArgs: true}}
}

// ReconcileFlights tells of flights of the last days that flightbill does not have, or has otherwise
// than the flight source. It changes nothing.
type ReconcileFlights struct {
	river.WorkerDefaults[ReconcileFlightsArgs]

	Reconciler *Reconciler
	Books      *db.PriceBooks
	Days       int
	Stats      *Stats
	Logger     *slog.Logger

	fitness *fitnessWatch
}

// Timeout is longer than that of other jobs, and with it the time until a killed process's job is
// taken up: once a day is enough.
func (w *ReconcileFlights) Timeout(*river.Job[ReconcileFlightsArgs]) time.Duration {
	return reconcileTimeout
}

// Work waits while the flight source is away, to the end of the day: the next day's looks at these
// flights, too.
func (w *ReconcileFlights) Work(ctx context.Context, job *river.Job[ReconcileFlightsArgs]) error {
	book, err := w.Books.Current(ctx)
	if err != nil {
		return err
	}
	if err := w.fitness.ready(ctx); err != nil {
		return err
	}
	calendar, day := book.Calendar, job.Args.Day
	from, to := day.AddDays(-w.Days), day.AddDays(-1)
	if from.Before(calendar.Start) {
		from = calendar.Start // what moved before is billed elsewhere, for all that is known
	}
	logger := w.Logger.With("from", from.String(), "to", to.String())
	switch {
	case to.Before(from):
		return nil
	case billing.DateOf(w.Reconciler.Now(), calendar.Location).After(day):
		logger.InfoContext(ctx, "flights are not reconciled with the flight source: the job of another day is to")
		return nil
	}

	var ids []string
	started := time.Now()
	result, err := w.Reconciler.Run(ctx, calendar, from, to, func(r Reconciled) error {
		if len(ids) < maxLogged && r.State.alarming() {
			ids = append(ids, r.FlightID)
		}
		return nil
	}, func(_, _ int64) {})
	if failure, ok := errors.AsType[*billing.Error](err); ok && failure.Kind == billing.Outage {
		logger.InfoContext(ctx, "flights are reconciled once the flight source answers", "error", err)
		return river.JobSnooze(reconcileAgain)
	}
	err = endRun(ctx, w.Stats, logger, job.Args.Kind(), started, err, "flights could not be reconciled with the flight source; this is tried again")
	if err != nil {
		return err
	}
	w.tell(ctx, logger, result, ids)
	return recordOutput(ctx, reconcileOutput{from, to, result.InSource, result.Counts()})
}

func (w *ReconcileFlights) tell(ctx context.Context, logger *slog.Logger, r Reconciliation, ids []string) {
	logger = logger.With("flights", r.InSource, "billed", r.Of(Billed), "waiting", r.Of(Waiting), "cancelled", r.Of(Cancelled, Discarded), "voided", r.Of(Voided))
	if r.Missing()+r.Changed() == 0 {
		logger.InfoContext(ctx, "flights reconciled: flightbill has all that the flight source has")
		return
	}
	logger.WarnContext(ctx, "flights of the flight source are missing, or were billed otherwise than it has them now: see flightbill reconcile",
		"never_enqueued", r.Of(NeverEnqueued), "unusable_id", r.Of(UnusableID), "moved", r.Of(Moved), "gone", r.Of(Gone), "ambiguous", r.Of(Ambiguous),
		"flight_ids", ids)
}

// reconcileOutput is what River keeps of a run, for River UI and for the metrics of all processes.
type reconcileOutput struct {
	From     billing.Date   `json:"from"`
	To       billing.Date   `json:"to"`
	InSource int64          `json:"in_source"`
	Counts   []OutcomeCount `json:"counts"`
}

// lastReconciliation is what the last daily run found, whichever process did it.
type lastReconciliation struct {
	Reconciliation

	at time.Time
}

// readLastReconciliation returns nil where River has none.
func readLastReconciliation(ctx context.Context, pool *pgxpool.Pool) (*lastReconciliation, error) {
	rows, err := dbsqlc.New(pool).ReconcileLast(ctx)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	var output reconcileOutput
	if err := json.Unmarshal(rows[0].Output, &output); err != nil {
		return nil, fmt.Errorf("read what the last reconciliation found: %w", err)
	}
	last := &lastReconciliation{at: rows[0].FinalizedAt, Reconciliation: newReconciliation()}
	last.InSource = output.InSource
	for _, c := range output.Counts {
		last.counts[c.Outcome] = c.Flights
	}
	return last, nil
}
