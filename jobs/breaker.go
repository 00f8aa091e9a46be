package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/flightbill/flightbill/billing"
)

// Prober is a flight source that can be asked whether it answers look-ups. An error
// that is not a *billing.Error, nor its context's, says that waiting does not help.
type Prober interface {
	Probe(ctx context.Context) error
}

const (
	// probeInterval is the pause between two probes of a source that is away. Where only a
	// change of settings helps, or where the source wants to be asked less often, it doubles
	// each time, up to misfitInterval and quotaInterval.
	probeInterval  = time.Second
	misfitInterval = 15 * time.Second
	quotaInterval  = 30 * time.Second
	// countTimeout bounds the query of how many flights wait, for the log.
	countTimeout = 2 * time.Second
	// doubtful is how many reads in a row meet an outage before a probe that succeeds
	// is no longer believed.
	doubtful = 10
	// trials is how many flights are tried alone where they could not be read together.
	trials = 3
	// steadyTime is how long a source must answer before it is said to be back.
	steadyTime = 5 * time.Second
)

type breakerState int

const (
	closed   breakerState = iota // flights are read
	halfOpen                     // a read has met an outage, or the process starts: one probe decides
	open                         // the source is away
)

// breaker is the circuit breaker between this process's workers and the flight source.
// While it is not closed, a worker reads nothing: it waits with its flight, so that
// River, whose slots are taken, hands out no others. There is one probe for the whole
// process.
//
//	closed ──a read meets an outage──▶ half-open ──probe fails──▶ open
//	   ▲                                   │                       │ each second: probe,
//	   ├────────probe succeeds─────────────┘                       │ then read the flights
//	   └────────any of those is read, or none waits────────────────┘ next in line
//
// A source that answers probes and no flights is away. One whose quota is used up is not
// probed, which would use more of it: after the pause, flights are read. An outage is told
// once, and its end once the source has answered for a while, also where it comes and goes.
type breaker struct {
	source  FlightSource
	probe   func(ctx context.Context) error                         // nil: never open
	next    func(ctx context.Context, most int32) ([]string, error) // flights next in line, which nobody need own
	waiting func(ctx context.Context) (int64, error)                // flights that could be billed but for the source
	beats   *heartbeats
	logger  *slog.Logger

	//nolint:containedctx // of the probe, which nobody waits for
	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup

	mu       sync.Mutex
	state    breakerState
	decided  chan struct{} // closed with the next change of state
	outage   *Outage
	met      int                    // outages in a row
	answered time.Time              // when the last probe that succeeded was sent
	told     time.Time              // since when the source has been said to be away; zero: it is not
	causes   map[billing.Cause]bool // those that have been said since
	refused  time.Duration          // the last pause for a quota; 0 where flights have been read since
	untested bool                   // closed without an answer: a quota's pause is over
}

// Outage is a time without the flight source.
type Outage struct {
	Since time.Time
	Cause billing.Cause
	Err   error // what the last probe said
}

// Misfit reports whether it lasts until somebody changes settings, or the source.
func (o *Outage) Misfit() bool { return o.Cause == billing.CauseConfiguration }

// said is the reason for which flights wait.
func (o *Outage) said(source string) *billing.Error {
	said, ok := errors.AsType[*billing.Error](o.Err)
	switch {
	case ok:
		return said
	case o.Misfit():
		return billing.SourceMisfit(source, o.Err)
	default:
		return billing.SourceDown(source, "cannot be read", o.Err)
	}
}

func newBreaker(
	source FlightSource, next func(context.Context, int32) ([]string, error), waiting func(context.Context) (int64, error), beats *heartbeats, logger *slog.Logger,
) *breaker {
	b := &breaker{source: source, next: next, waiting: waiting, beats: beats, logger: logger, decided: make(chan struct{})}
	if prober, ok := source.(Prober); ok {
		b.probe = prober.Probe
	}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

// Start has nothing read until the source has answered once.
func (b *breaker) Start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.suspect(nil)
}

