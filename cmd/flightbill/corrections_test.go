package main

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/jobs"
)

const (
	correctedCustomers = "code,name,operators,billing_frequency,week_ends_on,payment_terms_days\nWEEK,Weekly Air,WK,weekly,7,30\nEACH,Single Air,EA,per_flight,,14\n"
	tariffHeader       = "code,description,basis,airport,applies_to,band_from,band_to,unit_rate,minimum,currency,tax_rate,valid_from,valid_to\n"
	correctedTariffs   = tariffHeader + "RUNWAY,Runway use,per_tonne,,departure,,,2.00,10.00,EUR,0.20,2012-01-01,\n"
	tariffsNow         = tariffHeader + "RUNWAY,Runway use,per_tonne,,departure,,,3.00,10.00,EUR,0.20,2012-01-01,\n"
	correctedFlights   = "flight_id,callsign,operator,registration,aircraft_type,mtow_kg,origin,destination,departed_at,landed_at,distance_km\n" +
		"W1,,WK,,,70500,EIDW,EGLL,,2013-01-02T09:00:00Z,449\nW2,,WK,,,70500,EIDW,EGLL,,2013-01-02T09:00:00Z,449\n" +
		"E1,,EA,,,70500,EIDW,EGLL,,2013-01-02T09:00:00Z,449\nE2,,EA,,,70500,EIDW,EGLL,,2013-01-02T09:00:00Z,449\nE3,,EA,,,70500,EIDW,EGLL,,2013-01-02T09:00:00Z,449\n"
)

