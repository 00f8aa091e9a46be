package billing_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

func during(t tb, text string) billing.During {
	t.Helper()
	d, err := billing.ParseDuring(text)
	require.NoError(t, err, text)
	return d
}

func TestDuringHolds(t *testing.T) {
	t.Parallel()
	// 2026-03-02 is a Monday.
	for _, test := range []struct{ during, inside, outside string }{
		{"", "Mo 00:00, Su 23:59", ""},
		{"22:00-06:00", "Mo 22:00, Mo 23:59, Tu 00:00, Tu 05:59, Mo 03:00, Su 23:00", "Mo 06:00, Mo 21:59, Mo 12:00"},
		{"07:00-09:00", "Mo 07:00, Su 08:59", "Mo 06:59, Mo 09:00"},
		{"00:00-24:00", "Mo 00:00, Mo 23:59, Su 23:59", ""},
		{"22:00-24:00", "Mo 22:00, Mo 23:59", "Tu 00:00, Mo 21:59"},
		{"22:00-00:00", "Mo 22:00, Mo 23:59", "Tu 00:00, Mo 21:59"},
		{"Mo-Fr 07:00-09:00", "Mo 07:00, Fr 08:59", "Sa 07:00, Su 08:00, Mo 09:00"},
		{"Fr 22:00-06:00", "Fr 22:00, Sa 05:59", "Fr 05:59, Sa 22:00, Sa 06:00"},
		{"Su 22:00-06:00", "Su 22:00, Mo 05:59", "Su 05:59, Mo 22:00, Mo 06:00"},
		{"Sa-Mo", "Sa 00:00, Su 12:00, Mo 23:59", "Tu 00:00, Fr 23:59"},
		{"Sa-Mo 22:00-02:00", "Sa 22:00, Su 01:59, Mo 22:00, Tu 01:59", "Sa 01:59, Tu 22:00, We 01:00"},
		{"We", "We 00:00, We 23:59", "Tu 23:59, Th 00:00"},
		{"Mo 06:00-07:00, Sa, 23:00-24:00", "Mo 06:30, Sa 03:00, Th 23:30", "Tu 06:30, Su 03:00"},
	} {
		d := during(t, test.during)
		for list, holds := range map[string]bool{test.inside: true, test.outside: false} {
			for moment := range strings.SplitSeq(list, ", ") {
				if moment == "" {
					continue
				}
				day := 2 + strings.Index("MoTuWeThFrSaSu", moment[:2])/2
				instant, err := time.Parse("2006-01-02 15:04", fmt.Sprintf("2026-03-%02d %s", day, moment[3:]))
				require.NoError(t, err)
				require.Equal(t, holds, d.Holds(instant), test.during+": "+moment)
				require.Equal(t, holds, d.Holds(instant.Add(59*time.Second+999*time.Millisecond)), test.during+": "+moment)
			}
		}
	}
}

// The wall clock alone counts: not whether it shows a time twice, or never.
func TestDuringWhereTheClockIsChanged(t *testing.T) {
	t.Parallel()
	london := zone(t, "Europe/London")
	for _, test := range []struct {
		during, utc string
		holds       bool
	}{
		// 2027-10-31: 01:30 comes twice, at 00:30 UTC and an hour later.
		{"01:30-01:31", "2027-10-31T00:30:00Z", true},
		{"01:30-01:31", "2027-10-31T01:30:00Z", true},
		{"Su 01:00-02:00", "2027-10-31T00:00:00Z", true},
		{"Su 01:00-02:00", "2027-10-31T01:59:59Z", true},
		{"Su 01:00-02:00", "2027-10-31T02:00:00Z", false},
		// 2027-03-28: 00:59:59 is followed by 02:00.
		{"01:00-02:00", "2027-03-28T00:59:59Z", false},
		{"01:00-02:00", "2027-03-28T01:00:00Z", false},
		{"Su 02:00-02:01", "2027-03-28T01:00:00Z", true},
		{"Sa 23:00-01:30", "2027-03-28T00:59:59Z", true},
		{"Sa 23:00-01:30", "2027-03-28T01:00:00Z", false},
	} {
		require.Equal(t, test.holds, during(t, test.during).Holds(at(t, test.utc).In(london)), test)
	}
}

