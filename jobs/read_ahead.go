package jobs

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/flightbill/flightbill/billing"
)

// BatchSource is a flight source that reads many flights for about the price of
// one.
type BatchSource interface {
	FlightSource
	// Flights returns what it finds of these flights, batchSize at most; it
	// leaves out those about which anything is to be said, which Flight then says.
	Flights(ctx context.Context, ids []string) (map[string]billing.Flight, error)
}

const (
	batchSize = 50
	// factsAge is how long facts are good that were read before their turn.
	factsAge = 3 * time.Second
	// batchTimeout is how long a batch may take: what waits for it is then asked
	// for alone, with what is left of fetchTimeout.
	batchTimeout = 2 * time.Second
	// batchPause is how long nothing is read ahead after a batch that failed.
	batchPause = time.Second
)

// readAhead is a flight source that reads the flights next in line together,
// while those before them are being billed. A flight that finds nothing read is
// asked for alone: it never waits for others.
type readAhead struct {
	BatchSource

	next   func(ctx context.Context, limit int32) ([]string, error) // the flights next in line
	target int32                                                    // how many to have read
	logger *slog.Logger

	//nolint:containedctx // of the batches, which nobody waits for
	ctx     context.Context
	stop    context.CancelFunc
	batches sync.WaitGroup

	mu       sync.Mutex
	read     map[string]facts
	coming   map[string]chan struct{} // closed when the batch that a flight is in ends
	looking  bool
	pausedTo time.Time
}

type facts struct {
	flight billing.Flight
	asked  time.Time
}

func newReadAhead(source BatchSource, workers int, next func(ctx context.Context, limit int32) ([]string, error), logger *slog.Logger) *readAhead {
	r := &readAhead{
		BatchSource: source, next: next, logger: logger,
		target: int32(max(batchSize, 4*workers)), //nolint:gosec // a number of workers
		read:   map[string]facts{}, coming: map[string]chan struct{}{},
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// Flight returns what has been read, or asks for it.
func (r *readAhead) Flight(ctx context.Context, id string) (billing.Flight, error) {
	flight, coming, ok := r.take(id)
	if coming != nil {
		select {
		case <-coming:
			flight, _, ok = r.take(id)
		case <-ctx.Done():
		}
	}
	if ok {
		return flight, nil
	}
	return r.BatchSource.Flight(ctx, id)
}

// take returns a flight's facts, once, or what to wait for.
func (r *readAhead) take(id string) (billing.Flight, <-chan struct{}, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.read[id]
	delete(r.read, id)
	if ok && time.Since(f.asked) < factsAge {
		return f.flight, nil, true
	}
	return billing.Flight{}, r.coming[id], false
}

// More reads on, in the background, where little is left of what was read.
func (r *readAhead) More() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.looking || len(r.read)+len(r.coming) > int(r.target)/2 || r.ctx.Err() != nil || time.Now().Before(r.pausedTo) {
		return
	}
	r.looking = true
	r.batches.Go(r.look)
}

// look finds out which flights are next in line and has them read.
func (r *readAhead) look() {
	ctx, cancel := context.WithTimeout(r.ctx, batchTimeout)
	defer cancel()
	line, err := r.next(ctx, r.target)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looking = false
	if err != nil {
		r.pause(ctx, err)
		return
	}
	for id, f := range r.read { // taken by another process
		if time.Since(f.asked) >= factsAge {
			delete(r.read, id)
		}
	}
	line = slices.DeleteFunc(line, func(id string) bool {
		_, read := r.read[id]
		return read || r.coming[id] != nil
	})
	for ids := range slices.Chunk(line, batchSize) {
		done := make(chan struct{})
		for _, id := range ids {
			r.coming[id] = done
		}
		r.batches.Go(func() { r.readBatch(ids, done) })
	}
}

func (r *readAhead) readBatch(ids []string, done chan struct{}) {
	ctx, cancel := context.WithTimeout(r.ctx, batchTimeout)
	defer cancel()
	asked := time.Now()
	flights, err := r.Flights(ctx, ids)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		delete(r.coming, id)
		if flight, ok := flights[id]; ok {
			r.read[id] = facts{flight, asked}
		}
	}
	close(done)
	if err != nil {
		r.pause(ctx, err)
	}
}

// pause leaves it to those who ask for their own flight to find out what is
// wrong. The caller holds mu.
func (r *readAhead) pause(ctx context.Context, err error) {
	r.pausedTo = time.Now().Add(batchPause)
	if !errors.Is(err, context.Canceled) {
		r.logger.DebugContext(ctx, "flights not read ahead", "error", err)
	}
}

// Stop ends what is being read.
func (r *readAhead) Stop() {
	r.stop()
	r.mu.Lock()   // after which none begins
	r.mu.Unlock() //nolint:staticcheck // SA2001: see above
	r.batches.Wait()
}
