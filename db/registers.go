package db

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

const (
	// maxReadRegister is up to how many aircraft, and types, a PriceBook is read with.
	maxReadRegister = 2_000
	// maxKnownRegister bounds how many of each, and of airports, it remembers where there
	// are more.
	maxKnownRegister = 20_000
)

// registers are what is declared of aircraft, their types and airports, as far as that is
// known. Books of one version share them.
type registers struct {
	mu          sync.Mutex
	aircraft    map[string][]declaration               // by billing.CodeForm; known and empty: not in the register
	types       map[string]map[string]billing.Declared // likewise
	airports    map[string]*billing.Airport            // known and nil: not in the register
	zones       map[string]*time.Location              // those of airports; nil: not in this machine's zone database
	allAircraft bool                                   // what is not there is not in the register
	allTypes    bool
}

// declaration is what is declared of an aircraft, and when.
type declaration struct {
	validity billing.Validity
	typeForm string
	declared map[string]billing.Declared
}

// readRegisters reads what is declared of aircraft and types, or leaves it to be asked for
// where that is much. The airports are the world's: they are always asked for.
func readRegisters(ctx context.Context, q *dbsqlc.Queries) (*registers, error) {
	r := &registers{
		aircraft: map[string][]declaration{}, types: map[string]map[string]billing.Declared{},
		airports: map[string]*billing.Airport{}, zones: map[string]*time.Location{"": nil},
	}
	aircraft, err := q.AircraftList(ctx, maxReadRegister+1)
	if err != nil {
		return nil, err
	}
	if r.allAircraft = len(aircraft) <= maxReadRegister; r.allAircraft {
		for _, a := range aircraft {
			if err := r.addAircraft(a.Form, a.Registration, billing.Validity{From: a.ValidFrom, To: a.ValidTo}, a.AircraftType, a.MtowKg, a.Facts); err != nil {
				return nil, err
			}
		}
	}
	types, err := q.AircraftTypeList(ctx, maxReadRegister+1)
	if err != nil {
		return nil, err
	}
	if r.allTypes = len(types) <= maxReadRegister; r.allTypes {
		for _, t := range types {
			if err := r.addType(t.Form, t.AircraftType, t.MtowKg, t.Facts); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

func (r *registers) addAircraft(form, registration string, validity billing.Validity, aircraftType string, mtowKg *int64, facts []byte) error {
	from := "aircraft " + registration
	declared, err := declaredOf(from, mtowKg, facts)
	if err != nil {
		return err
	}
	if aircraftType != "" {
		declared["aircraft_type"] = billing.Declared{Value: billing.TextFact(aircraftType), From: from}
	}
	r.aircraft[form] = append(r.aircraft[form], declaration{validity, billing.CodeForm(aircraftType), declared})
	return nil
}

func (r *registers) addType(form, aircraftType string, mtowKg *int64, facts []byte) (err error) {
	r.types[form], err = declaredOf("aircraft type "+aircraftType, mtowKg, facts)
	return err
}

func declaredOf(from string, mtowKg *int64, facts []byte) (map[string]billing.Declared, error) {
	named, err := namedFacts(facts)
	if err != nil {
		return nil, fmt.Errorf("read the facts of %s in the register: %w", from, err)
	}
	declared := make(map[string]billing.Declared, len(named)+2)
	for name, fact := range named {
		declared[name] = billing.Declared{Value: fact, From: from}
	}
	if mtowKg != nil {
		declared["mtow_kg"] = billing.Declared{Value: billing.NumberFact(decimal.NewFromInt(*mtowKg)), From: from}
	}
	return declared, nil
}

func (r *registers) addAirport(form, code, country, zone string) {
	location, known := r.zones[zone]
	if !known {
		location, _ = time.LoadLocation(zone) // without it, a tariff that needs the clock says so
		r.zones[zone] = location
	}
	r.airports[form] = &billing.Airport{Code: code, Country: country, Location: location}
}

// complete adds to a case what the registers have of its flight, unless the database must
// be asked for that.
func (r *registers) complete(c *billing.Case) (known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	missing := r.missing(&c.Flight, c.MovedOn)
	if missing != (unknownOf{}) {
		return false
	}
	if a := r.aircraftOn(c.Flight.Registration, c.MovedOn); a != nil {
		c.Aircraft = a.declared
	}
	c.AircraftType = r.types[r.typeOf(&c.Flight, c.MovedOn)]
	c.Origin, c.Destination = r.airports[billing.CodeForm(c.Flight.Origin)], r.airports[billing.CodeForm(c.Flight.Destination)]
	return true
}

// unknownOf are the forms of a flight that are not known; "": none.
type unknownOf struct{ registration, aircraftType, origin, destination string }

func (r *registers) missing(f *billing.Flight, movedOn billing.Date) (u unknownOf) {
	registration := billing.CodeForm(f.Registration)
	if _, known := r.aircraft[registration]; !known && !r.allAircraft {
		u.registration = registration
	}
	aircraftType := r.typeOf(f, movedOn)
	if _, known := r.types[aircraftType]; !known && !r.allTypes {
		u.aircraftType = aircraftType
	}
	origin, destination := billing.CodeForm(f.Origin), billing.CodeForm(f.Destination)
	if _, known := r.airports[origin]; !known {
		u.origin = origin
	}
	if _, known := r.airports[destination]; !known {
		u.destination = destination
	}
	return u
}

func (r *registers) aircraftOn(registration string, day billing.Date) *declaration {
	declarations := r.aircraft[billing.CodeForm(registration)]
	for i := range declarations {
		if declarations[i].validity.Holds(day) {
			return &declarations[i]
		}
	}
	return nil
}

// typeOf returns the form of the flight's type of aircraft: its own, else its aircraft's.
func (r *registers) typeOf(f *billing.Flight, day billing.Date) string {
	if form := billing.CodeForm(f.AircraftType); form != "" {
		return form
	}
	if a := r.aircraftOn(f.Registration, day); a != nil {
		return a.typeForm
	}
	return ""
}

// learn asks, in one query, for what is not known of flights that have moved, and returns
// of how many that was.
func (r *registers) learn(ctx context.Context, q *dbsqlc.Queries, book *PriceBook, flights []billing.Flight) (asked int, err error) {
	registrations, types, airports := map[string]bool{}, map[string]bool{}, map[string]bool{}
	r.mu.Lock()
	for i := range flights {
		u := r.missing(&flights[i], book.Calendar.MovementDate(flights[i]))
		if u != (unknownOf{}) {
			asked++
		}
		registrations[u.registration], types[u.aircraftType], airports[u.origin], airports[u.destination] = true, true, true, true
	}
	r.mu.Unlock()
	if asked == 0 {
		return 0, nil
	}
	params := dbsqlc.RegisterListOfParams{Registrations: formsOf(registrations), AircraftTypes: formsOf(types), Airports: formsOf(airports)}
	rows, err := q.RegisterListOf(ctx, params)
	if err != nil {
		return asked, err
	}
	if slices.ContainsFunc(rows, func(row dbsqlc.RegisterListOfRow) bool { return row.Version != book.Version }) {
		return asked, errBookChanged
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return asked, r.keep(params, rows)
}

func formsOf(forms map[string]bool) []string {
	delete(forms, "")
	return slices.Collect(maps.Keys(forms))
}

// keep remembers the answer for what was asked for.
func (r *registers) keep(asked dbsqlc.RegisterListOfParams, rows []dbsqlc.RegisterListOfRow) error {
	if !r.allAircraft && len(r.aircraft) >= maxKnownRegister {
		clear(r.aircraft)
	}
	if !r.allTypes && len(r.types) >= maxKnownRegister {
		clear(r.types)
	}
	if len(r.airports) >= maxKnownRegister {
		clear(r.airports)
	}
	for _, form := range asked.Registrations {
		r.aircraft[form] = nil
	}
	for _, row := range rows {
		var err error
		switch {
		case row.Kind == "aircraft" && row.Name != "":
			err = r.addAircraft(row.Form, row.Name, billing.Validity{From: row.ValidFrom, To: row.ValidTo}, row.AircraftType, row.MtowKg, row.Facts)
		case row.Kind == "aircraft type" && row.Name != "":
			err = r.addType(row.Form, row.Name, row.MtowKg, row.Facts)
		case row.Kind == "aircraft type":
			r.types[row.Form] = nil
		case row.Kind == "airport" && row.Name != "":
			r.addAirport(row.Form, row.Name, row.Country, row.Timezone)
		case row.Kind == "airport":
			r.airports[row.Form] = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
