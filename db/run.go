package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// Trigger says what asked for a run.
type Trigger string

const (
	BySchedule Trigger = "schedule"
	ByHand     Trigger = "manual"

	byStart Trigger = "start" // no run: what lies before the billing start counts as run
)

// Run is one closing date's run, as billing_runs records it.
type Run struct {
	ClosesOn  billing.Date
	StartedAt time.Time
}

// Issued counts what a run, or a part of one, put out.
type Issued struct {
	Invoices int64
	Charges  int64
	Parked   []Parked
}

// Parked is a draft that could not be issued.
type Parked struct {
	ID       int64        `json:"draft"`
	Customer string       `json:"customer"`
	ClosesOn billing.Date `json:"closes_on"` // no date for kind flight
	Currency string       `json:"currency"`
	Reason   string       `json:"reason"`
}

// BeginRun moves the cut-off to a closing date: every save that has begun is
// waited for, every later one sees it. False means that the date has been run
// before, or that an earlier run is not finished. The transaction is committed
// before any draft is touched, so that saves wait for an instant only.
func BeginRun(ctx context.Context, pool *pgxpool.Pool, calendar billing.Calendar, closesOn billing.Date, trigger Trigger, now time.Time) (began bool, err error) {
	err = pgx.BeginTxFunc(ctx, pool, ReadCommitted, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		if err := q.BillingRunLock(ctx); err != nil {
			return err
		}
		cutoff, err := q.BillingRunCutoff(ctx)
		if err != nil || !closesOn.After(cutoff) {
			return err
		}
		unfinished, err := q.BillingRunListUnfinished(ctx)
		if err != nil || len(unfinished) > 0 { // another process began it just now
			return err
		}
		began = true
		runDate := calendar.RunDate(closesOn)
		return q.BillingRunInsert(ctx, dbsqlc.BillingRunInsertParams{
			ClosesOn: closesOn, RunDate: runDate, DueAt: calendar.RunTime(runDate), Trigger: string(trigger), StartedAt: now,
		})
	})
	if err != nil {
		return false, fmt.Errorf("begin the run for closing date %s: %w", closesOn, err)
	}
	return began, nil
}

// UnfinishedRuns returns the runs whose drafts are not all issued yet, in
// order: what a crash left behind.
func UnfinishedRuns(ctx context.Context, db dbsqlc.DBTX) ([]Run, error) {
	rows, err := dbsqlc.New(db).BillingRunListUnfinished(ctx)
	if err != nil {
		return nil, fmt.Errorf("list unfinished runs: %w", err)
	}
	runs := make([]Run, len(rows))
	for i, row := range rows {
		runs[i] = Run{ClosesOn: row.ClosesOn, StartedAt: row.StartedAt}
	}
	return runs, nil
}

// UnfinishedRun returns the run of a closing date, false where it is finished.
func UnfinishedRun(ctx context.Context, db dbsqlc.DBTX, closesOn billing.Date) (Run, bool, error) {
	row, err := dbsqlc.New(db).BillingRunGetUnfinished(ctx, closesOn)
	if errors.Is(err, pgx.ErrNoRows) {
		return Run{}, false, nil
	}
	if err != nil {
		return Run{}, false, fmt.Errorf("look up the run for closing date %s: %w", closesOn, err)
	}
	return Run{ClosesOn: row.ClosesOn, StartedAt: row.StartedAt}, true, nil
}

// Chunk is a part of a run: the due drafts of some customers, by their ids.
type Chunk struct{ FirstCustomer, LastCustomer int64 }

// PlanChunks cuts what a run has to issue into chunks of about so many drafts.
func PlanChunks(ctx context.Context, db dbsqlc.DBTX, run Run, drafts int64) ([]Chunk, error) {
	rows, err := dbsqlc.New(db).InvoicePlanChunks(ctx, dbsqlc.InvoicePlanChunksParams{ClosesOn: run.ClosesOn, MaxRows: drafts})
	if err != nil {
		return nil, fmt.Errorf("cut the drafts due on %s into chunks: %w", run.ClosesOn, err)
	}
	chunks := make([]Chunk, len(rows))
	for i, row := range rows {
		chunks[i] = Chunk{row.FirstCustomerID, row.LastCustomerID}
	}
	return chunks, nil
}

