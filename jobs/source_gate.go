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
	// probeInterval is the pause between two probes of a source that is away.
	probeInterval = time.Second
	// countTimeout bounds the query of how many flights wait, for the log.
	countTimeout = 2 * time.Second
	// doubtful is how many flights in a row meet an outage before a probe that
	// succeeds is no longer believed.
	doubtful = 10
	// trialTime is how long a source that was away waits for a flight to show that
	// it is back. Then there is none.
	trialTime = 3 * time.Second
)

// gateState is what a sourceGate lets through.
type gateState int

const (
	gateOpen   gateState = iota // all flights
	gateAsking                  // none: a flight has met an outage
	gateAway                    // none: so has a probe
	gateTrying                  // one, to see whether the source is back
)

// sourceGate keeps this process from taking flights while their source is away.
// A flight that meets an outage closes it. Then there is one probe for the whole
// process. Flights of other processes, and an operator's pause of the queue, are
// not touched.
//
//	open ──outage met──▶ asking ──probe fails──▶ away ──probe succeeds──▶ trying
//	 ▲                     │ probe succeeds:      ▲                         │  │
//	 ├─────────────────────┘ that flight alone    └── its flight meets one ─┘  │
//	 └─────────────── its flight is read, or there is none ────────────────────┘
//
// A source that comes and goes while it starts is so away but once, and one that
// answers probes alone is away.
type sourceGate struct {
	source  string
	probe   func(ctx context.Context) error
	waiting func(ctx context.Context) (int64, error) // flights that could be billed but for the source
	opened  func()                                   // flights may be taken
	left    func()                                   // the source has gone away
	logger  *slog.Logger

	//nolint:containedctx // of the probe, which nobody waits for
	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	state  gateState
	outage *Outage
	met    int        // outages since a flight was read
	metErr error      // the last of them
	probed time.Time  // when the last probe that succeeded was sent
	taken  bool       // trying: the one flight
	result chan error // trying: what came of it
}

// Outage is a time without the flight source.
type Outage struct {
	Since time.Time
	Err   error // what the last probe said
}

func newSourceGate(source FlightSource, waiting func(ctx context.Context) (int64, error), logger *slog.Logger) *sourceGate {
	g := &sourceGate{source: source.Name(), waiting: waiting, opened: func() {}, left: func() {}, logger: logger}
	if prober, ok := source.(Prober); ok {
		g.probe = prober.Probe
	}
	g.ctx, g.stop = context.WithCancel(context.Background())
	return g
}

// Take returns how many of that many flights may be taken.
func (g *sourceGate) Take(most int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.state == gateOpen:
		return most
	case g.state == gateTrying && !g.taken:
		g.taken = true
		return min(most, 1)
	default:
		return 0
	}
}

// Open reports whether all flights may be taken.
func (g *sourceGate) Open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state == gateOpen
}

// Untaken says that there was none of those that Take allowed.
func (g *sourceGate) Untaken() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.taken = false
}

// Outage returns the outage under way, nil without one.
func (g *sourceGate) Outage() *Outage {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.outage == nil {
		return nil
	}
	outage := *g.outage
	return &outage
}

// Start has no flights taken until the source has answered once.
func (g *sourceGate) Start() { g.Met(time.Now(), nil) }

// Met has the source probed, since a flight asked for then has met an outage.
func (g *sourceGate) Met(asked time.Time, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.probe == nil || g.ctx.Err() != nil || asked.Before(g.probed) { // it has answered since
		return
	}
	if err != nil {
		g.met++
		g.metErr = err
	}
	switch g.state {
	case gateOpen:
		g.state = gateAsking
		g.done.Go(g.probeUntilBack)
	case gateTrying:
		g.state = gateAway
		g.result <- err
	case gateAsking, gateAway:
	}
}

// Read notes that a flight asked for then has been answered.
func (g *sourceGate) Read(asked time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.met = 0
	if g.state == gateTrying && !asked.Before(g.probed) {
		g.open()
		g.result <- nil
	}
}

// open lets all flights through. The caller holds mu.
func (g *sourceGate) open() { g.state, g.outage = gateOpen, nil }

func (g *sourceGate) probeUntilBack() {
	since := time.Now()
	for {
		sent := time.Now()
		ctx, cancel := context.WithTimeout(g.ctx, fetchTimeout)
		err := g.probe(ctx)
		cancel()
		if g.ctx.Err() != nil {
			return
		}
		if err == nil {
			if err = g.back(since, sent); err == nil {
				return
			}
		}
		g.away(since, err)
		select {
		case <-g.ctx.Done():
			return
		case <-time.After(probeInterval):
		}
	}
}

// back opens the gate after a good probe. It returns what speaks against that.
func (g *sourceGate) back(since, sent time.Time) error {
	g.mu.Lock()
	g.probed = sent
	away, doubted, doubt := g.outage != nil, g.met >= doubtful, g.metErr
	if !away && !doubted {
		g.open()
	}
	g.mu.Unlock()
	switch {
	case away:
	case doubted:
		return doubt
	default:
		g.opened()
		return nil
	}

	howMany := g.howMany()
	if err := g.try(); err != nil || g.ctx.Err() != nil {
		return err
	}
	g.logger.Info("flight source is back",
		append([]any{"source", g.source, "away_for", time.Since(since).Round(time.Second).String()}, howMany...)...)
	g.opened()
	return nil
}

// try lets one flight through and returns what comes of it. Without a flight there
// is no more to be known.
func (g *sourceGate) try() error {
	result := make(chan error, 1)
	g.mu.Lock()
	g.state, g.taken, g.result = gateTrying, false, result
	g.mu.Unlock()
	g.opened()
	wait := trialTime
	for {
		select {
		case err := <-result:
			return err
		case <-g.ctx.Done():
			return nil
		case <-time.After(wait):
		}
		g.mu.Lock()
		if g.state == gateTrying && (!g.taken || wait > trialTime) {
			g.met = 0
			g.open()
			g.mu.Unlock()
			return nil
		}
		g.mu.Unlock()
		wait = fetchTimeout
	}
}

// away notes an outage; it is told of once, and once more where waiting does not
// help.
func (g *sourceGate) away(since time.Time, err error) {
	g.mu.Lock()
	first := g.outage == nil
	newMisfit := misfit(err) && (first || !misfit(g.outage.Err))
	g.state, g.outage = gateAway, &Outage{since, err}
	g.mu.Unlock()
	if first {
		g.left()
	}
	if !first && !newMisfit {
		return
	}
	details := append([]any{"source", g.source, "error", err}, g.howMany()...)
	if newMisfit {
		g.logger.Error("flight source does not fit its settings: flights wait until one or the other is put right", details...)
		return
	}
	g.logger.Warn("flight source is away: flights wait, and no attempt is spent", details...)
}

// misfit says whether an error of a probe is no outage: the source answers, and
// cannot be read as it is set up.
func misfit(err error) bool {
	var outage *billing.Error
	return !errors.As(err, &outage) && !errors.Is(err, context.DeadlineExceeded)
}

// howMany is how many flights wait, for the log, where the database can tell.
func (g *sourceGate) howMany() []any {
	ctx, cancel := context.WithTimeout(g.ctx, countTimeout)
	defer cancel()
	n, err := g.waiting(ctx)
	if err != nil {
		return nil
	}
	return []any{"flights_waiting", n}
}

// Stop ends the probe.
func (g *sourceGate) Stop() {
	g.stop()
	g.mu.Lock()   // after which none begins
	g.mu.Unlock() //nolint:staticcheck // SA2001: see above
	g.done.Wait()
}
