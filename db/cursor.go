package db

import (
	"cmp"
	"sync"
	"time"

	"github.com/riverqueue/river/rivertype"
)

// roundTime is how long a flight may be passed over that stands ahead of the cursor of
// its priority: one that was put back, is due again, or was enqueued by a transaction
// that took long.
const roundTime = time.Second

// cursor is a keyset cursor for each priority, behind which the process claims next.
// Once in a round, and whenever fewer are found than wanted, it goes back to the front.
type cursor struct {
	mu    sync.Mutex
	at    places
	began time.Time // the round
}

// place is that of a job among those of its priority.
type place struct {
	due time.Time
	id  int64
}

func (p place) compare(other place) int {
	return cmp.Or(p.due.Compare(other.due), cmp.Compare(p.id, other.id))
}

// places are those reached in one round, by priority from 1 on.
type places struct {
	round   int
	reached [4]place
}

func (p places) dues() []time.Time {
	dues := make([]time.Time, len(p.reached))
	for i := range p.reached {
		dues[i] = p.reached[i].due
	}
	return dues
}

func (p places) ids() []int64 {
	ids := make([]int64, len(p.reached))
	for i := range p.reached {
		ids[i] = p.reached[i].id
	}
	return ids
}

// next returns behind which places to claim now.
func (c *cursor) next() places {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.began) > roundTime {
		c.toFront()
	}
	return c.at
}

// toFront begins a round. The caller holds mu.
func (c *cursor) toFront() {
	c.at, c.began = places{round: c.at.round + 1}, time.Now()
}

// claimed moves the cursor on behind what was claimed. A claim of an earlier round does
// not carry it off again.
func (c *cursor) claimed(behind places, jobs []*rivertype.JobRow, wanted int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if behind.round != c.at.round {
		return
	}
	if len(jobs) < wanted {
		c.toFront()
		return
	}
	for _, job := range jobs {
		if reached := &c.at.reached[job.Priority-1]; reached.compare(place{job.ScheduledAt, job.ID}) < 0 {
			*reached = place{job.ScheduledAt, job.ID}
		}
	}
}
