package billing

import (
	"time"

	"github.com/shopspring/decimal"
)

// Flight is one movement to be billed: the facts as the flight source has
// them. A nil or empty field is a fact that the source does not have.
type Flight struct {
	ID           string           `json:"flight_id"`
	Callsign     string           `json:"callsign,omitempty"`
	Operator     string           `json:"operator,omitempty"`      // operator's designator
	Registration string           `json:"registration,omitempty"`  // tail number
	AircraftType string           `json:"aircraft_type,omitempty"` // ICAO type designator
	MTOWKg       *int64           `json:"mtow_kg,omitempty"`       // maximum take-off mass, kg
	Origin       string           `json:"origin,omitempty"`        // airport code
	Destination  string           `json:"destination,omitempty"`   // airport code
	DepartedAt   *time.Time       `json:"departed_at,omitempty"`
	LandedAt     *time.Time       `json:"landed_at,omitempty"`
	DistanceKm   *decimal.Decimal `json:"distance_km,omitempty"` // great circle, km
	Passengers   *int64           `json:"passengers,omitempty"`  // on board
}

// Answer is what a flight source says of one flight.
type Answer struct {
	Flight Flight // empty where Err is not nil
	Err    error  // nil, or an *Error
}
