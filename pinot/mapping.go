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
	asFact                  // as text or as a number, whichever the table has
)

// need says what becomes of a column that PINOT_COLUMNS does not name.
type need int

const (
	needed   need = iota // the table has a column of that name; an empty expression is refused
	optional             // likewise, but an empty expression says that the table has no such fact
	ifThere              // it is read where the table has a column of that name
)

// column is one fact of a flight.
type column struct {
	name   string
	family family
	need   need
	read   func(f *billing.Flight, value any) error
}

// columns are the facts in the order in which a query asks for them.
var columns = []column{
	{name: "flight_id", family: asText, need: needed, read: func(f *billing.Flight, v any) error { return readKey(&f.ID, v) }},
	{name: "callsign", family: asText, need: optional, read: func(f *billing.Flight, v any) error { return readText(&f.Callsign, v) }},
	{name: "operator", family: asText, need: needed, read: func(f *billing.Flight, v any) error { return readText(&f.Operator, v) }},
	{name: "registration", family: asText, need: optional, read: func(f *billing.Flight, v any) error { return readText(&f.Registration, v) }},
	{name: "aircraft_type", family: asText, need: optional, read: func(f *billing.Flight, v any) error { return readText(&f.AircraftType, v) }},
	{name: "mtow_kg", family: asNumber, need: optional, read: func(f *billing.Flight, v any) error { return readRounded(&f.MTOWKg, v) }},
	{name: "origin", family: asText, need: needed, read: func(f *billing.Flight, v any) error { return readText(&f.Origin, v) }},
	{name: "destination", family: asText, need: needed, read: func(f *billing.Flight, v any) error { return readText(&f.Destination, v) }},
	{name: "departed_at", family: asInstant, need: optional, read: func(f *billing.Flight, v any) error { return readInstant(&f.DepartedAt, v) }},
	{name: "landed_at", family: asInstant, need: needed, read: func(f *billing.Flight, v any) error { return readInstant(&f.LandedAt, v) }},
	{name: "distance_km", family: asNumber, need: optional, read: func(f *billing.Flight, v any) error { return readDecimal(&f.DistanceKm, v) }},
	{name: "passengers", family: asNumber, need: optional, read: func(f *billing.Flight, v any) error { return readCount(&f.Passengers, v) }},
	{name: "movement", family: asText, need: ifThere, read: func(f *billing.Flight, v any) error { return readMovement(&f.Movement, v) }},
	{name: "mtow_lb", family: asNumber, need: ifThere, read: func(f *billing.Flight, v any) error { return readRounded(&f.MTOWLb, v) }},
	{name: "on_block_at", family: asInstant, need: ifThere, read: func(f *billing.Flight, v any) error { return readInstant(&f.OnBlockAt, v) }},
	{name: "off_block_at", family: asInstant, need: ifThere, read: func(f *billing.Flight, v any) error { return readInstant(&f.OffBlockAt, v) }},
}

// mapping is what a source reads: each of columns, and then each fact with a name of its own.
type mapping []mapped

// mapped is a column and what gives it.
type mapped struct {
	column

	expression string // empty: the table does not have it
	ifThere    bool   // or does it? It was not mapped
	zero       bool   // 0 is a value, and none that is missing
}

// keyColumn is the index of flight_id in columns.
const keyColumn = 0

// The settings of a mapping.
const (
	settingColumns = "PINOT_COLUMNS"
	settingFacts   = "PINOT_FACTS"
	settingZero    = "PINOT_ZERO_IS_A_FACT"
)

// setting is the one that gives the column's expression.
func (c column) setting() string {
	if c.family == asFact {
		return settingFacts
	}
	return settingColumns
}

// noun is what that setting calls it.
func (c column) noun() string {
	if c.family == asFact {
		return "fact " + c.name
	}
	return "column " + c.name
}

// newMapping reads the settings of a mapping. Every error is a *ConfigError.
func newMapping(cfg Config) (mapping, error) {
	m, err := parseColumns(cfg.Columns)
	if err != nil {
		return nil, err
	}
	facts, err := parseFacts(cfg.Facts)
	if err != nil {
		return nil, err
	}
	m = append(m, facts...)
	return m, m.parseZeros(cfg.Zeros)
}

// parseColumns reads PINOT_COLUMNS: name=expression, separated by commas. A column
// that is not named maps to the table's column of the same name, and an optional
// one with an empty expression is not in the table. Commas and further '=' inside
// parentheses or quotes belong to the expression. An error gives a position,
// counted in bytes from 1.
func parseColumns(setting string) (mapping, error) {
	m := make(mapping, len(columns))
	for i, c := range columns {
		// Quoted: no name can be a reserved word of some version.
		m[i] = mapped{column: c, expression: `"` + c.name + `"`, ifThere: c.need == ifThere}
	}
	assignments, err := parseAssignments(settingColumns, setting)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, a := range assignments {
		i := slices.IndexFunc(columns, func(c column) bool { return c.name == a.name })
		switch {
		case i < 0:
			return nil, mappingErrorf(settingColumns, a.start, "no column is called %q; the columns are %s; a fact with a name of its own belongs in %s",
				a.name, columnNames(), settingFacts)
		case seen[a.name]:
			return nil, mappingErrorf(settingColumns, a.start, "column %s is mapped twice", a.name)
		}
		seen[a.name] = true
		m[i].expression, m[i].ifThere = a.expression, false
	}
	departures := m.named("movement").expression != "" && seen["movement"]
	for _, a := range assignments {
		if a.expression != "" || m.named(a.name).need != needed || a.name == "landed_at" && departures {
			continue
		}
		return nil, mappingErrorf(settingColumns, a.start, "column %s needs an expression; a flight cannot be billed without it", a.name)
	}
	return m, nil
}

