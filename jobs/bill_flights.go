package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

const (
	// MaxBatch bounds Config.Batch: more are no faster, and hold their locks longer.
	MaxBatch = 500
	// maxStale bounds how often flights are priced again because customers, tariffs or
	// the cut-off changed meanwhile. They change a few times a day.
	maxStale = 10
	// fetchTimeout is how long a source may take for one question, over all its servers:
	// less than the lease.
	fetchTimeout = 12 * time.Second
	// finishTimeout bounds the query that gives flights back, and the one that asks who
	// has a job: both come behind the lease, and before River's rescuer.
	finishTimeout = 3 * time.Second
)

// billTogether reads, prices and saves flights, and claims others, once, with the save.
func (w *IngestFlight) billTogether(ctx context.Context, slot *slot, batch []*attempt, claim int) (next []*attempt) {
	defer w.stats.flightsStarted(len(batch))()
	batch, again := apartFrom(batch)
	w.read(ctx, batch)
	for range maxStale {
		w.price(ctx, batch)
		more, err := w.turn(ctx, slot, batch, claim)
		if err != nil {
			w.saveApart(ctx, batch, err)
			more, _ = w.turn(ctx, slot, batch, claim) // an error again: finish sees to it
		}
		if next = append(next, more...); len(next) > 0 {
			claim = 0
		}
		if len(unknown(batch)) == 0 {
			break
		}
		if _, err := w.books.Refresh(ctx); err != nil { // the save was stale
			w.decideAll(ctx, batch, err)
		}
	}
	w.decideAll(ctx, batch, errStale)
	for _, a := range again {
		w.billTogether(ctx, slot, []*attempt{a}, 0)
	}
	return next
}

var errStale = fmt.Errorf("customers and tariffs changed %d times while the flight was being billed", maxStale)

// apartFrom takes a flight's second job out of a batch: a save has each flight once.
func apartFrom(batch []*attempt) (first, again []*attempt) {
	seen := map[string]bool{}
	for _, a := range batch {
		if seen[a.flightID] {
			again = append(again, a)
			continue
		}
		seen[a.flightID] = true
		first = append(first, a)
	}
	return first, again
}

// unknown returns those without a verdict.
func unknown(batch []*attempt) []*attempt {
	return slices.DeleteFunc(slices.Clone(batch), func(a *attempt) bool { return a.verdict != nil })
}

// each returns what something is of each.
func each[T, U any](all []T, of func(T) U) []U {
	made := make([]U, len(all))
	for i, one := range all {
		made[i] = of(one)
	}
	return made
}

// read reads flights' facts, but for those of voided invoices, which are billed from what
// was kept.
func (w *IngestFlight) read(ctx context.Context, batch []*attempt) {
	var wanted []*attempt
	for _, a := range batch {
		switch {
		case !db.ValidFlightID(a.flightID):
			w.decide(ctx, a, &billing.Error{
				Kind: billing.Refused, Reason: billing.ReasonUnusableFacts,
				Message: fmt.Sprintf("job %d names no flight that can be: %.160q is not a flight id; delete the job", a.ID, a.flightID),
			})
		case billedBefore(a.JobRow):
			w.rebill(ctx, a)
		default:
			wanted = append(wanted, a)
		}
	}
	if len(wanted) > 0 {
		w.ask(ctx, wanted)
	}
}

// ask asks the source for flights. Where it cannot answer and yet is not away, the
// trouble is with one of them: the halves are asked for apart.
func (w *IngestFlight) ask(ctx context.Context, batch []*attempt) {
	ids := each(batch, func(a *attempt) string { return a.flightID })
	began := time.Now()
	askCtx, cancel := context.WithTimeout(ctx, fetchTimeout)
	answers, err := w.source.Flights(askCtx, ids)
	if err != nil && errors.Is(askCtx.Err(), context.DeadlineExceeded) {
		err = billing.SourceDown(w.source.Name(), fmt.Sprintf("did not answer within %s", time.Since(began).Round(time.Second)), err)
	}
	cancel()
	w.stats.observe(stageFetch, time.Since(began), len(batch))
	switch {
	case err == nil:
		w.breaker.Answered()
		for _, a := range batch {
			answer := answers[a.flightID]
			a.flight, a.unread = answer.Flight, answer.Err
		}
	case isOutage(err) && w.breaker.Met(ctx, began, err):
		for _, a := range batch {
			a.away = true
		}
		w.decideAll(ctx, batch, err)
	case len(batch) > 1 && ctx.Err() == nil:
		half := len(batch) / 2
		w.ask(ctx, batch[:half])
		w.ask(ctx, batch[half:])
	default:
		w.decideAll(ctx, batch, err)
	}
}

