package billing_test

import (
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

func TestZeroIsValue(t *testing.T) {
	t.Parallel()
	zeros := func() billing.Flight {
		return billing.Flight{MTOWKg: new(int64(0)), DistanceKm: new(decimal.RequireFromString("0.00")), Passengers: new(int64(0))}
	}
	for setting, kept := range map[string][2]bool{ // distance, passengers
		"": {false, false}, "passengers": {false, true}, "distance_km ,": {true, false}, "distance_km,passengers": {true, true},
	} {
		z, err := billing.ParseZeroIsValue(setting)
		require.NoError(t, err)
		f := zeros()
		z.Read(&f)
		require.Nil(t, f.MTOWKg, setting)
		got := [2]bool{f.DistanceKm != nil, f.Passengers != nil}
		require.Equal(t, kept, got, setting)

		f = flight()
		z.Read(&f)
		require.Equal(t, flight(), f)
		none := billing.Flight{}
		z.Read(&none)
		require.Equal(t, billing.Flight{}, none)
	}
	for setting, wrong := range map[string]string{"mtow_kg": `"mtow_kg" is not one of distance_km, passengers`, "passengers;distance_km": "is not one of"} {
		_, err := billing.ParseZeroIsValue(setting)
		require.ErrorContains(t, err, wrong)
	}
}
