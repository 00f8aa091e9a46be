package billing_test

import (
	"math"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

// acme is the customer of the tests here; 2 is somebody else.
var acme = billing.Customer{ID: 1, Code: "ACME", Frequency: billing.PerFlight}

const landingDay = "2026-11-23"

// flight returns a flight with every fact, changed as given.
func flight(changes ...func(*billing.Flight)) billing.Flight {
	departed := time.Date(2026, time.November, 23, 8, 0, 0, 0, time.UTC)
	f := billing.Flight{
		ID: "ACM12-20261123-KJFK", Operator: "ACM", Registration: "N12AC", Origin: "KJFK", Destination: "KORD",
		MTOWKg: new(int64(78_000)), DistanceKm: decPtr("1188.5"), Passengers: new(int64(150)),
		DepartedAt: &departed, LandedAt: new(departed.Add(2 * time.Hour)),
	}
	for _, change := range changes {
		change(&f)
	}
	return f
}

// tariff returns a valid tariff per flight at 10.00 EUR, changed as given.
func tariff(id int64, code string, changes ...func(*billing.Tariff)) billing.Tariff {
	t := billing.Tariff{
		ID: id, Code: code, Description: "Charge " + code, Basis: billing.BasisPerFlight, AppliesTo: billing.AppliesAny,
		UnitRate: dec("10"), Currency: "EUR", ValidFrom: billing.NewDate(2020, time.January, 1),
	}
	for _, change := range changes {
		change(&t)
	}
	return t
}

func basis(b billing.Basis, rate string) func(*billing.Tariff) {
	return func(t *billing.Tariff) { t.Basis, t.UnitRate = b, dec(rate) }
}

func band(from, to string) func(*billing.Tariff) {
	return func(t *billing.Tariff) {
		if from != "" {
			t.BandFrom = decPtr(from)
		}
		if to != "" {
			t.BandTo = decPtr(to)
		}
	}
}

func forCustomer(id int64) func(*billing.Tariff) {
	return func(t *billing.Tariff) { t.CustomerID = id }
}

func airport(code string, end billing.AppliesTo) func(*billing.Tariff) {
	return func(t *billing.Tariff) { t.Airport, t.AppliesTo = code, end }
}

func mass(kg int64) func(*billing.Flight) { return func(f *billing.Flight) { f.MTOWKg = &kg } }
func noMass(f *billing.Flight)            { f.MTOWKg = nil }
func distance(km string) func(*billing.Flight) {
	return func(f *billing.Flight) { f.DistanceKm = decPtr(km) }
}
func noDistance(f *billing.Flight)             { f.DistanceKm = nil }
func passengers(n int64) func(*billing.Flight) { return func(f *billing.Flight) { f.Passengers = &n } }
func noPassengers(f *billing.Flight)           { f.Passengers = nil }
func route(from, to string) func(*billing.Flight) {
	return func(f *billing.Flight) { f.Origin, f.Destination = from, to }
}

// unbounded leaves the rules' own arithmetic its widest range.
var unbounded = billing.Bounds{MTOWKg: math.MaxInt, DistanceKm: math.MaxInt, Passengers: math.MaxInt}

func price(t tb, f billing.Flight, tariffs ...billing.Tariff) []billing.Charge {
	t.Helper()
	charges, err := priceOf(f, acme, date(t, landingDay), tariffs, unbounded)
	require.NoError(t, err)
	return charges
}

// ids returns the tariffs charged, in order.
func ids(charges []billing.Charge) []int64 {
	list := []int64{}
	for _, c := range charges {
		list = append(list, c.TariffID)
	}
	return list
}

func TestPublishedPrice(t *testing.T) {
	t.Parallel()

	// Dublin Airport, 2025: 5.50 a tonne for the first 136 t, 3.75 above.
	charges := price(t, flight(mass(200_000)),
		tariff(1, "RUNWAY", basis(billing.BasisPerTonne, "5.50"), band("", "136")),
		tariff(2, "RUNWAY", basis(billing.BasisPerTonne, "3.75"), band("136", "")))
	require.Len(t, charges, 2)
	assert.Equal(t, "136", charges[0].Quantity.String())
	assert.Equal(t, "748.00", charges[0].Amount.StringFixed(2))
	assert.Equal(t, "64", charges[1].Quantity.String())
	assert.Equal(t, "988.00", charges[0].Amount.Add(charges[1].Amount).StringFixed(2))
}

func TestChargeCarriesItsTariff(t *testing.T) {
	t.Parallel()

	charges := price(t, flight(), tariff(7, "PAX", basis(billing.BasisPerPassenger, "1.234"),
		func(t *billing.Tariff) { t.TaxRate = dec("0.19") }))
	require.Len(t, charges, 1)
	c := charges[0]
	assert.Equal(t, int64(7), c.TariffID)
	assert.Equal(t, "PAX", c.Code)
	assert.Equal(t, "Charge PAX", c.Description)
	assert.Equal(t, "EUR", c.Currency)
	assert.Equal(t, "150", c.Quantity.String())
	assert.Equal(t, "1.234", c.UnitRate.String())
	assert.Equal(t, "185.1", c.Amount.String())
	assert.Equal(t, "0.19", c.TaxRate.String())
	assert.Equal(t, "35.17", c.TaxAmount.String(), "35.169")
}

func TestAmounts(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct {
		name                             string
		rate, minimum, taxRate, currency string
		passengers                       int64
		amount, tax                      string
	}{
		{"half a cent goes up", "0.005", "0", "0", "EUR", 1, "0.01", "0"},
		{"less than half goes down", "0.00499", "0", "0", "EUR", 1, "0", "0"},
		{"half a yen", "0.5", "0", "0", "JPY", 3, "2", "0"},
		{"dinar to three decimals", "1.0005", "0", "0", "KWD", 1, "1.001", "0"},
		{"tax on the rounded amount", "0.335", "0", "0.5", "EUR", 3, "1.01", "0.51"}, // not 0.50, of 1.005
		{"tax of a yen amount", "105", "0", "0.1", "JPY", 1, "105", "11"},
		{"below the minimum", "1.50", "60", "0.2", "EUR", 10, "60", "12"},
		{"above the minimum", "1.50", "60", "0", "EUR", 100, "150", "0"},
		{"the minimum is rounded too", "0", "9.995", "0", "EUR", 1, "10", "0"},
		{"an exemption shows", "0", "0", "0.2", "EUR", 5, "0", "0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			charges := price(t, flight(passengers(tc.passengers)), tariff(1, "PAX",
				basis(billing.BasisPerPassenger, tc.rate), func(t *billing.Tariff) {
					t.Minimum, t.TaxRate, t.Currency = decPtr(tc.minimum), dec(tc.taxRate), tc.currency
				}))
			require.Len(t, charges, 1)
			assert.Equal(t, tc.amount, charges[0].Amount.String())
			assert.Equal(t, tc.tax, charges[0].TaxAmount.String())
		})
	}
}

