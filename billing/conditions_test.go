package billing_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

func onlyDuring(t *testing.T, hours string) func(*billing.Tariff) {
	t.Helper()
	parsed := during(t, hours)
	return func(t *billing.Tariff) { t.During = parsed }
}

// caseOf is a flight with registers.
func caseOf(f billing.Flight, changes ...func(*billing.Case)) billing.Case {
	c := billing.Case{Flight: f, Customer: acme, MovedOn: billing.NewDate(2026, time.November, 23), First: billing.DefaultRegisterFirst}
	for _, change := range changes {
		change(&c)
	}
	return c
}

func aircraft(pairs ...string) func(*billing.Case) {
	return func(c *billing.Case) { c.Aircraft = declaredBy("aircraft N12AC", pairs) }
}

func aircraftType(pairs ...string) func(*billing.Case) {
	return func(c *billing.Case) { c.AircraftType = declaredBy("aircraft type A320", pairs) }
}

func declaredBy(from string, pairs []string) map[string]billing.Declared {
	all := map[string]billing.Declared{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = billing.Declared{Value: billing.TextFact(pairs[i+1]), From: from}
	}
	return all
}

func airports(t *testing.T, origin, destination string) func(*billing.Case) {
	t.Helper()
	return func(c *billing.Case) {
		c.Origin = &billing.Airport{Code: "JFK", Country: origin, Location: zone(t, "America/New_York")}
		c.Destination = &billing.Airport{Code: "ORD", Country: destination, Location: zone(t, "America/Chicago")}
	}
}

// canonical has KJFK and KORD under JFK and ORD.
func canonical(code string) string {
	switch billing.CodeForm(code) {
	case "KJFK":
		return "JFK"
	case "KORD":
		return "ORD"
	}
	return code
}

func priceCase(c billing.Case, tariffs ...billing.Tariff) ([]billing.Charge, error) {
	register := canonical
	if c.Destination == nil {
		register = nil
	}
	return billing.Price(c, billing.NewTariffSet(tariffs, register), billing.DefaultBounds)
}

