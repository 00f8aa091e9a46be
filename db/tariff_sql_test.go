package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// insertTariff takes code, airport, customer's code, band_from, band_to,
// valid_from, valid_to.
const insertTariff = `
INSERT INTO tariffs (code, airport, customer_id, band_from, band_to, valid_from, valid_to, basis, applies_to, unit_rate, currency)
VALUES ($1, $2, (SELECT id FROM customers WHERE code = $3), $4, $5, $6, $7, 'per_tonne', 'departure', 1, 'EUR')`

func TestTariffsDoNotOverlap(t *testing.T) {
	t.Parallel()
	app := setup(t).session(t)
	const overlaps = "23P01"
	for name, test := range map[string]struct {
		first, second []any
		code          string // SQLSTATE, empty where both may be
	}{
		"validity and band": {
			[]any{"LAND", nil, nil, 0, 136, "2026-01-01", "2027-01-01"}, []any{"LAND", nil, nil, 135, 200, "2026-12-31", nil}, overlaps,
		},
		"no end, no band": {
			[]any{"LAND", nil, nil, nil, nil, "2026-01-01", nil}, []any{"LAND", nil, nil, 500, 501, "2099-01-01", "2099-01-02"}, overlaps,
		},
		"the same airport and customer": {
			[]any{"LAND", "EIDW", "WEEK", nil, nil, "2026-01-01", nil}, []any{"LAND", "EIDW", "WEEK", nil, nil, "2026-06-01", nil}, overlaps,
		},
		"no band_from is 0": {
			[]any{"LAND", nil, nil, nil, 10, "2026-01-01", nil}, []any{"LAND", nil, nil, 0, 10, "2026-06-01", nil}, overlaps,
		},
		"the same key": {
			[]any{"LAND", nil, nil, nil, nil, "2026-01-01", nil}, []any{"LAND", nil, nil, nil, nil, "2026-01-01", "2026-02-01"}, "23505",
		},
		"validity begins where the other ends": {
			[]any{"LAND", nil, nil, 0, 136, "2026-01-01", "2027-01-01"}, []any{"LAND", nil, nil, 0, 136, "2027-01-01", nil}, "",
		},
		"bands meet": {
			[]any{"LAND", nil, nil, nil, 136, "2026-01-01", nil}, []any{"LAND", nil, nil, 136, nil, "2026-01-01", nil}, "",
		},
		"other code":                       {[]any{"LAND", nil, nil, nil, nil, "2026-01-01", nil}, []any{"PARK", nil, nil, nil, nil, "2026-01-01", nil}, ""},
		"other customer":                   {[]any{"LAND", nil, "WEEK", nil, nil, "2026-01-01", nil}, []any{"LAND", nil, "MON", nil, nil, "2026-01-01", nil}, ""},
		"a customer's and the general one": {[]any{"LAND", nil, nil, nil, nil, "2026-01-01", nil}, []any{"LAND", nil, "MON", nil, nil, "2026-01-01", nil}, ""},
		"other airport":                    {[]any{"LAND", "EIDW", nil, nil, nil, "2026-01-01", nil}, []any{"LAND", "EGLL", nil, nil, nil, "2026-01-01", nil}, ""},
		"an airport's and the general one": {[]any{"LAND", nil, nil, nil, nil, "2026-01-01", nil}, []any{"LAND", "EIDW", nil, nil, nil, "2026-01-01", nil}, ""},
	} {
		tx, err := app.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), insertTariff, test.first...)
		require.NoError(t, err, name)
		_, err = tx.Exec(t.Context(), insertTariff, test.second...)
		if test.code == "" {
			require.NoError(t, err, name)
		} else {
			require.Error(t, err, name)
			requireSQLError(t, err, test.code)
		}
		require.NoError(t, tx.Rollback(t.Context()))
	}
}