func TestNothingToCount(t *testing.T) {
	t.Parallel()

	minimum := func(t *billing.Tariff) { t.Minimum = decPtr("25") }
	for _, tc := range []struct {
		name   string
		flight billing.Flight
		tariff billing.Tariff
	}{
		{"no passengers on board", flight(passengers(0)), tariff(1, "X", basis(billing.BasisPerPassenger, "4"), minimum)},
		{"band above the mass", flight(mass(136_000)), tariff(1, "X", basis(billing.BasisPerTonne, "4"), band("136", ""), minimum)},
		{"40 km in the air", flight(distance("40.4")), tariff(1, "X", basis(billing.BasisRoute, "60"), minimum)},
		{"no distance", flight(distance("0")), tariff(1, "X", basis(billing.BasisPerKm, "60"), minimum)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, price(t, tc.flight, tc.tariff))
		})
	}
}

func TestWhatApplies(t *testing.T) {
	t.Parallel()

	until := func(day string) func(*billing.Tariff) {
		return func(tariff *billing.Tariff) { tariff.ValidTo = date(t, day) }
	}
	from := func(day string) func(*billing.Tariff) {
		return func(tariff *billing.Tariff) { tariff.ValidFrom = date(t, day) }
	}
	always := tariff(9, "ZZZ")
	for _, tc := range []struct {
		name   string
		flight billing.Flight
		tariff billing.Tariff
		want   bool
	}{
		{"from its first day", flight(), tariff(1, "A", from("2026-11-23")), true},
		{"not before", flight(), tariff(1, "A", from("2026-11-24")), false},
		{"to the day before its end", flight(), tariff(1, "A", until("2026-11-24")), true},
		{"its end is excluded", flight(), tariff(1, "A", until("2026-11-23")), false},
		{"departure", flight(), tariff(1, "A", airport("KJFK", billing.AppliesDeparture)), true},
		{"no departure from there", flight(), tariff(1, "A", airport("KORD", billing.AppliesDeparture)), false},
		{"arrival", flight(), tariff(1, "A", airport("KORD", billing.AppliesArrival)), true},
		{"no arrival there", flight(), tariff(1, "A", airport("KJFK", billing.AppliesArrival)), false},
		{"any: origin", flight(), tariff(1, "A", airport("KJFK", billing.AppliesAny)), true},
		{"any: destination", flight(), tariff(1, "A", airport("KORD", billing.AppliesAny)), true},
		{"any: elsewhere", flight(), tariff(1, "A", airport("KLGA", billing.AppliesAny)), false},
		{"everywhere", flight(route("", "")), tariff(1, "A"), true},
		{"origin not known", flight(route("", "KORD")), tariff(1, "A", airport("KJFK", billing.AppliesDeparture)), false},
		{"the customer's own", flight(), tariff(1, "A", forCustomer(1)), true},
		{"another customer's", flight(), tariff(1, "A", forCustomer(2)), false},
		{"at the top of the band", flight(mass(136_000)), tariff(1, "A", band("100", "136")), true},
		{"a part of a tonne above", flight(mass(136_001)), tariff(1, "A", band("100", "136")), false},
		{"at the bottom, excluded", flight(mass(100_000)), tariff(1, "A", band("100", "136")), false},
		{"a part of a tonne in", flight(mass(100_001)), tariff(1, "A", band("100", "136")), true},
		{"no lower end", flight(mass(1)), tariff(1, "A", band("", "136")), true},
		{"no upper end", flight(mass(640_000)), tariff(1, "A", band("136", "")), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			want := []int64{9}
			if tc.want {
				want = []int64{1, 9}
			}
			assert.Equal(t, want, ids(price(t, tc.flight, always, tc.tariff)))
		})
	}

	t.Run("any counts once from an airport to itself", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, []int64{1}, ids(price(t, flight(route("KJFK", "KJFK")), tariff(1, "A", airport("KJFK", billing.AppliesAny)))))
	})
}

