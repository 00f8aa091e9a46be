package imports_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/imports"
)

const (
	tariffHeader   = "code,description,basis,airport,applies_to,band_from,band_to,unit_rate,minimum,currency,tax_rate,valid_from,valid_to"
	customerTariff = tariffHeader + ",customer"
)

func TestTariffsKeyAndChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 1, 0, 0, "code,name,billing_frequency", "ACME,Acme,monthly")
	b.load(imports.Tariffs, 6, 0, 0, customerTariff,
		"LAND,Landing,per_tonne,KJFK,arrival,,,5.50,60,USD,0.2,2012-01-01,,",
		"LAND,Landing,per_tonne,KEWR,arrival,,,5.50,60,USD,0.2,2012-01-01,,",
		"LAND,Landing,per_tonne,,arrival,0,10,5.50,,USD,0.2,2012-01-01,,",
		"LAND,Landing,per_tonne,,arrival,10,20,5.50,60,USD,0.2,2012-01-01,,",
		"LAND,Landing,per_tonne,,arrival,20,,5.50,60,USD,0.2,2012-01-01,,",
		"LAND,Own,per_tonne,KJFK,arrival,,,4.125,60,USD,0.2,2012-01-01,,ACME")
	// Same numbers, written otherwise; no lower end and 0 are one key.
	b.load(imports.Tariffs, 0, 0, 2, tariffHeader,
		"LAND,Landing,per_tonne,KJFK,arrival,,,5.5,60.00,USD,0.20,2012-01-01,",
		"LAND,Landing,per_tonne,,arrival,0,10.0,5.500,,USD,0.2,2012-01-01,")
	b.load(imports.Tariffs, 0, 2, 1, customerTariff,
		"LAND,New words,per_flight,KJFK,arrival,0,,1.25,2.5,EUR,0,2012-01-01,2014-01-01,",
		"LAND,Own,per_tonne,KJFK,arrival,,,4.125,60,USD,0.2,2012-01-01,,ACME",
		"LAND,Landing,per_tonne,KEWR,arrival,,,5.51,60,USD,0.2,2012-01-01,,")
	b.expect(`SELECT description, basis, airport, applies_to, band_from, band_to, unit_rate, minimum, currency, tax_rate, valid_to, customer_id
		FROM tariffs WHERE airport IS NOT NULL ORDER BY id`,
		`("New words",per_flight,KJFK,arrival,0,,1.25,2.5,EUR,0,2014-01-01,)`,
		`(Landing,per_tonne,KEWR,arrival,,,5.51,60,USD,0.2,,)`,
		`(Own,per_tonne,KJFK,arrival,,,4.125,60,USD,0.2,,1)`)
}

func TestTariffsOneFileEndsARuleAndBeginsTheNext(t *testing.T) {
	t.Parallel()
	const (
		old   = "LAND,Landing,per_tonne,KJFK,arrival,,,5,0,USD,0,2012-01-01,"
		ended = "LAND,Landing,per_tonne,KJFK,arrival,,,5,0,USD,0,2012-01-01,2014-01-01"
		next  = "LAND,Landing,per_tonne,KJFK,arrival,,,6,0,USD,0,2014-01-01,"
	)
	for name, lines := range map[string][]string{"end first": {ended, next}, "beginning first": {next, ended}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.load(imports.Tariffs, 1, 0, 0, tariffHeader, old)
			b.load(imports.Tariffs, 1, 1, 0, append([]string{tariffHeader}, lines...)...)
			b.expect(`SELECT unit_rate, valid_from, valid_to FROM tariffs ORDER BY valid_from`,
				"(5,2012-01-01,2014-01-01)", "(6,2014-01-01,)")
		})
	}
}

