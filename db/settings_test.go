package db_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

const (
	settingsRow = `SELECT concat_ws(' ', timezone, close, billing_start) FROM billing_settings`
	runRows     = `SELECT coalesce(string_agg(concat_ws(' ', closes_on, run_date, trigger, finished_at IS NOT NULL), ', ' ORDER BY closes_on), '') FROM billing_runs`
)

// setupUnstarted has the tables, but nothing in them.
func setupUnstarted(t *testing.T) *testBundle {
	t.Helper()
	url := dbtest.URL(t)
	return &testBundle{url: url, pool: open(t, url, 8)}
}

func TestSettingsFirstStart(t *testing.T) {
	t.Parallel()
	// 23:30 in UTC is the next day in Dublin's summer.
	now := time.Date(2026, 7, 1, 23, 30, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		given          db.Settings
		settings, runs string
	}{
		"defaults": {db.Settings{}, "UTC period_end 2026-07-01", "2026-06-30 2026-06-30 start t"},
		"zone":     {db.Settings{Timezone: "Europe/Dublin"}, "Europe/Dublin period_end 2026-07-02", "2026-07-01 2026-07-01 start t"},
		"next day": {db.Settings{Close: billing.NextDay}, "UTC next_day 2026-07-01", "2026-06-29 2026-06-30 start t"},
		"history":  {db.Settings{BillingStart: billing.NewDate(2013, 1, 1)}, "UTC period_end 2013-01-01", "2012-12-31 2012-12-31 start t"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupUnstarted(t)
			calendar, err := db.EnsureSettings(t.Context(), b.pool, test.given, now)
			require.NoError(t, err)
			require.Equal(t, test.settings, get[string](t, b, settingsRow))
			require.Equal(t, test.runs, get[string](t, b, runRows))
			require.Equal(t, test.settings, calendar.Location.String()+" "+string(calendar.Close)+" "+calendar.Start.String())

			// Every later start, whatever the day, and whether given nothing or the same.
			for _, given := range []db.Settings{{}, test.given, {Timezone: calendar.Location.String(), Close: calendar.Close, BillingStart: calendar.Start}} {
				again, err := db.EnsureSettings(t.Context(), b.pool, given, now.AddDate(1, 0, 0))
				require.NoError(t, err)
				require.Equal(t, calendar.Start, again.Start)
			}
			require.Equal(t, test.settings, get[string](t, b, settingsRow))
			require.Equal(t, test.runs, get[string](t, b, runRows))
		})
	}
}

func TestSettingsDiffer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for variable, given := range map[string]db.Settings{
		"FLIGHTBILL_TIMEZONE is Europe/Dublin here and UTC in the database": {Timezone: "Europe/Dublin"},
		"FLIGHTBILL_CLOSE is next_day here and period_end in the database":  {Close: billing.NextDay},
		"FLIGHTBILL_BILLING_START is 2026-03-04 here and 2026-03-03 in the database": {
			Timezone: "UTC", Close: billing.PeriodEnd, BillingStart: billing.NewDate(2026, 3, 4),
		},
	} {
		_, err := db.EnsureSettings(t.Context(), b.pool, given, testNow)
		require.ErrorIs(t, err, db.ErrSettingsDiffer)
		require.ErrorContains(t, err, variable)
		require.ErrorContains(t, err, "flightbill settings set")
	}
	_, err := db.EnsureSettings(t.Context(), b.pool, db.Settings{Timezone: "Asia/Tokyo", Close: billing.NextDay}, testNow)
	require.ErrorContains(t, err, "FLIGHTBILL_TIMEZONE")
	require.ErrorContains(t, err, "FLIGHTBILL_CLOSE")
	require.Equal(t, "UTC period_end 2026-03-03", get[string](t, b, settingsRow))
}