// Whether a tariff applies by its conditions: its id is charged, beside 9.
func TestConditionsDecide(t *testing.T) {
	t.Parallel()
	always := tariff(9, "ZZZ")
	departure := func(f *billing.Flight) { f.Movement = billing.Departure }
	arrival := func(f *billing.Flight) { f.Movement = billing.Arrival }
	for _, tc := range []struct {
		name   string
		c      billing.Case
		tariff billing.Tariff
		want   bool
	}{
		{"a fact of the source", caseOf(flight(facts("noise_class", "b"))), tariff(1, "A", onlyWhen(t, "noise_class=A|B")), true},
		{"another value", caseOf(flight(facts("noise_class", "C"))), tariff(1, "A", onlyWhen(t, "noise_class=A|B")), false},
		{"0 is a fact", caseOf(flight(facts("seats", "0"))), tariff(1, "A", onlyWhen(t, "seats<1")), true},
		{"no fact is absent", caseOf(flight()), tariff(1, "A", onlyWhen(t, "tail_tax absent")), true},
		{"below 2 t: 1,999 kg", caseOf(flight(mass(1_999))), tariff(1, "A", onlyWhen(t, "mtow_kg<2000")), true},
		{"below 2 t: 2,000 kg", caseOf(flight(mass(2_000))), tariff(1, "A", onlyWhen(t, "mtow_kg<2000")), false},
		{"a column that is a code", caseOf(flight()), tariff(1, "A", onlyWhen(t, "registration=N-12AC")), true},
		{"an airport under another code", caseOf(flight(), airports(t, "US", "US")), tariff(1, "A", onlyWhen(t, "origin=kjfk")), true},
		{"not an airport under another code", caseOf(flight(), airports(t, "US", "US")), tariff(1, "A", onlyWhen(t, "origin!=KJFK")), false},
		{"a tariff's airport under another code", caseOf(flight(), airports(t, "US", "US")), tariff(1, "A", airport("KORD", billing.AppliesArrival)), true},
		{"the aircraft's register", caseOf(flight(), aircraft("noise_class", "A")), tariff(1, "A", onlyWhen(t, "noise_class=A")), true},
		{"the type's register", caseOf(flight(), aircraftType("noise_class", "A")), tariff(1, "A", onlyWhen(t, "noise_class=A")), true},
		{"international", caseOf(flight(), airports(t, "US", "IE")), tariff(1, "A", onlyWhen(t, "international=yes")), true},
		{"domestic", caseOf(flight(), airports(t, "US", "US")), tariff(1, "A", onlyWhen(t, "international=yes")), false},
		{"a country", caseOf(flight(), airports(t, "US", "IE")), tariff(1, "A", onlyWhen(t, "destination_country=IE; origin_country=US")), true},
		{"Namibia", caseOf(flight(), airports(t, "NA", "ZA")), tariff(1, "A", onlyWhen(t, "origin_country=NA; destination_country!=na")), true},
		{"the source's own country goes first", caseOf(flight(facts("origin_country", "NA")), airports(t, "ZA", "NA")), tariff(1, "A", onlyWhen(t, "international=no")), true},
		{"the source's own international goes first", caseOf(flight(facts("international", "yes")), airports(t, "US", "US")), tariff(1, "A", onlyWhen(t, "international=yes")), true},
		{"the stay", caseOf(flight(stay(30 * time.Minute))), tariff(1, "A", onlyWhen(t, "stay_minutes<=30")), true},
		{"a second more", caseOf(flight(stay(30*time.Minute + time.Second))), tariff(1, "A", onlyWhen(t, "stay_minutes<=30")), false},
		{"a leg is neither arrival nor departure", caseOf(flight()), tariff(1, "A", onlyWhen(t, "movement=arrival")), false},
		{"one condition false, another fact missing", caseOf(flight(facts("noise_class", "C"))), tariff(1, "A", onlyWhen(t, "tail_tax=yes; noise_class=A")), false},
		{"a fact missing, outside the band", caseOf(flight()), tariff(1, "A", band("80", ""), onlyWhen(t, "tail_tax=yes")), false},
		{"a fact missing, at another hour", caseOf(flight(), airports(t, "US", "US")),
			tariff(1, "A", airport("KORD", billing.AppliesArrival), onlyDuring(t, "05:00-06:00"), onlyWhen(t, "tail_tax=yes")), false},
		{"landing at 10:00Z is 04:00 in Chicago", caseOf(flight(), airports(t, "US", "US")), tariff(1, "A", airport("KORD", billing.AppliesArrival), onlyDuring(t, "Mo 04:00-04:01")), true},
		{"take-off at 08:00Z is 03:00 in New York", caseOf(flight(), airports(t, "US", "US")), tariff(1, "A", airport("KJFK", billing.AppliesDeparture), onlyDuring(t, "Mo 03:00-03:01")), true},
		{"the end is excluded", caseOf(flight(), airports(t, "US", "US")), tariff(1, "A", airport("KORD", billing.AppliesArrival), onlyDuring(t, "03:00-04:00")), false},

		{"arrivals meet arrival", caseOf(flight(arrival)), tariff(1, "A", airport("KORD", billing.AppliesArrival)), true},
		{"arrivals meet any at the destination", caseOf(flight(arrival)), tariff(1, "A", airport("KORD", billing.AppliesAny)), true},
		{"arrivals do not meet any at the origin", caseOf(flight(arrival)), tariff(1, "A", airport("KJFK", billing.AppliesAny)), false},
		{"arrivals do not meet departure", caseOf(flight(arrival)), tariff(1, "A", func(t *billing.Tariff) { t.AppliesTo = billing.AppliesDeparture }), false},
		{"departures meet departure", caseOf(flight(departure)), tariff(1, "A", airport("KJFK", billing.AppliesDeparture)), true},
		{"departures do not meet any at the destination", caseOf(flight(departure)), tariff(1, "A", airport("KORD", billing.AppliesAny)), false},
		{"legs meet arrivals everywhere", caseOf(flight()), tariff(1, "A", func(t *billing.Tariff) { t.AppliesTo = billing.AppliesArrival }), true},

		{"in a band of kg", caseOf(flight(mass(2_000))), tariff(1, "A", band("", "2000"), func(t *billing.Tariff) { t.BandOf = "kg" }), true},
		{"above a band of kg", caseOf(flight(mass(2_001))), tariff(1, "A", band("", "2000"), func(t *billing.Tariff) { t.BandOf = "kg" }), false},
		{"in a band of a fact", caseOf(flight(facts("seats", "30"))), tariff(1, "A", band("19", "30"), func(t *billing.Tariff) { t.BandOf = "seats" }), true},
		{"above a band of units", caseOf(flight(stay(61 * time.Minute))),
			tariff(1, "A", basis(billing.BasisPerTime, "1"), units("60", ""), band("", "1"), func(t *billing.Tariff) { t.BandOf = "units" }), false},
		{"whole, per tonne", caseOf(flight()), tariff(1, "A", basis(billing.BasisPerTonne, "1"), band("80", ""), func(t *billing.Tariff) { t.BandMode = billing.BandWhole }), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			charges, err := priceCase(tc.c, always, tc.tariff)
			require.NoError(t, err)
			want := []int64{9}
			if tc.want {
				want = []int64{1, 9}
			}
			assert.Equal(t, want, ids(charges))
		})
	}
}

