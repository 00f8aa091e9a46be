package db

import (
	"context"
	"fmt"
	"maps"

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
FROM take_flights($1, $2, $3)`

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

// TakeFlights takes the flights next in line, at most so many, for a River client.
func TakeFlights(ctx context.Context, db dbsqlc.DBTX, client string, most int) (Taken, error) {
	rows, err := db.Query(ctx, takeFlights, client, most, nil)
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

	client    string
	insteadOf []int64

	taken Taken
}

// QueryRow asks both. Its row is scanned once both are committed.
func (t *taking) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return scanFunc(func(dest ...any) error {
		batch := &pgx.Batch{}
		batch.Queue(sql, args...).QueryRow(func(row pgx.Row) error { return row.Scan(dest...) })
		batch.Queue(takeFlights, t.client, len(t.insteadOf), t.insteadOf).Query(func(rows pgx.Rows) (err error) {
			t.taken, err = readTaken(rows)
			return err
		})
		return t.SendBatch(ctx, batch).Close()
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
