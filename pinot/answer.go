package pinot

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
)

// errNoServer is also what a broker says where the table's partitions rule out all
// that was asked for, and what the multi-stage engine always says.
var errNoServer = causedBy(billing.CauseIncomplete, "it had no server to ask: Pinot's servers are down, or the table has no data yet")

// vouch returns nil when the answer is complete: every server that holds a part of
// the table was asked and responded. Pinot says everything else with HTTP status
// 200 too, and without a server there is not even an exception. Rows without a server are
// those of the multi-stage engine, which does not count its servers, and has an exception
// for each that fails.
func vouch(r *body, q query) error {
	switch {
	case r.exception != nil:
		return newExceptionError(*r.exception)
	case r.numServersQueried == nil:
		return causedBy(billing.CauseUnreadable, "not an answer of Pinot: it does not say how many servers were asked")
	case *r.numServersQueried <= 0 && len(r.rows) == 0:
		return errNoServer
	case r.serversResponded < *r.numServersQueried:
		return causedBy(billing.CauseIncomplete, "only %d of %d servers responded", r.serversResponded, *r.numServersQueried)
	case r.partialResult:
		return causedBy(billing.CauseIncomplete, "the result is partial")
	case r.types == nil:
		return causedBy(billing.CauseUnreadable, "the answer has no result table")
	}
	if q.names {
		if r.names == nil {
			return causedBy(billing.CauseUnreadable, "the answer has no names of columns")
		}
		return nil
	}
	width := q.width
	if n := len(r.types); n != width {
		return causedBy(billing.CauseUnreadable, "the answer has %d columns instead of %d", n, width)
	}
	for _, row := range r.rows {
		if len(row) != width {
			return causedBy(billing.CauseUnreadable, "the answer has a row of %d values instead of %d", len(row), width)
		}
	}
	return nil
}

// typeError is a value of a type that its column cannot have: a fault of table or
// mapping, which every flight meets.
type typeError struct {
	column string // with its setting
	value  any
	want   string
}

func (e *typeError) Error() string {
	return fmt.Sprintf("%s came as %s where %s is needed", e.column, describe(e.value), e.want)
}

// valueError is a value that cannot be right: a fault of one flight's data.
type valueError struct {
	column, problem string
}

func (e *valueError) Error() string { return fmt.Sprintf("has %s %s", e.column, e.problem) }

// describe names a JSON value's type.
func describe(value any) string {
	switch value.(type) {
	case string:
		return "text"
	case json.Number:
		return "a number"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}

// readRow makes a flight of a row. Errors are *typeError or *valueError.
func (s *selection) readRow(row []any) (billing.Flight, error) {
	var f billing.Flight
	for i := range s.mapping {
		if err := s.readColumn(&f, i, row); err != nil {
			return billing.Flight{}, err
		}
	}
	return f, nil
}

// readColumn reads a column of the mapping, where the table has it. A 0 is absent, unless
// it is said to be a fact.
func (s *selection) readColumn(f *billing.Flight, i int, row []any) error {
	if at, c := s.index[i], &s.mapping[i]; at >= 0 && !c.zero && c.family != asText && isZero(row[at]) {
		return nil
	}
	return s.readAny(f, i, row)
}

func isZero(value any) bool {
	n, err := readNumber(value)
	return err == nil && n != nil && n.IsZero()
}

// readAny reads a column, with a 0 as a value.
func (s *selection) readAny(f *billing.Flight, i int, row []any) error {
	if s.index[i] < 0 {
		return nil
	}
	c := &s.mapping[i]
	err := c.read(f, row[s.index[i]])
	var wrongType *typeError
	var wrongValue *valueError
	switch {
	case errors.As(err, &wrongType):
		wrongType.column = c.setting() + ": " + c.noun()
	case errors.As(err, &wrongValue):
		wrongValue.column = c.name
	}
	return err
}

// readID reads the flight id of a row, where it can be read.
func (s *selection) readID(row []any) (id string, ok bool) {
	err := readKey(&id, row[s.index[keyColumn]])
	return id, err == nil
}

// maxText is in characters: a fact is a code, or a name.
const maxText = 200

// readText reads text without the blanks around it; a stand-in, of Pinot's or of whoever
// loaded it, leaves it empty.
func readText(to *string, value any) error {
	err := readKey(to, value)
	*to = billing.CleanText(*to)
	return err
}

// readKey reads text as it is, blanks and all; a stand-in leaves it empty.
func readKey(to *string, value any) error {
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		switch {
		case utf8.RuneCountInString(v) > maxText:
			return &valueError{problem: fmt.Sprintf("with more than %d characters", maxText)}
		case strings.Contains(v, "\x00"):
			return &valueError{problem: fmt.Sprintf("%q, with a NUL in it, which is not text", v)} // nor can Postgres keep it
		case !standIn(v):
			*to = v
		}
		return nil
	default:
		return &typeError{value: value, want: "text"}
	}
}

// standIn says whether text is what Pinot has for absent text.
func standIn(text string) bool {
	text = strings.TrimSpace(text)
	return text == "" || strings.EqualFold(text, "null")
}

// readMovement reads which end of a flight is billed; without one, the whole leg is.
func readMovement(to *billing.Movement, value any) error {
	var text string
	if err := readText(&text, value); err != nil {
		return err
	}
	m, err := billing.ParseMovement(strings.ToLower(text))
	if err != nil {
		return &valueError{problem: fmt.Sprintf("%q, which is not arrival or departure: map it in %s", text, settingColumns)}
	}
	*to = m
	return nil
}