func TestDuringIsWrittenInOneWay(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Mo-Fr 07:00-09:00, 22:00-06:00, Sa", during(t, " mo-FR   07:00-09:00,22:00-06:00 ,sa").String())
	require.True(t, during(t, " ").IsZero())
	key := func(text string) billing.RuleKey { return (&billing.Tariff{During: during(t, text)}).Key() }
	require.Equal(t, key("Mo-Fr 22:00-06:00"), key("mo-we 22:00-06:00, Th-Fr 23:00-06:00, Th-Fr 22:00-23:00"))
	require.NotEqual(t, key("Mo-Fr"), key("Mo-Th"))
	require.NotEqual(t, key(""), key("Mo-Su"), "which needs a clock")
}

func TestDuringRefuses(t *testing.T) {
	t.Parallel()
	const how = "write windows such as 22:00-06:00, Mo-Fr 07:00-09:00, or days such as Sa-Su"
	hours := func(text string) string {
		return `"` + text + `" is not a window: hours are 00:00 to 23:59 with two digits each, and 24:00 as an end; ` + how
	}
	for text, message := range map[string]string{
		"Mo,":               "character 4: there is no window: " + how,
		",":                 "character 1: there is no window: " + how,
		"Sa,  Di":           `character 6: "Di" is neither hours nor days: days are Mo Tu We Th Fr Sa Su; ` + how,
		"Mo-Tu-We":          `character 1: "Mo-Tu-We" is neither hours nor days: days are Mo Tu We Th Fr Sa Su; ` + how,
		"Mo-":               `character 1: "Mo-" is neither hours nor days: days are Mo Tu We Th Fr Sa Su; ` + how,
		"Mo-Mo":             "character 1: Mo-Mo begins and ends on one day: write Mo for that day, or no days for all",
		"Mo Tu":             `character 1: "Mo Tu" is not a window: ` + how,
		"Mo Tu 07:00-08:00": `character 1: "Mo Tu 07:00-08:00" is not a window: ` + how,
		"22:00":             "character 1: " + hours("22:00"),
		"22:00-":            "character 1: " + hours("22:00-"),
		"7:00-9:00":         "character 1: " + hours("7:00-9:00"),
		"07:00-09:60":       "character 1: " + hours("07:00-09:60"),
		"24:00-06:00":       "character 1: " + hours("24:00-06:00"),
		"07:00-24:01":       "character 1: " + hours("07:00-24:01"),
		"07:00-09:00-10:00": "character 1: " + hours("07:00-09:00-10:00"),
		"07:00–09:00":       "character 1: " + hours("07:00–09:00"),
		"06:00-06:00":       "character 1: 06:00-06:00 begins where it ends: write 00:00-24:00 for the whole day",
	} {
		_, err := billing.ParseDuring(text)
		require.EqualError(t, err, message, text)
	}
}

// A second way to tell: whether the day of the beginning, and the minutes since, are right.
func TestDuringByCounting(t *testing.T) {
	t.Parallel()
	days := []string{"Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"}
	rapid.Check(t, func(t *rapid.T) {
		first, count := rapid.IntRange(0, 6).Draw(t, "first"), rapid.IntRange(2, 7).Draw(t, "count")
		from := rapid.IntRange(0, 24*60-1).Draw(t, "from")
		length := rapid.IntRange(1, 24*60-1).Draw(t, "length")
		clock := func(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60%24, minute%60) }
		d := during(t, fmt.Sprintf("%s-%s %s-%s", days[first], days[(first+count-1)%7], clock(from), clock(from+length)))

		minute := rapid.IntRange(0, 7*24*60-1).Draw(t, "minute")
		holds := false
		for i := range count {
			since := minute - (first+i)*24*60 - from
			for since < 0 {
				since += 7 * 24 * 60
			}
			holds = holds || since < length
		}
		require.Equal(t, holds, d.Holds(time.Date(2026, 3, 2, 0, minute, 0, 0, time.UTC)))
	})
}
