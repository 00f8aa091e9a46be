package db_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
)

const (
	voidToRebill = `SELECT void_invoice('EACH-000001', 'why', true)`
	// marked lists the unfinished jobs that bill again, and whether they do.
	marked = `SELECT string_agg(concat_ws(' ', flight_id, j.state, j.metadata - 'enqueued_by'), ', ') FROM flight_processing_queue q JOIN river_job j ON j.id = job_id`
)

// An invoice is voided, its flight to be billed again, while a job of that flight
// comes to its end as billed already: the flight is not left without a job.
func TestVoidWithRebillMeetsAJobThatEnds(t *testing.T) {
	t.Parallel()
	billedAndRunning := func(t *testing.T, unique bool) (*testBundle, *db.Job, db.Bill) {
		t.Helper()
		b := setup(t)
		books := db.NewPriceBooks(b.pool)
		if unique {
			b.enqueue(t, "F2")
		} else {
			b.raw(t, "F2")
		}
		b.setState(t, "F2", "running")
		b.save(t, nil, b.priced(t, books, "F2", "EACH"), db.Billed)
		// A save for a customer who is billed per flight would wait for the void.
		return b, b.job(t, "F2"), b.priced(t, books, "F2", "WEEK")
	}
	for name, unique := range map[string]bool{"whose job has the unique key": true, "whose job has none": false} {
		t.Run("void before a save "+name, func(t *testing.T) {
			t.Parallel()
			b, job, bill := billedAndRunning(t, unique)
			void := b.begin(t, `SELECT FROM river_job FOR UPDATE`)
			// It has read the ledger, and waits for its job.
			save := meanwhile(t, b, func() (db.Outcome, error) { return saveFlight(t.Context(), b.pool, job, bill, testNow) })
			_, err := void.Exec(t.Context(), voidToRebill)
			require.NoError(t, err)
			require.NoError(t, void.Commit(t.Context()))
			outcome, err := save()
			require.NoError(t, err)
			require.Equal(t, db.AlreadyBilled, outcome)
			require.Equal(t, `F2 available {"billed_before": true}`, get[string](t, b, marked))
		})
	}
	t.Run("void after a save", func(t *testing.T) {
		t.Parallel()
		b, job, bill := billedAndRunning(t, true)
		save := b.begin(t)
		requireSave(t, save, job, bill, db.AlreadyBilled)
		void := b.execMeanwhile(t, voidToRebill)
		require.NoError(t, save.Commit(t.Context()))
		_, err := void()
		require.NoError(t, err)
		require.Equal(t, `F2 available {"billed_before": true}`, get[string](t, b, marked))
	})
	t.Run("the job has yet to begin", func(t *testing.T) {
		t.Parallel()
		b, _, _ := billedAndRunning(t, true)
		b.exec(t, `UPDATE river_job SET state = 'available', attempt = 0`)
		void := b.begin(t, voidToRebill)
		b.requireNoneToTake(t)
		require.NoError(t, void.Commit(t.Context()))
		require.Equal(t, `F2 available {"billed_before": true}`, get[string](t, b, marked))
	})
	t.Run("a job comes meanwhile", func(t *testing.T) {
		t.Parallel()
		b, _, _ := billedAndRunning(t, true)
		b.exec(t, `DELETE FROM river_job`)
		client := b.begin(t, `INSERT INTO river_job (kind, args, queue, max_attempts, unique_key, unique_states)
			VALUES ('ingest_flight', '{"flight_id": "F2"}', 'flights', 25, flight_job_key('F2'), flight_job_unique_states())`)
		void := b.begin(t)
		voided := meanwhile(t, b, func() (pgconn.CommandTag, error) { return void.Exec(t.Context(), voidToRebill) })
		require.NoError(t, client.Commit(t.Context()))
		_, err := voided()
		require.NoError(t, err)
		b.requireNoneToTake(t)
		require.NoError(t, void.Commit(t.Context()))
		require.Equal(t, `F2 available {"billed_before": true}`, get[string](t, b, marked))
	})
}

// requireNoneToTake checks that no worker can have a flight now.
func (b *testBundle) requireNoneToTake(t *testing.T) {
	t.Helper()
	turned, err := db.NewFlightQueue(b.pool).Take(t.Context(), db.Turn{Client: "there", Claim: 5})
	require.NoError(t, err)
	require.Empty(t, turned.Claimed)
}

// A save that bills nothing clears nothing away, not even a job without a flight.
func TestSaveOfVoidedFlightClearsNoJobs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	bill := b.priced(t, db.NewPriceBooks(b.pool), "F1", "EACH")
	b.save(t, nil, bill, db.Billed)
	b.exec(t, `SELECT void_invoice('EACH-000001', 'why')`)
	b.raw(t, "")
	b.save(t, nil, bill, db.Voided)
	require.Equal(t, " available 0 1", b.queue(t))
}

// Flights are asked for anew, for another payer, while one of them is being billed again:
// the one waits for the other, and not in a circle.
func TestRebillMeetsAFlightThatIsRebilled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.save(t, nil, b.priced(t, db.NewPriceBooks(b.pool), "F1", "EACH"), db.Billed)
	b.exec(t, voidToRebill)
	worker := b.begin(t, `UPDATE billed_flights SET revision = revision + 1`) // as adjust_flight begins
	clerk := b.execMeanwhile(t, `SELECT rebill_invoice('EACH-000001', 'register')`)
	_, err := worker.Exec(t.Context(), `UPDATE voided_flights SET rebilled_at = now()`)
	require.NoError(t, err)
	require.NoError(t, worker.Commit(t.Context()))
	_, err = clerk()
	requireSQLError(t, err, "55000", "the flights of invoice EACH-000001 have been sent to be billed again already")
}