// readFact reads a fact with a name of its own: text, or a number.
func readFact(f *billing.Flight, name string, value any) error {
	var fact billing.Fact
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		var text string
		if err := readKey(&text, v); err != nil {
			return err
		}
		fact = billing.NamedFact(name, text)
		if n, ok := fact.Number(); fact.String() == "-Infinity" || ok && absentNumber(n) {
			return nil
		}
	case json.Number:
		n, err := readNumber(v)
		if n == nil {
			return err
		}
		// As text it is a fact only within a fact's bounds.
		fact = billing.TextFact(n.String())
		if _, ok := fact.Number(); !ok {
			return &valueError{problem: v.String() + ", which has too many digits: a fact has 30 before the point, and 30 after it, at most"}
		}
	default:
		return &typeError{value: value, want: "text or a number"}
	}
	if !fact.IsZero() {
		if f.Facts == nil {
			f.Facts = map[string]billing.Fact{}
		}
		f.Facts[name] = fact
	}
	return nil
}

// readDecimal reads a number exactly as it is written.
func readDecimal(to **decimal.Decimal, value any) error {
	n, err := readNumber(value)
	if n != nil {
		*to = n
	}
	return err
}

// readRounded reads a whole number, rounding half away from zero.
func readRounded(to **int64, value any) error {
	n, err := readNumber(value)
	if n == nil {
		return err
	}
	return setWhole(to, n.Round(0))
}

// readCount reads a whole number and refuses a fraction.
func readCount(to **int64, value any) error {
	n, err := readNumber(value)
	if n == nil {
		return err
	}
	if !n.IsInteger() {
		return &valueError{problem: n.String() + ", which is not a whole number"}
	}
	return setWhole(to, *n)
}

func setWhole(to **int64, n decimal.Decimal) error {
	if !n.BigInt().IsInt64() {
		return &valueError{problem: n.String() + ", which is too large"}
	}
	whole := n.IntPart()
	*to = &whole
	return nil
}

// lastInstant is the last that RFC 3339, and so JSON, can write.
var lastInstant = time.Date(9999, time.December, 31, 23, 59, 59, 999_000_000, time.UTC)

// readInstant reads epoch ms as a time in UTC.
func readInstant(to **time.Time, value any) error {
	var ms *int64
	if err := readRounded(&ms, value); err != nil {
		return err
	}
	if ms == nil || *ms <= 0 {
		return nil
	}
	if *ms > lastInstant.UnixMilli() {
		return &valueError{problem: fmt.Sprintf("%d, which is after the year 9999: is it in milliseconds?", *ms)}
	}
	t := time.UnixMilli(*ms).UTC()
	*to = &t
	return nil
}

// Bounds of a number's text: a Java double has at most 24 characters and exponents
// of ±324, a BIG_DECIMAL may be longer. Without bounds, 1E999999999 would be
// written out in full by the first arithmetic.
const (
	maxNumberText     = 100
	maxNumberExponent = 400
)

var (
	absentInt  = decimal.NewFromInt(math.MinInt32)
	absentLong = decimal.NewFromInt(math.MinInt64)
)

// readNumber reads a number from its text: exact, whatever its notation. It
// returns nil for an absent one.
func readNumber(value any) (*decimal.Decimal, error) {
	var written string
	switch v := value.(type) {
	case nil:
		return nil, nil //nolint:nilnil // absent
	case json.Number:
		written = v.String()
	case string: // a BIG_DECIMAL, or a double that JSON has no number for
		written = billing.CleanText(v)
		if written == "" || written == "-Infinity" {
			return nil, nil //nolint:nilnil // absent
		}
	default:
		return nil, &typeError{value: value, want: "a number"}
	}
	if len(written) > maxNumberText {
		return nil, &valueError{problem: fmt.Sprintf("with more than %d characters", maxNumberText)}
	}
	n, err := decimal.NewFromString(written)
	if err != nil {
		return nil, &valueError{problem: fmt.Sprintf("%q, which is not a number", written)}
	}
	if n.Exponent() > maxNumberExponent || n.Exponent() < -maxNumberExponent {
		return nil, &valueError{problem: written + ", which is out of range"}
	}
	if absentNumber(n) {
		return nil, nil //nolint:nilnil // absent
	}
	return &n, nil
}

// absentNumber says whether a number is a stand-in. A LONG that went through a double is a
// little below the exact one.
func absentNumber(n decimal.Decimal) bool {
	return n.Equal(absentInt) || n.LessThanOrEqual(absentLong)
}

// sameFlight says whether two rows hold the same facts, however they are written.
func sameFlight(a, b billing.Flight) bool {
	return a.ID == b.ID && a.Callsign == b.Callsign && a.Operator == b.Operator &&
		a.Registration == b.Registration && a.AircraftType == b.AircraftType &&
		a.Origin == b.Origin && a.Destination == b.Destination &&
		same(a.MTOWKg, b.MTOWKg, func(x, y int64) bool { return x == y }) &&
		same(a.Passengers, b.Passengers, func(x, y int64) bool { return x == y }) &&
		same(a.DistanceKm, b.DistanceKm, decimal.Decimal.Equal) &&
		same(a.DepartedAt, b.DepartedAt, time.Time.Equal) &&
		same(a.LandedAt, b.LandedAt, time.Time.Equal) &&
		a.Movement == b.Movement &&
		same(a.MTOWLb, b.MTOWLb, func(x, y int64) bool { return x == y }) &&
		same(a.OnBlockAt, b.OnBlockAt, time.Time.Equal) &&
		same(a.OffBlockAt, b.OffBlockAt, time.Time.Equal) &&
		maps.EqualFunc(a.Facts, b.Facts, func(x, y billing.Fact) bool { return x.String() == y.String() })
}

func same[T any](a, b *T, equal func(T, T) bool) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return equal(*a, *b)
}
