package jobs

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

const (
	// ledgerPage is how many flights of the ledger are read at once.
	ledgerPage = 10_000
	// windowFlights is how many flights are compared in one window of days, about. Pinot sorts all flights
	// of a window for each page of it; Postgres reads all of the ledger for each window.
	windowFlights = 100_000
	// lookBatch is how many flights are looked at once more together.
	lookBatch = 1_000
)

// Reconciler compares the flight source with what flightbill has.
//
// Both lists come in the order of the ids, for a window of days at a time, and are merged page by page;
// so it needs the same memory for any number of flights. What is in one list alone is looked at once
// more before anything is said of it: it may have been billed, or changed, between the two reads.
type Reconciler struct {
	Pool   *pgxpool.Pool
	Source FlightSource
	Now    func() time.Time
	Window int64 // flights of a window, about; windowFlights where it is 0
}

// Completeness is what a flight of the flight source has come to, or one that was billed.
type Completeness string

// What flights of the source come to.
const (
	Billed        Completeness = "billed"
	Waiting       Completeness = "waiting"        // in the queue
	Cancelled     Completeness = "cancelled"      // given up until somebody puts data right
	Discarded     Completeness = "discarded"      // given up after too many failures
	Voided        Completeness = "voided"         // its invoice is, and it is not billed again
	NeverEnqueued Completeness = "never_enqueued" // flightbill knows nothing of it
	UnusableID    Completeness = "unusable_id"    // nor can it: no flight can be enqueued under such an id
)

// What becomes of flights in the source after they are billed.
const (
	Moved     Completeness = "moved"     // it moved on another day than that it was billed for, or has no time
	Gone      Completeness = "gone"      // it is no longer there
	Ambiguous Completeness = "ambiguous" // there are differing rows under its id
)

// Completenesses are all that there are, in the order in which they are told.
func Completenesses() []Completeness {
	return []Completeness{Billed, Waiting, Cancelled, Discarded, Voided, NeverEnqueued, UnusableID, Moved, Gone, Ambiguous}
}

// Outcome is a completeness with its reason, as the queue has it.
type Outcome struct {
	State  Completeness   `json:"state"`
	Reason billing.Reason `json:"reason,omitempty"`
}

// Reconciled is a flight that is not simply billed.
type Reconciled struct {
	Outcome

	FlightID string
	Date     billing.Date // of its movement, as the source has it; or none
	BilledOn billing.Date // of the movement that was billed; or none
}

// alarming says whether nobody but a Reconciler tells of such a flight.
func (c Completeness) alarming() bool {
	return slices.Contains([]Completeness{NeverEnqueued, UnusableID, Moved, Gone, Ambiguous}, c)
}

// Reconciliation counts flights by what they have come to.
type Reconciliation struct {
	InSource int64 // with a movement in these days

	counts map[Outcome]int64
}

func newReconciliation() Reconciliation { return Reconciliation{counts: map[Outcome]int64{}} }

// OutcomeCount is how many flights have come to one thing.
type OutcomeCount struct {
	Outcome

	Flights int64 `json:"flights"`
}

// Counts returns the counts in the order of Completenesses.
func (r Reconciliation) Counts() []OutcomeCount {
	order := Completenesses()
	counts := make([]OutcomeCount, 0, len(r.counts))
	for outcome, flights := range r.counts {
		counts = append(counts, OutcomeCount{outcome, flights})
	}
	slices.SortFunc(counts, func(a, b OutcomeCount) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.State), slices.Index(order, b.State)), cmp.Compare(a.Reason, b.Reason))
	})
	return counts
}

// Of counts the flights of a completeness, whatever the reason.
func (r Reconciliation) Of(states ...Completeness) int64 {
	var n int64
	for outcome, flights := range r.counts {
		if slices.Contains(states, outcome.State) {
			n += flights
		}
	}
	return n
}

// Missing counts the flights that flightbill should have and knows nothing of.
func (r Reconciliation) Missing() int64 { return r.Of(NeverEnqueued, UnusableID) }

// Changed counts the flights that were billed as the source no longer has them.
func (r Reconciliation) Changed() int64 { return r.Of(Moved, Gone, Ambiguous) }

