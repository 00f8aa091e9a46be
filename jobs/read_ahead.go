package jobs

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// BatchSource is a flight source that reads many flights for about the price of
// one.
type BatchSource interface {
	FlightSource
	// Flights returns what it finds of these flights, batchSize at most; it
	// leaves out those about which anything is to be said, which Flight then says.
	Flights(ctx context.Context, ids []string) (map[string]billing.Flight, error)
}

const (
	batchSize = 50
	// aheadPerWorker is how many flights more are read ahead for each worker. The next
	// are asked for when half of all is left, which has to last until they have come:
	// 275 flights with 50 workers, 50 with 5.
	aheadPerWorker = 10
	// mostAhead bounds how many are to have been read, since facts do not keep.
	mostAhead = 1000
	// factsAge is how long facts are good that were read before their turn.
	factsAge = 3 * time.Second
	// batchTimeout is how long a batch may take: what waits for it is then asked
	// for alone, with what is left of fetchTimeout.
	batchTimeout = 2 * time.Second
	// batchPause is how long nothing is read ahead after a batch that failed.
	batchPause = time.Second
	// namedTime is how long a flight that a notice has named may be on its way to a
	// worker.
	namedTime = time.Second
	// namedPause is how long no such flight is read after one that did not come.
	namedPause = 10 * time.Second
	// lookPause is the least time between two looks at the line where enough should
	// be read, but other processes have taken those flights.
	lookPause = 20 * time.Millisecond
)

// readAhead reads the flights next in line together, while those before them are
// being billed, and a lone flight while its job is being taken. A flight that finds
// nothing read is asked for alone: it never waits for others.
type readAhead struct {
	source BatchSource
	next   nextInLine
	target int                                                 // how many to have read
	known  func(ctx context.Context, flights []billing.Flight) // told of those that were read
	logger *slog.Logger

	//nolint:containedctx // of the batches, which nobody waits for
	ctx     context.Context
	stop    context.CancelFunc
	batches sync.WaitGroup

	mu       sync.Mutex
	line     []dbsqlc.QueueNextToReadRow // those looked at that nobody has been told of, in their order
	untaken  map[string]bool             // their flights, but for those that a worker has asked for: a take need not go by the line
	shared   bool                        // other processes read as well
	lookedTo db.Place                    // the last that was looked at; the next look is behind it
	front    time.Time                   // when it last looked from the front
	read     map[string]facts
	coming   map[string]chan struct{} // closed when the batch that a flight is in ends
	looking  bool
	short    bool // a flight found nothing read since the last look
	looked   time.Time
	pausedTo time.Time

	heard         *namedFlight // that nothing has been taken for yet
	named         *namedFlight // that is being read, and whose worker has not come yet
	asked         string       // the last flight that a worker has asked for
	namedPausedTo time.Time
}

// nextInLine returns the flights that stand next behind a place in the line and that
// no other process reads, and notes that this one does, beside the jobs that it has
// kept.
type nextInLine func(ctx context.Context, kept []int64, limit int, behind db.Place) ([]dbsqlc.QueueNextToReadRow, error)

type facts struct {
	flight billing.Flight
	asked  time.Time
	since  time.Time // the job's own, see wantedSince
}

// namedFlight is one that a notice has named. It is read by itself; the answer is its
// worker's, whatever it says.
type namedFlight struct {
	id    string
	facts // once done
	err   error
	cut   bool // nobody has answered, since this process would not wait any longer
	done  chan struct{}
}