func TestTariffsOverlaps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 1, 0, 0, "code,name,billing_frequency", "ACME,Acme,monthly")
	b.load(imports.Tariffs, 2, 0, 0, customerTariff,
		"LAND,Landing,per_tonne,KJFK,arrival,,136,5,0,USD,0,2012-01-01,2014-01-01,",
		"LAND,Own,per_tonne,KJFK,arrival,,,5,0,USD,0,2012-01-01,,ACME")

	b.refuse(imports.Tariffs, csvOf(tariffHeader,
		"GOOD,Landing,per_tonne,KJFK,arrival,,,6,0,USD,0,2012-01-01,",
		"LAND,Landing,per_tonne,KJFK,arrival,100,,6,0,USD,0,2013-12-31,"),
		`tariff "LAND" for every customer at airport "KJFK"`, "the database (up to 136 t, valid from 2012-01-01 to 2014-01-01)",
		"line 3 (above 100 t, valid from 2013-12-31)", "overlap")
	b.refuse(imports.Tariffs, csvOf(customerTariff,
		"LAND,Own,per_tonne,KJFK,arrival,,,6,0,USD,0,2015-01-01,,ACME",
		"LAND,Own,per_tonne,KJFK,arrival,,,5,0,USD,0,2012-01-01,2015-01-02,ACME"),
		`for customer "ACME" at airport "KJFK"`, "line 3 (valid from 2012-01-01 to 2015-01-02)", "line 2 (valid from 2015-01-01)")
	b.refuse(imports.Tariffs, csvOf(tariffHeader,
		"ALL,All,per_flight,,any,,,6,0,USD,0,2015-01-01,",
		"ALL,All,per_flight,,any,,,6,0,USD,0,2016-01-01,"), "for every customer at every airport")

	// Next to each other is not over each other.
	b.load(imports.Tariffs, 2, 0, 0, tariffHeader,
		"LAND,Landing,per_tonne,KJFK,arrival,136,,6,0,USD,0,2012-01-01,2014-01-01",
		"LAND,Landing,per_tonne,KJFK,arrival,,,6,0,USD,0,2014-01-01,")
}

// A rule's code and airport are one however they are written, and shown as written last.
func TestTariffsInOneForm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Tariffs, 1, 0, 0, tariffHeader, "LAND,Landing,per_flight,LHR,any,,,5,0,USD,0,2012-01-01,")
	b.load(imports.Tariffs, 0, 1, 0, tariffHeader, "land,Landing,per_flight,lhr,any,,,5,0,USD,0,2012-01-01,")
	b.load(imports.Tariffs, 0, 0, 1, tariffHeader, "land,Landing,per_flight,\u00a0lhr ,any,,,5,0,USD,0,2012-01-01,NULL")
	b.load(imports.Tariffs, 0, 1, 0, tariffHeader, "land,Landing,per_flight,lhr,any,,,5,None,USD,0,2012-01-01,")
	b.expect(`SELECT code, airport, minimum, valid_to FROM tariffs`, "(land,lhr,,)")
	b.refuse(imports.Tariffs, csvOf(tariffHeader, "LAND,Landing,per_flight,L-HR,any,,,6,0,USD,0,2013-01-01,"), `tariff "land" for every customer at airport "lhr"`, "overlap")
}

