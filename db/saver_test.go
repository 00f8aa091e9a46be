package db_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/flightbill/flightbill/db"
)

// waitForSaves waits until so many transactions wait for the run lock.
func (b *testBundle) waitForSaves(t *testing.T, waiting int) {
	t.Helper()
	require.Eventually(t, func() bool {
		return get[int](t, b, `SELECT count(*) FROM pg_locks WHERE relation = 'billing_run_lock'::regclass AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) >= waiting
	}, 30*time.Second, time.Millisecond)
}

// saveAll gives all saves to a Saver at once, while another transaction keeps
// the first from ending, so that the others gather.
func (b *testBundle) saveAll(t *testing.T, saver *db.Saver, saves []db.Save) (outcomes []db.Outcome, errs []error) {
	t.Helper()
	holder := b.begin(t)
	_, err := holder.Exec(t.Context(), `LOCK TABLE billing_run_lock IN EXCLUSIVE MODE`)
	require.NoError(t, err)
	outcomes, errs = make([]db.Outcome, len(saves)), make([]error, len(saves))
	var group errgroup.Group
	for i, save := range saves {
		group.Go(func() error {
			outcomes[i], errs[i] = saver.Save(t.Context(), save)
			return nil
		})
		if i == 0 {
			b.waitForSaves(t, 1)
		}
	}
	b.waitForSaves(t, 2) // a group does not wait for another for ever
	require.NoError(t, holder.Rollback(t.Context()))
	require.NoError(t, group.Wait())
	return outcomes, errs
}

func TestSaverSavesTogetherWhatComesTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	const flights = 12
	var saves []db.Save
	for i := range flights {
		id := fmt.Sprintf("F%d", i)
		saves = append(saves, db.Save{Job: b.running(t, id), Bill: b.priced(t, books, id, "WEEK"), At: testNow})
	}
	outcomes, errs := b.saveAll(t, db.NewSaver(open(t, b.url, 15), 5, nil), saves)
	for i := range saves {
		require.NoError(t, errs[i])
		require.Equal(t, db.Billed, outcomes[i])
	}
	require.Equal(t, flights, get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'completed'`))
	require.Equal(t, flights, get[int](t, b, `SELECT count(*) FROM charges`))
	transactions := get[int](t, b, `SELECT count(DISTINCT xmin::text) FROM billed_flights`)
	require.Less(t, transactions, flights/2, "transactions for %d flights", flights)
}

func TestSaverOneOfAGroupFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	var saves []db.Save
	for _, id := range []string{"F0", "F1", "F2", "F3", "F4", "F5"} {
		saves = append(saves, db.Save{Job: b.running(t, id), Bill: b.priced(t, books, id, "EACH"), At: testNow})
	}
	b.exec(t, `UPDATE river_job SET attempt = 2 WHERE args ->> 'flight_id' = 'F3'`)
	_, err := db.SaveFlights(t.Context(), b.pool, saves)
	require.ErrorIs(t, err, db.ErrJobLost)
	require.ErrorContains(t, err, "flight F3", "the error is that of the one that failed")
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM billed_flights`))

	outcomes, errs := b.saveAll(t, db.NewSaver(open(t, b.url, 10), 5, nil), saves)
	for i := range saves {
		if i == 3 {
			require.ErrorIs(t, errs[i], db.ErrJobLost)
			continue
		}
		require.NoError(t, errs[i])
		require.Equal(t, db.Billed, outcomes[i])
	}
	require.Equal(t, "5 EACH-000001 EACH-000005", get[string](t, b, `SELECT concat_ws(' ', count(*), min(number), max(number)) FROM invoices`), "numbers without a gap")
	require.Equal(t, "F3", get[string](t, b, `SELECT string_agg(args ->> 'flight_id', ' ') FROM river_job WHERE state = 'running'`))
}

// One flight in two jobs that come together: one bills it, the next finds it billed.
func TestSaverSameFlightTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	first := b.running(t, "F1")
	second := &db.Job{ID: get[int64](t, b, `INSERT INTO river_job (kind, args, queue, state, attempt, attempted_at, attempted_by, max_attempts)
		SELECT kind, args, queue, state, attempt, attempted_at, attempted_by, max_attempts FROM river_job RETURNING id`), Attempt: 1, Client: "here"}
	bill := b.priced(t, books, "F1", "WEEK")
	other := db.Save{Job: b.running(t, "F2"), Bill: b.priced(t, books, "F2", "WEEK"), At: testNow}
	saves := []db.Save{other, {first, bill, testNow}, {second, bill, testNow}}
	_, err := db.SaveFlights(t.Context(), b.pool, saves)
	require.ErrorContains(t, err, "flight F1 comes twice")
	outcomes, errs := b.saveAll(t, db.NewSaver(open(t, b.url, 5), 32, nil), saves)
	require.NoError(t, errors.Join(errs...))
	outcomes = outcomes[1:]
	require.ElementsMatch(t, []db.Outcome{db.Billed, db.AlreadyBilled}, outcomes)
	require.Equal(t, 2, get[int](t, b, `SELECT count(*) FROM charges`))
	require.Equal(t, 3, get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'completed'`))
}

// Groups of several processes with the same customers, each in an order of its
// own: none waits for another in a circle.
func TestGroupsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	pool := open(t, b.url, 4)
	operators := []string{"EACH", "WEEK", "MON", "HELD"}
	var group errgroup.Group
	for process := range 4 {
		var groups [][]db.Save
		for g := range 10 {
			var saves []db.Save
			for i := range 8 {
				n := (i*3 + process) % 8 // all processes have the same flights
				saves = append(saves, db.Save{Bill: b.priced(t, books, fmt.Sprintf("F%d-%d", g, n), operators[n%len(operators)]), At: testNow})
			}
			groups = append(groups, saves)
		}
		group.Go(func() error {
			for _, saves := range groups {
				if _, err := db.SaveFlights(t.Context(), pool, saves); err != nil {
					return err
				}
			}
			return nil
		})
	}
	assert.NoError(t, group.Wait())
	require.Equal(t, 80, get[int](t, b, `SELECT count(*) FROM billed_flights`))
}
