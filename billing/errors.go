package billing

import (
	"cmp"
	"fmt"
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
	ReasonMissingFact     Reason = "missing_fact"
	ReasonUnusableFacts   Reason = "unusable_facts"
	ReasonInvoiceVoided   Reason = "invoice_voided" // before all others, where it was billed before
)

// Error says why a flight was not billed: what happened, to which flight, and
// what to do about it.
type Error struct {
	Kind    Kind
	Reason  Reason
	Message string
	Err     error // the cause, where there is one
}

// Error returns the message for people, with the cause where there is one.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
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

// AmbiguousFlight reports that the source has differing rows under one id.
func AmbiguousFlight(id string, rows int) *Error {
	return &Error{Kind: Refused, Reason: ReasonFlightAmbiguous, Message: fmt.Sprintf(
		"flight %s has %d differing rows in the flight source; leave one of them and enqueue the flight again", id, rows)}
}

// UnusableFlight reports that the source holds facts that cannot be right.
func UnusableFlight(id, what string) *Error {
	return &Error{Kind: Refused, Reason: ReasonUnusableFacts, Message: fmt.Sprintf(
		"flight %s %s; correct it in the flight source and enqueue the flight again", id, what)}
}

// SourceDown reports that the flight source did not give an answer to rely on.
func SourceDown(source, what string, err error) *Error {
	return &Error{Kind: Outage, Reason: ReasonSourceDown, Message: fmt.Sprintf(
		"flight source %s %s; flights wait until it is back", source, what), Err: err}
}

// NoCustomer returns a Refused error for a flight that no customer pays for.
func NoCustomer(f Flight) error {
	var what, add string
	switch {
	case f.Registration != "" && f.Operator != "":
		what = fmt.Sprintf("neither its aircraft %s nor its operator %s belongs to one", f.Registration, f.Operator)
		add = "add one of the two to a customer"
	case f.Registration != "":
		what = fmt.Sprintf("its aircraft %s belongs to none and its operator is not known", f.Registration)
		add = "add the aircraft to a customer, or the operator to the flight"
	case f.Operator != "":
		what = fmt.Sprintf("its operator %s belongs to none and its aircraft's registration is not known", f.Operator)
		add = "add the operator to a customer, or the registration to the flight"
	default:
		what = "neither its aircraft's registration nor its operator is known"
		add = "add one of the two to the flight in the flight source"
	}
	return &Error{Kind: Refused, Reason: ReasonNoCustomer, Message: fmt.Sprintf(
		"flight %s has no customer: %s; %s and enqueue the flight again", f.ID, what, add)}
}

// notLanded reports that the flight has no landing time yet.
func notLanded(id string) *Error {
	return &Error{Kind: NotYet, Reason: ReasonNotLanded, Message: fmt.Sprintf(
		"flight %s has not landed yet; it is billed once the flight source has its landing time (landed_at)", id)}
}

// noTariff reports that no tariff applies to the flight.
func noTariff(f *Flight, cust Customer, landedOn Date) *Error {
	mass := "of unknown mass"
	if f.MTOWKg != nil {
		mass = fmt.Sprintf("of %d kg", *f.MTOWKg)
	}
	return &Error{Kind: Refused, Reason: ReasonNoTariff, Message: fmt.Sprintf(
		"flight %s has no tariff: none applies to customer %s, from %s to %s, landed on %s, %s; "+
			"add a tariff or correct the flight, and enqueue the flight again",
		f.ID, cust.Code, cmp.Or(f.Origin, "an unknown airport"), cmp.Or(f.Destination, "an unknown airport"),
		landedOn, mass)}
}

// lacksFact reports that the flight lacks a fact that an applying tariff needs.
func lacksFact(id, fact, tariffCode string) *Error {
	return &Error{Kind: Refused, Reason: ReasonMissingFact, Message: fmt.Sprintf(
		"flight %s has no %s, which tariff %s needs; add it in the flight source and enqueue the flight again",
		id, fact, tariffCode)}
}

// unusableTariff reports that a tariff that applies to the flight cannot be
// right.
func unusableTariff(id, tariffCode, what string) *Error {
	return &Error{Kind: Refused, Reason: ReasonUnusableFacts, Message: fmt.Sprintf(
		"flight %s cannot be priced: tariff %s %s; correct the tariff and enqueue the flight again",
		id, tariffCode, what)}
}

// instant writes a time as it stands in a flight source: in UTC.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// landsLater reports that the flight's landing time is still to come.
func landsLater(id string, at time.Time) *Error {
	return &Error{Kind: NotYet, Reason: ReasonNotLanded, Message: fmt.Sprintf(
		"flight %s has not landed yet: its landing time (landed_at) is %s; it is billed after that, or once the time is corrected in the flight source",
		id, at.UTC().Format(time.RFC3339))}
}