// Each column arrives in its own of the table, and is compared with it.
func TestTariffsAllColumns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	header := make([]string, len(billing.TariffColumns))
	for i, c := range billing.TariffColumns {
		header[i] = c.Name
	}
	full := map[string]string{
		"code": "PARK", "description": `=1+1, "quoted"`, "basis": "per_tonne", "airport": "EIDW", "applies_to": "arrival", "unit_rate": "200", "currency": "JPY", "tax_rate": "0",
		"valid_from": "2025-01-01", "when": "stand!=remote; seats>=30", "during": "Mo-Fr 07:00-09:00", "of": "", "unit": "360", "free": "30",
		"free_mode": "threshold", "rounding": "none", "times": "engines", "tonne_kg": "453.59237", "tonne_rounding": "none", "tonne_step": "0.5",
		"band_of": "tonnes", "band_mode": "whole", "band_from": "5", "band_to": "100", "fixed": "281.96", "factor": "0.5", "minimum": "1", "maximum": "3220", "minimum_at_zero": "yes",
		"tax_category": "exempt", "tax_reason": "Article 148", "unit_code": "MIN", "account": "8400",
	}
	row := func(changes ...string) string {
		cells := make([]string, len(header))
		for i, column := range header {
			cells[i] = full[column]
			for j := 0; j < len(changes); j += 2 {
				if changes[j] == column {
					cells[i] = changes[j+1]
				}
			}
			cells[i] = `"` + strings.ReplaceAll(cells[i], `"`, `""`) + `"`
		}
		return strings.Join(cells, ",")
	}
	columns := strings.Join(header, ",")
	b.load(imports.AircraftTypes, 1, 0, 0, "aircraft_type,fact.stand,fact.seats,fact.engines,fact.pods,fact.route_km", "A320,A,180,2,0,1")
	b.load(imports.Tariffs, 1, 0, 0, columns, row())
	b.load(imports.Tariffs, 0, 0, 1, columns, row())
	b.expect(`SELECT description, "when", during, "of", unit, free, free_mode, rounding, times, tonne_kg, tonne_rounding, tonne_step, band_of, band_mode, fixed, factor,
		maximum, minimum_at_zero, tax_category, tax_reason, unit_code, account FROM tariffs`,
		`("=1+1, ""quoted""","stand!=remote; seats>=30","Mo-Fr 07:00-09:00",,360,30,threshold,none,engines,453.59237,none,0.5,tonnes,whole,281.96,0.5,3220,t,exempt,"Article 148",MIN,8400)`)
	for column, value := range map[string]string{
		"unit": "60", "free": "15", "free_mode": "deduct", "rounding": "up", "times": "pods", "tonne_kg": "", "tonne_rounding": "up",
		"tonne_step": "0.1", "fixed": "", "factor": "", "maximum": "", "minimum_at_zero": "no", "tax_category": "outside", "tax_reason": "VATEX-EU-148-G", "unit_code": "C62", "account": "",
	} {
		b.load(imports.Tariffs, 0, 1, 0, columns, row(column, value))
		b.load(imports.Tariffs, 0, 1, 0, columns, row())
	}
	// A file of before has the defaults in all new columns.
	formula := "EN-ROUTE,,formula,,,any,,,61.75,,EUR,0,2025-01-01,,,,route_km,,,,,,,,,,,,,,,20,100,1,50,0.5,4,,,,"
	b.load(imports.Tariffs, 1, 0, 0, columns, formula)
	b.expect(`SELECT "of", distance_less, distance_unit, distance_power, mass_unit, mass_power, decimals, unit, factor, minimum_at_zero FROM tariffs WHERE code = 'EN-ROUTE'`,
		"({route_km},20,100,1,50,0.5,4,,,f)")
	b.load(imports.Tariffs, 2, 0, 0, tariffHeader, "LANDING,,per_flight,,any,,,5,,EUR,0,2025-01-01,", `"A, B",,per_flight,,any,,,5,,EUR,0,2025-01-01,`)
	b.load(imports.Tariffs, 1, 0, 0, columns, `"SUPPLEMENT",,percent,,,any,,,-0.05,,EUR,0,2025-01-01,,,,"LANDING + A, B",,,,,,,,,,,,,,,,,,,,,,,,`)
	b.expect(`SELECT "of", unit_rate FROM tariffs WHERE code = 'SUPPLEMENT'`, `("{LANDING,""A, B""}",-0.05)`)
	b.load(imports.Tariffs, 0, 0, 1, columns, `"SUPPLEMENT",,percent,,,any,,,-0.05,,EUR,0,2025-01-01,,,,"LANDING+A, B",,,,,,,,,,,,,,,,,,,,,,,,`)

	b.refuse(imports.Tariffs, csvOf(columns, row(), row("unit", "0", "decimals", "12", "valid_from", "2026-01-01")),
		`file.csv: line 3: column unit: "0" is not usable: write a number above 0, or nothing for 1`,
		`file.csv: line 3: column decimals: "12" is not usable: write 0 to 6, or nothing for 2`)
	b.refuse(imports.Tariffs, csvOf(columns, row("of", "a++b")), `line 2: column of: "a++b" is not usable: write names with + between them`)
	b.refuse(imports.Tariffs, csvOf(columns, row("code", "A+B")), `line 2: column code: "A+B" is not usable: write it without a +`)
}

