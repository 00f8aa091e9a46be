package billing_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

// explained writes what each tariff comes to: its id, and the amount or the reason.
func explained(c billing.Case, tariffs ...billing.Tariff) map[int64]string {
	all := map[int64]string{}
	for _, e := range billing.Explain(c, billing.NewTariffSet(tariffs, canonical), billing.DefaultBounds) {
		all[e.Tariff.ID] = e.Why
		if len(e.Detail) > 0 {
			all[e.Tariff.ID] += "\n" + steps(billing.Charge{Detail: e.Detail})
		}
		if e.Charge != nil {
			all[e.Tariff.ID] += "= " + e.Charge.Amount.StringFixed(2)
		}
	}
	return all
}

func TestExplain(t *testing.T) {
	t.Parallel()
	c := caseOf(flight(facts("noise_class", "C", "seats", "many")), airports(t, "US", "US"))
	later := tariff(2, "B", func(t *billing.Tariff) { t.ValidFrom = billing.NewDate(2027, time.January, 1) })
	over := tariff(3, "C", func(t *billing.Tariff) { t.ValidTo = billing.NewDate(2026, time.November, 23) })
	require.Equal(t, map[int64]string{
		1:  "= 10.00",
		2:  "valid from 2027-01-01, and the flight is of 2026-11-23",
		3:  "no longer valid on 2026-11-23, and the flight is of 2026-11-23",
		4:  "for another customer",
		5:  `for arrivals at "LHR", and the flight is from "KJFK" to "KORD"`,
		6:  "when noise_class=A|B, but it is C",
		7:  "during 23:00-02:00, and it was Mon 04:00 in America/Chicago",
		8:  "for tonnes in the band above 100 up to 136, and that is 78",
		9:  `replaced by tariff 10, the customer's own of code "I"`,
		10: "= 10.00",
		11: "needs a fact that the flight does not have: tail_tax",
		12: `the flight has "many" as its seats, where a number counts`,
		13: "needs both on_block_at and off_block_at, which the flight does not have yet",
		14: "it applies, with quantity 0\nmtow_kg 78000\ntonnes 78: 78000 / 1000, rounded up\ntonnes in band 0: of 78, in the band above 136",
		15: "= 5.00",
		16: `the charge "K", which it counts, cannot be priced`,
		17: "none of the charges that it counts is on the flight, or they come to 0",
		18: "the charges that it counts come to its minimum or more",
		19: `is not fit for use: currency "BTC" is not an ISO 4217 code in use, such as EUR`,
	}, explained(c,
		tariff(1, "A"), later, over, tariff(4, "D", forCustomer(2)), tariff(5, "E", airport("LHR", billing.AppliesArrival)),
		tariff(6, "F", onlyWhen(t, "noise_class=A|B; tail_tax=yes")), tariff(7, "G", airport("KORD", billing.AppliesArrival), onlyDuring(t, "23:00-02:00")),
		tariff(8, "H", band("100", "136")), tariff(9, "I", onlyWhen(t, "tail_tax=yes")), tariff(10, "I", forCustomer(1)),
		tariff(11, "K", onlyWhen(t, "tail_tax=yes")), tariff(12, "L", times("seats")), tariff(13, "M", basis(billing.BasisPerTime, "1")),
		tariff(14, "N", basis(billing.BasisPerTonne, "1"), band("136", "")), percent(15, "O", "0.5", "A"), percent(16, "P", "0.5", "A", "K"),
		percent(17, "Q", "0.5", "N"), topUp(18, "R", "10", "A"), tariff(19, "S", currency("BTC")),
	))
	arrival := caseOf(flight(func(f *billing.Flight) { f.Movement = billing.Arrival }), airports(t, "US", "US"))
	require.Equal(t, map[int64]string{
		1: `for departures at "KJFK", and this is the arrival at "KORD"`, 2: "= 10.00",
	}, explained(arrival, tariff(1, "A", airport("KJFK", billing.AppliesDeparture)), tariff(2, "A", airport("KORD", billing.AppliesAny))))
}

// Explain and Price come to the same charges, and where Price refuses a flight, Explain
// says it of a tariff.
func TestExplainAgreesWithPrice(t *testing.T) {
	t.Parallel()
	conditions := []string{"", "noise_class=A", "noise_class!=A", "seats>=30", "tail_tax absent", "mtow_kg<70000"}
	parsed := map[string]billing.When{}
	for _, text := range conditions {
		parsed[text] = when(t, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		var tariffs []billing.Tariff
		var codes []string
		for i := range rapid.IntRange(1, 5).Draw(t, "tariffs") {
			code := fmt.Sprintf("B%d", i/2)
			tariff := drawPriced(t, int64(i+1), code)
			tariff.When = parsed[rapid.SampledFrom(conditions).Draw(t, "when")]
			tariff.CustomerID = int64(rapid.IntRange(0, 2).Draw(t, "customer"))
			tariffs, codes = append(tariffs, tariff), append(codes, code)
		}
		if rapid.Bool().Draw(t, "percentage") {
			tariffs = append(tariffs, drawOfCharges(t, 9, "A", codes[:1], rapid.Bool().Draw(t, "top_up")))
		}
		f := flight()
		if rapid.Bool().Draw(t, "facts") {
			f = flight(facts("noise_class", rapid.SampledFrom([]string{"A", "B"}).Draw(t, "class"), "seats", "12", "nox_kg", "3", "pax_transfer", "4"), stay(time.Hour))
		}
		c := caseOf(f)
		set := billing.NewTariffSet(tariffs, nil)
		charges, err := billing.Price(c, set, billing.DefaultBounds)
		var told []billing.Charge
		gaps := false
		for _, e := range billing.Explain(c, set, billing.DefaultBounds) {
			require.NotEqual(t, e.Charge == nil, e.Why == "", "%d: %s", e.Tariff.ID, e.Why)
			if e.Charge != nil {
				told = append(told, *e.Charge)
			}
			gaps = gaps || len(e.Why) > 5 && e.Why[:5] == "needs"
		}
		if err == nil {
			require.Equal(t, charges, told)
			require.False(t, gaps)
		} else {
			require.True(t, gaps || len(told) == 0, err)
		}
	})
}