// Run compares the flights that moved from one day to another, but none that is still to come. It calls
// tell with each that is not simply billed, and progress with how many it has compared of how many. It
// writes nothing. A source that cannot vouch for all of them is an error.
func (r *Reconciler) Run(
	ctx context.Context, calendar billing.Calendar, from, to billing.Date, tell func(Reconciled) error, progress func(done, of int64),
) (Reconciliation, error) {
	run := &reconciling{
		Reconciler: r, calendar: calendar, tell: tell, result: newReconciliation(), ambiguous: map[string]bool{},
		start: from.Start(calendar.Location), end: to.AddDays(1).Start(calendar.Location),
	}
	if now := r.Now(); now.Before(run.end) {
		run.end = now
	}
	of, err := r.Source.Count(ctx, run.start, run.end)
	if err != nil {
		return Reconciliation{}, err
	}
	for _, days := range windows(from, to, of/cmp.Or(r.Window, windowFlights)) {
		if err := run.compareWindow(ctx, days[0], days[1], func() { progress(run.result.InSource, of) }); err != nil {
			return Reconciliation{}, err
		}
	}
	err = run.lookAtSuspects(ctx)
	if err == nil {
		err = run.lookAtLeft(ctx)
	}
	return run.result, err
}

// windows divides days into so many parts, if they are as many: the first and the last day of each.
func windows(from, to billing.Date, wanted int64) [][2]billing.Date {
	days := to.DaysSince(from) + 1
	parts := int(min(max(wanted, 1), int64(days)))
	all := make([][2]billing.Date, parts)
	for i := range all {
		all[i] = [2]billing.Date{from.AddDays(i * days / parts), from.AddDays((i+1)*days/parts - 1)}
	}
	return all
}

// reconciling is a run of a Reconciler under way.
type reconciling struct {
	*Reconciler

	calendar   billing.Calendar
	start, end time.Time // the source's flights that are compared
	tell       func(Reconciled) error
	result     Reconciliation

	ledger    *ledgerReader
	last      string          // the last flight of the source in the window
	suspects  []suspect       // of the source, that the ledger does not have like that in the window
	left      []suspect       // of the ledger, that the source does not have in the window
	ambiguous map[string]bool // those that were told: some stand in several windows
}

// ledgerReader reads what was billed with a date of a window's days.
type ledgerReader struct {
	from, to billing.Date
	page     []db.LedgerEntry // the rest of it
	read     string           // the last flight of the pages read
	ended    bool             // there are no more
}

// suspect is a flight to look at once more.
type suspect struct {
	id       string
	date     billing.Date // in the source; or none
	billedOn billing.Date // or none
	rows     int
}

func suspectID(s suspect) string { return s.id }

// compareWindow compares the flights of some days.
func (r *reconciling) compareWindow(ctx context.Context, from, to billing.Date, progress func()) error {
	r.ledger, r.last = &ledgerReader{from: from, to: to}, ""
	start, end := from.Start(r.calendar.Location), to.AddDays(1).Start(r.calendar.Location)
	if r.end.Before(end) {
		end = r.end
	}
	for after, more := "", start.Before(end); more; {
		page, err := r.Source.List(ctx, start, end, after)
		if err == nil {
			err = r.compare(ctx, page)
		}
		if err != nil {
			return err
		}
		if more = len(page) > 0; more {
			after = page[len(page)-1].ID
		}
		progress()
	}
	return r.passLedger(ctx, "")
}

