package billing

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// TariffColumn is a column of a tariff file.
type TariffColumn struct {
	Name     string
	Optional bool // a file may be without it, and has then nothing in it
	Long     bool // a text of up to 1,000 characters
}

// TariffColumns are those of a tariff file, in the order in which it is written. The
// first that were there are asked for, but customer: a rule that lacks its airport, its
// end or its tax by oversight bills too much or too little.
var TariffColumns = []TariffColumn{
	{Name: "code"},
	{Name: "description", Long: true},
	{Name: "basis"},
	{Name: "customer", Optional: true},
	{Name: "airport"},
	{Name: "applies_to"},
	{Name: "band_from"},
	{Name: "band_to"},
	{Name: "unit_rate"},
	{Name: "minimum"},
	{Name: "currency"},
	{Name: "tax_rate"},
	{Name: "valid_from"},
	{Name: "valid_to"},
	{Name: "when", Optional: true, Long: true},
	{Name: "during", Optional: true, Long: true},
	{Name: "of", Optional: true, Long: true},
	{Name: "unit", Optional: true},
	{Name: "free", Optional: true},
	{Name: "free_mode", Optional: true},
	{Name: "rounding", Optional: true},
	{Name: "times", Optional: true},
	{Name: "tonne_kg", Optional: true},
	{Name: "tonne_rounding", Optional: true},
	{Name: "tonne_step", Optional: true},
	{Name: "band_of", Optional: true},
	{Name: "band_mode", Optional: true},
	{Name: "fixed", Optional: true},
	{Name: "factor", Optional: true},
	{Name: "maximum", Optional: true},
	{Name: "minimum_at_zero", Optional: true},
	{Name: "distance_less", Optional: true},
	{Name: "distance_unit", Optional: true},
	{Name: "distance_power", Optional: true},
	{Name: "mass_unit", Optional: true},
	{Name: "mass_power", Optional: true},
	{Name: "decimals", Optional: true},
	{Name: "tax_category", Optional: true},
	{Name: "tax_reason", Optional: true, Long: true},
	{Name: "unit_code", Optional: true},
	{Name: "account", Optional: true},
}

// ofSeparator stands between the facts or codes of a cell of column of, and so in no
// tariff's code.
const ofSeparator = "+"

const (
	maxOf       = 50 // facts or codes
	maxDecimals = 6  // of a formula's factors
)

// Bounds of columns, as the table tariffs has them.
var (
	maxStep  = decimal.New(1_000, 0)
	maxShape = decimal.New(1, 6) // excluded: of what a formula divides by, or takes off
	maxPower = decimal.New(3, 0)
)

// ColumnError says what is to be written in a column instead of what is there.
type ColumnError struct {
	Column   string
	Expected string
}

// ReadTariff reads a row of a tariff file, of which cell returns a column's text as it
// stands; "" where the file does not have the column. An empty cell is the default. What the
// cells come to together is for Validate to judge.
func ReadTariff(cell func(column string) string) (t Tariff, customerCode string, wrong []ColumnError) {
	const (
		tonnes = "write whole tonnes, or a number of what band_of says; nothing for no limit"
		money  = "write an amount such as 5.50"
		rate   = "write a fraction: 20 % is 0.20, no tax is 0"
		day    = "write a day as YYYY-MM-DD"
		power  = "write a number above 0 and up to 3, with two decimals at most, such as 0.5; nothing where this does not count"
	)
	r := tariffReader{cell: cell}
	t = Tariff{
		Code:        r.code(),
		Description: r.text("description"),
		Basis:       Basis(r.text("basis")),
		Airport:     r.airport(),
		AppliesTo:   AppliesTo(r.text("applies_to")),
		BandFrom:    r.number("band_from", tonnes, nil),
		BandTo:      r.number("band_to", tonnes, nil),
		Minimum:     r.number("minimum", money+", or nothing for no minimum", nil),
		Currency:    r.text("currency"),
		TaxRate:     orZero(r.requiredNumber("tax_rate", rate)),
		ValidFrom:   r.day("valid_from", day, true),
		ValidTo:     r.day("valid_to", day+", or nothing for no end", false),

		When:     readAs(&r, "when", ParseWhen),
		During:   readAs(&r, "during", ParseDuring),
		Of:       r.of(),
		Unit:     orZero(r.number("unit", "write a number above 0, or nothing for 1", within(false, maxRate))),
		Free:     orZero(r.number("free", "write what is free of charge, 0 or more, or nothing", within(true, maxRate))),
		FreeMode: oneOf(&r, "free_mode", FreeDeduct, FreeThreshold),
		Rounding: r.rounding("rounding"),
		Times:    r.text("times"),
		TonneKg:  r.tonneKg(),

		TonneRounding: r.rounding("tonne_rounding"),
		TonneStep: orZero(r.number("tonne_step", "write a number above 0 and up to 1000, such as 0.5, or nothing for 1", func(d decimal.Decimal) bool {
			return d.IsPositive() && d.LessThanOrEqual(maxStep)
		})),
		BandOf:   r.text("band_of"),
		BandMode: oneOf(&r, "band_mode", BandMarginal, BandWhole),
		Fixed:    orZero(r.number("fixed", money+", or nothing", amount)),
		Factor:   r.number("factor", "write a number such as 0.5, 0 or more, or nothing for 1", within(true, maxRate)),
		Maximum:  r.number("maximum", money+", or nothing for no maximum", amount),

		MinimumAtZero: r.yes("minimum_at_zero"),
		DistanceLess:  orZero(r.number("distance_less", "write what is taken off the distance, 0 or more and below 1000000, or nothing", within(true, maxShape))),
		DistanceUnit:  orZero(r.number("distance_unit", "write a number above 0 and below 1000000, or nothing for 1", within(false, maxShape))),
		DistancePower: r.number("distance_power", power, isPower),
		MassUnit:      orZero(r.number("mass_unit", "write tonnes above 0 and below 1000000, or nothing for 1", within(false, maxShape))),
		MassPower:     r.number("mass_power", power, isPower),
		Decimals:      r.decimals(),
		TaxCategory:   oneOf(&r, "tax_category", TaxStandard, TaxZero, TaxExempt, TaxReverseCharge, TaxExport, TaxOutside),
		TaxReason:     r.text("tax_reason"),
		UnitCode:      r.unitCode(),
		Account:       r.account(),
	}
	if t.Basis == BasisTopUp { // its rate says nothing
		t.UnitRate = orZero(r.number("unit_rate", "write nothing: a top_up has no rate", func(d decimal.Decimal) bool {
			return d.IsZero() || d.Equal(decimal.New(1, 0))
		}))
	} else {
		t.UnitRate = orZero(r.requiredNumber("unit_rate", money))
	}
	return t, r.text("customer"), r.wrong
}

