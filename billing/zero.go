package billing

import (
	"fmt"
	"slices"
	"strings"
)

// ZeroIsValue names the facts for which 0 is a value. For all others it is what a
// missing number looks like: taking it for a value would let a flight pass without its
// charge, unseen; taking it for missing stops the flight with a reason, and only where a
// tariff needs the fact.
type ZeroIsValue []string

// zeroFacts are those that can be 0.
var zeroFacts = []string{"distance_km", "passengers"}

// ParseZeroIsValue reads names separated by commas.
func ParseZeroIsValue(text string) (ZeroIsValue, error) {
	var z ZeroIsValue
	for name := range strings.SplitSeq(text, ",") {
		switch name = strings.TrimSpace(name); {
		case name == "":
		case !slices.Contains(zeroFacts, name):
			return nil, fmt.Errorf("%q is not one of %s", name, strings.Join(zeroFacts, ", "))
		default:
			z = append(z, name)
		}
	}
	return z, nil
}

// Read takes away the zeros of a flight that are not values.
func (z ZeroIsValue) Read(f *Flight) {
	if f.MTOWKg != nil && *f.MTOWKg == 0 {
		f.MTOWKg = nil
	}
	if f.DistanceKm != nil && f.DistanceKm.IsZero() && !slices.Contains(z, "distance_km") {
		f.DistanceKm = nil
	}
	if f.Passengers != nil && *f.Passengers == 0 && !slices.Contains(z, "passengers") {
		f.Passengers = nil
	}
}
