package billing

import "fmt"

// TariffProblem is what is wrong with one of several tariffs beside the others.
type TariffProblem struct {
	Index   int    // of the tariff, in the tariffs given
	Column  string // of the tariff file
	Message string // begins with the column
}

// ValidateSet reports what percentages and top-ups are made of that they cannot be:
// codes that no tariff has for their airport and customer, or that have another currency
// there, top-ups, and themselves. canonical gives the code under which the register
// has an airport, and any other code as it is; nil: no register.
func ValidateSet(tariffs []Tariff, canonical func(code string) string) []TariffProblem {
	if canonical == nil {
		canonical = asWritten
	}
	all := make([]*Tariff, len(tariffs))
	byCode := map[string][]*Tariff{}
	airports := map[*Tariff]string{}
	for i := range tariffs {
		t := &tariffs[i]
		all[i] = t
		byCode[CodeForm(t.Code)] = append(byCode[CodeForm(t.Code)], t)
		airports[t] = CodeForm(canonical(t.Airport))
	}
	graph := newCodeGraph(all)

	var found []TariffProblem
	for i, t := range all {
		if !t.Basis.ofCharges() {
			continue
		}
		add := func(format string, args ...any) {
			found = append(found, TariffProblem{i, "of", fmt.Sprintf(format, args...)})
		}
		if wrong := graph.wrong(t); wrong != "" {
			add("%s", wrong)
			continue
		}
		for _, code := range t.Of {
			rows := byCode[CodeForm(code)]
			if len(rows) == 0 {
				add("of %q is the code of no tariff: correct it, or import that tariff with this one", code)
			}
			met := false
			for _, other := range rows {
				if !haveOneFlight(t, other, airports) {
					continue
				}
				met = true // on other days, perhaps: those of this one's may come with another file
				if other.Currency != t.Currency && t.validity().Overlaps(other.validity()) {
					add("of %q is charged in %s, and this tariff in %s: both must be in one currency", code, other.Currency, t.Currency)
					break
				}
			}
			if t.Basis == BasisPercent && len(rows) > 0 && !met { // a top-up is charged whole then
				add("of %q is never charged where this tariff is: no tariff of that code is for the same airport and customer, or for all; correct one of the two", code)
			}
		}
	}
	return found
}

// haveOneFlight reports whether customer and airport let two tariffs be charged to one
// flight at one airport.
func haveOneFlight(a, b *Tariff, airports map[*Tariff]string) bool {
	return (a.CustomerID == 0 || b.CustomerID == 0 || a.CustomerID == b.CustomerID) && oneAirport(airports[a], airports[b])
}
