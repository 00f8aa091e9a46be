package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

const (
	// outageWait is how long a worker waits with a flight for a source that is away, and
	// how long the flight is put back then.
	outageWait = 15 * time.Second
	// firstWait and longestWait bound the growing intervals at which a flight
	// is looked for that is not there yet.
	firstWait   = 15 * time.Second
	longestWait = 30 * time.Minute
	// differWait is how long differing rows of a flight are looked at again: one of them
	// may be about to be replaced.
	differWait = 10 * time.Minute
	// sweepInterval is River's: what is due sooner it leaves available, with a time in
	// the future.
	sweepInterval = 5 * time.Second
)

// ending is how an attempt ends.
type ending int

const (
	billed    ending = iota // a save has completed the job
	done                    // it had been billed before: the job is completed
	cancelled               // given up until someone puts data right
	waits                   // looked at again later; the attempt does not count
	failed                  // tried again at River's intervals
	putBack                 // as it was
	lost                    // another attempt has the job
)

// verdict is what an attempt at a flight came to.
type verdict struct {
	ending  ending
	err     error
	reason  billing.Reason
	wait    time.Duration
	waiting *waiting
	facts   *billing.Flight
}

// waiting is what a job's metadata says of a flight that waits: River UI shows the
// reason, and the queue view, to who looks after the queue.
type waiting struct {
	Reason string     `json:"reason"`
	Since  *time.Time `json:"since,omitempty"`        // the first "not yet" since it was enqueued or retried
	Differ *time.Time `json:"differ_since,omitempty"` // since when it has had differing rows
	Until  *time.Time `json:"until,omitempty"`        // when it is looked for next
}

// decide is the one place where a failure becomes a verdict.
func (w *IngestFlight) decide(ctx context.Context, a *attempt, err error) {
	err = w.orUnfit(ctx, err)
	var said *billing.Error
	errors.As(err, &said)
	switch {
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || !a.own && errors.Is(err, context.DeadlineExceeded)):
		a.verdict = &verdict{ending: putBack, err: err} // the process stops, somebody cancels, or the lease is over: nothing has failed
	case errors.Is(err, db.ErrJobLost):
		a.verdict = &verdict{ending: lost, err: err}
	case said == nil && db.TryAgain(err): // no attempt is spent
		w.database.Met(err)
		a.away = a.away || db.Away(err)
		a.verdict = heldUp(a, databaseAway(err), w.riverNow())
	case said == nil && db.Unfit(err): // another flightbill's turn
		w.lookNow()
		a.away = true
		a.verdict = heldUp(a, &billing.Error{Kind: billing.Blocked, Reason: billing.ReasonDatabaseDown, Message: "the database is being migrated; flights wait"}, w.riverNow())
	case said == nil:
		a.verdict = &verdict{ending: failed, err: err}
	case said.Kind == billing.Refused:
		a.verdict = &verdict{ending: cancelled, err: said, reason: said.Reason, facts: unmatchedFacts(a, said.Reason)}
	case said.Kind == billing.NotYet:
		a.verdict = w.notYet(a, said)
	default: // billing.Outage, billing.Blocked
		a.verdict = heldUp(a, said, w.riverNow())
	}
}

// orUnfit is a failure as it is to be judged: where the database lacks something because
// somebody has migrated it, that is what has failed.
func (w *IngestFlight) orUnfit(ctx context.Context, err error) error {
	if !db.SchemaDiffers(err) {
		return err
	}
	return cmp.Or(db.CheckSchema(ctx, w.pool), err)
}

// unmatchedFacts are those of a flight whose codes no customer or tariff has, for the view
// unmatched_codes: nothing else keeps them.
func unmatchedFacts(a *attempt, reason billing.Reason) *billing.Flight {
	if a.flight.ID == "" || reason != billing.ReasonNoCustomer && reason != billing.ReasonNoTariff {
		return nil
	}
	return &a.flight
}

// heldUp has a flight look again, for a reason that is not its own. That does not begin a
// wait anew.
func heldUp(a *attempt, said *billing.Error, now time.Time) *verdict {
	v := &verdict{ending: waits, err: said, reason: said.Reason, wait: outageWait, waiting: &waiting{Reason: said.Error()}}
	if last := lastWait(a.JobRow); last != nil {
		v.waiting.Since, v.waiting.Differ, v.waiting.Until = last.Since, last.Differ, last.Until
	}
	if a.away && !a.own {
		v.ending = putBack
	} else if v.waiting.Since != nil {
		until := now.Add(outageWait)
		v.waiting.Until = &until
	}
	return v
}

