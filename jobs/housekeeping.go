package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/rivertype"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

const (
	// housekeepingInterval bounds how long a stray job waits, and how long an
	// idle process goes by an old price book.
	housekeepingInterval = 15 * time.Second
	// orphanAge is how old a claim must be that no worker knows of: its answer may be on
	// the way.
	orphanAge = 5 * time.Second
	// overdueMany is from how many missing flights on it is no single wrong id.
	overdueMany = 10
)

// housekeeper is what every process does now and then, by itself: a job would leave a
// row a time.
type housekeeper struct {
	client string // River's
	pool   *pgxpool.Pool
	books  *db.PriceBooks
	queue  *db.FlightQueue
	slots  *slots
	beats  *heartbeats
	wait   time.Duration // how long an unknown flight is waited for
	outage func() *Outage
	source string           // its name
	now    func() time.Time // River's clock
	logger *slog.Logger

	database *database

	forgedSeenUntil time.Time    // forged cancels until then have been looked for
	overdue         atomic.Int64 // flights
	overdueTold     int64        // as many were told of last; 0: none

	stop context.CancelFunc
	done sync.WaitGroup
}

func (h *housekeeper) Start(ctx context.Context) {
	ctx, h.stop = context.WithCancel(ctx)
	h.done.Go(func() { h.repeat(ctx, houseBeat, "the housekeeping", housekeepingInterval, h.keepHouse) })
	h.done.Go(func() { h.repeat(ctx, sweepBeat, "the sweep of flights that are due", sweepInterval, h.sweep) })
	h.done.Go(func() { h.takeUp(ctx) })
}

