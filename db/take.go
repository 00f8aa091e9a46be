package db

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"github.com/flightbill/flightbill/db/dbsqlc"
)

// takeFlights stands here since it is sent in two ways: alone, and at the end of
// a batch of saves. The unique key of a job is nothing to its worker.
const takeFlights = `
SELECT id, attempt, attempted_at, attempted_by, created_at, args, errors, finalized_at, kind, max_attempts,
	metadata, priority, queue, scheduled_at, state::text, tags
FROM flightbill.take_flights($1, $2, $3, $4, $5, $6, $7)`

// Taken are jobs that this process has in hand, as River has them.
type Taken struct {
	Jobs []*rivertype.JobRow
	// Unreadable are those among them whose errors River cannot read.
	Unreadable map[int64]error
}

// Add adds others.
func (t *Taken) Add(others Taken) {
	t.Jobs = append(t.Jobs, others.Jobs...)
	if t.Unreadable == nil {
		t.Unreadable = map[int64]error{}
	}
	maps.Copy(t.Unreadable, others.Unreadable)
}

// Cut removes the first of them, at most so many, and returns them.
func (t *Taken) Cut(most int) Taken {
	n := min(most, len(t.Jobs))
	first := Taken{Jobs: t.Jobs[:n:n], Unreadable: map[int64]error{}}
	t.Jobs = t.Jobs[n:]
	for _, job := range first.Jobs {
		if err, unreadable := t.Unreadable[job.ID]; unreadable {
			first.Unreadable[job.ID] = err
			delete(t.Unreadable, job.ID)
		}
	}
	return first
}

// Line is the queue as a process goes along it. Flights that were taken leave their
// places in the index until Postgres vacuums it, later still where somebody has a
// transaction open for long. So those next in line are looked for behind the last
// one that was taken; and once in a while, and whenever fewer are found than
// wanted, from the front: one that was put back, is due again or has a higher
// priority waits there. In between, those that this process has read come first:
// another may be reading what stands ahead of them.
type Line struct {
	// Read returns jobs whose flights have been read, the next in line first, at most
	// so many, each once; nil for a process that does not read ahead.
	Read func(most int) []int64

	mu        sync.Mutex
	reached   Place
	round     int       // how often it went back to the front: a take of an earlier one moves it no more
	wentRound time.Time // when it last did
}

// Place is that of a job in the order in which jobs are taken. The zero Place is
// before all.
type Place struct {
	Priority int16
	Due      time.Time
	ID       int64
}

// RoundTime is how long what waits at the front may be passed over.
const RoundTime = time.Second

// goOn returns behind which place to take flights now, which of them first, and in
// which round.
func (l *Line) goOn(most int) (place Place, read []int64, round int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.wentRound) > RoundTime {
		l.toFront()
	}
	if l.Read != nil && l.reached != (Place{}) {
		read = l.Read(most)
	}
	return l.reached, read, l.round
}

// toFront begins a round. The caller holds mu.
func (l *Line) toFront() {
	l.reached, l.wentRound = Place{}, time.Now()
	l.round++
}

// took is told what was taken in a round, and how many were wanted.
func (l *Line) took(round int, taken Taken, wanted int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if round != l.round {
		return
	}
	if len(taken.Jobs) < wanted {
		l.toFront()
		return
	}
	for _, job := range taken.Jobs {
		if place := placeOf(job); place.Compare(l.reached) > 0 {
			l.reached = place
		}
	}
}

func placeOf(job *rivertype.JobRow) Place {
	return Place{int16(job.Priority), job.ScheduledAt, job.ID} //nolint:gosec // River's column is a smallint
}

// Compare is negative for the one that is taken first.
func (p Place) Compare(other Place) int {
	return cmp.Or(cmp.Compare(p.Priority, other.Priority), p.Due.Compare(other.Due), cmp.Compare(p.ID, other.ID))
}

