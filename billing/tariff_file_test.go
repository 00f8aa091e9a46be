package billing_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

// cells returns what ReadTariff asks for.
func cells(row map[string]string) func(string) string {
	return func(column string) string { return row[column] }
}

// oldRow has the columns that a file has to have.
func oldRow(changes ...string) map[string]string {
	row := map[string]string{
		"code": "LANDING", "description": "Landing", "basis": "per_tonne", "airport": "EIDW", "applies_to": "arrival", "band_to": "136",
		"unit_rate": "5.50", "currency": "EUR", "tax_rate": "0.2", "valid_from": "2025-01-01",
	}
	for i := 0; i < len(changes); i += 2 {
		row[changes[i]] = changes[i+1]
	}
	return row
}

func TestReadTariffOfAnOldFile(t *testing.T) {
	t.Parallel()
	got, customer, wrong := billing.ReadTariff(cells(oldRow("customer", " ACME\u00a0", "valid_to", "NULL")))
	require.Empty(t, wrong)
	require.Equal(t, "ACME", customer)
	require.Equal(t, billing.Tariff{
		Code: "LANDING", Description: "Landing", Basis: billing.BasisPerTonne, Airport: "EIDW", AppliesTo: billing.AppliesArrival,
		BandTo: decPtr("136"), UnitRate: dec("5.50"), Currency: "EUR", TaxRate: dec("0.2"), ValidFrom: date(t, "2025-01-01"),
	}, got)
	require.NoError(t, got.Validate())
}

func TestReadTariffColumns(t *testing.T) {
	t.Parallel()
	got, _, wrong := billing.ReadTariff(cells(oldRow("basis", "per_time",
		"when", " stand!=remote; noise_class=A|B ", "during", "22:00-06:00", "of", "pax_dep + pax_transfer", "unit", "15", "free", "30", "free_mode", "threshold",
		"rounding", " none ", "times", "tonnes", "tonne_kg", "453.592370", "tonne_rounding", "none", "tonne_step", "0.5", "band_of", "kg", "band_mode", "whole",
		"fixed", "-1.5", "factor", "0", "maximum", "3220", "minimum_at_zero", "yes", "distance_less", "20", "distance_unit", "1.852", "distance_power", "1",
		"mass_unit", "50", "mass_power", "0.5", "decimals", "0", "tax_category", "exempt", "tax_reason", "Article 148",
		"unit_code", "MIN", "account", "8400-1")))
	require.Empty(t, wrong)
	when, err := billing.ParseWhen("stand!=remote; noise_class=A|B")
	require.NoError(t, err)
	during, err := billing.ParseDuring("22:00-06:00")
	require.NoError(t, err)
	none := int32(0)
	require.Equal(t, billing.Tariff{
		Code: "LANDING", Description: "Landing", Basis: billing.BasisPerTime, Airport: "EIDW", AppliesTo: billing.AppliesArrival,
		BandTo: decPtr("136"), UnitRate: dec("5.50"), Currency: "EUR", TaxRate: dec("0.2"), ValidFrom: date(t, "2025-01-01"),
		When: when, During: during, Of: []string{"pax_dep", "pax_transfer"}, Unit: dec("15"), Free: dec("30"), FreeMode: billing.FreeThreshold,
		Rounding: billing.RoundNone, Times: "tonnes", TonneKg: billing.TonneLb, TonneRounding: billing.RoundNone, TonneStep: dec("0.5"),
		BandOf: "kg", BandMode: billing.BandWhole, Fixed: dec("-1.5"), Factor: decPtr("0"), Maximum: decPtr("3220"), MinimumAtZero: true,
		DistanceLess: dec("20"), DistanceUnit: dec("1.852"), DistancePower: decPtr("1"), MassUnit: dec("50"), MassPower: decPtr("0.5"),
		Decimals: &none, TaxCategory: billing.TaxExempt, TaxReason: "Article 148", UnitCode: "MIN", Account: "8400-1",
	}, got)
	require.Len(t, billing.TariffColumns, len(billing.WriteTariff(&got, "")))
}