// compare merges a page of the source with the ledger.
func (r *reconciling) compare(ctx context.Context, page []billing.Listed) error {
	for _, flight := range page {
		date := billing.DateOf(flight.MovedAt, r.calendar.Location)
		r.result.InSource++
		if !db.ValidFlightID(flight.ID) {
			if err := r.settle(Reconciled{Outcome: Outcome{State: UnusableID}, FlightID: flight.ID, Date: date}); err != nil {
				return err
			}
			continue
		}
		if flight.ID <= r.last {
			return billing.SourceDown(r.Source.Name(), "gives no answer to rely on", errors.New("flight "+flight.ID+" comes after "+r.last))
		}
		r.last = flight.ID
		if err := r.passLedger(ctx, flight.ID); err != nil {
			return err
		}
		if ledger := r.ledger; len(ledger.page) > 0 && ledger.page[0].FlightID == flight.ID {
			entry := ledger.page[0]
			ledger.page = ledger.page[1:]
			if entry.LandedOn == date && !entry.Voided && flight.Rows == 1 {
				r.result.counts[Outcome{State: Billed}]++
				continue
			}
		}
		r.suspects = append(r.suspects, suspect{id: flight.ID, date: date, rows: flight.Rows})
		if len(r.suspects) == lookBatch {
			if err := r.lookAtSuspects(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// passLedger takes up what the ledger has before a flight; without one, all the rest. Of flights of a
// voided invoice nothing is to be said: they may be anywhere.
func (r *reconciling) passLedger(ctx context.Context, before string) error {
	ledger := r.ledger
	for {
		for len(ledger.page) > 0 && (before == "" || ledger.page[0].FlightID < before) {
			entry := ledger.page[0]
			ledger.page = ledger.page[1:]
			if entry.Voided {
				continue
			}
			r.left = append(r.left, suspect{id: entry.FlightID, billedOn: entry.LandedOn})
			if len(r.left) == lookBatch {
				if err := r.lookAtLeft(ctx); err != nil {
					return err
				}
			}
		}
		if len(ledger.page) > 0 || ledger.ended {
			return nil
		}
		if err := ledger.next(ctx, r.Pool); err != nil {
			return err
		}
	}
}

// next reads the next page.
func (l *ledgerReader) next(ctx context.Context, pool *pgxpool.Pool) (err error) {
	if l.page, err = db.LedgerEntries(ctx, pool, l.read, l.from, l.to, ledgerPage); err != nil {
		return err
	}
	l.ended = len(l.page) < ledgerPage
	if len(l.page) > 0 {
		l.read = l.page[len(l.page)-1].FlightID
	}
	return nil
}

// lookAtSuspects finds out what flightbill has of flights of the source, at one moment after the source
// was read.
func (r *reconciling) lookAtSuspects(ctx context.Context) error {
	suspects := r.suspects
	r.suspects = r.suspects[:0]
	if len(suspects) == 0 {
		return nil
	}
	states, err := db.FlightStates(ctx, r.Pool, each(suspects, suspectID))
	if err != nil {
		return err
	}
	var billedOtherwise []suspect
	for _, s := range suspects {
		has := states[s.id]
		s.billedOn = has.LandedOn
		found := Reconciled{FlightID: s.id, Date: s.date, BilledOn: s.billedOn}
		switch {
		case !has.LandedOn.IsZero() && !has.Voided && s.rows == 1 && has.LandedOn == s.date:
			r.result.counts[Outcome{State: Billed}]++ // meanwhile
			continue
		case !has.LandedOn.IsZero() && !has.Voided:
			billedOtherwise = append(billedOtherwise, s)
			continue
		case has.State == "cancelled" && has.Reason == string(billing.ReasonInvoiceVoided):
			found.State = Voided
		case has.State == "cancelled", has.State == "discarded":
			found.Outcome = Outcome{Completeness(has.State), billing.Reason(has.Reason)}
		case has.State != "":
			found.Outcome = Outcome{Waiting, billing.Reason(has.Reason)}
		case has.Voided:
			found.State = Voided
		default:
			found.State = NeverEnqueued
		}
		if err := r.settle(found); err != nil {
			return err
		}
	}
	return r.lookAtSource(ctx, billedOtherwise, true)
}

// lookAtLeft finds out what has become of flights of the ledger that the source did not list.
func (r *reconciling) lookAtLeft(ctx context.Context) error {
	left := r.left
	r.left = r.left[:0]
	return r.lookAtSource(ctx, left, false)
}

// lookAtSource looks up billed flights in the source. Those that it listed are counted in any case. Of
// those that it did not list, none that it has as it was billed, or lists in another window.
func (r *reconciling) lookAtSource(ctx context.Context, suspects []suspect, listed bool) error {
	if len(suspects) == 0 {
		return nil
	}
	answers, err := r.Source.Flights(ctx, each(suspects, suspectID))
	if err != nil {
		return err
	}
	for _, s := range suspects {
		found := Reconciled{FlightID: s.id, BilledOn: s.billedOn}
		answer := answers[s.id]
		failure, failed := errors.AsType[*billing.Error](answer.Err)
		switch {
		case answer.Err != nil && (!failed || failure.Kind == billing.Outage):
			return answer.Err
		case failed && failure.Reason == billing.ReasonFlightUnknown:
			found.State = Gone
		case failed && failure.Reason == billing.ReasonFlightAmbiguous:
			found.State, found.Date = Ambiguous, s.date
			if r.ambiguous[s.id] {
				continue
			}
			r.ambiguous[s.id] = true
		case failed: // it is there, and cannot be read
			found.State = Billed
		default:
			found.State, found.Date = Moved, r.calendar.MovementDate(answer.Flight)
			if found.Date == s.billedOn {
				found.State = Billed
			}
		}
		if !listed && (found.State == Billed || found.State == Moved && r.lists(answer.Flight.MovedAt())) {
			continue
		}
		if err := r.settle(found); err != nil {
			return err
		}
	}
	return nil
}

// lists says whether a flight that moved at an instant is among those that are compared.
func (r *reconciling) lists(at *time.Time) bool {
	return at != nil && !at.Before(r.start) && at.Before(r.end)
}

// settle counts a flight, and tells of it where it is not billed as it should be.
func (r *reconciling) settle(found Reconciled) error {
	r.result.counts[found.Outcome]++
	if found.State == Billed {
		return nil
	}
	return r.tell(found)
}
