package billing_test

import (
	"cmp"
	"encoding/csv"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// The charging schemes of testdata/schemes, as testdata/schemes/README.md has it: each a
// folder with tariffs, flights, what they come to, and what can be said of the scheme.

const (
	schemesDir  = "testdata/schemes"
	schemesPage = "../docs/schemes.md"
)

var update = flag.Bool("update", false, "write docs/schemes.md anew")

// scheme is a folder of testdata/schemes.
type scheme struct {
	name, title string
	tariffs     []billing.Tariff // its ID is the line of the file
	flights     []billing.Flight
	registers   registers
	expected    []expectedLine
	components  []component
}

// expectedLine is a charge.
type expectedLine struct {
	flight, code          string
	quantity, amount, tax decimal.Decimal
	source                string // "published: …" or "by hand: …"
}

// component is one of the charges that a scheme consists of.
type component struct {
	name, rate string
	how        string   // exact, workaround or not
	codes      []string // of the tariffs that say it
	note       string   // which workaround, or why not
	source     string
}

// TestSchemes bills the flights of every scheme. With -v it prints what they come to.
func TestSchemes(t *testing.T) {
	t.Parallel()
	for _, s := range readSchemes(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			var expected, billed, table []string
			sources := map[string]string{}
			for _, e := range s.expected {
				line := fmt.Sprintf("%s %s: %s units, %s, tax %s", e.flight, e.code, e.quantity, e.amount, e.tax)
				expected = append(expected, line)
				sources[line] = e.source
			}
			used := map[int64]bool{}
			for _, f := range s.flights {
				for _, c := range s.bill(t, f) {
					used[c.TariffID] = true
					line := fmt.Sprintf("%s %s: %s units, %s, tax %s", f.ID, c.Code, c.Quantity, c.Amount, c.TaxAmount)
					billed = append(billed, line)
					minor, _ := billing.MinorUnits(c.Currency)
					table = append(table, fmt.Sprintf("%-28s %-28s %12s %s  tax %9s  %s",
						f.ID, c.Code, c.Amount.StringFixed(minor), c.Currency, c.TaxAmount.StringFixed(minor), sources[line]))
				}
			}
			for _, line := range without(expected, billed) {
				assert.Fail(t, "expected, but not billed", line)
			}
			for _, line := range without(billed, expected) {
				assert.Fail(t, "billed, but not expected", line)
			}
			for _, tariff := range s.tariffs {
				assert.True(t, used[tariff.ID], "tariffs.csv, line %d (%s): no flight is billed by it", tariff.ID, tariff.Code)
			}
			t.Logf("%s\n%s", s.title, strings.Join(table, "\n"))
		})
	}
}

// without returns the lines that others does not have, or not so often.
func without(lines, others []string) []string {
	rest := slices.Clone(lines)
	for _, line := range others {
		if i := slices.Index(rest, line); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
		}
	}
	return rest
}

// bill returns the charges of a flight; none where no tariff applies to it.
func (s *scheme) bill(t *testing.T, f billing.Flight) []billing.Charge {
	t.Helper()
	c := billing.Case{Flight: f, Customer: monthly(), First: billing.RegisterFirst{"mtow_kg"}}
	c.MovedOn = billing.Calendar{Location: time.UTC}.MovementDate(f)
	require.False(t, c.MovedOn.IsZero(), "%s: the flight has no time of its movement", f.ID)
	s.registers.complete(&c)

	charges, err := billing.Price(c, billing.NewTariffSet(s.tariffs, s.registers.canonical), billing.DefaultBounds)
	if err != nil {
		requireRefused(t, err, billing.Refused, billing.ReasonNoTariff)
	}
	return charges
}

