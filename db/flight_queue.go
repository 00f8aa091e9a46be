package db

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/rivertype"
)

// FlightQueue is the queue of flights as the workers of one process go along it.
type FlightQueue struct {
	pool    *pgxpool.Pool
	cursor  cursor
	promise promise
}

// NewFlightQueue returns the queue on a database.
func NewFlightQueue(pool *pgxpool.Pool) *FlightQueue { return &FlightQueue{pool: pool} }

// Job names one attempt at a River job: the fence of what is written for it.
type Job struct {
	ID          int64
	Attempt     int
	Client      string // the River client that works this attempt
	AttemptedAt time.Time
}

// JobOf returns the attempt that a row is of.
func JobOf(row *rivertype.JobRow) Job {
	job := Job{ID: row.ID, Attempt: row.Attempt}
	if n := len(row.AttemptedBy); n > 0 {
		job.Client = row.AttemptedBy[n-1]
	}
	if row.AttemptedAt != nil {
		job.AttemptedAt = *row.AttemptedAt
	}
	return job
}

// End is what an attempt came to that no save completes.
type End struct {
	Job         Job
	State       rivertype.JobState
	ScheduledAt time.Time               // zero: as it was
	Spent       bool                    // whether the attempt counts
	Error       *rivertype.AttemptError // to be added, or nil
	Metadata    map[string]any          // to be merged, or nil
}

// Turn is what a worker has done with at once, in one transaction and one round trip:
// saves, other ends, and the claim of flights to go on with.
type Turn struct {
	Client string
	Saves  []Save
	Ends   []End
	Claim  int  // how many flights to claim at most
	Wake   bool // has a River client look at the queue
}

// Turned is what came of a Turn.
type Turned struct {
	Outcomes []Outcome           // of each save
	Ended    map[int64]bool      // jobs whose end was written; the others are locked, or in other hands
	Claimed  []*rivertype.JobRow // without their unique keys and tags
}

