package db_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
)

func skewed(by time.Duration) *db.Clock {
	return db.NewClock(func() time.Time { return time.Now().Add(by) })
}

// A machine's clock may be wrong; what is written has the database's time all the same.
func TestClock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct {
		by   time.Duration
		says string
	}{
		{0, ""},
		{4 * time.Second, ""},
		{-4 * time.Second, ""},
		{6 * time.Second, "s ahead of the database's"},
		{-6 * time.Second, "s behind the database's"},
		{40 * 24 * time.Hour, "40.0 days ahead of the database's"},
	} {
		clock := skewed(c.by)
		require.WithinDuration(t, time.Now().Add(c.by), clock.Now(), 2*time.Second, "the machine's, before it is measured")
		err := clock.Check(t.Context(), b.pool, time.UTC)
		if c.says == "" {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, db.ErrClock)
			require.ErrorContains(t, err, c.says)
		}
		require.WithinDuration(t, get[time.Time](t, b, `SELECT clock_timestamp()`), clock.Now(), 2*time.Second, "%s", c.by)
		require.Nil(t, clock.NowOrNil())
	}
}

// What Go and Postgres make of a zone differs for some weeks of a year, or in one week of
// a year that is to come.
func TestClockZones(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, zone := range map[string]*time.Location{
		"the same":                    location(t, "Europe/London"),
		"the same, written otherwise": zoneOf(t, "Europe/London", "GMT0BST,M3.5.0/1,M10.5.0"),
		"without changes":             time.UTC,
	} {
		require.NoError(t, skewed(0).Check(t.Context(), b.pool, zone), name)
	}
	for name, zone := range map[string]*time.Location{
		"another offset all the year":           time.FixedZone("Europe/London", 3600),
		"in Ramadan":                            time.FixedZone("Africa/Casablanca", 3600),
		"where October has five Sundays":        zoneOf(t, "Europe/London", "GMT0BST,M3.5.0/1,M10.4.0"),
		"for an hour a year":                    zoneOf(t, "Europe/London", "GMT0BST,M3.5.0/2,M10.5.0"),
		"a change that Postgres knows not of":   zoneOf(t, "Africa/Lagos", "WAT-1WAST,M3.5.0,M3.5.1"),
		"a zone that Postgres does not know of": zoneOf(t, "Europe/Atlantis", "GMT0"),
	} {
		err := skewed(0).Check(t.Context(), b.pool, zone)
		require.ErrorIs(t, err, db.ErrClock, name)
		require.ErrorContains(t, err, zone.String(), name)
	}
}

func location(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	require.NoError(t, err)
	return zone
}

// zoneOf is a zone of a name that always has the rules of a TZ string: a file of format
// TZif 2 without a change in it.
func zoneOf(t *testing.T, name, rules string) *time.Location {
	t.Helper()
	var file bytes.Buffer
	for range 2 { // for old readers, for new ones
		file.WriteString("TZif2")
		file.Write(make([]byte, 15))
		require.NoError(t, binary.Write(&file, binary.BigEndian, []uint32{0, 0, 0, 0, 1, 4})) // one kind of time, four letters
		file.Write(append(make([]byte, 6), "GMT\x00"...))
	}
	file.WriteString("\n" + rules + "\n")
	zone, err := time.LoadLocationFromTZData(name, file.Bytes())
	require.NoError(t, err)
	return zone
}
