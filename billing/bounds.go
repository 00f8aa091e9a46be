package billing

import (
	"cmp"
	"fmt"
	"time"

	"github.com/shopspring/decimal"
)

// Bounds are the most that can be right of a fact: what is beyond is in another
// unit, or mistyped. A field that is 0 is the default.
type Bounds struct {
	MTOWKg     int
	DistanceKm int
	Passengers int
	FlightTime time.Duration // from take-off to landing
}

// DefaultBounds are above all that has flown: 640 t, half the earth's
// circumference of 20,015 km with detours, 1,088 passengers, and airliners for
// less than a day.
var DefaultBounds = Bounds{MTOWKg: 700_000, DistanceKm: 25_000, Passengers: 1_500, FlightTime: 72 * time.Hour}

func (b Bounds) withDefaults() Bounds {
	return Bounds{
		MTOWKg:     cmp.Or(b.MTOWKg, DefaultBounds.MTOWKg),
		DistanceKm: cmp.Or(b.DistanceKm, DefaultBounds.DistanceKm),
		Passengers: cmp.Or(b.Passengers, DefaultBounds.Passengers),
		FlightTime: cmp.Or(b.FlightTime, DefaultBounds.FlightTime),
	}
}

// earliestLanding is before all that is billed, and after what comes of epoch
// seconds read as milliseconds, or of a clock's zero.
var earliestLanding = time.Date(1990, time.January, 1, 0, 0, 0, 0, time.UTC)

// latestForecast is how far ahead a landing can be known.
const latestForecast = 2 * 366 * 24 * time.Hour

// unusableMovement says what about the time of the movement cannot be right, or "".
func unusableMovement(f *Flight, now time.Time) string {
	moved := *f.MovedAt()
	was, is := "landed (landed_at)", "lands (landed_at)"
	if f.Movement == Departure {
		was, is = "departed (departed_at)", "departs (departed_at)"
	}
	switch {
	case moved.Before(earliestLanding):
		return fmt.Sprintf("%s at %s, before %d: seconds? milliseconds are needed", was, instant(moved), earliestLanding.Year())
	case moved.After(now.Add(latestForecast)):
		return fmt.Sprintf("%s at %s, years ahead: microseconds? milliseconds are needed", is, instant(moved))
	default:
		return ""
	}
}

// unusableFact says what about the flight cannot be right, or "". The stay is left to the
// tariffs that need it: of a leg, off_block_at may be at one airport and on_block_at at the other.
func unusableFact(f *Flight, bounds Bounds) string {
	return cmp.Or(unusableMass(f, bounds), unusableDistance(f, bounds), unusablePassengers(f, bounds), unusableFlightTime(f, bounds))
}

func unusableMass(f *Flight, bounds Bounds) string {
	most := bounds.withDefaults().MTOWKg
	switch {
	case f.MTOWKg != nil && *f.MTOWKg <= 0:
		return fmt.Sprintf("has a maximum take-off mass (mtow_kg) of %d kg", *f.MTOWKg)
	case f.MTOWKg != nil && *f.MTOWKg > int64(most):
		return fmt.Sprintf("has a maximum take-off mass (mtow_kg) of %d kg, above %d kg (FLIGHTBILL_MAX_MTOW_KG): grams or pounds? kg are needed",
			*f.MTOWKg, most)
	case f.MTOWLb != nil && *f.MTOWLb <= 0:
		return fmt.Sprintf("has a maximum take-off mass (mtow_lb) of %d lb", *f.MTOWLb)
	case f.MTOWLb != nil && decimal.NewFromInt(*f.MTOWLb).Mul(kgOfLb).GreaterThan(decimal.NewFromInt(int64(most))):
		return fmt.Sprintf("has a maximum take-off mass (mtow_lb) of %d lb, above %d kg (FLIGHTBILL_MAX_MTOW_KG): pounds are needed there",
			*f.MTOWLb, most)
	default:
		return ""
	}
}

func unusableDistance(f *Flight, bounds Bounds) string {
	most := bounds.withDefaults().DistanceKm
	switch {
	case f.DistanceKm != nil && f.DistanceKm.IsNegative():
		return fmt.Sprintf("has a distance (distance_km) of %s km", f.DistanceKm)
	case f.DistanceKm != nil && f.DistanceKm.GreaterThan(decimal.NewFromInt(int64(most))):
		return fmt.Sprintf("has a distance (distance_km) of %s km, above %d km (FLIGHTBILL_MAX_DISTANCE_KM): metres? km are needed",
			shortened(f.DistanceKm.String()), most)
	default:
		return ""
	}
}

func unusablePassengers(f *Flight, bounds Bounds) string {
	most := bounds.withDefaults().Passengers
	switch {
	case f.Passengers != nil && *f.Passengers < 0:
		return fmt.Sprintf("has %d passengers", *f.Passengers)
	case f.Passengers != nil && *f.Passengers > int64(most):
		return fmt.Sprintf("has %d passengers, above %d (FLIGHTBILL_MAX_PASSENGERS): of several flights? those on board are needed",
			*f.Passengers, most)
	default:
		return ""
	}
}

func unusableFlightTime(f *Flight, bounds Bounds) string {
	most := bounds.withDefaults().FlightTime
	switch {
	case f.DepartedAt == nil || f.LandedAt == nil:
		return ""
	case f.LandedAt.Before(*f.DepartedAt):
		return fmt.Sprintf("landed (landed_at %s) before it took off (departed_at %s)", instant(*f.LandedAt), instant(*f.DepartedAt))
	case f.LandedAt.Sub(*f.DepartedAt) > most:
		return fmt.Sprintf("landed (landed_at %s) more than %g hours after it took off (departed_at %s; FLIGHTBILL_MAX_FLIGHT_TIME): "+
			"is one of the two of another day, or in seconds where milliseconds are needed?",
			instant(*f.LandedAt), most.Hours(), instant(*f.DepartedAt))
	default:
		return ""
	}
}

// shortened keeps a number of thousands of digits out of a message.
func shortened(number string) string {
	const most = 40
	if len(number) <= most {
		return number
	}
	return number[:most] + "…"
}
