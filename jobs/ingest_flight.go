package jobs

import (
	"context"
	"encoding/json"
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

// FlightsQueue is the River queue that flights are worked from.
const FlightsQueue = "flights"

// flightAttempts is how often a flight is tried again after an unexpected
// failure: with River's own intervals, for three weeks.
const flightAttempts = 25

// IngestFlightArgs asks for one flight to be billed.
type IngestFlightArgs struct {
	FlightID string `json:"flight_id"`
}

// Kind is the name of the job kind in the database: the SQL interface and
// other applications rely on it.
func (IngestFlightArgs) Kind() string { return "ingest_flight" }

// InsertOpts are those that the SQL interface uses too, so that a flight is
// queued once whoever enqueues it.
func (IngestFlightArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: FlightsQueue, MaxAttempts: flightAttempts, UniqueOpts: river.UniqueOpts{ByArgs: true}}
}

// FlightSource is where the facts of flights are read. Errors of type
// *billing.Error say what becomes of the flight; any other is tried again.
type FlightSource interface {
	Name() string
	Flight(ctx context.Context, id string) (billing.Flight, error)
}

// IngestFlight bills one flight a job.
type IngestFlight struct {
	river.WorkerDefaults[IngestFlightArgs]

	Pool   *pgxpool.Pool
	Books  *db.PriceBooks
	Saver  *db.Saver
	Source FlightSource
	Ahead  *readAhead // nil where the source reads one flight at a time
	Gate   *sourceGate
	Saved  func(jobID int64) // told of a job that a save has completed
	Lost   func(jobID int64) // told of a job that another attempt has by now
	Freed  func()            // told when River may fill a slot anew
	Hand   *hand
	Wait   time.Duration // how long an unknown or unlanded flight is waited for
	Now    func() time.Time
	Stats  *Stats
	Logger *slog.Logger
}

// maxStale bounds how often one job prices again because customers, tariffs or
// the cut-off changed meanwhile. They change a few times a day.
const maxStale = 10

// Work fetches the flight outside any transaction, prices it, and saves it and
// its job's completion in one.
func (w *IngestFlight) Work(ctx context.Context, job *river.Job[IngestFlightArgs]) error {
	outcome, err := w.measured(ctx, job, w.bill)
	var refusal *billing.Error
	if errors.As(err, &refusal) && refusal.Kind != billing.Outage {
		outcome, err = w.reconsider(ctx, job, refusal)
	}
	if err != nil {
		w.Saver.Without(job.ID)
		w.Freed()
		return w.verdict(ctx, job, err)
	}
	if outcome != db.Billed {
		w.Saver.Without(job.ID)
		w.Freed() // a save that only completed the job may have taken another in its place
		return nil
	}
	w.Saved(job.ID)
	w.Stats.flightBilled(job.ScheduledAt)
	w.workOn(ctx)
	return nil
}

type billFunc func(context.Context, *river.Job[IngestFlightArgs]) (db.Outcome, error)

func (w *IngestFlight) measured(ctx context.Context, job *river.Job[IngestFlightArgs], bill billFunc) (db.Outcome, error) {
	done := w.Stats.flightStarted()
	defer done()
	return bill(ctx, job)
}

// workOnTime is how long a worker goes on with flights that saves have taken. It
// leaves each nearly all of the job timeout, which counts from the first.
const workOnTime = 2 * time.Second

// workOn bills, in the slot of a flight that has been saved, those that were taken
// in its place: River would take a millisecond to hand each out. Only what goes well
// is done here. All else goes through River.
func (w *IngestFlight) workOn(ctx context.Context) {
	began := time.Now()
	for n := 0; ; n++ {
		var next *rivertype.JobRow
		if time.Since(began) < workOnTime && ctx.Err() == nil && w.Gate.Open() {
			next = w.Hand.next()
		}
		if next == nil {
			if n > 0 || w.Hand.wanted() {
				w.Freed()
			}
			return
		}
		if !w.billTaken(ctx, next) {
			w.Saver.Without(next.ID)
			w.Hand.forRiver(next)
			return
		}
	}
}

