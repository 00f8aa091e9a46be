package billing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

func TestParseNames(t *testing.T) {
	t.Parallel()

	for _, name := range []string{"period_end", "next_day"} {
		mode, err := billing.ParseCloseMode(name)
		require.NoError(t, err)
		assert.Equal(t, name, string(mode))
	}
	for _, name := range []string{"per_flight", "weekly", "monthly"} {
		frequency, err := billing.ParseFrequency(name)
		require.NoError(t, err)
		assert.Equal(t, name, string(frequency))
	}
	_, err := billing.ParseCloseMode("Period_End")
	require.ErrorContains(t, err, `"Period_End" is not known: write period_end or next_day`)
	_, err = billing.ParseFrequency("daily")
	require.ErrorContains(t, err, `"daily" is not known`)
}

func TestRunTime(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct{ day, zone, want string }{
		{"2026-11-23", "UTC", "2026-11-23T01:00:00Z"},
		{"2026-11-23", "Europe/Berlin", "2026-11-23T00:00:00Z"},
		{"2027-03-28", "Europe/London", "2027-03-28T01:00:00Z"}, // 01:00 missing: at 02:00 BST
		{"2027-10-31", "Europe/London", "2027-10-31T00:00:00Z"}, // twice: the first, BST
		{"2024-03-10", "America/Havana", "2024-03-10T05:00:00Z"},
		{"2024-11-03", "America/Havana", "2024-11-03T06:00:00Z"}, // 00:00 twice, 01:00 once
		{"2011-12-29", "Pacific/Apia", "2011-12-29T11:00:00Z"},
		{"2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z"}, // a day that never was
		{"2011-12-31", "Pacific/Apia", "2011-12-30T11:00:00Z"},
		{"1883-11-17", "America/New_York", "1883-11-17T05:56:02Z"}, // local mean time, −4:56:02
		{"2400-06-01", "Europe/London", "2400-06-01T00:00:00Z"},    // beyond the zone's table, under its rule
		{"2028-12-31", "America/New_York", "2028-12-31T06:00:00Z"}, // a rule's leap years: ZoneBounds is wrong
		{"2029-01-01", "America/New_York", "2029-01-01T06:00:00Z"},
		{"2041-01-01", "Pacific/Auckland", "2040-12-31T12:00:00Z"},
	} {
		calendar := billing.Calendar{Location: zone(t, tc.zone)}
		got := calendar.RunTime(date(t, tc.day))
		assert.Equal(t, tc.want, got.UTC().Format(time.RFC3339), "%+v", tc)
	}
}

func TestDueRuns(t *testing.T) {
	t.Parallel()

	london := billing.Calendar{Location: zone(t, "Europe/London"), Start: date(t, "2027-03-28")}
	apia := billing.Calendar{Location: zone(t, "Pacific/Apia"), Start: date(t, "2011-01-01")}
	juneau := billing.Calendar{Location: zone(t, "America/Juneau"), Start: date(t, "1867-01-01")}
	utc := billing.Calendar{Location: time.UTC, Start: date(t, "2026-11-23")}
	for _, tc := range []struct {
		calendar        billing.Calendar
		now, last, next string
	}{
		{utc, "2026-11-20T12:00:00Z", "", "2026-11-23T01:00:00Z"},
		{utc, "2026-11-23T00:30:00Z", "", "2026-11-23T01:00:00Z"}, // a start at 00:30 does not bill early
		{utc, "2026-11-23T00:59:59.999999999Z", "", "2026-11-23T01:00:00Z"},
		{utc, "2026-11-23T01:00:00Z", "2026-11-23", "2026-11-24T01:00:00Z"},
		{utc, "2026-11-24T00:30:00Z", "2026-11-23", "2026-11-24T01:00:00Z"},
		{london, "2027-03-28T00:59:59Z", "", "2027-03-28T01:00:00Z"},
		{london, "2027-03-28T01:00:00Z", "2027-03-28", "2027-03-29T00:00:00Z"},
		{london, "2027-10-31T00:00:00Z", "2027-10-31", "2027-11-01T01:00:00Z"},
		{london, "2027-10-31T01:00:00Z", "2027-10-31", "2027-11-01T01:00:00Z"}, // the second 01:00 is no run
		{apia, "2011-12-30T09:59:59Z", "2011-12-29", "2011-12-30T10:00:00Z"},
		{apia, "2011-12-30T10:00:00Z", "2011-12-30", "2011-12-30T11:00:00Z"},
		{apia, "2011-12-30T11:00:00Z", "2011-12-31", "2011-12-31T11:00:00Z"},
		// Alaska went back from the 19th to the 18th: the 19th had its run before.
		{juneau, "1867-10-19T00:31:12Z", "1867-10-19", "1867-10-20T09:57:41Z"},
		{juneau, "1867-10-19T00:31:13Z", "1867-10-19", "1867-10-20T09:57:41Z"},
	} {
		now := at(t, tc.now)
		assert.Equal(t, tc.last, tc.calendar.LastDueRun(now).String(), "last due at %s", tc.now)
		assert.Equal(t, tc.next, tc.calendar.NextRunTime(now).UTC().Format(time.RFC3339), "next after %s", tc.now)
	}
}

