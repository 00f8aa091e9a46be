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
	// comingTime is how long a group waits for flights that were taken with the one
	// before, and are on their way: pricing takes a tenth of it.
	comingTime = 500 * time.Microsecond
	// groupTimeout ends a group that does not end by itself; its flights are then
	// saved one by one, within their own time.
	groupTimeout = 10 * time.Second
)

// Saver saves what comes while a save is under way together, in one transaction:
// one commit for all. A flight that comes alone is saved at once. Where one of a
// group fails, each is saved by itself.
//
// With many workers there are two groups at a time, so that one works while the
// other waits for its commit.
//
// While flights are waiting, the transaction that completes some takes as many
// others in their place. Its next group waits for these, but not for long: else
// groups would come apart into ever smaller ones.
type Saver struct {
	pool *pgxpool.Pool
	next NextFlights

	mu    sync.Mutex
	lanes []*lane
}

// lane is one of the groups at a time. All is guarded by the Saver's mu.
type lane struct {
	queue   []*queuedSave
	saving  int            // flights of groups under way
	running int            // loops at work: two where one is slow
	coming  map[int64]bool // jobs taken with the last group that have not come yet
	allCame chan struct{}  // told when the last of them has
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
	// Line is where they are taken from.
	Line() *Line
}

// manyWorkers are enough for two groups: 50 workers do half as much again with
// two. With five, what each group costs by itself eats up what the wait would.
const manyWorkers = 16

// NewSaver returns a Saver for so many workers. It uses a connection a group.
// Without next it takes no flights.
func NewSaver(pool *pgxpool.Pool, workers int, next NextFlights) *Saver {
	s := &Saver{pool: pool, next: next}
	for range 1 + min(workers/manyWorkers, 1) {
		s.lanes = append(s.lanes, &lane{allCame: make(chan struct{}, 1)})
	}
	return s
}

// Save is SaveFlight. Once its group is under way it waits for that to end,
// whatever becomes of ctx: the flight may be in it.
func (s *Saver) Save(ctx context.Context, save Save) (Outcome, error) {
	q := &queuedSave{save: save, done: make(chan struct{})}
	s.mu.Lock()
	l := s.laneFor(save.Job)
	l.queue = append(l.queue, q)
	if l.running == 0 {
		s.start(ctx, l)
	}
	s.mu.Unlock()
	slow := time.NewTimer(slowGroup)
	defer slow.Stop()
	select {
	case <-q.done:
	case <-slow.C:
		s.mu.Lock()
		s.start(ctx, l)
		s.mu.Unlock()
		<-q.done
	}
	if q.err != nil && !q.alone {
		// Which of the group has failed, and whether for a reason of its own, shows
		// when each is tried alone.
		return SaveFlight(ctx, s.pool, save.Job, save.Bill, save.At)
	}
	return q.outcome, q.err
}

// Without tells that a flight ended without a save.
func (s *Saver) Without(jobID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		l.came(jobID)
	}
}

// laneFor returns the lane that waits for a job, or else the one with less to do.
// The caller holds mu.
func (s *Saver) laneFor(job *Job) *lane {
	least := s.lanes[0]
	for _, l := range s.lanes {
		if job != nil && l.came(job.ID) {
			return l
		}
		if len(l.queue)+l.saving < len(least.queue)+least.saving {
			least = l
		}
	}
	return least
}

// came notes that nobody need wait for a job any more, and reports whether anybody
// did. The caller holds mu.
func (l *lane) came(jobID int64) bool {
	if !l.coming[jobID] {
		return false
	}
	delete(l.coming, jobID)
	if len(l.coming) == 0 {
		select {
		case l.allCame <- struct{}{}:
		default:
		}
	}
	return true
}

// start has what is queued saved. Others wait for it, so that it must not end
// with the caller's context. The caller holds mu.
func (s *Saver) start(ctx context.Context, l *lane) {
	l.running++
	go s.work(context.WithoutCancel(ctx), l)
}

// work saves what is queued until nothing is.
func (s *Saver) work(ctx context.Context, l *lane) {
	runtime.Gosched() // those that are about to come, since they were taken together, come first
	for {
		s.waitForComing(l)
		s.mu.Lock()
		group := l.queue[:together(l.queue)]
		l.queue = l.queue[len(group):]
		l.saving += len(group)
		if len(group) == 0 {
			l.queue = nil
			l.running--
		}
		s.mu.Unlock()
		if len(group) == 0 {
			return
		}
		s.saveGroup(ctx, l, group)
		s.mu.Lock()
		l.saving -= len(group)
		s.mu.Unlock()
	}
}

func (s *Saver) waitForComing(l *lane) {
	s.mu.Lock()
	wait := len(l.coming) > 0 && len(l.queue) < maxGroup
	if wait {
		select {
		case <-l.allCame: // of an earlier group
		default:
		}
	}
	s.mu.Unlock()
	if !wait {
		return
	}
	timer := time.NewTimer(comingTime)
	defer timer.Stop()
	select {
	case <-l.allCame:
	case <-timer.C:
		s.mu.Lock()
		l.coming = nil
		s.mu.Unlock()
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

func (s *Saver) saveGroup(ctx context.Context, l *lane, group []*queuedSave) {
	ctx, cancel := context.WithTimeout(ctx, groupTimeout)
	defer cancel()
	saves := make([]Save, len(group))
	for i, q := range group {
		saves[i] = q.save
	}
	outcomes, err := s.saveAndTake(ctx, l, saves)
	for i, q := range group {
		q.err, q.alone = err, len(group) == 1
		if err == nil {
			q.outcome = outcomes[i]
		}
		close(q.done)
	}
}

// saveAndTake is SaveFlights, and takes others in their place where that is wanted.
func (s *Saver) saveAndTake(ctx context.Context, l *lane, saves []Save) ([]Outcome, error) {
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
	t.line = s.next.Line()
	outcomes, err := SaveFlights(ctx, t, saves)
	if err == nil {
		coming := map[int64]bool{}
		for _, job := range t.taken.Jobs {
			coming[job.ID] = true
		}
		s.mu.Lock()
		l.coming = coming
		s.mu.Unlock()
		s.next.Taken(t.taken)
	}
	return outcomes, err
}
