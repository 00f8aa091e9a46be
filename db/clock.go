package db

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flightbill/flightbill/db/dbsqlc"
)

const (
	// MaxClockOffset is how far a machine's clock may be from the database's. River's
	// leader judges by its own clock which jobs are to be rescued: those that the
	// database says have been running for 30 s, of the 20 that they may take.
	MaxClockOffset = 5 * time.Second
	// goodTrip is a round trip short enough not to ask once more: the time that the
	// database says is that of some instant in it.
	goodTrip   = 100 * time.Millisecond
	clockTries = 3
	// zoneYears are the years before and after now in which zones are compared.
	zoneYears = 10
)

// Clock is the database's clock, as a process knows it: what the database last said, and
// the time that has passed since by the machine. All that a process writes and judges has
// its time from here. The machine's clock may be set meanwhile and changes nothing.
type Clock struct {
	system func() time.Time
	last   atomic.Pointer[clockReading]
}

// clockReading is one question for the time.
type clockReading struct {
	asked time.Time     // by the machine, half way through
	trip  time.Duration // how long it took
	said  time.Time     // by the database
}

// NewClock returns a clock that is the machine's until it is first measured. The
// machine's is time.Now but in tests.
func NewClock(system func() time.Time) *Clock { return &Clock{system: system} }

// Now is the time by the database's clock.
func (c *Clock) Now() time.Time {
	if last := c.last.Load(); last != nil {
		return last.said.Add(c.system().Sub(last.asked))
	}
	return c.system()
}

// NowOrNil is nil: where River may leave a time to the database, it does.
func (c *Clock) NowOrNil() *time.Time { return nil }

// Measure asks the database for the time.
func (c *Clock) Measure(ctx context.Context, db dbsqlc.DBTX) error {
	var best *clockReading
	for range clockTries {
		sent := c.system()
		said, err := dbsqlc.New(db).ClockNow(ctx)
		if err != nil {
			return fmt.Errorf("ask the database for the time: %w", err)
		}
		trip := c.system().Sub(sent)
		if best == nil || trip < best.trip {
			best = &clockReading{asked: sent.Add(trip / 2), trip: trip, said: said}
		}
		if trip <= goodTrip {
			break
		}
	}
	c.last.Store(best)
	return nil
}

// Check measures, and returns ErrClock where the machine's clock is more than
// MaxClockOffset from the database's, or where the two have different rules for the
// billing zone. Any other error says that the database was not to be asked.
func (c *Clock) Check(ctx context.Context, db dbsqlc.DBTX, zone *time.Location) error {
	if err := c.Measure(ctx, db); err != nil {
		return err
	}
	last := c.last.Load()
	ahead := last.asked.Round(0).Sub(last.said) // Round: by the clock that can be set
	if ahead.Abs()-last.trip/2 > MaxClockOffset {
		return fmt.Errorf("%w: the clock of this machine is %s the database's: %s here, %s there; set it right, and have it kept by NTP",
			ErrClock, aheadOf(ahead), stamp(last.asked), stamp(last.said))
	}
	return checkZone(ctx, dbsqlc.New(db), zone, c.Now())
}

func aheadOf(d time.Duration) string {
	side := "ahead of"
	if d < 0 {
		d, side = -d, "behind"
	}
	if days := d.Hours() / 24; days >= 2 {
		return fmt.Sprintf("%.1f days %s", days, side)
	}
	return fmt.Sprintf("%s %s", d.Round(time.Millisecond), side)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// checkZone compares Go's rules for a zone with Postgres', which has a zone database of
// its own and computes days of payment with it: each week of the years around now, and
// each change that Go knows of in them.
func checkZone(ctx context.Context, q *dbsqlc.Queries, zone *time.Location, now time.Time) error {
	var p dbsqlc.ClockZoneDiffersParams
	p.Zone = zone.String()
	look := func(at time.Time) {
		_, offset := at.In(zone).Zone()
		p.Instants, p.Offsets = append(p.Instants, at), append(p.Offsets, int32(offset)) //nolint:gosec // less than a day
	}
	until := now.AddDate(zoneYears, 0, 0)
	for week := now.AddDate(-zoneYears, 0, 0); week.Before(until); {
		look(week)
		next := week.AddDate(0, 0, 7)
		for at := week; ; {
			_, change := at.In(zone).ZoneBounds()
			if !change.After(at) || !change.Before(next) { // none, or a later week's
				break
			}
			look(change.Add(-time.Second))
			look(change)
			at = change
		}
		week = next
	}
	row, err := q.ClockZoneDiffers(ctx, p)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil && isDataFault(err):
		return fmt.Errorf("%w: time zone %s is known here and not to Postgres; update that or the zone database it uses: %w", ErrClock, zone, err)
	case err != nil:
		return fmt.Errorf("compare time zone %s with the database's: %w", zone, err)
	}
	return fmt.Errorf("%w: at %s it is %s in %s for this process and %s for Postgres: one of their zone databases is old; update it (package tzdata), and restart",
		ErrClock, stamp(row.At), row.At.In(zone).Format("2006-01-02 15:04"), zone, row.There)
}
