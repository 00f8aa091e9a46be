package db

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

func TestEncodeDeclared(t *testing.T) {
	t.Parallel()
	declared := map[string]billing.Declared{
		"mtow_kg": {Value: billing.TextFact("73500.50"), From: `aircraft "G\ABCD"`}, "noise_class": {Value: billing.TextFact("Ä\n<\"b\">"), From: "aircraft type A320"},
	}
	text, err := encodeDeclared(declared)
	require.NoError(t, err)
	want, err := json.Marshal(declared)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(text))
}
