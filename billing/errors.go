package billing

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind says what is to become of a flight that could not be billed now. The
// jobs package maps each kind, once, to what River does with the job.
type Kind string

const (
	// NotYet means that the facts are not there yet: wait and look again.
	NotYet Kind = "not_yet"
	// Refused means that waiting does not help: someone has to put data right.
	Refused Kind = "refused"
	// Outage means that the flight source cannot vouch for an answer now.
	Outage Kind = "outage"
	// Blocked means that someone else holds up what has to be changed.
	Blocked Kind = "blocked"
)

// Reason is a short, stable name for why a flight was not billed: a label for
// metrics and summaries. The message beside it is for people.
type Reason string

// Reasons, in the order in which they are checked.
const (
	ReasonSourceDown      Reason = "source_down"
	ReasonDatabaseDown    Reason = "database_down"
	ReasonLocked          Reason = "locked"
	ReasonFlightUnknown   Reason = "flight_unknown"
	ReasonFlightAmbiguous Reason = "flight_ambiguous"
	ReasonNotLanded       Reason = "not_landed"
	ReasonNoCustomer      Reason = "no_customer"
	ReasonNoTariff        Reason = "no_tariff"
	ReasonNotOffBlock     Reason = "not_off_block"
	ReasonMissingFact     Reason = "missing_fact"
	ReasonUnusableFacts   Reason = "unusable_facts"
	ReasonInvoiceVoided   Reason = "invoice_voided" // before all others, where it was billed before
)

// Cause is a short, stable name for why a flight source gives no answer: a label for
// metrics.
type Cause string

// Causes of an Outage.
const (
	CauseConfiguration Cause = "configuration" // flightbill's settings do not fit the source: waiting does not help
	CauseQuota         Cause = "quota"         // the source wants to be asked less often
	CauseUnreachable   Cause = "unreachable"   // no connection
	CauseTimeout       Cause = "timeout"
	CauseIncomplete    Cause = "incomplete" // a part of the source is away
	CauseFailure       Cause = "failure"    // the source reports an error of its own
	CauseUnreadable    Cause = "unreadable" // it answers what it should not
)

// Causes are all that there are.
func Causes() []Cause {
	return []Cause{
		CauseConfiguration, CauseQuota, CauseUnreachable, CauseTimeout, CauseIncomplete, CauseFailure, CauseUnreadable,
	}
}

// Error says why a flight was not billed: what happened, to which flight, and
// what to do about it.
type Error struct {
	Kind    Kind
	Reason  Reason
	Cause   Cause // of an Outage
	Message string
	Public  string // the message without names of customers and invoices, where it has any
	Err     error  // the cause, where there is one
}

