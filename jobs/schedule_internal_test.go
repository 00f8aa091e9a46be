package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return at
}

func TestAtRunTime(t *testing.T) {
	t.Parallel()
	var book *db.PriceBook
	schedule := atRunTime(func() *db.PriceBook { return book })
	at := instant(t, "2027-03-26T12:00:10Z")
	require.Equal(t, at.Add(time.Minute), schedule.Next(at), "not known yet: asked again soon")
	book = &db.PriceBook{Calendar: billing.Calendar{Location: time.UTC, Start: billing.NewDate(2026, 1, 1)}}
	require.Equal(t, instant(t, "2027-03-27T01:00:00Z"), schedule.Next(at))
}

func TestEveryIsAligned(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		interval   time.Duration
		from, want string
	}{
		{time.Minute, "2026-03-04T12:00:00Z", "2026-03-04T12:01:00Z"},
		{time.Minute, "2026-03-04T12:00:59.999Z", "2026-03-04T12:01:00Z"},
		{time.Hour, "2026-03-04T12:34:56Z", "2026-03-04T13:00:00Z"},
		{time.Hour, "2026-03-04T23:00:00Z", "2026-03-05T00:00:00Z"},
	} {
		require.Equal(t, instant(t, c.want), every(c.interval).Next(instant(t, c.from)))
	}
}
