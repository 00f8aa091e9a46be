package db_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

func TestFactsAreNamedTextOrNumbers(t *testing.T) {
	t.Parallel()
	app := setup(t).session(t)
	try := func(facts string) error {
		tx, err := app.Begin(t.Context())
		require.NoError(t, err)
		defer func() { _ = tx.Rollback(t.Context()) }()
		_, err = tx.Exec(t.Context(), `INSERT INTO flights (flight_id, facts) VALUES ('F', $1::text::jsonb)`, facts)
		return err
	}
	for _, facts := range []string{
		`{}`, `{"noise_class": "A", "pax_transfer": 0, "nox": -12.5, "engine": "CFM56-5B4/P\nor so", "origin_country": "IE", "stay_minutes": 67}`,
		`{"a": "` + strings.Repeat("é", 200) + `"}`, `{"a": 999999999999999999999999999999, "b": 0.000000000000000000000000000001, "c": 1e3}`,
	} {
		require.NoError(t, try(facts), facts)
	}
	for facts, constraint := range map[string]string{
		`[]`: "facts_are_an_object", `"A"`: "facts_are_an_object", `null`: "facts_are_an_object", `[{"a": 1}]`: "facts_are_an_object",
		`{"a": null}`: "facts_are_text_or_numbers", `{"a": true}`: "facts_are_text_or_numbers", `{"a": ["x"]}`: "facts_are_text_or_numbers",
		`{"a": {"b": 1}}`: "facts_are_text_or_numbers", `{"b": 1, "a": [1]}`: "facts_are_text_or_numbers", `{"a": [1, 2]}`: "facts_are_text_or_numbers",
		`{"a": "` + strings.Repeat("é", 201) + `"}`: "facts_are_text_or_numbers",
		`{"a": 1e30}`: "facts_are_text_or_numbers", `{"a": -1e30}`: "facts_are_text_or_numbers", `{"a": 1e-31}`: "facts_are_text_or_numbers",
		`{"Noise": 1}`: "facts_have_names_of_their_own", `{"": 1}`: "facts_have_names_of_their_own", `{"1a": 1}`: "facts_have_names_of_their_own",
		`{"a\nb": 1}`: "facts_have_names_of_their_own", `{"noise class": 1}`: "facts_have_names_of_their_own",
		`{"a` + strings.Repeat("b", 63) + `": 1}`: "facts_have_names_of_their_own",
	} {
		require.ErrorContains(t, try(facts), constraint, facts)
	}
	// A name is refused here exactly where the rules refuse it.
	names := append([]string{"tonnes", "kg", "units", "facts", "mtow_kg_declared", "a_tonnes", "noise", "international"}, billing.FlightColumns...)
	for _, name := range names {
		require.Equal(t, billing.CheckFactName(name) == nil, try(`{"`+name+`": 1}`) == nil, name)
	}
}

func TestAirportsHaveTheirCodesAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `DELETE FROM airports`)
	form := func(code string) string { return get[string](t, b, `SELECT airport_form($1)`, code) }
	refused := func(what, sql string, args ...any) {
		t.Helper()
		_, err := b.pool.Exec(t.Context(), sql, args...)
		require.ErrorContains(t, err, what)
	}
	const insert = `INSERT INTO airports (code, other_codes) VALUES ($1, $2)`
	require.Equal(t, "LHR", form("lhr"))
	b.exec(t, insert, "EGLL", []string{"LHR", "London-Heathrow", "egll"})
	b.exec(t, insert, "EGKK", []string{"LGW"})
	for _, code := range []string{"EGLL", "lhr", " L-HR", "LONDON HEATHROW"} {
		require.Equal(t, "EGLL", form(code), code)
	}
	require.Equal(t, "KJFK", form("kjfk"))

	refused("code 'LHR' is one of airport 'EGLL' and one of airport 'XLHR'", insert, "XLHR", []string{"lhr"})
	refused("code 'EGKK' is one of airport 'EGKK' and one of airport 'eg-kk'", insert, "eg-kk", []string{})
	refused("code 'LGW' is one of airport 'EGKK' and one of airport 'EGLL'", `UPDATE airports SET other_codes = '{lgw}' WHERE code = 'EGLL'`)
	refused("code 'Q' is one of airport 'A' and one of airport 'B'", `INSERT INTO airports (code, other_codes) VALUES ('A', '{Q}'), ('B', '{q}')`)
	refused("airport 'A': '' is no code", insert, "A", []string{""})
	refused("airport 'A': ' Q' is no code", insert, "A", []string{" Q"})
	refused("airport 'A': NULL is no code", `INSERT INTO airports (code, other_codes) VALUES ('A', '{NULL}')`)

	// Codes may change hands in one statement, also by an insert that finds the airport there.
	b.exec(t, `UPDATE airports SET other_codes = CASE code WHEN 'EGLL' THEN '{LGW}'::text[] ELSE '{LHR}' END`)
	require.Equal(t, "EGKK", form("LHR"))
	require.Equal(t, "EGLL", form("LGW"))
	require.Equal(t, "LONDONHEATHROW", form("London-Heathrow"))
	b.exec(t, `INSERT INTO airports (code, other_codes) VALUES ('EGKK', '{}'), ('EIDW', '{DUB,LHR}') ON CONFLICT (code) DO UPDATE SET other_codes = excluded.other_codes`)
	require.Equal(t, "EIDW", form("LHR"))
	b.exec(t, `UPDATE airports SET code = 'EGXX' WHERE code = 'EGLL'`)
	require.Equal(t, "EGXX", form("LGW"))
	b.exec(t, `DELETE FROM airports WHERE code = 'EGXX'`)
	require.Equal(t, "LGW", form("LGW"))
	b.exec(t, `TRUNCATE airports`)
	require.Equal(t, 0, get[int](t, b, `SELECT count(*) FROM airport_codes`))
}

