package pinot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flightbill/flightbill/billing"
)

// family says how a column's value travels.
type family int

const (
	asText    family = iota // as JSON text
	asNumber                // as a JSON number, or as text where it is a BIG_DECIMAL
	asInstant               // as epoch ms, made by CAST(… AS LONG)
)

// column is one fact of a flight.
type column struct {
	name     string
	family   family
	optional bool // a table may lack it
	read     func(f *billing.Flight, value any) error
}

// columns are the facts in the order in which a query asks for them.
var columns = []column{
	{"flight_id", asText, false, func(f *billing.Flight, v any) error { return readKey(&f.ID, v) }},
	{"callsign", asText, true, func(f *billing.Flight, v any) error { return readText(&f.Callsign, v) }},
	{"operator", asText, false, func(f *billing.Flight, v any) error { return readText(&f.Operator, v) }},
	{"registration", asText, true, func(f *billing.Flight, v any) error { return readText(&f.Registration, v) }},
	{"aircraft_type", asText, true, func(f *billing.Flight, v any) error { return readText(&f.AircraftType, v) }},
	{"mtow_kg", asNumber, true, func(f *billing.Flight, v any) error { return readRounded(&f.MTOWKg, v) }},
	{"origin", asText, false, func(f *billing.Flight, v any) error { return readText(&f.Origin, v) }},
	{"destination", asText, false, func(f *billing.Flight, v any) error { return readText(&f.Destination, v) }},
	{"departed_at", asInstant, true, func(f *billing.Flight, v any) error { return readInstant(&f.DepartedAt, v) }},
	{"landed_at", asInstant, false, func(f *billing.Flight, v any) error { return readInstant(&f.LandedAt, v) }},
	{"distance_km", asNumber, true, func(f *billing.Flight, v any) error { return readDecimal(&f.DistanceKm, v) }},
	{"passengers", asNumber, true, func(f *billing.Flight, v any) error { return readCount(&f.Passengers, v) }},
}

// mapping holds, for each of columns, the expression that gives it; empty where
// the table does not have it.
type mapping []string

// keyColumn is the index of flight_id in columns.
const keyColumn = 0

// parseMapping reads PINOT_COLUMNS: name=expression, separated by commas. A column
// that is not named maps to the table's column of the same name, and an optional
// one with an empty expression is not in the table. Commas and further '=' inside
// parentheses or quotes belong to the expression. Every error is a *ConfigError
// that gives a position, counted in bytes from 1.
func parseMapping(setting string) (mapping, error) {
	m := make(mapping, len(columns))
	for i, c := range columns {
		m[i] = `"` + c.name + `"` // quoted: no name can be a reserved word of some version
	}
	if strings.TrimSpace(setting) == "" {
		return m, nil
	}
	pieces, err := splitPieces(setting)
	if err != nil {
		return nil, err
	}
	seen := make([]bool, len(columns))
	for _, p := range pieces {
		if p.blank() {
			return nil, mappingErrorf(p.start, "nothing between two commas")
		}
		if p.equals < 0 {
			return nil, mappingErrorf(p.start, "%q is not name=expression", p.trimmed())
		}
		name := strings.TrimSpace(setting[p.start:p.equals])
		i := slices.IndexFunc(columns, func(c column) bool { return c.name == name })
		if i < 0 {
			return nil, mappingErrorf(p.start, "no column is called %q; the columns are %s", name, columnNames())
		}
		if seen[i] {
			return nil, mappingErrorf(p.start, "column %s is mapped twice", name)
		}
		seen[i] = true
		m[i] = strings.TrimSpace(setting[p.equals+1 : p.end])
		if m[i] == "" && !columns[i].optional {
			return nil, mappingErrorf(p.start, "column %s needs an expression; a flight cannot be billed without it", name)
		}
	}
	return m, nil
}

// piece is one name=expression of the setting, as offsets into it.
type piece struct {
	setting    string
	start, end int
	equals     int // offset of the first '=', -1 without one
}

func (p piece) trimmed() string { return strings.TrimSpace(p.setting[p.start:p.end]) }
func (p piece) blank() bool     { return p.trimmed() == "" }

// splitPieces cuts the setting at the commas outside parentheses and quotes. It
// refuses what would leak out of the expression into the rest of the query: a
// quote or parenthesis without its partner, a comment, a semicolon.
func splitPieces(setting string) ([]piece, error) {
	var (
		pieces []piece
		opened []int // offsets of the open parentheses
		cur    = piece{setting: setting, equals: -1}
	)
	for i := 0; i < len(setting); i++ {
		switch c := setting[i]; c {
		case '\'', '"', '`':
			// A doubled quote inside reads as two neighbours: the same end.
			length := strings.IndexByte(setting[i+1:], c)
			if length < 0 {
				return nil, mappingErrorf(i, "the quote %c is not closed", c)
			}
			i += length + 1
		case '(':
			opened = append(opened, i)
		case ')':
			if len(opened) == 0 {
				return nil, mappingErrorf(i, "the parenthesis ) was not opened")
			}
			opened = opened[:len(opened)-1]
		case ';':
			return nil, mappingErrorf(i, "a semicolon would end the query")
		case '-', '/':
			if next := setting[i+1:]; c == '-' && strings.HasPrefix(next, "-") ||
				c == '/' && (strings.HasPrefix(next, "*") || strings.HasPrefix(next, "/")) {
				return nil, mappingErrorf(i, "a comment would hide the rest of the query")
			}
		case '=':
			if len(opened) == 0 && cur.equals < 0 {
				cur.equals = i
			}
		case ',':
			if len(opened) == 0 {
				cur.end = i
				pieces = append(pieces, cur)
				cur = piece{setting: setting, start: i + 1, equals: -1}
			}
		}
	}
	if len(opened) > 0 {
		return nil, mappingErrorf(opened[len(opened)-1], "the parenthesis ( is not closed")
	}
	cur.end = len(setting)
	return append(pieces, cur), nil
}

// mappingErrorf reports a fault at an offset of PINOT_COLUMNS.
func mappingErrorf(offset int, format string, args ...any) *ConfigError {
	return configErrorf("PINOT_COLUMNS", "at position %d: %s", offset+1, fmt.Sprintf(format, args...))
}

func columnNames() string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}
