package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/db"
)

const (
	// handAge is how long a flight may be in hand without being begun: in work,
	// River asks within milliseconds.
	handAge = time.Second
	// returnTimeout bounds the query that puts flights back.
	returnTimeout = 5 * time.Second
)

// hand has the flights that were taken in the transaction that completed others,
// until River asks for them. They are as many as those were, so that no more are
// in work than there are workers. Where River does not ask, since its queue is
// paused, the source is away or the process stops, they go back into the queue.
type hand struct {
	pool   *pgxpool.Pool
	fetch  func() // makes River ask
	logger *slog.Logger

	mu      sync.Mutex
	taken   db.Taken
	more    bool // when the queue was last looked at, it had flights for every free slot
	closed  bool
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
	if len(h.taken.Jobs) == 0 && h.more && !h.closed {
		h.timer = time.AfterFunc(handAge, h.leftOver)
	}
	h.taken.Add(taken)
	if h.closed { // by a save that had begun before
		h.giveBackAll()
		return
	}
	h.fetch() // for what others have left of the queue, too
}

// take returns what is in hand, at most so many.
func (h *hand) take(most int) db.Taken {
	h.mu.Lock()
	defer h.mu.Unlock()
	given := h.taken.Cut(most)
	if len(h.taken.Jobs) == 0 && h.timer != nil {
		h.timer.Stop()
	}
	return given
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
	if all := h.taken.Cut(len(h.taken.Jobs)); len(all.Jobs) > 0 {
		h.returns.Go(func() { h.giveBack(all) })
	}
}

func (h *hand) giveBack(taken db.Taken) {
	ctx, cancel := context.WithTimeout(context.Background(), returnTimeout)
	defer cancel()
	if err := db.ReturnFlights(ctx, h.pool, taken); err != nil {
		h.logger.WarnContext(ctx, "flights that were not begun are left to be rescued, within 2 minutes", "error", err)
	}
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
	h.returns.Wait()
}
