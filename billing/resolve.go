package billing

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// facts are those of a case as tariffs see them, each looked up once.
type facts struct {
	c        *Case
	bounds   Bounds
	resolved []resolved
	mass     mass
	stay     stay
}

// resolved is a fact with where it came from: "" is the flight source.
type resolved struct {
	name  string
	value Fact
	from  string
	how   string // it was derived
	shown string // the value as text, once it was asked for
	gap   gap
}

// text returns the value as text.
func (r *resolved) text() string {
	if r.shown == "" {
		r.shown = r.value.String()
	}
	return r.shown
}

// gap is why a fact does not serve.
type gap struct {
	kind gapKind
	fact string
	what string // of gapUnusable: "has a seats of …"
	from string // of gapUnusable: what of a register has the fact; "": the flight source
	text bool   // of gapUnusable: it is text where a number counts
}

type gapKind int

// Kinds of gaps, in the order in which they are reported.
const (
	noGap       gapKind = iota
	gapStay             // the stay on the stand is not over, or not known yet
	gapMissing          // nobody has the fact
	gapUnusable         // it cannot be right, or is text where a number counts
)

// fact returns a fact by its name in tariffs.
func (f *facts) fact(name string) *resolved {
	for i := range f.resolved {
		if f.resolved[i].name == name {
			return &f.resolved[i]
		}
	}
	r := resolved{name: name}
	f.resolve(&r)
	if r.value.IsZero() && r.gap.kind == noGap {
		r.gap = gap{kind: gapMissing, fact: name}
	}
	f.resolved = append(f.resolved, r)
	return &f.resolved[len(f.resolved)-1]
}

// number returns a fact that counts: a number, not below 0.
func (f *facts) number(name string) (decimal.Decimal, gap) {
	r := f.fact(name)
	if r.gap.kind != noGap {
		return decimal.Zero, r.gap
	}
	n, ok := r.value.Number()
	switch {
	case !ok:
		return n, notANumber(r)
	case n.IsNegative():
		return n, gap{kind: gapUnusable, fact: name, from: r.from, what: "has " + quoted(r) + " as its " + name + ", which cannot be below 0"}
	}
	return n, gap{}
}

// notANumber says that a fact is text where a number counts.
func notANumber(r *resolved) gap {
	return gap{kind: gapUnusable, fact: r.name, from: r.from, text: true, what: "has " + quoted(r) + " as its " + r.name + ", where a number counts"}
}

func quoted(r *resolved) string {
	text := `"` + shortened(r.value.String()) + `"`
	if r.from != "" {
		text += " (" + r.from + ")"
	}
	return text
}

// resolve looks a fact up: columns of the flight, then what source and registers have
// by name, then what is derived of others.
func (f *facts) resolve(r *resolved) {
	flight := &f.c.Flight
	switch r.name {
	case "mtow_kg":
		m := f.massOf()
		r.value, r.from, r.gap = NumberFact(m.kg), m.from, m.gap
	case "mtow_lb": // overruled with the source's mass
		if m := f.massOf(); m.lb != nil {
			r.value = NumberFact(decimal.NewFromInt(*m.lb))
		}
	case "distance_km":
		if flight.DistanceKm != nil {
			r.value = NumberFact(*flight.DistanceKm)
			r.gap = unusableGap(r.name, unusableDistance(flight, f.bounds))
		}
	case "passengers":
		if flight.Passengers != nil {
			r.value = NumberFact(decimal.NewFromInt(*flight.Passengers))
			r.gap = unusableGap(r.name, unusablePassengers(flight, f.bounds))
		}
	case "aircraft_type":
		r.value, r.from = f.c.aircraftType()
	case "flight_id":
		r.value = textFact(flight.ID)
	case "callsign":
		r.value = textFact(flight.Callsign)
	case "operator":
		r.value = Fact{text: flight.Operator}
	case "registration":
		r.value = Fact{text: flight.Registration}
	case "origin":
		r.value = Fact{text: canonicalCode(f.c.Origin, flight.Origin)}
	case "destination":
		r.value = Fact{text: canonicalCode(f.c.Destination, flight.Destination)}
	case "movement":
		r.value = Fact{text: cmp.Or(string(flight.Movement), "leg")}
	case "departed_at":
		r.value = instantFact(flight.DepartedAt)
	case "landed_at":
		r.value = instantFact(flight.LandedAt)
	case "on_block_at":
		r.value = instantFact(flight.OnBlockAt)
	case "off_block_at":
		r.value = instantFact(flight.OffBlockAt)
	default:
		if r.value, r.from = f.c.named(r.name); r.value.IsZero() {
			f.derive(r)
		}
	}
}