// Two processes that start at once for the first time, given different values: one of
// them decides, the other refuses to start.
func TestSettingsFirstStartMeetsAnother(t *testing.T) {
	t.Parallel()
	b := setupUnstarted(t)
	first := b.begin(t, `INSERT INTO billing_settings (timezone, close, billing_start) VALUES ('Asia/Tokyo', 'period_end', '2026-03-03')`)
	second := meanwhile(t, b, func() (billing.Calendar, error) {
		return db.EnsureSettings(t.Context(), b.pool, db.Settings{Timezone: "Europe/Dublin"}, testNow)
	})
	require.NoError(t, first.Commit(t.Context()))
	_, err := second()
	require.ErrorIs(t, err, db.ErrSettingsDiffer)
	require.ErrorContains(t, err, "FLIGHTBILL_TIMEZONE is Europe/Dublin here and Asia/Tokyo in the database")
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM billing_runs`), "the first one's to insert")
}

func TestSettingsImpossible(t *testing.T) {
	t.Parallel()
	b := setupUnstarted(t)
	for _, zone := range []string{"Mars/Base", "Local", "../etc/passwd", "UTC+2"} {
		_, err := db.EnsureSettings(t.Context(), b.pool, db.Settings{Timezone: zone}, testNow)
		require.ErrorContains(t, err, "IANA name such as Europe/Dublin", zone)
		require.ErrorContains(t, err, `"`+zone+`"`)
	}
	// Go finds this one in a folder of zones; Postgres does not know it.
	_, err := db.EnsureSettings(t.Context(), b.pool, db.Settings{Timezone: "Europe//London"}, testNow)
	require.ErrorContains(t, err, "Europe//London")
	_, err = db.Settings{}.Calendar()
	require.ErrorContains(t, err, `time zone "" is not an IANA name`)
	_, err = db.EnsureSettings(t.Context(), b.pool, db.Settings{Close: "sometimes"}, testNow)
	require.Error(t, err)
	require.Zero(t, get[int](t, b, `SELECT (SELECT count(*) FROM billing_settings) + (SELECT count(*) FROM billing_runs)`))

	_, err = db.EnsureSettings(t.Context(), b.pool, db.Settings{}, testNow)
	require.NoError(t, err)
	_, _, err = db.ChangeSettings(t.Context(), b.pool, db.Settings{Timezone: "Mars/Base"}, db.Settings{}, testNow)
	require.ErrorContains(t, err, `time zone "Mars/Base" is not known`)
	require.Equal(t, "UTC period_end 2026-03-04", get[string](t, b, settingsRow))
}

func TestChangeSettings(t *testing.T) {
	t.Parallel()
	b := setup(t) // billing start 2026-03-03
	const atStart = "2026-03-02 2026-03-02 start t"
	change := func(given db.Settings, settings, runs string) {
		t.Helper()
		stored := get[string](t, b, settingsRow)
		before, after, err := db.ChangeSettings(t.Context(), b.pool, given, db.Settings{}, testNow)
		require.NoError(t, err)
		require.Equal(t, stored, before.Timezone+" "+string(before.Close)+" "+before.BillingStart.String())
		require.Equal(t, settings, after.Timezone+" "+string(after.Close)+" "+after.BillingStart.String())
		require.Equal(t, settings, get[string](t, b, settingsRow))
		require.Equal(t, runs, get[string](t, b, runRows))
	}
	change(db.Settings{}, "UTC period_end 2026-03-03", atStart)
	change(db.Settings{Timezone: "Europe/Dublin"}, "Europe/Dublin period_end 2026-03-03", atStart)
	change(db.Settings{Close: billing.NextDay}, "Europe/Dublin next_day 2026-03-03", atStart)
	change(db.Settings{Close: billing.PeriodEnd, Timezone: "UTC"}, "UTC period_end 2026-03-03", atStart)

	// An earlier start does not open periods that count as run; a later one
	// closes those before it.
	change(db.Settings{BillingStart: billing.NewDate(2026, 1, 1)}, "UTC period_end 2026-01-01", atStart)
	change(db.Settings{BillingStart: billing.NewDate(2026, 3, 3)}, "UTC period_end 2026-03-03", atStart)
	change(db.Settings{BillingStart: billing.NewDate(2026, 3, 10)}, "UTC period_end 2026-03-10", atStart+", 2026-03-09 2026-03-09 start t")
	change(db.Settings{BillingStart: billing.NewDate(2026, 3, 5)}, "UTC period_end 2026-03-05", atStart+", 2026-03-09 2026-03-09 start t")
	_, err := db.EnsureSettings(t.Context(), b.pool, db.Settings{BillingStart: billing.NewDate(2026, 3, 5)}, testNow)
	require.NoError(t, err)
}

// Looking stores nothing: the first start would be bound by it.
func TestPlannedCalendar(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `DELETE FROM billing_settings`)
	planned, err := db.PlannedCalendar(t.Context(), b.pool, db.Settings{Timezone: "Europe/Dublin"}, testNow)
	require.NoError(t, err)
	require.Equal(t, "Europe/Dublin", planned.Location.String())
	require.Equal(t, billing.NewDate(2026, 3, 4), planned.Start)
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM billing_settings`))
}

