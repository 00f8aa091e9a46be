package billing

import (
	"fmt"
	"time"

	"github.com/shopspring/decimal"
)

// Movement says which end of a flight is billed.
type Movement string

// An airport knows one end of a flight only, and so bills arrivals and departures.
const (
	Leg       Movement = "" // the whole flight
	Arrival   Movement = "arrival"
	Departure Movement = "departure"
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
	Movement     Movement         `json:"movement,omitempty"`
	MTOWLb       *int64           `json:"mtow_lb,omitempty"`      // maximum take-off mass, lb
	OnBlockAt    *time.Time       `json:"on_block_at,omitempty"`  // the stay on the stand that is
	OffBlockAt   *time.Time       `json:"off_block_at,omitempty"` // billed with this movement
	Facts        map[string]Fact  `json:"facts,omitempty"`        // all others, by name
}

// Answer is what a flight source says of one flight.
type Answer struct {
	Flight Flight // empty where Err is not nil
	Err    error  // nil, or an *Error
}

// Listed is a flight as a flight source lists it.
type Listed struct {
	ID      string
	MovedAt time.Time
	Rows    int // under this id; of several, one may differ
}

// ParseMovement reads a movement by its name; without one, it is the whole leg.
func ParseMovement(s string) (Movement, error) {
	switch m := Movement(s); m {
	case Leg, Arrival, Departure:
		return m, nil
	default:
		return "", fmt.Errorf("movement %q is not known: write arrival or departure, or nothing for a whole flight", s)
	}
}
