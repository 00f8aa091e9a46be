package pinot

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

func TestReadRounded(t *testing.T) {
	t.Parallel()
	cases := map[string]*int64{
		"79016": new(int64(79016)), "79016.0": new(int64(79016)), "7.9016E4": new(int64(79016)), "7.9016e+4": new(int64(79016)),
		"79016.5": new(int64(79017)), "79016.49": new(int64(79016)), "75000.14": new(int64(75000)),
		"-79016.5":            new(int64(-79017)),
		"9223372036854775807": new(int64(math.MaxInt64)), "9007199254740993": new(int64(9007199254740993)),
		"0": new(int64(0)), "0.0": new(int64(0)), "-0.0": new(int64(0)), "0E10": new(int64(0)), "0.3": new(int64(0)),
		"-2147483648": nil, "-2147483648.0": nil, "-2.147483648E9": nil, "-9223372036854775808": nil, "-9.223372036854776E18": nil,
	}
	for written, want := range cases {
		for _, value := range []any{json.Number(written), written} {
			var got *int64
			require.NoError(t, readRounded(&got, value), written)
			require.Equal(t, want, got, written)
		}
	}
}

func TestReadNumberAbsentAndWrong(t *testing.T) {
	t.Parallel()
	for _, absent := range []any{nil, "", " ", "null", "NULL", "-Infinity", "NaN", "NA", "#N/A", `\N`, "None", " - "} {
		n, err := readNumber(absent)
		require.NoError(t, err)
		require.Nil(t, n, "%v", absent)
	}
	for value, want := range map[string]string{
		"Infinity": "not a number", "12 t": "not a number", "1E401": "out of range", "1E-401": "out of range",
		"1E99999999999": "not a number", "0x10": "not a number",
	} {
		_, err := readNumber(value)
		require.ErrorContains(t, err, want, value)
	}
	var whole *int64
	require.ErrorContains(t, readRounded(&whole, json.Number("9223372036854775808")), "too large")
	require.ErrorContains(t, readRounded(&whole, json.Number("1E300")), "too large")
	require.ErrorContains(t, readNumberError(string(make([]byte, 101))), "more than 100 characters")
	require.Nil(t, whole)
}

// As in every other way in: blanks are none of a code, and words for nothing are none.
func TestReadText(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{{"LHR ", "LHR"}, {"\u00a0GOWN\t", "GOWN"}, {"g-own", "g-own"}, {"NAN", "NAN"}} {
		var got string
		require.NoError(t, readText(&got, pair[0]))
		require.Equal(t, pair[1], got)
	}
	for _, nothing := range []any{nil, "", " ", "null", "NA", `\N`, "None", "#N/A", "-"} {
		var got string
		require.NoError(t, readText(&got, nothing))
		require.Empty(t, got)
	}
	var wrong string
	require.ErrorContains(t, readText(&wrong, "A\x00B"), `"A\x00B", with a NUL in it`)
	require.NoError(t, readText(&wrong, strings.Repeat("é", 200)))
	require.ErrorContains(t, readText(&wrong, strings.Repeat("é", 201)), "with more than 200 characters")
	var id string
	require.NoError(t, readKey(&id, "F1 "))
	require.Equal(t, "F1 ", id, "an id is what Pinot finds it by")
}

func readNumberError(value any) error {
	_, err := readNumber(value)
	return err
}

func TestReadCount(t *testing.T) {
	t.Parallel()
	var n *int64
	require.NoError(t, readCount(&n, json.Number("180.0")))
	require.Equal(t, int64(180), *n)
	n = nil
	require.NoError(t, readCount(&n, json.Number("0")))
	require.Zero(t, *n, "whether that is a value is not said here")
	require.ErrorContains(t, readCount(&n, json.Number("180.5")), "180.5, which is not a whole number")
}

func TestReadDecimal(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"2253.1": "2253.1", "0.1": "0.1", "5.55555E3": "5555.55", "2253.0999999999997": "2253.0999999999997", "1E2": "100",
		"-40.5": "-40.5", "12345678901234567890.123456789": "12345678901234567890.123456789",
	} {
		var got *decimal.Decimal
		require.NoError(t, readDecimal(&got, json.Number(written)))
		require.Equal(t, want, got.String())
	}
	var got *decimal.Decimal
	require.NoError(t, readDecimal(&got, json.Number("0.0")))
	require.True(t, got.IsZero())
}