// Take takes the flights next in line, at most so many, for a River client.
func (l *Line) Take(ctx context.Context, db dbsqlc.DBTX, client string, most int) (taken Taken, err error) {
	for len(taken.Jobs) < most && err == nil {
		missing := most - len(taken.Jobs)
		place, read, round := l.goOn(missing)
		var more Taken
		more, err = takeBehind(ctx, db, client, missing, place, read)
		l.took(round, more, missing)
		taken.Add(more)
		if place == (Place{}) {
			break
		}
	}
	if len(taken.Jobs) > 0 {
		err = nil // what has been taken is worked
	}
	return taken, err
}

func takeBehind(ctx context.Context, db dbsqlc.DBTX, client string, most int, place Place, read []int64) (Taken, error) {
	rows, err := db.Query(ctx, takeFlights, client, most, nil, place.Priority, place.Due, place.ID, read)
	if err != nil {
		return Taken{}, fmt.Errorf("take flights from the queue: %w", err)
	}
	return readTaken(rows)
}

// ReturnFlights puts back, as they were, flights that were taken and not begun.
func ReturnFlights(ctx context.Context, db dbsqlc.DBTX, taken Taken) error {
	if len(taken.Jobs) == 0 {
		return nil
	}
	ids := make([]int64, len(taken.Jobs))
	for i, job := range taken.Jobs {
		ids[i] = job.ID
	}
	by := taken.Jobs[0].AttemptedBy
	if err := dbsqlc.New(db).QueueReturn(ctx, dbsqlc.QueueReturnParams{Ids: ids, Client: by[len(by)-1]}); err != nil {
		return fmt.Errorf("put %d flights back into the queue: %w", len(ids), err)
	}
	return nil
}

// taking adds to a query that completes jobs the taking of others in their place,
// in the same round trip and transaction.
type taking struct {
	*pgxpool.Pool

	line      *Line
	client    string
	insteadOf []int64

	taken Taken
}

// QueryRow asks both. Its row is scanned once both are committed.
func (t *taking) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return scanFunc(func(dest ...any) error {
		batch := &pgx.Batch{}
		batch.Queue(sql, args...).QueryRow(func(row pgx.Row) error { return row.Scan(dest...) })
		place, read, round := t.line.goOn(len(t.insteadOf))
		batch.Queue(takeFlights, t.client, len(t.insteadOf), t.insteadOf, place.Priority, place.Due, place.ID, read).Query(func(rows pgx.Rows) (err error) {
			t.taken, err = readTaken(rows)
			return err
		})
		err := t.SendBatch(ctx, batch).Close()
		if err == nil {
			t.line.took(round, t.taken, len(t.insteadOf))
		}
		return err
	})
}

type scanFunc func(dest ...any) error

func (f scanFunc) Scan(dest ...any) error { return f(dest...) }

func readTaken(rows pgx.Rows) (Taken, error) {
	taken := Taken{Unreadable: map[int64]error{}}
	var (
		job      rivertype.JobRow
		failures [][]byte
		state    string
		args     []byte
	)
	_, err := pgx.ForEachRow(rows, []any{
		&job.ID, &job.Attempt, &job.AttemptedAt, &job.AttemptedBy, &job.CreatedAt, &args, &failures, &job.FinalizedAt, &job.Kind, &job.MaxAttempts,
		&job.Metadata, &job.Priority, &job.Queue, &job.ScheduledAt, &state, &job.Tags,
	}, func() error {
		row := job
		row.EncodedArgs, row.State = args, rivertype.JobState(state)
		row.Errors = make([]rivertype.AttemptError, len(failures))
		for i, failure := range failures {
			if err := riverdriver.UnmarshalAttemptError(failure, &row.Errors[i]); err != nil {
				taken.Unreadable[row.ID] = fmt.Errorf("error unmarshaling `errors`: %w", err)
				row.Errors = nil
				break
			}
		}
		taken.Jobs = append(taken.Jobs, &row)
		job, failures, args = rivertype.JobRow{}, nil, nil
		return nil
	})
	if err != nil {
		return Taken{}, fmt.Errorf("take flights from the queue: %w", err)
	}
	return taken, nil
}
