package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/jobs"
)

// peer is a program, or a setting of it, that bills flights in a comparison.
type peer struct {
	name     string
	label    string
	settings string // what it is set to, and why that is its best
	limited  string // by what, as far as is known
	family   string // flightbill's are compared with the best of the others

	workers   int // or threads, handlers, clients; in all processes
	taken     int // jobs they have taken from the queue at once, where that is more
	processes int
	part      float64 // of the flights: one that is slow would take all the time there is
	polls     time.Duration
	latency   bool            // measured for this one
	slow      []time.Duration // slower Pinots that it is measured with, too

	command command
	queue   queue
}

// delays are those that it is measured with.
func (p peer) delays() []time.Duration {
	if p.family == bound {
		return delays[:1] // it asks nobody
	}
	return append(slices.Clone(delays), p.slow...)
}

const (
	ours  = "flightbill"
	node  = "node"
	plain = "river"
	bound = "ceiling"
)

// command says how to run a peer: a program, its arguments, and variables beside
// DATABASE_URL and those that name the broker.
type command struct {
	kind string // "node", "self" or "flightbill"
	args []string
	env  []string
}

// queue is how flights get into a peer's queue, and out of it.
type queue interface {
	many(ctx context.Context, pool *pgxpool.Pool, tx pgx.Tx, ids []string) error
	single(ctx context.Context, pool *pgxpool.Pool) (func(ctx context.Context, id string) error, error)
	unfinished() string // a statement that counts them
}

// sqlQueue is one that SQL fills: $1 is an array of ids, or one.
type sqlQueue struct{ all, one, left string }

func (q sqlQueue) many(ctx context.Context, _ *pgxpool.Pool, tx pgx.Tx, ids []string) error {
	_, err := tx.Exec(ctx, q.all, ids)
	return err
}

func (q sqlQueue) single(_ context.Context, pool *pgxpool.Pool) (func(context.Context, string) error, error) {
	return func(ctx context.Context, id string) error {
		_, err := pool.Exec(ctx, q.one, id)
		return err
	}, nil
}

func (q sqlQueue) unfinished() string { return q.left }

var (
	flightbillQueue = sqlQueue{
		all:  "SELECT enqueue_flights($1::text[])",
		one:  "INSERT INTO flight_processing_queue (flight_id) VALUES ($1)",
		left: "SELECT count(*) FROM river_job WHERE kind = 'ingest_flight' AND state <> 'completed'",
	}
	polledQueue = sqlQueue{
		all:  "INSERT INTO public.peer_queue (flight_id) SELECT unnest($1::text[])",
		one:  "INSERT INTO public.peer_queue (flight_id) VALUES ($1)",
		left: "SELECT count(*) FROM public.peer_queue",
	}
	// As its documentation has it for SQL, without queue names: those make it slower.
	graphileQueue = sqlQueue{
		all:  "SELECT count(graphile_worker.add_job('bill', json_build_object('flight_id', id))) FROM unnest($1::text[]) AS id",
		one:  "SELECT graphile_worker.add_job('bill', json_build_object('flight_id', $1::text))",
		left: "SELECT count(*) FROM graphile_worker._private_jobs",
	}
	// What its send() and insert() do for a queue with notify.
	pgbossQueue = sqlQueue{
		all:  pgbossInsert("unnest($1::text[])"),
		one:  pgbossInsert("(SELECT $1::text)"),
		left: "SELECT count(*) FROM pgboss.job WHERE name = 'flights' AND state <> 'completed'",
	}
)

func pgbossInsert(ids string) string {
	return fmt.Sprintf(`WITH inserted AS (
		INSERT INTO pgboss.job (name, data) SELECT 'flights', jsonb_build_object('flight_id', id) FROM %s AS f (id) RETURNING 1
	), notified AS (
		SELECT pg_notify('pgboss_' || left(encode(sha224('pgboss'), 'hex'), 24), 'flights') FROM inserted LIMIT 1
	)
	SELECT (SELECT count(*) FROM inserted), (SELECT count(*) FROM notified)`, ids)
}