// Cursor is how far a run has got through its drafts, or through a chunk of them.
type Cursor struct{ customerID, invoiceID, lastCustomerID int64 }

// Cursor begins a chunk.
func (c Chunk) Cursor() Cursor {
	return Cursor{customerID: c.FirstCustomer, lastCustomerID: c.LastCustomer}
}

// IssueChunk issues the next drafts of a run, at most maxDrafts, in one
// transaction, and moves the cursor on. done means that none were left. Drafts
// that cannot be issued are found by halving and parked; all others are out.
func IssueChunk(ctx context.Context, pool *pgxpool.Pool, run Run, cursor *Cursor, maxDrafts int32, now time.Time, today billing.Date) (issued Issued, done bool, err error) {
	rows, err := dbsqlc.New(pool).InvoiceNextDue(ctx, dbsqlc.InvoiceNextDueParams{
		ClosesOn: run.ClosesOn, AfterCustomerID: cursor.customerID, AfterID: cursor.invoiceID,
		LastCustomerID: cmp.Or(cursor.lastCustomerID, math.MaxInt64), MaxRows: maxDrafts,
	})
	if err != nil {
		return issued, false, fmt.Errorf("list the drafts due on %s: %w", run.ClosesOn, err)
	}
	if len(rows) == 0 {
		return issued, true, nil
	}
	drafts := make([]int64, len(rows))
	for i, row := range rows {
		drafts[i] = row.ID
	}
	if err := issueOrPark(ctx, pool, run, drafts, now, today, &issued); err != nil {
		if errors.Is(err, errRunFinished) {
			return issued, true, nil
		}
		return issued, false, err
	}
	cursor.customerID, cursor.invoiceID = rows[len(rows)-1].CustomerID, rows[len(rows)-1].ID
	return issued, false, nil
}

// errRunFinished: other processes have issued all that a run had to issue. What
// has become due since then is the next run's.
var errRunFinished = errors.New("the run is finished")

func issueOrPark(ctx context.Context, pool *pgxpool.Pool, run Run, drafts []int64, now time.Time, today billing.Date, issued *Issued) error {
	part, err := issueDrafts(ctx, pool, run, drafts, now, today)
	if err == nil {
		issued.Invoices += part.Invoices
		issued.Charges += part.Charges
		return nil
	}
	if !isDataFault(err) {
		return fmt.Errorf("issue the drafts due on %s: %w", run.ClosesOn, err)
	}
	if len(drafts) > 1 {
		half := len(drafts) / 2
		if err := issueOrPark(ctx, pool, run, slices.Clone(drafts[:half]), now, today, issued); err != nil {
			return err
		}
		return issueOrPark(ctx, pool, run, slices.Clone(drafts[half:]), now, today, issued)
	}
	reason := parkedReason(err)
	row, err := dbsqlc.New(pool).InvoicePark(ctx, dbsqlc.InvoiceParkParams{ID: drafts[0], At: now, RunClosesOn: run.ClosesOn, Reason: reason})
	if errors.Is(err, pgx.ErrNoRows) { // another process has issued it
		return nil
	}
	if err != nil {
		return fmt.Errorf("park draft %d, which cannot be issued (%s): %w", drafts[0], reason, err)
	}
	issued.Parked = append(issued.Parked, Parked{drafts[0], row.Customer, row.ClosesOn, row.Currency, reason})
	return nil
}

// parkedReason is what the database objected to, with the rows it names.
func parkedReason(err error) string {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err.Error()
	}
	reason := pgErr.Message
	switch {
	case pgErr.ConstraintName == "invoices_draft_has_no_number":
		reason = "the draft has no charges to sum, or its totals do not add up"
	case pgErr.Detail != "":
		reason += ": " + pgErr.Detail
	}
	if pgErr.Hint != "" {
		reason += " (" + pgErr.Hint + ")"
	}
	return reason
}