// price prices the flights whose verdict is not known, from one book. A refusal counts
// only where it comes from the book now in force.
func (w *IngestFlight) price(ctx context.Context, batch []*attempt) {
	book, err := w.books.Current(ctx)
	for range maxStale {
		if err != nil {
			w.decideAll(ctx, batch, err)
			return
		}
		refused := w.priceFrom(ctx, book, unknown(batch))
		before := book
		if refused {
			book, err = w.books.Refresh(ctx)
		}
		if err == nil && book == before {
			w.reconsider(ctx, batch)
			return
		}
	}
	w.decideAll(ctx, batch, errStale)
}

// priceFrom reports whether a price was refused.
func (w *IngestFlight) priceFrom(ctx context.Context, book *db.PriceBook, batch []*attempt) (refused bool) {
	started := time.Now()
	var read []*attempt
	var flights []billing.Flight
	for _, a := range batch {
		if a.unread == nil {
			read, flights = append(read, a), append(flights, a.flight)
		}
	}
	_ = w.books.Learn(ctx, book, flights) // in one query; what fails, fails again below
	for _, a := range read {
		if a.bill, a.refused = price(ctx, w.books, book, a.flight, kept{}, w.bounds, w.now()); a.refused == nil {
			a.refused = w.locked.check(a.bill.Customer)
		}
		refused = refused || a.refused != nil
	}
	w.stats.observe(stagePrice, time.Since(started)/time.Duration(max(1, len(read))), len(read))
	return refused
}

// reconsider decides about flights that were refused. That does not matter any more
// where the flight has been billed; and of a flight of a voided invoice the source need
// not know.
func (w *IngestFlight) reconsider(ctx context.Context, batch []*attempt) {
	var refused []*attempt
	var ids []string
	for _, a := range unknown(batch) {
		if a.unread != nil || a.refused != nil {
			refused, ids = append(refused, a), append(ids, a.flightID)
		}
	}
	if len(refused) == 0 {
		return
	}
	rows, err := dbsqlc.New(w.pool).BilledFlightStates(ctx, ids)
	if err != nil {
		w.decideAll(ctx, refused, fmt.Errorf("look for refused flights in the ledger: %w", err))
		return
	}
	voided := map[string]bool{}
	for _, row := range rows {
		voided[row.FlightID] = row.Voided
	}
	for _, a := range refused {
		isVoided, isBilled := voided[a.flightID]
		switch {
		case isVoided:
			w.rebill(ctx, a)
		case isBilled:
			a.verdict = &verdict{ending: done}
		default:
			w.decide(ctx, a, cmp.Or(a.unread, a.refused))
		}
	}
}

// turn saves the flights that have a price and no verdict, writes the end of those that
// have one, and claims the next, all in one round trip. Those whose save was stale have
// no verdict after it.
func (w *IngestFlight) turn(ctx context.Context, slot *slot, batch []*attempt, claim int) (next []*attempt, err error) {
	t := db.Turn{Client: slot.client}
	saved, ended := unknown(batch), unwritten(batch)
	t.Saves, t.Ends = w.saves(saved), w.ends(ended)
	if slot.mayClaim() && w.breaker.Closed() && w.database.Closed() {
		t.Claim = claim
	}
	if len(saved)+len(ended)+t.Claim == 0 {
		return nil, nil
	}
	started := time.Now()
	turned, err := w.queue.Take(ctx, t)
	if len(saved) > 0 {
		w.stats.observe(stageSave, time.Since(started), len(saved))
	}
	w.database.Met(err)
	if err != nil {
		return nil, err
	}
	next = claimed(turned.Claimed, started)
	w.slots.hold(next...)
	w.took(ctx, saved, turned.Outcomes)
	w.ended(ctx, ended, turned.Ended)
	return next, nil
}