// WriteTariff returns the cells of a tariff, in the order of TariffColumns: ReadTariff
// makes the same of them.
func WriteTariff(t *Tariff, customerCode string) []string {
	return []string{
		t.Code, t.Description, string(t.Basis), customerCode, t.Airport, string(t.AppliesTo), numberOrNothing(t.BandFrom), numberOrNothing(t.BandTo),
		t.UnitRate.String(), numberOrNothing(t.Minimum), t.Currency, t.TaxRate.String(), t.ValidFrom.String(), t.ValidTo.String(),
		t.When.String(), t.During.String(), strings.Join(t.Of, ofSeparator), notZero(t.Unit), notZero(t.Free), string(t.FreeMode), string(t.Rounding),
		t.Times, string(t.TonneKg), string(t.TonneRounding), notZero(t.TonneStep), t.BandOf, string(t.BandMode), notZero(t.Fixed),
		numberOrNothing(t.Factor), numberOrNothing(t.Maximum), yesOrNothing(t.MinimumAtZero), notZero(t.DistanceLess), notZero(t.DistanceUnit),
		numberOrNothing(t.DistancePower), notZero(t.MassUnit), numberOrNothing(t.MassPower), decimalsOrNothing(t.Decimals),
		string(t.TaxCategory), t.TaxReason, t.UnitCode, t.Account,
	}
}

func numberOrNothing(d *decimal.Decimal) string {
	if d == nil {
		return ""
	}
	return d.String()
}

func notZero(d decimal.Decimal) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}

func yesOrNothing(yes bool) string {
	if yes {
		return "yes"
	}
	return ""
}

func decimalsOrNothing(n *int32) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(int(*n))
}

// within tells numbers below most; from 0, or above it.
func within(zero bool, most decimal.Decimal) func(decimal.Decimal) bool {
	return func(d decimal.Decimal) bool {
		return d.LessThan(most) && (d.IsPositive() || zero && d.IsZero())
	}
}

func amount(d decimal.Decimal) bool { return d.Abs().LessThan(maxRate) }

func isPower(d decimal.Decimal) bool {
	return d.IsPositive() && d.LessThanOrEqual(maxPower) && d.Equal(d.Truncate(2))
}

// tariffReader reads the cells of a row, and collects what is wrong with them.
type tariffReader struct {
	cell  func(column string) string
	wrong []ColumnError
}

func (r *tariffReader) refuse(column, expected string) {
	r.wrong = append(r.wrong, ColumnError{column, expected})
}

func (r *tariffReader) text(column string) string { return CleanText(r.cell(column)) }

func (r *tariffReader) code() string {
	code := r.text("code")
	switch {
	case code == "":
		r.refuse("code", "give the tariff a short name, such as LANDING")
	case strings.Contains(code, ofSeparator):
		r.refuse("code", "write it without a +, which stands between codes in column of")
	}
	return code
}