// One transaction may end a rule and begin the next, in whatever order.
func TestTariffsMayOverlapUntilTheEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, insertTariff, "LAND", nil, nil, nil, nil, "2026-01-01", nil)
	for _, end := range []string{"2027-01-01", "2027-01-02"} {
		tx := b.begin(t, `SET CONSTRAINTS tariffs_do_not_overlap DEFERRED`)
		_, err := tx.Exec(t.Context(), insertTariff, "LAND", nil, nil, nil, nil, "2027-01-01", nil)
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `UPDATE tariffs SET valid_to = $1 WHERE code = 'LAND' AND valid_from = '2026-01-01'`, end)
		require.NoError(t, err)
		if end == "2027-01-01" {
			require.NoError(t, tx.Commit(t.Context()))
			b.exec(t, `DELETE FROM tariffs WHERE code = 'LAND' AND valid_from = '2027-01-01'`)
		} else {
			require.ErrorContains(t, tx.Commit(t.Context()), "tariffs_do_not_overlap")
		}
	}
}

func TestTariffsAndFlightsRefuseNonsense(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, args := range [][]any{
		{"", nil, nil, nil, nil, "2026-01-01", nil}, {"LAND", "", nil, nil, nil, "2026-01-01", nil},
		{"LAND", nil, nil, 10, 10, "2026-01-01", nil}, {"LAND", nil, nil, nil, 0, "2026-01-01", nil}, {"LAND", nil, nil, -1, nil, "2026-01-01", nil},
		{"LAND", nil, nil, nil, nil, "2026-01-01", "2026-01-01"}, {"LAND", nil, nil, nil, nil, "2026-01-02", "2026-01-01"},
	} {
		_, err := b.pool.Exec(t.Context(), insertTariff, args...)
		require.Error(t, err)
		requireSQLError(t, err, "23514")
	}
	for _, statement := range []string{
		`UPDATE tariffs SET unit_rate = -1`, `UPDATE tariffs SET minimum = -1`, `UPDATE tariffs SET tax_rate = -0.1`, `UPDATE tariffs SET currency = 'eur'`,
		`UPDATE tariffs SET currency = 'EURO'`, `UPDATE tariffs SET basis = 'per_mile'`, `UPDATE tariffs SET applies_to = 'both'`,
		// What Go's dates and decimals cannot hold would stop every price from being read.
		`UPDATE tariffs SET valid_to = 'infinity'`, `UPDATE tariffs SET valid_from = '-infinity'`,
		`UPDATE tariffs SET unit_rate = 'NaN'`, `UPDATE tariffs SET minimum = 'Infinity'`, `UPDATE tariffs SET tax_rate = 'NaN'`,
		`UPDATE tariffs SET band_from = 'Infinity'`, `UPDATE tariffs SET band_to = 'NaN'`,
		`INSERT INTO flights (flight_id, landed_at) VALUES ('F1', 'infinity')`,
		`INSERT INTO flights (flight_id, departed_at) VALUES ('F1', '-infinity')`,
		`INSERT INTO flights (flight_id, distance_km) VALUES ('F1', 'NaN')`,
	} {
		b.requireSQLError(t, statement, checkViolation)
	}
	require.NotZero(t, get[int](t, b, `SELECT count(*) FROM tariffs`), "the updates met rows")
}

func TestTariffsHoldWhatCanBe(t *testing.T) {
	t.Parallel()
	app := setup(t).session(t)
	for column, values := range map[string]struct{ most, above string }{
		"unit_rate": {"999999999999.99", "1000000000000"},
		"minimum":   {"999999999999.99", "1e29"},
		"tax_rate":  {"1", "1.01"},
		"band_from": {"999999999999", "1000000000000"},
		"band_to":   {"999999999999", "1000000000000"},
	} {
		insert := func(value string) error {
			tx, err := app.Begin(t.Context())
			require.NoError(t, err)
			defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
			_, err = tx.Exec(t.Context(), insertTariff, "LAND", nil, nil, nil, nil, "2026-01-01", nil)
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), "UPDATE tariffs SET "+column+" = "+value+" WHERE code = 'LAND'")
			return err
		}
		require.NoError(t, insert(values.most), column)
		requireSQLError(t, insert(values.above), "23514", column)
	}
}
