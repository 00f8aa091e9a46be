package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return at
}

func TestAtRunTime(t *testing.T) {
	t.Parallel()
	london, err := time.LoadLocation("Europe/London")
	require.NoError(t, err)
	calendar := billing.Calendar{Location: london, Close: billing.PeriodEnd, Start: billing.NewDate(2026, 1, 1)}
	schedule := atRunTime(func() (billing.Calendar, bool) { return calendar, true })
	for _, c := range []struct {
		name, from string
		next       []string
	}{
		// 01:00 is skipped: the clocks go from 00:59:59 to 02:00.
		{"spring", "2027-03-26T12:00:00Z", []string{"2027-03-27T01:00:00Z", "2027-03-28T01:00:00Z", "2027-03-29T00:00:00Z"}},
		// 01:00 comes twice, 00:00 and 01:00 UTC.
		{"autumn", "2027-10-29T12:00:00Z", []string{"2027-10-30T00:00:00Z", "2027-10-31T00:00:00Z", "2027-11-01T01:00:00Z"}},
		{"before the billing start", "2025-06-01T00:00:00Z", []string{"2026-01-01T01:00:00Z"}},
	} {
		at := instant(t, c.from)
		for _, want := range c.next {
			at = schedule.Next(at)
			require.Equal(t, instant(t, want), at.UTC(), c.name)
		}
	}

	unknown := atRunTime(func() (billing.Calendar, bool) { return billing.Calendar{}, false })
	at := instant(t, "2027-03-26T12:00:10Z")
	require.Equal(t, at.Add(time.Minute), unknown.Next(at), "asked again soon")
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