// Codes are compared in one form: a landing is not free, nor charged twice, since
// somebody wrote it otherwise.
func TestCodesAreComparedInOneForm(t *testing.T) {
	t.Parallel()
	land := tariff(1, "LANDING", airport("LHR", billing.AppliesArrival))
	own := tariff(2, "landing", airport("lhr", billing.AppliesArrival), forCustomer(acme.ID))
	for _, written := range []string{"LHR", "lhr", "L-HR", "Lhr "} {
		require.Equal(t, []int64{1}, ids(price(t, flight(route("JFK", written)), land)))
		require.Equal(t, []int64{2}, ids(price(t, flight(route("JFK", written)), land, own)), "its own replaces the general one")
		require.Equal(t, []int64{3}, ids(price(t, flight(route(written, "JFK")), tariff(3, "X", airport("LHR", billing.AppliesDeparture)))))
		require.Equal(t, []int64{3}, ids(price(t, flight(route("JFK", written)), tariff(3, "X", airport("LHR", billing.AppliesAny)))))
	}
}

func TestOwnTariffReplacesGeneralOnes(t *testing.T) {
	t.Parallel()

	general, wide := tariff(1, "LAND", airport("KORD", billing.AppliesArrival)), tariff(2, "LAND")
	other := tariff(3, "PARK")
	for _, tc := range []struct {
		name   string
		flight billing.Flight
		own    billing.Tariff
		want   []int64
	}{
		{"all of its code", flight(), tariff(5, "LAND", forCustomer(1)), []int64{5, 3}},
		{"at its airport only", flight(), tariff(5, "LAND", forCustomer(1), airport("KLGA", billing.AppliesAny)), []int64{1, 2, 3}},
		{"not another customer's", flight(), tariff(5, "LAND", forCustomer(2)), []int64{1, 2, 3}},
		{"not once it has ended", flight(), tariff(5, "LAND", forCustomer(1),
			func(t *billing.Tariff) { t.ValidTo = billing.NewDate(2026, time.January, 1) }), []int64{1, 2, 3}},
		{"inside its band", flight(), tariff(5, "LAND", forCustomer(1), band("70", "80")), []int64{5, 3}},
		{"not outside its band", flight(), tariff(5, "LAND", forCustomer(1), band("80", "")), []int64{1, 2, 3}},
		{"per tonne, whose band never keeps it from applying", flight(),
			tariff(5, "LAND", forCustomer(1), basis(billing.BasisPerTonne, "5"), band("80", "")), []int64{3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, ids(price(t, tc.flight, other, wide, tc.own, general)))
		})
	}

	t.Run("a replaced tariff's facts are not needed", func(t *testing.T) {
		t.Parallel()
		charges := price(t, flight(noMass, noDistance), tariff(5, "LAND", forCustomer(1)),
			tariff(1, "LAND", band("70", "80")), tariff(2, "LAND", basis(billing.BasisRoute, "60")))
		assert.Equal(t, []int64{5}, ids(charges))
	})
	t.Run("several own ones of a code stand", func(t *testing.T) {
		t.Parallel()
		charges := price(t, flight(), tariff(5, "LAND", forCustomer(1)), tariff(1, "LAND"),
			tariff(4, "LAND", forCustomer(1), airport("KORD", billing.AppliesAny)))
		assert.Equal(t, []int64{4, 5}, ids(charges))
	})
}

