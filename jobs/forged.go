package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// Whoever may connect to the database can send River's notices to cancel a job and to
// pause a queue, and River acts on them unseen. A client of River's writes the same into
// the job's or the queue's row before it sends one: the row decides.

const (
	// cancelCheck is how often a job that a notice has cancelled is looked at again: it
	// may be cancelled in earnest later, which its context cannot tell any more.
	cancelCheck = 5 * time.Second
	// resumeInterval is the pause between two looks at queues that a notice has paused.
	resumeInterval = 50 * time.Millisecond
)

// cancelGuard is a middleware by which a job's context ends with its time, with the
// process, or where its row says that it is cancelled; not with a notice alone.
type cancelGuard struct {
	river.MiddlewareDefaults

	pool  *pgxpool.Pool
	slots *slots
	beats *heartbeats
}

// Work has the job done in a context of its own.
func (g *cancelGuard) Work(ctx context.Context, job *rivertype.JobRow, work func(context.Context) error) error {
	if job.Kind != (IngestFlightArgs{}).Kind() { // whose workers have their own
		beat := fmt.Sprintf("%d by %p", job.ID, job)
		g.beats.expect(beat, "a worker of "+job.Kind, jobTimeout)
		defer g.beats.end(beat)
	}
	guarded, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	timed, end := guarded, func() {}
	if deadline, ok := ctx.Deadline(); ok {
		timed, end = context.WithDeadline(guarded, deadline)
	}
	defer end()
	working := g.slots.working // of now: a restart has another
	defer context.AfterFunc(ctx, func() {
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) { // else its time is over, and no process stops
			cancel(g.cause(ctx, guarded, working, job.ID))
		}
	})()
	return work(timed)
}

// cause returns why a job is to end whose context has ended, once it is.
func (g *cancelGuard) cause(ctx, guarded, working context.Context, job int64) error {
	cause := context.Cause(ctx)
	for errors.Is(cause, rivertype.ErrJobCancelledRemotely) && !g.cancelled(ctx, job) {
		select {
		case <-guarded.Done(): // it is over
			return nil
		case <-working.Done(): // which ctx cannot tell any more, either
			return context.Canceled
		case <-time.After(cancelCheck):
		}
	}
	return cause
}

func (g *cancelGuard) cancelled(ctx context.Context, job int64) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	cancelled, err := dbsqlc.New(g.pool).QueueIsCancelled(ctx, job)
	return err == nil && cancelled
}

// resumer has River's producers go on with queues that a notice has paused, and no
// client of River's.
type resumer struct {
	client *river.Client[pgx.Tx]
	pool   *pgxpool.Pool
	beats  *heartbeats
	logger *slog.Logger
	told   time.Time
}

// run ends when the client has stopped, which closes its subscriptions.
func (r *resumer) run(paused <-chan *river.Event) {
	for event := range paused {
		ctx, cancel := context.WithTimeout(context.Background(), finishTimeout)
		resumed, err := r.resume(ctx, event.Queue.Name)
		cancel()
		if err == nil && !resumed && event.Queue.Name == FlightsQueue {
			r.beats.end(fetchBeat) // until the next fetch
		}
		if (resumed || err != nil) && time.Since(r.told) > tellAgain {
			r.told = time.Now()
			r.logger.Warn("a queue was paused by a notice that no River client has sent; it goes on: see who may connect to the database",
				"queue", event.Queue.Name, "error", err)
		}
		time.Sleep(resumeInterval)
	}
}

// resume resumes a queue that is not paused. Its row is locked, so that a pause in
// earnest comes before this, and is seen, or after.
func (r *resumer) resume(ctx context.Context, queue string) (resumed bool, err error) {
	err = pgx.BeginTxFunc(ctx, r.pool, db.ReadCommitted, func(tx pgx.Tx) error {
		paused, err := dbsqlc.New(tx).QueueLockPaused(ctx, queue)
		if err != nil || paused {
			return err
		}
		resumed = true
		return r.client.QueueResumeTx(ctx, tx, queue, nil)
	})
	if err != nil {
		return false, fmt.Errorf("resume queue %s: %w", queue, err)
	}
	return resumed, nil
}
