package imports_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/imports"
)

const ruleHeader = "code,basis,airport,applies_to,band_from,band_to,band_of,when,during,unit_rate,minimum,currency,tax_rate,valid_from,valid_to,description"

// rule writes a line of a file: airport, applies_to, band_from, band_to, band_of, when, during, valid_from, valid_to.
func rule(cells ...string) string {
	return "LAND,per_flight," + strings.Join(cells[:7], ",") + ",5,,EUR,0," + strings.Join(cells[7:], ",") + ",Landing"
}

// setupFacts is a database in which the facts that rules ask for are known.
func setupFacts(t *testing.T) *testBundle {
	t.Helper()
	b := setup(t)
	_, err := b.owner.Exec(t.Context(), `INSERT INTO flights (flight_id, facts) VALUES ('F1', '{"noise_class": "A", "seats": 30, "stand": "remote"}')`)
	require.NoError(t, err)
	return b
}

// Rules of one code that are apart are as many rules, and may change each for itself.
func TestTariffsApart(t *testing.T) {
	t.Parallel()
	b := setupFacts(t)
	apart := []string{
		ruleHeader,
		rule("EIDW", "arrival", "", "", "", "noise_class=A|B", "06:00-22:00", "2026-01-01", ""),
		rule("EIDW", "arrival", "", "", "", "noise_class=A|B", "22:00-06:00", "2026-01-01", ""),
		rule("EIDW", "arrival", "", "30", "seats", "noise_class=C", "", "2026-01-01", ""),
		rule("EIDW", "arrival", "30", "", "seats", "noise_class=C", "", "2026-01-01", ""),
		rule("EIDW", "departure", "", "", "", "", "", "2026-01-01", ""),
	}
	b.load(imports.Tariffs, 5, 0, 0, apart...)
	apart[1] = strings.Replace(apart[1], "noise_class=A|B,06:00-22:00,5,", `noise_class = b|a,"06:00-12:00, 12:00-22:00",6,`, 1)
	b.load(imports.Tariffs, 0, 1, 4, apart...)
	b.expect(`SELECT "when", during, unit_rate FROM tariffs ORDER BY id LIMIT 2`, `(noise_class=b|a,"06:00-12:00, 12:00-22:00",6)`, "(noise_class=A|B,22:00-06:00,5)")
}

func TestTariffsOverlapsNameBothRules(t *testing.T) {
	t.Parallel()
	b := setupFacts(t)
	b.load(imports.Tariffs, 2, 0, 0, ruleHeader,
		rule("EIDW", "arrival", "", "30", "seats", "noise_class=A|B", "22:00-06:00", "2026-01-01", ""),
		rule("EGLL", "any", "", "", "", "", "", "2026-01-01", ""))
	const how = ", so both would price the same flight: end one where the other begins, or set them apart by band, during, or a fact in when that both name"
	b.refuse(imports.Tariffs, csvOf(ruleHeader,
		rule("EIDW", "any", "", "", "", "noise_class=b; stand!=remote", "", "2026-01-01", "2027-01-01"),
		rule("EIDW", "departure", "", "", "", "noise_class=C", "", "2026-01-01", "")),
		`tariff "LAND" for every customer at airport "EIDW": the rule of the database (applies_to arrival, up to 30 seats, when noise_class=A|B, during 22:00-06:00, valid from 2026-01-01)`+
			" and the rule of line 2 (applies_to any, when noise_class=b; stand!=remote, valid from 2026-01-01 to 2027-01-01) overlap"+how)
	b.refuse(imports.Tariffs, csvOf(ruleHeader, rule("LHR", "any", "", "", "", "origin=LHR", "", "2026-01-01", "")),
		`at airport "EGLL": the rule of the database (at "EGLL", valid from 2026-01-01) and the rule of line 2 (at "LHR", when origin=LHR, valid from 2026-01-01) overlap`+how)
	// LHR and EGLL are one airport in conditions, too.
	b.refuse(imports.Tariffs, csvOf(ruleHeader,
		rule("EIDW", "departure", "", "", "", "destination=LHR", "", "2026-01-01", ""),
		rule("EIDW", "departure", "", "", "", "destination=egll|EGKK", "", "2026-01-01", "")), "overlap")
	b.load(imports.Tariffs, 2, 0, 0, ruleHeader,
		rule("EIDW", "departure", "", "", "", "destination=LHR", "", "2026-01-01", ""),
		rule("EIDW", "departure", "", "", "", "destination!=egll", "", "2026-01-01", ""))
}

func TestTariffsRefusesWrongConditions(t *testing.T) {
	t.Parallel()
	b := setupFacts(t)
	b.refuse(imports.Tariffs, csvOf(ruleHeader,
		rule("EIDW", "arrival", "", "", "", "noise_class=A;seats=>30", "", "2026-01-01", ""),
		rule("EIDW", "arrival", "", "", "", "", "Mo-Fr 7:00-9:00", "2026-01-01", "")),
		`line 2: column when: "noise_class=A;seats=>30"`, `character 15: seats= is followed by ">30"`,
		`line 3: column during: "Mo-Fr 7:00-9:00"`, `character 1: "7:00-9:00" is not a window: hours are 00:00 to 23:59`)
}

// Days without a rule are those of the same conditions and hours; a rule for more covers them.
func TestTariffsWarnsOfDaysWithoutARuleByConditions(t *testing.T) {
	t.Parallel()
	b := setupFacts(t)
	warnings := func(lines ...string) []string {
		result, err := b.read(imports.Tariffs, strings.NewReader(csvOf(append([]string{ruleHeader}, lines...)...)))
		require.NoError(t, err)
		return result.Warnings
	}
	require.Equal(t, []string{
		`file.csv: tariff "LAND" for every customer at airport "EIDW": no rule is valid on 2026-06-30, between the rule of line 2 (when noise_class=A, during 22:00-06:00, valid from 2026-01-01 to 2026-06-30) ` +
			`and the rule of line 4 (when noise_class=a, during 22:00-06:00, valid from 2026-07-01), so flights then go without it; valid_to is the first day on which a rule is no longer valid`,
	}, warnings(
		rule("EIDW", "arrival", "", "", "", "noise_class=A", "22:00-06:00", "2026-01-01", "2026-06-30"),
		rule("EIDW", "arrival", "", "", "", "noise_class=A", "06:00-22:00", "2026-01-01", ""),
		rule("EIDW", "arrival", "", "", "", "noise_class=a", "22:00-06:00", "2026-07-01", ""),
		rule("EIDW", "arrival", "", "", "", "noise_class=B", "22:00-06:00", "2026-01-01", "2026-03-01"),
		rule("EIDW", "arrival", "", "", "", "noise_class=C", "22:00-06:00", "2026-03-02", "")))
	require.Empty(t, warnings(rule("EIDW", "arrival", "", "", "", "noise_class=A|D", "22:00-06:00", "2026-06-30", "2026-07-01")))
}

// The figure to look at is that of the log; a quiet machine takes a second.
func TestTariffsThousandsOfRules(t *testing.T) {
	t.Parallel()
	b := setupFacts(t)
	lines := []string{ruleHeader}
	for i := range 2000 {
		line := rule("EIDW", "arrival", "", "", "", "noise_class=N"+strings.Repeat("x", i/40)+"; stand!=remote", "22:00-06:00", "2026-01-01", "")
		lines = append(lines, "C"+strings.Repeat("y", i%40)+line[len("LAND"):])
	}
	start := time.Now()
	b.load(imports.Tariffs, 2000, 0, 0, lines...)
	t.Logf("2,000 rules of 40 codes: %s", time.Since(start))
}