func TestChecksInOrder(t *testing.T) {
	t.Parallel()

	negative := func(t *billing.Tariff) { t.UnitRate = dec("-1") }
	unknown := func(t *billing.Tariff) { t.Currency = "BTC" }
	backwards := func(f *billing.Flight) { f.LandedAt = new(f.DepartedAt.Add(-time.Second)) }
	elsewhere := airport("KLGA", billing.AppliesAny)
	route := basis(billing.BasisRoute, "60")
	for _, tc := range []struct {
		name    string
		flight  billing.Flight
		tariffs []billing.Tariff
		reason  billing.Reason
		parts   []string
	}{
		{"no tariff at all", flight(), nil, billing.ReasonNoTariff, []string{"ACME", "KJFK", "KORD", "2026-11-23", "78000 kg", "add a tariff"}},
		{"no tariff, airports unknown", flight(func(f *billing.Flight) { f.Origin, f.Destination = "", "" }), nil,
			billing.ReasonNoTariff, []string{"from an unknown airport to an unknown airport"}},
		{"none for this mass", flight(), []billing.Tariff{tariff(1, "A", band("80", ""))}, billing.ReasonNoTariff, nil},
		{"tariff before facts", flight(mass(-1)), []billing.Tariff{tariff(1, "A", elsewhere)}, billing.ReasonNoTariff, nil},
		{"mass for a band", flight(noMass), []billing.Tariff{tariff(1, "A", band("", "80"))}, billing.ReasonMissingFact, []string{"mtow_kg", `tariff "A"`}},
		{"mass for an own band", flight(noMass), []billing.Tariff{tariff(2, "A"), tariff(1, "A", forCustomer(1), band("", "80"))},
			billing.ReasonMissingFact, []string{"mtow_kg", `tariff "A"`}},
		{"mass per tonne", flight(noMass), []billing.Tariff{tariff(1, "TON", basis(billing.BasisPerTonne, "5"))}, billing.ReasonMissingFact, []string{"mtow_kg", "TON"}},
		{"mass for terminal", flight(noMass), []billing.Tariff{tariff(1, "TERM", basis(billing.BasisTerminal, "5"))}, billing.ReasonMissingFact, []string{"mtow_kg", "TERM"}},
		{"mass for route", flight(noMass), []billing.Tariff{tariff(1, "ROUTE", route)}, billing.ReasonMissingFact, []string{"mtow_kg", "ROUTE"}},
		{"distance for route", flight(noDistance), []billing.Tariff{tariff(1, "ROUTE", route)}, billing.ReasonMissingFact, []string{"distance_km", "ROUTE"}},
		{"distance per km", flight(noDistance), []billing.Tariff{tariff(1, "KM", basis(billing.BasisPerKm, "5"))}, billing.ReasonMissingFact, []string{"distance_km", "KM"}},
		{"passengers", flight(noPassengers), []billing.Tariff{tariff(1, "PAX", basis(billing.BasisPerPassenger, "5"))}, billing.ReasonMissingFact, []string{"passengers", "PAX"}},
		{"missing before unusable", flight(noDistance, mass(-1)), []billing.Tariff{tariff(1, "KM", basis(billing.BasisPerKm, "5"))}, billing.ReasonMissingFact, nil},
		{"negative mass, not needed", flight(mass(-5)), []billing.Tariff{tariff(1, "A")}, billing.ReasonUnusableFacts, []string{"-5 kg"}},
		{"no mass to speak of", flight(mass(0)), []billing.Tariff{tariff(1, "A")}, billing.ReasonUnusableFacts, []string{"0 kg"}},
		{"negative mass for a band", flight(mass(-5)), []billing.Tariff{tariff(1, "A", band("10", ""))}, billing.ReasonUnusableFacts, []string{"-5 kg"}},
		{"negative distance, not needed", flight(distance("-0.1")), []billing.Tariff{tariff(1, "A")}, billing.ReasonUnusableFacts, []string{"-0.1 km"}},
		{"negative passengers, not needed", flight(passengers(-1)), []billing.Tariff{tariff(1, "A")}, billing.ReasonUnusableFacts, []string{"-1 passengers"}},
		{"landed before take-off", flight(backwards), []billing.Tariff{tariff(1, "A")}, billing.ReasonUnusableFacts, []string{"07:59:59Z", "08:00:00Z"}},
		{"currency unknown", flight(), []billing.Tariff{tariff(1, "A", unknown)}, billing.ReasonUnusableFacts, []string{`tariff "A"`, `"BTC"`, "correct the tariff"}},
		{"currency unknown, nothing to count", flight(passengers(0)),
			[]billing.Tariff{tariff(1, "A", unknown, basis(billing.BasisPerPassenger, "5"))}, billing.ReasonUnusableFacts, nil},
		{"negative rate", flight(), []billing.Tariff{tariff(1, "A", negative)}, billing.ReasonUnusableFacts, []string{"negative"}},
		{"basis unknown", flight(), []billing.Tariff{tariff(1, "A", basis("per_day", "5"))}, billing.ReasonUnusableFacts, []string{"per_day"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			charges, err := priceOf(tc.flight, acme, date(t, landingDay), tc.tariffs, billing.Bounds{})
			assert.Nil(t, charges)
			requireRefused(t, err, billing.Refused, tc.reason,
				append(tc.parts, "flight ACM12-20261123-KJFK", "enqueue the flight again")...)
		})
	}

	t.Run("a tariff that does not apply does no harm", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, []int64{1}, ids(price(t, flight(noPassengers), tariff(1, "A"), tariff(2, "B", unknown, elsewhere),
			tariff(3, "C", basis(billing.BasisPerPassenger, "5"), elsewhere))))
	})
}

