package jobs_test

import (
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/imports"
	"github.com/flightbill/flightbill/jobs"
)

const triedTariffs = `code,description,basis,customer,airport,applies_to,when,band_from,band_to,unit_rate,minimum,currency,tax_rate,valid_from,valid_to
RUNWAY,Runway use,per_tonne,,,departure,,,,3.00,10.00,EUR,0.20,2020-01-01,
NOISE,Noise,per_flight,,,departure,noise_class=A,,,5.00,,EUR,0,2020-01-01,2026-03-31
NOISY,Noise,per_flight,,,departure,noise_class!=A,,,9.00,,EUR,0,2020-01-01,2026-03-31
SEATS,Passengers,per_passenger,EACH,,departure,,,,1.00,,EUR,0,2020-01-01,
`

// Flights of the ledger come to what they would come to at other tariffs, from their kept
// facts. Nothing is saved.
func TestTryTariffs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE flights SET aircraft_type = 'B738'`)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.billed(t, "W2", "WEEK", landed(4, 9))
	b.billed(t, "W3", "WEEK", landed(3, 9)) // not of the period
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.billed(t, "E2", "EACH", landed(4, 9))
	b.exec(t, `SELECT void_invoice('EACH-000002', 'not ours')`)
	// More than a page of them. One was of a louder class when it was billed.
	b.exec(t, `INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, declared, billed_at)
		SELECT 'M' || n, (SELECT id FROM customers WHERE code = 'MON'), landed_on, facts || '{"operator": "MON"}',
			CASE n WHEN 7 THEN '{"noise_class": {"value": "B", "from": "aircraft type B738"}}' ELSE '{}' END::jsonb, billed_at
		FROM billed_flights, generate_series(1, 2500) AS n WHERE flight_id = 'W1'`)
	b.exec(t, `UPDATE billed_flights SET facts = facts || '{"aircraft_type": "B738"}' WHERE flight_id <> 'W2'`)
	b.exec(t, `INSERT INTO aircraft_types (aircraft_type, facts) VALUES ('B738', '{"noise_class": "A"}')`)
	saved := func() string {
		return get[string](t, b, `SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM tariffs t`) +
			get[string](t, b, `SELECT md5(string_agg(f::text, ',' ORDER BY flight_id)) FROM billed_flights f`) +
			get[string](t, b, `SELECT concat_ws(' ', (SELECT version FROM price_book), (SELECT count(*) FROM charges), (SELECT count(*) FROM invoices))`)
	}
	was := saved()

	for range 2 {
		result, tried, err := imports.TryTariffs(t.Context(), b.clerk, "new.csv", strings.NewReader(triedTariffs))
		require.NoError(t, err)
		require.Equal(t, [3]int64{4, 3, 1}, [3]int64{result.Rows, result.Added, result.Changed})
		trial := jobs.Trial{Pool: b.pool, Books: db.NewPriceBooks(b.pool), Tried: tried, Bounds: billing.DefaultBounds}
		var done int64
		found, err := trial.Compare(t.Context(), march(4), march(8), func(n int64) { done = n })
		require.NoError(t, err)
		require.EqualValues(t, 2503, done)
		require.EqualValues(t, 2503, found.Flights)
		require.EqualValues(t, 2503, found.Changed)

		lines := map[string][2]int64{}
		sums := map[string][4]string{}
		for _, l := range found.Lines {
			key := l.Customer + " " + l.Code + " " + l.Currency
			lines[key] = [2]int64{l.Flights, l.Changed}
			text := func(d decimal.Decimal) string { return d.StringFixed(2) }
			sums[key] = [4]string{text(l.Before), text(l.After), text(l.TaxBefore), text(l.TaxAfter)}
		}
		require.Equal(t, map[string][2]int64{
			"WEEK RUNWAY EUR": {2, 2}, "WEEK NOISE EUR": {1, 1}, "EACH RUNWAY EUR": {1, 1}, "MON RUNWAY EUR": {2500, 2500}, "MON NOISE EUR": {2499, 2499},
			"MON NOISY EUR": {1, 1},
		}, lines)
		require.Equal(t, map[string][4]string{
			"WEEK RUNWAY EUR": {"284.00", "213.00", "56.80", "42.60"}, // one is refused
			"WEEK NOISE EUR":  {"0.00", "5.00", "0.00", "0.00"},
			"EACH RUNWAY EUR": {"142.00", "0.00", "28.40", "0.00"},
			"MON RUNWAY EUR":  {"355000.00", "532500.00", "71000.00", "106500.00"},
			"MON NOISE EUR":   {"0.00", "12495.00", "0.00", "0.00"},
			"MON NOISY EUR":   {"0.00", "9.00", "0.00", "0.00"},
		}, sums)

		require.Len(t, found.Refused, 2)
		for i, what := range []string{"flight E1 has no number of passengers (passengers)", "flight W2 has no noise_class"} {
			require.Equal(t, billing.ReasonMissingFact, found.Refused[i].Reason)
			require.Equal(t, [2]int64{0, 1}, [2]int64{found.Refused[i].Before, found.Refused[i].After})
			require.Contains(t, found.Refused[i].Example, what)
		}
		require.Equal(t, was, saved())
	}
}

// What an import would refuse is refused.
func TestTryTariffsThatCannotBe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, _, err := imports.TryTariffs(t.Context(), b.clerk, "new.csv", strings.NewReader(strings.Replace(triedTariffs, "per_passenger", "per_pasenger", 1)))
	require.ErrorContains(t, err, "new.csv: line 5: ")
	_, _, err = imports.TryTariffs(t.Context(), b.clerk, "new.csv", strings.NewReader(strings.Replace(triedTariffs, "2020-01-01,", "2021-01-01,", 1)))
	require.ErrorContains(t, err, "overlap")
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM tariffs`))
}
