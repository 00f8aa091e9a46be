package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a file of tariffs would change for the flights of a period, as tables and as JSON.
func TestTariffsTry(t *testing.T) {
	t.Parallel()
	address, pool := queueDatabase(t, 3)
	_, err := pool.Exec(t.Context(), `
		INSERT INTO flightbill.tariffs (code, basis, applies_to, unit_rate, currency, tax_rate, valid_from)
		VALUES ('RUNWAY', 'per_tonne', 'any', 2, 'EUR', 0.20, '2012-01-01');
		INSERT INTO flightbill.billed_flights (flight_id, customer_id, landed_on, facts, billed_at)
		SELECT id, (SELECT min(id) FROM flightbill.customers), '2013-01-02', facts::jsonb, now() FROM (VALUES
			('T1', '{"mtow_kg": 70500, "landed_at": "2013-01-02T09:00:00Z"}'), ('T2', '{"mtow_kg": 3000, "landed_at": "2013-01-02T09:00:00Z", "passengers": 2}')) AS f (id, facts)`)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "new.csv")
	require.NoError(t, os.WriteFile(file, []byte(tariffHeader+"RUNWAY,,per_tonne,,any,,,3.00,,EUR,0.20,2012-01-01,\nSEATS,,per_passenger,,any,,,1,,EUR,0,2012-01-01,\n"), 0o600))
	flightbill := func(args ...string) (int, string, string) {
		return runWith(map[string]string{"DATABASE_URL": address, "FLIGHTBILL_BILLING_START": "2012-12-31"}, args...)
	}
	try := func(args ...string) (int, string, string) {
		t.Helper()
		return flightbill(append([]string{"tariffs", "try"}, args...)...)
	}
	status, stdout, stderr := try(file, "--from", "2014-01-01", "--to", "2014-01-31")
	require.Equal(t, exitDone, status, stderr)
	require.Contains(t, stdout, "0 billed flights of 2014-01-01")
	status, _, stderr = flightbill("overdue", "--date", "2013-01-01") // stores the settings
	require.Equal(t, exitDone, status, stderr)

	status, stdout, stderr = try(file, "--from", "2013-01-01", "--to", "2013-01-31")
	require.Equal(t, exitDone, status, stderr)
	require.Contains(t, stdout, "Tariffs: 2 rows: 1 would be added, 1 changed, 0 are as they are. Nothing was saved.\n"+
		"2 billed flights of 2013-01-01 to 2013-01-31, at the tariffs in force (before) and with the file's (after): 2 come to something else.\n")
	require.Regexp(t, `\nFEE +2 +1 +10.00 +5.00 +-5.00 +0.00 +EUR\n`, stdout)
	require.Regexp(t, `\nRUNWAY +2 +2 +148.00 +9.00 +-139.00 +-27.80 +EUR\n`, stdout)
	require.Regexp(t, `\nEACH +SEATS +1 +1 +0.00 +2.00 +2.00 +0.00 +EUR\n`, stdout)
	require.Contains(t, stdout, "\n\nIn all 158.00 before, 16.00 after, difference -142.00, tax difference -27.80 EUR\n\nCUSTOMER")
	require.Contains(t, stdout, "\n\nFlights that cannot be billed count with nothing above:\nNOT BILLED ")
	require.Regexp(t, `\nmissing_fact +0 +1 +flight T1 has no number of passengers`, stdout)

	status, stdout, stderr = try(file, "--from", "2013-01-01", "--to", "2013-01-31", "--json")
	require.Equal(t, exitDone, status, stderr)
	var view trialView
	require.NoError(t, json.Unmarshal([]byte(stdout), &view))
	require.EqualValues(t, 2, view.Flights)
	require.EqualValues(t, 1, view.File.Added)
	require.Len(t, view.Lines, 3)
	require.Equal(t, "-139", view.Lines[1].Difference.String())
	require.EqualValues(t, 1, view.Refused[0].After)

	for want, args := range map[string][]string{
		"give the first and the last day":   {file, "--from", "2013-01-01"},
		"--to 2013-01-01 is before --from":  {file, "--from", "2013-01-02", "--to", "2013-01-01"},
		"accepts 1 arg(s), received 0":      {"--from", "2013-01-02", "--to", "2013-01-03"},
		"--from: \"January\" is not a date": {file, "--from", "January", "--to", "2013-01-01"},
	} {
		status, _, stderr := try(args...)
		require.Equal(t, exitUsage, status, want)
		require.Contains(t, stderr, want)
	}
	require.NoError(t, os.WriteFile(file, []byte(tariffHeader+"RUNWAY,,per_tonne,,any,,,minus,,EUR,0.20,2012-01-01,\n"), 0o600))
	status, _, stderr = try(file, "--from", "2013-01-01", "--to", "2013-01-31")
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "new.csv: line 2: column unit_rate")
}
