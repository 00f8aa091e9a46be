package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

func utc(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04:05", s)
	require.NoError(t, err)
	return at
}

// record is what billing_runs says of the runs begun at an instant or later: what
// ran, when it was due, how late it began, what it did.
func (b *testBundle) record(t *testing.T, from time.Time) string {
	t.Helper()
	return get[string](t, b, `SELECT coalesce(string_agg(concat_ws(' ', to_char(run_date, 'MM-DD'), to_char(closes_on, 'MM-DD'),
		to_char(due_at AT TIME ZONE 'UTC', 'DD HH24:MI'), started_at - due_at, invoices || '/' || charges), E'\n' ORDER BY closes_on), '')
		FROM billing_runs WHERE trigger = 'schedule' AND finished_at IS NOT NULL AND started_at >= $1`, from)
}

// unfinishedRunJobs counts the jobs of consolidated runs that are still to be done.
func (b *testBundle) unfinishedRunJobs(t *testing.T) int {
	t.Helper()
	return get[int](t, b, `SELECT count(*) FROM river_job WHERE kind = 'consolidate_invoices' AND state NOT IN ('completed', 'cancelled', 'discarded')`)
}

// upAt has a service do what is due at an instant, and stop.
func (b *testBundle) upAt(t *testing.T, now time.Time) {
	t.Helper()
	b.clock.Set(now)
	markers := b.markers(t)
	service := b.startWithMarker(t, schedules(jobs.WorkSchedules))
	eventually(t, "it leads", func() bool { return b.markers(t) > markers })
	eventually(t, "what is due is done", func() bool { return b.unfinishedRunJobs(t) == 0 })
	require.NoError(t, service.Stop(t.Context()))
}

