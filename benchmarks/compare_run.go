package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// outcome is what one turn of a peer came to.
type outcome struct {
	FlightsPerSecond float64 `json:"flights_per_second"`
	PeakMemoryMB     float64 `json:"peak_memory_mb,omitempty"`         // of all its processes
	CPUPer1000       float64 `json:"cpu_s_per_1000_flights,omitempty"` // of all its processes
	PostgresPer1000  float64 `json:"postgres_cpu_s_per_1000_flights,omitempty"`
	WALPerFlight     float64 `json:"wal_bytes_per_flight,omitempty"`
	TransactionsPer  float64 `json:"write_transactions_per_flight,omitempty"`
	DeadTuplesPer    float64 `json:"dead_tuples_per_flight"`
	AskedPer         float64 `json:"look_ups_per_flight,omitempty"`
	Refused          string  `json:"refused,omitempty"` // why the figures do not count
	latencies        []float64
}

// turn is one peer at work on a database of its own.
type turn struct {
	*comparison

	peer      peer
	pool      *pgxpool.Pool
	processes processes
	postgres  string // its pid, where its CPU is counted
	broker    string // its address
	expected  []string
}

const (
	warmUpFlights = 100 // for every process: what is compiled, planned and connected at first use
	patience      = 5 * time.Minute
)

// work is what a peer is given in a turn.
type work int

const (
	allAtOnce work = iota
	singly         // after a fifth as many at once, so that all is warm
)

// take runs a peer once: it starts on an empty queue, warms up, is given flights
// all at once, and then, where wanted, one by one.
func (c *comparison) take(ctx context.Context, p peer, delay time.Duration, work work, pass int) (o outcome, err error) {
	if p.family == bound {
		return c.takeCeiling(ctx)
	}
	pool, drop, err := c.server.database(ctx, "comparison_turn", comparisonSeed, c.settings...)
	if err != nil {
		return o, err
	}
	defer drop()
	t := &turn{comparison: c, peer: p, pool: pool}
	if c.server.name == embeddedServer { // another's processes may be out of our sight
		if t.postgres, err = postmaster(ctx, pool); err != nil {
			return o, err
		}
	}
	if err := settle(ctx, pool); err != nil {
		return o, err
	}
	var env []string
	if p.polls > 0 {
		env = append(env, "POLL_MS=500")
	}
	if err := t.start(ctx, delay, env...); err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, t.processes.stop()) }()
	flights := int(float64(t.size(fullFlights)) * p.part)
	switch {
	case work == singly:
		flights /= 5
	case delay == slowest:
		flights /= 3 // some slots are to end meanwhile
	}
	if err := t.drain(ctx, &o, pass, max(50, flights)); err != nil {
		return o, err
	}
	if work == singly {
		if err := t.oneByOne(ctx, &o, t.samples(), p.pace()); err != nil {
			return o, err
		}
	}
	if o.PeakMemoryMB, err = t.processes.peakMemory(); err != nil {
		return o, err
	}
	if err := t.processes.stop(); err != nil {
		return o, err
	}
	if err := t.count(ctx, &o); err != nil {
		return o, err
	}
	if delay == 0 && p.polls > 0 && pass == 0 {
		return o, t.poll(ctx, &o)
	}
	return o, nil
}

// poll measures how long flights wait for one that polls: they come all through
// one of its intervals.
func (t *turn) poll(ctx context.Context, o *outcome) error {
	interval := time.Duration(float64(t.peer.polls) * min(1, max(t.scale, 0.05)))
	if err := t.start(ctx, 0, fmt.Sprintf("POLL_MS=%d", interval.Milliseconds())); err != nil {
		return err
	}
	samples := t.samples()
	return errors.Join(t.oneByOne(ctx, o, samples, interval/time.Duration(samples)), t.processes.stop())
}

// samples is how many flights come one by one in a turn, in some seven seconds.
func (t *turn) samples() int { return max(5, t.size(int(7300*time.Millisecond/t.peer.pace()))) }