func lostTo(a *attempt) *verdict {
	return &verdict{ending: lost, err: fmt.Errorf("%w: flight %s", db.ErrJobLost, a.flightID)}
}

func (w *IngestFlight) decideAll(ctx context.Context, batch []*attempt, err error) {
	for _, a := range unknown(batch) {
		w.decide(ctx, a, err)
	}
}

func (w *IngestFlight) notYet(a *attempt, said *billing.Error) *verdict {
	now := w.riverNow()
	next := waiting{Reason: said.Error(), Since: &now}
	last := lastWait(a.JobRow)
	if last != nil {
		next.Since = last.Since
	}
	waited, limit := now.Sub(*next.Since), w.wait
	if said.Reason == billing.ReasonFlightAmbiguous {
		next.Differ = &now
		if last != nil && last.Differ != nil {
			next.Differ = last.Differ
		}
		waited, limit = now.Sub(*next.Differ), min(limit, differWait)
	}
	if waited >= limit {
		return &verdict{ending: cancelled, reason: said.Reason, err: &billing.Error{
			Kind: billing.Refused, Reason: said.Reason,
			Message: fmt.Sprintf("%s (waited %s for it)", said.Error(), limit),
			Public:  fmt.Sprintf("%s (waited %s for it)", said.ForQueue(), limit),
		}}
	}
	wait := min(max(waited/2, firstWait), longestWait, limit-waited)
	until := now.Add(wait)
	next.Until = &until
	return &verdict{ending: waits, err: said, reason: said.Reason, wait: wait, waiting: &next}
}

// retriedLate is how long after the look-up that was set for it a job's own
// time may be before someone must have retried it.
const retriedLate = time.Minute

// lastWait returns since when a flight waits and until when, nil where it does not. The
// waiting begins anew where the job does not come from the look-up that was set for it:
// someone has retried it meanwhile, in River UI or by enqueueing it again.
func lastWait(job *rivertype.JobRow) *waiting {
	var metadata struct {
		Waiting *waiting `json:"waiting"`
	}
	if err := json.Unmarshal(job.Metadata, &metadata); err != nil || metadata.Waiting == nil ||
		metadata.Waiting.Since == nil || metadata.Waiting.Until == nil {
		return nil
	}
	last := metadata.Waiting
	hasFailed := false
	for _, failure := range job.Errors {
		if failure.At.After(*last.Since) && strings.HasPrefix(failure.Error, "JobCancelError: ") {
			return nil
		}
		hasFailed = hasFailed || failure.At.After(*last.Until)
	}
	// River sets the time of the next try itself, an instant after until. An
	// unexpected failure moves it on.
	late := job.ScheduledAt.Sub(*last.Until)
	if late < -2*time.Second || late > retriedLate && !hasFailed {
		return nil
	}
	return last
}

// metadata is what a verdict adds to the job's.
func (v *verdict) metadata() map[string]any {
	m := map[string]any{}
	if v.reason != "" {
		m["reason"] = v.reason
	}
	if said, ok := errors.AsType[*billing.Error](v.err); ok {
		m["said"] = said.ForQueue()
	}
	if v.waiting != nil {
		m["waiting"] = v.waiting
	}
	if v.facts != nil {
		m["facts"] = v.facts
	}
	return m
}

// end is the verdict as River's executor would write it.
func (a *attempt) end(now time.Time) db.End {
	v := a.verdict
	e := db.End{Job: db.JobOf(a.JobRow), Metadata: v.metadata(), Spent: true}
	began := a.began
	failure := func(err error) *rivertype.AttemptError {
		return &rivertype.AttemptError{At: now.Add(-time.Since(began)).UTC(), Attempt: a.Attempt, Error: err.Error()}
	}
	due := func(at time.Time, later rivertype.JobState) {
		if e.ScheduledAt, e.State = at, later; at.Sub(now) <= sweepInterval {
			e.State = rivertype.JobStateAvailable
		}
	}
	switch v.ending {
	case billed, done:
		e.State = rivertype.JobStateCompleted
	case cancelled:
		e.State, e.Error = rivertype.JobStateCancelled, failure(river.JobCancel(v.err))
	case waits:
		e.Spent, e.Metadata["snoozes"] = false, snoozes(a.Metadata)+1
		due(now.Add(v.wait), rivertype.JobStateScheduled)
	case failed:
		if e.Error = failure(v.err); a.Attempt >= a.MaxAttempts {
			e.State = rivertype.JobStateDiscarded
			break
		}
		due(retryPolicy{func() time.Time { return now }}.NextRetry(a.JobRow), rivertype.JobStateRetryable)
	case putBack, lost: // of a lost one, the fence keeps it from being written
		e.State, e.Spent = rivertype.JobStateAvailable, false
	}
	return e
}