func (w *IngestFlight) billTaken(ctx context.Context, row *rivertype.JobRow) bool {
	job := &river.Job[IngestFlightArgs]{JobRow: row}
	err := json.Unmarshal(row.EncodedArgs, &job.Args)
	if err != nil || row.Kind != job.Args.Kind() || !db.ValidFlightID(job.Args.FlightID) || billedBefore(row) {
		return false
	}
	outcome, err := w.measured(ctx, job, w.billOnce)
	if err == nil && outcome == db.Billed {
		w.Stats.flightBilled(row.ScheduledAt)
	}
	return err == nil && outcome != db.Voided
}

// reconsider looks whether a refusal still matters: not where the flight has been
// billed, and not where the job was rescued meanwhile. River would put the
// refusal on the attempt that has it now. Of a flight of a voided invoice the
// flight source need not know any more.
func (w *IngestFlight) reconsider(ctx context.Context, job *river.Job[IngestFlightArgs], refusal error) (db.Outcome, error) {
	q := dbsqlc.New(w.Pool)
	ledger, err := q.BilledFlightState(ctx, job.Args.FlightID)
	switch {
	case err != nil:
		return "", fmt.Errorf("look for flight %s in the ledger: %w", job.Args.FlightID, err)
	case ledger.Voided && !billedBefore(job.JobRow):
		outcome, err := w.rebill(ctx, job)
		if err == nil {
			return outcome, nil
		}
		refusal = err
	case ledger.Billed && !ledger.Voided:
		return db.AlreadyBilled, nil
	}
	mine := jobOf(job)
	held, err := q.QueueJobIsHeld(ctx, dbsqlc.QueueJobIsHeldParams{ID: mine.ID, Attempt: int16(mine.Attempt), Client: mine.Client}) //nolint:gosec // River's column is a smallint
	if err != nil {
		return "", fmt.Errorf("look who has the job of flight %s: %w", job.Args.FlightID, err)
	}
	if !held {
		return "", fmt.Errorf("%w: flight %s", db.ErrJobLost, job.Args.FlightID)
	}
	return "", refusal
}

func (w *IngestFlight) bill(ctx context.Context, job *river.Job[IngestFlightArgs]) (db.Outcome, error) {
	id := job.Args.FlightID
	if !db.ValidFlightID(id) {
		w.Gate.Untaken() // it shows nothing of the source
		return "", &billing.Error{
			Kind: billing.Refused, Reason: billing.ReasonUnusableFacts,
			Message: fmt.Sprintf("job %d names no flight that can be: %q is not a flight id; delete the job", job.ID, id),
		}
	}
	if billedBefore(job.JobRow) {
		w.Gate.Untaken() // likewise
		return w.rebill(ctx, job)
	}
	outcome, err := w.billOnce(ctx, job)
	if outcome == db.Voided {
		return w.rebill(ctx, job)
	}
	return outcome, err
}

// billOnce bills a flight that has not been billed before. Without an error, and
// unless it is db.Voided, the job has been completed too.
func (w *IngestFlight) billOnce(ctx context.Context, job *river.Job[IngestFlightArgs]) (db.Outcome, error) {
	flight, err := w.fetch(ctx, job)
	if err != nil {
		return "", err
	}
	return w.withCurrentBook(ctx, job.Args.FlightID, func(book *db.PriceBook) (db.Outcome, error) {
		return w.priceAndSave(ctx, job, book, flight)
	})
}

