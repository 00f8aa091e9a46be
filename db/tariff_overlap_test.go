package db_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// insertRule takes applies_to, airport, band_from, band_to, when, during.
const insertRule = `
INSERT INTO tariffs (code, applies_to, airport, band_from, band_to, "when", during, valid_from, basis, unit_rate, currency)
VALUES ('LAND', $1, $2, $3, $4, $5, $6, '2026-01-01', 'per_flight', 1, 'EUR')`

// The database refuses what billing.Apart does not set apart, and names both rules.
func TestTariffsOverlapUnlessApart(t *testing.T) {
	t.Parallel()
	app := setup(t).session(t)
	for name, test := range map[string]struct {
		first, second []any
		overlap       string // "": none
	}{
		"arrival and departure": {[]any{"arrival", nil, nil, nil, nil, nil}, []any{"departure", nil, nil, nil, nil, nil}, ""},
		"arrival and any": {
			[]any{"arrival", nil, nil, nil, nil, nil}, []any{"any", nil, nil, nil, nil, nil},
			"(at every airport, applies_to any, valid from 2026-01-01) violate",
		},
		"noise classes": {[]any{"any", "EIDW", nil, nil, "noise_class=A|B", nil}, []any{"any", "EIDW", nil, nil, "noise_class=C", nil}, ""},
		"a noise class of both": {
			[]any{"any", "EIDW", nil, 5, "noise_class=A|B", nil}, []any{"any", "EIDW", 4, nil, "noise_class=C|b", nil},
			"(at EIDW, applies_to any, band up to 5, when noise_class=A|B, valid from 2026-01-01)",
		},
		"day and night": {[]any{"arrival", nil, nil, nil, nil, "06:00-22:00"}, []any{"arrival", nil, nil, nil, nil, "22:00-06:00"}, ""},
		"night and morning": {
			[]any{"arrival", nil, nil, nil, nil, "22:00-06:00"}, []any{"arrival", nil, nil, nil, nil, "Mo 05:59-07:00"},
			"(at every airport, applies_to arrival, during Mo 05:59-07:00, valid from 2026-01-01) violate",
		},
	} {
		tx, err := app.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), insertRule, test.first...)
		require.NoError(t, err, name)
		_, err = tx.Exec(t.Context(), insertRule, test.second...)
		if test.overlap == "" {
			require.NoError(t, err, name)
		} else {
			require.Error(t, err, name)
			requireSQLError(t, err, "23P01", "tariff 'LAND': rules ", test.overlap, "End one where the other begins")
		}
		require.NoError(t, tx.Rollback(t.Context()))
	}
}

// ruleMaker draws rules with much in common.
func ruleMaker(t *rapid.T, facts func(*rapid.T) string) billing.Tariff {
	pick := func(name string, values ...string) string { return rapid.SampledFrom(values).Draw(t, name) }
	number := func(name string, values ...string) decimal.Decimal {
		return decimal.RequireFromString(pick(name, values...))
	}
	rule := billing.Tariff{
		Code: pick("code", "LAND", "la-nd", "PARK"), Airport: pick("airport", "", "EIDW", "DUB"), Currency: "EUR",
		Basis:     billing.Basis(pick("basis", "per_flight", "per_flight", "per_tonne", "per_time")),
		AppliesTo: billing.AppliesTo(pick("applies_to", "arrival", "arrival", "departure", "any")),
		BandOf:    pick("band_of", "", "tonnes", "kg", "units", "seats"), BandMode: billing.BandMode(pick("band_mode", "", "", "whole", "marginal")),
		TonneKg: billing.TonneKg(pick("tonne_kg", "", "", "1000", "453.59237")), TonneRounding: billing.Rounding(pick("tonne_rounding", "", "", "up", "down")),
		TonneStep: number("tonne_step", "0", "0", "1", "0.5"), Unit: number("unit", "0", "0", "1", "15.0"), Free: number("free", "0", "0", "30"),
		Rounding: billing.Rounding(pick("rounding", "", "", "up", "none")), FreeMode: billing.FreeMode(pick("free_mode", "", "", "deduct", "threshold")),
		ValidFrom: billing.NewDate(2026, time.Month(rapid.IntRange(1, 3).Draw(t, "month")), 1),
	}
	if rapid.Bool().Draw(t, "ends") {
		rule.ValidTo = rule.ValidFrom.AddDays(31)
	}
	if from := rapid.IntRange(-1, 3).Draw(t, "band_from"); from >= 0 {
		rule.BandFrom = new(decimal.New(int64(from), 0))
	}
	if rapid.Bool().Draw(t, "band") {
		rule.BandTo = new(decimal.New(int64(rapid.IntRange(4, 6).Draw(t, "band_to")), 0))
		if rapid.Bool().Draw(t, "meets") {
			rule.BandFrom, rule.BandTo = rule.BandTo, nil
		}
	}
	var err error
	if rule.When, err = billing.ParseWhen(facts(t)); err != nil {
		require.ErrorContains(t, err, "would never apply")
	}
	if rule.AppliesTo != billing.AppliesAny {
		rule.During, err = billing.ParseDuring(windows(t))
		require.NoError(t, err)
	}
	return rule
}