func newReadAhead(source BatchSource, workers int, next nextInLine, logger *slog.Logger) *readAhead {
	r := &readAhead{
		source: source, next: next, known: func(context.Context, []billing.Flight) {}, logger: logger,
		target:  min(batchSize+aheadPerWorker*workers, mostAhead),
		untaken: map[string]bool{}, read: map[string]facts{}, coming: map[string]chan struct{}{},
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// Flight returns what has been read for a job whose facts are wanted since then, or
// asks for it.
func (r *readAhead) Flight(ctx context.Context, id string, since time.Time) (billing.Flight, error) {
	if named := r.takeNamed(id, since); named != nil {
		select {
		case <-named.done:
			if !named.cut {
				return named.flight, named.err
			}
		case <-ctx.Done():
		}
	}
	flight, coming, ok := r.take(id, since)
	if coming != nil {
		select {
		case <-coming:
			flight, _, ok = r.take(id, since)
		case <-ctx.Done():
		}
	}
	if ok {
		return flight, nil
	}
	return r.source.Flight(ctx, id)
}

// take returns a flight's facts, once, or what to wait for.
func (r *readAhead) take(id string, since time.Time) (billing.Flight, <-chan struct{}, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.read[id]
	delete(r.read, id)
	delete(r.untaken, id)
	if ok && f.since.Equal(since) && time.Since(f.asked) < factsAge {
		return f.flight, nil, true
	}
	coming := r.coming[id]
	r.short = r.short || coming == nil
	return billing.Flight{}, coming, false
}

// More reads on, in the background, where little is left of what was read.
func (r *readAhead) More() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.looking || r.ctx.Err() != nil || now.Before(r.pausedTo) {
		return
	}
	enough := len(r.read)+len(r.coming) > r.target/2 && (!r.short || now.Sub(r.looked) < lookPause)
	held := r.shared && len(r.line) >= r.target // from others, though what was read of it may be too old by now
	if (enough || held) && now.Sub(r.front) <= db.RoundTime {
		return
	}
	r.looking, r.short, r.looked = true, false, now
	r.batches.Go(r.look)
}

// Heard keeps the flight that a notice names until jobs are taken.
func (r *readAhead) Heard(id string, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = &namedFlight{id: id, facts: facts{asked: time.Now(), since: since}, done: make(chan struct{})}
}

// Taking reads the flight that has been heard of, while its job is being taken, unless
// others are being read: then there is a line. Every process hears a notice and one
// takes the flight; the others, who have read it in vain, read none for a while.
func (r *readAhead) Taking() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.named != nil && now.Sub(r.named.asked) > namedTime {
		r.named, r.namedPausedTo = nil, now.Add(namedPause)
	}
	heard := r.heard
	r.heard = nil
	if heard == nil || now.Sub(heard.asked) > namedTime || heard.id == r.asked ||
		r.named != nil || r.looking || len(r.coming) > 0 || r.ctx.Err() != nil || now.Before(r.namedPausedTo) {
		return
	}
	heard.asked, r.named = now, heard
	r.batches.Go(func() {
		defer close(heard.done)
		ctx, cancel := context.WithTimeout(r.ctx, factsAge+fetchTimeout) // as long as a worker may wait for it
		defer cancel()
		heard.flight, heard.err = r.source.Flight(ctx, heard.id)
		heard.cut = heard.err != nil && ctx.Err() != nil
	})
}

// takeNamed returns the flight if it is the one that is being read by itself, once.
func (r *readAhead) takeNamed(id string, since time.Time) *namedFlight {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = id
	named := r.named
	if named == nil || named.id != id {
		return nil
	}
	r.named = nil
	if !named.since.Equal(since) || time.Since(named.asked) >= factsAge { // read in vain, likewise
		r.namedPausedTo = time.Now().Add(namedPause)
		return nil
	}
	delete(r.untaken, id)
	return named
}

// look finds out which flights are next in line and has them read. Once a second it
// goes to the front, as a take does: there may be others by now.
func (r *readAhead) look() {
	ctx, cancel := context.WithTimeout(r.ctx, batchTimeout)
	defer cancel()
	kept, most, behind := r.goOn()
	line, err := r.next(ctx, kept, most, behind)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looking = false
	if err != nil {
		r.pause(ctx, err)
		return
	}
	for id, f := range r.read { // taken by another process, or not by this one for so long
		if time.Since(f.asked) >= factsAge {
			delete(r.read, id)
		}
	}
	if len(line) > 0 {
		r.lookedTo, r.shared = placeOf(line[len(line)-1]), line[0].Shared
	}
	looked := map[int64]bool{}
	for _, id := range kept {
		looked[id] = true
	}
	line = slices.DeleteFunc(line, r.has)
	for _, job := range line {
		if !looked[job.ID] {
			r.line = append(r.line, job)
		}
	}
	slices.SortFunc(r.line, func(a, b dbsqlc.QueueNextToReadRow) int { return placeOf(a).Compare(placeOf(b)) })
	r.line = r.line[:min(len(r.line), 2*r.target)]
	for _, job := range line {
		r.untaken[job.FlightID] = true
	}
	for batch := range slices.Chunk(line, batchSize) {
		done := make(chan struct{})
		for _, job := range batch {
			r.coming[job.FlightID] = done
		}
		r.batches.Go(func() { r.readBatch(batch, done) })
	}
}

