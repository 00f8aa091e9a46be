package jobs

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// DeliveriesQueue is the River queue of what is told to others. It has workers of its own: a
// slow receiver holds up no billing.
const DeliveriesQueue = "deliveries"

// DefaultDeliveryWorkers is Config.DeliveryWorkers where none is given.
const DefaultDeliveryWorkers = 5

const (
	// deliveryTimeout bounds one try, below jobTimeout: its outcome is still to be written.
	deliveryTimeout = 15 * time.Second
	// deliveryPause is how long a delivery waits that could not be tried: no mail server is
	// set. It spends no try.
	deliveryPause = time.Hour
	// silentPause is how long a webhook is left alone that gave no answer in deliveryTimeout.
	// Meanwhile the workers are others'; what waits for it spends no try.
	silentPause = time.Minute
	// deliveryAgain is how long it waits where the database has failed.
	deliveryAgain = 15 * time.Second
	// maxRetryAfter is the longest that a receiver may ask to be left alone for.
	maxRetryAfter = 24 * time.Hour
)

// deliveryBackoff is how long after each failed try the next one comes: for three days. After
// the last one a delivery is given up.
func deliveryBackoff() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

// DeliverArgs asks for one message to be sent to one receiver.
type DeliverArgs struct {
	DeliveryID string `json:"delivery_id"`

	next time.Time // when the next try is due, once this one has failed
}

// Kind is the job kind's name in the database.
func (DeliverArgs) Kind() string { return "deliver" }

// InsertOpts are those of the jobs that the database's own triggers insert.
func (DeliverArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: DeliveriesQueue} }

// Deliver sends what the table deliveries has. At least once: where a process is killed
// between a request and its end, the same message goes out again, under the same id.
type Deliver struct {
	river.WorkerDefaults[DeliverArgs]

	Pool     *pgxpool.Pool
	Webhooks *WebhookSender
	Mail     *MailSender // nil: no mail server is set
	Now      func() time.Time
	Stats    *Stats
	Logger   *slog.Logger

	database *database // nil in tests of the worker alone

	silent pauses // of webhooks that gave no answer
}

// failure is why a delivery was not taken.
type failure struct {
	reason string
	final  bool          // no other try would be
	gone   bool          // the receiver wants no more of anything
	wait   time.Duration // it was no try; the next one is after this
	after  time.Duration // the receiver wants no try before; 0: it has not said
}

func notTaken(format string, args ...any) *failure {
	return &failure{reason: fmt.Sprintf(format, args...)}
}

// Work makes one try.
func (w *Deliver) Work(ctx context.Context, job *river.Job[DeliverArgs]) error {
	d, err := w.read(ctx, job)
	if err != nil {
		return w.databaseFailed(ctx, job, "read", err)
	}
	if d == nil {
		return nil // done before, or another job's
	}
	trying, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	failure := w.send(trying, job.Args.DeliveryID, d)
	if failure != nil && errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err() // River puts the job back as it was
	}
	if failure != nil && trying.Err() != nil && d.WebhookID != nil {
		w.silent.begin(*d.WebhookID, w.Now().Add(silentPause))
	}
	if failure != nil && failure.gone {
		if err := w.stop(ctx, d, failure.reason); err != nil {
			return w.databaseFailed(ctx, job, "stop the webhook of", err)
		}
	}

	now := w.Now()
	end := dbsqlc.DeliveryEndParams{ID: job.Args.DeliveryID, JobID: job.ID, Spent: 1}
	var result error
	switch {
	case failure == nil:
		end.State, end.DeliveredAt = db.Delivered, &now
	case failure.wait > 0:
		next := now.Add(failure.wait)
		end.State, end.Spent, end.NextAt = d.State, 0, &next
		result = river.JobSnooze(failure.wait)
	case failure.final || job.Attempt > len(deliveryBackoff()):
		end.State = db.DeliveryGivenUp
	default:
		next := now.Add(max(backoff(job.JobRow, job.Args.DeliveryID), failure.after))
		end.State, end.NextAt = db.DeliveryFailed, &next
		job.Args.next = next
		result = errors.New(failure.reason)
	}
	if failure != nil {
		end.LastError = &failure.reason
	}
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout) // what is there is not sent again for a stop
	defer cancel()
	if err := dbsqlc.New(w.Pool).DeliveryEnd(writing, end); err != nil {
		return w.databaseFailed(ctx, job, "write what came of", err)
	}
	if end.Spent > 0 {
		w.Stats.delivery(d.Kind, end.State)
		w.log(ctx, d, end)
	}
	return result
}

