package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// SchedulesQueue is the River queue of the scheduled jobs.
const SchedulesQueue = "schedules"

// ConsolidateInvoicesArgs asks for the run of a day, and for those missed
// before it.
type ConsolidateInvoicesArgs struct {
	RunDate billing.Date `json:"run_date"`
}

// Kind is the job kind's name in the database.
func (ConsolidateInvoicesArgs) Kind() string { return "consolidate_invoices" }

// InsertOpts make one job of each run date at a time, however often it is found
// due. A completed one does not stand in the way of another: what has been done
// is for billing_runs to say.
func (ConsolidateInvoicesArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: SchedulesQueue, MaxAttempts: 1000, UniqueOpts: river.UniqueOpts{
		ByArgs: true,
		ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
			rivertype.JobStateRunning, rivertype.JobStateScheduled,
		},
	}}
}

// ConsolidateInvoices is the daily run.
type ConsolidateInvoices struct {
	river.WorkerDefaults[ConsolidateInvoicesArgs]

	Consolidator *Consolidator
	Stats        *Stats

	fitness *fitnessWatch
}

// chunksCheck is how often a run whose chunks are being worked looks whether
// they are done.
const chunksCheck = 100 * time.Millisecond

// slice is how long one attempt works before it puts its job back, so that the
// job's timeout, and with it the time until a killed process's job is rescued,
// stays short however long a run takes.
const slice = 10 * time.Second

// untriedCheck is how often a run that lets flights have their first try looks
// whether they have had it.
const untriedCheck = time.Second

// Work lets the flights that were enqueued before the run have one try, then
// runs.
func (w *ConsolidateInvoices) Work(ctx context.Context, job *river.Job[ConsolidateInvoicesArgs]) error {
	c := w.Consolidator
	book, err := c.Books.Refresh(ctx)
	if err != nil {
		return err
	}
	if err := w.fitness.ready(ctx); err != nil {
		return err
	}
	if early := book.Calendar.RunTime(job.Args.RunDate).Sub(c.Now()); early > 0 {
		return river.JobSnooze(early)
	}
	untried, err := dbsqlc.New(c.Pool).QueueHasUntried(ctx, job.CreatedAt)
	if err != nil {
		return err
	}
	if untried {
		return river.JobSnooze(untriedCheck)
	}

	started := time.Now()
	results, err := c.sharing(ctx).Run(ctx, job.Args.RunDate, db.BySchedule, untilSliceDone(started))
	if outputErr := recordRuns(ctx, c.Pool, job.JobRow, results); outputErr != nil {
		err = errors.Join(err, outputErr)
	}
	return endRun(ctx, w.Stats, c.Logger, job.Args.Kind(), started, err,
		"consolidated run failed and will be tried again", "run_date", job.Args.RunDate.String())
}

var errSliceDone = errors.New("this slice is over")

// untilSliceDone ends an attempt when its time is up.
func untilSliceDone(started time.Time) func(Progress) error {
	return func(Progress) error {
		if time.Since(started) > slice {
			return errSliceDone
		}
		return nil
	}
}

// NextRetry tries again soon: an invoice must not be late because the database
// was away at 01:00.
func (w *ConsolidateInvoices) NextRetry(job *river.Job[ConsolidateInvoicesArgs]) time.Time {
	return retrySoon(w.fitness.now(), job.JobRow)
}

func retrySoon(now time.Time, job *rivertype.JobRow) time.Time {
	return now.Add(min(time.Duration(len(job.Errors)+1)*5*time.Second, time.Minute))
}

// Consolidator issues the invoices of the closing dates that have come.
type Consolidator struct {
	Pool   *pgxpool.Pool
	Books  *db.PriceBooks
	Now    func() time.Time
	Logger *slog.Logger

	// share hands chunks to all processes; nil: this one issues them itself.
	share func(context.Context, db.Run, []db.Chunk) error
}

// chunk is how many drafts are issued in one transaction.
const chunk = 1_000

// RunResult is what one closing date's run put out.
type RunResult struct {
	ClosesOn billing.Date  `json:"closes_on"`
	RunDate  billing.Date  `json:"run_date"`
	Invoices int64         `json:"invoices"`
	Charges  int64         `json:"charges"`
	Held     int64         `json:"held"`
	Parked   int64         `json:"parked"`
	LateBy   time.Duration `json:"late_by_ns"` // from when it was due to when it began
}

// empty reports whether there was nothing to issue.
func (r RunResult) empty() bool { return r.Invoices+r.Held+r.Parked == 0 }

// Run does the runs missed up to a run date, in order, and that date's. Each has
// its own cut-off. It takes up what a crash left of earlier ones, or what another
// process is at, and finds nothing to do where all is done. step, if given, is
// called after each chunk and each run; its error ends the work there, with nothing
// half done.
func (c *Consolidator) Run(ctx context.Context, runDate billing.Date, trigger db.Trigger, step func(Progress) error) ([]RunResult, error) {
	var results []RunResult
	if step == nil {
		step = func(Progress) error { return nil }
	}
	var empty stretch
	defer func() { empty.log(ctx, c.Logger) }()
	for {
		unfinished, err := db.UnfinishedRuns(ctx, c.Pool)
		if err != nil {
			return results, err
		}
		for _, run := range unfinished {
			result, err := c.finish(ctx, run, step)
			if err != nil {
				return results, err
			}
			if result != nil {
				results = append(results, *result)
				empty.report(ctx, c.Logger, *result)
			}
			if err := step(Progress{run.ClosesOn, 0}); err != nil {
				return results, err
			}
		}
		book, err := c.Books.Refresh(ctx)
		if err != nil {
			return results, err
		}
		next := book.Cutoff.AddDays(1)
		if next.After(book.Calendar.ClosingDate(runDate)) {
			return results, nil
		}
		if _, err := db.BeginRun(ctx, c.Pool, book.Calendar, next, trigger, c.Now()); err != nil {
			return results, err
		}
	}
}