// A tariff that has priced charges can change: they keep what they were made
// with.
func TestTariffsThatHavePricedCharges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 1, 0, 0, "code,name,billing_frequency", "ACME,Acme,monthly")
	b.load(imports.Tariffs, 1, 0, 0, tariffHeader, "LAND,Landing,per_flight,,any,,,5,0,USD,0,2012-01-01,")
	_, err := b.owner.Exec(t.Context(), `
		WITH flight AS (
			INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at) VALUES ('F1', 1, '2013-01-01', '{}', now())
		), invoice AS (
			INSERT INTO invoices (customer_id, kind, closes_on, currency) VALUES (1, 'consolidated', '2013-01-31', 'USD') RETURNING id
		)
		INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
		SELECT id, 'F1', 1, 'LAND', 'Landing', 1, 5, 5, 0, 0, '2013-01-01' FROM invoice`)
	require.NoError(t, err)
	b.load(imports.Tariffs, 0, 1, 0, tariffHeader, "LAND,Landing,per_flight,,any,,,7,0,USD,0.1,2012-01-01,2013-01-01")
	b.expect(`SELECT unit_rate, tax_rate FROM charges`, "(5,0)")
}

func TestTariffsRepeatedRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Tariffs, 1, 0, 1, tariffHeader,
		"LAND,Landing,per_flight,,any,,,5,0,USD,0,2012-01-01,",
		"LAND,Landing,per_flight,,any,,,5.00,0.0,USD,0,2012-01-01,")
	b.refuse(imports.Tariffs, csvOf(tariffHeader,
		"LAND,Landing,per_flight,,any,,,6,0,USD,0,2012-01-01,",
		"LAND,Landing,per_flight,,any,,,7,0,USD,0,2012-01-01,"), "line 3", `column code: "LAND"`, "line 2")
}

func TestTariffsRefusesWrongRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good := strings.Split("LAND,Landing,per_tonne,KJFK,arrival,0,136,5.50,60,USD,0.2,2012-01-01,2013-01-01,", ",")
	at := map[string]int{}
	for i, column := range strings.Split(customerTariff, ",") {
		at[column] = i
	}
	for _, c := range []struct {
		column, value string
		parts         []string
	}{
		{"code", "", []string{"column code is empty"}},
		{"basis", "per_mile", []string{`basis "per_mile"`, `tariff "LAND"`, "per_flight, per_tonne"}},
		{"applies_to", "", []string{`applies_to ""`}},
		{"band_from", "x", []string{`column band_from: "x"`, "whole tonnes"}},
		{"band_from", "136", []string{"band_to 136 is not above band_from 136"}},
		{"band_from", "-1", []string{"band_from -1 is negative"}},
		{"band_to", "5.7", []string{"whole tonnes"}},
		{"band_to", "136000", []string{"band_to 136000 is above 1000 t: kilograms?"}},
		{"unit_rate", "123456789012345678901234567890", []string{"unit_rate 123456789012345678901234567890 has more than 12 digits"}},
		{"minimum", "1000000000000", []string{"minimum 1000000000000 has more than 12 digits"}},
		{"unit_rate", "", []string{"column unit_rate is empty"}},
		{"unit_rate", "5 EUR", []string{`column unit_rate: "5 EUR"`}},
		{"unit_rate", "1e9", []string{`column unit_rate: "1e9"`}},
		{"unit_rate", "NaN", []string{`column unit_rate: "NaN"`}},
		{"unit_rate", "-5", []string{"unit_rate -5 is negative"}},
		{"minimum", "1.", []string{`column minimum: "1."`}},
		{"currency", "EURO", []string{`currency "EURO"`}},
		{"tax_rate", "20", []string{"tax_rate 20 would be 2000 %"}},
		{"tax_rate", "", []string{"column tax_rate is empty", "no tax is 0"}},
		{"tax_rate", "20%", []string{`column tax_rate: "20%"`}},
		{"valid_from", "", []string{"column valid_from is empty"}},
		{"valid_from", "01/02/2012", []string{`column valid_from: "01/02/2012"`, "YYYY-MM-DD"}},
		{"valid_to", "2013-02-30", []string{`column valid_to: "2013-02-30"`}},
		{"valid_to", "2012-01-01", []string{"valid_to 2012-01-01 is not after valid_from"}},
		{"customer", "NOBODY", []string{`column customer: "NOBODY"`, "import the customer first"}},
	} {
		row := append([]string(nil), good...)
		row[at[c.column]] = c.value
		b.refuse(imports.Tariffs, csvOf(customerTariff, strings.Join(good, ","), strings.Join(row, ",")), append(c.parts, "line 3")...)
	}
	row := append([]string(nil), good...)
	row[at["tax_rate"]], row[at["currency"]] = "20", "EURO"
	b.refuse(imports.Tariffs, csvOf(customerTariff, strings.Join(row, ",")),
		`file.csv: line 2: tariff "LAND": currency "EURO"`, `file.csv: line 2: tariff "LAND": tax_rate 20`) // each with its place
	assert.Equal(t, "0", b.value(`SELECT count(*)::text FROM tariffs`))
}