func TestClosingAndRunDates(t *testing.T) {
	t.Parallel()

	day := date(t, "2026-11-30")
	same := billing.Calendar{Close: billing.PeriodEnd, Start: day}
	assert.Equal(t, "2026-11-30", same.ClosingDate(day).String())
	assert.Equal(t, "2026-11-30", same.RunDate(day).String())
	assert.Equal(t, "2026-11-29", same.Baseline().String())

	next := billing.Calendar{Close: billing.NextDay, Start: day}
	assert.Equal(t, "2026-11-29", next.ClosingDate(day).String())
	assert.Equal(t, "2026-12-01", next.RunDate(day).String())
	assert.Equal(t, "2026-11-28", next.Baseline().String())
}

func TestNextClosing(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct {
		name        string
		cust        billing.Customer
		after, want string
	}{
		{"Sunday after a Monday", weekly(7), "2026-11-23", "2026-11-29"},
		{"a week after itself", weekly(7), "2026-11-29", "2026-12-06"},
		{"the day after", weekly(1), "2026-11-29", "2026-11-30"},
		{"end of this month", monthly(), "2026-11-29", "2026-11-30"},
		{"end of the next", monthly(), "2026-11-30", "2026-12-31"},
		{"over the year", monthly(), "2026-12-31", "2027-01-31"},
		{"February after the 31st", monthly(), "2027-01-31", "2027-02-28"},
		{"leap year", monthly(), "2028-01-31", "2028-02-29"},
		{"no periods", perFlight(), "2026-11-23", ""},
		{"no date", weekly(7), "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, billing.NextClosing(tc.cust, date(t, tc.after)).String())
		})
	}
}

func TestClosingDates(t *testing.T) {
	t.Parallel()

	list := func(cust billing.Customer, from, to string) []string {
		var dates []string
		for _, d := range billing.ClosingDates(cust, date(t, from), date(t, to)) {
			dates = append(dates, d.String())
		}
		return dates
	}
	assert.Equal(t, []string{"2026-11-22", "2026-11-29"}, list(weekly(7), "2026-11-22", "2026-11-29"), "both ends in")
	assert.Equal(t, []string{"2026-01-31", "2026-02-28", "2026-03-31"}, list(monthly(), "2026-01-01", "2026-03-31"))
	assert.Empty(t, list(monthly(), "2026-01-01", "2026-01-30"))
	assert.Empty(t, list(monthly(), "2026-03-31", "2026-01-31"))
	assert.Empty(t, list(perFlight(), "2026-01-01", "2026-12-31"))
}

