package billing_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// walk is the second implementation of the calendar: it goes through ten years
// day by day and knows nothing but what a day's name says. It shares no code with
// the first.
type walk struct {
	days     []string // YYYY-MM-DD, the names of all days, one after the other
	closings []int    // the days on which periods close
	closesOn []int    // of each day, the day on which its period closes
}

func walkDays(first string, days int, closes func(day time.Time) bool, mode billing.CloseMode) walk {
	var w walk
	var open []int // days of the period that is open
	noon, err := time.Parse("2006-01-02 15", first+" 12")
	if err != nil {
		panic(err)
	}
	for i := range days {
		today := noon.AddDate(0, 0, i)
		w.days = append(w.days, today.Format(time.DateOnly))
		w.closesOn = append(w.closesOn, -1) // until its period has closed
		if mode == billing.NextDay {
			open = append(open, i)
		}
		if closes(today) {
			for _, day := range open {
				w.closesOn[day] = i
			}
			open = nil
			w.closings = append(w.closings, i)
		}
		if mode == billing.PeriodEnd {
			open = append(open, i)
		}
	}
	return w
}

// walkers are all customers with periods: each week-end day, and months.
func walkers() map[string]struct {
	customer billing.Customer
	closes   func(day time.Time) bool
} {
	type walker = struct {
		customer billing.Customer
		closes   func(day time.Time) bool
	}
	all := map[string]walker{"monthly": {monthly(), func(day time.Time) bool { return day.AddDate(0, 0, 1).Day() == 1 }}}
	for i, name := range []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday, time.Sunday} {
		all[name.String()] = walker{weekly(i + 1), func(day time.Time) bool { return day.Weekday() == name }}
	}
	return all
}

const tenYears = 3653

// Every day of ten years, under every cut-off from before it to beyond its
// period: each belongs to one period, the periods tile the time, and a flight
// is late exactly where its closing date is not after the cut-off.
func TestPeriodsOfTenYears(t *testing.T) {
	t.Parallel()
	for name, c := range walkers() {
		for _, mode := range []billing.CloseMode{billing.PeriodEnd, billing.NextDay} {
			t.Run(fmt.Sprint(name, " ", mode), func(t *testing.T) {
				t.Parallel()
				w := walkDays("2020-01-01", tenYears, c.closes, mode)
				calendar := billing.Calendar{Close: mode}
				dates := make([]billing.Date, len(w.days))
				for i, day := range w.days {
					dates[i] = date(t, day)
				}
				var closings []billing.Date
				for _, i := range w.closings {
					closings = append(closings, dates[i])
				}
				require.Equal(t, closings, billing.ClosingDates(c.customer, dates[0], dates[len(dates)-1]))

				next := 0 // the first closing that is after the cut-off
				for cutoff := range w.days {
					for next < len(w.closings) && w.closings[next] <= cutoff {
						next++
					}
					if next == len(w.closings) {
						break
					}
					for landed := max(0, cutoff-70); landed < min(len(w.days), cutoff+10); landed++ {
						own := w.closesOn[landed]
						if own < 0 {
							break // the walk ends before its period
						}
						want, wantLate := own, false
						if own <= cutoff {
							want, wantLate = w.closings[next], true
						}
						got, late := calendar.Period(c.customer, dates[landed], dates[cutoff])
						if got != dates[want] || late != wantLate {
							t.Fatalf("landed %s, cut-off %s: got %s, late %t; the walk says %s, %t",
								w.days[landed], w.days[cutoff], got, late, w.days[want], wantLate)
						}
					}
				}
			})
		}
	}
}

// The hours of ten years in zones that jump over 01:00, midnight and whole days:
// no landing without a day of its own, no day billed before it is over, no run
// out of order, and nothing late that is saved as it lands.
func TestHoursOfTenYears(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		zone  string
		first string
		never string // a day that its clocks never showed
	}{
		{"UTC", "2020-01-01", ""},
		{"Europe/London", "2023-01-01", ""},
		{"Europe/Berlin", "2032-01-01", ""},
		{"America/New_York", "2020-01-01", ""},
		{"America/Havana", "2018-01-01", ""},    // no 00:00 in March
		{"America/Sao_Paulo", "2010-01-01", ""}, // no 00:00 in October or November, until 2018
		{"America/St_Johns", "2003-01-01", ""},
		{"Pacific/Apia", "2005-01-01", "2011-12-30"},
		{"Pacific/Kwajalein", "1988-01-01", "1993-08-21"},
		{"Pacific/Kiritimati", "1990-01-01", "1994-12-31"},
		{"Australia/Lord_Howe", "2020-01-01", ""},
		{"Africa/Casablanca", "2015-01-01", ""},
		{"Asia/Gaza", "2010-01-01", ""},
		{"Asia/Kathmandu", "1980-01-01", ""},
	} {
		t.Run(tc.zone, func(t *testing.T) {
			t.Parallel()
			loc := zone(t, tc.zone)
			first := date(t, tc.first)
			base := billing.Calendar{Location: loc, Close: billing.PeriodEnd, Start: first}

			// What the clocks showed, half-hour by half-hour.
			shown := map[string]bool{}
			var saved []struct{ landedOn, lastRun billing.Date }
			begin := time.Date(first.Start(loc).Year(), 1, 2, 0, 0, 0, 0, loc)
			previous := ""
			for at := begin.UTC(); at.Before(begin.AddDate(10, 0, -2)); at = at.Add(30 * time.Minute) {
				local := at.In(loc)
				day := local.Format(time.DateOnly)
				landedOn := base.MovementDate(billing.Flight{LandedAt: &at})
				if landedOn.String() != day {
					t.Fatalf("landed at %s: on %s, but the clocks show %s", at, landedOn, local)
				}
				shown[day] = true
				if day != previous || local.Hour() < 3 {
					saved = append(saved, struct{ landedOn, lastRun billing.Date }{landedOn, base.LastDueRun(at)})
				}
				previous = day
			}
			require.False(t, shown[tc.never], "the clocks never showed %s", tc.never)
			require.Greater(t, len(shown), 3640)

			for name, c := range walkers() {
				for _, mode := range []billing.CloseMode{billing.PeriodEnd, billing.NextDay} {
					calendar := base
					calendar.Close = mode
					w := walkDays(tc.first, tenYears, c.closes, mode)
					var lastRun time.Time
					for _, i := range w.closings {
						run := calendar.RunTime(calendar.RunDate(date(t, w.days[i])))
						require.True(t, run.After(lastRun), "%s %s: run of %s out of order", name, mode, w.days[i])
						lastRun = run
					}
					for i, day := range w.days[:len(w.days)-40] {
						over := date(t, w.days[i+1]).Start(loc)
						run := calendar.RunTime(calendar.RunDate(date(t, w.days[w.closesOn[i]])))
						if run.Before(over) {
							t.Fatalf("%s %s: %s is over at %s, its run is at %s", name, mode, day, over, run)
						}
					}
					for _, s := range saved {
						if closesOn, late := calendar.Period(c.customer, s.landedOn, calendar.ClosingDate(s.lastRun)); late {
							t.Fatalf("%s %s: saved as it landed on %s, after the run of %s, and late for %s", name, mode, s.landedOn, s.lastRun, closesOn)
						}
					}
				}
			}
		})
	}
}