// Every component says what can be said of it, and every tariff belongs to one.
func TestSchemesComponents(t *testing.T) {
	t.Parallel()
	for _, s := range readSchemes(t) {
		named := map[string]bool{}
		for _, c := range s.components {
			where := fmt.Sprintf("%s: components.csv: %q", s.name, c.name)
			assert.NotEmpty(t, c.name, s.name)
			assert.NotEmpty(t, c.rate, where)
			assert.NotEmpty(t, c.source, where)
			switch c.how {
			case "exact":
				assert.NotEmpty(t, c.codes, where)
			case "workaround":
				assert.NotEmpty(t, c.codes, where)
				assert.NotEmpty(t, c.note, where)
			case "not":
				assert.Empty(t, c.codes, where)
				assert.NotEmpty(t, c.note, where)
			default:
				assert.Fail(t, "how is exact, workaround or not", where)
			}
			for _, code := range c.codes {
				named[code] = true
				assert.True(t, slices.ContainsFunc(s.tariffs, func(t billing.Tariff) bool { return t.Code == code }),
					"%s: tariffs.csv has no %s", where, code)
			}
		}
		for _, tariff := range s.tariffs {
			assert.True(t, named[tariff.Code], "%s: tariffs.csv, line %d: no component has the code %s", s.name, tariff.ID, tariff.Code)
		}
		for _, e := range s.expected {
			assert.Regexp(t, `^(published|by hand): .`, e.source, "%s: expected.csv: %s %s", s.name, e.flight, e.code)
		}
	}
}

// No two tariffs of a scheme are for one part of a flight, as flightbill import tariffs
// asks.
func TestSchemesDoNotOverlap(t *testing.T) {
	t.Parallel()
	for _, s := range readSchemes(t) {
		for i := range s.tariffs {
			for j := range i {
				a, b := &s.tariffs[i], &s.tariffs[j]
				if !billing.SameCode(a.Code, b.Code) || !billing.SameCode(s.registers.canonical(a.Airport), s.registers.canonical(b.Airport)) {
					continue
				}
				assert.True(t, billing.Apart(a, b), "%s: tariffs.csv, lines %d and %d (%s) overlap", s.name, b.ID, a.ID, a.Code)
			}
		}
	}
}

// Of the published schemes, at least 150 charges are written down, four in five of them
// exactly.
func TestSchemesCover(t *testing.T) {
	t.Parallel()
	var all, exact, published int
	for _, s := range readSchemes(t) {
		all, exact = all+len(s.components), exact+s.count("exact")
		for _, e := range s.expected {
			if strings.HasPrefix(e.source, "published") {
				published++
			}
		}
	}
	assert.GreaterOrEqual(t, all, 150)
	assert.GreaterOrEqual(t, 100*exact, 80*all, "%d of %d components are exact", exact, all)
	assert.Positive(t, published)
	t.Logf("%d components, %d exact; %d published amounts", all, exact, published)
}

// docs/schemes.md says of every component how it is said: go test ./billing -run
// TestSchemesPage -update.
func TestSchemesPage(t *testing.T) {
	t.Parallel()
	page := schemesMarkdown(readSchemes(t))
	if *update {
		require.NoError(t, os.WriteFile(schemesPage, []byte(page), 0o600))
	}
	written, err := os.ReadFile(schemesPage)
	require.NoError(t, err)
	assert.Equal(t, string(written), page, "write it anew: go test ./billing -run TestSchemesPage -update")
}

