package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/rivertype"

	"github.com/flightbill/flightbill/db"
)

const (
	// handAge is how long a flight may be in hand without being begun: in work,
	// River asks within milliseconds.
	handAge = time.Second
	// returnTimeout bounds the query that puts flights back.
	returnTimeout = 5 * time.Second
)

// hand has the flights that were taken in the transaction that completed others.
// They are as many as those were, so that no more are in work than there are
// workers. The workers that have just saved go on with them (see workOn); what they
// leave, River gets when it asks. Where it does not ask either, since its queue is
// paused, the source is away or the process stops, they go back into the queue.
type hand struct {
	pool   *pgxpool.Pool
	fetch  func() // makes River ask
	logger *slog.Logger

	mu      sync.Mutex
	taken   db.Taken
	back    db.Taken // for River alone: they need more than a save
	more    bool     // when the queue was last looked at, it had flights for every free slot
	closed  bool
	ended   bool // nobody waits for what is put back any more
	timer   *time.Timer
	returns sync.WaitGroup
}

func newHand(pool *pgxpool.Pool, fetch func(), logger *slog.Logger) *hand {
	return &hand{pool: pool, fetch: fetch, logger: logger}
}

// wanted reports whether flights wait that can be taken. A flight that comes
// alone is then saved without a look at the queue.
func (h *hand) wanted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.more && !h.closed
}

// sawMore is told whether the queue had flights for every free slot.
func (h *hand) sawMore(more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.more = more
}

func (h *hand) put(taken db.Taken) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.more = len(taken.Jobs) > 0
	h.hold(&h.taken, taken)
}

// forRiver is given a flight that is to go through River: only there it can fail,
// wait or be cancelled.
func (h *hand) forRiver(job *rivertype.JobRow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold(&h.back, db.Taken{Jobs: []*rivertype.JobRow{job}})
	h.fetch()
}

// hold adds to what is in hand. The caller holds mu.
func (h *hand) hold(where *db.Taken, taken db.Taken) {
	if len(taken.Jobs) == 0 {
		return
	}
	if len(h.taken.Jobs)+len(h.back.Jobs) == 0 && !h.closed {
		h.timer = time.AfterFunc(handAge, h.leftOver)
	}
	where.Add(taken)
	if h.closed { // by a save that had begun before
		h.giveBackAll()
	}
}

// next returns a flight for a worker to go on with, nil where there is none.
func (h *hand) next() *rivertype.JobRow {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		first := h.taken.Cut(1)
		switch {
		case len(first.Jobs) == 0:
			return nil
		case len(first.Unreadable) > 0:
			h.back.Add(first)
			h.fetch()
		default:
			h.emptied()
			return first.Jobs[0]
		}
	}
}

// take returns what is in hand, at most so many.
func (h *hand) take(most int) db.Taken {
	h.mu.Lock()
	defer h.mu.Unlock()
	given := h.back.Cut(most)
	given.Add(h.taken.Cut(most - len(given.Jobs)))
	h.emptied()
	return given
}

// emptied stops the timer where nothing is in hand. The caller holds mu.
func (h *hand) emptied() {
	if len(h.taken.Jobs)+len(h.back.Jobs) == 0 && h.timer != nil {
		h.timer.Stop()
	}
}

// leftOver puts back what River has not asked for.
func (h *hand) leftOver() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.more = false
		h.giveBackAll()
	}
}

// giveBackAll has all that is in hand put back. The caller holds mu.
func (h *hand) giveBackAll() {
	all := h.taken.Cut(len(h.taken.Jobs))
	all.Add(h.back.Cut(len(h.back.Jobs)))
	switch {
	case len(all.Jobs) == 0:
	case h.ended:
		h.leave(context.Background(), errors.New("the process has stopped"))
	default:
		h.returns.Go(func() { h.giveBack(all) })
	}
}

func (h *hand) giveBack(taken db.Taken) {
	ctx, cancel := context.WithTimeout(context.Background(), returnTimeout)
	defer cancel()
	if err := db.ReturnFlights(ctx, h.pool, taken); err != nil {
		h.leave(ctx, err)
	}
}

func (h *hand) leave(ctx context.Context, err error) {
	h.logger.WarnContext(ctx, "flights that were not begun are left to be rescued, within 2 minutes", "error", err)
}

// stopTaking puts back what is in hand, and what comes from now on: River asks for
// no more. It is called before the workers stop, close after it.
func (h *hand) stopTaking() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.timer != nil {
		h.timer.Stop()
	}
	h.giveBackAll()
}

func (h *hand) close() {
	h.stopTaking()
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.returns.Wait()
}
