package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivershared/baseservice"
	"github.com/riverqueue/river/rivershared/riverpilot"
	"github.com/riverqueue/river/rivertype"

	"github.com/flightbill/flightbill/db"
)

// insertTopic is what River names the notices of new jobs.
const insertTopic = "river_insert"

// takeTimeout is how long a fetch may take; River's own bound.
const takeTimeout = 10 * time.Second

// riverDriver is River's own driver for pgx with additions, at places that River
// keeps for extensions of its own and may move in any release:
//
//   - before River takes flights, it asks how many this process may take now (see
//     sourceGate), and it tells when there were flights for every free slot;
//   - a fetch can be called for. River makes none for slots that become free
//     while one is under way: with 5 workers they stand empty until the next
//     flight ends, and at the end of a backlog until the next poll;
//   - the flight that a notice names is read while River takes it (see readAhead);
//   - a fetch is given first what was taken in the transaction that completed
//     other flights (see hand);
//   - River is not let complete once more, 250 ms later, what a save has completed,
//     nor put the end of an attempt on the one that has its job by now;
//   - a list of the jobs of one state, which is what River UI asks for, reads an
//     index in its order. With state = any('{completed}') Postgres sorts them all.
type riverDriver struct {
	*riverpgxv5.Driver

	pool   *pgxpool.Pool
	line   *db.Line
	gate   *sourceGate
	full   func()                           // told when there were flights for every free slot
	heard  func(id string, since time.Time) // told of the flight that a notice names
	taking func()                           // told before flights are taken, while their source answers
	wake   chan struct{}
	hand   *hand

	settled sync.Map // jobs that River need not be told the end of: their ids, and which end
}

// notice is what is sent of new jobs.
type notice struct {
	Queue    string    `json:"queue"`
	FlightID string    `json:"flight_id"` // of the transaction's first flight, in a notice that names one
	Since    time.Time `json:"since"`     // see wantedSince
}

// driverOver is what River asks for in riverDriver.
var _ riverdriver.Driver[pgx.Tx] = (*riverDriver)(nil)

func newRiverDriver(pool *pgxpool.Pool, gate *sourceGate, logger *slog.Logger) *riverDriver {
	d := &riverDriver{Driver: riverpgxv5.New(pool), pool: pool, line: &db.Line{}, gate: gate, full: func() {}, heard: func(string, time.Time) {}, taking: func() {}, wake: make(chan struct{}, 1)}
	d.hand = newHand(pool, d.Fetch, logger)
	return d
}

// Saved is told of a job that a save has completed, before its worker returns.
func (d *riverDriver) Saved(jobID int64) { d.settled.Store(jobID, savedEnd) }

// Lost is told of a job that another attempt has by now, before its worker
// returns. River would put the end of this one on that one.
func (d *riverDriver) Lost(jobID int64) { d.settled.Store(jobID, lostEnd) }

type settledEnd int

const (
	savedEnd settledEnd = iota
	lostEnd
)

// Wanted implements db.NextFlights.
func (d *riverDriver) Wanted() bool { return d.gate.Open() && d.hand.wanted() }

// Taken implements db.NextFlights.
func (d *riverDriver) Taken(taken db.Taken) {
	d.hand.put(taken)
	d.full()
}

// Line implements db.NextFlights.
func (d *riverDriver) Line() *db.Line { return d.line }

// SQLFragmentColumnIn is a condition of a list of jobs.
func (d *riverDriver) SQLFragmentColumnIn(column string, values any) (string, any, error) {
	if one, ok := values.([]string); ok && len(one) == 1 {
		return fmt.Sprintf("%s = @%s", column, column), one[0], nil
	}
	return d.Driver.SQLFragmentColumnIn(column, values) //nolint:wrapcheck // River's own
}

// PluginInit does nothing; River looks for it beside PluginPilot.
func (d *riverDriver) PluginInit(*baseservice.Archetype) {}

// PluginPilot is what River takes jobs through.
func (d *riverDriver) PluginPilot() riverpilot.Pilot { return &pilot{driver: d} }

// GetListener is River's own, which also hears Fetch.
func (d *riverDriver) GetListener(params *riverdriver.GetListenenerParams) riverdriver.Listener {
	return &listener{Listener: d.Driver.GetListener(params), driver: d}
}

// Fetch makes River look for flights if it has a free slot.
func (d *riverDriver) Fetch() {
	select {
	case d.wake <- struct{}{}:
	default: // called for already
	}
}

// hear tells of the flight that a notice names. Anybody in the database can send one.
func (d *riverDriver) hear(heard *riverdriver.Notification) {
	var n notice
	if heard.Topic == insertTopic && json.Unmarshal([]byte(heard.Payload), &n) == nil && n.Queue == FlightsQueue && db.ValidFlightID(n.FlightID) {
		d.heard(n.FlightID, n.Since)
	}
}

type pilot struct {
	riverpilot.StandardPilot

	driver *riverDriver
}