func windows(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", "06:00-22:00", "22:00-06:00", "Mo-Fr", "Sa-Su", "Su 23:00-01:00", "Mo 01:00-05:00", "Sa-Mo 12:00-12:01, 03:00-04:00"}).Draw(t, "during")
}

func conditions(t *rapid.T) string {
	texts := make([]string, rapid.IntRange(0, 4).Draw(t, "conditions"))
	for i := range texts {
		name := rapid.SampledFrom([]string{"class", "seats", "seats", "origin", "operator"}).Draw(t, "fact")
		if name == "origin" && strings.Contains(strings.Join(texts, ";"), "origin") {
			name = "operator" // two conditions on one airport's two codes: SQL takes the codes apart, then refuses more than it must
		}
		if name == "origin" || name == "operator" {
			operator := rapid.SampledFrom([]string{"=", "!="}).Draw(t, "operator")
			texts[i] = name + operator + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"EIDW", "dub", "E-IDW", "007", "EGLL"}), 1, 2).Draw(t, "codes"), "|")
			continue
		}
		switch operator := rapid.SampledFrom([]string{"=", "!=", "=", "!=", "<", "<=", ">", ">=", " present", " absent"}).Draw(t, "operator"); operator {
		case "=", "!=":
			texts[i] = name + operator + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"A", "b", "B", "a b", "1", "2.0", "2", "3"}), 1, 3).Draw(t, "values"), "|")
		case " present", " absent":
			texts[i] = name + operator
		default:
			texts[i] = name + operator + rapid.SampledFrom([]string{"1", "2", "2.00", "3"}).Draw(t, "number")
		}
	}
	return strings.Join(texts, "; ")
}