// A code is looked up by the index, among as many airports as there are.
func TestAirportFormUsesTheIndex(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `DELETE FROM airports`)
	b.exec(t, `INSERT INTO airports (code, other_codes) SELECT 'A' || i, ARRAY['B' || i] FROM generate_series(1, 30000) AS i`)
	b.exec(t, `ANALYZE airport_codes`)
	require.Equal(t, "A29999", get[string](t, b, `SELECT airport_form('b-29999')`))
	tx := b.begin(t, `SET LOCAL plan_cache_mode = force_generic_plan`)
	rows, _ := tx.Query(t.Context(), `EXPLAIN SELECT airport FROM airport_codes WHERE form = code_form($1::text)`, "b-29999")
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Contains(t, strings.Join(plan, "\n"), "airport_codes_pkey")
}

func TestAirportsHaveZonesThatPostgresKnows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `DELETE FROM airports`)
	const insert = `INSERT INTO airports (code, timezone) VALUES ($1, $2)`
	for i, zone := range []string{"UTC", "Europe/London", "America/Port-au-Prince", "America/Argentina/Buenos_Aires", "Etc/GMT+12"} {
		b.exec(t, insert, "A"+string(rune('0'+i)), zone)
	}
	for _, zone := range []string{"", "Europe/Londn", "CET-1", "XYZ+3", "Foo/Bar+3", "EST5EDT", "America/Port-au-Prinz", "../UTC"} {
		_, err := b.pool.Exec(t.Context(), insert, "B", zone)
		require.Error(t, err, zone)
	}
}

// An aircraft has one declaration a day, whichever way its registration is written.
func TestAircraftHaveOneDeclarationADay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const insert = `INSERT INTO aircraft (registration, valid_from, valid_to, mtow_kg) VALUES ($1, $2, $3, 73500)`
	b.exec(t, insert, "EI-ABC", nil, "2026-03-01")
	b.exec(t, insert, "EI-ABC", "2026-03-01", nil)
	_, err := b.pool.Exec(t.Context(), insert, "eiabc", "2026-02-28", "2026-03-01")
	require.ErrorContains(t, err, "aircraft_have_one_declaration")
	b.exec(t, `INSERT INTO aircraft_types (aircraft_type) VALUES ('A320')`)
	b.requireSQLError(t, `INSERT INTO aircraft_types (aircraft_type) VALUES ('a-320')`, "23505", "aircraft_types_form_idx")
}

// Every change of a register makes prices from before it stale.
func TestRegistersChangeThePriceBook(t *testing.T) {
	t.Parallel()
	b := setup(t)
	version := func() int { return get[int](t, b, `SELECT version FROM price_book`) }
	b.exec(t, `DELETE FROM airports`)
	was := version()
	for _, sql := range []string{
		`INSERT INTO aircraft (registration) VALUES ('EI-ABC'), ('EI-XYZ')`, `UPDATE aircraft SET mtow_kg = 1`, `DELETE FROM aircraft`, `TRUNCATE aircraft`,
		`INSERT INTO aircraft_types (aircraft_type) VALUES ('A320')`, `UPDATE aircraft_types SET mtow_kg = 1`, `DELETE FROM aircraft_types`, `TRUNCATE aircraft_types`,
		`INSERT INTO airports (code) VALUES ('EGLL'), ('EIDW')`, `UPDATE airports SET country = 'IE'`, `DELETE FROM airports`, `TRUNCATE airports`,
	} {
		b.exec(t, sql)
		require.Equal(t, was+1, version(), sql)
		was++
	}
}
