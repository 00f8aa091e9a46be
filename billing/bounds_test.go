package billing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

func TestWhatIsBeyondTheBoundsIsRefused(t *testing.T) {
	t.Parallel()

	lasting := func(d time.Duration) func(*billing.Flight) {
		return func(f *billing.Flight) { f.DepartedAt = new(f.LandedAt.Add(-d)) }
	}
	wider := billing.Bounds{MTOWKg: 900_000, DistanceKm: 40_000, Passengers: 2_000, FlightTime: 100 * time.Hour}
	for _, tc := range []struct {
		at, above func(*billing.Flight) // the most that can be, and a little more
		parts     []string
	}{
		{mass(700_000), mass(700_001), []string{"700001 kg, above 700000 kg (FLIGHTBILL_MAX_MTOW_KG): grams or pounds? kg are needed"}},
		{distance("25000"), distance("25000.1"), []string{"25000.1 km, above 25000 km (FLIGHTBILL_MAX_DISTANCE_KM): metres?"}},
		{passengers(1_500), passengers(1_501), []string{"1501 passengers, above 1500 (FLIGHTBILL_MAX_PASSENGERS)"}},
		{lasting(72 * time.Hour), lasting(72*time.Hour + time.Second), []string{"2026-11-20T09:59:59Z", "more than 72 hours after", "FLIGHTBILL_MAX_FLIGHT_TIME", "another day"}},
	} {
		tariffs := []billing.Tariff{tariff(1, "A")}
		_, err := priceOf(flight(tc.at), acme, date(t, landingDay), tariffs, billing.Bounds{})
		require.NoError(t, err)
		_, err = priceOf(flight(tc.above), acme, date(t, landingDay), tariffs, billing.Bounds{})
		requireRefused(t, err, billing.Refused, billing.ReasonUnusableFacts, append(tc.parts, "correct it in the flight source")...)
		_, err = priceOf(flight(tc.above), acme, date(t, landingDay), tariffs, wider)
		require.NoError(t, err, "a setting")
	}

	// A band is no reason to speak of tariffs.
	_, err := priceOf(flight(mass(7_008_000)), acme, date(t, landingDay), []billing.Tariff{tariff(1, "A", band("", "700"))}, billing.Bounds{})
	requireRefused(t, err, billing.Refused, billing.ReasonUnusableFacts, "7008000 kg")

	_, err = priceOf(flight(distance("1e300")), acme, date(t, landingDay), []billing.Tariff{tariff(1, "A")}, billing.Bounds{})
	requireRefused(t, err, billing.Refused, billing.ReasonUnusableFacts, "000… km, above")
	require.Less(t, len(err.Error()), 300)
}

func TestLandingTimeInAnotherUnitIsRefused(t *testing.T) {
	t.Parallel()

	now := at(t, "2026-11-28T12:00:00Z")
	landing := func(s string) billing.Flight {
		return flight(func(f *billing.Flight) { f.LandedAt = new(at(t, s)) })
	}
	require.NoError(t, billing.CheckMoved(landing("1990-01-01T00:00:00Z"), now))
	for epoch, hint := range map[time.Time]string{
		time.UnixMilli(now.Unix()):          "1970-01-21T18:51:07Z, before 1990: seconds? milliseconds are needed", // seconds
		at(t, "1989-12-31T23:59:59Z"):       "before 1990",
		now.Add(2 * 367 * 24 * time.Hour):   "years ahead: microseconds? milliseconds are needed",
		time.UnixMilli(now.UnixMilli() * 8): "years ahead",
	} {
		f := flight(func(f *billing.Flight) { f.LandedAt = &epoch })
		requireRefused(t, billing.CheckMoved(f, now), billing.Refused, billing.ReasonUnusableFacts, hint, "flight ACM12-20261123-KJFK")
	}
	requireRefused(t, billing.CheckMoved(landing("2027-11-28T12:00:00Z"), now), billing.NotYet, billing.ReasonNotLanded)
}