func issueDrafts(ctx context.Context, pool *pgxpool.Pool, run Run, drafts []int64, now time.Time, today billing.Date) (Issued, error) {
	var issued Issued
	err := pgx.BeginTxFunc(ctx, pool, ReadCommitted, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		if err := q.InvoiceLockCustomers(ctx, drafts); err != nil {
			return err
		}
		locked, err := q.InvoiceLockDrafts(ctx, drafts)
		if err != nil || len(locked) == 0 {
			return err
		}
		// Summed in a statement after the one that locked: that one kept the
		// snapshot from before it waited.
		row, err := q.InvoiceIssue(ctx, dbsqlc.InvoiceIssueParams{Drafts: locked, At: now, Today: today})
		if err != nil {
			return err
		}
		issued = Issued{Invoices: row.Invoices, Charges: row.Charges}
		counted, err := q.BillingRunAddIssued(ctx, dbsqlc.BillingRunAddIssuedParams{
			Invoices: row.Invoices, Charges: row.Charges, ClosesOn: run.ClosesOn,
		})
		if err == nil && counted == 0 {
			err = errRunFinished
		}
		return err
	})
	return issued, err
}

// FinishRun records that all drafts of a run are out, held or parked. left means
// that they are not: some have to be issued yet. Nil otherwise means that another
// process had recorded it.
func FinishRun(ctx context.Context, pool *pgxpool.Pool, run Run, now time.Time) (finished *dbsqlc.BillingRun, left bool, err error) {
	err = pgx.BeginTxFunc(ctx, pool, ReadCommitted, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		if err := q.BillingRunMarkHolds(ctx, run.ClosesOn); err != nil {
			return err
		}
		_, err := q.BillingRunLockUnfinished(ctx, run.ClosesOn)
		if errors.Is(err, pgx.ErrNoRows) {
			return errRunFinished // who is on hold is as that process saw it
		}
		if err != nil {
			return err
		}
		row, err := q.BillingRunFinish(ctx, dbsqlc.BillingRunFinishParams{FinishedAt: &now, ClosesOn: run.ClosesOn})
		if errors.Is(err, pgx.ErrNoRows) {
			left = true
			return nil
		}
		finished = &row
		return err
	})
	if err != nil && !errors.Is(err, errRunFinished) {
		return nil, false, fmt.Errorf("finish the run for closing date %s: %w", run.ClosesOn, err)
	}
	return finished, left, nil
}

// RunSinceStart reports whether there has been a run since the billing start.
func RunSinceStart(ctx context.Context, db dbsqlc.DBTX) (bool, error) {
	last, err := dbsqlc.New(db).BillingRunLast(ctx)
	if err != nil {
		return false, fmt.Errorf("read the last run: %w", err)
	}
	return Trigger(last.Trigger) != byStart, nil
}

// DraftPreview is a draft that a run is due to do something with.
type DraftPreview = dbsqlc.InvoicePreviewRow

// PreviewRuns lists what the runs missed up to a run date, and that date's, would
// do: each draft with the closing date whose run comes to it first, or with none
// where it stays as it is.
func PreviewRuns(ctx context.Context, db dbsqlc.DBTX, calendar billing.Calendar, runDate billing.Date) ([]DraftPreview, error) {
	drafts, err := dbsqlc.New(db).InvoicePreview(ctx, dbsqlc.InvoicePreviewParams{
		ClosesOn: calendar.ClosingDate(runDate), Baseline: calendar.Baseline(),
	})
	if err != nil {
		return nil, fmt.Errorf("list the drafts due on %s: %w", runDate, err)
	}
	return drafts, nil
}

// ParkedDrafts returns drafts that the runs up to a closing date have parked, at
// most so many.
func ParkedDrafts(ctx context.Context, db dbsqlc.DBTX, closesOn billing.Date, most int32) ([]Parked, error) {
	rows, err := dbsqlc.New(db).InvoiceListParked(ctx, dbsqlc.InvoiceListParkedParams{ClosesOn: closesOn, MaxRows: most})
	if err != nil {
		return nil, fmt.Errorf("list parked drafts: %w", err)
	}
	parked := make([]Parked, len(rows))
	for i, row := range rows {
		parked[i] = Parked{row.ID, row.Customer, row.ClosesOn, row.Currency, row.Reason}
	}
	return parked, nil
}

// isDataFault reports whether an error comes from the rows themselves, so that
// trying again as they are is no use.
func isDataFault(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && slices.Contains([]string{"22", "23", "P0"}, pgErr.Code[:2]) // data exception, constraint, raised by a trigger
}