func TestReadTariffSaysWhatIsAllowed(t *testing.T) {
	t.Parallel()
	var manyNames strings.Builder
	for i := range 50 {
		fmt.Fprintf(&manyNames, "+f%d", i)
	}
	for _, c := range []struct{ column, value, want string }{
		{"code", "", "give the tariff a short name"},
		{"code", "A+B", "without a +"},
		{"airport", "LHR;LGW", "one airport"},
		{"unit_rate", "", "an amount such as 5.50"},
		{"unit_rate", "1e9", "an amount such as 5.50"},
		{"tax_rate", "20%", "20 % is 0.20"},
		{"valid_from", "", "YYYY-MM-DD"},
		{"valid_to", "2025-02-30", "YYYY-MM-DD"},
		{"of", "a++b", "something is missing"},
		{"of", "a+NA", "something is missing"},
		{"of", "landing+ Landing", `"Landing" is there twice`},
		{"of", "a" + manyNames.String(), "50 names at most"},
		{"unit", "0", "above 0"},
		{"unit", "-1", "above 0"},
		{"unit", "1000000000000", "above 0"},
		{"free", "-1", "0 or more"},
		{"free_mode", "Deduct", "write deduct or threshold"},
		{"rounding", "ceil", "write up, nearest, down or none"},
		{"tonne_rounding", "floor", "write up, nearest, down or none"},
		{"rounding", "None", "write none in small letters"},
		{"tonne_rounding", " NONE", "write none in small letters"},
		{"tonne_kg", "907.18474", "453.59237"},
		{"tonne_step", "0", "up to 1000"},
		{"tonne_step", "1000.1", "up to 1000"},
		{"band_mode", "part", "write marginal or whole"},
		{"fixed", "ten", "an amount such as 5.50"},
		{"factor", "-0.5", "0 or more"},
		{"maximum", "-1000000000000", "an amount such as 5.50"},
		{"minimum_at_zero", "true", "write yes, no"},
		{"distance_less", "-1", "0 or more"},
		{"distance_unit", "0", "above 0"},
		{"distance_power", "0", "up to 3"},
		{"distance_power", "3.01", "up to 3"},
		{"mass_unit", "0", "above 0"},
		{"mass_power", "0.333", "two decimals at most"},
		{"decimals", "12", "write 0 to 6"},
		{"decimals", "1.5", "write 0 to 6"},
		{"decimals", "-1", "write 0 to 6"},
		{"tax_category", "free", "write standard, zero, exempt, reverse_charge, export or outside"},
		{"unit_code", "tonnes", "such as TNE"},
		{"unit_code", "tne", "2 or 3 capitals"},
		{"account", strings.Repeat("8", 65), "64 characters at most"},
		{"account", "84\x0700", "without control characters"},
	} {
		_, _, wrong := billing.ReadTariff(cells(oldRow(c.column, c.value)))
		require.Len(t, wrong, 1, "%+v", c)
		require.Equal(t, c.column, wrong[0].Column)
		require.Contains(t, wrong[0].Expected, c.want)
	}
	_, _, wrong := billing.ReadTariff(cells(oldRow("basis", "top_up", "unit_rate", "2")))
	require.Equal(t, []billing.ColumnError{{"unit_rate", "write nothing: a top_up has no rate"}}, wrong)
	_, _, wrong = billing.ReadTariff(cells(oldRow("basis", "top_up", "unit_rate", "")))
	require.Empty(t, wrong)
}

