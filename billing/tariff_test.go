package billing_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

func TestParseTariffNames(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"per_flight", "per_tonne", "per_km", "per_passenger", "route", "terminal"} {
		b, err := billing.ParseBasis(name)
		require.NoError(t, err)
		assert.Equal(t, name, string(b))
	}
	for _, name := range []string{"departure", "arrival", "any"} {
		a, err := billing.ParseAppliesTo(name)
		require.NoError(t, err)
		assert.Equal(t, name, string(a))
	}
	_, err := billing.ParseBasis("per_ton")
	require.ErrorContains(t, err, `basis "per_ton" is not known`)
	_, err = billing.ParseAppliesTo("")
	require.ErrorContains(t, err, `applies_to "" is not known`)
}

func TestValidate(t *testing.T) {
	t.Parallel()

	for _, good := range []billing.Tariff{
		tariff(1, "A"),
		tariff(1, "A", band("0", "136")),
		tariff(1, "A", band("136", "")),
		tariff(1, "A", band("999", "1000")),
		tariff(1, "A", func(t *billing.Tariff) { t.UnitRate, t.Minimum = dec("999999999999.99"), decPtr("999999999999.99") }),
		tariff(1, "A", func(t *billing.Tariff) { t.TaxRate = dec("1") }),
		tariff(1, "A", func(t *billing.Tariff) { t.UnitRate = dec("0") }),
		tariff(1, "A", func(t *billing.Tariff) { t.ValidTo = t.ValidFrom.AddDays(1) }),
	} {
		require.NoError(t, good.Validate())
	}

	for _, tc := range []struct {
		want   string
		change func(*billing.Tariff)
	}{
		{"code is empty", func(t *billing.Tariff) { t.Code = "" }},
		{`basis "x"`, func(t *billing.Tariff) { t.Basis = "x" }},
		{`applies_to "x"`, func(t *billing.Tariff) { t.AppliesTo = "x" }},
		{`currency "eur"`, func(t *billing.Tariff) { t.Currency = "eur" }},
		{"unit_rate -0.01 is negative", func(t *billing.Tariff) { t.UnitRate = dec("-0.01") }},
		{"minimum -1 is negative", func(t *billing.Tariff) { t.Minimum = decPtr("-1") }},
		{"tax_rate -0.2 is negative", func(t *billing.Tariff) { t.TaxRate = dec("-0.2") }},
		{"tax_rate 20 would be 2000 %", func(t *billing.Tariff) { t.TaxRate = dec("20") }},
		{"tax_rate 1.01 would be 101 %", func(t *billing.Tariff) { t.TaxRate = dec("1.01") }},
		{"unit_rate 1000000000000 has more than 12 digits", func(t *billing.Tariff) { t.UnitRate = dec("1000000000000") }},
		{"minimum 1000000000000.5 has more than 12 digits", func(t *billing.Tariff) { t.Minimum = decPtr("1000000000000.5") }},
		{"band_from 136000 is above 1000 t: kilograms?", band("136000", "")},
		{"band_to 5700 is above 1000 t: kilograms?", band("", "5700")},
		{"band_from -1 is negative", band("-1", "5")},
		{"band_to 5 is not above band_from 5", band("5", "5")},
		{"band_to 0 is not above band_from 0", band("", "0")},
		{"must be whole tonnes", band("", "5.7")},
		{"must be whole tonnes", band("5.7", "")},
		{"valid_from is empty", func(t *billing.Tariff) { t.ValidFrom = billing.Date{} }},
		{"valid_to 2020-01-01 is not after valid_from 2020-01-01", func(t *billing.Tariff) { t.ValidTo = t.ValidFrom }},
	} {
		bad := tariff(1, "LAND", tc.change)
		require.ErrorContains(t, bad.Validate(), tc.want)
	}

	worse := tariff(1, "LAND", band("5", "4"), func(t *billing.Tariff) { t.Basis, t.Currency = "x", "y" })
	err := worse.Validate()
	for _, part := range []string{`tariff "LAND"`, `basis "x"`, `currency "y"`, "band_to 4"} {
		require.ErrorContains(t, err, part, "everything at once")
	}
}