// A rule that ends on 30 June, excluded, before one that begins on 1 July leaves a day free.
func TestTariffsWarnsOfDaysWithoutARule(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 1, 0, 0, "code,name,billing_frequency", "ACME,Acme,monthly")
	warnings := func(lines ...string) []string {
		t.Helper()
		for i, line := range lines { // code, airport, customer, band_from, band_to, valid_from, valid_to
			cells := strings.Split(line, " ")
			for j := range cells {
				cells[j] = strings.Trim(cells[j], ".")
			}
			lines[i] = cells[0] + ",,per_flight," + cells[1] + ",any," + cells[3] + "," + cells[4] + ",5,0,EUR,0," + cells[5] + "," + cells[6] + "," + cells[2]
		}
		result, err := b.read(imports.Tariffs, strings.NewReader(csvOf(append([]string{customerTariff}, lines...)...)))
		require.NoError(t, err)
		return result.Warnings
	}
	require.Equal(t, []string{
		`file.csv: tariff "LAND" for every customer at airport "EIDW": no rule is valid on 2026-06-30, between the rule of line 2 (valid from 2026-01-01 to 2026-06-30) ` +
			`and the rule of line 3 (valid from 2026-07-01), so flights then go without it; valid_to is the first day on which a rule is no longer valid`,
	}, warnings("LAND EIDW . . . 2026-01-01 2026-06-30", "LAND EIDW . . . 2026-07-01 ."))
	require.Len(t, warnings("TAXI EIDW . . . 2026-01-01 2026-06-30", "Taxi eidw . . . 2026-07-01 ."), 1, "however it is written")
	require.Empty(t, warnings("PARK . . . . 2026-01-01 2026-07-01", "PARK . . . . 2026-07-01 ."), "another code's are not looked at")
	require.Empty(t, warnings(
		"A EIDW . . . 2026-01-01 2026-06-30", "A EGLL . . . 2026-07-01 .", // other airports,
		"A . ACME . . 2026-01-01 2026-06-30", "A . . . . 2026-07-01 .", // customers
		"A EGCC . . 10 2026-01-01 2026-06-30", "A EGCC . 10 . 2026-07-01 .")) // and bands
	// Bands that are cut otherwise from July on: the light ones are a day short, and with
	// the rule of the day between them nobody is.
	light := warnings("B . . . . 2026-01-01 2026-06-30", "B . . . 50 2026-07-01 2026-08-01", "B . . 50 . 2026-06-30 .")
	require.Len(t, light, 1)
	require.Contains(t, light[0], "on 2026-06-30, between the rule of line 2 (valid from 2026-01-01 to 2026-06-30) and the rule of line 3 (up to 50 t, valid from")
	require.Empty(t, warnings("B . . . 50 2026-06-30 2026-07-01"))
	later := warnings("B . . . 50 2026-08-11 2026-09-01")
	require.Len(t, later, 1)
	require.Contains(t, later[0], `every airport: no rule is valid from 2026-08-01 to 2026-08-10, between the rule of the database (up to 50 t, valid from 2026-07-01 to 2026-08-01)`)

	var seasons []string
	for year := 2001; year < 2020; year++ {
		seasons = append(seasons, fmt.Sprintf("WINTER . . . . %d-11-01 %d-03-01", year, year+1))
	}
	many := warnings(seasons...)
	require.Len(t, many, 11)
	require.Equal(t, "file.csv: and 8 more of these", many[10])
}