// Each of these is sent alone or behind others, hence no query of dbsqlc.
const (
	noWait  = `SELECT set_config('synchronous_commit', 'off', true)` // what a crash takes back is done again
	endJobs = `SELECT flightbill.end_flight_jobs($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	claim   = `SELECT id, attempt, attempted_at, attempted_by, created_at, args, errors, kind, max_attempts, metadata, priority, queue, scheduled_at, state::text
FROM flightbill.claim_flights($1, $2, $3, $4)`
	wake          = `SELECT pg_notify('flightbill.river_insert', '{"queue": "flights"}')`
	promiseToLook = `SELECT flightbill.promise_to_look($1, $2)`
	withdraw      = `SELECT flightbill.withdraw_promise($1)`
)

// Take takes a turn. With an error nothing of it is done; what a broken connection
// leaves open, the fence of each attempt decides. Where there is nothing to claim any
// more, and notices have been left out, it looks once more without that.
func (q *FlightQueue) Take(ctx context.Context, t Turn) (Turned, error) {
	turned := Turned{Ended: map[int64]bool{}}
	batch := beginBatch()
	if len(t.Saves) > 0 {
		if err := queueSave(batch, t.Saves, &turned.Outcomes); err != nil {
			return Turned{}, err
		}
	} else {
		batch.Queue(noWait)
	}
	if len(t.Ends) > 0 {
		if err := queueEnds(batch, t.Client, t.Ends, turned.Ended); err != nil {
			return Turned{}, err
		}
	}
	behind := q.cursor.next()
	if t.Claim > 0 {
		batch.Queue(claim, t.Client, t.Claim, behind.dues(), behind.ids()).Query(func(rows pgx.Rows) (err error) {
			turned.Claimed, err = readClaimed(rows)
			return err
		})
	}
	promised := t.Claim > 0 && q.promise.due()
	if promised {
		batch.Queue(promiseToLook, t.Client, promiseTime.Seconds())
	}
	if t.Wake {
		batch.Queue(wake)
	}
	if err := q.pool.SendBatch(ctx, batch).Close(); err != nil {
		return Turned{}, turnError(t, err)
	}
	if t.Claim == 0 {
		return turned, nil
	}
	q.cursor.claimed(behind, turned.Claimed, t.Claim)
	if len(turned.Claimed) == 0 && q.promise.ends(promised) {
		if err := q.Withdraw(ctx, t.Client); err != nil {
			return turned, nil //nolint:nilerr // it lapses, and River polls
		}
		again, _ := q.Take(ctx, Turn{Client: t.Client, Claim: t.Claim})
		turned.Claimed = again.Claimed
		return turned, nil // its own turn is done, whatever became of this one
	}
	if len(turned.Claimed) > 0 {
		q.promise.busy()
	}
	return turned, nil
}

// Busy reports whether the looks at the queue have been finding flights.
func (q *FlightQueue) Busy() bool { return q.promise.isBusy() }

// Withdraw has notices of new flights sent again.
func (q *FlightQueue) Withdraw(ctx context.Context, client string) error {
	if _, err := q.pool.Exec(ctx, withdraw, client); err != nil {
		return fmt.Errorf("withdraw the promise to look at the queue: %w", err)
	}
	return nil
}

func turnError(t Turn, err error) error {
	switch {
	case len(t.Saves) > 0:
		return saveError(t.Saves, err)
	case len(t.Ends) > 0:
		return fmt.Errorf("write what %d flights came to: %w", len(t.Ends), err)
	default:
		return fmt.Errorf("claim flights: %w", err)
	}
}

func queueEnds(batch *pgx.Batch, client string, ends []End, ended map[int64]bool) error {
	n := len(ends)
	ids, attempts, attemptedAt := make([]int64, n), make([]int16, n), make([]time.Time, n)
	states, scheduledAt, spent := make([]string, n), make([]*time.Time, n), make([]bool, n)
	failures, metadata := make([][]byte, n), make([][]byte, n)
	for i, end := range ends {
		ids[i], attempts[i], attemptedAt[i] = end.Job.ID, int16(end.Job.Attempt), end.Job.AttemptedAt //nolint:gosec // River's column is a smallint
		states[i], spent[i] = string(end.State), end.Spent
		if !end.ScheduledAt.IsZero() {
			scheduledAt[i] = &end.ScheduledAt
		}
		var err error
		if end.Error != nil {
			if failures[i], err = json.Marshal(end.Error); err != nil {
				return fmt.Errorf("encode the error of job %d: %w", end.Job.ID, err)
			}
		}
		if end.Metadata != nil {
			if metadata[i], err = json.Marshal(end.Metadata); err != nil {
				return fmt.Errorf("encode the metadata of job %d: %w", end.Job.ID, err)
			}
		}
	}
	batch.Queue(endJobs, client, ids, attempts, attemptedAt, states, scheduledAt, spent, failures, metadata).QueryRow(func(row pgx.Row) error {
		var written []int64
		err := row.Scan(&written)
		for _, id := range written {
			ended[id] = true
		}
		return err
	})
	return nil
}

// readClaimed reads jobs as River reads them, but that an error which is not as River
// writes it does not fail the attempt: it counts as one of an unknown time.
func readClaimed(rows pgx.Rows) (claimed []*rivertype.JobRow, err error) {
	for rows.Next() {
		job := &rivertype.JobRow{}
		var failures [][]byte
		if err := rows.Scan(&job.ID, &job.Attempt, &job.AttemptedAt, &job.AttemptedBy, &job.CreatedAt, &job.EncodedArgs, &failures, &job.Kind, &job.MaxAttempts,
			&job.Metadata, &job.Priority, &job.Queue, &job.ScheduledAt, &job.State); err != nil {
			return nil, err
		}
		job.Errors = make([]rivertype.AttemptError, len(failures))
		for i, failure := range failures {
			_ = json.Unmarshal(failure, &job.Errors[i])
		}
		claimed = append(claimed, job)
	}
	return claimed, rows.Err()
}