func (r *tariffReader) airport() string {
	airport := r.text("airport")
	if strings.ContainsAny(airport, ",;|/&") {
		r.refuse("airport", "write one airport; a tariff for several has a row for each")
	}
	return airport
}

// number returns a decimal number that allowed, unless nil, has nothing against; nil
// where the cell is empty or wrong.
func (r *tariffReader) number(column, expected string, allowed func(decimal.Decimal) bool) *decimal.Decimal {
	text := r.text(column)
	if text == "" {
		return nil
	}
	if plainNumber.MatchString(text) {
		d := decimal.RequireFromString(text)
		if allowed == nil || allowed(d) {
			return &d
		}
	}
	r.refuse(column, expected)
	return nil
}

func (r *tariffReader) requiredNumber(column, expected string) *decimal.Decimal {
	if r.text(column) == "" {
		r.refuse(column, expected)
		return nil
	}
	return r.number(column, expected, nil)
}

func (r *tariffReader) day(column, expected string, required bool) Date {
	text := r.text(column)
	if text == "" && !required {
		return Date{}
	}
	d, err := ParseDate(text)
	if err != nil {
		r.refuse(column, expected)
	}
	return d
}

// of returns the facts or codes between +.
func (r *tariffReader) of() []string {
	text := r.text("of")
	if text == "" {
		return nil
	}
	var names []string
	for name := range strings.SplitSeq(text, ofSeparator) {
		name = CleanText(name)
		switch {
		case name == "":
			r.refuse("of", "write names with + between them: something is missing before or after a +")
			return nil
		case slices.ContainsFunc(names, func(other string) bool { return SameCode(name, other) }):
			r.refuse("of", fmt.Sprintf("write each name once: %q is there twice", name))
			return nil
		}
		names = append(names, name)
	}
	if len(names) > maxOf {
		r.refuse("of", fmt.Sprintf("write %d names at most", maxOf))
		return nil
	}
	return names
}

// rounding reads none as a word of its own: elsewhere it says that a cell is empty. Which
// of the two None is, nobody can tell.
func (r *tariffReader) rounding(column string) Rounding {
	switch text := strings.Trim(r.cell(column), blanks); {
	case text == string(RoundNone):
		return RoundNone
	case sameText(text, string(RoundNone)):
		r.refuse(column, "write none in small letters for no rounding, or nothing for the default")
		return ""
	}
	return oneOf(r, column, RoundUp, RoundNearest, RoundDown, RoundNone)
}

func (r *tariffReader) tonneKg() TonneKg {
	d := r.number("tonne_kg", "write 1000, 453.59237 for 1,000 lb, or nothing for 1000", func(d decimal.Decimal) bool {
		return TonneKg(d.String()) == TonneMetric || TonneKg(d.String()) == TonneLb
	})
	if d == nil {
		return ""
	}
	return TonneKg(d.String())
}

func (r *tariffReader) yes(column string) bool {
	switch r.text(column) {
	case "yes":
		return true
	case "no", "":
	default:
		r.refuse(column, "write yes, no, or nothing for no")
	}
	return false
}

func (r *tariffReader) unitCode() string {
	code := r.text("unit_code")
	if code != "" && !unitCodeForm.MatchString(code) {
		r.refuse("unit_code", "write a code of UN/ECE recommendation 20, 2 or 3 capitals or digits, such as TNE, or nothing for the basis' own")
		return ""
	}
	return code
}

func (r *tariffReader) account() string {
	account := r.text("account")
	if !isAccount(account) {
		r.refuse("account", accountForm)
		return ""
	}
	return account
}

func (r *tariffReader) decimals() *int32 {
	const column = "decimals"
	d := r.number(column, fmt.Sprintf("write 0 to %d, or nothing for 2", maxDecimals), func(d decimal.Decimal) bool {
		return !d.IsNegative() && d.IsInteger() && d.LessThanOrEqual(decimal.New(maxDecimals, 0))
	})
	if d == nil {
		return nil
	}
	n := int32(d.IntPart()) //nolint:gosec // 0 to maxDecimals
	return &n
}

// oneOf reads one of some words; "" where the cell is empty or wrong.
func oneOf[T ~string](r *tariffReader, column string, words ...T) T {
	text := T(r.text(column))
	if text == "" || slices.Contains(words, text) {
		return text
	}
	list := make([]string, len(words))
	for i, word := range words {
		list[i] = string(word)
	}
	last := len(list) - 1
	r.refuse(column, fmt.Sprintf("write %s or %s, or nothing for the default", strings.Join(list[:last], ", "), list[last]))
	return ""
}

// readAs reads a cell with a parser that says what is wrong.
func readAs[T any](r *tariffReader, column string, parse func(string) (T, error)) (value T) {
	text := r.text(column)
	if text == "" {
		return value
	}
	value, err := parse(text)
	if err != nil {
		r.refuse(column, err.Error())
	}
	return value
}