func TestReadInstant(t *testing.T) {
	t.Parallel()
	want := time.Date(2014, 1, 7, 0, 0, 0, 0, time.UTC)
	for _, written := range []string{"1389052800000", "1.3890528E12", "1389052800000.0", "1.3890528e+12"} {
		var got *time.Time
		require.NoError(t, readInstant(&got, json.Number(written)))
		require.Equal(t, want, *got)
	}
	for _, absent := range []any{nil, json.Number("0"), json.Number("-1"), json.Number("-9223372036854775808"), json.Number("-2147483648000")} {
		var got *time.Time
		require.NoError(t, readInstant(&got, absent))
		require.Nil(t, got)
	}
	var got *time.Time
	require.NoError(t, readInstant(&got, json.Number("253402300799999")))
	require.Equal(t, lastInstant, *got)
	_, err := json.Marshal(got)
	require.NoError(t, err)
	require.ErrorContains(t, readInstant(&got, json.Number("253402300800000")), "is it in milliseconds?")
}

// Every number that Java writes for a LONG or a DOUBLE is read as exactly that.
func TestNumbersAreExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, math.MaxInt64).Draw(t, "long")
		var whole *int64
		require.NoError(t, readRounded(&whole, json.Number(strconv.FormatInt(n, 10))))
		require.Equal(t, n, *whole)

		d := rapid.Float64Range(math.SmallestNonzeroFloat64, math.MaxFloat64).Draw(t, "double")
		for _, format := range []byte{'E', 'f', 'e'} {
			written := strconv.FormatFloat(d, format, -1, 64)
			if len(written) > maxNumberText {
				continue // Java uses an exponent here
			}
			var got *decimal.Decimal
			require.NoError(t, readDecimal(&got, json.Number(written)))
			require.True(t, got.Equal(decimal.RequireFromString(written)))
			back, _ := got.Float64()
			require.Equal(t, d, back)
		}
	})
}

// No row of any JSON values panics or is read without an error that names what is
// wrong.
func TestReadRowNeverPanics(t *testing.T) {
	t.Parallel()
	m, err := newMapping(Config{Facts: wideFacts})
	require.NoError(t, err)
	s := newSelection(m)
	value := rapid.OneOf(
		rapid.Just(any(nil)), rapid.Just(any(true)), rapid.Just(any([]any{})), rapid.Just(any(map[string]any{})),
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.StringMatching(`-?[0-9]{1,25}(\.[0-9]{1,5})?([eE][+-]?[0-9]{1,9})?`), func(s string) any { return json.Number(s) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		row := rapid.SliceOfN(value, len(s.expressions), len(s.expressions)).Draw(t, "row")
		f, err := s.readRow(row)
		if err != nil {
			require.Regexp(t, `^(PINOT_COLUMNS: column|PINOT_FACTS: fact|has) [a-z_]+ `, err.Error())
			return
		}
		require.True(t, sameFlight(f, f))
		_, err = json.Marshal(f)
		require.NoError(t, err)
	})
}