// Percentages and top-ups are checked with what the database has.
func TestTariffsChecksThemTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const header = tariffHeader + ",of"
	b.refuse(imports.Tariffs, csvOf(header, "NIGHT,,percent,,any,,,0.5,,EUR,0,2025-01-01,,LANDING"),
		`file.csv: line 2: tariff "NIGHT": of "LANDING" is the code of no tariff`)
	b.load(imports.Tariffs, 2, 0, 0, header, "NIGHT,,percent,,any,,,0.5,,EUR,0,2025-01-01,,landing", "LANDING,,per_flight,,any,,,5,,EUR,0,2025-01-01,,")
	b.refuse(imports.Tariffs, csvOf(header, "LANDING,,per_flight,EIDW,arrival,,,5,,USD,0,2026-01-01,,"),
		`file.csv: with this file, tariff "NIGHT" of the database from 2025-01-01: of "landing" is charged in USD, and this tariff in EUR`)
	b.refuse(imports.Tariffs, csvOf(header, "LANDING,,percent,,any,,,0.5,,EUR,0,2025-01-01,,NIGHT"), `file.csv: line 2: tariff "LANDING": of `)
	// What was wrong before is not this file's.
	_, err := b.owner.Exec(t.Context(), `UPDATE tariffs SET "of" = '{NOTHING}' WHERE code = 'NIGHT'`)
	require.NoError(t, err)
	b.load(imports.Tariffs, 1, 0, 0, header, "OTHER,,per_flight,,any,,,5,,EUR,0,2025-01-01,,")
}

// A name that nothing has is rather misspelt.
// Text where a number counts is told of whichever file comes first, the flights' or the tariffs'.
func TestWarnsOfTextWhereANumberCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	read := func(kind imports.Kind, lines ...string) []string {
		t.Helper()
		result, err := b.read(kind, strings.NewReader(csvOf(lines...)))
		require.NoError(t, err)
		return result.Warnings
	}
	require.Empty(t, read(imports.Flights, flightHeader+",fact.seats,fact.noise_class,fact.nox", "F1,,,,,,,,,,,many,A,8", `F2,,,,,,,,,,,"180",B,N/A`))
	const counts = " counts here, and a flight, an aircraft or a type of aircraft has it as text: where the tariff applies, such a flight cannot be billed"
	require.Equal(t, []string{
		`file.csv: line 2: column when: the fact "noise_class"` + counts,
		`file.csv: line 2: column times: the fact "seats"` + counts,
	}, read(imports.Tariffs, tariffHeader+",when,of,times", "A,,per_unit,,any,,,5,,EUR,0,2025-01-01,,noise_class>=3,nox,seats"))
	const write = ` is text, and tariff "A" counts it: write a number, or nothing where it is not known`
	require.Equal(t, []string{`file.csv: line 3: column fact.seats: "few"` + write},
		read(imports.Flights, flightHeader+",fact.seats,fact.stand", "F3,,,,,,,,,,,12,remote", "F4,,,,,,,,,,,few,"))
	require.Equal(t, []string{`file.csv: line 2: column fact.nox: "low"` + write}, read(imports.Aircraft, "registration,fact.nox", "G-OWN,low"))
	require.Equal(t, []string{`file.csv: line 2: column fact.nox: "low"` + write}, read(imports.AircraftTypes, "aircraft_type,fact.nox", "A320,low"))
}

