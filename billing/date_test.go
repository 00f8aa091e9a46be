package billing_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

func TestParseDate(t *testing.T) {
	t.Parallel()

	for _, s := range []string{"2026-11-23", "2024-02-29", "0001-01-01", "9999-12-31"} {
		d, err := billing.ParseDate(s)
		require.NoError(t, err)
		assert.Equal(t, s, d.String())
	}
	for _, s := range []string{
		"", "2026", "2026-1-02", "2026-01-2", "26-01-02", "2026-02-29", "2026-13-01", "2026-00-01", "2026-01-00",
		"2026-04-31", "0000-01-01", "2026-01-02 ", " 2026-01-02", "2026-01-02T00:00:00Z", "2026/01/02", "20260102",
		"02026-01-02", "-2026-01-02", "infinity", "２０２６-01-02",
	} {
		d, err := billing.ParseDate(s)
		require.Error(t, err, s)
		assert.Contains(t, err.Error(), "\""+s+"\"", "the error names the value")
		assert.True(t, d.IsZero())
	}
}

func TestDateArithmetic(t *testing.T) {
	t.Parallel()

	assert.Equal(t, "2024-02-29", date(t, "2024-03-01").AddDays(-1).String())
	assert.Equal(t, "2100-03-01", date(t, "2100-02-28").AddDays(1).String(), "2100 is no leap year")
	assert.Equal(t, "2027-01-01", date(t, "2026-12-31").AddDays(1).String())
	assert.Equal(t, "2026-02-28", billing.NewDate(2026, time.March, 0).String())
	assert.Equal(t, date(t, "2026-11-23"), billing.NewDate(2026, time.November, 23), "comparable with ==")
}

func TestNoDate(t *testing.T) {
	t.Parallel()

	var none billing.Date
	assert.True(t, none.IsZero())
	assert.False(t, date(t, "0001-01-01").IsZero())
	assert.Empty(t, none.String())
	assert.Equal(t, none, none.AddDays(5))
	assert.Zero(t, none.ISOWeekday())
	assert.True(t, none.Before(date(t, "0001-01-01")))
}

func TestISOWeekday(t *testing.T) {
	t.Parallel()

	// 2026-11-23 is a Monday.
	for i := range 14 {
		assert.Equal(t, i%7+1, date(t, "2026-11-23").AddDays(i).ISOWeekday())
	}
}

func TestDateOrderAndStepsAgreeWithTime(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		days := rapid.IntRange(-400_000, 400_000)
		a, b := days.Draw(t, "a"), days.Draw(t, "b")
		epoch := billing.NewDate(2000, time.January, 1)
		da, db := epoch.AddDays(a), epoch.AddDays(b)

		assert.Equal(t, a < b, da.Before(db))
		assert.Equal(t, a > b, da.After(db))
		assert.Equal(t, a == b, da == db)
		assert.Equal(t, da.Compare(db), -db.Compare(da))
		assert.Equal(t, db, da.AddDays(b-a))
		assert.Equal(t, da, billing.DateOf(time.Unix(946_684_800+int64(a)*86_400+86_399, 0), time.UTC))
	})
}

func TestDateOf(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct{ instant, zone, want string }{
		{"2026-11-23T04:59:59Z", "America/New_York", "2026-11-22"},
		{"2026-11-23T05:00:00Z", "America/New_York", "2026-11-23"},
		{"2026-11-23T23:59:59.999999999Z", "UTC", "2026-11-23"},
		{"2011-12-30T09:59:59Z", "Pacific/Apia", "2011-12-29"}, // the last second before the skipped day
		{"2011-12-30T10:00:00Z", "Pacific/Apia", "2011-12-31"},
	} {
		assert.Equal(t, tc.want, billing.DateOf(at(t, tc.instant), zone(t, tc.zone)).String(), "%+v", tc)
	}
}

