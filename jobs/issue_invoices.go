package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// IssuingQueue is the River queue of the chunks of large runs. All processes
// that work the schedules take part.
const IssuingQueue = "issuing"

// IssueInvoicesArgs asks for the drafts of some customers, by their ids, to be
// issued in a run that has begun.
type IssueInvoicesArgs struct {
	ClosesOn      billing.Date `json:"closes_on"`
	FirstCustomer int64        `json:"first_customer"`
	LastCustomer  int64        `json:"last_customer"`
}

// Kind is the job kind's name in the database.
func (IssueInvoicesArgs) Kind() string { return "issue_invoices" }

// InsertOpts make one job of each chunk at a time.
func (IssueInvoicesArgs) InsertOpts() river.InsertOpts {
	opts := ConsolidateInvoicesArgs{}.InsertOpts()
	opts.Queue = IssuingQueue
	return opts
}

// IssueInvoices issues one chunk of a run. Whatever becomes of it, its run is not
// finished before its drafts are out: the daily job looks.
type IssueInvoices struct {
	river.WorkerDefaults[IssueInvoicesArgs]

	Consolidator *Consolidator
	Stats        *Stats

	fitness *fitnessWatch
}

// Work issues what is left of the chunk: a run that is finished has left nothing.
func (w *IssueInvoices) Work(ctx context.Context, job *river.Job[IssueInvoicesArgs]) error {
	c := w.Consolidator
	if err := w.fitness.ready(ctx); err != nil {
		return err
	}
	run, unfinished, err := db.UnfinishedRun(ctx, c.Pool, job.Args.ClosesOn)
	if err != nil || !unfinished {
		return err
	}
	started := time.Now()
	cursor := db.Chunk{FirstCustomer: job.Args.FirstCustomer, LastCustomer: job.Args.LastCustomer}.Cursor()
	issued, err := c.issue(ctx, run, cursor, untilSliceDone(started))
	if outputErr := recordChunk(ctx, job.JobRow, issued); outputErr != nil {
		err = errors.Join(err, outputErr)
	}
	return endRun(ctx, w.Stats, c.Logger, job.Args.Kind(), started, err, "a chunk of invoices failed and will be tried again",
		"closes_on", job.Args.ClosesOn.String(), "first_customer", job.Args.FirstCustomer, "last_customer", job.Args.LastCustomer)
}

// NextRetry tries again soon, as the daily run does.
func (w *IssueInvoices) NextRetry(job *river.Job[IssueInvoicesArgs]) time.Time {
	return retrySoon(w.fitness.now(), job.JobRow)
}

// sharing is a consolidator that hands large runs to jobs of all processes. It
// issues them itself where the caller is no job of River's.
func (c *Consolidator) sharing(ctx context.Context) *Consolidator {
	client, err := river.ClientFromContextSafely[pgx.Tx](ctx)
	if err != nil {
		return c
	}
	sharing := *c
	sharing.share = func(ctx context.Context, run db.Run, chunks []db.Chunk) error {
		params := each(chunks, func(part db.Chunk) river.InsertManyParams {
			return river.InsertManyParams{Args: IssueInvoicesArgs{run.ClosesOn, part.FirstCustomer, part.LastCustomer}}
		})
		_, err := client.InsertMany(ctx, params) // one statement: all or none
		return err
	}
	return &sharing
}

// mostParkedShown bounds what is shown of parked drafts on a job.
const mostParkedShown = 100

// runOutput is what River UI shows as the output of a daily job.
type runOutput struct {
	Runs   []RunResult `json:"runs"`
	Parked []db.Parked `json:"parked"` // drafts parked now; at most mostParkedShown
}

// recordRuns adds to what the job has put out in earlier slices.
func recordRuns(ctx context.Context, dbtx dbsqlc.DBTX, job *rivertype.JobRow, results []RunResult) error {
	if len(results) == 0 {
		return nil
	}
	var output runOutput
	parked, err := db.ParkedDrafts(ctx, dbtx, results[len(results)-1].ClosesOn, mostParkedShown)
	if err != nil {
		return err
	}
	if err := earlierOutput(job, &output); err != nil {
		return err
	}
	output.Runs, output.Parked = append(output.Runs, results...), parked
	last := len(output.Runs) - 1 // years of runs with nothing to issue would make the job's row large
	output.Runs = append(slices.DeleteFunc(output.Runs[:last:last], RunResult.empty), output.Runs[last])
	return recordOutput(ctx, output)
}

// chunkOutput is what River UI shows as the output of a chunk's job.
type chunkOutput struct {
	Invoices int64       `json:"invoices"`
	Charges  int64       `json:"charges"`
	Parked   []db.Parked `json:"parked"` // at most mostParkedShown
}

func recordChunk(ctx context.Context, job *rivertype.JobRow, issued db.Issued) error {
	output := chunkOutput{Parked: []db.Parked{}}
	if err := earlierOutput(job, &output); err != nil {
		return err
	}
	output.Invoices += issued.Invoices
	output.Charges += issued.Charges
	output.Parked = append(output.Parked, issued.Parked...)
	output.Parked = output.Parked[:min(len(output.Parked), mostParkedShown)]
	return recordOutput(ctx, output)
}

// earlierOutput reads what the job has recorded in its slices so far.
func earlierOutput(job *rivertype.JobRow, into any) error {
	recorded := job.Output()
	if recorded == nil {
		return nil
	}
	if err := json.Unmarshal(recorded, into); err != nil {
		return fmt.Errorf("read the output of job %d: %w", job.ID, err)
	}
	return nil
}

func recordOutput(ctx context.Context, output any) error {
	if _, err := river.ClientFromContextSafely[pgx.Tx](ctx); err != nil {
		return nil //nolint:nilerr // no job of River's: nobody to show it to
	}
	if err := river.RecordOutput(ctx, output); err != nil {
		return fmt.Errorf("record what was issued: %w", err)
	}
	return nil
}
