package billing

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// During is when a landing or take-off must be, on the wall clock of its airport: in one
// of its windows. The zero During is always.
type During struct {
	windows []window // in order, none next to another
	written string
}

// window is the minutes of a week, from Monday 00:00, from From on and before To.
type window struct{ from, to int }

const (
	dayMinutes  = 24 * 60
	weekMinutes = 7 * dayMinutes
)

var weekdays = []string{"Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"}

const howDuring = "write windows such as 22:00-06:00, Mo-Fr 07:00-09:00, or days such as Sa-Su"

// ParseDuring reads the column during. Its errors say at which character.
func ParseDuring(text string) (During, error) {
	var d During
	text = strings.Trim(text, blanks)
	if text == "" {
		return d, nil
	}
	if n := utf8.RuneCountInString(text); n > maxWhen {
		return During{}, fmt.Errorf("it has %d characters: %d at most", n, maxWhen)
	}
	var written []string
	for at, part := range items(text, ",") {
		windows, item, err := parseWindows(part)
		if err != nil {
			return During{}, fmt.Errorf("character %d: %w", at, err)
		}
		d.windows, written = append(d.windows, windows...), append(written, item)
	}
	d.written = strings.Join(written, ", ")
	d.windows = joined(d.windows)
	return d, nil
}

// parseWindows reads one item, and returns it as it is written in one way.
func parseWindows(text string) (windows []window, written string, err error) {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(blanks, r) })
	if len(words) == 0 {
		return nil, "", fmt.Errorf("there is no window: %s", howDuring)
	}
	days, hours := "", words[len(words)-1]
	if hours[0] < '0' || hours[0] > '9' {
		hours = ""
	}
	if rest := words[:len(words)-min(len(hours), 1)]; len(rest) == 1 {
		days = rest[0]
	} else if len(rest) > 1 {
		return nil, "", fmt.Errorf("%q is not a window: %s", shortened(text), howDuring)
	}
	first, count, days, err := parseDays(days)
	if err != nil {
		return nil, "", err
	}
	from, to, err := parseHours(hours)
	if err != nil {
		return nil, "", err
	}
	for i := range count {
		begin := (first + i) % len(weekdays) * dayMinutes
		windows = append(windows, window{begin + from, min(begin+to, weekMinutes)})
		if begin+to > weekMinutes {
			windows = append(windows, window{0, begin + to - weekMinutes})
		}
	}
	return windows, strings.TrimSpace(days + " " + hours), nil
}

// parseDays returns the first day, 0 for Monday, and how many there are.
func parseDays(text string) (first, count int, written string, err error) {
	if text == "" {
		return 0, len(weekdays), "", nil
	}
	day := func(name string) int {
		return slices.IndexFunc(weekdays, func(w string) bool { return sameText(w, name) })
	}
	name, lastName, isRange := strings.Cut(text, "-")
	first = day(name)
	if !isRange {
		lastName = name
	}
	last := day(lastName)
	switch {
	case first < 0 || last < 0:
		return 0, 0, "", fmt.Errorf("%q is neither hours nor days: days are %s; %s", shortened(text), strings.Join(weekdays, " "), howDuring)
	case !isRange:
		return first, 1, weekdays[first], nil
	case first == last:
		return 0, 0, "", fmt.Errorf("%s begins and ends on one day: write %s for that day, or no days for all", shortened(text), weekdays[first])
	}
	return first, (last-first+len(weekdays))%len(weekdays) + 1, weekdays[first] + "-" + weekdays[last], nil
}

// parseHours returns the minutes from the day's midnight; the end, of a window that passes
// the next midnight, is more than a day's.
func parseHours(text string) (from, to int, err error) {
	if text == "" {
		return 0, dayMinutes, nil
	}
	begin, end, _ := strings.Cut(text, "-")
	from, beginOK := parseClock(begin)
	to, endOK := parseClock(end)
	switch {
	case !beginOK || !endOK || from == dayMinutes:
		return 0, 0, fmt.Errorf("%q is not a window: hours are 00:00 to 23:59 with two digits each, and 24:00 as an end; %s", shortened(text), howDuring)
	case from == to:
		return 0, 0, fmt.Errorf("%s begins where it ends: write 00:00-24:00 for the whole day", text)
	case to < from:
		to += dayMinutes
	}
	return from, to, nil
}

// parseClock returns the minutes of HH:MM.
func parseClock(text string) (int, bool) {
	if text == "24:00" {
		return dayMinutes, true
	}
	t, err := time.Parse("15:04", text)
	return t.Hour()*60 + t.Minute(), err == nil && len(text) == len("15:04")
}

// joined sorts windows and makes one of those that touch.
func joined(windows []window) []window {
	slices.SortFunc(windows, func(a, b window) int { return a.from - b.from })
	var all []window
	for _, w := range windows {
		if n := len(all); n > 0 && w.from <= all[n-1].to {
			all[n-1].to = max(all[n-1].to, w.to)
			continue
		}
		all = append(all, w)
	}
	return all
}

// String returns the windows as they are written, with blanks in one way.
func (d During) String() string { return d.written }

// IsZero reports whether it is always.
func (d During) IsZero() bool { return len(d.windows) == 0 }

// Holds reports whether the wall clock that t shows, in the zone it is in, is in a window.
func (d During) Holds(t time.Time) bool { return d.holdsAt(weekMinute(t)) }

func (d During) holdsAt(minute int) bool {
	return d.IsZero() || slices.ContainsFunc(d.windows, func(w window) bool { return w.from <= minute && minute < w.to })
}

// weekMinute returns the minutes since Monday 00:00 that t shows.
func weekMinute(t time.Time) int { return (int(t.Weekday())+6)%7*dayMinutes + t.Hour()*60 + t.Minute() }

// form is the same for all ways to write the same windows.
func (d During) form() string {
	if d.IsZero() {
		return ""
	}
	return fmt.Sprint(d.windows)
}

// apart reports whether no minute of a week is in both.
func (d During) apart(other During) bool {
	if d.IsZero() || other.IsZero() {
		return false
	}
	return !slices.ContainsFunc(d.windows, func(a window) bool {
		return slices.ContainsFunc(other.windows, func(b window) bool { return a.from < b.to && b.from < a.to })
	})
}
