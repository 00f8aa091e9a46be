package db_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// Package billing and the database clean text alike, and compare codes in one form:
// with every character of the first planes, in and around a code.
func TestCodesAreTheSameInSQL(t *testing.T) {
	t.Parallel()
	b := setup(t)
	texts := []string{"", "NA", "NULL", "NONE", "NIL", "G-OWN", "GOWN", "A-", "-A", "g-own", "G OWN", "LHR ", "NAN", "N A", "nonesuch", "0", "n/a ", "\u00a0#N/A", `\N`, "\\n", "(Null)", "<na>", "N.A.", "#NA", "<NULL>", "None", "nil", "NaN", "nan", "nAn", "- -", "–"}
	for r := rune(1); r < 0x3100; r++ {
		texts = append(texts, string(r)+"a"+string(r)+"Z"+string(r))
	}
	for _, r := range "\ufeff\ufb00\uff0d\uff21\U0001F6EB" {
		texts = append(texts, string(r)+"a"+string(r), string(r))
	}
	rows, _ := b.pool.Query(t.Context(), `SELECT t, clean_text(t), code_form(t) FROM unnest($1::text[]) AS t`, texts)
	var text, clean, form string
	read, err := pgx.ForEachRow(rows, []any{&text, &clean, &form}, func() error {
		require.Equal(t, billing.CleanText(text), clean, "%q", text)
		require.Equal(t, billing.CodeForm(text), form, "%q", text)
		return nil
	})
	require.NoError(t, err)
	require.EqualValues(t, len(texts), read.RowsAffected())
}

// Whatever way text comes in: the database does not keep what is compared differently
// from what it shows, nor a word for nothing as a code.
func TestCodesAreKeptClean(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const ofMON = ` FROM customers WHERE code = 'MON'`
	for _, sql := range []string{
		`UPDATE customers SET name = name || $1`,
		`INSERT INTO customer_operators SELECT 'XYZ' || $1, id` + ofMON, `INSERT INTO customer_aircraft SELECT 'G-OWN' || $1, id` + ofMON,
		`UPDATE tariffs SET code = code || $1`, `UPDATE tariffs SET airport = 'LHR' || $1`,
		`INSERT INTO flights (flight_id, callsign) VALUES ('F1', 'ABC' || $1)`, `INSERT INTO flights (flight_id, operator) VALUES ('F1', 'ABC' || $1)`,
		`INSERT INTO flights (flight_id, registration) VALUES ('F1', 'ABC' || $1)`, `INSERT INTO flights (flight_id, aircraft_type) VALUES ('F1', 'ABC' || $1)`,
		`INSERT INTO flights (flight_id, origin) VALUES ('F1', 'ABC' || $1)`, `INSERT INTO flights (flight_id, destination) VALUES ('F1', 'ABC' || $1)`,
	} {
		for _, blank := range []string{" ", "\t", "\u00a0"} {
			_, err := b.pool.Exec(t.Context(), sql, blank)
			require.Error(t, err, sql)
			requireSQLError(t, err, "23514")
		}
	}
	for _, sql := range []string{
		`UPDATE customers SET name = $1`, `INSERT INTO customer_operators SELECT $1, id` + ofMON, `INSERT INTO customer_aircraft SELECT $1, id` + ofMON,
		`UPDATE tariffs SET code = $1`, `UPDATE tariffs SET airport = $1`, `INSERT INTO flights (flight_id, registration) VALUES ('F1', $1)`,
	} {
		for _, nothing := range []string{"NA", `\N`, "None", "-"} {
			_, err := b.pool.Exec(t.Context(), sql, nothing)
			require.Error(t, err, sql)
			requireSQLError(t, err, "23514")
		}
	}
	// What an application has, made fit.
	b.exec(t, `INSERT INTO flights (flight_id, registration, destination) VALUES ('F1', clean_text(' g-own '), clean_text('None'))`)
	require.Equal(t, "g-own/", get[string](t, b, `SELECT registration || '/' || destination FROM flights`))
}

// An aircraft or operator has one customer on a day, however it is written; a tariff's
// code and airport likewise.
func TestOneCustomerOnADay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, table := range []string{"customer_aircraft", "customer_operators"} {
		add := func(code, from, to string) error {
			_, err := b.pool.Exec(t.Context(), `INSERT INTO `+table+` SELECT $1, id, nullif($2, '')::date, nullif($3, '')::date FROM customers WHERE code = 'MON'`, code, from, to)
			return err
		}
		require.NoError(t, add("G-OWN", "", "2026-03-01"))
		require.NoError(t, add("GOWN", "2026-03-01", ""), "from the day on which the other ends")
		requireSQLError(t, add("g own", "2026-02-28", "2026-03-01"), "23P01")
		requireSQLError(t, add("g-own", "", ""), "23P01")
		requireSQLError(t, add("G-NEW", "2026-03-01", "2026-03-01"), "23514")
	}
	b.exec(t, insertTariff, "LAND", "LHR", nil, nil, nil, "2026-01-01", nil)
	for _, other := range [][]any{{"LAND", "lhr", nil, nil, nil, "2027-01-01", nil}, {"land", "LHR", nil, nil, nil, "2027-01-01", nil}} {
		_, err := b.pool.Exec(t.Context(), insertTariff, other...)
		requireSQLError(t, err, "23P01")
	}
}