// schemesMarkdown is docs/schemes.md.
func schemesMarkdown(schemes []scheme) string {
	var page strings.Builder
	write := func(format string, args ...any) { fmt.Fprintf(&page, format, args...) }

	write("# Charging schemes\n\n")
	write("What flightbill's tariffs say of charging schemes that are published, charge by charge: exactly, by a workaround, or not.\n")
	write("The rows that say one are in [billing/testdata/schemes](../billing/testdata/schemes), with flights, the amounts that they come\n")
	write("to, and the sources; `go test ./billing -run TestSchemes -v` bills them and prints the amounts. The rates are those of the\n")
	write("document and year named: a scheme to begin with, not the charges of today. A *placeholder* is a rate that the document at hand\n")
	write("does not have: such a charge is shown by its structure only.\n\n")
	write("This page is written by `go test ./billing -run TestSchemesPage -update`.\n\n")
	write("| scheme | components | exact | workaround | not | with placeholders |\n|---|---:|---:|---:|---:|---:|\n")
	var sums [5]int
	for _, s := range schemes {
		counts := [5]int{len(s.components), s.count("exact"), s.count("workaround"), s.count("not"), s.placeholders()}
		for i, n := range counts {
			sums[i] += n
		}
		write("| [%s](#%s) | %d | %d | %d | %d | %d |\n", s.title, anchor(s.title), counts[0], counts[1], counts[2], counts[3], counts[4])
	}
	write("| **all** | **%d** | **%d (%d %%)** | **%d** | **%d** | **%d** |\n", sums[0], sums[1], 100*sums[1]/max(sums[0], 1), sums[2], sums[3], sums[4])
	for _, s := range schemes {
		write("\n## %s\n\nSources: [%s/SOURCE.md](../billing/%s/%s/SOURCE.md).\n\n", s.title, s.name, schemesDir, s.name)
		write("| component | rate | how | tariffs | note |\n|---|---|---|---|---|\n")
		for _, c := range s.components {
			codes := ""
			if len(c.codes) > 0 {
				codes = "`" + strings.Join(c.codes, "` `") + "`"
			}
			write("| %s | %s | %s | %s | %s |\n", cell(c.name), cell(c.rate), c.how, codes, cell(c.note))
		}
		s.writePublished(write)
	}
	return page.String()
}

// writePublished writes the amounts that the scheme's source has. TestSchemes bills them.
func (s *scheme) writePublished(write func(format string, args ...any)) {
	var rows []string
	for _, e := range s.expected {
		if figure, is := strings.CutPrefix(e.source, "published: "); is {
			rows = append(rows, fmt.Sprintf("| %s | `%s` | %s | %s | %s |\n", e.flight, e.code, e.quantity, e.amount, cell(figure)))
		}
	}
	if len(rows) == 0 {
		return
	}
	write("\n<details><summary>Published figures that are met: %d</summary>\n\n", len(rows))
	write("| flight | tariff | quantity | amount | published |\n|---|---|---:|---:|---|\n%s\n</details>\n", strings.Join(rows, ""))
}

// count returns how many components are said so.
func (s *scheme) count(how string) (n int) {
	for _, c := range s.components {
		if c.how == how {
			n++
		}
	}
	return n
}

// placeholders returns how many components have a rate that their note calls one.
func (s *scheme) placeholders() (n int) {
	for _, c := range s.components {
		if strings.Contains(c.note, "placeholder") {
			n++
		}
	}
	return n
}

// anchor is that of a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r > 127 && r != '–' && r != '·':
			return r
		default:
			return -1
		}
	}, strings.ToLower(heading))
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// row is one of a CSV file, by the names of its columns.
type row struct {
	file  string
	line  int
	cells map[string]string
}

// readRows reads a CSV file; none where it may be missing and is.
func readRows(t *testing.T, file string, optional bool) []row {
	t.Helper()
	content, err := os.ReadFile(file)
	if optional && os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	reader := csv.NewReader(strings.NewReader(string(content)))
	header, err := reader.Read()
	require.NoError(t, err, file)
	var rows []row
	for {
		record, err := reader.Read()
		if record == nil {
			return rows
		}
		require.NoError(t, err, file)
		line, _ := reader.FieldPos(0)
		r := row{file: file, line: line, cells: map[string]string{}}
		for i, name := range header {
			r.cells[name] = strings.TrimSpace(record[i])
		}
		rows = append(rows, r)
	}
}

// take returns a cell, and takes it out of the row.
func (r row) take(name string) string {
	text := r.cells[name]
	delete(r.cells, name)
	return text
}

// requireTaken requires that all that the row has is known.
func (r row) requireTaken(t *testing.T) {
	t.Helper()
	require.Empty(t, r.cells, "%s, line %d: columns that are not known", r.file, r.line)
}