// peers are all there are, in the order of the table.
func peers() []peer {
	const fiveStatements = "BEGIN, ledger, draft, charges, COMMIT: five round trips, each statement prepared"
	all := []peer{
		{
			name: "pgbench", label: "ceiling: the save's inserts alone", family: bound, workers: workers,
			settings: "`pgbench -M prepared -c 5 -j 2`: one ledger row and two charges on an open draft, in one transaction and one round trip; no queue, no Pinot, no look-up",
			limited:  "Postgres and its client, which share the cores: what no contender can pass that saves flight by flight",
		},
		{
			name: "poll", label: "Node, queue table polled every 30 s", family: node, workers: workers, polls: 30 * time.Second, latency: true,
			settings: "the design that flightbill replaces, at its best: a poll takes all there is, a thread gets its next flight the moment it is done with one, and saves and removes it in one round trip. Throughput counts from when it polls (every 0.5 s here, so as not to wait)",
			limited:  "one flight a thread: a look-up and a save, each a round trip; five V8 heaps; and the wait for the poll",
			command:  command{kind: "node", args: []string{"poll.js"}}, queue: polledQueue,
		},
		{
			name: "graphile", label: "graphile-worker", family: node, workers: workers, latency: true,
			settings: "`concurrentJobs: 5`, otherwise as it comes. The save: " + fiveStatements,
			limited:  "a fetch and a deletion for each job, and the save's round trips",
			command:  command{kind: "node", args: []string{"graphile.js"}}, queue: graphileQueue,
		},
		{
			name: "graphile-batched", label: "graphile-worker, local queue, batched completion", family: node, workers: workers, taken: 100, latency: true,
			settings: "`localQueue: { size: 100 }`: one fetch for 100 jobs; `completeJobBatchDelay: 250`, the value that its documentation recommends. The save as before",
			limited:  "the save's five round trips, on one thread of JavaScript",
			command:  command{kind: "node", args: []string{"graphile.js", "batched"}}, queue: graphileQueue,
		},
		{
			name: "graphile-one", label: "graphile-worker, and one statement per save", family: node, workers: workers, taken: 100, latency: true,
			settings: "the same, the save in one round trip: a function in the database, prepared",
			limited:  "one commit per flight, and one look-up per flight at 5 ms",
			command:  command{kind: "node", args: []string{"graphile.js", "one"}}, queue: graphileQueue,
		},
		{
			name: "pgboss", label: "pg-boss 12", family: node, workers: workers, taken: 250, latency: true,
			settings: "`localConcurrency: 5, batchSize: 50, burstWhenBatchFull: true`, LISTEN/NOTIFY on, `pollingIntervalSeconds: 0.5, notifyPollingIntervalSeconds: 0.5`: five handlers, each takes its 50 one after the other, the more the faster. With `batchSize: 1` a worker sleeps half a second after each job. Each save one round trip, prepared",
			limited:  "one commit per flight, and one look-up per flight at 5 ms",
			command:  command{kind: "node", args: []string{"pgboss.js"}}, queue: pgbossQueue,
		},
		{
			name: "pgboss-batch", label: "pg-boss 12, transactional batch of 20", family: node, workers: workers, taken: 100, latency: true,
			settings: "the same with `transactional: true, batchSize: 20`: 20 saves, in three statements, and the completion of their jobs are one transaction. One failing flight undoes the other 19; larger batches are faster and undo more",
			limited:  "one thread of JavaScript at 0 ms; look-ups one after the other at 5 ms",
			command:  command{kind: "node", args: []string{"pgboss.js", "transactional"}}, queue: pgbossQueue,
		},
		{
			name: "pgboss-joined", label: "pg-boss 12, batches of 50, look-ups joined by hand", family: node, workers: workers, taken: 250,
			settings: "the same with batches of 50, as many as flightbill saves together, each read with one query: the most that could be made of pg-boss. All 250 are in work at once, as are those of flightbill's 5 workers, beside which it stands",
			limited:  "one thread of JavaScript, and batches that wait for their slowest",
			command:  command{kind: "node", args: []string{"pgboss.js", "joined"}}, queue: pgbossQueue,
		},
	}
	for _, cooldown := range []time.Duration{100 * time.Millisecond, time.Millisecond} {
		p := peer{
			name: "river-" + cooldown.String(), label: fmt.Sprintf("River as documented, fetch cooldown %v", cooldown), family: plain, workers: workers, latency: true,
			settings: "`MaxWorkers: 5`, `JobCompleteTx` in the save's transaction: BEGIN, the save as one prepared statement, the completion, COMMIT. Read and priced by flightbill's own packages",
			limited:  "a freed slot stands empty until the next fetch; `JobCompleteTx` is planned anew at each call",
			command:  command{kind: "self", args: []string{plainRiver, cooldown.String()}}, queue: riverQueue{cooldown},
		}
		if cooldown == 100*time.Millisecond {
			p.part = 0.05
			p.limited = "its default: one fetch in 100 ms, five jobs at a time. Given a twentieth of the flights, since all would take minutes"
		}
		all = append(all, p)
	}
	all = append(all,
		flightbill(1, 1, jobs.DefaultBatch),
		flightbill(1, workers, jobs.DefaultBatch, slow, slower, slowest),
		flightbill(1, workers, 1),
		flightbill(1, 50, jobs.DefaultBatch),
		flightbill(2, workers, jobs.DefaultBatch, slow, slower),
		flightbill(4, workers, jobs.DefaultBatch, slow),
	)
	for i := range all {
		all[i].processes = max(1, all[i].processes)
		if all[i].part == 0 {
			all[i].part = 1
		}
	}
	return all
}

// flightbill is so many processes of it, each with so many workers, that go on with so
// many flights together.
func flightbill(processes, each, batch int, slow ...time.Duration) peer {
	p := peer{
		name: fmt.Sprintf("flightbill-%dx%d", processes, each), label: fmt.Sprintf("flightbill, %d workers", each), family: ours,
		workers: processes * each, taken: processes * each * batch, processes: processes, slow: slow,
		latency:  processes == 1 && each == workers && batch > 1,
		settings: fmt.Sprintf("`flightbill serve`, `FLIGHTBILL_WORKERS=%d`, `FLIGHTBILL_BATCH=%d` (flights that a worker reads and saves together while others wait), with its HTTP server, schedules and River UI", each, batch),
		limited:  "its own process and Postgres share this machine's cores; the save checks what the others' does not (cut-off, price book, who holds the job)",
		command: command{kind: ours, args: []string{"serve"}, env: []string{
			"FLIGHTBILL_WORKERS=" + strconv.Itoa(each), "FLIGHTBILL_BATCH=" + strconv.Itoa(batch),
		}}, queue: flightbillQueue,
	}
	switch {
	case processes > 1:
		p.label = fmt.Sprintf("flightbill, %d processes of %d workers", processes, each)
	case batch == 1:
		p.name, p.label, p.taken = p.name+"-batch1", p.label+", one flight at a time", 0
		p.limited = "one transaction and one look-up per flight"
	case each == 1:
		p.label = "flightbill, 1 worker"
		p.limited = "it waits in turns: for Pinot's answer, for its own process, and for Postgres"
	}
	return p
}
