package db_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// The view finds the instants that the Go calendar finds, on every day of many
// years: also where 01:00 does not exist or comes twice, or the day itself is
// left out.
func TestCalendarViewRunTimes(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{
		"UTC", "Europe/London", "Europe/Dublin", "Europe/Lisbon", "Atlantic/Azores", "America/New_York", "America/Havana", "America/Sao_Paulo",
		"America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham", "Asia/Kathmandu", "Asia/Tehran", "Asia/Amman",
		"Africa/Casablanca", "Africa/Cairo", "Antarctica/Troll",
	} {
		for _, mode := range []billing.CloseMode{billing.PeriodEnd, billing.NextDay} {
			t.Run(zone+" "+string(mode), func(t *testing.T) {
				t.Parallel()
				b := setupUnstarted(t)
				start := billing.NewDate(2006, 1, 1)
				calendar, err := db.EnsureSettings(t.Context(), b.pool, db.Settings{Timezone: zone, Close: mode, BillingStart: start}, time.Now())
				require.NoError(t, err)
				rows, err := b.pool.Query(t.Context(), `SELECT closes_on, run_date, due_at FROM billing_days WHERE counted ORDER BY closes_on`)
				require.NoError(t, err)
				type day struct {
					ClosesOn, RunDate billing.Date
					DueAt             time.Time
				}
				days, err := pgx.CollectRows(rows, pgx.RowToStructByPos[day])
				require.NoError(t, err)
				require.Greater(t, len(days), 20*365)
				next := calendar.ClosingDate(start)
				for _, d := range days {
					if want := (day{next, calendar.RunDate(next), calendar.RunTime(d.RunDate)}); d.ClosesOn != want.ClosesOn || d.RunDate != want.RunDate || !d.DueAt.Equal(want.DueAt) {
						require.Equal(t, want, d)
					}
					next = next.AddDays(1)
				}
			})
		}
	}
}

// clockAt makes it so many minutes past midnight now, in the billing zone, of the
// day that the tests began on: the same day at whatever hour they run.
func (b *testBundle) clockAt(t *testing.T, minutes int) {
	t.Helper()
	ahead := int(testDay.Add(time.Duration(minutes) * time.Minute).Sub(time.Now().Truncate(time.Minute)).Minutes())
	sign := '-' // POSIX counts the other way round
	if ahead < 0 {
		sign, ahead = '+', -ahead
	}
	b.exec(t, `UPDATE billing_settings SET timezone = $1`, fmt.Sprintf("<T>%c%02d:%02d", sign, ahead/60, ahead%60))
}

var testDay = time.Now().UTC().Truncate(24 * time.Hour)

// calendarOf lists a customer's rows near today: T is today.
func (b *testBundle) calendarOf(t *testing.T, customer string) string {
	t.Helper()
	return get[string](t, b, `SELECT coalesce(string_agg(concat_ws(' ', 'T' || to_char(closes_on - today, 'SG9'), status, number, currency, total, reason), ', ' ORDER BY closes_on, currency), '')
		FROM billing_calendar, (SELECT (now() AT TIME ZONE timezone)::date AS today FROM billing_settings) AS t
		WHERE customer = $1 AND closes_on >= today - 8`, customer)
}

// setupCalendar has a cut-off that stands on yesterday, and two weekly customers
// that close today and yesterday. It is noon.
func setupCalendar(t *testing.T) *testBundle {
	t.Helper()
	b := setupUnstarted(t)
	b.exec(t, `INSERT INTO billing_settings (timezone, close, billing_start) VALUES ('UTC', 'period_end', '2020-01-01')`)
	b.clockAt(t, 12*60)
	b.exec(t, `UPDATE billing_settings SET billing_start = (now() AT TIME ZONE timezone)::date - 40`)
	b.exec(t, `INSERT INTO billing_runs (closes_on, run_date, due_at, trigger, started_at, finished_at)
		SELECT d, d, now(), 'schedule', now() - interval '2 hours', now() - interval '2 hours'
		FROM billing_settings, LATERAL (VALUES ((now() AT TIME ZONE timezone)::date - 41), ((now() AT TIME ZONE timezone)::date - 1)) AS days (d)`)
	b.exec(t, `INSERT INTO customers (code, name, billing_frequency, week_ends_on)
		SELECT code, code, 'weekly', extract(isodow FROM (now() AT TIME ZONE timezone)::date - ago)
		FROM billing_settings, (VALUES ('TODAY', 0), ('YESTERDAY', 1)) AS c (code, ago)`)
	return b
}

