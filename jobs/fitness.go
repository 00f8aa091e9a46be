package jobs

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/flightbill/flightbill/db"
)

// fitnessWatch sees whether this process is fit to work with the database: at the start,
// every so often, and before each run. It compares the schema's version with this
// binary's: where somebody has migrated the database, tables and functions are another
// flightbill's. And it compares this machine's clock and zone rules with the database's:
// a leader judges by its own clock which jobs of others are lost. While something differs
// the process takes nothing and leads nothing.
type fitnessWatch struct {
	pool   *pgxpool.Pool
	clock  *db.Clock
	books  *db.PriceBooks
	every  time.Duration
	beats  *heartbeats
	logger *slog.Logger

	doubt chan struct{} // someone has found something wrong
	stop  context.CancelFunc
	done  sync.WaitGroup

	mu    sync.Mutex
	wrong error
}

func newFitnessWatch(cfg Config, books *db.PriceBooks, beats *heartbeats, logger *slog.Logger) *fitnessWatch {
	w := &fitnessWatch{
		pool: cfg.Pool, clock: cfg.Clock, books: books, every: cmp.Or(cfg.FitnessEvery, housekeepingInterval), beats: beats, logger: logger,
		doubt: make(chan struct{}, 1),
	}
	if w.clock == nil {
		w.clock = db.NewClock(time.Now)
	}
	return w
}

// Start begins to work, unless something is wrong, and to look, until Stop: at what goes
// wrong it ends at once what is being done, and begins again once it is right.
func (w *fitnessWatch) Start(ctx context.Context, begin, end func(context.Context) error) error {
	if err := w.look(ctx); err != nil && !db.Unfit(err) {
		return err
	}
	working := w.Wrong() == nil
	if working {
		if err := begin(ctx); err != nil {
			return err
		}
	}
	ctx, w.stop = context.WithCancel(ctx)
	w.done.Go(func() { w.keepLooking(ctx, working, begin, end) })
	return nil
}

// Stop ends the looking, and nothing else.
func (w *fitnessWatch) Stop() {
	if w.stop != nil {
		w.stop()
		w.done.Wait()
	}
}

func (w *fitnessWatch) keepLooking(ctx context.Context, working bool, begin, end func(context.Context) error) {
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	defer w.beats.end(fitnessBeat)
	for {
		w.beats.expect(fitnessBeat, "the look at schema and clock", w.every+housekeepingInterval+stopTime) // what is wrong stops the work
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-w.doubt:
		}
		bounded, cancel := context.WithTimeout(ctx, housekeepingInterval)
		err := w.look(bounded)
		cancel()
		if err != nil && !db.Unfit(err) {
			continue // the database is away: nothing is known
		}
		right := err == nil
		switch {
		case right == working:
			continue
		case right:
			err = begin(context.WithoutCancel(ctx))
		default:
			err = end(context.WithoutCancel(ctx))
			working = false // whatever is left of it, begin sees to
		}
		if err != nil {
			w.logger.WarnContext(ctx, "tried again in a moment", "error", err)
			continue
		}
		working = right
	}
}

// look checks the schema and the clock, and tells of a change.
func (w *fitnessWatch) look(ctx context.Context) error {
	err := db.CheckSchema(ctx, w.pool)
	if err == nil {
		var book *db.PriceBook
		if book, err = w.books.Current(ctx); err == nil {
			err = w.clock.Check(ctx, w.pool, book.Calendar.Location)
		}
	}
	if err != nil && !db.Unfit(err) {
		return err
	}
	w.mu.Lock()
	before := w.wrong
	w.wrong = err
	w.mu.Unlock()
	switch what, was := db.UnfitBy(err), db.UnfitBy(before); {
	case err != nil && what != was:
		w.logger.ErrorContext(ctx, "this process takes no flights and leads nothing until the "+what+" is put right", "error", err)
	case err == nil && before != nil:
		w.logger.InfoContext(ctx, "the "+was+" is put right: this process works")
	}
	return err
}

// lookNow has it look at once.
func (w *fitnessWatch) lookNow() {
	select {
	case w.doubt <- struct{}{}:
	default:
	}
}

// Wrong is what is wrong with the clock or the schema, nil while both are right.
func (w *fitnessWatch) Wrong() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wrong
}

// ready is called before a run. Where something is wrong it has River's client stopped,
// which puts the job back as it was.
func (w *fitnessWatch) ready(ctx context.Context) error {
	if w == nil { // no process of a service
		return nil
	}
	err := w.look(ctx)
	if !db.Unfit(err) {
		return err
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for db.Unfit(err) {
		w.lookNow()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			err = w.look(ctx)
		}
	}
	return err
}

// now is the database's time, by which River and the workers write; the machine's where
// there is no service.
func (w *fitnessWatch) now() time.Time {
	if w == nil {
		return time.Now()
	}
	return w.clock.Now()
}

// retryPolicy is River's own, which goes by the machine's clock, by another.
type retryPolicy struct{ now func() time.Time }

func (p retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	return p.now().Add(time.Until((&river.DefaultClientRetryPolicy{}).NextRetry(job)))
}
