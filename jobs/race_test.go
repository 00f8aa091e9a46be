package jobs_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// begin opens a transaction and does statements in it. It is rolled back with the test
// where it is still open.
func (b *testBundle) begin(t *testing.T, statements ...string) pgx.Tx {
	t.Helper()
	tx, err := b.owner.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	for _, sql := range statements {
		_, err := tx.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	return tx
}

// waitForRunLock waits until so many sessions of the test's database wait for
// the run lock.
func (b *testBundle) waitForRunLock(t *testing.T, waiting int, mode string) {
	t.Helper()
	b.waitFor(t, "the run lock is waited for", waiting, `SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = $1
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND relation = 'billing_run_lock'::regclass`, mode)
}

type answer[T any] struct {
	value T
	err   error
}

// inBackground calls f and hands its answer over.
func inBackground[T any](f func() (T, error)) <-chan answer[T] {
	done := make(chan answer[T], 1)
	go func() {
		value, err := f()
		done <- answer[T]{value, err}
	}()
	return done
}

func requireUnanswered[T any](t *testing.T, done <-chan answer[T], what string) {
	t.Helper()
	select {
	case a := <-done:
		require.Failf(t, "did not wait", "%s: %v %v", what, a.value, a.err)
	default:
	}
}

// A customer is put on hold while a run is about to issue its draft.
func TestRunWaitsForAHold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.billed(t, "H1", "HELD", landed(4, 9))
	b.run(t, march(7))
	hold := b.begin(t, `UPDATE customers SET billing_hold = true WHERE code = 'WEEK'`)
	run := inBackground(func() ([]jobs.RunResult, error) {
		return b.consolidator().Run(context.Background(), march(8), db.ByHand, nil)
	})
	b.waitFor(t, "the run waits for the customer", 1, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	requireUnanswered(t, run, "the run did not wait")
	require.NoError(t, hold.Commit(t.Context()))
	require.Equal(t, answer[[]jobs.RunResult]{[]jobs.RunResult{{ClosesOn: march(8), RunDate: march(8), Held: 2}}, nil}, <-run)
	require.Equal(t, "HELD EUR DRAFT H1\nWEEK 2026-03-08 EUR DRAFT W1", b.invoices(t))
}
