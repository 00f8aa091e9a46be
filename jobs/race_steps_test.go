package jobs_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// pauseAt keeps whoever fires a trigger waiting in it until release is called.
// An event "… DEFERRED" is the end of the transaction: all is done, nothing
// committed.
func (b *testBundle) pauseAt(t *testing.T, event string) (release func()) {
	t.Helper()
	b.exec(t, `CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$`)
	b.exec(t, event+` FOR EACH ROW EXECUTE FUNCTION pause()`)
	tx := b.begin(t, `SELECT pg_advisory_xact_lock(1)`)
	return func() { require.NoError(t, tx.Rollback(context.Background())) }
}

func (b *testBundle) waitForPause(t *testing.T) {
	t.Helper()
	b.waitFor(t, "the pause is reached", 1, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
}

// A save is held at each of its steps while the run of its period comes: the
// run waits, and issues what was saved.
func TestRunMeetsASaveAtEachStep(t *testing.T) {
	t.Parallel()
	const week = "WEEK 2026-03-08 EUR PENDING WEEK-000001 170.40 2026-04-07 F1"
	const each = "EACH EUR PENDING EACH-000001 170.40 2026-03-22 F1"
	for name, c := range map[string]struct{ customer, event, want string }{
		"ledger":                   {"WEEK", `CREATE TRIGGER pause BEFORE INSERT ON billed_flights`, week},
		"draft":                    {"WEEK", `CREATE TRIGGER pause BEFORE INSERT ON invoices`, week},
		"charge":                   {"WEEK", `CREATE TRIGGER pause BEFORE INSERT ON charges`, week},
		"job":                      {"WEEK", `CREATE TRIGGER pause BEFORE UPDATE ON river_job`, week},
		"commit":                   {"WEEK", `CREATE CONSTRAINT TRIGGER pause AFTER INSERT ON charges INITIALLY DEFERRED`, week},
		"number of a flight's own": {"EACH", `CREATE TRIGGER pause BEFORE UPDATE OF invoice_seq ON customers`, each},
		"issue of a flight's own":  {"EACH", `CREATE TRIGGER pause BEFORE UPDATE ON invoices`, each},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.run(t, march(7))
			b.flight(t, "F1", c.customer, landed(4, 9))
			b.clock.Set(landed(8, 1))
			source := b.blockingSource()
			b.start(t, source.use)
			b.enqueue(t, "F1")
			require.Equal(t, "F1", <-source.entered)
			release := b.pauseAt(t, c.event)
			close(source.let)
			b.waitForPause(t)

			run := inBackground(func() ([]jobs.RunResult, error) {
				return b.consolidator().Run(context.Background(), march(8), db.ByHand, nil)
			})
			b.waitForRunLock(t, 1, "ExclusiveLock")
			requireUnanswered(t, run, "the run did not wait for the save")
			require.Zero(t, get[int](t, b, `SELECT count(*) FROM billing_runs WHERE closes_on = '2026-03-08'`))
			release()
			require.NoError(t, (<-run).err)
			require.Equal(t, c.want, b.invoices(t))
			require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM billed_flights`))
			b.requireSound(t)
		})
	}
}

// A run is held at each of its steps while a flight of its period comes. Until
// the cut-off is out the flight waits; from then on it does not. It is late
// either way, and the run issues the rest.
func TestSaveMeetsARunAtEachStep(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		event string
		waits bool
	}{
		"cut-off":           {`CREATE TRIGGER pause BEFORE INSERT ON billing_runs`, true},
		"commit of that":    {`CREATE CONSTRAINT TRIGGER pause AFTER INSERT ON billing_runs INITIALLY DEFERRED`, true},
		"numbers":           {`CREATE TRIGGER pause BEFORE UPDATE OF invoice_seq ON customers`, false},
		"issue":             {`CREATE TRIGGER pause BEFORE UPDATE OF status ON invoices`, false},
		"commit of a chunk": {`CREATE CONSTRAINT TRIGGER pause AFTER UPDATE ON invoices INITIALLY DEFERRED`, false},
		"counts":            {`CREATE TRIGGER pause BEFORE UPDATE OF invoices ON billing_runs`, false},
		"end":               {`CREATE TRIGGER pause BEFORE UPDATE OF finished_at ON billing_runs`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.run(t, march(7))
			b.billed(t, "F1", "WEEK", landed(4, 9))
			b.flight(t, "F2", "WEEK", landed(4, 10))
			b.clock.Set(landed(8, 1))
			release := b.pauseAt(t, c.event)
			run := inBackground(func() ([]jobs.RunResult, error) {
				return b.consolidator().Run(context.Background(), march(8), db.ByHand, nil)
			})
			b.waitForPause(t)
			b.start(t)
			b.enqueue(t, "F2")
			billed := func() bool { return get[int](t, b, `SELECT count(*) FROM billed_flights WHERE flight_id = 'F2'`) == 1 }
			if c.waits {
				b.waitForRunLock(t, 1, "RowShareLock")
				require.False(t, billed())
			} else {
				eventually(t, "the flight is billed beside the run", billed)
			}
			requireUnanswered(t, run, "the run was not held")
			release()
			require.NoError(t, (<-run).err)
			eventually(t, "the flight is billed", billed)
			require.Equal(t, 1, get[int](t, b, `SELECT attempt FROM river_job`), "priced again, without an attempt")
			require.Equal(t, "WEEK 2026-03-08 EUR PENDING WEEK-000001 170.40 2026-04-07 F1\nWEEK 2026-03-15 EUR DRAFT F2(late)", b.invoices(t))
			b.requireSound(t)
		})
	}
}
