package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Prober is a flight source that can be asked whether it answers look-ups.
type Prober interface {
	Probe(ctx context.Context) error
}

const (
	// probeInterval is the pause between two probes of a source that is away.
	probeInterval = time.Second
	// countTimeout bounds the query of how many flights wait, for the log.
	countTimeout = 5 * time.Second
)

// sourceGate keeps this process from taking flights while their source is away.
// A flight that meets an outage closes it; one probe for the whole process opens
// it. Flights of other processes, and an operator's pause of the queue, are not
// touched.
//
//	open ──outage met──▶ closed, asking ──probe fails──▶ closed, away
//	  ▲                     │ (that flight alone                │
//	  └─────probe succeeds──┘  could not be read)  ◀────────────┘
type sourceGate struct {
	source  string
	probe   func(ctx context.Context) error
	waiting func(ctx context.Context) (int64, error) // flights that could be billed but for the source
	opened  func()
	logger  *slog.Logger

	//nolint:containedctx // of the probe, which nobody waits for
	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	closed bool
	outage *Outage
}

// Outage is a time without the flight source.
type Outage struct {
	Since time.Time
	Err   error // what the last probe said
}

func newSourceGate(source FlightSource, waiting func(ctx context.Context) (int64, error), logger *slog.Logger) *sourceGate {
	g := &sourceGate{source: source.Name(), waiting: waiting, opened: func() {}, logger: logger}
	if prober, ok := source.(Prober); ok {
		g.probe = prober.Probe
	}
	g.ctx, g.stop = context.WithCancel(context.Background())
	return g
}

// Open reports whether flights may be taken.
func (g *sourceGate) Open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.closed
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

// Close has the source probed, and no flights taken until it answers.
func (g *sourceGate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.probe == nil || g.ctx.Err() != nil {
		return
	}
	g.closed = true
	g.done.Go(g.probeUntilBack)
}

func (g *sourceGate) probeUntilBack() {
	since := time.Now()
	for {
		ctx, cancel := context.WithTimeout(g.ctx, fetchTimeout)
		err := g.probe(ctx)
		cancel()
		if g.ctx.Err() != nil {
			return
		}
		if err == nil {
			g.open()
			return
		}
		g.away(since, err)
		select {
		case <-g.ctx.Done():
			return
		case <-time.After(probeInterval):
		}
	}
}

func (g *sourceGate) away(since time.Time, err error) {
	g.mu.Lock()
	first := g.outage == nil
	g.outage = &Outage{since, err}
	g.mu.Unlock()
	if first {
		g.logger.Warn("flight source is away: flights wait, and no attempt is spent",
			append([]any{"source", g.source, "error", err}, g.howMany()...)...)
	}
}

func (g *sourceGate) open() {
	g.mu.Lock()
	outage := g.outage
	g.closed, g.outage = false, nil
	g.mu.Unlock()
	if outage != nil {
		g.logger.Info("flight source is back",
			append([]any{"source", g.source, "away_for", time.Since(outage.Since).Round(time.Second).String()}, g.howMany()...)...)
	}
	g.opened()
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
