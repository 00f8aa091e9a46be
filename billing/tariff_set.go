package billing

import "iter"

// TariffSet holds tariffs by the airport that they are for, each ready for use.
type TariffSet struct {
	everywhere []*Tariff            // without an airport
	atAirport  map[string][]*Tariff // by the canonical form of the airport's code
	all        []*Tariff
}

// NewTariffSet returns the set of tariffs. canonical gives the code under which the
// register has an airport, and any other code as it is; nil: no register.
func NewTariffSet(tariffs []Tariff, canonical func(code string) string) *TariffSet {
	s := &TariffSet{atAirport: map[string][]*Tariff{}}
	for _, tariff := range tariffs {
		t := &tariff
		s.all = append(s.all, t)
		if t.Airport == "" {
			s.everywhere = append(s.everywhere, t)
			continue
		}
		code := t.Airport
		if canonical != nil {
			code = canonical(code)
		}
		t.airport = CodeForm(code)
		s.atAirport[t.airport] = append(s.atAirport[t.airport], t)
	}
	return s
}

// All returns the tariffs in the order given.
func (s *TariffSet) All() []*Tariff { return s.all }

// at returns the tariffs that could apply to a flight by its airports.
func (s *TariffSet) at(c *Case) iter.Seq[*Tariff] {
	from, to := c.originForm(), c.destinationForm()
	return func(yield func(*Tariff) bool) {
		for i, tariffs := range [][]*Tariff{s.everywhere, s.atAirport[from], s.atAirport[to]} {
			if i == 2 && from == to {
				return
			}
			for _, t := range tariffs {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// originForm returns the form in which the origin is compared.
func (c *Case) originForm() string { return airportForm(c.Origin, c.Flight.Origin) }

// destinationForm returns that of the destination.
func (c *Case) destinationForm() string { return airportForm(c.Destination, c.Flight.Destination) }

func airportForm(known *Airport, code string) string {
	if known != nil {
		code = known.Code
	}
	return CodeForm(code)
}
