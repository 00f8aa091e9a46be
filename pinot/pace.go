package pinot

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/flightbill/flightbill/billing"
)

const (
	// leastGap and mostGap bound the pause between two queries where there is a quota.
	leastGap = 20 * time.Millisecond
	mostGap  = 30 * time.Second
	// noGap is a pause that says nothing any more.
	noGap = 5 * time.Millisecond
	// pauseSaysNothing is how long after the last query: nothing waits for a turn.
	pauseSaysNothing = time.Minute
	// tellQuotaAgain is how long a quota that comes and goes is told of once.
	tellQuotaAgain = 10 * time.Minute
)

// pace spaces a process's queries out where Pinot's quota asks for that: the pause grows
// by half with each query that is refused, and shrinks a little with each that is
// answered. So most queries are answered ones, at any quota, and whatever other processes
// take of it.
type pace struct {
	logger *slog.Logger

	mu    sync.Mutex
	gap   time.Duration // between two queries; 0: none
	next  time.Time     // when the next may be sent
	grown time.Time     // when gap has grown last
	again bool          // nothing has been answered since
	told  time.Time
}

// wait waits for this query's turn, and returns when it was given. Where that is not before
// the end of ctx, or of the caller's patience, its error says so at once, and nothing is
// asked.
func (p *pace) wait(ctx context.Context, patience time.Time) (given time.Time, err error) {
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(patience) {
		patience = deadline
	}
	for {
		turn, err := p.reserve(patience)
		if err != nil || turn.in <= 0 {
			return turn.given, cmp.Or(err, ctx.Err())
		}
		select {
		case <-time.After(turn.in):
		case <-ctx.Done():
			return turn.given, ctx.Err()
		}
		if p.keeps(turn) {
			return turn.given, nil
		}
	}
}

// turn is one that was given then, and comes in a while.
type turn struct {
	given time.Time
	in    time.Duration
	grown time.Time // as it was then
}

func (p *pace) reserve(patience time.Time) (turn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	t := turn{given: now, grown: p.grown}
	if p.gap == 0 {
		return t, nil
	}
	at := latest(p.next, now)
	if at.After(patience) {
		return t, causedBy(billing.CauseQuota, "the query quota is used up: one query each %s, and others are before this one", p.gap.Round(time.Millisecond))
	}
	p.next = at.Add(p.gap)
	t.in = at.Sub(now)
	return t, nil
}

// keeps says whether a turn is still right: where the pause has grown since it was given,
// all take another.
func (p *pace) keeps(t turn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gap == 0 || t.grown.Equal(p.grown)
}

// exceeded is told that a query whose turn was given then has been refused.
func (p *pace) exceeded(ctx context.Context, given time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gap > 0 && given.Before(p.grown) {
		return // the pause has grown since
	}
	now := time.Now()
	switch {
	case p.gap == 0:
		p.gap = leastGap
	case p.again:
		p.gap *= 2
	default:
		p.gap += p.gap / 2
	}
	p.gap = min(p.gap, mostGap)
	p.grown, p.again, p.next = now, true, now.Add(p.gap)
	if p.told.IsZero() || now.Sub(p.told) >= tellQuotaAgain {
		p.told = now
		p.logger.WarnContext(ctx, "Pinot's query quota is used up: it is asked less often, for as many flights at once as there are; raise the table's quota where that is too slow", "error", err)
	}
}

// answered is told that a query has been answered. A long pause shrinks faster: it takes
// as many answers.
func (p *pace) answered() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gap == 0 {
		return
	}
	p.again = false
	part := min(max(p.gap.Seconds()/100, 0.02), 0.3)
	if p.gap -= time.Duration(part * float64(p.gap)); p.gap < noGap {
		p.gap = 0
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Pause returns the time between two queries that Pinot's quota leaves this process; 0
// where there is none.
func (s *Source) Pause() time.Duration {
	s.pace.mu.Lock()
	defer s.pace.mu.Unlock()
	if time.Since(s.pace.next) > pauseSaysNothing {
		return 0
	}
	return s.pace.gap
}