// A later start would leave drafts behind whose periods count as run.
func TestChangeSettingsLeavesNoDraftBehind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO invoices (customer_id, kind, closes_on, currency) SELECT min(id), 'consolidated', '2026-03-08', 'EUR' FROM customers`)
	_, _, err := db.ChangeSettings(t.Context(), b.pool, db.Settings{BillingStart: billing.NewDate(2026, 3, 9)}, db.Settings{}, testNow)
	require.ErrorContains(t, err, "1 open drafts")
	require.Equal(t, "UTC period_end 2026-03-03", get[string](t, b, settingsRow))
	_, _, err = db.ChangeSettings(t.Context(), b.pool, db.Settings{BillingStart: billing.NewDate(2026, 3, 8)}, db.Settings{}, testNow)
	require.NoError(t, err)
}

// A change of the settings waits for saves that have begun under the old ones.
func TestChangeSettingsWaitsForSaves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	save := b.begin(t, `LOCK TABLE billing_run_lock IN ROW SHARE MODE`)
	changed := meanwhile(t, b, func() (db.Settings, error) {
		_, after, err := db.ChangeSettings(t.Context(), b.pool, db.Settings{Close: billing.NextDay}, db.Settings{}, testNow)
		return after, err
	})
	require.Equal(t, "UTC period_end 2026-03-03", get[string](t, b, settingsRow))
	require.NoError(t, save.Commit(t.Context()))
	after, err := changed()
	require.NoError(t, err)
	require.Equal(t, billing.NextDay, after.Close)
}

func TestBillingRunsNeverMoveBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	insert := func(day string) string {
		return `INSERT INTO billing_runs (closes_on, run_date, due_at, trigger, started_at) VALUES ('` + day + `', '` + day + `', now(), 'manual', now())`
	}
	b.exec(t, insert("2026-03-08"))
	for _, day := range []string{"2026-03-01", "2026-03-02", "2026-03-07", "2026-03-08"} {
		b.requireRefused(t, insert(day), "closing date "+day+" has been run: the cut-off never moves back")
	}
	b.requireRefused(t, `UPDATE billing_runs SET closes_on = closes_on - 1`, "cannot be changed or removed")
	b.requireRefused(t, `UPDATE billing_runs SET closes_on = closes_on + 1 WHERE closes_on = '2026-03-08'`, "cannot be changed or removed")
	b.requireRefused(t, `DELETE FROM billing_runs WHERE closes_on = '2026-03-08'`, "cannot be changed or removed")
	b.requireRefused(t, `TRUNCATE billing_runs CASCADE`, "cannot be removed")
	b.exec(t, `UPDATE billing_runs SET finished_at = now(), invoices = 3 WHERE closes_on = '2026-03-08'`)
	b.exec(t, insert("2026-03-09"))
	require.Equal(t, "2026-03-02 2026-03-08 2026-03-09", get[string](t, b, `SELECT string_agg(closes_on::text, ' ' ORDER BY closes_on) FROM billing_runs`))
}