// parseFacts reads PINOT_FACTS, which is written as PINOT_COLUMNS is.
func parseFacts(setting string) (mapping, error) {
	assignments, err := parseAssignments(settingFacts, setting)
	if err != nil {
		return nil, err
	}
	var m mapping
	for _, a := range assignments {
		if err := billing.CheckFactName(a.name); err != nil {
			return nil, mappingErrorf(settingFacts, a.start, "%s", err)
		}
		if m.named(a.name) != nil {
			return nil, mappingErrorf(settingFacts, a.start, "fact %s is there twice", a.name)
		}
		if a.expression == "" {
			return nil, mappingErrorf(settingFacts, a.start, "fact %s needs an expression, such as %s=%q", a.name, a.name, a.name)
		}
		read := func(f *billing.Flight, value any) error { return readFact(f, a.name, value) }
		m = append(m, mapped{column: column{name: a.name, family: asFact, need: needed, read: read}, expression: a.expression})
	}
	return m, nil
}

// FactNames returns the names of the facts that a setting PINOT_FACTS has.
func FactNames(setting string) ([]string, error) {
	facts, err := parseFacts(setting)
	names := make([]string, len(facts))
	for i, fact := range facts {
		names[i] = fact.name
	}
	return names, err
}

// zeroColumns are those that can be 0, beside the facts.
var zeroColumns = []string{"distance_km", "passengers"}

// parseZeros reads PINOT_ZERO_IS_A_FACT: names separated by commas.
func (m mapping) parseZeros(setting string) error {
	for name := range strings.SplitSeq(setting, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		of := m.named(name)
		if of == nil || of.family != asFact && !slices.Contains(zeroColumns, name) {
			return configErrorf(settingZero, "%q is not one of %s, nor a fact that %s names", name, strings.Join(zeroColumns, ", "), settingFacts)
		}
		of.zero = true
	}
	return nil
}

// named returns the column of a name; nil where there is none.
func (m mapping) named(name string) *mapped {
	i := slices.IndexFunc(m, func(c mapped) bool { return c.name == name })
	if i < 0 {
		return nil
	}
	return &m[i]
}

// unsure names the columns that are read where the table has them.
func (m mapping) unsure() []string {
	var names []string
	for _, c := range m {
		if c.ifThere {
			names = append(names, c.name)
		}
	}
	return names
}

// in returns the mapping for a table with these columns.
func (m mapping) in(names []string) mapping {
	known := slices.Clone(m)
	for i, c := range known {
		if c.ifThere && !slices.Contains(names, c.name) {
			known[i].expression = ""
		}
	}
	return known
}

// assignment is one name=expression of a setting.
type assignment struct {
	name, expression string
	start            int // offset in the setting
}

// parseAssignments reads name=expression, separated by commas.
func parseAssignments(of, setting string) ([]assignment, error) {
	if strings.TrimSpace(setting) == "" {
		return nil, nil
	}
	pieces, err := splitPieces(of, setting)
	if err != nil {
		return nil, err
	}
	assignments := make([]assignment, len(pieces))
	for i, p := range pieces {
		if p.blank() {
			return nil, mappingErrorf(of, p.start, "nothing between two commas")
		}
		if p.equals < 0 {
			return nil, mappingErrorf(of, p.start, "%q is not name=expression", p.trimmed())
		}
		assignments[i] = assignment{strings.TrimSpace(setting[p.start:p.equals]), strings.TrimSpace(setting[p.equals+1 : p.end]), p.start}
	}
	return assignments, nil
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
func splitPieces(of, setting string) ([]piece, error) {
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
				return nil, mappingErrorf(of, i, "the quote %c is not closed", c)
			}
			i += length + 1
		case '(':
			opened = append(opened, i)
		case ')':
			if len(opened) == 0 {
				return nil, mappingErrorf(of, i, "the parenthesis ) was not opened")
			}
			opened = opened[:len(opened)-1]
		case ';':
			return nil, mappingErrorf(of, i, "a semicolon would end the query")
		case '-', '/':
			if next := setting[i+1:]; c == '-' && strings.HasPrefix(next, "-") ||
				c == '/' && (strings.HasPrefix(next, "*") || strings.HasPrefix(next, "/")) {
				return nil, mappingErrorf(of, i, "a comment would hide the rest of the query")
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
		return nil, mappingErrorf(of, opened[len(opened)-1], "the parenthesis ( is not closed")
	}
	cur.end = len(setting)
	return append(pieces, cur), nil
}

// mappingErrorf reports a fault at an offset of a setting.
func mappingErrorf(of string, offset int, format string, args ...any) *ConfigError {
	return configErrorf(of, "at position %d: %s", offset+1, fmt.Sprintf(format, args...))
}

func columnNames() string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}