// goOn returns what is in the line still, and how many to look for, behind which place.
func (r *readAhead) goOn() (kept []int64, most int, behind db.Place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.line = slices.DeleteFunc(r.line, func(job dbsqlc.QueueNextToReadRow) bool {
		return !r.untaken[job.FlightID] || !r.shared && !r.has(job) // of which nobody is told
	})
	clear(r.untaken)
	for _, job := range r.line {
		r.untaken[job.FlightID] = true
		kept = append(kept, job.ID)
	}
	if time.Since(r.front) > db.RoundTime {
		r.front, r.lookedTo = time.Now(), db.Place{}
		return kept, r.target, r.lookedTo
	}
	return kept, max(r.target-len(kept), batchSize), r.lookedTo
}

func placeOf(job dbsqlc.QueueNextToReadRow) db.Place {
	return db.Place{Priority: job.Priority, Due: job.ScheduledAt, ID: job.ID}
}

// has reports whether the facts of a job's flight are there or on their way. The
// caller holds mu.
func (r *readAhead) has(job dbsqlc.QueueNextToReadRow) bool {
	f, read := r.read[job.FlightID]
	return read && f.since.Equal(job.Since) || r.coming[job.FlightID] != nil
}

// Ready returns the jobs next in line that have been looked at, at most so many, each
// once: of most, the flights have been read or are being read. While no other process
// reads, it returns none: those next in line are the same.
func (r *readAhead) Ready(most int) (ids []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.shared {
		return nil
	}
	for len(ids) < most && len(r.line) > 0 {
		if job := r.line[0]; r.untaken[job.FlightID] {
			ids = append(ids, job.ID)
		}
		r.line = r.line[1:]
	}
	return ids
}

func (r *readAhead) readBatch(batch []dbsqlc.QueueNextToReadRow, done chan struct{}) {
	ids := make([]string, len(batch))
	for i, job := range batch {
		ids[i] = job.FlightID
	}
	ctx, cancel := context.WithTimeout(r.ctx, batchTimeout)
	defer cancel()
	asked := time.Now()
	flights, err := r.source.Flights(ctx, ids)
	r.mu.Lock()
	for _, job := range batch {
		delete(r.coming, job.FlightID)
		if flight, ok := flights[job.FlightID]; ok {
			r.read[job.FlightID] = facts{flight, asked, job.Since}
		}
	}
	close(done)
	if err != nil {
		r.pause(ctx, err)
	}
	r.mu.Unlock()
	r.known(ctx, slices.Collect(maps.Values(flights)))
}

// pause leaves it to those who ask for their own flight to find out what is
// wrong. The caller holds mu.
func (r *readAhead) pause(ctx context.Context, err error) {
	r.pausedTo = time.Now().Add(batchPause)
	if !errors.Is(err, context.Canceled) {
		r.logger.DebugContext(ctx, "flights not read ahead", "error", err)
	}
}

// Forget drops what has been read: it says nothing of a source that has gone away.
func (r *readAhead) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.read)
	r.line, r.lookedTo, r.named = nil, db.Place{}, nil
}

// Stop ends what is being read.
func (r *readAhead) Stop() {
	r.stop()
	r.mu.Lock()   // after which none begins
	r.mu.Unlock() //nolint:staticcheck // SA2001: see above
	r.batches.Wait()
}