func TestPriceNeitherChangesNorFollowsTheOrderOfTariffs(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		var tariffs []billing.Tariff
		for id := range rapid.IntRange(1, 8).Draw(t, "tariffs") {
			tariffs = append(tariffs, tariff(int64(id), rapid.SampledFrom([]string{"A", "B"}).Draw(t, "code"),
				basis(rapid.SampledFrom([]billing.Basis{billing.BasisPerFlight, billing.BasisPerTonne, billing.BasisRoute,
					billing.BasisPerPassenger}).Draw(t, "basis"), "1.25"),
				forCustomer(rapid.Int64Range(0, 2).Draw(t, "customer")),
				rapid.SampledFrom([]func(*billing.Tariff){band("", ""), band("70", ""), band("", "70")}).Draw(t, "band")))
		}
		f := flight()
		if rapid.IntRange(0, 3).Draw(t, "facts") == 0 {
			f = rapid.SampledFrom([]billing.Flight{flight(noMass), flight(mass(-1)), flight(noPassengers)}).Draw(t, "flight")
		}
		shuffled := rapid.Permutation(tariffs).Draw(t, "shuffled")
		before := append([]billing.Tariff(nil), shuffled...)

		charges, err := priceOf(f, acme, date(t, landingDay), tariffs, billing.Bounds{})
		again, errAgain := priceOf(f, acme, date(t, landingDay), shuffled, billing.Bounds{})
		assert.Equal(t, charges, again)
		assert.Equal(t, err, errAgain)
		assert.Equal(t, before, shuffled, "the caller's tariffs stay as they were")
		for _, c := range charges {
			assert.True(t, c.Quantity.IsPositive())
			assert.False(t, c.Amount.LessThan(decimal.Zero))
		}
	})
}
