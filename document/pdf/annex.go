package pdf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/document"
)

// annex writes a line for each flight.
func (s *sheet) annex() {
	if len(s.inv.Charges) == 0 {
		return
	}
	const short = 12 // so many flights may stand below the rest of a page
	if flights := s.flightsOf(); len(s.inv.Charges) > short || s.y+float64(len(flights))*6+30 > bottom {
		s.newPage()
	} else {
		s.y += 6
	}
	s.paragraph(left, s.wrap(heading, width, s.flights))
	s.y++
	cs := columns(
		column{title: s.day, w: 19}, column{title: s.flight, w: 40}, column{title: s.callsign, w: 19}, column{title: s.registration, w: 22},
		column{title: s.route, w: 21}, column{title: s.services, w: 29}, column{title: s.net + " (" + s.inv.Currency + ")", w: 22, right: true},
	)
	s.table(cs)
	cells := make([][]line, len(cs))
	for _, charges := range s.flightsOf() {
		first := charges[0]
		id, route := first.FlightID, s.joined("–", first.Origin, first.Destination)
		if id == "" { // interest
			id = first.Description
		}
		net := decimal.Zero
		var codes []string
		for _, c := range charges {
			net = net.Add(c.Amount)
			if !slices.Contains(codes, c.Code) {
				codes = append(codes, c.Code)
			}
		}
		what := strings.Join(codes, ", ")
		if mark := s.marked(first.Correction, first.Late); mark != "" {
			what += " (" + mark + ")"
		}
		for i, text := range []string{
			s.inTable(first.FlownOn), id, first.Callsign, first.Registration, route, what, s.plain(s.signed(net), s.inv.Currency),
		} {
			w := cs[i].w
			if i == 1 && first.FlightID == "" {
				w = cs[5].x - cs[1].x // there is nothing beside it
			}
			cells[i] = s.wrap(tiny, w-gap, text)
		}
		s.row(cs, cells, 0.4)
	}
	s.endTable()
}

// flightsOf has the charges of each flight together.
func (s *sheet) flightsOf() [][]document.Charge {
	var flights [][]document.Charge
	start := 0
	for i, c := range s.inv.Charges {
		first := s.inv.Charges[start]
		if i > start && (c.FlightID == "" || c.FlightID != first.FlightID || c.FlownOn != first.FlownOn || c.Correction != first.Correction) {
			flights = append(flights, s.inv.Charges[start:i])
			start = i
		}
	}
	if start < len(s.inv.Charges) {
		flights = append(flights, s.inv.Charges[start:])
	}
	return flights
}

// edges writes what stands at the top and at the foot of each page, once it is known how
// many there are.
func (s *sheet) edges() {
	pages := s.pdf.PageCount()
	count := func(n int) string { return s.decimal(decimal.NewFromInt(int64(n)), 0) }
	heading := s.short(s.title()+" "+s.inv.Number, width*0.55)
	sender := s.short(s.joined(" · ", s.inv.Issuer.Name, s.inv.Issuer.VATID), width*0.42)
	footer := s.short(sender, width*0.6)
	for n := 1; n <= pages; n++ {
		s.pdf.SetPage(n)
		s.now = style{} // the library does not know what that page had
		if n > 1 {
			s.write(left, 13, line{heading, small})
			s.writeRight(right, 13, line{sender, small})
			s.hairline(18.5, accent, 0.3)
		}
		s.hairline(281, rule, 0.1)
		s.write(left, 282.5, line{footer, small})
		s.writeRight(right, 282.5, line{fmt.Sprintf(s.page, count(n), count(pages)), small})
	}
}

// short cuts a text that stands in full elsewhere.
func (s *sheet) short(text string, width float64) string {
	lines := s.wrap(small, width, text)
	switch len(lines) {
	case 0:
		return ""
	case 1:
		return lines[0].text
	default:
		return lines[0].text + " …"
	}
}
