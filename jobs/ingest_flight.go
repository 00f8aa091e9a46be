package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// FlightsQueue is the River queue that flights are worked from.
const FlightsQueue = "flights"

// flightAttempts is how often a flight is tried again after an unexpected
// failure: with River's own intervals, for three weeks.
const flightAttempts = 25

// IngestFlightArgs asks for one flight to be billed.
type IngestFlightArgs struct {
	FlightID string `json:"flight_id"`
}

// UnmarshalJSON never fails: arguments that name no flight are refused by Work, at once;
// those that cannot be read River tries for three weeks.
func (a *IngestFlightArgs) UnmarshalJSON(text []byte) error {
	var args struct {
		FlightID any `json:"flight_id"`
	}
	_ = json.Unmarshal(text, &args)
	a.FlightID, _ = args.FlightID.(string)
	return nil
}

// Kind is the name of the job kind in the database: the SQL interface and
// other applications rely on it.
func (IngestFlightArgs) Kind() string { return "ingest_flight" }

// InsertOpts are those that the SQL interface uses too, so that a flight is
// queued once whoever enqueues it.
func (IngestFlightArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: FlightsQueue, MaxAttempts: flightAttempts, UniqueOpts: river.UniqueOpts{ByArgs: true}}
}

// FlightSource is where the facts of flights are read.
type FlightSource interface {
	Name() string
	// Flights reads flights, with one question for all of them where it can, and answers
	// for each. Its own error, of kind billing.Outage where waiting helps, says that it
	// could not answer for any.
	Flights(ctx context.Context, ids []string) (map[string]billing.Answer, error)
	// Count counts the flights whose movement took place at from or later, and before to, or
	// somewhat more: it says how much there is to list.
	Count(ctx context.Context, from, to time.Time) (int64, error)
	// List returns a page of them, in the byte order of their ids: the next after an id. An
	// empty page is the end. One that cannot be vouched for is an error of kind billing.Outage.
	List(ctx context.Context, from, to time.Time, after string) ([]billing.Listed, error)
}

// IngestFlight bills flights. River hands each worker one; while others wait, the worker
// goes on in its slot with the next in line, a batch at a time:
//
//	Work(job) → read → price → save and claim ─┐
//	              ▲     next batch; none: return │
//	              └──────────────────────────────┘
//
// Each flight stays a job of its own, with its attempts, its outcome and its reason. A
// flight that comes alone is fetched by River, read and saved.
type IngestFlight struct {
	river.WorkerDefaults[IngestFlightArgs]

	pool     *pgxpool.Pool
	books    *db.PriceBooks
	queue    *db.FlightQueue
	source   FlightSource
	breaker  *breaker
	slots    *slots
	locked   *lockedCustomers
	database *database
	batch    int           // how many are claimed at once
	lease    time.Duration // how long a claim is good for
	wait     time.Duration // how long an unknown or unlanded flight is waited for
	bounds   billing.Bounds
	now      func() time.Time // what flights are judged and billed by
	// riverNow is what jobs are written by, and what their own times are compared with.
	riverNow func() time.Time
	lookNow  func() // at whether this process may work
	stats    *Stats
	logger   *slog.Logger
}

// attempt is one attempt at a flight.
type attempt struct {
	*rivertype.JobRow

	flightID string
	own      bool // River handed it out, and writes its end but for a save
	began    time.Time

	flight  billing.Flight // once read
	unread  error          // what the source has against it
	bill    db.Bill        // once priced
	refused error          // what keeps it from being priced
	verdict *verdict       // once known
	away    bool           // the source, or the database, is away
	written bool           // the database has its end
}

// Work bills the flight that River hands out, and those that wait behind it.
func (w *IngestFlight) Work(ctx context.Context, job *river.Job[IngestFlightArgs]) error {
	began := time.Now()
	own := &attempt{JobRow: job.JobRow, flightID: job.Args.FlightID, own: true, began: began}
	slot, leave := w.slots.enter(own)
	defer leave()
	next := w.billFirst(ctx, slot, own)
	for len(next) > 0 {
		next = w.billClaimed(slot, next)
	}
	return w.endOwn(ctx, slot, own)
}

// billFirst bills River's flight: where others are known to wait, in a batch with them.
func (w *IngestFlight) billFirst(ctx context.Context, slot *slot, own *attempt) (next []*attempt) {
	if w.batch > 1 && w.queue.Busy() && w.breaker.Closed() {
		if others, err := w.turn(ctx, slot, nil, w.batch-1); err == nil && len(others) > 0 {
			w.slots.hold(own) // billClaimed lets it go
			if next = w.billClaimed(slot, append(others, own)); !own.away {
				return next
			}
		}
	}
	slot.expect(jobTimeout + outageWait)
	return append(next, w.billOwn(ctx, slot, own)...)
}

// billOwn bills River's flight by itself, under its job's own timeout and cancel. While
// the database or the flight source is away it waits with it, outageWait at most.
func (w *IngestFlight) billOwn(ctx context.Context, slot *slot, own *attempt) (next []*attempt) {
	patient, cancel := context.WithTimeout(ctx, outageWait)
	defer cancel()
	defer context.AfterFunc(w.slots.claiming, cancel)()
	for {
		if err := cmp.Or(w.database.Wait(patient), w.breaker.Wait(patient)); err != nil {
			w.decide(ctx, own, err)
			return nil
		}
		own.verdict, own.away = nil, false
		next = w.billTogether(ctx, slot, []*attempt{own}, w.batch)
		if !own.away || len(next) > 0 || patient.Err() != nil {
			return next
		}
	}
}

// billClaimed bills a batch within its lease, under the service's context: the timeout
// or cancel of River's own job must not end others' work.
func (w *IngestFlight) billClaimed(slot *slot, batch []*attempt) (next []*attempt) {
	slot.expect(w.lease + finishTimeout)
	ctx, cancel := context.WithDeadline(w.slots.working, batch[0].began.Add(w.lease))
	defer cancel()
	defer w.slots.letGo(batch...)
	defer w.finish(ctx, batch)
	return w.billSafely(ctx, slot, batch, w.batch)
}

// billSafely is billTogether where a panic fails only the flight that it comes from.
func (w *IngestFlight) billSafely(ctx context.Context, slot *slot, batch []*attempt, claim int) (next []*attempt) {
	defer func() {
		failure := recover()
		switch {
		case failure == nil:
		case len(batch) == 1:
			w.logger.ErrorContext(ctx, "billing a flight panicked: a bug", "flight_id", batch[0].flightID, "panic", failure, "stack", string(debug.Stack()))
			w.decide(ctx, batch[0], fmt.Errorf("panic: %v", failure))
		default:
			for _, a := range unknown(batch) {
				if len(next) > 0 {
					claim = 0
				}
				next = append(next, w.billSafely(ctx, slot, []*attempt{a}, claim)...)
			}
		}
	}()
	return w.billTogether(ctx, slot, batch, claim)
}

// claimed makes attempts of rows that were asked for then: their leases count from that.
// The claim has looked at kind and id.
func claimed(rows []*rivertype.JobRow, asked time.Time) []*attempt {
	attempts := make([]*attempt, len(rows))
	for i, row := range rows {
		var args IngestFlightArgs
		_ = json.Unmarshal(row.EncodedArgs, &args)
		attempts[i] = &attempt{JobRow: row, flightID: args.FlightID, began: asked}
	}
	return attempts
}