// ended notes which ends were written. Where one was not, another attempt has the job by
// now; or somebody has locked its row, and housekeeping gives it back later.
func (w *IngestFlight) ended(ctx context.Context, batch []*attempt, written map[int64]bool) {
	for _, a := range batch {
		a.written = true
		if !written[a.ID] {
			a.verdict = lostTo(a)
		}
		w.tell(ctx, a)
	}
}

// unwritten returns the flights whose end is to be written. That of River's own, River
// writes.
func unwritten(batch []*attempt) []*attempt {
	return slices.DeleteFunc(slices.Clone(batch), func(a *attempt) bool { return a.verdict == nil || a.written || a.own })
}

func (w *IngestFlight) saves(batch []*attempt) []db.Save {
	now := w.now()
	return each(batch, func(a *attempt) db.Save {
		job := db.JobOf(a.JobRow)
		return db.Save{Job: &job, Bill: a.bill, At: now}
	})
}

func (w *IngestFlight) ends(batch []*attempt) []db.End {
	now := w.riverNow()
	return each(batch, func(a *attempt) db.End { return a.end(now) })
}

// took notes what saves came to.
func (w *IngestFlight) took(ctx context.Context, batch []*attempt, outcomes []db.Outcome) {
	for i, a := range batch {
		switch outcomes[i] {
		case db.Billed:
			a.verdict, a.written = &verdict{ending: billed}, true
			w.tell(ctx, a)
		case db.AlreadyBilled:
			a.verdict, a.written = &verdict{ending: done}, true
		case db.Voided:
			w.rebill(ctx, a)
		case db.Stale, db.Changed:
		}
	}
}

// saveApart saves flights that could not be saved together: those of each customer, and
// where that fails too, each by itself. So a customer whom somebody has locked, or a
// flight that cannot be saved, takes no other with it.
func (w *IngestFlight) saveApart(ctx context.Context, batch []*attempt, err error) {
	batch, err = unknown(batch), w.orUnfit(ctx, err)
	byCustomer := map[int64][]*attempt{}
	for _, a := range batch {
		byCustomer[a.bill.Customer.ID] = append(byCustomer[a.bill.Customer.ID], a)
	}
	var apart [][]*attempt
	switch {
	case len(byCustomer) == 1 && errors.Is(err, db.ErrCustomerLocked):
		err = w.locked.note(batch[0].bill.Customer, err)
	case db.Away(err), db.Unfit(err):
	case len(byCustomer) > 1:
		apart = slices.Collect(maps.Values(byCustomer))
	case len(batch) > 1:
		apart = slices.Collect(slices.Chunk(batch, 1))
	case errors.Is(err, db.ErrLocked):
		err = flightLocked(batch[0], err)
	}
	for _, some := range apart {
		outcomes, err := db.SaveFlights(ctx, w.pool, w.saves(some))
		if err != nil {
			w.saveApart(ctx, some, err)
			continue
		}
		w.took(ctx, some, outcomes)
	}
	if len(apart) == 0 {
		w.decideAll(ctx, batch, err)
	}
}

// finish writes what no turn has written of flights that this worker lets go, since its
// time was over. Where the database is away, housekeeping gives them back.
func (w *IngestFlight) finish(ctx context.Context, batch []*attempt) {
	left := unwritten(batch)
	if len(left) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	turned, err := w.queue.Take(ctx, db.Turn{Client: db.JobOf(left[0].JobRow).Client, Ends: w.ends(left), Wake: true})
	w.database.Met(err)
	if err != nil {
		if db.Away(err) {
			return
		}
		w.logger.WarnContext(ctx, "flights could not be given back; they will be within half a minute, or rescued within 2 minutes", "flights", len(left), "error", err)
		return
	}
	w.ended(ctx, left, turned.Ended)
}