// Go and SQL say the same of each pair.
func TestTariffsApartInSQLAsInGo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO airports (code, other_codes) VALUES ('EIDW', '{DUB}') ON CONFLICT DO NOTHING`)
	app := b.session(t)
	overlaps := 0
	rapid.Check(t, func(r *rapid.T) {
		var list []billing.Tariff
		keys := map[billing.RuleKey]bool{}
		for range 30 {
			rule := ruleMaker(r, conditions)
			if !keys[rule.Key()] {
				list = append(list, rule)
			}
			keys[rule.Key()] = true
		}
		tx, err := app.Begin(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
		_, err = tx.Exec(t.Context(), `DELETE FROM tariffs; SET CONSTRAINTS flightbill.tariffs_do_not_overlap DEFERRED`)
		require.NoError(t, err)
		q := dbsqlc.New(tx)
		require.NoError(t, q.TariffInsertMany(t.Context(), tariffRows(t, list)))
		set, err := db.TariffSet(t.Context(), q)
		require.NoError(t, err)
		read := set.All()
		require.Len(t, read, len(list))

		var ids []int64
		for _, rule := range read[len(read)/3:] {
			ids = append(ids, rule.ID)
		}
		rows, err := tx.Query(t.Context(), `SELECT id || ' ' || other_id FROM tariffs_overlapping($1)`, ids)
		require.NoError(t, err)
		inSQL, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)

		asked := func(rule *billing.Tariff) bool { return slices.Contains(ids, rule.ID) }
		var inGo []string
		for _, pair := range set.Overlaps() {
			if asked(pair.A) || asked(pair.B) {
				inGo = append(inGo, strconv.FormatInt(pair.A.ID, 10)+" "+strconv.FormatInt(pair.B.ID, 10))
			}
		}
		overlaps += len(inGo)
		require.ElementsMatch(t, inGo, inSQL)
	})
	require.Greater(t, overlaps, 100, "of few nothing is shown")
}

// tariffRows is rules as TariffInsertMany takes them.
func tariffRows(t *testing.T, rules []billing.Tariff) []byte {
	t.Helper()
	var rows []map[string]string
	for i := range rules {
		row := map[string]string{}
		for j, cell := range billing.WriteTariff(&rules[i], "") {
			if cell != "" {
				row[billing.TariffColumns[j].Name] = cell
			}
		}
		rows = append(rows, row)
	}
	list, err := json.Marshal(rows)
	require.NoError(t, err)
	return list
}

// The database takes a text for when or during only where Go reads it, and takes all that
// Go writes.
func TestTariffsTakeWhatGoReads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	when := func(text string) bool { return get[bool](t, b, `SELECT when_is_readable($1)`, text) }
	minutes := func(text string) []int {
		return get[[]int](t, b, `SELECT CASE WHEN m IS NOT NULL THEN array(SELECT n FROM generate_series(0, 10079) AS n WHERE n <@ m) END FROM week_minutes($1) AS m`, text)
	}
	var whens, durings int
	tryWhen := func(text string) {
		conditions, err := billing.ParseWhen(text)
		if when(text) {
			require.NoError(t, err, "%q", text)
		}
		if err == nil && text != "" && !conditions.IsZero() {
			whens++
			require.True(t, when(conditions.String()), "%q", conditions.String())
		}
	}
	tryDuring := func(text string) {
		hours, err := billing.ParseDuring(text)
		if minutes(text) != nil {
			require.NoError(t, err, "%q", text)
		}
		if err != nil || hours.IsZero() {
			return
		}
		durings++
		var held []int
		for minute := range 7 * 24 * 60 {
			if hours.Holds(time.Date(2026, 3, 2, 0, minute, 0, 0, time.UTC)) {
				held = append(held, minute)
			}
		}
		require.Equal(t, held, minutes(hours.String()), "%q", hours.String())
	}
	for _, text := range corpus(t, "FuzzParseWhen") {
		tryWhen(text)
	}
	for _, text := range corpus(t, "FuzzParseDuring") {
		tryDuring(text)
	}
	rapid.Check(t, func(r *rapid.T) {
		tryWhen(conditions(r))
		tryWhen(strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
			"a", "b_1", "A", "é", "tonnes", "=", "!=", "<", "<=", ">", ">=", "!", "|", ";", "; ", " ", "\u00a0", "\t", "present", "absent", "1", "2.5", "-3", "1e3", "x y",
			"none", "N/A", "NaN", "NA", "country", "home_country", "callsign", strings.Repeat("9", 31), strings.Repeat("x", 201), "a=1; ", "b>=2;", "a=1|b; b<3",
		}), 0, 8).Draw(r, "when"), ""))
		tryDuring(windows(r))
		tryDuring(strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
			"Mo", "Tu", "We", "Th", "Fr", "Sa", "Su", "mo", "Di", "-", ",", ", ", " ", "\u00a0", "00:00", "06:00", "23:59", "24:00", "24:01", "7:00", "06:60",
			"22:00-06:00", "Sa-Mo", "Mo-Mo", "06:00-06:00",
		}), 0, 6).Draw(r, "during"), ""))
	})
	require.Greater(t, min(whens, durings), 50)

	for column, text := range map[string]string{"when": "a=", "during": "7:00-9:00"} {
		_, err := b.pool.Exec(t.Context(), `UPDATE tariffs SET "`+column+`" = $1`, text)
		requireSQLError(t, err, "23514")
	}
	b.requireSQLError(t, `UPDATE tariffs SET during = '06:00-07:00', applies_to = 'any'`, "23514")
}

// corpus returns the texts that a fuzz test of package billing keeps.
func corpus(t *testing.T, name string) []string {
	t.Helper()
	files, err := filepath.Glob("../billing/testdata/fuzz/" + name + "/*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var texts []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		text, err := strconv.Unquote(regexp.MustCompile(`(?m)^string\((.*)\)$`).FindStringSubmatch(string(content))[1])
		require.NoError(t, err)
		texts = append(texts, text)
	}
	return texts
}

// Of two transactions that each write one of two overlapping rules, one is refused,
// whenever each of them looks: at once, or at its end.
func TestTariffsOfTwoTransactionsDoNotOverlap(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, when := range []string{"IMMEDIATE", "DEFERRED"} {
		for _, isolation := range []string{"READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"} {
			settings := []string{`SET TRANSACTION ISOLATION LEVEL ` + isolation, `SET CONSTRAINTS flightbill.tariffs_do_not_overlap ` + when, `SELECT count(*) FROM tariffs`}
			first, second := b.begin(t, settings...), b.begin(t, settings...)
			_, err := first.Exec(t.Context(), insertRule, "any", nil, nil, nil, "noise_class=A", nil)
			require.NoError(t, err)
			other := meanwhile(t, b, func() (any, error) {
				if _, err := second.Exec(t.Context(), insertRule, "any", nil, nil, nil, "noise_class=A|B", nil); err != nil {
					return nil, err
				}
				return nil, second.Commit(t.Context())
			})
			require.NoError(t, first.Commit(t.Context()))
			_, err = other()
			name := when + " " + isolation
			require.Error(t, err, name)
			if isolation == "READ COMMITTED" {
				requireSQLError(t, err, "23P01", "noise_class=A|B")
			} else {
				requireSQLError(t, err, "40001")
			}
			_ = second.Rollback(t.Context())
			require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM tariffs WHERE code = 'LAND'`), name)
			b.exec(t, `DELETE FROM tariffs WHERE code = 'LAND'`)
		}
	}
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM changed_tariffs`))
}

// What a savepoint takes back is not looked at, and what comes after a look is.
func TestTariffsAreLookedAtAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rule := func(tx pgx.Tx, when string) {
		_, err := tx.Exec(t.Context(), insertRule, "any", nil, nil, nil, when, nil)
		require.NoError(t, err)
	}
	tx := b.begin(t, `SET CONSTRAINTS flightbill.tariffs_do_not_overlap DEFERRED`)
	rule(tx, "noise_class=A")
	inner, err := tx.Begin(t.Context())
	require.NoError(t, err)
	rule(inner, "noise_class=A|B")
	require.NoError(t, inner.Rollback(t.Context()))
	_, err = tx.Exec(t.Context(), `SET CONSTRAINTS flightbill.tariffs_do_not_overlap IMMEDIATE; SET CONSTRAINTS flightbill.tariffs_do_not_overlap DEFERRED`)
	require.NoError(t, err)
	rule(tx, "noise_class=C")
	rule(tx, "noise_class=B|C")
	requireSQLError(t, tx.Commit(t.Context()), "23P01", "noise_class=B|C")
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM tariffs WHERE code = 'LAND'`))
}

