package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzSettings: any setting with any value is taken or refused, and an error names it.
func FuzzSettings(f *testing.F) {
	all := settings()
	for i, s := range all {
		f.Add(byte(i), s.fallback)
		for _, value := range []string{"", "-1", "1e9", "24h", "99999999999999999999", "Europe/../etc", "passengers,distance_km", "2026-02-30", "\x1b"} {
			f.Add(byte(i), value)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, value string) {
		s := all[int(which)%len(all)]
		c, err := loadConfig(func(name string) (string, bool) { return value, name == s.name })
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), s.name+": "), "%v", err)
			return
		}
		require.True(t, 1 <= c.Workers && c.Workers <= 10_000 && 1 <= c.Batch && c.FlightWait >= 0)
		require.True(t, c.Bounds.MTOWKg > 0 && c.Bounds.DistanceKm > 0 && c.Bounds.Passengers > 0 && c.Bounds.FlightTime > 0)
	})
}
