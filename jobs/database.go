package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// databaseTimeout bounds the question whether the database can be worked with.
const databaseTimeout = 2 * time.Second

// tellAgain is how long what goes on is told of once.
const tellAgain = time.Minute

// database is the circuit breaker before the database: away, a standby, read-only or
// full. While it is open, workers wait with the flights that they have, and one question
// a second is asked for the whole process. An outage is told once, and its end once
// nothing has failed for a while.
type database struct {
	pool   *pgxpool.Pool
	back   chan struct{} // has one to take as it comes back
	beats  *heartbeats
	logger *slog.Logger

	//nolint:containedctx // of the question, which nobody waits for
	ctx  context.Context
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	open   bool
	closes chan struct{} // closed when it closes
	outage *Outage       // as it has been told, until its end is
	met    int           // how often it has opened
	heldUp time.Time     // when a query without an answer was told of last
}

func newDatabase(pool *pgxpool.Pool, beats *heartbeats, logger *slog.Logger) *database {
	d := &database{pool: pool, beats: beats, logger: logger, back: make(chan struct{}, 1)}
	d.ctx, d.stop = context.WithCancel(context.Background())
	return d
}

// Met is told of an error: one that says that the database is away opens it.
func (d *database) Met(err error) {
	if err == nil || !db.Away(err) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open || d.ctx.Err() != nil {
		return
	}
	d.open, d.closes = true, make(chan struct{})
	d.met++
	d.done.Go(func() { d.askUntilBack(err) })
}

// askUntilBack asks before it tells, since a lone connection may have been ended. A
// disk that was full is written to. What has met the error is tried again after a second
// at the earliest.
func (d *database) askUntilBack(met error) {
	since := time.Now()
	pgErr, _ := errors.AsType[*pgconn.PgError](met)
	if pgErr != nil && strings.HasPrefix(pgErr.Code, "53") {
		d.tell(since, met)
	}
	defer d.beats.end(databaseBeat)
	for first := true; ; first = false {
		d.beats.expect(databaseBeat, "the question whether the database is back", 2*databaseTimeout+probeInterval)
		err := d.ask(d.ctx, db.DiskFull(met))
		if d.ctx.Err() != nil {
			return
		}
		switch {
		case err != nil:
			d.tell(since, err)
		case first && errors.Is(met, context.DeadlineExceeded):
			d.tellHeldUp(met)
		}
		if err == nil && !first {
			break
		}
		d.pause(probeInterval)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = false
	close(d.closes)
	select {
	case d.back <- struct{}{}:
	default:
	}
	if d.outage != nil {
		nth, back := d.met, time.Now()
		d.done.Go(func() { d.tellBack(nth, back) })
	}
}

func (d *database) ask(ctx context.Context, write bool) error {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	if err := db.CheckWritable(ctx, d.pool); err != nil || !write {
		return err
	}
	return db.CheckSpace(ctx, d.pool)
}

func (d *database) pause(length time.Duration) {
	select {
	case <-d.ctx.Done():
	case <-time.After(length):
	}
}

func (d *database) tell(since time.Time, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.outage != nil {
		d.outage = &Outage{Since: d.outage.Since, Err: err}
		return
	}
	d.outage = &Outage{Since: since, Err: err}
	d.logger.Warn("database is away: flights wait, and no attempt is spent", "reason", db.AwayReason(err), "error", err)
}

// tellHeldUp tells of a database that answers, and yet not what was asked.
func (d *database) tellHeldUp(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.heldUp) < tellAgain {
		return
	}
	d.heldUp = time.Now()
	d.logger.Warn("database answers, but a query has had no answer in its time, and flights wait: see pg_stat_activity for who holds a lock", "error", err)
}

func (d *database) tellBack(nth int, back time.Time) {
	d.pause(steadyTime)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.met != nth || d.ctx.Err() != nil { // away again meanwhile
		return
	}
	d.logger.Info("database is back", "away_for", back.Sub(d.outage.Since).Round(time.Second).String())
	d.outage = nil
}

// Closed reports whether the database can be worked with, as far as is known.
func (d *database) Closed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.open
}

// Outage returns the outage under way, nil without one.
func (d *database) Outage() *Outage {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.outage
}

// Wait waits until the database can be worked with. Its error, when that is not so by
// the end of ctx, has the flight look again.
func (d *database) Wait(ctx context.Context) error {
	d.mu.Lock()
	open, closes := d.open, d.closes
	d.mu.Unlock()
	if !open {
		return nil
	}
	select {
	case <-closes:
		return nil
	case <-ctx.Done():
		return databaseAway(ctx.Err())
	}
}

// LooksAway asks, where nothing is known of an outage.
func (d *database) LooksAway() bool {
	if d.Closed() {
		d.Met(d.ask(d.ctx, false))
	}
	return !d.Closed() || d.Outage() != nil
}

// Stop ends the question.
func (d *database) Stop() {
	d.stop()
	d.mu.Lock()   // after which none begins
	d.mu.Unlock() //nolint:staticcheck // SA2001: see above
	d.done.Wait()
}

// databaseAway is why a flight waits. What the database said stays in the log: it may
// name hosts and users, and the queue view is for others.
func databaseAway(cause error) *billing.Error {
	what := "does not answer"
	if db.Away(cause) {
		what = db.AwayReason(cause)
	} else if db.TryAgain(cause) {
		what = "had another transaction in the way"
	}
	return &billing.Error{Kind: billing.Blocked, Reason: billing.ReasonDatabaseDown, Message: fmt.Sprintf("the database %s; flights wait", what)}
}