// NextRetry is when the next try is due.
func (w *Deliver) NextRetry(job *river.Job[DeliverArgs]) time.Time {
	if !job.Args.next.IsZero() {
		return job.Args.next
	}
	return w.Now().Add(backoff(job.JobRow, job.Args.DeliveryID)) // the process was killed
}

// backoff is the pause after a try, and up to a tenth of it more, which the id decides: so many
// that have failed together do not come again together.
func backoff(job *rivertype.JobRow, id string) time.Duration {
	pauses := deliveryBackoff()
	pause := pauses[min(max(job.Attempt, 1), len(pauses))-1]
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(id))
	return pause + pause*time.Duration(hash.Sum32()%1000)/10_000
}

// delivery is a message to one receiver, and what a webhook's is signed with.
type delivery struct {
	dbsqlc.DeliveryGetRow

	secrets []string
}

// read returns nil where there is nothing to do.
func (w *Deliver) read(ctx context.Context, job *river.Job[DeliverArgs]) (*delivery, error) {
	q := dbsqlc.New(w.Pool)
	row, err := q.DeliveryGet(ctx, dbsqlc.DeliveryGetParams{ID: job.Args.DeliveryID, JobID: job.ID})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // see above
	case err != nil:
		return nil, err
	case row.State != db.DeliveryPending && row.State != db.DeliveryFailed:
		return nil, nil //nolint:nilnil // see above
	}
	d := &delivery{DeliveryGetRow: row}
	if row.WebhookID != nil {
		d.secrets, err = q.WebhookSecrets(ctx, dbsqlc.WebhookSecretsParams{WebhookID: *row.WebhookID, Now: w.Now()})
	}
	return d, err
}

func (w *Deliver) send(ctx context.Context, id string, d *delivery) *failure {
	if d.Kind == db.ByMail {
		if w.Mail == nil {
			return &failure{wait: deliveryPause, reason: "no mail server is set: set FLIGHTBILL_SMTP_HOST, and restart flightbill serve"}
		}
		return w.Mail.send(ctx, id, d.DeliveryGetRow)
	}
	if !d.WebhookActive {
		if d.StoppedReason != "" {
			return &failure{final: true, reason: "the webhook was stopped: " + d.StoppedReason}
		}
		return &failure{final: true, reason: "the webhook was removed"}
	}
	if pause := w.silent.left(*d.WebhookID, w.Now()); pause > 0 {
		return &failure{wait: pause, reason: "not tried yet: another message had no answer; the next try is after a minute's pause"}
	}
	return w.Webhooks.send(ctx, message{id: id, url: d.Url, at: w.Now(), body: d.Payload, secrets: d.secrets})
}

// stop ends a webhook whose receiver wants no more.
func (w *Deliver) stop(ctx context.Context, d *delivery, reason string) error {
	now := w.Now()
	stopped, err := dbsqlc.New(w.Pool).WebhookStop(ctx, dbsqlc.WebhookStopParams{ID: *d.WebhookID, At: &now, Reason: &reason})
	if stopped > 0 {
		w.Logger.WarnContext(ctx, "a webhook's receiver wants no more: it is told nothing from now on; add the webhook again, if it shall be",
			"webhook", *d.WebhookID, "target", d.Target, "reason", reason)
	}
	return err
}

// databaseFailed has the job come again in a moment, without spending a try.
func (w *Deliver) databaseFailed(ctx context.Context, job *river.Job[DeliverArgs], what string, err error) error {
	if stopping(ctx, err) {
		return err // River puts the job back as it was
	}
	w.database.Met(err)
	if !db.Away(err) { // which is told once for all
		w.Logger.WarnContext(ctx, "the database failed to "+what+" a delivery, which is tried again", "delivery", job.Args.DeliveryID, "error", err)
	}
	return river.JobSnooze(deliveryAgain)
}

func (w *Deliver) log(ctx context.Context, d *delivery, end dbsqlc.DeliveryEndParams) {
	what := []any{"delivery", end.ID, "event", d.Event, "kind", d.Kind, "target", d.Target}
	switch end.State {
	case db.DeliveryGivenUp:
		w.Logger.WarnContext(ctx, "a delivery is given up; once what it says is put right: flightbill deliveries retry "+end.ID, append(what, "reason", *end.LastError)...)
	case db.DeliveryFailed:
		w.Logger.InfoContext(ctx, "a delivery failed and will be tried again", append(what, "reason", *end.LastError, "next_at", end.NextAt.UTC().Format(time.RFC3339))...)
	default:
		w.Logger.DebugContext(ctx, "delivered", what...)
	}
}
