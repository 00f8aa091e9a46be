package jobs

import (
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
)

const (
	// outageWait is how long a flight is put back while the source is down.
	outageWait = 15 * time.Second
	// firstWait and longestWait bound the growing intervals at which a flight
	// is looked for that is not there yet.
	firstWait   = 15 * time.Second
	longestWait = 30 * time.Minute
)

// verdict is the one place where a failure becomes retry, snooze or cancel.
func (w *IngestFlight) verdict(ctx context.Context, job *river.Job[IngestFlightArgs], err error) error {
	var failure *billing.Error
	switch {
	case stopping(ctx, err):
		return err // River puts the flight back as it was

	case errors.Is(err, db.ErrJobLost):
		// Nothing was saved, and nothing of this attempt's end may reach the one that
		// has the job now.
		w.Lost(job.ID)
		w.Logger.WarnContext(ctx, "flight left to the attempt that has it now", "flight_id", job.Args.FlightID, "error", err)
		w.Stats.flightSnoozed("job_lost")
		return river.JobSnooze(time.Second)

	case !errors.As(err, &failure):
		w.Logger.WarnContext(ctx, "flight failed and will be tried again",
			"flight_id", job.Args.FlightID, "attempt", job.Attempt, "max_attempts", job.MaxAttempts, "error", err)
		w.Stats.flightFailed()
		return err

	case failure.Kind == billing.Refused:
		return w.cancel(ctx, job, failure)

	case failure.Kind == billing.Outage:
		w.Stats.flightSnoozed(string(failure.Reason))
		w.Logger.DebugContext(ctx, "flight waits", "flight_id", job.Args.FlightID, "error", err)
		why := waiting{Reason: failure.Error()}
		if since, waits := waitingSince(job.JobRow); waits { // an outage does not begin the wait anew
			until := time.Now().Add(outageWait) // River's clock
			why.Since, why.Until = &since, &until
		}
		return snooze(ctx, failure.Reason, why, outageWait)

	default: // billing.NotYet
		return w.wait(ctx, job, failure)
	}
}

// stopping reports whether an attempt was cut short because the process stops
// at once, or because someone cancelled the job: nothing has failed.
func stopping(ctx context.Context, err error) bool {
	return errors.Is(ctx.Err(), context.Canceled) && errors.Is(err, context.Canceled)
}

func (w *IngestFlight) cancel(ctx context.Context, job *river.Job[IngestFlightArgs], failure *billing.Error) error {
	w.Logger.InfoContext(ctx, "flight cancelled", "flight_id", job.Args.FlightID, "reason", failure.Reason, "error", failure.Error())
	w.Stats.flightCancelled(string(failure.Reason))
	if err := river.MetadataSet(ctx, "reason", failure.Reason); err != nil {
		return fmt.Errorf("note why flight %s is cancelled: %w", job.Args.FlightID, err)
	}
	return river.JobCancel(failure)
}

// waiting is what a job's metadata says of a flight that waits: the queue view
// and River UI show the reason.
type waiting struct {
	Reason string     `json:"reason"`
	Since  *time.Time `json:"since,omitempty"` // the first "not yet" since it was enqueued or retried
	Until  *time.Time `json:"until,omitempty"` // when it is looked for next
}

func (w *IngestFlight) wait(ctx context.Context, job *river.Job[IngestFlightArgs], failure *billing.Error) error {
	now := time.Now() // River's clock: it compares with the job's own times
	since, waits := waitingSince(job.JobRow)
	if !waits {
		since = now
	}
	waited := now.Sub(since)
	if waited >= w.Wait {
		return w.cancel(ctx, job, &billing.Error{
			Kind: billing.Refused, Reason: failure.Reason,
			Message: fmt.Sprintf("%s (waited %s for it)", failure.Error(), w.Wait),
		})
	}
	w.Stats.flightSnoozed(string(failure.Reason))
	next := min(max(waited/2, firstWait), longestWait, w.Wait-waited)
	until := now.Add(next)
	return snooze(ctx, failure.Reason, waiting{Reason: failure.Error(), Since: &since, Until: &until}, next)
}

// retriedLate is how long after the look-up that was set for it a job's own
// time may be before someone must have retried it.
const retriedLate = time.Minute

// waitingSince returns when a flight that waits was first found "not yet". The
// waiting begins anew where the job does not come from the look-up that was set
// for it: someone has retried it meanwhile, in River UI or by enqueueing it
// again.
func waitingSince(job *rivertype.JobRow) (since time.Time, waits bool) {
	var metadata struct {
		Waiting *waiting `json:"waiting"`
	}
	if err := json.Unmarshal(job.Metadata, &metadata); err != nil || metadata.Waiting == nil ||
		metadata.Waiting.Since == nil || metadata.Waiting.Until == nil {
		return time.Time{}, false
	}
	last := metadata.Waiting
	failed := false
	for _, failure := range job.Errors {
		if failure.At.After(*last.Since) && strings.HasPrefix(failure.Error, "JobCancelError: ") {
			return time.Time{}, false
		}
		failed = failed || failure.At.After(*last.Until)
	}
	// River sets the time of the next try itself, an instant after until. An
	// unexpected failure moves it on.
	late := job.ScheduledAt.Sub(*last.Until)
	if late < -2*time.Second || late > retriedLate && !failed {
		return time.Time{}, false
	}
	return *last.Since, true
}

func snooze(ctx context.Context, reason billing.Reason, why waiting, wait time.Duration) error {
	if err := errors.Join(river.MetadataSet(ctx, "reason", reason), river.MetadataSet(ctx, "waiting", why)); err != nil {
		return fmt.Errorf("note why a flight waits: %w", err)
	}
	return river.JobSnooze(wait)
}
