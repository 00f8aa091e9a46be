package billing

import (
	"fmt"
	"strings"
	"time"
)

// Declared is what a register has of a flight's fact.
type Declared struct {
	Value Fact   `json:"value"`
	From  string `json:"from"` // "aircraft G-ABCD", "aircraft type A320"
}

// Airport is what the register of airports has of one.
type Airport struct {
	Code     string         // its canonical code, by which airports are compared
	Country  string         // ISO 3166, two letters
	Location *time.Location // its wall clock; nil: not known
}

// RegisterFirst names the facts whose value in the register of aircraft goes before that
// of the flight source.
type RegisterFirst []string

// DefaultRegisterFirst is what charging schemes ask for: the mass that was declared.
var DefaultRegisterFirst = RegisterFirst{"mtow_kg"}

// ParseRegisterFirst reads names separated by commas.
func ParseRegisterFirst(text string) (RegisterFirst, error) {
	first := RegisterFirst{}
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if err := CheckFactName(name); err != nil && name != "mtow_kg" && name != "aircraft_type" {
			return nil, fmt.Errorf("%q is nothing that the register of aircraft has: name mtow_kg, aircraft_type, or facts", name)
		}
		first = append(first, name)
	}
	return first, nil
}

// Case is what a flight is priced from.
type Case struct {
	Flight   Flight // as the flight source has it
	Customer Customer
	MovedOn  Date // the movement date in the billing zone

	// From the registers, as of the movement date.
	Aircraft            map[string]Declared // declared facts of the aircraft itself, by name
	AircraftType        map[string]Declared // those of its type
	First               RegisterFirst
	Origin, Destination *Airport // nil: no airport, or one that is not in the register

	// Now is when it is priced: a stay that ends later is a forecast, and so is not
	// there yet. No time: every stay has ended.
	Now time.Time
}