func (r row) decimal(t *testing.T, name string) *decimal.Decimal {
	t.Helper()
	text := r.take(name)
	if text == "" {
		return nil
	}
	d, err := decimal.NewFromString(text)
	require.NoError(t, err, "%s, line %d: %s", r.file, r.line, name)
	return &d
}

func (r row) integer(t *testing.T, name string) *int64 {
	t.Helper()
	text := r.take(name)
	if text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err, "%s, line %d: %s", r.file, r.line, name)
	return &n
}

func (r row) time(t *testing.T, name string) *time.Time {
	t.Helper()
	text := r.take(name)
	if text == "" {
		return nil
	}
	instant, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err, "%s, line %d: %s", r.file, r.line, name)
	return &instant
}

// facts takes the columns fact.NAME.
func (r row) facts(t *testing.T) map[string]billing.Fact {
	t.Helper()
	facts := map[string]billing.Fact{}
	for column := range maps.Clone(r.cells) {
		name, is := strings.CutPrefix(column, "fact.")
		if !is {
			continue
		}
		require.NoError(t, billing.CheckFactName(name), "%s, line %d", r.file, r.line)
		if fact := billing.TextFact(r.take(column)); !fact.IsZero() {
			facts[name] = fact
		}
	}
	return facts
}

func readSchemes(t *testing.T) []scheme {
	t.Helper()
	folders, err := os.ReadDir(schemesDir)
	require.NoError(t, err)
	var schemes []scheme
	for _, folder := range folders {
		if folder.IsDir() {
			schemes = append(schemes, readScheme(t, folder.Name()))
		}
	}
	slices.SortFunc(schemes, func(a, b scheme) int { return cmp.Compare(a.title, b.title) })
	return schemes
}

func readScheme(t *testing.T, name string) scheme {
	t.Helper()
	at := func(file string) string { return filepath.Join(schemesDir, name, file) }
	s := scheme{name: name, registers: readRegisters(t, at)}

	source, err := os.ReadFile(at("SOURCE.md"))
	require.NoError(t, err)
	title, _, _ := strings.Cut(string(source), "\n")
	require.True(t, strings.HasPrefix(title, "# "), "%s: the first line of SOURCE.md is the title of the scheme", name)
	s.title = strings.TrimPrefix(title, "# ")

	s.tariffs = readTariffs(t, at("tariffs.csv"))
	for _, r := range readRows(t, at("flights.csv"), false) {
		s.flights = append(s.flights, readFlight(t, r))
	}
	for _, r := range readRows(t, at("expected.csv"), false) {
		e := expectedLine{flight: r.take("flight_id"), code: r.take("code"), source: r.take("source")}
		for _, number := range []struct {
			name string
			into *decimal.Decimal
		}{{"quantity", &e.quantity}, {"amount", &e.amount}, {"tax", &e.tax}} {
			d := r.decimal(t, number.name)
			require.NotNil(t, d, "%s, line %d: %s is empty", r.file, r.line, number.name)
			*number.into = *d
		}
		r.requireTaken(t)
		s.expected = append(s.expected, e)
	}
	for _, r := range readRows(t, at("components.csv"), false) {
		s.components = append(s.components, component{
			name: r.take("component"), rate: r.take("rate"), how: r.take("how"), codes: strings.Fields(r.take("codes")),
			note: r.take("note"), source: r.take("source"),
		})
		r.requireTaken(t)
	}
	return s
}

func readFlight(t *testing.T, r row) billing.Flight {
	t.Helper()
	f := billing.Flight{
		ID: r.take("flight_id"), Callsign: r.take("callsign"), Operator: r.take("operator"), Registration: r.take("registration"),
		AircraftType: r.take("aircraft_type"), MTOWKg: r.integer(t, "mtow_kg"), Origin: r.take("origin"), Destination: r.take("destination"),
		DepartedAt: r.time(t, "departed_at"), LandedAt: r.time(t, "landed_at"), DistanceKm: r.decimal(t, "distance_km"),
		Passengers: r.integer(t, "passengers"), Movement: billing.Movement(r.take("movement")), MTOWLb: r.integer(t, "mtow_lb"),
		OnBlockAt: r.time(t, "on_block_at"), OffBlockAt: r.time(t, "off_block_at"), Facts: r.facts(t),
	}
	r.requireTaken(t)
	return f
}