// What is missing refuses the flight, with the tariff; it never skips a row.
func TestMissingFactsAreTold(t *testing.T) {
	t.Parallel()
	missing, unusable, waits := billing.ReasonMissingFact, billing.ReasonUnusableFacts, billing.ReasonNotOffBlock
	parking := tariff(1, "PARK", basis(billing.BasisPerTime, "1"))
	notOff := func(f *billing.Flight) { stay(time.Hour)(f); f.OffBlockAt = nil }
	for _, tc := range []struct {
		name   string
		c      billing.Case
		tariff billing.Tariff
		reason billing.Reason
		parts  []string
	}{
		{"a condition's", caseOf(flight()), tariff(1, "LAND", onlyWhen(t, "noise_class=A")), missing, []string{"has no noise_class", `tariff "LAND"`, "register of aircraft"}},
		{"a negated condition's", caseOf(flight()), tariff(1, "LAND", onlyWhen(t, "noise_class!=A")), missing, []string{"noise_class"}},
		{"one that counts", caseOf(flight(facts("a", "1"))), tariff(1, "NOX", basis(billing.BasisPerUnit, "1"), of("a", "nox_kg")), missing, []string{"nox_kg", `tariff "NOX"`}},
		{"one that multiplies", caseOf(flight()), tariff(1, "NOX", times("engines")), missing, []string{"engines"}},
		{"the mass, in times", caseOf(flight(noMass)), tariff(1, "X", times("tonnes")), missing, []string{"mtow_kg", "register of aircraft"}},
		{"one that a band limits", caseOf(flight()), tariff(1, "X", band("", "30"), func(t *billing.Tariff) { t.BandOf = "seats" }), missing, []string{"seats"}},
		{"a formula's", caseOf(flight()), tariff(1, "X", basis(billing.BasisFormula, "1"), of("nm"), func(t *billing.Tariff) { t.DistancePower = decPtr("1") }), missing, []string{"has no nm"}},
		{"the country of an airport", caseOf(flight()), tariff(1, "X", onlyWhen(t, "origin_country=US")), missing, []string{"origin_country", `"KJFK"`, "register of airports"}},
		{"international", caseOf(flight()), tariff(1, "X", onlyWhen(t, "international=yes")), missing, []string{"international", `"KJFK"`, "register of airports"}},
		{"the time zone of an airport", caseOf(flight()), tariff(1, "X", airport("KORD", billing.AppliesArrival), onlyDuring(t, "22:00-06:00")), missing,
			[]string{"time zone of its destination", `"KORD"`, "register of airports"}},
		{"the take-off of a leg", caseOf(flight(func(f *billing.Flight) { f.DepartedAt = nil }), airports(t, "US", "US")),
			tariff(1, "X", airport("KJFK", billing.AppliesDeparture), onlyDuring(t, "22:00-06:00")), missing, []string{"departed_at"}},
		{"in an own tariff, beside a general one", caseOf(flight()), tariff(1, "ZZZ", forCustomer(1), onlyWhen(t, "noise_class=A")), missing, []string{"noise_class"}},
		{"of a percentage", caseOf(flight()), tariff(1, "P", basis(billing.BasisPercent, "0.5"), of("ZZZ"), onlyWhen(t, "noise_class=A")), missing, []string{"noise_class"}},

		{"text in a comparison", caseOf(flight(facts("seats", "many"))), tariff(1, "X", onlyWhen(t, "seats>=30")), unusable,
			[]string{`has "many" as its seats, where a number counts for tariff "X"; correct it in the flight source, or correct the tariff, and enqueue`}},
		{"text that counts", caseOf(flight(facts("nox_kg", "low"))), tariff(1, "X", basis(billing.BasisPerUnit, "1"), of("nox_kg")), unusable, []string{`"low"`, "nox_kg"}},
		{"text in a band", caseOf(flight(facts("seats", "many"))), tariff(1, "X", band("", "30"), func(t *billing.Tariff) { t.BandOf = "seats" }), unusable, []string{`"many"`}},
		{"below 0", caseOf(flight(facts("nox_kg", "-1"))), tariff(1, "X", basis(billing.BasisPerUnit, "1"), of("nox_kg")), unusable, []string{`"-1"`, "below 0"}},
		{"of the register", caseOf(flight(), aircraft("nox_kg", "low")), tariff(1, "X", times("nox_kg")), unusable,
			[]string{`"low" (aircraft N12AC)`, "correct it in the register of aircraft, or correct the tariff,"}},
		{"of the type's register", caseOf(flight(), aircraftType("nox_kg", "-1")), tariff(1, "X", times("nox_kg")), unusable, []string{"below 0; correct it in the register of aircraft types and"}},
		{"a declared mass of 0", caseOf(flight(), aircraft("mtow_kg", "0")), tariff(1, "X", basis(billing.BasisPerTonne, "1")), unusable, []string{`"0" kg`, "aircraft N12AC; correct it in the register of aircraft and"}},
		{"a declared mass beyond the bounds", caseOf(flight(), aircraft("mtow_kg", "7000000")), tariff(1, "X", basis(billing.BasisPerTonne, "1")), unusable, []string{"7000000 kg", "FLIGHTBILL_MAX_MTOW_KG"}},
		{"no pounds to speak of", caseOf(flight(func(f *billing.Flight) { f.MTOWLb = new(int64(0)) })), tariff(1, "X"), unusable, []string{"0 lb"}},
		{"too many pounds", caseOf(flight(noMass, func(f *billing.Flight) { f.MTOWLb = new(int64(2_000_000)) })), tariff(1, "X"), unusable, []string{"2000000 lb"}},
		{"off blocks before on", caseOf(flight(stay(-time.Minute))), parking, unusable, []string{"off_block_at", "on_block_at", "two airports?"}},
		{"off blocks before on, for a condition", caseOf(flight(stay(-time.Minute))), tariff(1, "X", onlyWhen(t, "stay_minutes>30")), unusable, []string{"off_block_at", "on_block_at"}},
		{"on blocks in 1970", caseOf(flight(func(f *billing.Flight) { f.OnBlockAt = new(time.Unix(1_700_000, 0)) }, func(f *billing.Flight) { f.OffBlockAt = f.LandedAt })), parking, unusable, []string{"on_block_at", "1990"}},

		{"still on the stand", caseOf(flight(notOff)), parking, waits, []string{"stay on the stand", "off_block_at", `tariff "PARK"`}},
		{"not on the stand", caseOf(flight()), parking, waits, []string{"on_block_at", "off_block_at"}},
		{"still on the stand, for a condition", caseOf(flight(notOff)), tariff(1, "X", onlyWhen(t, "stay_minutes>30")), waits, nil},
		{"still on the stand, for a band", caseOf(flight(notOff)), tariff(1, "X", band("", "30"), func(t *billing.Tariff) { t.BandOf = "stay_minutes" }), waits, nil},
		{"waits before it is refused", caseOf(flight(notOff)), tariff(1, "X", basis(billing.BasisPerTime, "1"), times("nox_kg")), waits, nil},
		{"off blocks is a forecast", caseOf(flight(stay(time.Hour)), func(c *billing.Case) { c.Now = c.Flight.OffBlockAt.Add(-6 * time.Minute) }), parking, waits, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			charges, err := priceCase(tc.c, tariff(9, "ZZZ"), tc.tariff)
			assert.Nil(t, charges)
			kind := billing.Refused
			if tc.reason == waits {
				kind = billing.NotYet
			}
			requireRefused(t, err, kind, tc.reason, append(tc.parts, "flight ACM12-20261123-KJFK")...)
		})
	}
	t.Run("off blocks within the clocks' difference is no forecast", func(t *testing.T) {
		t.Parallel()
		charges, err := priceCase(caseOf(flight(stay(time.Hour)), func(c *billing.Case) { c.Now = c.Flight.OffBlockAt.Add(-5 * time.Minute) }), parking)
		require.NoError(t, err)
		requireAmounts(t, charges, "60.00")
	})
}