// From the command line: voided with and without re-billing, corrected, and shown;
// and then the auditor is asked.
func TestCorrectionsFromTheCommandLine(t *testing.T) {
	t.Parallel()
	url, dir := dbtest.URL(t), t.TempDir()
	env := map[string]string{"DATABASE_URL": url, "FLIGHTBILL_RESULTS": "", "FLIGHTBILL_BILLING_START": "2013-01-01"}
	flightbill := func(args ...string) string {
		t.Helper()
		var stdout, stderr strings.Builder
		status := run(t.Context(), args, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, strings.NewReader(""), &stdout, &stderr)
		require.Equal(t, exitDone, status, "%v: %s", args, stderr.String())
		return stdout.String()
	}
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	customers, tariffs, flights := file("c.csv", correctedCustomers), file("t.csv", correctedTariffs), file("f.csv", correctedFlights)
	flightbill("import", "customers", customers)
	flightbill("import", "tariffs", tariffs)
	flightbill("import", "flights", flights)
	flightbill("overdue", "--date", "2013-01-01") // stores the settings

	pool, err := db.Open(t.Context(), url, db.Options{SearchPath: db.Schema, MaxConns: 10})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	service, err := jobs.New(jobs.Config{
		Pool: pool, Source: db.NewFlights(pool), Workers: 2, Schedules: jobs.NoSchedules, Now: time.Now, Stats: jobs.NewStats(),
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	require.NoError(t, err)
	require.NoError(t, service.Start(context.Background()))
	t.Cleanup(func() { require.NoError(t, service.Stop(context.Background())) })
	worked := func() {
		t.Helper()
		eventually(t, "the queue is empty", func() bool {
			var waiting int
			require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM flight_processing_queue WHERE state <> 'cancelled'`).Scan(&waiting))
			return waiting == 0
		})
	}
	flightbill("enqueue", "W1", "W2")
	for _, id := range []string{"E1", "E2", "E3"} { // in the order of their numbers
		flightbill("enqueue", id)
		worked()
	}
	worked()
	flightbill("consolidate", "--run-date", "2013-01-06")

	now := []string{"--tariffs-now", file("t2.csv", tariffsNow)}
	flightbill("import", "tariffs", now[1])
	require.Equal(t, "WEEK-000001 is void by WEEK-CN000001; of its flights, 2 go back to the queue: WEEK pays for 2\n",
		flightbill("void", "WEEK-000001", "--reason", "wrong rate", "--rebill"))
	require.Equal(t, "EACH-000001 is void by EACH-CN000001; of its flights, 1 are not billed again\n",
		flightbill("void", "EACH-000001", "--reason", "not ours"))
	worked()
	require.Equal(t, "0 enqueued, 0 brought back to work, 0 already queued, 1 already billed, 1 refused since their invoice was voided\n", flightbill("enqueue", "E1", "W1"))

	now = append(now, "--flights-now", file("f2.csv", strings.NewReplacer("E2,,EA,,,70500", "E2,,EA,,,60000", "W2,,WK", "W2,,EA").Replace(correctedFlights)))
	require.Contains(t, flightbill("import", "flights", now[3]), "2 changed, 3 as they were\n2 of these flights have been billed, and from other facts: 'flightbill correct --changed'")
	require.Regexp(t, `EACH +a document of its own +RUNWAY +-71 +2 +-142.00 +-28.40 +EUR\nEACH .* 60 +3 +180.00 +36.00 +EUR\n`, flightbill("correct", "E2"))
	require.Equal(t, "0 billed flights compared: 0 corrected, 0 with other facts and the same charges, 0 refused; 0 are no longer in the flight source\n",
		flightbill("correct", "--changed", "--to", "2012-12-31"))
	require.Regexp(t, `^FLIGHT .*\nW2 +WEEK +draft closing on 2013-01-13 +RUNWAY +-71 +3 +-213.00 +-42.60 +EUR\n`+
		`W2 +EACH +a document of its own +RUNWAY +71 +3 +213.00 .*\n4 billed flights compared: 1 corrected, 0 with `, flightbill("correct", "--changed", "--from", "2013-01-01"))
	require.Equal(t, "Flight W2: nothing has changed\n", flightbill("correct", "W2"))

	require.Regexp(t, `(?s)Invoice WEEK-000001\n.*Status     VOID\n           by WEEK-CN000001\n.*PENDING to VOID: WEEK-CN000001: wrong rate\n$`, flightbill("invoices", "show", "WEEK-000001"))
	require.Regexp(t, `(?s)^Credit note WEEK-CN000001 for invoice WEEK-000001\nReason     wrong rate\n.*-142.00 .*DRAFT to PENDING: voids WEEK-000001: wrong rate\n.*PENDING to PAID: set against WEEK-000001\n$`,
		flightbill("invoices", "show", "WEEK-CN000001"))
	require.Contains(t, flightbill("invoices", "show", "EACH-000004"), "late, correction\n")
	require.Contains(t, flightbill("invoices", "show", "--json", "EACH-CN000001"), `"credits": "EACH-000001"`)

	// A period that comes to less than nothing, and is voided; a payment that was none.
	flightbill("consolidate", "--run-date", "2013-01-13")
	now[3] = file("f3.csv", strings.NewReplacer("E2,,EA,,,70500", "E2,,EA,,,60000", "W2,,WK", "W2,,EA", "W1,,WK", "W1,,EA").Replace(correctedFlights))
	flightbill("import", "flights", now[3])
	flightbill("correct", "W1")
	flightbill("consolidate", "--run-date", "2013-01-20")
	require.Regexp(t, `(?s)^Credit note WEEK-CN000002\nReason     what was taken back is more than what was charged\n.*Closes on  2013-01-20\n`, flightbill("invoices", "show", "WEEK-CN000002"))
	require.Equal(t, "WEEK-CN000002 is void by WEEK-000003; of its flights, 1 go back to the queue: EACH pays for 1\n", flightbill("void", "WEEK-CN000002", "--reason", "W1 was theirs", "--rebill"))
	require.Regexp(t, `(?s)^Invoice WEEK-000003 for credit note WEEK-CN000002\nReason     W1 was theirs\n.*PENDING to PAID: set against WEEK-CN000002\n$`, flightbill("invoices", "show", "WEEK-000003"))
	worked()
	_, err = pool.Exec(t.Context(), `SELECT mark_invoice_paid('EACH-000002')`)
	require.NoError(t, err)
	require.Equal(t, "EACH-000002 is PENDING again\n", flightbill("invoices", "unpay", "EACH-000002", "--reason", "another customer's"))
	require.Contains(t, flightbill("invoices", "show", "EACH-000002"), "PAID to PENDING: payment of ")

	for _, tool := range []string{"python3", "psql"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not there: the auditor is not asked", tool)
		}
	}
	audit := exec.CommandContext(t.Context(), "python3", append([]string{
		"../../internal/checks/recompute.py", "--flights", flights, "--customers", customers, "--tariffs", tariffs,
		"--start", "2013-01-01", "--last-run", "2013-01-20", "--database", url,
	}, now...)...)
	said, err := audit.CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.Contains(t, string(said), "so do 3 voids and 13 lines of voids, re-billings and corrections")
}