func snoozes(metadata []byte) int64 {
	var m struct {
		Snoozes int64 `json:"snoozes"`
	}
	_ = json.Unmarshal(metadata, &m) // River, too, takes what is no number for 0
	return m.Snoozes
}

// endOwn gives River the verdict on the flight that it handed out.
func (w *IngestFlight) endOwn(ctx context.Context, slot *slot, own *attempt) error {
	if own.written { // by a save
		return nil
	}
	slot.beats.end(slot.beat)            // it may wait as long as the database is away
	_ = w.database.Wait(w.slots.working) // what River writes would be lost, and the flight rescued
	slot.expect(holderTime + finishTimeout)
	if !w.holds(ctx, own) {
		// An error, since nil would complete a job that is claimed at this very moment.
		own.verdict = lostTo(own)
	}
	w.tell(ctx, own)
	if own.verdict.ending == putBack {
		select { // River takes the error for a stop's once it has cancelled the job
		case <-ctx.Done():
		case <-time.After(holderInterval):
		}
	}
	return own.forRiver(ctx)
}

// forRiver is the verdict as River's executor takes it.
func (a *attempt) forRiver(ctx context.Context) error {
	v := a.verdict
	switch v.ending {
	case billed, done:
		return nil
	case cancelled:
		return a.withMetadata(ctx, river.JobCancel(v.err))
	case waits:
		return a.withMetadata(ctx, river.JobSnooze(v.wait))
	case failed, putBack, lost:
	}
	return v.err
}

// withMetadata has River write what the queue view shows beside the verdict.
func (a *attempt) withMetadata(ctx context.Context, verdict error) error {
	for name, value := range a.verdict.metadata() {
		if err := river.MetadataSet(ctx, name, value); err != nil {
			return fmt.Errorf("note what flight %s came to: %w", a.flightID, err)
		}
	}
	return verdict
}

const (
	// holderInterval and holderTime are how often, and for how long at most, a worker asks
	// who has its job, before it returns with a verdict.
	holderInterval = time.Second
	holderTime     = leaseTime
)

// holds reports whether an attempt still has its job. While another one has it, it
// waits: River writes what a worker returns on whichever attempt is running. After
// holderTime that one's lease is over, too.
func (w *IngestFlight) holds(ctx context.Context, own *attempt) bool {
	for began := time.Now(); time.Since(began) < holderTime; {
		holder, err := w.holder(ctx, own)
		if err == nil && (holder.Held || !holder.Running) {
			return holder.Held
		}
		if w.database.Met(err); db.Away(err) { // it is asked again when it is back
			_ = w.database.Wait(w.slots.working)
			began = time.Now()
		}
		select {
		case <-w.slots.working.Done():
			return err != nil // the process stops, and the database cannot tell
		case <-time.After(holderInterval):
		}
	}
	return false
}

func (w *IngestFlight) holder(ctx context.Context, own *attempt) (dbsqlc.QueueJobHolderRow, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	job := db.JobOf(own.JobRow)
	return dbsqlc.New(w.pool).QueueJobHolder(ctx, dbsqlc.QueueJobHolderParams{
		ID: job.ID, Attempt: int16(job.Attempt), AttemptedAt: &job.AttemptedAt, Client: job.Client, //nolint:gosec // River's column is a smallint
	})
}

// tell counts and logs what a flight came to.
func (w *IngestFlight) tell(ctx context.Context, a *attempt) {
	v := a.verdict
	switch v.ending {
	case billed:
		w.stats.flightBilled(a.ScheduledAt)
	case cancelled:
		w.logger.InfoContext(ctx, "flight cancelled", "flight_id", a.flightID, "reason", v.reason, "error", v.err)
		w.stats.flightCancelled(string(v.reason))
	case waits:
		w.logger.DebugContext(ctx, "flight waits", "flight_id", a.flightID, "error", v.err)
		w.stats.flightSnoozed(string(v.reason))
	case failed:
		w.logger.WarnContext(ctx, "flight failed and will be tried again",
			"flight_id", a.flightID, "attempt", a.Attempt, "max_attempts", a.MaxAttempts, "error", v.err)
		w.stats.flightFailed()
	case lost:
		w.logger.WarnContext(ctx, "flight left to the attempt that has it now", "flight_id", a.flightID, "error", v.err)
		w.stats.flightSnoozed("job_lost")
	case putBack:
		if v.reason != "" {
			w.stats.flightSnoozed(string(v.reason))
		}
	case done:
	}
}
