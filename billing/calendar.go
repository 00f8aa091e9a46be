package billing

import (
	"fmt"
	"time"
)

// Frequency says how often a customer is invoiced.
type Frequency string

// Frequencies.
const (
	PerFlight Frequency = "per_flight"
	Weekly    Frequency = "weekly"
	Monthly   Frequency = "monthly"
)

// ParseFrequency reads a frequency by its name.
func ParseFrequency(s string) (Frequency, error) {
	switch f := Frequency(s); f {
	case PerFlight, Weekly, Monthly:
		return f, nil
	default:
		return "", fmt.Errorf("billing frequency %q is not known: write per_flight, weekly or monthly", s)
	}
}

// CloseMode says whether a closing date is run on itself or on the day after.
type CloseMode string

const (
	// PeriodEnd runs a closing date at 01:00 of that day: the flights landed
	// before it are in, those of the day itself open the next period.
	PeriodEnd CloseMode = "period_end"
	// NextDay runs a closing date at 01:00 of the day after: the flights landed
	// on the closing date are in.
	NextDay CloseMode = "next_day"
)

// ParseCloseMode reads a closing mode by its name.
func ParseCloseMode(s string) (CloseMode, error) {
	switch m := CloseMode(s); m {
	case PeriodEnd, NextDay:
		return m, nil
	default:
		return "", fmt.Errorf("closing mode %q is not known: write period_end or next_day", s)
	}
}

// Customer is who pays.
type Customer struct {
	ID         int64
	Code       string
	Name       string
	Frequency  Frequency
	WeekEndsOn int // ISO weekday 1..7 when weekly, else 0
}

// runHour is the local hour of the daily run.
const runHour = 1

// Calendar says when periods close and when runs happen.
type Calendar struct {
	Location *time.Location // the billing zone; never nil
	Close    CloseMode
	Start    Date // the first run date of all
}

// MovementDate returns the day, in the billing zone, of the movement of a flight that is
// billed: it decides period, validity, payer and register. No date: it has no time yet.
func (c Calendar) MovementDate(f Flight) Date {
	moved := f.MovedAt()
	if moved == nil {
		return Date{}
	}
	return DateOf(*moved, c.Location)
}

// RunTime returns the instant of a day's run: 01:00 in the billing zone, the
// first instant after where the clock jumps over it, the first of the two
// where it comes twice. A later day never runs earlier.
func (c Calendar) RunTime(runDate Date) time.Time {
	return firstInstant(runDate.utc().Add(runHour*time.Hour), c.Location)
}

// LastDueRun returns the latest run date whose time has come at now; no date
// before the first run of all.
func (c Calendar) LastDueRun(now time.Time) Date {
	due := c.lastRunTimePassed(now)
	if due.Before(c.Start) {
		return Date{}
	}
	return due
}

// NextRunTime returns the first run time strictly after the instant given.
func (c Calendar) NextRunTime(after time.Time) time.Time {
	next := c.lastRunTimePassed(after).AddDays(1)
	if next.Before(c.Start) {
		next = c.Start
	}
	return c.RunTime(next)
}

func (c Calendar) lastRunTimePassed(now time.Time) Date {
	// Where a zone went back by a day, days later than the one on the clock have
	// had their 01:00 already: hence a start beyond any such step.
	d := DateOf(now, c.Location).AddDays(2)
	for c.RunTime(d).After(now) {
		d = d.AddDays(-1)
	}
	return d
}

// ClosingDate returns the closing date that a day's run issues.
func (c Calendar) ClosingDate(runDate Date) Date {
	if c.Close == NextDay {
		return runDate.AddDays(-1)
	}
	return runDate
}

// RunDate returns the day whose run issues a closing date.
func (c Calendar) RunDate(closingDate Date) Date {
	if c.Close == NextDay {
		return closingDate.AddDays(1)
	}
	return closingDate
}

// Baseline returns the last closing date that counts as run before the first
// run of all.
func (c Calendar) Baseline() Date { return c.ClosingDate(c.Start).AddDays(-1) }

// Period returns the closing date of the customer's period that a flight is
// billed in. That is the period of its landing date, unless cutoff, the last
// closing date run, has reached it: then it is the next one still to be run, and
// the flight is late. A customer billed per flight has no periods: no date.
func (c Calendar) Period(cust Customer, landedOn, cutoff Date) (closesOn Date, late bool) {
	lastBefore := landedOn
	if c.Close == NextDay {
		lastBefore = landedOn.AddDays(-1)
	}
	closesOn = NextClosing(cust, lastBefore)
	if closesOn.IsZero() || closesOn.After(cutoff) {
		return closesOn, false
	}
	return NextClosing(cust, cutoff), true
}

// ClosingDates returns all closing dates of a customer from one day to another,
// both included.
func ClosingDates(cust Customer, from, to Date) []Date {
	var dates []Date
	for d := NextClosing(cust, from.AddDays(-1)); !d.IsZero() && !d.After(to); d = NextClosing(cust, d) {
		dates = append(dates, d)
	}
	return dates
}

// NextClosing returns a customer's first closing date strictly after a day; no
// date for a customer without periods.
func NextClosing(cust Customer, after Date) Date {
	switch {
	case after.IsZero():
		return Date{}
	case cust.Frequency == Weekly:
		days := (cust.WeekEndsOn - after.ISOWeekday() + 7) % 7
		if days == 0 {
			days = 7
		}
		return after.AddDays(days)
	case cust.Frequency == Monthly:
		last := lastOfMonth(after, 0)
		if last.After(after) {
			return last
		}
		return lastOfMonth(after, 1)
	default:
		return Date{}
	}
}

// lastOfMonth returns the last day of the month that is months after d's.
func lastOfMonth(d Date, months int) Date {
	return NewDate(int(d.year), time.Month(int(d.month)+months+1), 0)
}
