package jobs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// oneFaulty adds drafts that close on 8 March, as manyDrafts does, of which that of customer
// D0007 cannot be issued. All runs before are done.
func (b *testBundle) oneFaulty(t *testing.T, drafts int) {
	t.Helper()
	b.manyDrafts(t, drafts, march(8))
	b.exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no tax number'; END $$;
		CREATE TRIGGER refuse BEFORE UPDATE ON invoices FOR EACH ROW WHEN (NEW.status = 'PENDING' AND NEW.number LIKE 'D0007-%') EXECUTE FUNCTION refuse()`)
	b.run(t, march(7))
}

// chunkJobs counts the chunks' jobs by state.
func (b *testBundle) chunkJobs(t *testing.T) string {
	t.Helper()
	return get[string](t, b, `SELECT coalesce(string_agg(state || ' ' || n, ', ' ORDER BY state::text), '')
		FROM (SELECT state, count(*) AS n FROM river_job WHERE kind = 'issue_invoices' GROUP BY state) AS counts`)
}

// requireAllButOne checks that of so many drafts of the test's customers one is
// parked and all others were issued once.
func (b *testBundle) requireAllButOne(t *testing.T, drafts int) {
	t.Helper()
	require.Equal(t, drafts-1, get[int](t, b, `SELECT count(*) FROM invoices WHERE status = 'PENDING'`))
	require.Equal(t, drafts-1, get[int](t, b, `SELECT count(*) FROM invoice_events e JOIN invoices i ON i.id = invoice_id WHERE to_status = 'PENDING' AND kind = 'consolidated'`), "each was issued once")
	require.Equal(t, drafts-1, get[int](t, b, `SELECT sum(invoice_seq)::int FROM customers`))
	require.Equal(t, []int{drafts - 1, 3 * (drafts - 1), 1}, get[[]int](t, b,
		`SELECT ARRAY[sum(invoices), sum(charges), sum(parked)]::int[] FROM billing_runs WHERE closes_on = '2026-03-08' AND finished_at IS NOT NULL`))
	require.Equal(t, "D0007", get[string](t, b, `SELECT string_agg(code, ' ') FROM invoices i JOIN customers u ON u.id = customer_id WHERE parked_at IS NOT NULL`))
}

// A run of more than one chunk is worked by all processes at once, holds up
// nothing else, and shows in River UI what it could not issue.
func TestLargeRunIsShared(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const drafts = 3_900
	b.oneFaulty(t, drafts)
	b.issued(t, "PENDING", march(2), "OLD")
	b.clock.Set(landed(8, 1))
	chunks := b.begin(t, `LOCK TABLE customers IN EXCLUSIVE MODE`) // every chunk waits for this

	pool := jobs.OpenPool(t, b.pool.Config().ConnString())
	b.start(t, schedules(jobs.WorkSchedules))
	b.start(t, schedules(jobs.WorkSchedules), func(c *jobs.Config) { c.Pool, c.Source = pool, db.NewFlights(pool) })
	eventually(t, "both are at work", func() bool { return b.chunkJobs(t) == "running 4" })
	require.Equal(t, 2, get[int](t, b, `SELECT count(DISTINCT attempted_by) FROM river_job WHERE kind = 'issue_invoices'`))
	eventually(t, "the hourly run is not held up", func() bool { return b.overdue(t) == "OLD" })
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM billing_runs WHERE closes_on > '2026-03-08'`), "no later date is begun")
	byHand := inBackground(func() ([]jobs.RunResult, error) {
		return b.consolidator().Run(context.Background(), march(8), db.ByHand, nil)
	})
	require.NoError(t, chunks.Rollback(t.Context()))

	require.NoError(t, (<-byHand).err)
	b.exec(t, `SELECT mark_invoice_paid('OLD')`)
	b.requireAllButOne(t, drafts)
	eventually(t, "all jobs are done", func() bool {
		return b.runJobs(t) == "2026-03-08 completed 1" && b.chunkJobs(t) == "completed 4"
	})
	b.requireAllButOne(t, drafts)
}