func (t *turn) start(ctx context.Context, delay time.Duration, env ...string) error {
	t.broker = t.brokers[delay]
	command := t.peer.command
	command.env = append(append(env, command.env...),
		"DATABASE_URL="+t.server.Database("comparison_turn"), "PINOT_BROKERS="+t.broker, "PINOT_URL=http://"+t.broker)
	for range t.peer.processes {
		if err := t.processes.start(ctx, t.programs, command); err != nil {
			return errors.Join(err, t.processes.stop())
		}
	}
	return nil
}

func (t *turn) ids(batch string, flights int) []string {
	ids := make([]string, flights)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%d", batch, i)
	}
	t.expected = append(t.expected, ids...)
	return ids
}

// drain gives a peer, idle and warm, all flights in one transaction.
func (t *turn) drain(ctx context.Context, o *outcome, pass, flights int) error {
	if _, err := t.give(ctx, t.ids("warm", warmUpFlights*t.peer.processes)); err != nil {
		return err
	}
	if err := t.finished(ctx); err != nil {
		return err
	}
	before, err := t.give(ctx, t.ids(fmt.Sprintf("drain%d", pass), flights))
	if err != nil {
		return err
	}
	if err := t.finished(ctx); err != nil {
		return err
	}
	after, err := t.spent(ctx, t.pool)
	if err != nil {
		return err
	}
	n := float64(flights)
	o.CPUPer1000 = (after.own - before.own).Seconds() / n * 1000
	o.PostgresPer1000 = (after.postgres - before.postgres).Seconds() / n * 1000
	o.WALPerFlight = float64(after.wal-before.wal) / n
	o.TransactionsPer = float64(after.transactions-before.transactions) / n
	o.AskedPer = float64(after.asked-before.asked) / n

	// From the first commit to the last: starting and noticing are not throughput.
	return t.pool.QueryRow(ctx, `
		WITH saved AS (SELECT pg_xact_commit_timestamp(xmin) AS at FROM billed_flights WHERE starts_with(flight_id, 'drain')),
			ends AS (SELECT min(at) AS first, max(at) AS last FROM saved)
		SELECT count(*) FILTER (WHERE at > first) / nullif(extract(epoch FROM last - first), 0)::float8 FROM saved, ends
		GROUP BY first, last`).Scan(&o.FlightsPerSecond)
}

// spending is what has been used up so far.
type spending struct {
	own, postgres     time.Duration
	wal, transactions int64 // transactions that write: those that commit to the disk
	asked             int   // flights that Pinot was asked for
}

func (t *turn) spent(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}) (s spending, err error) {
	if s.own, err = t.processes.cpu(); err != nil {
		return s, err
	}
	if t.postgres != "" {
		if s.postgres, err = familyCPU(t.postgres); err != nil {
			return s, err
		}
	}
	asked, err := get(ctx, "http://"+t.broker+askedPath)
	if err != nil {
		return s, err
	}
	if s.asked, err = strconv.Atoi(asked); err != nil {
		return s, err
	}
	err = db.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn() - '0/0', pg_snapshot_xmax(pg_current_snapshot())::text::bigint").Scan(&s.wal, &s.transactions)
	return s, err
}

// give enqueues flights and returns what had been spent when they could be seen.
func (t *turn) give(ctx context.Context, ids []string) (before spending, err error) {
	err = pgx.BeginFunc(ctx, t.pool, func(tx pgx.Tx) error {
		if err := t.peer.queue.many(ctx, t.pool, tx, ids); err != nil {
			return err
		}
		before, err = t.spent(ctx, tx)
		return err
	})
	return before, err
}