func TestDateStart(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct{ day, zone, want string }{
		{"2026-11-23", "UTC", "2026-11-23T00:00:00Z"},
		{"2026-11-23", "America/New_York", "2026-11-23T05:00:00Z"},
		{"2011-12-29", "Pacific/Apia", "2011-12-29T10:00:00Z"},
		{"2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00Z"}, // a day that never was
		{"2011-12-31", "Pacific/Apia", "2011-12-30T10:00:00Z"},
		{"2024-03-10", "America/Havana", "2024-03-10T05:00:00Z"}, // 00:00 skipped: 01:00 CDT
		{"2024-11-03", "America/Havana", "2024-11-03T04:00:00Z"}, // 00:00 twice: the first, CDT
		{"2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00Z"},
		{"2018-02-18", "America/Sao_Paulo", "2018-02-18T03:00:00Z"}, // 24:00 went back to 23:00 of the day before
		{"1883-11-18", "America/New_York", "1883-11-18T04:56:02Z"},  // local mean time, −4:56:02
		{"1844-12-31", "Asia/Manila", "1844-12-31T15:56:08Z"},       // skipped whole, offset with seconds
	} {
		got := date(t, tc.day).Start(zone(t, tc.zone))
		assert.Equal(t, tc.want, got.UTC().Format(time.RFC3339), "%+v", tc)
		assert.Equal(t, tc.zone, got.Location().String())
	}
}

func TestDateAsText(t *testing.T) {
	t.Parallel()

	type holder struct {
		On   billing.Date `json:"on"`
		None billing.Date `json:"none"`
		Omit billing.Date `json:"omit,omitzero"`
	}
	text, err := json.Marshal(holder{On: date(t, "2026-11-23")})
	require.NoError(t, err)
	assert.JSONEq(t, `{"on": "2026-11-23", "none": ""}`, string(text))

	back := holder{None: date(t, "2020-01-01")}
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, holder{On: date(t, "2026-11-23")}, back)

	unchanged := date(t, "2026-11-23")
	require.ErrorContains(t, unchanged.UnmarshalText([]byte("23.11.2026")), "23.11.2026")
	assert.Equal(t, "2026-11-23", unchanged.String())
}

func TestDateInSQL(t *testing.T) {
	t.Parallel()

	// A driver's midnight is the day it names, whatever zone it comes in.
	tokyo := zone(t, "Asia/Tokyo")
	for _, src := range []any{
		"2026-11-23", []byte("2026-11-23"),
		time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC), time.Date(2026, time.November, 23, 0, 0, 0, 0, tokyo),
	} {
		var d billing.Date
		require.NoError(t, d.Scan(src))
		assert.Equal(t, "2026-11-23", d.String())
	}

	d := date(t, "2026-11-23")
	for _, src := range []any{"infinity", "", 20261123, 1.5} {
		require.Error(t, d.Scan(src))
		assert.Equal(t, "2026-11-23", d.String(), "an error changes nothing")
	}
	value, err := d.Value()
	require.NoError(t, err)
	assert.Equal(t, time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC), value)

	require.NoError(t, d.Scan(nil))
	assert.True(t, d.IsZero())
	value, err = d.Value()
	require.NoError(t, err)
	assert.Nil(t, value)
}

func TestValidity(t *testing.T) {
	t.Parallel()
	day := func(n int) billing.Date { return billing.NewDate(2026, time.March, n) }
	march := billing.Validity{From: day(5), To: day(8)}
	for n, holds := range map[int]bool{4: false, 5: true, 7: true, 8: false} {
		require.Equal(t, holds, march.Holds(day(n)), n)
	}
	for _, v := range []billing.Validity{{}, {To: day(8)}, {From: day(5)}} {
		require.True(t, v.Holds(day(6)))
		require.True(t, v.Overlaps(march))
		require.True(t, march.Overlaps(v))
	}
	for _, v := range []billing.Validity{{To: day(5)}, {From: day(8)}, {From: day(1), To: day(5)}, {From: day(8), To: day(9)}} {
		require.False(t, v.Overlaps(march), v)
		require.False(t, march.Overlaps(v), v)
	}
	require.True(t, billing.Validity{From: day(7), To: day(9)}.Overlaps(march))
}