// drawTariff draws a tariff as a file can say it, whether or not it makes sense.
func drawTariff(t *rapid.T) billing.Tariff {
	number := func(label string) decimal.Decimal { return drawDecimal(t, 9, 5, label) }
	maybe := func(label string) *decimal.Decimal {
		if rapid.Bool().Draw(t, label+" given") {
			d := number(label)
			return &d
		}
		return nil
	}
	above0 := func(label string) decimal.Decimal {
		return decimal.New(rapid.Int64Range(0, 99_999).Draw(t, label), -2)
	}
	power := func(label string) *decimal.Decimal {
		if hundredths := rapid.Int64Range(0, 300).Draw(t, label); hundredths > 0 {
			d := decimal.New(hundredths, -2)
			return &d
		}
		return nil
	}
	name := rapid.StringMatching(`([a-mo-z][a-z_0-9]{0,8})?`)
	when, err := billing.ParseWhen(rapid.SampledFrom([]string{"", "noise_class=A|B; stand!=remote", "seats>=30"}).Draw(t, "when"))
	require.NoError(t, err)
	during, err := billing.ParseDuring(rapid.SampledFrom([]string{"", "22:00-06:00", "Mo-Fr 07:00-09:00"}).Draw(t, "during"))
	require.NoError(t, err)
	tariff := billing.Tariff{
		Code:        rapid.StringMatching(`[A-MO-Z][A-Z .=@_-]{0,8}[A-Z]`).Draw(t, "code"),
		Description: rapid.StringMatching(`([=@+a-mo-z"][ ,"a-z]{0,8}[a-z])?`).Draw(t, "description"),
		Basis: rapid.SampledFrom([]billing.Basis{
			billing.BasisPerFlight, billing.BasisPerTonne, billing.BasisPerUnit, billing.BasisPerTime, billing.BasisFormula, billing.BasisPercent,
		}).Draw(t, "basis"),
		Airport: rapid.StringMatching(`([A-MO-Z]{3,4})?`).Draw(t, "airport"), AppliesTo: billing.AppliesAny,
		BandFrom: maybe("band_from"), BandTo: maybe("band_to"), UnitRate: number("unit_rate"), Minimum: maybe("minimum"), Currency: "EUR",
		TaxRate: number("tax_rate"), ValidFrom: date(t, "2025-01-01"),
		ValidTo: date(t, rapid.SampledFrom([]string{"", "2026-02-28"}).Draw(t, "valid_to")),
		When:    when, During: during,
		Unit: above0("unit"), Free: number("free"), FreeMode: rapid.SampledFrom([]billing.FreeMode{"", billing.FreeDeduct, billing.FreeThreshold}).Draw(t, "free_mode"),
		Rounding: drawRounding(t, "rounding"), Times: name.Draw(t, "times"),
		TonneKg:       rapid.SampledFrom([]billing.TonneKg{"", billing.TonneMetric, billing.TonneLb}).Draw(t, "tonne_kg"),
		TonneRounding: drawRounding(t, "tonne_rounding"), TonneStep: above0("tonne_step"), BandOf: name.Draw(t, "band_of"),
		BandMode: rapid.SampledFrom([]billing.BandMode{"", billing.BandMarginal, billing.BandWhole}).Draw(t, "band_mode"),
		Fixed:    number("fixed").Neg(), Factor: maybe("factor"), Maximum: maybe("maximum"), MinimumAtZero: rapid.Bool().Draw(t, "minimum_at_zero"),
		DistanceLess: above0("distance_less"), DistanceUnit: above0("distance_unit"), DistancePower: power("distance_power"),
		MassUnit: above0("mass_unit"), MassPower: power("mass_power"),
		TaxCategory: rapid.SampledFrom([]billing.TaxCategory{"", billing.TaxStandard, billing.TaxOutside}).Draw(t, "tax_category"),
		TaxReason:   name.Draw(t, "tax_reason"),
		UnitCode:    rapid.StringMatching(`([A-MO-Z0-9]{2,3})?`).Draw(t, "unit_code"), Account: rapid.StringMatching(`([0-9][0-9 ./-]{0,8}[0-9])?`).Draw(t, "account"),
	}
	tariff.Of = rapid.SliceOfNDistinct(rapid.StringMatching(`[A-MO-Z][A-Z0-9]{1,5}`), 0, 4, func(s string) string { return s }).Draw(t, "of")
	if n := rapid.Int32Range(-1, 6).Draw(t, "decimals"); n >= 0 {
		tariff.Decimals = &n
	}
	return tariff
}

func drawRounding(t *rapid.T, label string) billing.Rounding {
	return rapid.SampledFrom([]billing.Rounding{"", billing.RoundUp, billing.RoundNearest, billing.RoundDown, billing.RoundNone}).Draw(t, label)
}

// What is written is read as the same, and written again as the same.
func TestTariffFileRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tariff := drawTariff(t)
		customer := rapid.SampledFrom([]string{"", "ACME"}).Draw(t, "customer")
		written := billing.WriteTariff(&tariff, customer)
		row := map[string]string{}
		for i, column := range billing.TariffColumns {
			row[column.Name] = written[i]
		}
		got, gotCustomer, wrong := billing.ReadTariff(cells(row))
		require.Empty(t, wrong)
		require.Equal(t, customer, gotCustomer)
		require.Equal(t, written, billing.WriteTariff(&got, gotCustomer))
		require.Equal(t, fieldsOf(tariff), fieldsOf(got))
	})
}

// fieldsOf returns the fields of a tariff by name, each as text.
func fieldsOf(tariff billing.Tariff) map[string]string {
	fields := map[string]string{}
	for field, value := range reflect.ValueOf(tariff).Fields() {
		if !field.IsExported() {
			continue
		}
		if value.Kind() == reflect.Pointer && !value.IsNil() {
			value = value.Elem()
		}
		fields[field.Name] = fmt.Sprintf("%v", value.Interface())
	}
	return fields
}