func TestCalendarViewStatus(t *testing.T) {
	t.Parallel()
	b := setupCalendar(t)
	// Of a date that has not been run, its time decides.
	for minutes, want := range map[int]string{
		55: "T-7 empty, T+0 open", 65: "T-7 empty, T+0 due, T+7 open", 90: "T-7 empty, T+0 due, T+7 open", 97: "T-7 empty, T+0 missed, T+7 open",
	} {
		b.clockAt(t, minutes)
		if minutes == 55 { // the next one after today is shown too
			want += ", T+7 open"
		}
		require.Equal(t, want, b.calendarOf(t, "TODAY"), "%d minutes past midnight", minutes)
	}
	b.clockAt(t, 12*60)
	require.Equal(t, "T-8 empty, T-1 empty, T+6 open", b.calendarOf(t, "YESTERDAY"))

	// Of one that has been run, its drafts do.
	b.exec(t, `INSERT INTO invoices (customer_id, kind, closes_on, currency) SELECT id, 'consolidated', max(closes_on), 'EUR' FROM customers, billing_runs WHERE code = 'YESTERDAY' GROUP BY id`)
	status := func() string {
		return get[string](t, b, `SELECT concat_ws(' ', status, reason) FROM billing_calendar WHERE invoice_id IS NOT NULL`)
	}
	change := func(sql, want string) {
		b.exec(t, sql)
		require.Equal(t, want, status(), sql)
	}
	require.Equal(t, "missed", status(), "left behind, and nothing explains it")
	change(`UPDATE billing_runs SET finished_at = NULL, started_at = now() - interval '34 minutes' WHERE closes_on = (SELECT max(closes_on) FROM billing_runs)`, "due")
	change(`UPDATE billing_runs SET started_at = now() - interval '36 minutes' WHERE finished_at IS NULL`, "missed")
	change(`UPDATE billing_runs SET finished_at = now() WHERE finished_at IS NULL`, "missed")
	change(`UPDATE invoices SET parked_at = now(), parked_reason = 'no tax number'`, "parked no tax number")
	change(`UPDATE customers SET billing_hold = true WHERE code = 'YESTERDAY'`, "held no tax number")
	change(`UPDATE invoices SET parked_at = NULL, parked_reason = NULL`, "held")
	change(`UPDATE customers SET billing_hold = false, held_through = (SELECT max(closes_on) FROM billing_runs) WHERE code = 'YESTERDAY'`, "due")
	change(`UPDATE customers SET held_through = held_through - 1 WHERE code = 'YESTERDAY'`, "missed")
	change(`UPDATE invoices SET status = 'PENDING', number = 'YESTERDAY-000001', subtotal = 10, tax = 2, total = 12, bill_to_name = 'Y', issued_at = now(), issued_on = now()::date, due_on = now()::date`, "issued")
	require.Equal(t, "T-8 empty, T-1 issued YESTERDAY-000001 EUR 12, T+6 open", b.calendarOf(t, "YESTERDAY"))

	// A changed frequency keeps the dates that have invoices.
	b.exec(t, `UPDATE customers SET billing_frequency = 'per_flight', week_ends_on = NULL WHERE code = 'YESTERDAY'`)
	require.Equal(t, "T-1 issued YESTERDAY-000001 EUR 12", b.calendarOf(t, "YESTERDAY"))
}

// The closing dates are those that the Go calendar has, from the start to the
// next one.
func TestCalendarViewClosingDates(t *testing.T) {
	t.Parallel()
	b := setupCalendar(t)
	b.exec(t, `UPDATE billing_settings SET billing_start = '2024-01-31'`)
	b.exec(t, `INSERT INTO customers (code, name, billing_frequency) VALUES ('MON', 'M', 'monthly'), ('EACH', 'E', 'per_flight')`)
	b.exec(t, `INSERT INTO customers (code, name, billing_frequency, week_ends_on) SELECT 'WEEK' || d, 'W', 'weekly', d FROM generate_series(1, 7) AS d`)
	today := get[billing.Date](t, b, `SELECT (now() AT TIME ZONE timezone)::date FROM billing_settings`)
	for _, mode := range []string{"period_end", "next_day"} {
		b.exec(t, `UPDATE billing_settings SET close = $1`, mode)
		first := billing.Calendar{Close: billing.CloseMode(mode), Start: billing.NewDate(2024, 1, 31)}.Baseline()
		for code, customer := range map[string]billing.Customer{
			"EACH": {Frequency: billing.PerFlight}, "MON": {Frequency: billing.Monthly},
			"WEEK1": {Frequency: billing.Weekly, WeekEndsOn: 1}, "WEEK4": {Frequency: billing.Weekly, WeekEndsOn: 4}, "WEEK7": {Frequency: billing.Weekly, WeekEndsOn: 7},
		} {
			want := ""
			for _, d := range billing.ClosingDates(customer, first.AddDays(1), billing.NextClosing(customer, today)) {
				want += d.String() + " "
			}
			require.Equal(t, want, get[string](t, b, `SELECT coalesce(string_agg(closes_on || ' ', '' ORDER BY closes_on), '') FROM billing_calendar WHERE customer = $1`, code), "%s %s", mode, code)
		}
	}
}