func TestLargeRunShowsWhatItParked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const drafts = 2_100
	b.oneFaulty(t, drafts)
	b.clock.Set(landed(8, 1))
	b.start(t, schedules(jobs.WorkSchedules))
	eventually(t, "the run is done", func() bool { return b.runJobs(t) == "2026-03-08 completed 1" })
	b.requireAllButOne(t, drafts)
	type output struct {
		Invoices int64            `json:"invoices"`
		Runs     []jobs.RunResult `json:"runs"`
		Parked   []db.Parked      `json:"parked"`
	}
	outputs := get[[]output](t, b, `SELECT jsonb_agg(metadata -> 'output' ORDER BY id) FROM river_job WHERE kind IN ('issue_invoices', 'consolidate_invoices')`)
	require.Len(t, outputs, 4, "the daily job and three chunks")
	require.EqualValues(t, drafts-1, outputs[0].Runs[0].Invoices)
	require.EqualValues(t, drafts-1, outputs[1].Invoices+outputs[2].Invoices+outputs[3].Invoices)
	require.Len(t, outputs[0].Parked, 1)
	require.Equal(t, "D0007", outputs[0].Parked[0].Customer)
	require.Contains(t, outputs[0].Parked[0].Reason, "no tax number")
	require.Equal(t, outputs[0].Parked, append(append(outputs[1].Parked, outputs[2].Parked...), outputs[3].Parked...))

	results := b.run(t, march(9))
	require.Equal(t, []int64{0, 1}, []int64{results[0].Invoices, results[0].Parked}, "as long as it is wrong, it stays parked")
	b.exec(t, `DROP TRIGGER refuse ON invoices`)
	results = b.run(t, march(10))
	require.Equal(t, []int64{1, 0}, []int64{results[0].Invoices, results[0].Parked}, "put right, the next run issues it, though nothing closes that day")
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM invoices WHERE num_nonnulls(parked_at, parked_reason) > 0`))
	b.requireSound(t)
}

// Chunk jobs that were deleted, cancelled or given up leave no draft behind.
func TestLargeRunLosesChunks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const drafts = 3_900
	b.oneFaulty(t, drafts)
	service := b.start(t, schedules(jobs.WorkSchedules))
	require.NoError(t, service.Client().QueuePause(t.Context(), jobs.IssuingQueue, nil))
	b.clock.Set(landed(8, 1))
	_, err := service.Client().Insert(t.Context(), jobs.ConsolidateInvoicesArgs{RunDate: march(8)}, nil)
	require.NoError(t, err)
	eventually(t, "the chunks are handed out", func() bool { return b.chunkJobs(t) == "available 4" })
	b.exec(t, `DELETE FROM river_job WHERE id = (SELECT min(id) FROM river_job WHERE kind = 'issue_invoices')`)
	b.exec(t, `UPDATE river_job SET state = 'cancelled', finalized_at = now() WHERE id = (SELECT min(id) FROM river_job WHERE kind = 'issue_invoices')`)
	b.exec(t, `UPDATE river_job SET state = 'discarded', finalized_at = now() WHERE id = (SELECT max(id) FROM river_job WHERE kind = 'issue_invoices')`)
	require.NoError(t, service.Client().QueueResume(t.Context(), jobs.IssuingQueue, nil))
	eventually(t, "the run is done", func() bool { return b.runJobs(t) == "2026-03-08 completed 1" })
	// The run issues itself what is left of the chunks that were lost; another attempt at
	// it hands that out anew, as two chunks or three.
	require.Regexp(t, `^cancelled 1, completed [134], discarded 1$`, b.chunkJobs(t))
	b.requireAllButOne(t, drafts)
}

// cutTracer cancels a context just before the nth statement of a pool.
type cutTracer struct {
	left   int
	cancel context.CancelFunc
}

func (c *cutTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if c.left--; c.left == 0 {
		c.cancel()
	}
	return ctx
}

func (c *cutTracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Cut off before each of its statements in turn, a run repeats nothing and skips
// nothing, be it one process's or a chunk's job.
func TestRunCutOffAnywhere(t *testing.T) {
	t.Parallel()
	for name, work := range map[string]func(context.Context, *jobs.Consolidator, *testBundle) error{
		"run": func(ctx context.Context, c *jobs.Consolidator, _ *testBundle) error {
			_, err := c.Run(ctx, march(8), db.BySchedule, nil)
			return err
		},
		"chunk": func(ctx context.Context, c *jobs.Consolidator, b *testBundle) error {
			job := &river.Job[jobs.IssueInvoicesArgs]{
				JobRow: &rivertype.JobRow{Metadata: []byte("{}")}, Args: jobs.IssueInvoicesArgs{ClosesOn: march(8), FirstCustomer: 1, LastCustomer: 1000},
			}
			return (&jobs.IssueInvoices{Consolidator: c, Stats: b.stats}).Work(ctx, job)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			const drafts = 12
			b.oneFaulty(t, drafts)
			book, err := db.NewPriceBooks(b.pool).Current(t.Context())
			require.NoError(t, err)
			if name == "chunk" {
				_, err := db.BeginRun(t.Context(), b.pool, book.Calendar, march(8), db.BySchedule, b.clock.Now())
				require.NoError(t, err)
			}
			config := b.pool.Config()
			tracer := &cutTracer{cancel: func() {}}
			config.ConnConfig.Tracer = tracer
			pool, err := pgxpool.NewWithConfig(t.Context(), config)
			require.NoError(t, err)
			t.Cleanup(pool.Close)
			for cut := 1; ; cut++ {
				require.Less(t, cut, 1000, "it never gets through")
				ctx, cancel := context.WithCancel(t.Context())
				tracer.left, tracer.cancel = cut, cancel
				err := work(ctx, &jobs.Consolidator{Pool: pool, Books: db.NewPriceBooks(pool), Now: b.clock.Now, Logger: b.logger}, b)
				cancel()
				require.Equal(t, get[int](t, b, `SELECT sum(invoices)::int FROM billing_runs`),
					get[int](t, b, `SELECT count(*) FROM invoices WHERE status = 'PENDING'`), "cut before statement %d: the record and the invoices", cut)
				if err == nil && tracer.left > 0 {
					break
				}
			}
			b.run(t, march(8))
			b.requireAllButOne(t, drafts)
		})
	}
}

// A run is not begun while an earlier one is not finished, whoever asks.
func TestRunWaitsForTheOneBefore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	book, err := db.NewPriceBooks(b.pool).Current(t.Context())
	require.NoError(t, err)
	for _, step := range []struct {
		day  int
		want bool
	}{{3, true}, {3, false}, {4, false}} {
		began, err := db.BeginRun(t.Context(), b.pool, book.Calendar, march(step.day), db.ByHand, b.clock.Now())
		require.NoError(t, err)
		require.Equal(t, step.want, began, "%s", march(step.day))
	}
	b.run(t, march(4))
	require.Equal(t, 2, get[int](t, b, `SELECT count(*) FROM billing_runs WHERE finished_at IS NOT NULL AND trigger = 'manual'`))
}

// A draft that becomes due while the run is being finished keeps it open.
func TestRunIsNotFinishedWithADraftLeft(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.run(t, march(7))
	book, err := db.NewPriceBooks(b.pool).Current(t.Context())
	require.NoError(t, err)
	_, err = db.BeginRun(t.Context(), b.pool, book.Calendar, march(8), db.ByHand, b.clock.Now())
	require.NoError(t, err)
	run, unfinished, err := db.UnfinishedRun(t.Context(), b.pool, march(8))
	require.NoError(t, err)
	require.True(t, unfinished)
	row, left, err := db.FinishRun(t.Context(), b.pool, run, b.clock.Now())
	require.NoError(t, err)
	require.True(t, left)
	require.Nil(t, row)
	b.exec(t, `UPDATE customers SET billing_hold = true WHERE code = 'WEEK'`)
	row, left, err = db.FinishRun(t.Context(), b.pool, run, b.clock.Now())
	require.NoError(t, err)
	require.False(t, left)
	require.EqualValues(t, 1, row.Held)
	// What becomes due after the run is for the next one, and not counted here.
	b.exec(t, `UPDATE customers SET billing_hold = false`)
	issued, done, err := db.IssueChunk(t.Context(), b.pool, run, &db.Cursor{}, 10, b.clock.Now(), march(8))
	require.NoError(t, err)
	require.True(t, done)
	require.Zero(t, issued.Invoices)
	require.Equal(t, "WEEK 2026-03-08 EUR DRAFT W1", b.invoices(t))
	require.EqualValues(t, 1, b.run(t, march(9))[0].Invoices)
}

// The first run after a hold issues each kept period by itself, and each kept
// flight of a per-flight customer.
func TestLiftedHoldIssuesEachPeriod(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE customers SET billing_hold = true WHERE code IN ('WEEK', 'MON')`)
	for i, day := range []int{4, 10, 17} {
		b.billed(t, fmt.Sprintf("W%d", i), "WEEK", landed(day, 9))
		b.billed(t, fmt.Sprintf("H%d", i), "HELD", landed(day, 9))
	}
	b.billed(t, "M0", "MON", landed(4, 9))
	b.clock.Set(time.Date(2026, 4, 1, 10, 0, 0, 0, time.UTC))
	results := b.run(t, march(31))
	require.EqualValues(t, 7, results[len(results)-1].Held)
	before := b.invoices(t)
	require.NotContains(t, before, "PENDING")
	require.Equal(t, 4, get[int](t, b, `SELECT count(*) FROM billing_calendar WHERE status = 'held' AND closes_on <= '2026-03-31'`))

	b.exec(t, `UPDATE customers SET billing_hold = false`)
	require.Equal(t, before, b.invoices(t))
	require.Equal(t, 4, get[int](t, b, `SELECT count(*) FROM billing_calendar WHERE status = 'due' AND closes_on <= '2026-03-31'`), "the next run issues them")
	results = b.run(t, march(31).AddDays(1))
	require.Equal(t, []int64{7, 0}, []int64{results[0].Invoices, results[0].Held})
	require.Equal(t, `HELD EUR PENDING HELD-000001 170.40 2026-04-15 H0
HELD EUR PENDING HELD-000002 170.40 2026-04-15 H1
HELD EUR PENDING HELD-000003 170.40 2026-04-15 H2
MON 2026-03-31 EUR PENDING MON-000001 170.40 2026-05-01 M0
WEEK 2026-03-08 EUR PENDING WEEK-000001 170.40 2026-05-01 W0
WEEK 2026-03-15 EUR PENDING WEEK-000002 170.40 2026-05-01 W1
WEEK 2026-03-22 EUR PENDING WEEK-000003 170.40 2026-05-01 W2`, b.invoices(t))
}