func TestPeriod(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct {
		name           string
		mode           billing.CloseMode
		cust           billing.Customer
		landed, cutoff string
		want           string
		late           bool
	}{
		{"before the closing date", billing.PeriodEnd, weekly(7), "2026-11-28", "2026-11-22", "2026-11-29", false},
		{"on it: the next period", billing.PeriodEnd, weekly(7), "2026-11-29", "2026-11-22", "2026-12-06", false},
		{"on it, included", billing.NextDay, weekly(7), "2026-11-29", "2026-11-22", "2026-11-29", false},
		{"the day after", billing.NextDay, weekly(7), "2026-11-30", "2026-11-22", "2026-12-06", false},
		{"month's last day", billing.PeriodEnd, monthly(), "2026-11-30", "2026-11-29", "2026-12-31", false},
		{"month's last day, included", billing.NextDay, monthly(), "2026-11-30", "2026-11-29", "2026-11-30", false},
		{"its period has been run", billing.PeriodEnd, weekly(7), "2026-11-28", "2026-11-29", "2026-12-06", true},
		{"run, included", billing.NextDay, weekly(7), "2026-11-29", "2026-11-29", "2026-12-06", true},
		{"between two closing dates", billing.PeriodEnd, weekly(7), "2026-11-28", "2026-12-02", "2026-12-06", true},
		{"much later", billing.PeriodEnd, monthly(), "2025-01-10", "2026-12-30", "2026-12-31", true},
		{"on the cut-off, next period", billing.PeriodEnd, weekly(7), "2026-11-29", "2026-11-29", "2026-12-06", false},
		{"nothing run yet", billing.PeriodEnd, monthly(), "2020-01-10", "", "2020-01-31", false},
		{"per flight", billing.PeriodEnd, perFlight(), "2026-11-28", "2026-11-29", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			calendar := billing.Calendar{Location: time.UTC, Close: tc.mode}
			closesOn, late := calendar.Period(tc.cust, date(t, tc.landed), date(t, tc.cutoff))
			assert.Equal(t, tc.want, closesOn.String())
			assert.Equal(t, tc.late, late)
		})
	}
}

func TestPeriodAgainstADayByDayWalk(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		cust := rapid.OneOf(
			rapid.Map(rapid.IntRange(1, 7), weekly),
			rapid.Just(monthly()),
		).Draw(t, "customer")
		calendar := billing.Calendar{Close: rapid.SampledFrom([]billing.CloseMode{billing.PeriodEnd, billing.NextDay}).Draw(t, "mode")}
		landed := billing.NewDate(2024, time.January, 1+rapid.IntRange(0, 3650).Draw(t, "landed"))
		cutoff := landed.AddDays(rapid.IntRange(-60, 60).Draw(t, "cutoff"))

		closes := func(d billing.Date) bool {
			if cust.Frequency == billing.Weekly {
				return d.ISOWeekday() == cust.WeekEndsOn
			}
			return d.AddDays(1).String()[8:] == "01"
		}
		want, wantLate := landed, false
		if calendar.Close == billing.PeriodEnd {
			want = want.AddDays(1)
		}
		for ; !closes(want) || !want.After(cutoff); want = want.AddDays(1) {
			wantLate = wantLate || closes(want)
		}
		got, late := calendar.Period(cust, landed, cutoff)
		assert.Equal(t, want.String(), got.String())
		assert.Equal(t, wantLate, late)

		assert.True(t, landed.Before(calendar.RunDate(got)), "the run holds whole days only")
	})
}