// An airline has a leg's off blocks of the origin and its on blocks of the destination.
func TestStayNobodyNeedsRefusesNothing(t *testing.T) {
	t.Parallel()
	leg := flight(func(f *billing.Flight) { f.OffBlockAt, f.OnBlockAt = f.DepartedAt, f.LandedAt })
	require.True(t, leg.OffBlockAt.Before(*leg.OnBlockAt))
	require.NoError(t, billing.CheckFacts(leg, billing.DefaultBounds))
	parking := tariff(2, "PARK", basis(billing.BasisPerTime, "1"))
	elsewhere := parking
	elsewhere.Airport = "EIDW"
	charges, err := priceCase(caseOf(leg), tariff(1, "LAND"), elsewhere)
	require.NoError(t, err)
	require.Equal(t, []int64{1}, ids(charges))
	_, err = priceCase(caseOf(leg), tariff(1, "LAND"), parking)
	requireRefused(t, err, billing.Refused, billing.ReasonUnusableFacts, "off_block_at", "on_block_at")
	leg.Facts = map[string]billing.Fact{"stay_minutes": billing.TextFact("45")}
	charges, err = priceCase(caseOf(leg), tariff(1, "LAND"), parking)
	require.NoError(t, err, "the source's own stay goes before the two times")
	requireAmounts(t, charges, "10.00", "45.00")
}