func (p *pilot) JobGetAvailable(
	ctx context.Context, exec riverdriver.Executor, state riverpilot.ProducerState, params *riverdriver.JobGetAvailableParams,
) (*riverdriver.JobGetAvailableResult, error) {
	if params.Queue != FlightsQueue || params.Kind != nil || params.Now != nil {
		return p.StandardPilot.JobGetAvailable(ctx, exec, state, params)
	}
	most := p.driver.gate.Take(params.MaxToLock)
	if most <= 0 {
		return &riverdriver.JobGetAvailableResult{}, nil
	}
	inHand := most
	if most == params.MaxToLock {
		// All of it: those in whose place it was taken are done, though River may have
		// yet to hear so of some. If these waited for that, each group would come apart.
		inHand = math.MaxInt
	}
	taken := p.driver.hand.take(inHand)
	if missing := most - len(taken.Jobs); missing > 0 {
		if p.driver.gate.Open() {
			p.driver.taking()
		}
		ctx, cancel := context.WithTimeout(ctx, takeTimeout)
		defer cancel()
		more, err := p.driver.line.Take(ctx, p.driver.pool, params.ClientID, missing)
		if err != nil && len(taken.Jobs) == 0 {
			p.driver.gate.Untaken()
			return nil, err
		}
		taken.Add(more)
		p.driver.hand.sawMore(len(more.Jobs) == missing)
	}
	switch {
	case len(taken.Jobs) == 0:
		p.driver.gate.Untaken()
	case len(taken.Jobs) >= params.MaxToLock:
		p.driver.full()
		if !p.driver.hand.wanted() { // else the next save calls for one
			p.driver.Fetch()
		}
	}
	return &riverdriver.JobGetAvailableResult{Jobs: taken.Jobs, DecodeErrors: taken.Unreadable}, nil
}

// JobSetStateIfRunningMany leaves out what saves have completed: it would lock
// each row once more to find that there is nothing to do. And it leaves out the
// end of attempts that have lost their job.
func (p *pilot) JobSetStateIfRunningMany(
	ctx context.Context, exec riverdriver.Executor, params *riverdriver.JobSetStateIfRunningManyParams,
) ([]*rivertype.JobRow, error) {
	left := &riverdriver.JobSetStateIfRunningManyParams{Schema: params.Schema, Now: params.Now}
	for i, id := range params.ID {
		end, settled := p.driver.settled.Load(id)
		if settled && (end == lostEnd || params.State[i] == rivertype.JobStateCompleted && !params.MetadataDoMerge[i]) {
			continue
		}
		left.ID = append(left.ID, id)
		left.Attempt = append(left.Attempt, params.Attempt[i])
		left.ErrData = append(left.ErrData, params.ErrData[i])
		left.FinalizedAt = append(left.FinalizedAt, params.FinalizedAt[i])
		left.MetadataDoMerge = append(left.MetadataDoMerge, params.MetadataDoMerge[i])
		left.MetadataUpdates = append(left.MetadataUpdates, params.MetadataUpdates[i])
		left.ScheduledAt = append(left.ScheduledAt, params.ScheduledAt[i])
		left.State = append(left.State, params.State[i])
	}
	var written []*rivertype.JobRow
	if len(left.ID) > 0 {
		var err error
		if written, err = p.StandardPilot.JobSetStateIfRunningMany(ctx, exec, left); err != nil {
			return nil, err // River tries again with all of them
		}
	}
	for _, id := range params.ID {
		p.driver.settled.Delete(id)
	}
	return written, nil
}

// listener adds to what Postgres tells the notice that Fetch asks for: the one
// that an INSERT sends. It goes on waiting for Postgres meanwhile: to stop costs
// as much as a fetch.
type listener struct {
	riverdriver.Listener

	driver *riverDriver

	mu      sync.Mutex
	waiting chan heard // nil while nobody waits for Postgres
	stop    context.CancelFunc
	kept    []heard // what was told while another notice went out
}

type heard struct {
	notification *riverdriver.Notification
	err          error
}

func (l *listener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h, ok := l.next(); ok {
		return h.notification, h.err
	}
	if l.waiting == nil {
		var waitCtx context.Context
		waitCtx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
		waiting := make(chan heard, 1)
		go func() {
			notification, err := l.Listener.WaitForNotification(waitCtx)
			if err == nil {
				l.driver.hear(notification)
			}
			waiting <- heard{notification, err}
		}()
		l.waiting = waiting
	}
	select {
	case h := <-l.waiting:
		l.stop()
		l.waiting = nil
		return h.notification, h.err
	case <-l.driver.wake:
		return &riverdriver.Notification{Topic: insertTopic, Payload: `{"queue": "` + FlightsQueue + `"}`}, nil
	case <-ctx.Done():
		l.interrupt()
		if h, ok := l.next(); ok {
			return h.notification, h.err
		}
		return nil, ctx.Err()
	}
}

func (l *listener) next() (heard, bool) {
	if len(l.kept) == 0 {
		return heard{}, false
	}
	h := l.kept[0]
	l.kept = l.kept[1:]
	return h, true
}

// interrupt ends the wait, since the connection serves one at a time, and keeps
// what it has heard. The caller holds mu.
func (l *listener) interrupt() {
	if l.waiting == nil {
		return
	}
	l.stop()
	if h := <-l.waiting; !errors.Is(h.err, context.Canceled) {
		l.kept = append(l.kept, h)
	}
	l.waiting = nil
}

func (l *listener) quietly(do func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.interrupt()
	return do()
}

func (l *listener) Close(ctx context.Context) error {
	return l.quietly(func() error { return l.Listener.Close(ctx) })
}

func (l *listener) Listen(ctx context.Context, topic string) error {
	return l.quietly(func() error { return l.Listener.Listen(ctx, topic) })
}

func (l *listener) Ping(ctx context.Context) error {
	return l.quietly(func() error { return l.Listener.Ping(ctx) })
}

func (l *listener) Unlisten(ctx context.Context, topic string) error {
	return l.quietly(func() error { return l.Listener.Unlisten(ctx, topic) })
}