// Progress is what a run has just done.
type Progress struct {
	ClosesOn billing.Date
	Invoices int64
}

// finish issues what is due in a run that has begun, and records it. Whatever
// became of chunks that were shared: it is finished when nothing is left.
func (c *Consolidator) finish(ctx context.Context, run db.Run, step func(Progress) error) (*RunResult, error) {
	for {
		if err := c.shareChunks(ctx, run, step); err != nil {
			return nil, err
		}
		if _, err := c.issue(ctx, run, db.Cursor{}, step); err != nil {
			return nil, err
		}
		row, left, err := db.FinishRun(ctx, c.Pool, run, c.Now())
		if err != nil || !left {
			return resultOf(row), err
		}
	}
}

// shareChunks leaves a run that is more than one chunk to jobs of all processes,
// and waits until none of them is left: those handed out here, or in an earlier
// attempt. What they did not do, because they were cancelled or lost, is left to
// the caller.
func (c *Consolidator) shareChunks(ctx context.Context, run db.Run, step func(Progress) error) error {
	if c.share == nil {
		return nil
	}
	shared, err := c.hasChunks(ctx, run)
	if err != nil {
		return err
	}
	if !shared {
		chunks, err := db.PlanChunks(ctx, c.Pool, run, chunk)
		if err != nil || len(chunks) < 2 {
			return err
		}
		if err := c.share(ctx, run, chunks); err != nil {
			return fmt.Errorf("hand out the chunks of closing date %s: %w", run.ClosesOn, err)
		}
		c.Logger.InfoContext(ctx, "the run's drafts are issued in chunks", "closes_on", run.ClosesOn.String(), "chunks", len(chunks))
	}
	for {
		if err := step(Progress{run.ClosesOn, 0}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(chunksCheck):
		}
		if shared, err := c.hasChunks(ctx, run); err != nil || !shared {
			return err
		}
	}
}

func (c *Consolidator) hasChunks(ctx context.Context, run db.Run) (bool, error) {
	shared, err := dbsqlc.New(c.Pool).QueueHasChunks(ctx, run.ClosesOn.String())
	if err != nil {
		return false, fmt.Errorf("look for the chunks of closing date %s: %w", run.ClosesOn, err)
	}
	return shared, nil
}

// issue issues a run's drafts from a cursor on. What it has done stays done where
// it fails.
func (c *Consolidator) issue(ctx context.Context, run db.Run, cursor db.Cursor, step func(Progress) error) (total db.Issued, err error) {
	book, err := c.Books.Current(ctx)
	if err != nil {
		return total, err
	}
	for {
		now := c.Now()
		issued, done, err := db.IssueChunk(ctx, c.Pool, run, &cursor, chunk, now, billing.DateOf(now, book.Calendar.Location))
		for _, p := range issued.Parked {
			c.Logger.ErrorContext(ctx, "draft cannot be issued and is parked: put it right, and the next run issues it",
				"draft", p.ID, "customer", p.Customer, "closes_on", p.ClosesOn.String(), "reason", p.Reason)
		}
		total.Invoices += issued.Invoices
		total.Charges += issued.Charges
		total.Parked = append(total.Parked, issued.Parked...)
		if err != nil || done {
			return total, err
		}
		if err := step(Progress{run.ClosesOn, issued.Invoices}); err != nil {
			return total, err
		}
	}
}

// resultOf is what a run that has been finished here came to; nil where it was elsewhere.
func resultOf(row *dbsqlc.BillingRun) *RunResult {
	if row == nil {
		return nil
	}
	return &RunResult{
		ClosesOn: row.ClosesOn, RunDate: row.RunDate, Invoices: row.Invoices, Charges: row.Charges,
		Held: row.Held, Parked: row.Parked, LateBy: max(0, row.StartedAt.Sub(row.DueAt)),
	}
}

// stretch is a number of runs one after the other that had nothing to issue: years of
// them are caught up with at the start of who bills history, and take one line.
type stretch struct {
	first, last RunResult
	runs        int
}

// report logs a run that has been finished, or keeps it for the line of its stretch.
func (s *stretch) report(ctx context.Context, logger *slog.Logger, run RunResult) {
	if run.empty() {
		if s.runs == 0 {
			s.first = run
		}
		s.last = run
		s.runs++
		return
	}
	s.log(ctx, logger)
	logRun(ctx, logger, run)
}

// log logs the stretch, and ends it.
func (s *stretch) log(ctx context.Context, logger *slog.Logger) {
	switch s.runs {
	case 0:
	case 1:
		logRun(ctx, logger, s.first)
	default:
		logger.InfoContext(ctx, "consolidated runs with nothing to issue", "runs", s.runs,
			"from", s.first.ClosesOn.String(), "to", s.last.ClosesOn.String(), "late_by", s.last.LateBy.Round(time.Second))
	}
	*s = stretch{}
}

func logRun(ctx context.Context, logger *slog.Logger, run RunResult) {
	level := slog.LevelInfo
	if run.Parked > 0 {
		level = slog.LevelError
	}
	logger.Log(ctx, level, "consolidated invoices issued",
		"run_date", run.RunDate.String(), "closes_on", run.ClosesOn.String(), "invoices", run.Invoices, "charges", run.Charges,
		"held", run.Held, "parked", run.Parked, "late_by", run.LateBy.Round(time.Second))
}
