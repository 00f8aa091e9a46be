package pinot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/flightbill/flightbill/billing"
)

// MaxFlights is how many flights one call of Flights may ask for. Pinot answers for
// 50 about as fast as for one.
const MaxFlights = 50

// Flight reads one flight. Times are in UTC, masses in kg, distances in km.
//
// Its errors are of type *billing.Error: kind Outage where Pinot gave no answer to
// rely on, NotYet where it has no such flight, Refused where it has differing rows
// or a value that cannot be right. Once ctx is done, its error is returned wrapped.
// With several brokers, each is given Timeout before there is an outage.
func (s *Source) Flight(ctx context.Context, id string) (billing.Flight, error) {
	if !canBeAsked(id) {
		return billing.Flight{}, billing.UnknownFlight(id)
	}
	a, err := s.look(ctx, id)
	if err != nil {
		return billing.Flight{}, asOutage(ctx, fmt.Sprintf("pinot: flight %s", id), err)
	}
	return s.flightOf(id, a.broker, a.rows)
}

// Flights reads several flights, at most MaxFlights, with one query. It returns
// those that can be relied on as they are. What is wrong with the others Flight
// tells: the source does not have them, or has differing rows or a value that cannot
// be right. Its errors are those of Flight, of kind Outage.
func (s *Source) Flights(ctx context.Context, ids []string) (map[string]billing.Flight, error) {
	if len(ids) > MaxFlights {
		return nil, fmt.Errorf("pinot: %d flights asked for at once; the most is %d", len(ids), MaxFlights)
	}
	wanted := map[string]bool{}
	for _, id := range ids {
		if canBeAsked(id) {
			wanted[id] = true
		}
	}
	found := map[string]billing.Flight{}
	if len(wanted) == 0 {
		return found, nil
	}
	asked := slices.Sorted(maps.Keys(wanted))
	a, err := s.look(ctx, asked...)
	if err != nil {
		return nil, asOutage(ctx, fmt.Sprintf("pinot: %d flights", len(asked)), err)
	}
	if len(a.rows) >= limitFor(len(asked)) {
		return found, nil // a row that differs may have been cut off
	}
	rows := map[string][][]any{}
	for _, row := range a.rows {
		id, ok := s.selection.readID(row)
		if !ok || !wanted[id] {
			return found, nil // whose row is it?
		}
		rows[id] = append(rows[id], row)
	}
	for id, own := range rows {
		if f, err := s.flightOf(id, a.broker, own); err == nil {
			found[id] = f
		}
	}
	return found, nil
}

// canBeAsked says whether a flight can have this id. Rows without an id would
// answer to a stand-in.
func canBeAsked(id string) bool { return !standIn(id) && utf8.ValidString(id) }

// flightOf makes the flight of all the rows that one query had for it.
func (s *Source) flightOf(id, broker string, rows [][]any) (billing.Flight, error) {
	var distinct []billing.Flight
	for _, row := range rows {
		f, err := s.selection.readRow(row)
		if wrong, ok := errors.AsType[*valueError](err); ok {
			return billing.Flight{}, billing.UnusableFlight(id, wrong.Error())
		}
		if err == nil && f.ID != id {
			err = fmt.Errorf("asked for flight %q, got %q", id, f.ID)
		}
		if err != nil {
			return billing.Flight{}, billing.SourceDown("pinot", "answers what cannot be read",
				fmt.Errorf("broker %s: %w", broker, err))
		}
		if !slices.ContainsFunc(distinct, func(other billing.Flight) bool { return sameFlight(other, f) }) {
			distinct = append(distinct, f)
		}
	}
	switch {
	case len(distinct) == 0:
		return billing.Flight{}, billing.UnknownFlight(id)
	case len(distinct) > 1:
		return billing.Flight{}, billing.AmbiguousFlight(id, len(distinct))
	case len(rows) >= rowLimit:
		// One more may differ.
		return billing.Flight{}, billing.UnusableFlight(id, fmt.Sprintf("has %d rows or more", rowLimit))
	}
	return distinct[0], nil
}

// noFlight is an id that no flight has: an id starts with a letter or digit.
const noFlight = "?"

// Probe returns nil when Pinot answers look-ups, and otherwise the error that Flight
// would return. No flight's data can spoil it.
func (s *Source) Probe(ctx context.Context) error {
	if _, err := s.look(ctx, noFlight); err != nil {
		return asOutage(ctx, "pinot: probe", err)
	}
	return nil
}
