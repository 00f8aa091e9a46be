package db_test

import (
	"strings"
	"testing"
	_ "time/tzdata" // the zones that flightbill comes with

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/migrations"
)

// The airports are there, each code is one airport's, and every zone is known to Go and to
// Postgres.
func TestAirportsComeWithFlightbill(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for code, want := range map[string]string{
		"EGLL": "EGLL {LHR} GB Europe/London",
		"KJFK": "KJFK {JFK} US America/New_York",
		"PHNL": "PHNL {HNL} US Pacific/Honolulu",
		"LSZR": "LSZR {ACH} CH Europe/Zurich",
		"UKLU": "UKLU {UDJ} UA Europe/Kyiv",               // the package has an old name of its zone
		"KDJT": "KDJT {PBI,KPBI,DJT} US America/New_York", // KPBI until 2026
		"CSE":  "CSE {0CO2} US America/Denver",
		"KPT":  "KPT {K06U,06U} US America/Los_Angeles",
	} {
		require.Equal(t, want, get[string](t, b, `SELECT concat_ws(' ', code, other_codes, country, timezone) FROM flightbill.airports WHERE code = $1`, code))
	}
	require.Greater(t, get[int](t, b, `SELECT count(*) FROM flightbill.airports`), 17_000)
	require.Empty(t, get[string](t, b, `
		SELECT coalesce(string_agg(form, ' '), '') FROM (
			SELECT flightbill.code_form(c) AS form FROM flightbill.airports, unnest(other_codes || code) AS c GROUP BY 1 HAVING count(*) > 1) AS doubled`),
		"codes of two airports")
	require.Empty(t, get[string](t, b, `
		SELECT coalesce(string_agg(DISTINCT timezone, ' '), '') FROM flightbill.airports WHERE NOT EXISTS (SELECT FROM pg_timezone_names WHERE name = timezone)`),
		"zones that Postgres does not know")
	for zone := range strings.FieldsSeq(get[string](t, b, `SELECT string_agg(DISTINCT timezone, ' ') FROM flightbill.airports`)) {
		location(t, zone)
	}
}

// What was imported stays when the step is taken back and done again.
func TestAirportsLeaveWhatWasImported(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE flightbill.airports SET timezone = 'UTC' WHERE code = 'EGLL';
		UPDATE flightbill.airports SET code = 'CDG', other_codes = '{LFPG}' WHERE code = 'LFPG';
		INSERT INTO flightbill.airports (code) VALUES ('ZZZ1')`)
	before := get[int](t, b, `SELECT count(*) FROM flightbill.airports`)

	stock := stockGoose(t, b.pool, migrations.FS, db.Schema+".goose_db_version")
	_, err := stock.Down(t.Context())
	require.NoError(t, err)
	_, err = stock.Up(t.Context())
	require.NoError(t, err)
	require.Equal(t, "UTC", get[string](t, b, `SELECT timezone FROM flightbill.airports WHERE code = 'EGLL'`))
	require.Equal(t, before, get[int](t, b, `SELECT count(*) FROM flightbill.airports`))
}
