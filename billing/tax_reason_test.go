package billing_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

func TestTaxReasonMisfit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		category billing.TaxCategory
		reason   string
		want     []string // nothing: it fits
	}{
		{"", "", nil},
		{billing.TaxStandard, "", nil},
		{billing.TaxZero, "", nil},
		{billing.TaxExempt, "Article 148", nil},
		{billing.TaxExempt, "VATEX-EU-148-G", nil},
		{billing.TaxExempt, "VATEX-FR-CGI261D-1BIS", nil},
		{billing.TaxReverseCharge, "VATEX-EU-AE", nil},
		{billing.TaxExport, "VATEX-EU-G", nil},
		{billing.TaxOutside, "VATEX-EU-O", nil},
		{billing.TaxExempt, "", []string{"tax_category exempt needs one (BR-E-10)", "VATEX-EU-148-G"}},
		{billing.TaxReverseCharge, "", []string{"BR-AE-10", "VATEX-EU-AE"}},
		{billing.TaxExport, "", []string{"BR-G-10", "VATEX-EU-G"}},
		{billing.TaxOutside, "", []string{"BR-O-10", "VATEX-EU-O"}},
		{billing.TaxZero, "Article 148", []string{`tax_reason "Article 148" is not allowed`, "BR-Z-10"}},
		{billing.TaxExempt, "VATEX-EU-148-H", []string{`"VATEX-EU-148-H" is not in the list`, "BR-CL-22"}},
		{billing.TaxExempt, "vatex-eu-148", []string{`"vatex-eu-148" is not in the list`}},
		{billing.TaxExempt, "VATEX-EU-AE", []string{"VATEX-EU-AE goes with tax_category reverse_charge, and not with exempt"}},
		{billing.TaxReverseCharge, "VATEX-EU-O", []string{"VATEX-EU-O goes with tax_category outside"}},
	} {
		got := (&billing.Tariff{TaxCategory: c.category, TaxReason: c.reason}).TaxReasonMisfit()
		if c.want == nil {
			require.Empty(t, got, "%+v", c)
		}
		for _, part := range c.want {
			require.Contains(t, got, part, "%+v", c)
		}
	}
}

func TestTariffUnitCodeAndAccount(t *testing.T) {
	t.Parallel()
	for unit, known := range map[string]bool{"C62": true, "TNE": true, "KGM": true, "KMT": true, "HUR": true, "MIN": true, "DAY": true, "MTQ": true, "KWH": true, "LTR": true, "NMI": true, "ABC": false} {
		require.Equal(t, known, billing.IsUnitCode(unit), unit)
		valid := tariff(1, "LANDING", func(t *billing.Tariff) { t.UnitCode, t.Account = unit, "8400" })
		require.NoError(t, valid.Validate())
	}
	for want, change := range map[string]func(*billing.Tariff){
		`unit_code "tonnes"`:           func(t *billing.Tariff) { t.UnitCode = "tonnes" },
		`account "8\n4" is not usable`: func(t *billing.Tariff) { t.Account = "8\n4" },
	} {
		wrong := tariff(1, "LANDING", change)
		require.ErrorContains(t, wrong.Validate(), want)
	}
}