// registers are those of a scheme.
type registers struct {
	aircraft []declared
	types    []declared
	airports map[string]*billing.Airport // by the form of each of their codes
}

// declared is a row of a register.
type declared struct {
	key   string // the form of the registration, or of the type
	valid billing.Validity
	facts map[string]billing.Declared
}

func readRegisters(t *testing.T, at func(file string) string) registers {
	t.Helper()
	facts := func(r row, from string) map[string]billing.Declared {
		values := r.facts(t)
		for _, column := range []string{"aircraft_type", "mtow_kg"} {
			if fact := billing.TextFact(r.take(column)); !fact.IsZero() {
				values[column] = fact
			}
		}
		all := map[string]billing.Declared{}
		for name, value := range values {
			all[name] = billing.Declared{Value: value, From: from}
		}
		r.requireTaken(t)
		return all
	}
	regs := registers{airports: map[string]*billing.Airport{}}
	for _, r := range readRows(t, at("aircraft.csv"), true) {
		registration := r.take("registration")
		d := declared{key: billing.CodeForm(registration), valid: billing.Validity{From: date(t, r.take("valid_from")), To: date(t, r.take("valid_to"))}}
		d.facts = facts(r, "aircraft "+registration)
		regs.aircraft = append(regs.aircraft, d)
	}
	for _, r := range readRows(t, at("aircraft_types.csv"), true) {
		kind := r.take("aircraft_type")
		regs.types = append(regs.types, declared{key: billing.CodeForm(kind), facts: facts(r, "aircraft type "+kind)})
	}
	for _, r := range readRows(t, at("airports.csv"), true) {
		airport := &billing.Airport{Code: r.take("code"), Country: r.take("country"), Location: zone(t, r.take("timezone"))}
		for _, code := range append(strings.Fields(r.take("other_codes")), airport.Code) {
			regs.airports[billing.CodeForm(code)] = airport
		}
		r.requireTaken(t)
	}
	return regs
}

// canonical returns the code under which the register has an airport.
func (r registers) canonical(code string) string {
	if airport := r.airports[billing.CodeForm(code)]; airport != nil {
		return airport.Code
	}
	return code
}

// complete adds to a case what the registers have on the day of its movement.
func (r registers) complete(c *billing.Case) {
	c.Origin, c.Destination = r.airports[billing.CodeForm(c.Flight.Origin)], r.airports[billing.CodeForm(c.Flight.Destination)]
	for _, d := range r.aircraft {
		if d.key == billing.CodeForm(c.Flight.Registration) && d.valid.Holds(c.MovedOn) {
			c.Aircraft = d.facts
		}
	}
	kind := cmp.Or(c.Flight.AircraftType, c.Aircraft["aircraft_type"].Value.String())
	for _, d := range r.types {
		if d.key == billing.CodeForm(kind) {
			c.AircraftType = d.facts
		}
	}
}

// readTariffs reads what flightbill import tariffs reads.
func readTariffs(t *testing.T, file string) []billing.Tariff {
	t.Helper()
	var tariffs []billing.Tariff
	for _, r := range readRows(t, file, false) {
		tariff, customer, wrong := billing.ReadTariff(func(column string) string { return r.cells[column] })
		for _, c := range billing.TariffColumns {
			r.take(c.Name)
		}
		require.Empty(t, wrong, "%s, line %d", r.file, r.line)
		require.Empty(t, customer, "%s, line %d: a scheme is for every customer", r.file, r.line)
		require.NoError(t, tariff.Validate(), "%s, line %d", r.file, r.line)
		r.requireTaken(t)
		tariff.ID = int64(r.line)
		tariffs = append(tariffs, tariff)
	}
	return tariffs
}
