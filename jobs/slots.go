package jobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/flightbill/flightbill/db"
)

const (
	// slotTime is how long a worker goes on with flights that it has claimed itself,
	// before it returns to River.
	slotTime = 5 * time.Second
	// leaseTime is how long a claim is good for: what is not saved by then goes back as
	// it was, before River's rescuer takes it for lost and spends an attempt.
	leaseTime = 20 * time.Second
	// returnedTime is how long a job whose worker has returned may wait for River to
	// write its end, which takes 250 ms; River's rescuer has looked at it by then.
	returnedTime = 90 * time.Second
)

// slots is what the workers of a process have in common: how long they may go on, and
// which jobs they hold.
type slots struct {
	beats *heartbeats

	claiming     context.Context //nolint:containedctx // ends when no more flights are to be claimed
	stopClaiming context.CancelFunc
	working      context.Context //nolint:containedctx // of the batches; ends when they have to
	stopWorking  context.CancelFunc

	mu       sync.Mutex
	held     map[int64]int       // jobs, and how many workers have them: one that has lost its job may have yet to return
	returned map[int64]time.Time // jobs that River has still to write the end of, and since when
}

func newSlots(beats *heartbeats) *slots {
	s := &slots{beats: beats, held: map[int64]int{}, returned: map[int64]time.Time{}}
	s.open()
	return s
}

// open lets workers claim. Nobody works yet, or any more.
func (s *slots) open() {
	s.working, s.stopWorking = context.WithCancel(context.Background())
	s.claiming, s.stopClaiming = context.WithCancel(s.working)
}

// slot is one worker's time between taking a job from River and returning.
type slot struct {
	*slots

	client string // River's
	ends   time.Time
	beat   string // key of the worker's signs of life
}

// expect is the worker's sign of life.
func (s *slot) expect(within time.Duration) { s.beats.expect(s.beat, "a worker of flights", within) }

// enter begins the slot of a job of River's. The worker calls leave when it returns.
func (s *slots) enter(own *attempt) (_ *slot, leave func()) {
	s.hold(own)
	entered := &slot{slots: s, client: db.JobOf(own.JobRow).Client, ends: time.Now().Add(slotTime), beat: fmt.Sprintf("%d by %p", own.ID, own)}
	return entered, func() {
		s.beats.end(entered.beat)
		s.letGo(own)
		if own.written {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for id, since := range s.returned {
			if time.Since(since) > returnedTime {
				delete(s.returned, id)
			}
		}
		s.returned[own.ID] = time.Now()
	}
}

// mayClaim reports whether the worker may go on with others.
func (s *slot) mayClaim() bool { return s.claiming.Err() == nil && time.Now().Before(s.ends) }

func (s *slots) hold(attempts ...*attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range attempts {
		s.held[a.ID]++
	}
}

func (s *slots) letGo(attempts ...*attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range attempts {
		if s.held[a.ID]--; s.held[a.ID] == 0 {
			delete(s.held, a.ID)
		}
	}
}

// holds reports whether a worker has a job, or River has still to write its end.
func (s *slots) holds(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	returned, ok := s.returned[id]
	return s.held[id] > 0 || ok && time.Since(returned) < returnedTime
}