// derive makes a fact of others.
func (f *facts) derive(r *resolved) {
	switch r.name {
	case "origin_country":
		r.value, r.from = countryOf(f.c.Origin)
	case "destination_country":
		r.value, r.from = countryOf(f.c.Destination)
	case "international":
		from, to := f.fact("origin_country").value, f.fact("destination_country").value
		switch {
		case from.IsZero() || to.IsZero():
		case from.Equal(to):
			r.value, r.how = Fact{text: "no"}, "from "+from.String()+" to "+to.String()
		default:
			r.value, r.how = Fact{text: "yes"}, "from "+from.String()+" to "+to.String()
		}
	case "stay_minutes":
		minutes, missing := f.stayMinutes()
		if r.gap = missing; r.gap.kind == noGap {
			r.value, r.how = NumberFact(minutes.decimal()), "on_block_at to off_block_at"
		}
	}
}

// named returns a fact that is no column: the source's, else as the aircraft was
// declared, else as its type was; facts of First as the aircraft was declared first.
func (c *Case) named(name string) (value Fact, from string) {
	aircraft, declared := c.Aircraft[name]
	if declared && slices.Contains(c.First, name) {
		return aircraft.Value, aircraft.From
	}
	if own, ok := c.Flight.Facts[name]; ok && !own.IsZero() {
		return own, ""
	}
	if declared {
		return aircraft.Value, aircraft.From
	}
	ofType := c.AircraftType[name]
	return ofType.Value, ofType.From
}

// aircraftType returns the flight's, else that of its aircraft.
func (c *Case) aircraftType() (value Fact, from string) {
	aircraft, declared := c.Aircraft["aircraft_type"]
	if declared && (c.Flight.AircraftType == "" || slices.Contains(c.First, "aircraft_type")) {
		return aircraft.Value, aircraft.From
	}
	return textFact(c.Flight.AircraftType), ""
}

func countryOf(a *Airport) (value Fact, from string) {
	if a == nil || a.Country == "" {
		return Fact{}, ""
	}
	return Fact{text: a.Country}, "airport " + a.Code
}

func canonicalCode(known *Airport, code string) string {
	if known != nil {
		return known.Code
	}
	return code
}

func instantFact(t *time.Time) Fact {
	if t == nil {
		return Fact{}
	}
	return Fact{text: instant(*t)}
}

func unusableGap(name, what string) gap {
	if what == "" {
		return gap{}
	}
	return gap{kind: gapUnusable, fact: name, what: what}
}

// Declared returns the facts of a flight that are not the flight source's: what
// registers have added or have put first, and what airports say of the two ends.
func (c *Case) Declared() map[string]Declared {
	all := map[string]Declared{}
	add := func(name string) {
		if slices.Contains(FlightColumns, name) && name != "aircraft_type" { // mtow_kg is below
			return
		}
		value, from := c.named(name)
		if name == "aircraft_type" {
			value, from = c.aircraftType()
		}
		if from != "" && !value.IsZero() {
			all[name] = Declared{value, from}
		}
	}
	for name := range c.Aircraft {
		add(name)
	}
	for name := range c.AircraftType {
		add(name)
	}
	if m := c.massOf(DefaultBounds); m.from != "" && m.gap.kind != gapMissing {
		all["mtow_kg"] = Declared{NumberFact(m.kg), m.from}
	}
	f := facts{c: c}
	for _, name := range []string{"origin_country", "destination_country"} {
		if r := f.fact(name); strings.HasPrefix(r.from, "airport ") {
			all[name] = Declared{r.value, r.from}
		}
	}
	return all
}
