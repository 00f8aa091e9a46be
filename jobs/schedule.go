package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// periodicJobs are what the leader schedules. Every process registers them.
//
// River forgets a run that was due while nobody led, and one whose insert
// failed. So the daily run is inserted at its time, and every minute whatever
// billing_runs says is not done: the job is unique by its run date while it is
// not done, and one too many finds nothing to do.
//
// The daily reconciliation is not made up: the next one looks at the same days again.
func periodicJobs(kept func() *db.PriceBook, now func() time.Time, lookEvery time.Duration, reconcile bool, beats *heartbeats) []*river.PeriodicJob {
	dueRun := func() (river.JobArgs, *river.InsertOpts) {
		beats.expect(scheduleBeat, scheduleLook, lookEvery)
		book := kept()
		if book == nil {
			return nil, nil
		}
		// River may call up to 100 ms early; the worker waits for the time itself.
		runDate := book.Calendar.LastDueRun(now().Add(time.Second))
		if runDate.IsZero() || !book.Unfinished && !book.Calendar.ClosingDate(runDate).After(book.Cutoff) {
			return nil, nil
		}
		return ConsolidateInvoicesArgs{RunDate: runDate}, nil
	}
	thisHour := func() (river.JobArgs, *river.InsertOpts) {
		return MarkOverdueArgs{Hour: now().Add(time.Second).UTC().Truncate(time.Hour)}, nil
	}
	jobs := []*river.PeriodicJob{
		river.NewPeriodicJob(atRunTime(kept), dueRun, &river.PeriodicJobOpts{ID: "consolidate_invoices_daily"}),
		river.NewPeriodicJob(every(lookEvery), dueRun, &river.PeriodicJobOpts{ID: "consolidate_invoices_missed", RunOnStart: true}),
		river.NewPeriodicJob(every(time.Hour), thisHour, &river.PeriodicJobOpts{ID: "mark_overdue_hourly", RunOnStart: true}),
	}
	if reconcile {
		today := func() (river.JobArgs, *river.InsertOpts) {
			book := kept()
			if book == nil {
				return nil, nil
			}
			return ReconcileFlightsArgs{Day: billing.DateOf(now().Add(time.Second), book.Calendar.Location)}, nil
		}
		jobs = append(jobs, river.NewPeriodicJob(afterRunTime(kept, reconcileAfterRun), today, &river.PeriodicJobOpts{ID: "reconcile_flights_daily"}))
	}
	return jobs
}

// scheduleLook is what the leader does every so often.
const scheduleLook = "the look for runs that are due"

type scheduleFunc func(time.Time) time.Time

func (f scheduleFunc) Next(t time.Time) time.Time { return f(t) }

// atRunTime is at the time of each daily run.
func atRunTime(kept func() *db.PriceBook) scheduleFunc {
	return func(t time.Time) time.Time {
		if book := kept(); book != nil {
			return book.Calendar.NextRunTime(t)
		}
		return t.Add(time.Minute)
	}
}

// afterRunTime is so long after the time of each daily run.
func afterRunTime(kept func() *db.PriceBook, later time.Duration) scheduleFunc {
	atRun := atRunTime(kept)
	return func(t time.Time) time.Time { return atRun(t.Add(-later)).Add(later) }
}

// every is at the full minute, hour and so on, not so long after leadership was
// won.
func every(interval time.Duration) scheduleFunc {
	return func(t time.Time) time.Time { return t.Truncate(interval).Add(interval) }
}

// endRun counts and tells how an attempt at a scheduled run has ended, and returns what River
// is to make of it. Nothing has failed where its slice is over and it goes on, or where the
// process stops; it has where its deadline has passed.
func endRun(ctx context.Context, stats *Stats, logger *slog.Logger, kind string, started time.Time, err error, failed string, about ...any) error {
	switch {
	case errors.Is(err, errSliceDone):
		return river.JobSnooze(0)
	case stopping(ctx, err):
		return err // River puts the job back as it was
	}
	stats.scheduledRun(kind, time.Since(started), err)
	if err != nil {
		logger.ErrorContext(ctx, failed, append(about, "error", err)...)
	}
	return err
}

// stopping reports whether an attempt was cut short because the process stops
// at once, or because someone cancelled the job: nothing has failed.
func stopping(ctx context.Context, err error) bool {
	return errors.Is(ctx.Err(), context.Canceled) && errors.Is(err, context.Canceled)
}