// suspect begins to probe a source that was thought to answer, and said that instead. The
// caller holds mu.
func (b *breaker) suspect(said error) {
	if b.probe == nil || b.state != closed || b.ctx.Err() != nil {
		return
	}
	b.change(halfOpen)
	doubted := b.met >= doubtful
	b.done.Go(func() { b.probeUntilBack(doubted, said) })
}

// change sets the state and wakes who waits for it. The caller holds mu.
func (b *breaker) change(to breakerState) {
	b.state = to
	close(b.decided)
	b.decided = make(chan struct{})
}

// now returns the state, and what is closed when it changes.
func (b *breaker) now() (state breakerState, outage *Outage, changes <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.outage, b.decided
}

// Closed reports whether flights may be read.
func (b *breaker) Closed() bool {
	state, _, _ := b.now()
	return state == closed
}

// Outage returns the outage under way, nil without one.
func (b *breaker) Outage() *Outage {
	_, outage, _ := b.now()
	return outage
}

// Wait waits until flights may be read. Its error, when that is not so by the end of
// ctx, is an outage.
func (b *breaker) Wait(ctx context.Context) error {
	for {
		state, outage, changes := b.now()
		if state == closed {
			return nil
		}
		select {
		case <-changes:
		case <-ctx.Done():
			if outage == nil {
				return billing.SourceDown(b.source.Name(), "has not answered yet", ctx.Err())
			}
			return outage.said(b.source.Name())
		}
	}
}

// Met is told that a read which began then has met an outage. It returns whether the
// source is away, once that is known; if it is not, the trouble is with the flights.
func (b *breaker) Met(ctx context.Context, asked time.Time, said error) (away bool) {
	if b.probe == nil {
		return false
	}
	b.mu.Lock()
	b.met++
	if b.met >= doubtful || !asked.Before(b.answered) { // else it has answered since
		b.suspect(said)
	}
	b.mu.Unlock()
	for {
		state, _, changes := b.now()
		if state != halfOpen {
			return state == open
		}
		select {
		case <-changes:
		case <-ctx.Done():
			return true
		}
	}
}

// Answered is told that flights have been read.
func (b *breaker) Answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.met, b.refused = 0, 0
	if b.untested && b.state == closed {
		b.untested = false
		b.tellBack(b.answered, nil)
	}
}

// probeUntilBack probes until the breaker is closed. Where nothing speaks against it,
// the first probe that succeeds is believed; from then on flights have to be read, too.
func (b *breaker) probeUntilBack(doubted bool, said error) {
	since := time.Now()
	pause := probeInterval
	defer b.beats.end(probeBeat)
	for try := doubted; ; try = true {
		b.beats.expect(probeBeat, "the probe of the flight source", 2*fetchTimeout+countTimeout+quotaInterval)
		sent := time.Now()
		err := said
		if !isQuota(err) {
			err = b.ask(b.probe)
			if err == nil && try {
				err = b.ask(b.try)
			}
		}
		switch {
		case b.ctx.Err() != nil:
			return
		case err == nil:
			b.back(sent, try)
			return
		}
		b.away(since, err)
		switch {
		case isQuota(err):
			pause = b.refusedFor()
		case causeOf(err) == billing.CauseConfiguration:
			pause = min(2*pause, misfitInterval)
		default:
			pause = probeInterval
		}
		select {
		case <-b.ctx.Done():
			return
		case <-time.After(pause):
		}
		if isQuota(err) {
			b.readAgain()
			return
		}
		said = nil
	}
}

// refusedFor returns how long to read nothing for a quota.
func (b *breaker) refusedFor() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused = min(max(probeInterval, 2*b.refused), quotaInterval)
	return b.refused
}

// readAgain closes the breaker after a quota's pause. The flights that are then read tell
// whether it was long enough.
func (b *breaker) readAgain() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outage, b.answered, b.untested = nil, time.Now(), true
	b.change(closed)
}

