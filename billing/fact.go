package billing

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// Fact is the value of a fact that has a name of its own: text, or a number. What can
// be read as a plain number is one, whatever a source keeps it as: 12, "12" and 12.0 are
// one value. The zero Fact is none.
type Fact struct {
	text   string
	number *decimal.Decimal
}

// maxFact bounds the characters of a fact.
const maxFact = 200

var plainNumber = regexp.MustCompile(`^-?[0-9]{1,30}(\.[0-9]{1,30})?$`)

// TextFact returns the fact that text gives, without the blanks around it; none where it
// only says that there is nothing.
func TextFact(text string) Fact {
	return textFact(CleanText(text))
}

// NamedFact is TextFact for a fact by its name: of one that is country, or ends with
// _country, NA is a value.
func NamedFact(name, text string) Fact {
	if name == "country" || strings.HasSuffix(name, "_country") {
		return textFact(CleanCountry(text))
	}
	return TextFact(text)
}

// textFact is TextFact of text that is clean.
func textFact(text string) Fact {
	if text != "" && (text[0] == '-' || '0' <= text[0] && text[0] <= '9') && plainNumber.MatchString(text) {
		return NumberFact(decimal.RequireFromString(text))
	}
	return Fact{text: text}
}

// NumberFact returns a number.
func NumberFact(n decimal.Decimal) Fact { return Fact{number: &n} }

// IsZero reports whether there is no fact. A number that is 0 is one.
func (f Fact) IsZero() bool { return f.text == "" && f.number == nil }

// Number returns the number that the fact is; false where it is text or none.
func (f Fact) Number() (decimal.Decimal, bool) {
	if f.number == nil {
		return decimal.Zero, false
	}
	return *f.number, true
}

// String returns the fact as a clerk writes it.
func (f Fact) String() string {
	if f.number != nil {
		return f.number.String()
	}
	return f.text
}

// Equal reports whether two facts are one value: numbers by value, text without case.
func (f Fact) Equal(other Fact) bool {
	if f.number != nil && other.number != nil {
		return compareNumbers(*f.number, *other.number) == 0
	}
	return f.number == nil && other.number == nil && sameText(f.text, other.text)
}

// sameText compares without case, of ASCII, and makes no copies.
func sameText(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if x, y := a[i], b[i]; x != y && upper(rune(x)) != upper(rune(y)) {
			return false
		}
	}
	return true
}

// compareNumbers is what Cmp returns, at the price of no allocation up to 18 digits.
func compareNumbers(a, b decimal.Decimal) int {
	if a.Exponent() < b.Exponent() {
		return -compareNumbers(b, a)
	}
	shift := int(a.Exponent()) - int(b.Exponent())
	if shift == 0 || a.NumDigits()+shift > 18 || b.NumDigits() > 18 {
		return a.Cmp(b)
	}
	scaled := a.CoefficientInt64()
	for range shift {
		scaled *= 10
	}
	return cmp.Compare(scaled, b.CoefficientInt64())
}

// MarshalJSON writes a number as a JSON number with all its decimals, and text as text.
func (f Fact) MarshalJSON() ([]byte, error) {
	if f.number != nil {
		return []byte(f.number.String()), nil
	}
	return json.Marshal(f.text)
}

// UnmarshalJSON reads what MarshalJSON writes. Whether text only says that there is nothing
// depends on the fact's name: see NamedFact.
func (f *Fact) UnmarshalJSON(data []byte) error {
	var text string
	switch {
	case len(data) > 0 && data[0] == '"':
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	default:
		text = string(data)
		if !plainNumber.MatchString(text) {
			return fmt.Errorf("%.80s is not a fact: a fact is text, or a number without an exponent", text)
		}
	}
	if len([]rune(text)) > maxFact {
		return fmt.Errorf("the fact has more than %d characters", maxFact)
	}
	*f = textFact(strings.Trim(text, blanks))
	return nil
}

// factName is that of a fact: snake_case.
var factName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// FlightColumns are the facts that every flight has a place for, in the order of the
// flight files.
var FlightColumns = []string{
	"flight_id", "callsign", "operator", "registration", "aircraft_type", "mtow_kg", "origin", "destination", "departed_at", "landed_at",
	"distance_km", "passengers", "movement", "mtow_lb", "on_block_at", "off_block_at",
}

// DerivedFacts are those that flightbill makes of others, where no source has them.
var DerivedFacts = []string{
	"origin_country", "destination_country", // ISO 3166 codes, from the register of airports
	"international", // yes or no: whether the two differ
	"stay_minutes",  // from on_block_at to off_block_at
}

// quantityNames name quantities in tariffs, and so no fact.
var quantityNames = []string{"tonnes", "kg", "units"}

// CheckFactName says what is wrong with the name of a fact that a source or a register
// has, or nil. A derived fact may have its name: the source then goes first.
func CheckFactName(name string) error {
	switch {
	case !factName.MatchString(name):
		return fmt.Errorf("fact name %q is not snake_case: write a to z, 0 to 9 and _, first a letter, 63 at most", name)
	case slices.Contains(FlightColumns, name):
		return fmt.Errorf("fact name %q is that of a column of flights: use the column", name)
	case slices.Contains(quantityNames, name):
		return fmt.Errorf("fact name %q means a quantity in tariffs: give the fact another name", name)
	case name == "facts":
		return errors.New(`fact name "facts" is that of the column with all facts: give the fact another name`)
	}
	return nil
}
