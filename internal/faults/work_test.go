package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
)

// operation is something that an application or a clerk does.
type operation struct {
	name   string
	weight int
	do     func(ctx context.Context, w *worker) error
}

// appOperations are what applications do with the queue.
var appOperations = []operation{
	{"INSERT of one flight", 6, func(ctx context.Context, w *worker) error { return w.enqueueNew(ctx, 1, insertOne) }},
	{"INSERT … SELECT", 4, func(ctx context.Context, w *worker) error { return w.enqueueNew(ctx, 2+w.r.IntN(30), insertMany) }},
	{"enqueue_flights", 4, func(ctx context.Context, w *worker) error { return w.enqueueNew(ctx, 2+w.r.IntN(40), enqueueFlights) }},
	{"INSERT for later", 2, func(ctx context.Context, w *worker) error { return w.enqueueNew(ctx, 1+w.r.IntN(5), insertLater) }},
	{"transaction rolled back", 3, rollBack},
	{"savepoint rolled back", 2, rollBackHalf},
	{"flights enqueued again", 5, enqueueAgain},
	{"flight taken back", 5, takeBack},
	{"facts put right", 3, mend},
}

// riverOperations are what those do besides who may write River's own tables.
var riverOperations = []operation{
	{"plain INSERT into river_job", 3, func(ctx context.Context, w *worker) error { return w.enqueueNew(ctx, 1+w.r.IntN(3), insertPlain) }},
	{"River's Go client", 4, func(ctx context.Context, w *worker) error { return w.enqueueNew(ctx, 1+w.r.IntN(5), insertByRiver) }},
}

// worker does operations, one after the other. Its flights are its own: what happens to one of them has an order.
type worker struct {
	h    *harness
	name string
	db   *pgxpool.Pool // of its login
	does []operation
	ways []way // to enqueue
	r    *rand.Rand
	own  []string // flights it has enqueued, or tried to
}

// newWorker is somebody who works by a login.
func (h *harness) newWorker(name, login string) *worker {
	w := &worker{h: h, name: name, db: h.pools[login], r: rand.New(rand.NewPCG(h.seed, 300))}
	switch logins[login] {
	case "accountant":
		w.does = clerkOperations
	case "enqueuer":
		w.does, w.ways = appOperations, queueWays
	case "enqueuer server":
		w.does, w.ways = slices.Concat(appOperations, riverOperations), slices.Concat(queueWays, riverWays)
	}
	return w
}

