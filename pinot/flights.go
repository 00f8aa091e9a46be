package pinot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/flightbill/flightbill/billing"
)

// maxAsked bounds how many flights one query asks for, and with them its text.
const maxAsked = 500

// Flight reads one flight. Times are in UTC, masses in kg, distances in km.
//
// Its errors are of type *billing.Error: kind Outage where Pinot gave no answer to
// rely on, or its settings do not fit it; NotYet where it has no such flight, or differing
// rows; Refused where it has a value that cannot be right. Once ctx is done, its error is returned wrapped.
// With several brokers, each is given Timeout before there is an outage.
func (s *Source) Flight(ctx context.Context, id string) (billing.Flight, error) {
	answers, err := s.Flights(ctx, []string{id})
	if err != nil {
		return billing.Flight{}, err
	}
	return answers[id].Flight, answers[id].Err
}

// Flights reads any number of flights, with one query for each maxAsked of them where
// that can tell. Each has its answer: what Flight would return. An error of Flights
// itself is an outage that all meet, or that of ctx.
func (s *Source) Flights(ctx context.Context, ids []string) (map[string]billing.Answer, error) {
	answers := make(map[string]billing.Answer, len(ids))
	var asked []string
	for _, id := range ids {
		if canBeAsked(id) {
			asked = append(asked, id)
		} else {
			answers[id] = billing.Answer{Err: billing.UnknownFlight(id)}
		}
	}
	if len(asked) == 0 {
		return answers, nil
	}
	slices.Sort(asked)
	of, err := s.selected(ctx)
	if err != nil {
		return nil, asOutage(ctx, "pinot: "+some(asked), err)
	}
	for part := range slices.Chunk(slices.Compact(asked), maxAsked) {
		if err := s.settle(ctx, of, part, answers); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// canBeAsked says whether a flight can have this id. Rows without an id would
// answer to a stand-in.
func canBeAsked(id string) bool { return !standIn(id) && utf8.ValidString(id) }

// settle adds the answers of flights, whose ids are sorted. Where one query does not
// tell of each, it asks for either half.
func (s *Source) settle(ctx context.Context, of *selection, ids []string, answers map[string]billing.Answer) error {
	a, err := s.look(ctx, s.flightQuery(of, ids))
	if err != nil {
		return asOutage(ctx, "pinot: "+some(ids), err)
	}
	rows, ok := map[string][][]any{ids[0]: a.rows}, len(ids) == 1
	if !ok {
		rows, ok = of.rowsOf(ids, a.rows)
	}
	if ok {
		var unreadable bool
		for _, id := range ids {
			answer, readable := of.answerOf(id, a.broker, rows[id])
			answers[id] = answer
			unreadable = unreadable || !readable
		}
		if !unreadable {
			return nil
		}
		if err := s.fault(ctx, of, a); err != nil {
			s.noteMisfit(err)
			return asOutage(ctx, "pinot: "+some(ids), err)
		}
		return nil
	}
	half := len(ids) / 2
	if err := s.settle(ctx, of, ids[:half], answers); err != nil {
		return err
	}
	return s.settle(ctx, of, ids[half:], answers)
}

// some names flights for an error.
func some(ids []string) string {
	if len(ids) == 1 {
		return "flight " + ids[0]
	}
	return fmt.Sprintf("flight %s and %d others", ids[0], len(ids)-1)
}

// rowsOf sorts the rows of one query by flight, where they tell of each.
//
// A flight without a row is then unknown, as surely as where it is asked for alone: every
// server that was asked has responded, no row was cut off, and none is of another id,
// which Pinot may have read for this one. A server that was not asked has, by the table's
// partitions, none of these flights; where none was asked, look has found out why. Of a
// server that Pinot has forgotten there is no sign, when one flight is asked for neither.
func (s *selection) rowsOf(ids []string, rows [][]any) (found map[string][][]any, ok bool) {
	if len(rows) >= limitFor(len(ids)) {
		return nil, false
	}
	found = make(map[string][][]any, len(ids))
	for _, row := range rows {
		id, readable := s.readID(row)
		if _, asked := slices.BinarySearch(ids, id); !readable || !asked {
			return nil, false
		}
		found[id] = append(found[id], row)
	}
	return found, true
}

// answerOf makes the answer of all the rows that one query had for a flight, and says
// whether they could be read.
func (s *selection) answerOf(id, broker string, rows [][]any) (answer billing.Answer, readable bool) {
	var distinct []billing.Flight
	for _, row := range rows {
		f, err := s.readRow(row)
		if wrong, ok := errors.AsType[*valueError](err); ok {
			return billing.Answer{Err: billing.UnusableFlight(id, wrong.Error())}, false
		}
		readable := err == nil
		if readable && f.ID != id {
			err = fmt.Errorf("asked for flight %q, got %q", id, f.ID)
		}
		if err != nil {
			wrong := causedBy(billing.CauseUnreadable, "broker %s: %w", broker, err)
			return billing.Answer{Err: billing.SourceDown("pinot", "answers what cannot be read", wrong)}, readable
		}
		if !slices.ContainsFunc(distinct, func(other billing.Flight) bool { return sameFlight(other, f) }) {
			distinct = append(distinct, f)
		}
	}
	return answerWith(id, distinct, len(rows)), true
}

// answerWith is the answer of rows that can be read.
func answerWith(id string, distinct []billing.Flight, rows int) billing.Answer {
	switch {
	case len(distinct) == 0:
		return billing.Answer{Err: billing.UnknownFlight(id)}
	case len(distinct) > 1:
		return billing.Answer{Err: billing.AmbiguousFlight(id, len(distinct))}
	case rows >= rowLimit:
		// One more may differ.
		return billing.Answer{Err: billing.UnusableFlight(id, fmt.Sprintf("has %d rows or more", rowLimit))}
	}
	return billing.Answer{Flight: distinct[0]}
}

// noFlight is an id that no flight has: an id starts with a letter or digit.
const noFlight = "?"

// Probe returns nil when Pinot answers look-ups, and otherwise the error that Flight
// would return. No flight's data can spoil it. Where table and mapping may not fit each
// other, or that could not be told yet, it is Check.
func (s *Source) Probe(ctx context.Context) error {
	if s.inDoubt() {
		err := s.Check(ctx)
		if wrong, ok := errors.AsType[*ConfigError](err); ok {
			return billing.SourceMisfit("pinot", wrong)
		}
		return err
	}
	of, err := s.selected(ctx)
	if err == nil {
		_, err = s.look(ctx, s.flightQuery(of, []string{noFlight}))
	}
	if err != nil {
		return asOutage(ctx, "pinot: probe", err)
	}
	return nil
}