// Rules for two codes that become one airport's overlap.
func TestTariffsOfOneAirport(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `DELETE FROM airports; INSERT INTO airports (code, other_codes) VALUES ('EGLL', '{}'), ('EIDW', '{DUB}')`)
	b.exec(t, insertRule, "any", "EGLL", nil, nil, nil, nil)
	b.exec(t, insertRule, "any", "LHR", nil, nil, nil, nil)
	b.exec(t, insertRule, "any", "EIDW", nil, nil, nil, nil)
	b.exec(t, insertRule, "any", "EGKK", nil, nil, "origin=EGLL", nil)
	b.exec(t, insertRule, "any", "EGKK", nil, nil, "origin=LHR", nil)
	_, err := b.pool.Exec(t.Context(), insertRule, "any", "dub", nil, nil, nil, nil)
	requireSQLError(t, err, "23P01", "at EIDW", "at dub")
	b.requireSQLError(t, `UPDATE airports SET other_codes = '{lhr}' WHERE code = 'EGLL'`, "23P01", "at EGLL", "at LHR")
	b.exec(t, `DELETE FROM tariffs WHERE airport = 'LHR'`)
	b.requireSQLError(t, `UPDATE airports SET other_codes = '{lhr}' WHERE code = 'EGLL'`, "23P01", "origin=EGLL", "origin=LHR")
	b.exec(t, `UPDATE airports SET other_codes = '{LGW}' WHERE code = 'EGLL'`)
}

// A price book of many rules is looked at as a whole, and one of its rules for itself.
func TestTariffsOverlapInManyIsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const many = `INSERT INTO tariffs (code, applies_to, airport, "when", valid_from, basis, unit_rate, currency)
		SELECT 'C' || i % 40, 'any', 'EIDW', 'noise_class=N' || i || '|M' || i || '; stand!=remote', '2026-01-01', 'per_flight', 1, 'EUR' FROM generate_series(1, 2000) AS i`
	start := time.Now()
	b.exec(t, many)
	t.Logf("2,000 rules of 40 codes: %s", time.Since(start))
	_, err := b.pool.Exec(t.Context(), fmt.Sprintf(`UPDATE tariffs SET "when" = 'stand=contact; noise_class=%s' WHERE "when" LIKE '%%=N1234|%%'`, "x|m1194"))
	requireSQLError(t, err, "23P01", "'C34'", "noise_class=N1194|M1194")
	require.Equal(t, 2001, get[int](t, b, `SELECT count(*) FROM tariffs`))
}