// No process was up for a while. What was missed is made up at the next start,
// each closing date with its own cut-off: flights that were enqueued meanwhile
// are on the invoice of their own period.
func TestMissedRuns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		zone     string
		close    billing.CloseMode
		start    billing.Date // first run date
		down, up string
		flights  string // customer and landing
		record   string
		invoices string
	}{
		"one closing date": {
			down: "2026-03-07 12:00:00", up: "2026-03-08 10:00:00",
			flights:  "WEEK 2026-03-07 23:59:59, WEEK 2026-03-08 00:00:00",
			record:   "03-08 03-08 08 01:00 09:00:00 1/1",
			invoices: "WEEK 2026-03-08 EUR PENDING WEEK-000001 170.40 2026-04-07 F0\nWEEK 2026-03-15 EUR DRAFT F1",
		},
		"several": {
			down: "2026-03-13 12:00:00", up: "2026-03-23 00:30:00",
			flights: "WEEK 2026-03-14 09:00:00, WEEK 2026-03-21 09:00:00, WEEK 2026-03-22 09:00:00",
			record: `03-14 03-14 14 01:00 8 days 23:30:00 0/0
03-15 03-15 15 01:00 7 days 23:30:00 1/1
03-16 03-16 16 01:00 6 days 23:30:00 0/0
03-17 03-17 17 01:00 5 days 23:30:00 0/0
03-18 03-18 18 01:00 4 days 23:30:00 0/0
03-19 03-19 19 01:00 3 days 23:30:00 0/0
03-20 03-20 20 01:00 2 days 23:30:00 0/0
03-21 03-21 21 01:00 1 day 23:30:00 0/0
03-22 03-22 22 01:00 23:30:00 1/1`,
			invoices: `WEEK 2026-03-15 EUR PENDING WEEK-000001 170.40 2026-04-22 F0
WEEK 2026-03-22 EUR PENDING WEEK-000002 170.40 2026-04-22 F1
WEEK 2026-03-29 EUR DRAFT F2`,
		},
		"month end": {
			down: "2026-03-30 12:00:00", up: "2026-04-01 01:00:01",
			flights:  "MON 2026-03-30 23:00:00, MON 2026-03-31 00:00:00",
			record:   "03-31 03-31 31 01:00 1 day 00:00:01 1/1\n04-01 04-01 01 01:00 00:00:01 0/0",
			invoices: "MON 2026-03-31 EUR PENDING MON-000001 170.40 2026-05-01 F0\nMON 2026-04-30 EUR DRAFT F1",
		},
		"month end, next_day": {
			close: billing.NextDay, down: "2026-03-31 12:00:00", up: "2026-04-02 10:00:00",
			flights:  "MON 2026-03-31 23:59:59, MON 2026-04-01 00:00:00",
			record:   "04-01 03-31 01 01:00 1 day 09:00:00 1/1\n04-02 04-01 02 01:00 09:00:00 0/0",
			invoices: "MON 2026-03-31 EUR PENDING MON-000001 170.40 2026-05-02 F0\nMON 2026-04-30 EUR DRAFT F1",
		},
		"01:00 is skipped": { // 28 March 2027 goes from 00:59:59 GMT to 02:00 BST
			zone: "Europe/London", start: billing.NewDate(2027, 3, 26), down: "2027-03-27 12:00:00", up: "2027-03-29 10:00:00",
			flights:  "WEEK 2027-03-27 23:30:00, WEEK 2027-03-28 23:30:00, MON 2027-03-30 22:59:59, MON 2027-03-30 23:00:00",
			record:   "03-28 03-28 28 01:00 1 day 09:00:00 1/1\n03-29 03-29 29 00:00 10:00:00 0/0",
			invoices: "WEEK 2027-03-28 EUR PENDING WEEK-000001 170.40 2027-04-28 F0\nWEEK 2027-04-04 EUR DRAFT F1",
		},
		"before the 01:00 that is skipped": {
			zone: "Europe/London", start: billing.NewDate(2027, 3, 26), down: "2027-03-27 12:00:00", up: "2027-03-28 00:59:58",
			flights:  "WEEK 2027-03-27 23:30:00",
			invoices: "WEEK 2027-03-28 EUR DRAFT F0",
		},
		"01:00 comes twice, up at the first": { // 31 October 2027: 01:00 BST is 00:00 UTC, 01:00 GMT an hour later
			zone: "Europe/London", start: billing.NewDate(2027, 10, 29), down: "2027-10-30 12:00:00", up: "2027-10-31 00:00:01",
			flights:  "WEEK 2027-10-30 22:59:59, MON 2027-10-30 22:59:59, WEEK 2027-10-30 23:00:00",
			record:   "10-31 10-31 31 00:00 00:00:01 2/2",
			invoices: "MON 2027-10-31 EUR PENDING MON-000001 170.40 2027-11-30 F1\nWEEK 2027-10-31 EUR PENDING WEEK-000001 170.40 2027-11-30 F0\nWEEK 2027-11-07 EUR DRAFT F2",
		},
		"01:00 came twice": { // down from before the first to after the second of the next day
			zone: "Europe/London", start: billing.NewDate(2027, 10, 29), down: "2027-10-30 12:00:00", up: "2027-11-01 01:00:00",
			flights:  "WEEK 2027-10-30 22:59:59",
			record:   "10-31 10-31 31 00:00 1 day 01:00:00 1/1\n11-01 11-01 01 01:00 00:00:00 0/0",
			invoices: "WEEK 2027-10-31 EUR PENDING WEEK-000001 170.40 2027-12-01 F0",
		},
		"a day that never was": { // Samoa went from 29 to 31 December 2011; the 30th runs in between
			zone: "Pacific/Apia", start: billing.NewDate(2011, 12, 27), down: "2011-12-29 12:00:00", up: "2011-12-31 11:00:01",
			flights: "MON 2011-12-30 09:59:59, MON 2011-12-30 10:00:00",
			record: `12-30 12-30 30 10:00 1 day 01:00:01 0/0
12-31 12-31 30 11:00 1 day 00:00:01 1/1
01-01 01-01 31 11:00 00:00:01 0/0`,
			invoices: "MON 2011-12-31 EUR PENDING MON-000001 170.40 2012-01-31 F0\nMON 2012-01-31 EUR DRAFT F1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if c.start.Before(billing.NewDate(2026, 3, 3)) && !c.start.IsZero() { // nothing moves the start back: begin anew
				b.exec(t, `DELETE FROM billing_settings; ALTER TABLE billing_runs DISABLE TRIGGER ALL; DELETE FROM billing_runs; ALTER TABLE billing_runs ENABLE TRIGGER ALL`)
				b.exec(t, `UPDATE tariffs SET valid_from = '2000-01-01'`)
			}
			_, _, err := db.ChangeSettings(t.Context(), b.owner, db.Settings{Timezone: c.zone, Close: c.close, BillingStart: c.start}, db.Settings{}, b.clock.Now())
			require.NoError(t, err)

			b.upAt(t, utc(t, c.down))
			up := utc(t, c.up)
			for i, line := range strings.Split(c.flights, ", ") {
				id := "F" + string(rune('0'+i))
				customer, landed, _ := strings.Cut(line, " ")
				b.flight(t, id, customer, utc(t, landed))
				if !utc(t, landed).After(up) {
					b.enqueue(t, id)
				}
			}
			b.upAt(t, up)
			require.Equal(t, c.record, b.record(t, up))
			require.Equal(t, c.invoices, b.invoices(t))
			require.Equal(t, 1, get[int](t, b, `SELECT count(DISTINCT started_at >= due_at) FROM billing_runs WHERE trigger = 'schedule'`), "no run began before its time")

			b.upAt(t, up)
			require.Equal(t, c.record, b.record(t, up), "another start finds nothing to do")
			require.Equal(t, c.invoices, b.invoices(t))
			b.requireSound(t)
		})
	}
}

