package billing_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

func TestCodeForm(t *testing.T) {
	t.Parallel()
	for _, written := range []string{"G-OWN", "GOWN", "g-own", " G OWN ", "G\u2011OWN", "G\u00a0OWN", "g\u2013own\ufeff"} {
		require.Equal(t, "GOWN", billing.CodeForm(written), "%q", written)
		require.True(t, billing.SameCode("G-OWN", written), "%q", written)
	}
	require.False(t, billing.SameCode("LHR", "EGLL"))
	require.False(t, billing.SameCode("GOWN", "G0WN"))
	require.Equal(t, "Ä1", billing.CodeForm("Ä-1"), "other letters stay")
}

func TestCleanText(t *testing.T) {
	t.Parallel()
	for _, nothing := range []string{
		"", " ", "\u00a0", "NA", "na", " N/A ", "n.a.", "#N/A", "#na", "<NA>", "null", "NULL", "(null)", "<null>", `\N`, "None", "nil", "NaN", "nan", "-", "--", "\u2013",
	} {
		require.Empty(t, billing.CleanText(nothing), "%q", nothing)
	}
	for written, kept := range map[string]string{
		"LHR ": "LHR", "\u00a0GOWN\t": "GOWN", "G-OWN": "G-OWN", "NAN": "NAN", "NAX": "NAX", "0": "0", "N A": "N A", "Nonesuch Air": "Nonesuch Air", "lhr": "lhr",
	} {
		require.Equal(t, kept, billing.CleanText(written), "%q", written)
	}
}