func TestSameFlight(t *testing.T) {
	t.Parallel()
	a, b := recordedFlight(), recordedFlight()
	a.Facts, b.Facts = facts("noise_class", "A", "pax", "12"), facts("noise_class", "A", "pax", "12.0")
	b.DistanceKm = new(decimal.RequireFromString("2253.10"))
	b.LandedAt = new(b.LandedAt.In(time.FixedZone("", 3600)))
	require.True(t, sameFlight(a, b), "written otherwise, the same")
	for name, change := range map[string]func(*billing.Flight){
		"flight_id":     func(f *billing.Flight) { f.ID = "x" },
		"callsign":      func(f *billing.Flight) { f.Callsign = "x" },
		"operator":      func(f *billing.Flight) { f.Operator = "x" },
		"registration":  func(f *billing.Flight) { f.Registration = "x" },
		"aircraft_type": func(f *billing.Flight) { f.AircraftType = "x" },
		"mtow_kg":       func(f *billing.Flight) { f.MTOWKg = new(int64(1)) },
		"origin":        func(f *billing.Flight) { f.Origin = "x" },
		"destination":   func(f *billing.Flight) { f.Destination = "x" },
		"departed_at":   func(f *billing.Flight) { f.DepartedAt = nil },
		"landed_at":     func(f *billing.Flight) { f.LandedAt = new(f.LandedAt.Add(time.Millisecond)) },
		"distance_km":   func(f *billing.Flight) { f.DistanceKm = new(decimal.RequireFromString("2253.11")) },
		"passengers":    func(f *billing.Flight) { f.Passengers = new(int64(1)) },
		"movement":      func(f *billing.Flight) { f.Movement = billing.Arrival },
		"mtow_lb":       func(f *billing.Flight) { f.MTOWLb = new(int64(1)) },
		"on_block_at":   func(f *billing.Flight) { f.OnBlockAt = new(time.Unix(1, 0)) },
		"off_block_at":  func(f *billing.Flight) { f.OffBlockAt = new(time.Unix(1, 0)) },
		"a fact":        func(f *billing.Flight) { f.Facts = facts("noise_class", "b", "pax", "12") },
		"facts":         func(f *billing.Flight) { f.Facts = facts("noise_class", "A") },
	} {
		c := recordedFlight()
		c.Facts = a.Facts
		change(&c)
		require.False(t, sameFlight(a, c), name)
		require.False(t, sameFlight(c, a), name)
	}
}

// facts are pairs of a name and a value.
func facts(pairs ...string) map[string]billing.Fact {
	all := map[string]billing.Fact{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = billing.TextFact(pairs[i+1])
	}
	return all
}

// A fact is text or a number, as the table has it; what Pinot has for an absent one is none.
func TestReadFact(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		value any
		want  string
	}{
		{" A ", "A"}, {json.Number("12"), "12"}, {json.Number("1.250E1"), "12.5"}, {"007", "7"}, {"1E3", "1E3"}, {json.Number("0"), "0"},
		{json.Number("-3.5"), "-3.5"}, {strings.Repeat("é", 200), strings.Repeat("é", 200)}, {"Infinity", "Infinity"},
	} {
		var f billing.Flight
		require.NoError(t, readFact(&f, "x", tc.value))
		require.Equal(t, tc.want, f.Facts["x"].String())
	}
	for _, absent := range []any{
		nil, "", " ", "null", "NULL", "NA", "-Infinity", "NaN", "-2147483648", "-9223372036854775808",
		json.Number("-2147483648"), json.Number("-2.147483648E9"), json.Number("-9.223372036854776E18"),
	} {
		var f billing.Flight
		require.NoError(t, readFact(&f, "x", absent))
		require.Nil(t, f.Facts, "%v", absent)
	}
	var f billing.Flight
	require.NoError(t, readFact(&f, "origin_country", " NA "), "Namibia")
	require.Equal(t, "NA", f.Facts["origin_country"].String())
	for value, want := range map[any]string{
		json.Number("1E30"): "has too many digits", json.Number("1E-31"): "has too many digits", strings.Repeat("é", 201): "more than 200 characters", "a\x00": "with a NUL",
		true: "came as true or false where text or a number is needed",
	} {
		var f billing.Flight
		err := readFact(&f, "x", value)
		require.ErrorContains(t, err, want)
		require.Nil(t, f.Facts)
	}
}

func TestReadMovement(t *testing.T) {
	t.Parallel()
	for value, want := range map[any]billing.Movement{
		"arrival": billing.Arrival, " DEPARTURE ": billing.Departure, "null": billing.Leg, "": billing.Leg, nil: billing.Leg,
	} {
		var got billing.Movement
		require.NoError(t, readMovement(&got, value))
		require.Equal(t, want, got)
	}
	var got billing.Movement
	require.ErrorContains(t, readMovement(&got, "ARR"), `"ARR", which is not arrival or departure: map it in PINOT_COLUMNS`)
}