// finished waits until all is saved and no job is left.
func (t *turn) finished(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var billed, left int
		err := t.pool.QueryRow(ctx, "SELECT count(*) FROM billed_flights").Scan(&billed)
		if err == nil && billed >= len(t.expected) {
			if err = t.pool.QueryRow(ctx, t.peer.queue.unfinished()).Scan(&left); err == nil && left == 0 {
				return nil
			}
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%d of %d flights were saved within %v, %d jobs are left", billed, len(t.expected), patience, left)
		}
		if err == nil {
			err = t.processes.running()
		}
		if err != nil {
			return fmt.Errorf("%s: %w%s", t.peer.name, err, t.processes.lastWords())
		}
		if err := wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// pace is how far apart single flights come, on average: long enough for each to be
// alone. River's own limit on notices, 100 ms, must not hold one up.
func (p peer) pace() time.Duration {
	if p.family == plain {
		return 110 * time.Millisecond
	}
	return 22 * time.Millisecond
}

// oneByOne enqueues single flights on an idle system. What counts is from before
// the client sends until the save's commit, by the server's clock, which is ours.
func (t *turn) oneByOne(ctx context.Context, o *outcome, samples int, apart time.Duration) error {
	single, err := t.peer.queue.single(ctx, t.pool)
	if err != nil {
		return err
	}
	// What Postgres prepares for the client's first one is no wait of the system's.
	if err := single(ctx, t.ids("first", 1)[0]); err != nil {
		return err
	}
	if err := wait(ctx, time.Second); err != nil {
		return err
	}
	sent := map[string]time.Time{}
	for _, id := range t.ids("single", samples) {
		sent[id] = time.Now()
		if err := single(ctx, id); err != nil {
			return err
		}
		// Not in step with anything that the peer does at intervals.
		spread := 0.9 + 0.2*rand.Float64() //nolint:gosec // no secret
		if err := wait(ctx, time.Duration(float64(apart)*spread)); err != nil {
			return err
		}
	}
	if err := t.finished(ctx); err != nil {
		return err
	}
	rows, err := t.pool.Query(ctx, "SELECT flight_id, pg_xact_commit_timestamp(xmin) FROM billed_flights WHERE starts_with(flight_id, 'single')")
	if err != nil {
		return err
	}
	var id string
	var saved time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &saved}, func() error {
		o.latencies = append(o.latencies, milliseconds(sent[id], saved))
		return nil
	})
	return err
}

// count sees whether the work was done: every flight once, with its two charges,
// of the right amount, on a draft of its customer and of its week.
func (t *turn) count(ctx context.Context, o *outcome) error {
	var ledger, charges, wrong, elsewhere, left int
	var total string
	err := t.pool.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM billed_flights), (SELECT count(*) FROM charges), (SELECT sum(amount + tax_amount)::text FROM charges),
			(SELECT count(*) FROM billed_flights b WHERE (SELECT count(*) FROM charges c WHERE c.flight_id = b.flight_id) <> 2),
			(SELECT count(*) FROM charges c JOIN billed_flights b USING (flight_id) JOIN invoices i ON i.id = c.invoice_id
				WHERE i.customer_id <> b.customer_id OR i.closes_on - b.landed_on NOT BETWEEN 1 AND 7 OR i.status <> 'DRAFT')`,
	).Scan(&ledger, &charges, &total, &wrong, &elsewhere)
	if err != nil {
		return err
	}
	if err := t.pool.QueryRow(ctx, t.peer.queue.unfinished()).Scan(&left); err != nil {
		return err
	}
	var cents int
	for _, id := range t.expected {
		cents += billedCents(id)
	}
	should := fmt.Sprintf("%d.%02d", cents/100, cents%100)
	if n := len(t.expected); ledger != n || charges != 2*n || total != should || wrong+elsewhere+left > 0 {
		o.Refused = fmt.Sprintf("%d flights should have %d charges of %s in all: there are %d with %d of %s, %d without their two, %d charges on another's invoice, %d jobs left",
			n, 2*n, should, ledger, charges, total, wrong, elsewhere, left)
	}
	// The peer's sessions have ended, so their statistics are complete.
	return t.pool.QueryRow(ctx, "SELECT sum(n_dead_tup)::float8 / $1 FROM pg_stat_user_tables", ledger).Scan(&o.DeadTuplesPer)
}

// takeCeiling measures what none can pass.
func (c *comparison) takeCeiling(ctx context.Context) (o outcome, err error) {
	pool, drop, err := c.server.database(ctx, "comparison_turn", comparisonSeed, c.settings...)
	if err != nil {
		return o, err
	}
	defer drop()
	if err := settle(ctx, pool); err != nil {
		return o, err
	}
	flights := c.size(fullFlights)
	if c.noPgbench {
		o.FlightsPerSecond, err = insertLoop(ctx, pool, insertTwoCharges, flights)
	} else {
		o.FlightsPerSecond, err = pgbench(ctx, c.server.Database("comparison_turn"), insertTwoCharges, flights)
	}
	return o, err
}