// What a replaced row lacks does not matter.
func TestReplacedRowsNeedNothing(t *testing.T) {
	t.Parallel()
	charges, err := priceCase(caseOf(flight()), tariff(1, "LAND", onlyWhen(t, "noise_class=A")), tariff(2, "LAND", basis(billing.BasisPerTime, "1")),
		tariff(3, "LAND", basis(billing.BasisPerUnit, "1"), of("nox_kg")), tariff(4, "land", forCustomer(1)))
	require.NoError(t, err)
	require.Equal(t, []int64{4}, ids(charges))

	charges, err = priceCase(caseOf(flight(facts("noise_class", "B"))), tariff(1, "LAND"), tariff(4, "LAND", forCustomer(1), onlyWhen(t, "noise_class=A")))
	require.NoError(t, err)
	require.Equal(t, []int64{1}, ids(charges), "an own tariff whose condition is false replaces nothing")
}

// Which of several sources of a fact counts, and that the charge says which.
func TestWhereFactsComeFrom(t *testing.T) {
	t.Parallel()
	byClass := tariff(1, "X", onlyWhen(t, "noise_class present"))
	perTonne := tariff(1, "X", basis(billing.BasisPerTonne, "1"))
	perThousandLb := tariff(1, "X", basis(billing.BasisPerTonne, "1"), func(t *billing.Tariff) { t.TonneKg = billing.TonneLb })
	first := func(names ...string) func(*billing.Case) {
		return func(c *billing.Case) { c.First = names }
	}
	inPounds := func(f *billing.Flight) { f.MTOWKg, f.MTOWLb = nil, new(int64(5_000)) }
	both := func(f *billing.Flight) { f.MTOWKg, f.MTOWLb = new(int64(2_268)), new(int64(5_000)) }
	for _, tc := range []struct {
		name     string
		c        billing.Case
		tariff   billing.Tariff
		quantity string
		steps    []billing.Step
	}{
		{"the source before the registers", caseOf(flight(facts("noise_class", "A")), aircraft("noise_class", "B"), aircraftType("noise_class", "C")), byClass, "1",
			[]billing.Step{{What: "noise_class", Value: "A"}}},
		{"the aircraft before its type", caseOf(flight(), aircraft("noise_class", "B"), aircraftType("noise_class", "C")), byClass, "1",
			[]billing.Step{{What: "noise_class", Value: "B", From: "aircraft N12AC"}}},
		{"its type", caseOf(flight(), aircraftType("noise_class", "C")), byClass, "1", []billing.Step{{What: "noise_class", Value: "C", From: "aircraft type A320"}}},
		{"the aircraft first", caseOf(flight(facts("noise_class", "A")), aircraft("noise_class", "B"), first("noise_class")), byClass, "1",
			[]billing.Step{{What: "noise_class", Value: "B", From: "aircraft N12AC"}}},
		{"the source before the type, even so", caseOf(flight(facts("noise_class", "A")), aircraftType("noise_class", "C"), first("noise_class")), byClass, "1",
			[]billing.Step{{What: "noise_class", Value: "A"}}},
		{"absent", caseOf(flight()), tariff(1, "X", onlyWhen(t, "noise_class absent")), "1", []billing.Step{{What: "noise_class", Value: "absent"}}},
		{"the declared mass first", caseOf(flight(), aircraft("mtow_kg", "73500"), aircraftType("mtow_kg", "60000")), perTonne, "74",
			[]billing.Step{{What: "mtow_kg", Value: "73500", From: "aircraft N12AC"}, {What: "tonnes", Value: "74", How: "73500 / 1000, rounded up"}}},
		{"the source's mass before the type's", caseOf(flight(), aircraftType("mtow_kg", "60000")), perTonne, "78", nil},
		{"the type's mass", caseOf(flight(noMass), aircraftType("mtow_kg", "60000")), perTonne, "60",
			[]billing.Step{{What: "mtow_kg", Value: "60000", From: "aircraft type A320"}, {What: "tonnes", Value: "60", How: "60000 / 1000, rounded up"}}},
		{"the source's mass where nothing is put first", caseOf(flight(), aircraft("mtow_kg", "73500"), first()), perTonne, "78", nil},
		{"the declared mass where the source has none", caseOf(flight(noMass), aircraft("mtow_kg", "73500"), first()), perTonne, "74", nil},
		{"pounds, as 1,000 lb: 5, not 6", caseOf(flight(inPounds)), perThousandLb, "5",
			[]billing.Step{{What: "mtow_lb", Value: "5000"}, {What: "tonnes", Value: "5", How: "5000 / 1000, rounded up"}}},
		{"pounds before kilograms, as 1,000 lb", caseOf(flight(both)), perThousandLb, "5", nil},
		{"kilograms, as 1,000 lb", caseOf(flight(mass(2_268))), perThousandLb, "6",
			[]billing.Step{{What: "mtow_kg", Value: "2268"}, {What: "tonnes", Value: "6", How: "2268 / 453.59237, rounded up"}}},
		{"pounds, as tonnes", caseOf(flight(inPounds)), perTonne, "3",
			[]billing.Step{{What: "mtow_lb", Value: "5000"}, {What: "mtow_kg", Value: "2267.96185", How: "5000 × 0.45359237"}, {What: "tonnes", Value: "3", How: "2267.96185 / 1000, rounded up"}}},
		{"kilograms before pounds, as tonnes", caseOf(flight(both)), perTonne, "3", nil},
		{"pounds do not count beside a declared mass", caseOf(flight(inPounds), aircraft("mtow_kg", "9000")), perThousandLb, "20", nil},
		{"pounds before the type's mass", caseOf(flight(inPounds), aircraftType("mtow_kg", "9000")), perThousandLb, "5", nil},
		{"the type of the aircraft", caseOf(flight(), aircraft("aircraft_type", "A320")), tariff(1, "X", onlyWhen(t, "aircraft_type=a320")), "1",
			[]billing.Step{{What: "aircraft_type", Value: "A320", From: "aircraft N12AC"}}},
		{"a country", caseOf(flight(), airports(t, "US", "IE")), tariff(1, "X", onlyWhen(t, "destination_country=IE; international=yes")), "1",
			[]billing.Step{{What: "destination_country", Value: "IE", From: "airport ORD"}, {What: "international", Value: "yes", How: "from US to IE"}}},
		{"the source's own stay", caseOf(flight(facts("stay_minutes", "12.5"))), tariff(1, "X", basis(billing.BasisPerTime, "1")), "13", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			charges, err := priceCase(tc.c, tc.tariff)
			require.NoError(t, err)
			require.Len(t, charges, 1)
			assert.Equal(t, tc.quantity, charges[0].Quantity.String())
			if tc.steps != nil {
				assert.Equal(t, tc.steps, charges[0].Detail)
			}
		})
	}
}