// The clock is set back, from after a run to before it, and days behind it. Nothing
// is run again, what is saved is late, and the next run comes in its turn.
func TestMissedRunsAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.upAt(t, landed(8, 1))
	issued := "WEEK 2026-03-08 EUR PENDING WEEK-000001 170.40 2026-04-07 W1"
	require.Equal(t, issued, b.invoices(t))
	record := b.record(t, time.Time{})

	for i, now := range []time.Time{landed(8, 0), landed(7, 23), landed(5, 12), landed(1, 12)} {
		b.upAt(t, now)
		require.Equal(t, record, b.record(t, time.Time{}), "at %s", now)
		require.Equal(t, issued, b.invoices(t), "at %s", now)
		if i == 2 {
			b.billed(t, "W2", "WEEK", landed(5, 11)) // its own date is still to come by this clock, and has been run
			issued += "\nWEEK 2026-03-15 EUR DRAFT W2(late)"
		}
	}
	b.upAt(t, landed(9, 1))
	require.Equal(t, record+"\n03-09 03-09 09 01:00 00:00:00 0/0", b.record(t, time.Time{}))
	b.upAt(t, landed(15, 1))
	require.Equal(t, strings.Replace(issued, "DRAFT", "PENDING WEEK-000002 170.40 2026-04-14", 1), b.invoices(t))
	b.requireSound(t)
}

// Days pass under a service that stays up: each date is run as its time comes.
func TestMissedRunsNoneWhileUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.start(t, schedules(jobs.WorkSchedules), func(c *jobs.Config) { c.LookEvery = 20 * time.Millisecond })
	for day := 5; day <= 9; day++ {
		b.clock.Set(landed(day, 1).Add(-500 * time.Millisecond)) // the leader asks a second early, and the run waits
		b.waitFor(t, "the run waits for its time", 1, `SELECT count(*) FROM river_job WHERE args ->> 'run_date' = $1 AND metadata ? 'snoozes'`, march(day).String())
		require.Zero(t, get[int](t, b, `SELECT count(*) FROM billing_runs WHERE run_date = $1`, march(day)))
		b.clock.Set(landed(day, 1))
		b.waitFor(t, "the run of the day is done", 1, `SELECT count(*) FROM billing_runs WHERE run_date = $1 AND finished_at IS NOT NULL`, march(day))
	}
	require.Equal(t, "00:00:00", get[string](t, b, `SELECT max(started_at - due_at)::text FROM billing_runs WHERE run_date >= '2026-03-05'`))
	require.Contains(t, b.invoices(t), "WEEK 2026-03-08 EUR PENDING WEEK-000001 170.40 2026-04-07 W1")
	b.requireSound(t)
}

// The leader was killed at 01:00:00, wherever in the run that was: another process
// takes the run up once River has rescued the job, and does it once.
func TestMissedRunsLeaderKilledInTheRun(t *testing.T) {
	t.Parallel()
	back := landed(8, 1).Add(40 * time.Second)
	for name, c := range map[string]struct {
		left  string
		now   time.Time
		dueOn string
	}{
		"job inserted":  {`INSERT INTO river_job (kind, args, queue, max_attempts, state) VALUES ('consolidate_invoices', '{"run_date": "2026-03-08"}', 'schedules', 1000, 'available')`, back, "2026-04-07"},
		"job in hand":   {deadRun, back, "2026-04-07"},
		"cut-off moved": {deadRun + deadCutoff, back, "2026-04-07"},
		"before the end": {deadRun + deadCutoff + `; SELECT count(*) FROM issue_drafts((SELECT array_agg(id) FROM invoices WHERE closes_on = '2026-03-08'), '2026-03-08 01:00:00+00', '2026-03-08');
			UPDATE billing_runs SET invoices = 1, charges = 1 WHERE closes_on = '2026-03-08'`, back, "2026-04-07"},
		"cut-off moved, job lost, clock set back": {deadCutoff, landed(7, 23), "2026-04-06"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.billed(t, "W1", "WEEK", landed(4, 9))
			b.run(t, march(7))
			b.exec(t, c.left)
			b.clock.Set(c.now)
			b.start(t, schedules(jobs.WorkSchedules), func(c *jobs.Config) { c.LookEvery = 50 * time.Millisecond })
			eventually(t, "the run is done", func() bool { return b.runs(t) != "" && strings.HasSuffix(b.runs(t), "2026-03-08 schedule") })
			eventually(t, "its job too", func() bool { return b.unfinishedRunJobs(t) == 0 })
			require.Equal(t, "WEEK 2026-03-08 EUR PENDING WEEK-000001 170.40 "+c.dueOn+" W1", b.invoices(t))
			require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM invoice_events WHERE to_status = 'PENDING'`))
			b.requireSound(t)
		})
	}
}

const (
	// deadRun is the run's job in the hands of a client that no longer lives; as
	// long ago as River waits before it rescues.
	deadRun = `INSERT INTO river_job (kind, args, queue, max_attempts, state, attempt, attempted_by, attempted_at)
		VALUES ('consolidate_invoices', '{"run_date": "2026-03-08"}', 'schedules', 1000, 'running', 1, '{dead}', now() - interval '40 seconds');`
	deadCutoff = `INSERT INTO billing_runs (closes_on, run_date, due_at, trigger, started_at)
		VALUES ('2026-03-08', '2026-03-08', '2026-03-08 01:00:00+00', 'schedule', '2026-03-08 01:00:00+00')`
)
