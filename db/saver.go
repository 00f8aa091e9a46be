package db

import (
	"context"
	"runtime"
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
//
// While flights are waiting, the transaction that completes some takes as many
// others in their place.
type Saver struct {
	pool *pgxpool.Pool
	next NextFlights

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

// NextFlights is who works the flights that a Saver takes.
type NextFlights interface {
	// Wanted reports whether flights are to be taken in the place of those that
	// are saved.
	Wanted() bool
	// Taken is given what was taken, before the saves are told to be done.
	Taken(taken Taken)
}

// NewSaver returns a Saver that uses a connection a group. Without next it takes
// no flights.
func NewSaver(pool *pgxpool.Pool, next NextFlights) *Saver { return &Saver{pool: pool, next: next} }

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
	runtime.Gosched() // those that are about to come, since they were taken together, come first
	for {
		s.mu.Lock()
		group := s.queue[:together(s.queue)]
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

// together returns how many of the first can be saved in one transaction.
func together(queue []*queuedSave) int {
	flights := map[string]bool{}
	for n, q := range queue {
		bill := q.save.Bill
		if n == maxGroup || bill.Book != queue[0].save.Bill.Book || flights[bill.Flight.ID] {
			return n
		}
		flights[bill.Flight.ID] = true
	}
	return len(queue)
}

func (s *Saver) saveGroup(ctx context.Context, group []*queuedSave) {
	ctx, cancel := context.WithTimeout(ctx, groupTimeout)
	defer cancel()
	saves := make([]Save, len(group))
	for i, q := range group {
		saves[i] = q.save
	}
	outcomes, err := s.saveAndTake(ctx, saves)
	for i, q := range group {
		q.err, q.alone = err, len(group) == 1
		if err == nil {
			q.outcome = outcomes[i]
		}
		close(q.done)
	}
}

// saveAndTake is SaveFlights, and takes others in their place where that is wanted.
func (s *Saver) saveAndTake(ctx context.Context, saves []Save) ([]Outcome, error) {
	t := &taking{Pool: s.pool}
	for _, save := range saves {
		if save.Job != nil {
			t.client = save.Job.Client
			t.insteadOf = append(t.insteadOf, save.Job.ID)
		}
	}
	if s.next == nil || t.client == "" || !s.next.Wanted() {
		return SaveFlights(ctx, s.pool, saves)
	}
	outcomes, err := SaveFlights(ctx, t, saves)
	if err == nil {
		s.next.Taken(t.taken)
	}
	return outcomes, err
}
