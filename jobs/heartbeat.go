package jobs

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

const (
	// stuckAfter is how long a sign of life may be late.
	stuckAfter = 30 * time.Second
	// noFetch is how long River may fetch no flights: so long may all its workers be at work
	// with those that they have.
	noFetch = 90 * time.Second
)

// heartbeats are signs of life of what a process does all the time, or at the moment: by
// when the next is due.
type heartbeats struct {
	river.HookDefaults

	now func() time.Time

	mu   sync.Mutex
	next map[string]beat
}

type beat struct {
	key, what string
	last, due time.Time
}

func newHeartbeats() *heartbeats {
	return &heartbeats{now: time.Now, next: map[string]beat{}}
}

// expect is a sign of life of what has that key. The next one, or its end, takes so long
// at most.
func (h *heartbeats) expect(key, what string, within time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	h.next[key] = beat{key, what, now, now.Add(within + stuckAfter)}
}

// end has no sign of life be due, until expect is called again, if it ever is.
func (h *heartbeats) end(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.next, key)
}

// overdue is what has missed a sign of life for longest, nil where nothing has.
func (h *heartbeats) overdue() *StuckError {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	late := slices.DeleteFunc(slices.Collect(maps.Values(h.next)), func(b beat) bool { return !b.due.Before(now) })
	if len(late) == 0 {
		return nil
	}
	first := slices.MinFunc(late, func(a, b beat) int { return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.what, b.what)) })
	return &StuckError{key: first.key, What: first.what, Silent: now.Sub(first.last)}
}

// StuckError says which part of a process has given no sign of life for too long.
type StuckError struct {
	key    string
	What   string
	Silent time.Duration
}

func (e *StuckError) Error() string {
	return fmt.Sprintf("%s has given no sign of life for %s; if that does not end, restart this process", e.What, e.Silent.Round(time.Second))
}

// The keys of what every process has once.
const (
	houseBeat, sweepBeat, takeUpBeat, fitnessBeat, probeBeat, databaseBeat = "house", "sweep", "take up", "fitness", "probe", "database"

	fetchBeat, scheduleBeat = "fetch", "schedule"
)

// MetricEmit takes a fetch of flights for River's sign of life.
func (h *heartbeats) MetricEmit(_ context.Context, params *rivertype.HookMetricEmitParams) {
	if fetch, ok := params.Metric.(*rivertype.JobGetAvailableDurationMetric); ok && fetch.Queue == FlightsQueue {
		h.expect(fetchBeat, "River's fetch of flights", noFetch)
	}
}
