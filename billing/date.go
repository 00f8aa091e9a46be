package billing

import (
	"cmp"
	"database/sql/driver"
	"fmt"
	"time"
)

// Date is a calendar day without a zone. Dates compare with ==; the zero value
// is no date, and comes before every other.
type Date struct {
	year  int32
	month int8
	day   int8
}

// NewDate returns the day given. Values outside their usual range carry over,
// as in time.Date: day 0 is the last day of the month before.
func NewDate(year int, month time.Month, day int) Date {
	return dateIn(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
}

// ParseDate reads a date written YYYY-MM-DD, and no other way.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	// Year 0 is no year: neither people nor Postgres have it.
	if err != nil || t.Year() == 0 {
		return Date{}, fmt.Errorf("%q is not a date: write an existing day as YYYY-MM-DD, such as 2026-11-23", s)
	}
	return dateIn(t), nil
}

// DateOf returns the day that t falls on in loc.
func DateOf(t time.Time, loc *time.Location) Date { return dateIn(t.In(loc)) }

func dateIn(t time.Time) Date {
	year, month, day := t.Date()
	return Date{year: int32(year), month: int8(month), day: int8(day)} //nolint:gosec // Go's years fit
}

// AddDays returns the day n days later, or earlier where n is negative. No date
// stays no date.
func (d Date) AddDays(n int) Date {
	if d.IsZero() {
		return d
	}
	return NewDate(int(d.year), time.Month(d.month), int(d.day)+n)
}

// DaysSince returns how many days d is after another.
func (d Date) DaysSince(other Date) int {
	return int((d.utc().Unix() - other.utc().Unix()) / (24 * 60 * 60))
}

// Compare returns -1 where d is before other, 0 on the same day, +1 after.
func (d Date) Compare(other Date) int {
	return cmp.Or(
		cmp.Compare(d.year, other.year),
		cmp.Compare(d.month, other.month),
		cmp.Compare(d.day, other.day),
	)
}

// ordinal returns a number that is greater for a later day.
func (d Date) ordinal() int64 { return int64(d.year)<<16 | int64(d.month)<<8 | int64(d.day) }

// Before reports whether d is an earlier day than other.
func (d Date) Before(other Date) bool { return d.Compare(other) < 0 }

// After reports whether d is a later day than other.
func (d Date) After(other Date) bool { return d.Compare(other) > 0 }

// IsZero reports whether d is no date.
func (d Date) IsZero() bool { return d == Date{} }

// String returns the date as YYYY-MM-DD, and no date as "".
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day)
}

// ISOWeekday returns the day of the week, 1 for Monday to 7 for Sunday; 0 for
// no date.
func (d Date) ISOWeekday() int {
	if d.IsZero() {
		return 0
	}
	return (int(d.utc().Weekday())+6)%7 + 1
}

// Start returns the first instant of the day in loc: 00:00, or the first
// instant after it where the clock jumps over midnight or the whole day.
func (d Date) Start(loc *time.Location) time.Time { return firstInstant(d.utc(), loc) }

// MarshalText writes the date as YYYY-MM-DD, and no date as nothing.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Date) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = Date{}
		return nil
	}
	parsed, err := ParseDate(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Scan reads a date column: its NULL is no date. Of a time.Time it takes the
// day in that time's own zone, since drivers hand a date over as midnight.
func (d *Date) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		*d = Date{}
		return nil
	case time.Time:
		*d = dateIn(src)
		return nil
	case string:
		return d.scanText(src)
	case []byte:
		return d.scanText(string(src))
	default:
		return fmt.Errorf("cannot read a date from a %T", src)
	}
}

func (d *Date) scanText(s string) error {
	parsed, err := ParseDate(s)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Value writes a date column: midnight UTC of the day, NULL for no date.
func (d Date) Value() (driver.Value, error) {
	if d.IsZero() {
		return nil, nil //nolint:nilnil // what driver.Valuer wants for NULL
	}
	return d.utc(), nil
}

// utc returns the midnight of the day in UTC.
func (d Date) utc() time.Time {
	return time.Date(int(d.year), time.Month(d.month), int(d.day), 0, 0, 0, 0, time.UTC)
}

// firstInstant returns the first instant at which the clocks of loc show wall
// or later; the fields of wall count, its zone does not.
//
// time.Date does not serve here: for a time that the clocks skip it answers
// with either side of the gap, and for one that they show twice with either of
// the two. This walks from change of offset to change of offset instead.
func firstInstant(wall time.Time, loc *time.Location) time.Time {
	target := time.Date(wall.Year(), wall.Month(), wall.Day(),
		wall.Hour(), wall.Minute(), wall.Second(), 0, time.UTC).Unix()

	// No zone is as much as two days ahead of UTC, so its clocks show less here.
	at := time.Unix(target-2*24*60*60, 0).In(loc)
	for {
		_, offset := at.Zone()
		_, end := at.ZoneBounds()
		if !end.IsZero() && !end.After(at) {
			// On 31 December of a leap year that a zone's rule serves, not its
			// table, ZoneBounds answers with the midnight before (Go 1.26). The
			// offset holds to the end of the year in UTC.
			end = at.Truncate(24 * time.Hour).Add(24 * time.Hour)
		}
		reached := max(at.Unix(), target-int64(offset))
		if end.IsZero() || reached < end.Unix() {
			return time.Unix(reached, 0).In(loc)
		}
		at = end
	}
}

// Validity is the days from From on and before To; no date: without that end.
type Validity struct{ From, To Date }

// Holds reports whether a day is one of them.
func (v Validity) Holds(day Date) bool {
	return !day.Before(v.From) && (v.To.IsZero() || day.Before(v.To))
}

// Overlaps reports whether a day is one of both.
func (v Validity) Overlaps(other Validity) bool {
	return (v.To.IsZero() || other.From.Before(v.To)) && (other.To.IsZero() || v.From.Before(other.To))
}