// Error returns the message for people, with the cause where there is one.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// ForQueue returns the message for every application that looks into the queue: without
// the cause, which may name hosts and users.
func (e *Error) ForQueue() string {
	if e.Public != "" {
		return e.Public
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// UnknownFlight reports that the flight source answered and has no such flight.
func UnknownFlight(id string) *Error {
	return &Error{Kind: NotYet, Reason: ReasonFlightUnknown, Message: fmt.Sprintf(
		"flight %s is not in the flight source yet; load it there, or take it off the queue if the id is wrong", id)}
}

// AmbiguousFlight reports that the source has differing rows under one id. They may be
// one for a moment only, while a row is replaced.
func AmbiguousFlight(id string, rows int) *Error {
	return &Error{Kind: NotYet, Reason: ReasonFlightAmbiguous, Message: fmt.Sprintf(
		"flight %s has %d differing rows in the flight source; leave one of them, and enqueue the flight again once it has been cancelled", id, rows)}
}

// UnusableFlight reports that the source holds facts that cannot be right.
func UnusableFlight(id, what string) *Error {
	return &Error{Kind: Refused, Reason: ReasonUnusableFacts, Message: fmt.Sprintf(
		"flight %s %s; correct it in the flight source and enqueue the flight again", id, what)}
}

// SourceDown reports that the flight source did not give an answer to rely on.
func SourceDown(source, what string, err error) *Error {
	return &Error{Kind: Outage, Reason: ReasonSourceDown, Cause: CauseOf(err), Message: fmt.Sprintf(
		"flight source %s %s; flights wait until it is back", source, what), Err: err}
}

// CauseOf returns what a source's error says of its cause, by a method OutageCause.
// Without one, there was no answer.
func CauseOf(err error) Cause {
	type caused interface {
		error
		OutageCause() Cause
	}
	type timed interface {
		error
		Timeout() bool
	}
	if known, ok := errors.AsType[caused](err); ok {
		return known.OutageCause()
	}
	if late, ok := errors.AsType[timed](err); ok && late.Timeout() {
		return CauseTimeout
	}
	return CauseUnreachable
}

// OutageCause lets an Error that is wrapped tell.
func (e *Error) OutageCause() Cause { return e.Cause }

// SourceMisfit reports that the flight source cannot be read as it is set up. The error
// names the setting.
func SourceMisfit(source string, err error) *Error {
	return &Error{Kind: Outage, Reason: ReasonSourceDown, Cause: CauseConfiguration, Message: fmt.Sprintf(
		"flight source %s cannot be read as it is set up; flights wait until that is put right", source), Err: err}
}

// NoCustomer returns a Refused error for a flight that no customer pays for.
func NoCustomer(f Flight) error {
	var what, add string
	day := "landing date"
	if f.Movement == Departure {
		day = "departure date"
	}
	switch {
	case f.Registration != "" && f.Operator != "":
		what = fmt.Sprintf("neither its aircraft %q nor its operator %q belongs to one on its %s", f.Registration, f.Operator, day)
		add = "add one of the two to a customer"
	case f.Registration != "":
		what = fmt.Sprintf("its aircraft %q belongs to none on its %s and its operator is not known", f.Registration, day)
		add = "add the aircraft to a customer, or the operator to the flight"
	case f.Operator != "":
		what = fmt.Sprintf("its operator %q belongs to none on its %s and its aircraft's registration is not known", f.Operator, day)
		add = "add the operator to a customer, or the registration to the flight"
	default:
		what = "neither its aircraft's registration nor its operator is known"
		add = "add one of the two to the flight in the flight source"
	}
	return &Error{Kind: Refused, Reason: ReasonNoCustomer, Message: fmt.Sprintf(
		"flight %s has no customer: %s; %s and enqueue the flight again", f.ID, what, add)}
}

// words says what a movement is called, and which fact has its time.
func (m Movement) words() (not, noun, column string) {
	if m == Departure {
		return "has not departed", "departure time", "departed_at"
	}
	return "has not landed", "landing time", "landed_at"
}

// notMoved reports that the flight's movement has no time yet.
func notMoved(f *Flight) *Error {
	not, noun, column := f.Movement.words()
	return &Error{Kind: NotYet, Reason: ReasonNotLanded, Message: fmt.Sprintf(
		"flight %s %s yet; it is billed once the flight source has its %s (%s)", f.ID, not, noun, column)}
}

// noTariff reports that no tariff applies to the flight.
func noTariff(c *Case, m *mass) *Error {
	f := &c.Flight
	mass := "of unknown mass"
	if m.gap.kind != gapMissing {
		mass = fmt.Sprintf("of %s kg", m.kg)
	}
	moved := "landed"
	if f.Movement == Departure {
		moved = "departed"
	}
	message := func(customer string) string {
		return fmt.Sprintf("flight %s has no tariff: none applies to %s, from %s to %s, %s on %s, %s; "+
			"add a tariff or correct the flight, and enqueue the flight again",
			f.ID, customer, quotedOr(f.Origin, "an unknown airport"), quotedOr(f.Destination, "an unknown airport"),
			moved, c.MovedOn, mass)
	}
	return &Error{Kind: Refused, Reason: ReasonNoTariff, Message: message("customer " + c.Customer.Code), Public: message("its customer")}
}

// quotedOr shows a code with its blanks and its case.
func quotedOr(code, none string) string {
	if code == "" {
		return none
	}
	return strconv.Quote(code)
}

// lacking reports that a tariff needs a fact that is not there, not there yet, or cannot
// be right.
func (p *pricing) lacking(t *Tariff, g gap) *Error {
	id := p.c.Flight.ID
	switch g.kind {
	case gapStay:
		return &Error{Kind: NotYet, Reason: ReasonNotOffBlock, Message: fmt.Sprintf(
			"flight %s has no end of its stay on the stand yet, which tariff %q needs; it is billed once the flight source has %s and that time has come",
			id, t.Code, stayText(&p.c.Flight))}
	case gapUnusable:
		where := "the flight source"
		if p.facts.fact(g.fact).from != "" {
			where = "the register of aircraft"
		}
		return &Error{Kind: Refused, Reason: ReasonUnusableFacts, Message: fmt.Sprintf(
			"flight %s %s, and tariff %q needs it; correct it in %s, or the tariff, and enqueue the flight again", id, g.what, t.Code, where)}
	default:
		return &Error{Kind: Refused, Reason: ReasonMissingFact, Message: fmt.Sprintf(
			"flight %s has no %s, which tariff %q needs; %s and enqueue the flight again", id, p.factText(g.fact), t.Code, p.whereToAdd(g.fact))}
	}
}

// stayText says which times of a stay are needed.
func stayText(f *Flight) string {
	if f.OnBlockAt == nil {
		return "both on_block_at and off_block_at"
	}
	return "its off_block_at"
}

// factText says what a fact is, as a clerk and the flight source call it.
func (p *pricing) factText(fact string) string {
	switch fact {
	case "mtow_kg":
		return "maximum take-off mass (mtow_kg)"
	case "distance_km":
		return "distance (distance_km)"
	case "passengers":
		return "number of passengers (passengers)"
	case "origin" + timeZone:
		return "time zone of its origin, " + quotedOr(p.c.Flight.Origin, "which is not known")
	case "destination" + timeZone:
		return "time zone of its destination, " + quotedOr(p.c.Flight.Destination, "which is not known")
	case "origin_country":
		return "origin_country, the country of " + quotedOr(p.c.Flight.Origin, "its origin, which is not known")
	case "destination_country":
		return "destination_country, the country of " + quotedOr(p.c.Flight.Destination, "its destination, which is not known")
	case "international":
		return fmt.Sprintf("international: the country of %s or of %s is not known",
			quotedOr(p.c.Flight.Origin, "its unknown origin"), quotedOr(p.c.Flight.Destination, "its unknown destination"))
	default:
		return fact
	}
}

// whereToAdd says where a fact that is missing belongs.
func (p *pricing) whereToAdd(fact string) string {
	switch {
	case strings.HasSuffix(fact, timeZone) || fact == "origin_country" || fact == "destination_country" || fact == "international":
		return "add the airport to the register of airports, or correct it in the flight source,"
	case fact == "mtow_kg" || !slices.Contains(FlightColumns, fact):
		return "add it in the flight source or in the register of aircraft"
	case fact == "distance_km" || fact == "passengers":
		return "add it in the flight source (a 0 from Pinot is a missing one, unless PINOT_ZERO_IS_A_FACT names it)"
	default:
		return "add it in the flight source"
	}
}

// unusableTariff reports that a tariff that applies to the flight cannot be
// right.
func unusableTariff(id, tariffCode, what string) *Error {
	return &Error{Kind: Refused, Reason: ReasonUnusableFacts, Message: fmt.Sprintf(
		"flight %s cannot be priced: tariff %q %s; correct the tariff and enqueue the flight again",
		id, tariffCode, what)}
}

// instant writes a time as it stands in a flight source: in UTC.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// movesLater reports that the time of the flight's movement is still to come.
func movesLater(f *Flight) *Error {
	not, noun, column := f.Movement.words()
	return &Error{Kind: NotYet, Reason: ReasonNotLanded, Message: fmt.Sprintf(
		"flight %s %s yet: its %s (%s) is %s; it is billed after that, or once the time is corrected in the flight source",
		f.ID, not, noun, column, instant(*f.MovedAt()))}
}