// withCurrentBook prices and saves, and does so again where customers, tariffs, the
// cut-off or the ledger changed meanwhile.
func (w *IngestFlight) withCurrentBook(ctx context.Context, id string, save func(*db.PriceBook) (db.Outcome, error)) (db.Outcome, error) {
	book, err := w.Books.Current(ctx)
	if err != nil {
		return "", err
	}
	for range maxStale {
		outcome, err := save(book)
		var refusal *billing.Error
		if outcome != db.Stale && outcome != db.Changed && !db.BookChanged(err) && !errors.As(err, &refusal) {
			return outcome, err
		}
		// A refusal counts only when it comes from the book now in force.
		current, refreshErr := w.Books.Refresh(ctx)
		if refreshErr != nil {
			return "", refreshErr
		}
		if current == book && refusal != nil {
			return "", err
		}
		book = current
	}
	return "", fmt.Errorf("flight %s: customers and tariffs changed %d times while it was being saved", id, maxStale)
}

// fetchTimeout is how long a source may take for one flight, over all its
// servers. It leaves the job's own timeout, which would spend an attempt, out of
// an outage.
const fetchTimeout = 12 * time.Second

func (w *IngestFlight) fetch(ctx context.Context, job *river.Job[IngestFlightArgs]) (flight billing.Flight, err error) {
	started := time.Now()
	fetchCtx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if w.Ahead != nil {
		flight, err = w.Ahead.Flight(fetchCtx, job.Args.FlightID, wantedSince(job.JobRow))
	} else {
		flight, err = w.Source.Flight(fetchCtx, job.Args.FlightID)
	}
	w.Stats.observe(stageFetch, time.Since(started))
	if err != nil && errors.Is(fetchCtx.Err(), context.DeadlineExceeded) && ctx.Err() == nil {
		err = billing.SourceDown(w.Source.Name(), fmt.Sprintf("did not answer within %s", fetchTimeout), err)
	}
	var said *billing.Error
	switch {
	case errors.As(err, &said) && said.Kind == billing.Outage:
		w.Gate.Met(started, err)
	case err == nil || said != nil:
		w.Gate.Read(started)
	}
	return flight, err
}

// wantedSince is when a job was made or fell due, whichever was later. Whoever retries
// a flight that was given up, or enqueues it again, since its facts were put right,
// makes it later: facts that were read for it before do not serve.
func wantedSince(job *rivertype.JobRow) time.Time {
	if job.CreatedAt.After(job.ScheduledAt) {
		return job.CreatedAt
	}
	return job.ScheduledAt
}

func (w *IngestFlight) priceAndSave(ctx context.Context, job *river.Job[IngestFlightArgs], book *db.PriceBook, flight billing.Flight) (db.Outcome, error) {
	bill, err := w.price(ctx, book, flight)
	if err != nil {
		return "", err
	}
	started := time.Now()
	outcome, err := w.Saver.Save(ctx, db.Save{Job: jobOf(job), At: w.Now(), Bill: bill})
	w.Stats.observe(stageSave, time.Since(started))
	return outcome, err
}

func (w *IngestFlight) price(ctx context.Context, book *db.PriceBook, flight billing.Flight) (db.Bill, error) {
	started := time.Now()
	bill, err := price(ctx, w.Books, book, flight, w.Now())
	w.Stats.observe(stagePrice, time.Since(started))
	return bill, err
}

func price(ctx context.Context, books *db.PriceBooks, book *db.PriceBook, flight billing.Flight, now time.Time) (db.Bill, error) {
	if err := billing.CheckLanded(flight, now); err != nil {
		return db.Bill{}, err
	}
	customer, known, err := books.Customer(ctx, book, flight)
	if err != nil {
		return db.Bill{}, err
	}
	if !known {
		return db.Bill{}, billing.NoCustomer(flight)
	}
	landedOn := book.Calendar.LandingDate(*flight.LandedAt)
	charges, err := billing.Price(flight, customer, landedOn, book.Tariffs(flight))
	if err != nil {
		return db.Bill{}, err
	}
	return db.Bill{Flight: flight, Customer: customer, LandedOn: landedOn, Charges: charges, Book: book}, nil
}

func jobOf(job *river.Job[IngestFlightArgs]) *db.Job {
	return &db.Job{ID: job.ID, Attempt: job.Attempt, Client: job.AttemptedBy[len(job.AttemptedBy)-1]}
}