func (b *breaker) ask(question func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(b.ctx, fetchTimeout)
	defer cancel()
	return question(ctx)
}

// try reads flights that are next in line. One that is read is enough.
func (b *breaker) try(ctx context.Context) error {
	ids, err := b.next(ctx, DefaultBatch)
	if err != nil || len(ids) == 0 {
		return nil //nolint:nilerr // nothing to go by but the probe
	}
	_, err = b.source.Flights(ctx, ids)
	for _, id := range ids[:min(trials, len(ids))] {
		if !isOutage(err) {
			return nil
		}
		_, err = b.source.Flights(ctx, []string{id})
	}
	if isOutage(err) {
		return err
	}
	return nil
}

// back closes the breaker; once flights have been read, what was met before is over.
func (b *breaker) back(sent time.Time, read bool) {
	b.mu.Lock()
	told := !b.told.IsZero()
	b.mu.Unlock()
	var howMany []any
	if told {
		howMany = b.howMany()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outage, b.answered, b.untested = nil, sent, false
	if read {
		b.met, b.refused = 0, 0
	}
	b.change(closed)
	b.tellBack(sent, howMany)
}

// tellBack tells of the end of an outage once the breaker has been closed for a while. The
// caller holds mu.
func (b *breaker) tellBack(sent time.Time, howMany []any) {
	if b.told.IsZero() || b.ctx.Err() != nil {
		return
	}
	b.done.Go(func() {
		select {
		case <-time.After(steadyTime):
		case <-b.ctx.Done():
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.answered != sent || b.state != closed || b.told.IsZero() { // away again meanwhile
			return
		}
		b.logger.Info("flight source is back", append([]any{"source", b.source.Name(), "away_for", sent.Sub(b.told).Round(time.Second).String()}, howMany...)...)
		b.told, b.causes = time.Time{}, nil
	})
}

// away opens the breaker. Each cause is told of once an outage.
func (b *breaker) away(since time.Time, err error) {
	cause := causeOf(err)
	b.mu.Lock()
	first := b.told.IsZero()
	if first {
		b.told, b.causes = since, map[billing.Cause]bool{}
	}
	known := b.causes[cause]
	b.causes[cause] = true
	b.outage = &Outage{since, cause, err}
	if b.state != open {
		b.change(open)
	}
	b.mu.Unlock()
	if known {
		return
	}
	details := append([]any{"source", b.source.Name(), "cause", cause, "error", err}, b.howMany()...)
	switch {
	case cause == billing.CauseConfiguration:
		b.logger.Error("flight source does not fit its settings: flights wait until one or the other is put right", details...)
	case first && cause == billing.CauseQuota:
		b.logger.Warn("flight source is away, its quota is used up: flights wait, and no attempt is spent", details...)
	case first:
		b.logger.Warn("flight source is away: flights wait, and no attempt is spent", details...)
	default:
		b.logger.Info("flight source is still gone, for another cause", details...)
	}
}

// causeOf is that of an outage. An error of a probe that is none comes from settings.
func causeOf(err error) billing.Cause {
	if !isOutage(err) {
		return billing.CauseConfiguration
	}
	return billing.CauseOf(err)
}

func isQuota(err error) bool { return err != nil && causeOf(err) == billing.CauseQuota }

func isOutage(err error) bool {
	var said *billing.Error
	return errors.As(err, &said) && said.Kind == billing.Outage || errors.Is(err, context.DeadlineExceeded)
}

// howMany is how many flights wait, for the log, where the database can tell.
func (b *breaker) howMany() []any {
	ctx, cancel := context.WithTimeout(b.ctx, countTimeout)
	defer cancel()
	n, err := b.waiting(ctx)
	if err != nil {
		return nil
	}
	return []any{"flights_waiting", n}
}

// Stop ends the probe.
func (b *breaker) Stop() {
	b.stop()
	b.mu.Lock()   // after which none begins
	b.mu.Unlock() //nolint:staticcheck // SA2001: see above
	b.done.Wait()
}
