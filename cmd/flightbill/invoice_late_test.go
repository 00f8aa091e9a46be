package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/jobs"
)

// invoices show says of each late flight why it is late.
func TestInvoicesShowLateFlights(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	pool, err := db.Open(t.Context(), url, db.Options{SearchPath: db.Schema})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	env := map[string]string{"DATABASE_URL": url, "FLIGHTBILL_BILLING_START": "2013-01-03", "FLIGHTBILL_TIMEZONE": "UTC"}
	now := time.Date(2013, 1, 10, 12, 0, 0, 0, time.UTC)
	flightbill := func(stdin string, args ...string) string {
		var out, failures strings.Builder
		a := &app{stdin: strings.NewReader(stdin), stdout: &out, stderr: &failures, now: func() time.Time { return now }}
		require.Equal(t, exitDone, a.run(t.Context(), args, func(name string) (string, bool) { value, given := env[name]; return value, given }), &failures)
		return out.String()
	}
	flightbill("code,name,operators,billing_frequency,week_ends_on,payment_terms_days\nWEEK,Weekly Air,WEEK,weekly,7,30\n", "import", "customers", "-")
	flightbill("code,description,basis,airport,applies_to,band_from,band_to,unit_rate,minimum,currency,tax_rate,valid_from,valid_to\n"+
		"FEE,Fee,per_flight,,any,,,5,,EUR,0,2012-01-01,\n", "import", "tariffs", "-")
	flightbill("", "consolidate", "--run-date", "2013-01-10")
	_, err = pool.Exec(t.Context(), `INSERT INTO flights (flight_id, operator, landed_at) VALUES
		('ON-TIME', 'WEEK', '2013-01-06 00:00+00'), ('LATE', 'WEEK', '2013-01-05 23:59+00'), ('HISTORY', 'WEEK', '2012-12-29 12:00+00')`)
	require.NoError(t, err)

	now = now.Add(time.Hour)
	service, err := jobs.New(jobs.Config{
		Pool: pool, Source: db.NewFlights(pool), Workers: 1, Schedules: jobs.NoSchedules, Now: func() time.Time { return now },
		Stats: jobs.NewStats(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	require.NoError(t, err)
	require.NoError(t, service.Start(t.Context()))
	_, err = pool.Exec(t.Context(), enqueueAll)
	require.NoError(t, err)
	eventually(t, "the flights are billed", func() bool { return number(t, pool, `SELECT count(*) FROM billed_flights`) == 3 })
	require.NoError(t, service.Stop(t.Context()))

	const history = "late: HISTORY, flown on 2012-12-29, saved at 2013-01-10T13:00:00Z: its own closing date 2012-12-30 is before the billing start\n"
	shown := flightbill("", "invoices", "show", "1")
	require.Contains(t, shown, "\n\n"+history+
		"late: LATE, flown on 2013-01-05, saved at 2013-01-10T13:00:00Z: its own closing date 2013-01-06 had been run, at 2013-01-10T12:00:00Z\n\n")
	require.NotContains(t, shown, "late: ON-TIME")
	require.Regexp(t, `"late_flights": \[\s*\{\s*"flight_id": "HISTORY",\s*"flown_on": "2012-12-29",\s*"closes_on": "2012-12-30",\s*"run_at": null,`, flightbill("", "invoices", "show", "1", "--json"))

	// With other periods, nobody can tell any more.
	_, err = pool.Exec(t.Context(), `UPDATE customers SET billing_frequency = 'monthly', week_ends_on = NULL`)
	require.NoError(t, err)
	require.Contains(t, flightbill("", "invoices", "show", "1"), "late: LATE, flown on 2013-01-05, saved at 2013-01-10T13:00:00Z: its own period had been run\n")
}
