package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// overdueBatch is how many invoices turn overdue in one transaction: few
// enough that a payment waits for an instant only.
const overdueBatch = 5_000

// overdueWindow is how many are found at a time. They are marked in the order in
// which they lie in the table: in that of their due dates, each page would be
// written once for every date that it holds.
const overdueWindow = 40 * overdueBatch

// MarkOverdueArgs asks for the unpaid invoices past due to be turned OVERDUE.
type MarkOverdueArgs struct {
	Hour time.Time `json:"hour"` // the full hour it is for
}

// Kind is the job kind's name in the database.
func (MarkOverdueArgs) Kind() string { return "mark_overdue" }

// InsertOpts make one job of each hour, however many leaders insert it.
func (MarkOverdueArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: SchedulesQueue, UniqueOpts: river.UniqueOpts{ByArgs: true}}
}

// MarkOverdue turns unpaid invoices past due from PENDING to OVERDUE.
type MarkOverdue struct {
	river.WorkerDefaults[MarkOverdueArgs]

	Pool   *pgxpool.Pool
	Books  *db.PriceBooks
	Now    func() time.Time
	Stats  *Stats
	Logger *slog.Logger

	fitness *fitnessWatch
}

// Work judges by the day it is now in the billing zone, not by the hour the job
// was made for: what is overdue stays so.
func (w *MarkOverdue) Work(ctx context.Context, _ *river.Job[MarkOverdueArgs]) error {
	book, err := w.Books.Current(ctx)
	if err != nil {
		return err
	}
	if err := w.fitness.ready(ctx); err != nil {
		return err
	}
	started := time.Now()
	today := billing.DateOf(w.Now(), book.Calendar.Location)
	marked, all, err := markOverdue(ctx, dbsqlc.New(w.Pool), today, overdueWindow, func() bool { return time.Since(started) > slice })
	if err == nil && !all {
		w.Logger.InfoContext(ctx, "overdue invoices marked, more to come", "date", today.String(), "invoices", marked)
		return river.JobSnooze(0)
	}
	err = endRun(ctx, w.Stats, w.Logger, MarkOverdueArgs{}.Kind(), started, err, "overdue run failed and will be tried again", "date", today.String())
	if err != nil {
		return err
	}
	w.Logger.InfoContext(ctx, "overdue invoices marked", "date", today.String(), "invoices", marked)
	return nil
}

// Overdue marks the invoices that were due before a day, in batches, and
// returns how many. An invoice due on the day itself is not overdue.
func Overdue(ctx context.Context, pool *pgxpool.Pool, today billing.Date) (int64, error) {
	marked, _, err := markOverdue(ctx, dbsqlc.New(pool), today, overdueWindow, func() bool { return false })
	return marked, err
}

// markOverdue is Overdue, and ends before all are marked where the time is up.
func markOverdue(ctx context.Context, q *dbsqlc.Queries, today billing.Date, window int32, timeIsUp func() bool) (marked int64, all bool, err error) {
	failed := func(err error) (int64, bool, error) {
		return marked, false, fmt.Errorf("mark invoices due before %s overdue (%d are): %w", today, marked, err)
	}
	next := dbsqlc.InvoiceNextPastDueParams{Today: today, AfterDueOn: billing.NewDate(1, time.January, 1), MaxRows: window}
	for {
		found, err := q.InvoiceNextPastDue(ctx, next)
		if err != nil {
			return failed(err)
		}
		ids := each(found, func(i dbsqlc.InvoiceNextPastDueRow) int64 { return i.ID })
		slices.Sort(ids)
		for batch := range slices.Chunk(ids, overdueBatch) {
			turned, err := q.InvoiceMarkOverdue(ctx, batch)
			if err != nil {
				return failed(err)
			}
			marked += turned
			if timeIsUp() {
				return marked, false, nil
			}
		}
		if len(found) < int(window) {
			return marked, true, nil
		}
		last := found[len(found)-1]
		next.AfterDueOn, next.AfterID = last.DueOn, last.ID
	}
}