// work does operations at random until the context ends.
func (w *worker) work(ctx context.Context, stream uint64, pause time.Duration) {
	h := w.h
	choices := rand.New(rand.NewPCG(h.seed, stream))
	for ctx.Err() == nil {
		o := weighted(choices, w.does, func(o operation) int { return o.weight })
		w.r = rand.New(rand.NewPCG(choices.Uint64(), 0)) // however often it draws, the next operation is the same
		wait := time.Duration(choices.Int64N(int64(pause)))
		// What has begun is finished: its outcome must be known.
		switch err := o.do(context.WithoutCancel(ctx), w); {
		case errors.Is(err, errNothingToDo):
		case err != nil:
			h.count(h.failed, o.name)
			fmt.Fprintf(h.log, "%7.1fs  %s: %s: %v\n", time.Since(h.began).Seconds(), w.name, o.name, err)
		default:
			h.count(h.done, o.name)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func weighted[T any](r *rand.Rand, all []T, weight func(T) int) T {
	total := 0
	for _, one := range all {
		total += weight(one)
	}
	n := r.IntN(total)
	for _, one := range all {
		if n -= weight(one); n < 0 {
			return one
		}
	}
	panic("no weight")
}

var (
	errNothingToDo = errors.New("nothing to do")
	errRollBack    = errors.New("rolled back on purpose")
)

// transact does something in a transaction, and knows its outcome.
func (w *worker) transact(ctx context.Context, do func(tx pgx.Tx) error) error {
	h := w.h
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	token := h.tokens.Add(1)
	var committing bool
	err := pgx.BeginFunc(ctx, w.db, func(tx pgx.Tx) error {
		// Held until the transaction has ended on the server, whatever becomes of the connection.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, token); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO witness.transactions VALUES ($1)`, token); err != nil {
			return err
		}
		err := do(tx)
		committing = err == nil
		return err
	})
	switch {
	case err == nil:
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ended = append(h.ended, token)
		return nil
	case !committing:
		return err
	}
	for began := time.Now(); ; time.Sleep(500 * time.Millisecond) {
		var committed bool
		_, lookErr := h.admin.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_xact_lock($1)`, token)
		if lookErr == nil {
			lookErr = h.admin.QueryRow(context.WithoutCancel(ctx), `SELECT EXISTS (SELECT FROM witness.transactions WHERE token = $1)`, token).Scan(&committed)
		}
		switch {
		case lookErr == nil && committed:
			return nil
		case lookErr == nil:
			return err
		case time.Since(began) > 5*time.Minute:
			h.t.Errorf("the outcome of a transaction is not known: %v", lookErr)
			return err
		}
	}
}

// way is a way to enqueue flights.
type way func(ctx context.Context, w *worker, tx pgx.Tx, ids []string) error

var (
	queueWays = []way{insertOne, insertMany, enqueueFlights, insertLater}
	riverWays = []way{insertPlain, insertByRiver}
)

func insertOne(ctx context.Context, _ *worker, tx pgx.Tx, ids []string) error {
	for _, id := range ids {
		if _, err := tx.Exec(ctx, `INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ($1)`, id); err != nil {
			return err
		}
	}
	return nil
}

func insertMany(ctx context.Context, _ *worker, tx pgx.Tx, ids []string) error {
	_, err := tx.Exec(ctx, `INSERT INTO flightbill.flight_processing_queue (flight_id) SELECT unnest($1::text[])`, ids)
	return err
}

func enqueueFlights(ctx context.Context, w *worker, tx pgx.Tx, ids []string) error {
	_, err := tx.Exec(ctx, `SELECT FROM flightbill.enqueue_flights($1, $2)`, ids, 1+w.r.IntN(4))
	return err
}

func insertLater(ctx context.Context, w *worker, tx pgx.Tx, ids []string) error {
	_, err := tx.Exec(ctx, `INSERT INTO flightbill.flight_processing_queue (flight_id, priority, process_after) SELECT unnest($1::text[]), $2, now() + make_interval(secs => $3)`,
		ids, 1+w.r.IntN(4), 15*w.r.Float64())
	return err
}

// insertPlain is what clients do that know nothing of uniqueness, nor of flightbill's queue.
func insertPlain(ctx context.Context, w *worker, tx pgx.Tx, ids []string) error {
	_, err := tx.Exec(ctx, `INSERT INTO flightbill.river_job (kind, args, queue, max_attempts) SELECT 'ingest_flight', jsonb_build_object('flight_id', id), $2, 25 FROM unnest($1::text[]) AS id`,
		ids, pick(w.r, []string{"flights", "default"}))
	return err
}

type ingestFlight struct {
	FlightID string `json:"flight_id"`
}

func (ingestFlight) Kind() string { return "ingest_flight" }

func insertByRiver(ctx context.Context, w *worker, tx pgx.Tx, ids []string) error {
	var params []river.InsertManyParams
	for _, id := range ids {
		params = append(params, river.InsertManyParams{Args: ingestFlight{id}, InsertOpts: &river.InsertOpts{Queue: "flights", MaxAttempts: 25, UniqueOpts: river.UniqueOpts{ByArgs: true}}})
	}
	_, err := w.h.river.InsertManyTx(ctx, tx, params)
	return err
}

// enqueue enqueues flights, and has that witnessed.
func (w *worker) enqueue(ctx context.Context, tx pgx.Tx, ids []string, by way) error {
	if _, err := tx.Exec(ctx, `INSERT INTO witness.asked (flight_id) SELECT unnest($1::text[])`, ids); err != nil {
		return err
	}
	return by(ctx, w, tx, ids)
}

// newFlights makes flights that have landed lately, or some time ago.
func (w *worker) newFlights(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%05d", w.name, len(w.own))
		w.own = append(w.own, ids[i])
		back := time.Duration(w.r.Int64N(int64(8 * 24 * time.Hour)))
		if w.r.IntN(20) == 0 {
			back *= 6
		}
		w.h.flights.add(ids[i], w.h.progress().Add(-back).Truncate(time.Second))
	}
	return ids
}

func (w *worker) writeFacts(ctx context.Context, tx pgx.Tx, ids []string) error {
	for _, id := range ids {
		f, _ := w.h.flights.get(id)
		if err := w.h.flights.write(ctx, tx, id, f); err != nil {
			return err
		}
	}
	return nil
}

// enqueueNew does what applications do that have just stored flights: both in one transaction.
func (w *worker) enqueueNew(ctx context.Context, n int, by way) error {
	ids := w.newFlights(n)
	return w.transact(ctx, func(tx pgx.Tx) error {
		if err := w.writeFacts(ctx, tx, ids); err != nil {
			return err
		}
		return w.enqueue(ctx, tx, ids, by)
	})
}

func rollBack(ctx context.Context, w *worker) error {
	ids := w.newFlights(1 + w.r.IntN(20))
	err := w.transact(ctx, func(tx pgx.Tx) error {
		if err := w.writeFacts(ctx, tx, ids); err != nil {
			return err
		}
		if err := w.enqueue(ctx, tx, ids, pick(w.r, w.ways)); err != nil {
			return err
		}
		return errRollBack
	})
	if errors.Is(err, errRollBack) {
		return nil
	}
	return err
}

func rollBackHalf(ctx context.Context, w *worker) error {
	kept, dropped := w.newFlights(1+w.r.IntN(5)), w.newFlights(1+w.r.IntN(5))
	return w.transact(ctx, func(tx pgx.Tx) error {
		if err := w.writeFacts(ctx, tx, slices.Concat(kept, dropped)); err != nil {
			return err
		}
		if err := w.enqueue(ctx, tx, kept, pick(w.r, w.ways)); err != nil {
			return err
		}
		err := pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error {
			if err := w.enqueue(ctx, inner, dropped, pick(w.r, w.ways)); err != nil {
				return err
			}
			return errRollBack
		})
		if errors.Is(err, errRollBack) {
			return nil
		}
		return err
	})
}

// enqueueAgain enqueues flights that are queued, billed, voided, taken back or unknown.
func enqueueAgain(ctx context.Context, w *worker) error {
	if len(w.own) == 0 {
		return errNothingToDo
	}
	ids := make([]string, 1+w.r.IntN(10))
	for i := range ids {
		ids[i] = pick(w.r, w.own[max(0, len(w.own)-200):])
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return w.transact(ctx, func(tx pgx.Tx) error {
		if err := w.writeFacts(ctx, tx, ids); err != nil {
			return err
		}
		return w.enqueue(ctx, tx, ids, pick(w.r, w.ways))
	})
}

// takeBack takes a flight back, which counts where nothing of it is left in the queue.
func takeBack(ctx context.Context, w *worker) error {
	if len(w.own) == 0 {
		return errNothingToDo
	}
	id := pick(w.r, w.own[max(0, len(w.own)-20):])
	return w.transact(ctx, func(tx pgx.Tx) error {
		taken, err := tx.Exec(ctx, `DELETE FROM flightbill.flight_processing_queue WHERE flight_id = $1`, id)
		if err != nil || taken.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO witness.asked (flight_id, taken) SELECT $1, true WHERE NOT EXISTS (SELECT FROM flightbill.flight_processing_queue WHERE flight_id = $1)`, id)
		return err
	})
}

// mend puts right the facts of a flight that could not be billed, and enqueues it again.
func mend(ctx context.Context, w *worker) error {
	var refused []string
	for _, id := range w.own {
		if f, _ := w.h.flights.get(id); f.refused() != "" {
			refused = append(refused, id)
		}
	}
	if len(refused) == 0 {
		return errNothingToDo
	}
	id := pick(w.r, refused)
	if _, err := w.h.flights.change(ctx, w.db, id); err != nil {
		return err
	}
	return w.transact(ctx, func(tx pgx.Tx) error { return w.enqueue(ctx, tx, []string{id}, pick(w.r, w.ways)) })
}