// Stop ends it, and gives back what the workers have left running.
func (h *housekeeper) Stop(ctx context.Context) {
	if h.stop != nil {
		h.stop()
		h.done.Wait()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	h.warn(ctx, "notices of new flights are left out for two seconds more", h.queue.Withdraw(ctx, h.client))
	h.giveBackOrphans(ctx, 0)
	h.undoForgedCancels(ctx)
	h.warn(ctx, "the queue shows for a minute more that flights wait for the flight source", h.tellOutage(ctx, nil))
}

func (h *housekeeper) repeat(ctx context.Context, beat, what string, interval time.Duration, do func(context.Context)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	defer h.beats.end(beat)
	for {
		h.beats.expect(beat, what, 2*interval)
		bounded, cancel := context.WithTimeout(ctx, interval)
		do(bounded)
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (h *housekeeper) keepHouse(ctx context.Context) {
	q := dbsqlc.New(h.pool)
	_, err := h.books.Refresh(ctx)
	h.warn(ctx, "customers and tariffs could not be read", err)

	strays, err := q.QueueAdoptStrays(ctx)
	h.warn(ctx, "flights in other queues could not be looked for", err)
	if strays.Moved > 0 {
		h.logger.InfoContext(ctx, "flights moved to their queue", "queue", FlightsQueue, "flights", strays.Moved)
	}

	h.giveBackOrphans(ctx, orphanAge)

	h.undoForgedCancels(ctx)
	h.lookForOverdue(ctx)
	h.warn(ctx, "it could not be noted why flights wait", h.tellOutage(ctx, h.outage()))
	stranded, err := q.DeliveryGiveUpStranded(ctx)
	h.warn(ctx, "deliveries whose jobs are gone could not be looked for", err)
	if len(stranded) > 0 {
		h.logger.WarnContext(ctx, "deliveries are given up, since their jobs were cancelled, discarded or deleted; flightbill deliveries retry has them tried again",
			"deliveries", len(stranded), "first", stranded[0])
	}
}

// tellOutage has the queue view show why flights wait.
func (h *housekeeper) tellOutage(ctx context.Context, outage *Outage) error {
	q := dbsqlc.New(h.pool)
	if outage == nil {
		return q.SourceOutageEnd(ctx, h.client)
	}
	return q.SourceOutageTell(ctx, dbsqlc.SourceOutageTellParams{Client: h.client, Since: outage.Since, Reason: outage.said(h.source).Error()})
}

// lookForOverdue tells of flights that will be given up for not being in the source,
// while there is time: when there are many, and again when they have doubled.
func (h *housekeeper) lookForOverdue(ctx context.Context) {
	if h.wait <= 0 {
		return
	}
	found, err := dbsqlc.New(h.pool).QueueCountOverdue(ctx, h.now().Add(-h.wait/2))
	if err != nil {
		h.warn(ctx, "flights that are missing in the flight source could not be counted", err)
		return
	}
	h.overdue.Store(found.Flights)
	switch {
	case found.Flights >= max(overdueMany, 2*h.overdueTold):
		h.overdueTold = found.Flights
		h.logger.WarnContext(ctx, "flights are missing in the flight source, or have no landing time there, and are given up when their time is over: does it still take in flights?",
			"flights", found.Flights, "missing_since", found.Oldest.UTC().Format(time.RFC3339), "first_given_up_at", found.Oldest.Add(h.wait).UTC().Format(time.RFC3339))
	case found.Flights < overdueMany && h.overdueTold > 0:
		h.overdueTold = 0
		h.logger.InfoContext(ctx, "no more than a few flights are missing in the flight source", "flights", found.Flights)
	}
}

func (h *housekeeper) sweep(ctx context.Context) {
	_, err := dbsqlc.New(h.pool).QueueSweepDue(ctx)
	h.warn(ctx, "flights that are due could not be made available", err)
}

// giveBackOrphans gives back the flights that this client has claimed and that no worker
// holds: the answer to a claim was lost, or a connection broke with a save.
func (h *housekeeper) giveBackOrphans(ctx context.Context, age time.Duration) {
	rows, err := dbsqlc.New(h.pool).QueueHeldBy(ctx, dbsqlc.QueueHeldByParams{Client: h.client, OlderThan: age.Seconds()})
	h.warn(ctx, "flights that are in work could not be looked for", err)
	t := db.Turn{Client: h.client, Wake: true}
	for _, row := range rows {
		if !h.slots.holds(row.ID) {
			job := db.Job{ID: row.ID, Attempt: int(row.Attempt), Client: h.client, AttemptedAt: row.AttemptedAt}
			t.Ends = append(t.Ends, db.End{Job: job, State: rivertype.JobStateAvailable})
		}
	}
	if len(t.Ends) == 0 {
		return
	}
	turned, err := h.queue.Take(ctx, t)
	h.warn(ctx, "flights that no worker holds could not be given back", err)
	if len(turned.Ended) > 0 {
		h.logger.InfoContext(ctx, "flights that no worker held have been given back", "flights", len(turned.Ended))
	}
}

// undoForgedCancels puts back jobs that a notice has cancelled though no client of River's
// had; at first whenever that was.
func (h *housekeeper) undoForgedCancels(ctx context.Context) {
	began := h.now()
	forged, err := dbsqlc.New(h.pool).QueueUndoForgedCancels(ctx, h.forgedSeenUntil)
	h.warn(ctx, "jobs that a forged notice has cancelled could not be looked for", err)
	if err != nil {
		return
	}
	h.forgedSeenUntil = began.Add(-time.Minute) // what was being committed
	if len(forged) > 0 {
		h.logger.WarnContext(ctx, "jobs were cancelled by notices that no River client has sent; they go back into the queue: see who may connect to the database",
			"jobs", len(forged), "first", forged[0])
	}
}

// takeUp gives back what could not be while the database was away, as soon as it is back:
// River's rescuer, which comes later, spends an attempt.
func (h *housekeeper) takeUp(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.database.back:
		}
		h.beats.expect(takeUpBeat, "the look at what an outage of the database has left", finishTimeout)
		bounded, cancel := context.WithTimeout(ctx, finishTimeout)
		h.giveBackOrphans(bounded, orphanAge)
		cancel()
		h.beats.end(takeUpBeat)
	}
}

func (h *housekeeper) warn(ctx context.Context, what string, err error) {
	h.database.Met(err)
	if err != nil && !errors.Is(err, context.Canceled) && !db.Away(err) {
		h.logger.WarnContext(ctx, what, "error", err)
	}
}