// What the ledger keeps beside what the source said.
func TestDeclared(t *testing.T) {
	t.Parallel()
	c := caseOf(flight(facts("noise_class", "A")), aircraft("noise_class", "B", "mtow_kg", "73500", "seats", "180"),
		aircraftType("seats", "150", "engines", "2", "mtow_kg", "60000"), airports(t, "US", "IE"))
	got := map[string]string{}
	for name, d := range c.Declared() {
		got[name] = d.Value.String() + " from " + d.From
	}
	require.Equal(t, map[string]string{
		"mtow_kg": "73500 from aircraft N12AC", "seats": "180 from aircraft N12AC", "engines": "2 from aircraft type A320",
		"origin_country": "US from airport JFK", "destination_country": "IE from airport ORD",
	}, got)
	plain := caseOf(flight())
	require.Empty(t, plain.Declared())

	// From what was kept the same price comes, without the registers.
	tariffs := []billing.Tariff{
		tariff(1, "A", basis(billing.BasisPerTonne, "1")), tariff(2, "B", times("seats")),
		tariff(3, "C", onlyWhen(t, "international=yes; noise_class=A; engines=2")),
	}
	charges, err := priceCase(c, tariffs...)
	require.NoError(t, err)
	kept := caseOf(c.Flight, func(kept *billing.Case) { kept.Aircraft = c.Declared() })
	again, err := priceCase(kept, tariffs...)
	require.NoError(t, err)
	requireAmounts(t, again, "74.00", "1800.00", "10.00")
	requireAmounts(t, charges, "74.00", "1800.00", "10.00")
}

// NA is Namibia where a country is meant, and elsewhere says that there is nothing. So it
// stays in the ledger.
func TestNamibia(t *testing.T) {
	t.Parallel()
	require.Equal(t, "NA", billing.CleanCountry("\u00a0NA "))
	require.Empty(t, billing.CleanCountry(" N/A"))
	for name, is := range map[string]bool{"origin_country": true, "country": true, "home_country": true, "stand": false, "countryside": false} {
		require.Equal(t, !is, billing.NamedFact(name, " NA").IsZero(), name)
		require.True(t, billing.NamedFact(name, "none").IsZero(), name)
	}
	_, err := billing.ParseWhen("stand=NA")
	require.ErrorContains(t, err, "asks for a value that says that there is none")

	c := caseOf(flight(), airports(t, "NA", "ZA"))
	declared := c.Declared()
	kept, err := json.Marshal(declared)
	require.NoError(t, err)
	var again map[string]billing.Declared
	require.NoError(t, json.Unmarshal(kept, &again))
	require.Equal(t, declared, again)
}