func TestTariffsWarnsOfUnknownFacts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const header = tariffHeader + ",when,of,times,band_of,band_mode"
	warnings := func(sourceFacts ...string) []string {
		t.Helper()
		result, err := imports.Load(t.Context(), b.pool, imports.Tariffs, "file.csv", strings.NewReader(csvOf(header,
			"A,,per_unit,,any,,100,5,,EUR,0,2025-01-01,,noise_class=A; international=yes; mtow_kg<2000,pax_dep+passengers,tonnes,seats,whole",
			"B,,per_unit,,any,,,5,,EUR,0,2025-01-01,,noise_class=B; stand absent,nox,engines,,")), nil, sourceFacts...)
		require.NoError(t, err)
		return result.Warnings
	}
	const asks = ` yet; is it spelt as the flight source has it?`
	require.Equal(t, []string{
		`file.csv: line 2: column when: no flight, aircraft or type of aircraft has a fact "noise_class"` + asks,
		`file.csv: line 2: column of: no flight, aircraft or type of aircraft has a fact "pax_dep"` + asks,
		`file.csv: line 2: column band_of: no flight, aircraft or type of aircraft has a fact "seats"` + asks,
		`file.csv: line 3: column when: no flight, aircraft or type of aircraft has a fact "stand"` + asks,
		`file.csv: line 3: column of: no flight, aircraft or type of aircraft has a fact "nox"` + asks,
		`file.csv: line 3: column times: no flight, aircraft or type of aircraft has a fact "engines"` + asks,
	}, warnings())
	b.load(imports.Flights, 1, 0, 0, flightHeader+",fact.pax_dep", "F1,,,,,,,,,,,0")
	b.load(imports.Aircraft, 1, 0, 0, "registration,fact.noise_class", "G-OWN,B")
	b.load(imports.AircraftTypes, 1, 0, 0, "aircraft_type,fact.seats", "A320,180")
	b.load(imports.Customers, 1, 0, 0, "code,name,billing_frequency", "ACME,Acme,monthly")
	_, err := b.owner.Exec(t.Context(), `INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at) VALUES ('F9', 1, '2025-01-01', '{"facts": {"nox": 8}}', now())`)
	require.NoError(t, err)
	require.Equal(t, []string{`file.csv: line 3: column when: no flight, aircraft or type of aircraft has a fact "stand"` + asks}, warnings("engines"))
}

// 7.5 is rather 7.5 % than 750 %.
func TestTariffsWarnsOfHighPercentages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	result, err := b.read(imports.Tariffs, strings.NewReader(csvOf(tariffHeader+",of",
		"LAND,,per_flight,,any,,,5,,USD,0,2012-01-01,,", "TWICE,,percent,,any,,,1,,USD,0,2012-01-01,,LAND",
		"FUEL,,percent,,any,,,7.5,,USD,0,2012-01-01,,LAND", "LESS,,percent,,any,,,-1.5,,USD,0,2012-01-01,,LAND")))
	require.NoError(t, err)
	require.Equal(t, []string{
		"file.csv: line 4: column unit_rate: 7.5 is 750 % of the charges in of; write 7.5 % as 0.075",
		"file.csv: line 5: column unit_rate: -1.5 is -150 % of the charges in of; write -1.5 % as -0.015",
	}, result.Warnings)
}

func TestTariffsWarnsOfHighTax(t *testing.T) {
	t.Parallel()
	b := setup(t)
	result, err := b.read(imports.Tariffs, strings.NewReader(csvOf(tariffHeader,
		"LAND,Landing,per_flight,,any,,,5,0,USD,0.49,2012-01-01,", "PARK,Parking,per_flight,,any,,,5,0,USD,0.50,2012-01-01,")))
	require.NoError(t, err)
	require.Equal(t, []string{"file.csv: line 3: column tax_rate: 0.5 is 50 %; write 20 % as 0.20"}, result.Warnings)
}

// What e-invoices do not take is said, and imported all the same.
func TestTariffsWarnsOfReasonsAndUnits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	result, err := b.read(imports.Tariffs, strings.NewReader(csvOf(tariffHeader+",tax_category,tax_reason,unit_code",
		"A,,per_flight,,any,,,5,,EUR,0,2012-01-01,,exempt,VATEX-EU-148-G,C62", "B,,per_flight,,any,,,5,,EUR,0,2012-01-01,,exempt,,",
		"C,,per_flight,,any,,,5,,EUR,0,2012-01-01,,zero,Article 148,XYZ")))
	require.NoError(t, err)
	require.EqualValues(t, 3, result.Added)
	require.Equal(t, []string{
		"file.csv: line 3: tax_reason is empty, and an e-invoice with tax_category exempt needs one (BR-E-10): write it in words, or a code such as VATEX-EU-148-G (for the needs of aircraft of international air traffic)",
		`file.csv: line 4: tax_reason "Article 148" is not allowed on an e-invoice with tax_category zero (BR-Z-10): leave it empty, or write tax_category exempt`,
		`file.csv: line 4: column unit_code: "XYZ" is not among the units that flights are charged in; is it one of UN/ECE recommendation 20?`,
	}, result.Warnings)
}
