package db

import (
	"sync"
	"time"
)

const (
	// busyTime is how long each look at the queue must have found flights before a
	// process promises to look again. For flights that come alone it is not worth it.
	busyTime = 100 * time.Millisecond
	// promiseTime is how long a promise is good for. It is renewed when half is over.
	promiseTime = 2 * time.Second
)

// promise is a process's promise, in the database, to look at the queue again, while
// which nobody need send a notice of new flights. See promise_to_look. Where the workers
// stop looking before it is over, since their slots end or the flight source goes away,
// River's poll does so, each second.
type promise struct {
	mu    sync.Mutex
	since time.Time // when the looks began to find flights; zero: the last found none
	until time.Time // that it was promised
}

// due reports whether to promise now, and notes that it is done.
func (p *promise) due() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.since.IsZero() || now.Sub(p.since) < busyTime || p.until.Sub(now) > promiseTime/2 {
		return false
	}
	p.until = now.Add(promiseTime)
	return true
}

// busy notes that a look has found flights.
func (p *promise) busy() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() {
		p.since = time.Now()
	}
}

func (p *promise) isBusy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.since.IsZero()
}

// ends notes that a look has found none, and reports whether a promise is in force: one
// that was made with that look, or before.
func (p *promise) ends(promised bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	inForce := promised || time.Now().Before(p.until)
	p.since, p.until = time.Time{}, time.Time{}
	return inForce
}
