package db

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// maxGroup bounds how many flights are saved in one transaction.
	maxGroup = 50
	// slowGroup is when others no longer wait for a group under way, which may be
	// waiting for a customer's lock.
	slowGroup = 20 * time.Millisecond
	// groupTimeout ends a group that does not end by itself; its flights are then
	// saved one by one, within their own time.
	groupTimeout = 10 * time.Second
)

// Saver saves what comes while a save is under way together, in one transaction:
// one commit for all. A flight that comes alone is saved at once. Where one of a
// group fails, each is saved by itself.
type Saver struct {
	pool *pgxpool.Pool

	mu      sync.Mutex
	queue   []*queuedSave
	running int
}

// queuedSave is one that waits for its group. Its outcome may be read once done
// is closed.
type queuedSave struct {
	save    Save
	done    chan struct{}
	outcome Outcome
	err     error
	alone   bool // it was the group
}

// NewSaver returns a Saver that uses a connection a group.
func NewSaver(pool *pgxpool.Pool) *Saver { return &Saver{pool: pool} }

// Save is SaveFlight. Once its group is under way it waits for that to end,
// whatever becomes of ctx: the flight may be in it.
func (s *Saver) Save(ctx context.Context, save Save) (Outcome, error) {
	q := &queuedSave{save: save, done: make(chan struct{})}
	s.mu.Lock()
	s.queue = append(s.queue, q)
	idle := s.running == 0
	s.mu.Unlock()
	if idle {
		s.start(ctx)
	}
	slow := time.NewTimer(slowGroup)
	defer slow.Stop()
	select {
	case <-q.done:
	case <-slow.C:
		s.start(ctx)
		<-q.done
	}
	if q.err != nil && !q.alone {
		// Which of the group has failed, and whether for a reason of its own, shows
		// when each is tried alone.
		return SaveFlight(ctx, s.pool, save.Job, save.Bill, save.At)
	}
	return q.outcome, q.err
}

// start has what is queued saved. Others wait for it, so that it must not end
// with the caller's context.
func (s *Saver) start(ctx context.Context) {
	s.mu.Lock()
	s.running++
	s.mu.Unlock()
	go s.work(context.WithoutCancel(ctx))
}

// work saves what is queued until nothing is.
func (s *Saver) work(ctx context.Context) {
	for {
		s.mu.Lock()
		group := s.queue[:min(len(s.queue), maxGroup)]
		s.queue = s.queue[len(group):]
		if len(group) == 0 {
			s.queue = nil
			s.running--
		}
		s.mu.Unlock()
		if len(group) == 0 {
			return
		}
		s.saveGroup(ctx, group)
	}
}

func (s *Saver) saveGroup(ctx context.Context, group []*queuedSave) {
	ctx, cancel := context.WithTimeout(ctx, groupTimeout)
	defer cancel()
	saves := make([]Save, len(group))
	for i, q := range group {
		saves[i] = q.save
	}
	outcomes, err := SaveFlights(ctx, s.pool, saves)
	for i, q := range group {
		q.err, q.alone = err, len(group) == 1
		if err == nil {
			q.outcome = outcomes[i]
		}
		close(q.done)
	}
}