// TestRunsAgainstAWalk looks at the clocks of a zone every minute for ten years
// and runs each day as soon as they show its 01:00 or later.
func TestRunsAgainstAWalk(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct {
		zone string
		year int
	}{
		{"UTC", 2020},
		{"Europe/London", 2024},
		{"Europe/Berlin", 2032}, // over the end of the 32-bit tables, 2037
		{"America/New_York", 2020},
		{"America/Havana", 2018},
		{"America/Sao_Paulo", 2010},
		{"America/St_Johns", 2003}, // changed at 00:01 until 2011
		{"Pacific/Apia", 2005},     // no 2011-12-30
		{"Pacific/Kiritimati", 1990},
		{"Pacific/Kwajalein", 1988}, // no 1993-08-21
		{"Australia/Lord_Howe", 2020},
		{"Asia/Tehran", 2015},
		{"Asia/Gaza", 2010},
		{"Africa/Casablanca", 2015},
		{"Antarctica/Troll", 2020},
		{"Asia/Kathmandu", 1980},
	} {
		t.Run(tc.zone, func(t *testing.T) {
			t.Parallel()
			loc := zone(t, tc.zone)
			start := billing.NewDate(tc.year, time.January, 3)
			calendar := billing.Calendar{Location: loc, Start: start}
			next := start
			lastMinute := time.Date(tc.year+10, time.January, 1, 0, 0, 0, 0, time.UTC).Unix()
			for now := time.Date(tc.year, time.January, 1, 0, 0, 0, 0, time.UTC).Unix(); now < lastMinute; now += 60 {
				instant := time.Unix(now, 0).In(loc)
				today := billing.DateOf(instant, loc)
				for today.After(next) || today == next && instant.Hour() >= 1 {
					requireRunAt(t, calendar, next, instant)
					next = next.AddDays(1)
				}
			}
			require.True(t, next.After(start.AddDays(3640)), "the walk has met its days")
		})
	}
}

func requireRunAt(t *testing.T, calendar billing.Calendar, runDate billing.Date, instant time.Time) {
	t.Helper()
	require.True(t, calendar.RunTime(runDate).Equal(instant),
		"run of %s: got %s, the clocks say %s", runDate, calendar.RunTime(runDate), instant)
	justBefore := instant.Add(-time.Nanosecond)
	require.True(t, calendar.NextRunTime(justBefore).Equal(instant), "next before %s", instant)
	require.False(t, calendar.LastDueRun(instant).Before(runDate), "due at %s", instant)
	require.True(t, calendar.LastDueRun(justBefore).Before(runDate), "not due before %s", instant)
	require.True(t, calendar.NextRunTime(instant).After(instant))
}

// TestRunTimeIsTheFirstInstant tries history too, where offsets have seconds and
// zones changed sides of the date line, against the definition itself.
func TestRunTimeIsTheFirstInstant(t *testing.T) {
	t.Parallel()

	names := []string{
		"Africa/Monrovia", "America/Juneau", "America/New_York", "America/Caracas", "Asia/Kolkata", "Asia/Manila",
		"Asia/Singapore", "Atlantic/Azores", "Europe/Dublin", "Europe/Moscow", "Europe/Paris", "Pacific/Apia",
		"Pacific/Guam", "Pacific/Honolulu", "Pacific/Kwajalein",
	}
	rapid.Check(t, func(t *rapid.T) {
		loc := zone(t, rapid.SampledFrom(names).Draw(t, "zone"))
		day := billing.NewDate(1840, time.January, 1+rapid.IntRange(0, 180*365).Draw(t, "day"))
		// Of the changes of offset, which are rare, half of the draws take one.
		if rapid.Bool().Draw(t, "at a change") {
			if _, end := day.Start(loc).ZoneBounds(); !end.IsZero() {
				day = billing.DateOf(end, loc).AddDays(rapid.IntRange(-2, 1).Draw(t, "off by"))
			}
		}
		run := billing.Calendar{Location: loc}.RunTime(day)
		wanted := day.String() + " 01:00:00"
		require.GreaterOrEqual(t, run.Format(time.DateTime), wanted)
		for back := int64(1); back <= 36*3600; back++ {
			// Minutes serve further back; the last hour goes by seconds.
			if back > 3600 && back%60 != 0 {
				continue
			}
			before := time.Unix(run.Unix()-back, 0).In(loc)
			if got := before.Format(time.DateTime); got >= wanted {
				t.Fatalf("%s: run at %s, but the clocks showed %s at %s", loc, run, got, before.UTC())
			}
		}
	})
}
