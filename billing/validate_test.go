package billing_test

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// Each column, what it may not be, and what the error says: the column, the value, and
// what is allowed.
func TestValidateColumns(t *testing.T) {
	t.Parallel()
	perUnit := func(t *billing.Tariff) { t.Basis, t.Of = billing.BasisPerUnit, []string{"nox_kg"} }
	formula := func(t *billing.Tariff) { t.Basis, t.MassPower = billing.BasisFormula, decPtr("0.5") }
	isPercent := func(rate string) func(*billing.Tariff) {
		return func(t *billing.Tariff) { t.Basis, t.Of, t.UnitRate = billing.BasisPercent, []string{"B"}, dec(rate) }
	}
	isTopUp := func(t *billing.Tariff) {
		t.Basis, t.Of, t.UnitRate, t.Minimum = billing.BasisTopUp, []string{"B"}, dec("1"), decPtr("5")
	}
	for _, good := range [][]func(*billing.Tariff){
		{perUnit, units("0.000000000001", "0"), times("engines")},
		{isPercent("-0.056")},
		{isPercent("10")},
		{isPercent("0.5"), func(t *billing.Tariff) { t.Maximum = decPtr("-5") }},
		{isTopUp},
		{isTopUp, func(t *billing.Tariff) { t.UnitRate = decimal.Zero }},
		{formula, func(t *billing.Tariff) { t.MassPower, t.Decimals = decPtr("3"), new(int32(6)) }},
		{fixed("-5"), minimum("0")},
		{basis(billing.BasisPerTonne, "1"), band("0.5", "5.5"), func(t *billing.Tariff) { t.TonneStep = dec("0.5") }},
		{basis(billing.BasisPerTonne, "1"), band("", "5.7"), func(t *billing.Tariff) { t.TonneRounding = billing.RoundNone }},
		{band("", "5700"), func(t *billing.Tariff) { t.BandOf = "kg" }},
		{func(t *billing.Tariff) { t.TaxCategory, t.TaxReason = billing.TaxExempt, "Article 148" }},
		{onlyDuring(t, "22:00-06:00"), func(t *billing.Tariff) { t.AppliesTo = billing.AppliesArrival }},
	} {
		tariff := tariff(1, "A", good...)
		require.NoError(t, tariff.Validate())
	}
	for _, tc := range []struct {
		changes []func(*billing.Tariff)
		want    []string
	}{
		{[]func(*billing.Tariff){onlyDuring(t, "22:00-06:00")}, []string{`during "22:00-06:00"`, "applies_to any", "arrival for the landing"}},
		{[]func(*billing.Tariff){of("nox_kg")}, []string{`of "nox_kg"`, "basis per_flight", "per_unit"}},
		{[]func(*billing.Tariff){basis(billing.BasisPerUnit, "1")}, []string{"of is empty", "facts"}},
		{[]func(*billing.Tariff){perUnit, of("Nox Kg")}, []string{`of "Nox Kg"`, "snake_case"}},
		{[]func(*billing.Tariff){perUnit, of("registration")}, []string{`of "registration" cannot count`}},
		{[]func(*billing.Tariff){perUnit, of("tonnes")}, []string{`of "tonnes" cannot count`}},
		{[]func(*billing.Tariff){perUnit, of("a", "a")}, []string{`of names "a" twice`}},
		{[]func(*billing.Tariff){basis(billing.BasisPercent, "0.5")}, []string{"of is empty", "codes"}},
		{[]func(*billing.Tariff){isPercent("0.5"), of("a")}, []string{`of "a" is the tariff's own code`}},
		{[]func(*billing.Tariff){formula, of("nm", "km")}, []string{`of "nm+km"`, "one distance"}},
		{[]func(*billing.Tariff){units("15", "")}, []string{"unit does not go with basis per_flight", "per_time"}},
		{[]func(*billing.Tariff){units("", "15")}, []string{"free does not go with basis per_flight"}},
		{[]func(*billing.Tariff){perUnit, units("-1", "")}, []string{"unit -1", "above 0"}},
		{[]func(*billing.Tariff){perUnit, units("0.0000000000001", "")}, []string{"unit 0.0000000000001", "12 decimals"}},
		{[]func(*billing.Tariff){perUnit, units("", "-1")}, []string{"free -1", "0 or more"}},
		{[]func(*billing.Tariff){perUnit, func(t *billing.Tariff) { t.FreeMode = "x" }}, []string{`free_mode "x"`, "deduct or threshold"}},
		{[]func(*billing.Tariff){perUnit, func(t *billing.Tariff) { t.Rounding = "x" }}, []string{`rounding "x"`, "up, nearest, down or none"}},
		{[]func(*billing.Tariff){times("Seats")}, []string{`times "Seats"`, "tonnes"}},
		{[]func(*billing.Tariff){isPercent("0.5"), times("seats")}, []string{`times "seats"`, "basis percent"}},
		{[]func(*billing.Tariff){func(t *billing.Tariff) { t.TonneKg = "907" }}, []string{`tonne_kg "907"`, "453.59237"}},
		{[]func(*billing.Tariff){func(t *billing.Tariff) { t.TonneRounding = "x" }}, []string{`tonne_rounding "x"`, "nearest"}},
		{[]func(*billing.Tariff){func(t *billing.Tariff) { t.TonneStep = dec("-1") }}, []string{"tonne_step -1", "above 0"}},
		{[]func(*billing.Tariff){func(t *billing.Tariff) { t.TonneStep = dec("1001") }}, []string{"tonne_step 1001", "1000 at most"}},
		{[]func(*billing.Tariff){basis(billing.BasisRoute, "1"), func(t *billing.Tariff) { t.TonneStep = dec("0.5") }}, []string{"tonne_step", "basis route", "formula"}},
		{[]func(*billing.Tariff){func(t *billing.Tariff) { t.BandOf = "kg" }}, []string{"band_of", "band_from or band_to"}},
		{[]func(*billing.Tariff){band("1", ""), func(t *billing.Tariff) { t.BandOf = "Seats" }}, []string{`band_of "Seats"`, "tonnes, kg, units"}},
		{[]func(*billing.Tariff){band("1", ""), func(t *billing.Tariff) { t.BandOf = "units" }}, []string{"band_of units", "basis per_flight"}},
		{[]func(*billing.Tariff){band("1", ""), func(t *billing.Tariff) { t.BandMode = "x" }}, []string{`band_mode "x"`, "marginal or whole"}},
		{[]func(*billing.Tariff){perUnit, band("1", ""), func(t *billing.Tariff) { t.BandMode = billing.BandMarginal }}, []string{"band_mode marginal", "band_of tonnes", "whole"}},
		{[]func(*billing.Tariff){basis(billing.BasisPerTonne, "1"), band("1.2", ""), func(t *billing.Tariff) { t.TonneStep = dec("0.5") }}, []string{"multiples of 0.5 tonnes"}},
		{[]func(*billing.Tariff){band("1000000000000", ""), func(t *billing.Tariff) { t.BandOf = "kg" }}, []string{"band_from and band_to have more than 12 digits"}},
		{[]func(*billing.Tariff){fixed("-5")}, []string{"fixed -5 is negative", "minimum"}},
		{[]func(*billing.Tariff){fixed("1000000000000")}, []string{"fixed 1000000000000 has more than 12 digits"}},
		{[]func(*billing.Tariff){func(t *billing.Tariff) { t.Factor = decPtr("-1") }}, []string{"factor -1 is negative"}},
		{[]func(*billing.Tariff){func(t *billing.Tariff) { t.Maximum = decPtr("-1") }}, []string{"maximum -1 is negative"}},
		{[]func(*billing.Tariff){minimum("5"), func(t *billing.Tariff) { t.Maximum = decPtr("4") }}, []string{"maximum 4 is below minimum 5"}},
		{[]func(*billing.Tariff){isPercent("-0.05"), minimum("0")}, []string{"minimum 0 would undo unit_rate -0.05", "leave minimum empty"}},
		{[]func(*billing.Tariff){isPercent("50")}, []string{"unit_rate 50 would be 5000 %", "0.5"}},
		{[]func(*billing.Tariff){isTopUp, func(t *billing.Tariff) { t.Minimum = nil }}, []string{"minimum is empty"}},
		{[]func(*billing.Tariff){isTopUp, func(t *billing.Tariff) { t.UnitRate = dec("2") }}, []string{"unit_rate 2", "top_up", "write 1"}},
		{[]func(*billing.Tariff){isTopUp, fixed("1")}, []string{"fixed", "top_up"}},
		{[]func(*billing.Tariff){func(t *billing.Tariff) { t.DistanceLess = dec("40") }}, []string{"distance_less does not go with basis per_flight"}},
		{[]func(*billing.Tariff){basis(billing.BasisRoute, "1"), func(t *billing.Tariff) { t.MassPower = decPtr("1") }}, []string{"mass_power does not go with basis route"}},
		{[]func(*billing.Tariff){basis(billing.BasisFormula, "1")}, []string{"distance_power and mass_power are both empty"}},
		{[]func(*billing.Tariff){formula, func(t *billing.Tariff) { t.MassPower = decPtr("0") }}, []string{"mass_power 0", "3 at most"}},
		{[]func(*billing.Tariff){formula, func(t *billing.Tariff) { t.DistancePower = decPtr("3.01") }}, []string{"distance_power 3.01", "3 at most"}},
		{[]func(*billing.Tariff){formula, func(t *billing.Tariff) { t.MassPower = decPtr("0.333") }}, []string{"mass_power 0.333", "2 decimals"}},
		{[]func(*billing.Tariff){formula, func(t *billing.Tariff) { t.MassUnit = dec("-1") }}, []string{"mass_unit -1", "above 0"}},
		{[]func(*billing.Tariff){formula, func(t *billing.Tariff) { t.DistanceUnit = dec("100") }}, []string{"distance_power is empty"}},
		{[]func(*billing.Tariff){formula, func(t *billing.Tariff) { t.DistancePower, t.MassPower, t.MassUnit = decPtr("1"), nil, dec("50") }}, []string{"mass_power is empty"}},
		{[]func(*billing.Tariff){formula, func(t *billing.Tariff) { t.Decimals = new(int32(12)) }}, []string{"decimals 12", "0 to 6"}},
		{[]func(*billing.Tariff){func(t *billing.Tariff) { t.TaxCategory = "vat" }}, []string{`tax_category "vat"`, "reverse_charge"}},
		{[]func(*billing.Tariff){func(t *billing.Tariff) { t.TaxCategory, t.TaxRate = billing.TaxExempt, dec("0.2") }}, []string{"tax_rate 0.2", "tax_category exempt"}},
		{[]func(*billing.Tariff){func(t *billing.Tariff) { t.TaxReason = "Article 148" }}, []string{`tax_reason "Article 148"`, "tax_category"}},
	} {
		bad := tariff(1, "A", tc.changes...)
		err := bad.Validate()
		for _, part := range append(tc.want, `tariff "A"`) {
			require.ErrorContains(t, err, part)
		}
		_, err = priceOf(flight(stay(time.Hour), facts("nox_kg", "1", "seats", "2", "a", "1", "nm", "5", "km", "5")), acme, date(t, landingDay), []billing.Tariff{bad}, billing.DefaultBounds)
		if bad.During.IsZero() { // needs an airport
			require.Error(t, err, "nothing is billed by it: %v", tc.want)
		}
	}
}
