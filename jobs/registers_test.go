package jobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/jobs"
)

const (
	declared = `SELECT coalesce(string_agg(key || '=' || (value ->> 'value') || ' (' || (value ->> 'from') || ')', ', ' ORDER BY key), '') FROM billed_flights, jsonb_each(declared) WHERE flight_id = $1`
	// standing is what a flight comes to, of its lines that no other takes back.
	standing = `SELECT coalesce(string_agg(concat_ws(' ', code, quantity, amount), ', ' ORDER BY code), '') FROM (
		SELECT code, sum(quantity) AS quantity, sum(amount) AS amount FROM charges WHERE flight_id = $1 GROUP BY code, unit_rate, tariff_id HAVING sum(amount) <> 0) AS s`
)

// An airport bills the ends that it knows. A departure is billed as it departs, by its
// day, whatever becomes of it; an arrival, and a whole leg, once it has landed.
func TestMovements(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE tariffs SET airport = 'EIDW'`)
	b.exec(t, `INSERT INTO tariffs (code, basis, airport, applies_to, unit_rate, currency, valid_from) VALUES
		('LANDING', 'per_flight', 'EIDW', 'arrival', 30, 'EUR', '2020-01-01'), ('SECURITY', 'per_flight', 'EIDW', 'any', 5, 'EUR', '2020-01-01')`)
	b.exec(t, `INSERT INTO customer_aircraft SELECT 'EI-ABC', id, '2026-03-04'::date FROM customers WHERE code = 'MON'`)
	const insert = `INSERT INTO flights (flight_id, movement, operator, registration, mtow_kg, origin, destination, departed_at, landed_at) VALUES ($1, $2, 'WEEK', 'EI-ABC', 70500, $3, $4, $5, $6)`
	b.exec(t, insert, "D1", "departure", "EIDW", "EGLL", "2026-03-03 23:50Z", nil)
	b.exec(t, insert, "D2", "departure", "EIDW", "EGLL", "2026-03-04 11:00Z", "2026-03-05 12:00Z") // a forecast
	b.exec(t, insert, "D3", "departure", "EIDW", "EGLL", nil, "2026-03-04 11:00Z")
	b.exec(t, insert, "A1", "arrival", "EGLL", "EIDW", nil, "2026-03-04 10:00Z")
	b.exec(t, insert, "A2", "arrival", "EGLL", "EIDW", "2026-03-03 23:00Z", nil)
	b.exec(t, insert, "L1", nil, "EIDW", "EIDW", "2026-03-04 08:00Z", "2026-03-04 09:00Z")
	b.exec(t, insert, "A3", "arrival", "EIDW", "EIDW", "2026-03-04 06:00Z", "2026-03-04 07:00Z")
	b.exec(t, insert, "D4", "departure", "EIDW", "EIDW", "2026-03-04 06:00Z", "2026-03-04 07:00Z")
	b.enqueue(t, "D1", "D2", "D3", "A1", "A2", "L1", "A3", "D4")
	b.start(t)
	b.waitFor(t, "two are waited for", 2, `SELECT count(*) FROM flight_processing_queue WHERE reason = 'not_landed'`)
	b.waitFor(t, "the rest is billed", 6, `SELECT count(*) FROM billed_flights`)
	require.Equal(t, "A2, D3", get[string](t, b, `SELECT string_agg(flight_id, ', ' ORDER BY flight_id) FROM flight_processing_queue`))
	require.Contains(t, get[string](t, b, `SELECT details FROM flight_processing_queue WHERE flight_id = 'D3'`), "has not departed yet; it is billed once the flight source has its departure time (departed_at)")
	for id, want := range map[string]string{
		"D1": "RUNWAY 71 142.00, SECURITY 1 5.00", "D2": "RUNWAY 71 142.00, SECURITY 1 5.00", "A1": "LANDING 1 30.00, SECURITY 1 5.00",
		"L1": "LANDING 1 30.00, RUNWAY 71 142.00, SECURITY 1 5.00", "A3": "LANDING 1 30.00, SECURITY 1 5.00", "D4": "RUNWAY 71 142.00, SECURITY 1 5.00",
	} {
		require.Equal(t, want, get[string](t, b, standing, id), id)
	}
	// D1 took off the day before the aircraft was MON's.
	require.Equal(t, "A1 2026-03-04 MON, A3 2026-03-04 MON, D1 2026-03-03 WEEK, D2 2026-03-04 MON, D4 2026-03-04 MON, L1 2026-03-04 MON", get[string](t, b,
		`SELECT string_agg(flight_id || ' ' || landed_on || ' ' || code, ', ' ORDER BY flight_id) FROM billed_flights JOIN customers ON id = customer_id`))
	require.Equal(t, 1, get[int](t, b, `SELECT count(DISTINCT flown_on) FROM charges WHERE flight_id = 'D1' AND flown_on = '2026-03-03'`))
	require.Empty(t, get[string](t, b, `SELECT coalesce(string_agg(flight_id || ' ' || other_flight_id, ', '), '') FROM overlapping_flights`), "A3 and D4 are the ends of one flight")
}

// The register of the day counts: the mass that was declared goes before the source's,
// and the ledger says where each fact came from.
func TestRegistersOfTheDay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE tariffs SET "when" = 'noise_class=B; international=yes'`)
	b.exec(t, `INSERT INTO aircraft (registration, valid_to, aircraft_type, mtow_kg, facts) VALUES ('EI-ABC', '2026-03-04', 'A320', 73500, '{"noise_class": "B"}')`)
	b.exec(t, `INSERT INTO aircraft (registration, valid_from, aircraft_type, mtow_kg) VALUES ('EI-ABC', '2026-03-04', 'A320', 75000)`)
	b.exec(t, `INSERT INTO aircraft_types (aircraft_type, facts) VALUES ('A320', '{"noise_class": "B", "seats": 180}')`)
	b.flight(t, "W1", "WEEK", landed(3, 9))
	b.flight(t, "W2", "WEEK", landed(4, 9))
	b.flight(t, "W3", "WEEK", landed(4, 10))
	b.exec(t, `UPDATE flights SET registration = 'eiabc' WHERE flight_id IN ('W1', 'W2')`)
	b.exec(t, `UPDATE flights SET registration = 'EI-NEW', facts = '{"noise_class": "B", "origin_country": "XX"}' WHERE flight_id = 'W3'`)
	b.enqueue(t, "W1", "W2", "W3")
	b.start(t)
	b.emptyQueue(t)
	require.Equal(t, "RUNWAY 74 148.00; RUNWAY 75 150.00; RUNWAY 71 142.00", get[string](t, b, standing, "W1")+"; "+get[string](t, b, standing, "W2")+"; "+get[string](t, b, standing, "W3"))
	const airports = ", noise_class=B (aircraft EI-ABC), origin_country=IE (airport EIDW), seats=180 (aircraft type A320)"
	require.Equal(t, "aircraft_type=A320 (aircraft EI-ABC), destination_country=GB (airport EGLL), mtow_kg=73500 (aircraft EI-ABC)"+airports, get[string](t, b, declared, "W1"))
	require.Equal(t, "aircraft_type=A320 (aircraft EI-ABC), destination_country=GB (airport EGLL), mtow_kg=75000 (aircraft EI-ABC), noise_class=B (aircraft type A320), origin_country=IE (airport EIDW), seats=180 (aircraft type A320)",
		get[string](t, b, declared, "W2"))
	require.Equal(t, "destination_country=GB (airport EGLL)", get[string](t, b, declared, "W3"), "the source's own go first")
	require.Equal(t, 70500, get[int](t, b, `SELECT (facts ->> 'mtow_kg')::int FROM billed_flights WHERE flight_id = 'W1'`), "what the source said")
	require.Equal(t, "B", get[string](t, b, `SELECT facts #>> '{facts,noise_class}' FROM billed_flights WHERE flight_id = 'W3'`))
	require.Contains(t, get[string](t, b, `SELECT detail::text FROM charges WHERE flight_id = 'W1'`), "aircraft EI-ABC")
}

// With no fact put first, the source's mass counts where it has one.
func TestRegisterFirstOfNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO aircraft (registration, mtow_kg) VALUES ('EI-ABC', 73500)`)
	b.flight(t, "W1", "WEEK", landed(4, 9))
	b.flight(t, "W2", "WEEK", landed(4, 10))
	b.exec(t, `UPDATE flights SET registration = 'EI-ABC', mtow_kg = CASE flight_id WHEN 'W1' THEN 70500 END`)
	b.enqueue(t, "W1", "W2")
	b.start(t, func(c *jobs.Config) { c.RegisterFirst = billing.RegisterFirst{} })
	b.emptyQueue(t)
	require.Equal(t, "RUNWAY 71 142.00; RUNWAY 74 148.00", get[string](t, b, standing, "W1")+"; "+get[string](t, b, standing, "W2"))
}

// LHR and EGLL are one airport, in a tariff and in a flight, in either.
func TestAirportsByEachCode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO tariffs (code, basis, airport, applies_to, unit_rate, currency, valid_from) VALUES
		('A', 'per_flight', 'LHR', 'arrival', 1, 'EUR', '2020-01-01'), ('B', 'per_flight', 'EGLL', 'arrival', 1, 'EUR', '2020-01-01')`)
	b.flight(t, "W1", "WEEK", landed(4, 9))
	b.flight(t, "W2", "WEEK", landed(4, 9))
	b.exec(t, `UPDATE flights SET destination = 'lhr' WHERE flight_id = 'W2'`)
	b.enqueue(t, "W1", "W2")
	b.start(t)
	b.emptyQueue(t)
	require.Equal(t, "A 1 1.00, B 1 1.00, RUNWAY 71 142.00", get[string](t, b, standing, "W1"))
	require.Equal(t, get[string](t, b, standing, "W1"), get[string](t, b, standing, "W2"))
}

// Billed again, a flight keeps the facts of then, the registers' too; corrected, it gets
// those that hold for its date by now. The detail of a line stands on its reversal.
func TestFactsAsKeptAndCorrected(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO tariffs (code, basis, "of", applies_to, unit_rate, currency, valid_from, "when") VALUES ('PAX', 'per_unit', '{pax_departing}', 'departure', 2, 'EUR', '2020-01-01', 'destination_country=GB')`)
	b.exec(t, `INSERT INTO aircraft (registration, mtow_kg, facts) VALUES ('EI-ABC', 73500, '{"pax_departing": 99}')`)
	b.flight(t, "E1", "EACH", landed(4, 9))
	b.exec(t, `UPDATE flights SET registration = 'EI-ABC', facts = '{"pax_departing": "100", "note": "x"}'`)
	b.enqueue(t, "E1")
	b.start(t)
	b.emptyQueue(t)
	const first = "PAX 100 200.00, RUNWAY 74 148.00"
	require.Equal(t, first, get[string](t, b, standing, "E1"))
	require.Empty(t, get[string](t, b, changedFlights))
	b.exec(t, `UPDATE flights SET facts = '{"note": "x", "pax_departing": 100.00, "empty": " - "}'`)
	require.Empty(t, get[string](t, b, changedFlights), "the same, written otherwise")

	// The registers have changed, and so have the flights, which are not read.
	b.exec(t, `UPDATE aircraft SET mtow_kg = 80000; UPDATE airports SET country = 'XX' WHERE code = 'EGLL'`)
	b.exec(t, `UPDATE flights SET facts = '{"pax_departing": 120}', mtow_lb = 160000, off_block_at = departed_at`)
	require.Equal(t, "E1 EACH: mtow_lb, off_block_at, note, pax_departing", get[string](t, b, changedFlights))
	before := get[string](t, b, declared, "E1")
	b.exec(t, `SELECT void_invoice('EACH-000001', 'why', true)`)
	b.emptyQueue(t)
	require.Equal(t, first, get[string](t, b, standing, "E1"))
	require.Equal(t, before, get[string](t, b, declared, "E1"))
	require.Equal(t, 2, get[int](t, b, `SELECT count(*) FROM charges c JOIN charges o ON o.code = c.code AND o.detail = c.detail AND o.amount = -c.amount
		JOIN invoices i ON i.id = c.invoice_id WHERE i.kind = 'credit_note' AND o.origin IS NULL`), "the credit note mirrors each line")
	require.Equal(t, 2, get[int](t, b, `SELECT count(*) FROM charges WHERE origin = 'rebilled' AND detail = (SELECT o.detail FROM charges o WHERE o.code = charges.code AND o.origin IS NULL AND o.amount > 0)`))

	changes, err := b.corrector().CorrectChanged(t.Context(), billing.Date{}, billing.Date{}, func(int64) {})
	require.NoError(t, err)
	require.Empty(t, changes.Refused)
	require.Len(t, changes.Corrected, 1)
	require.Equal(t, "RUNWAY 80 160.00", get[string](t, b, standing, "E1"), "GB no longer")
	require.Equal(t, "destination_country=XX (airport EGLL), mtow_kg=80000 (aircraft EI-ABC), origin_country=IE (airport EIDW)", get[string](t, b, declared, "E1"))
	require.Empty(t, get[string](t, b, changedFlights))
	require.Equal(t, get[string](t, b, `SELECT detail::text FROM charges WHERE origin = 'rebilled' AND code = 'PAX'`),
		get[string](t, b, `SELECT detail::text FROM charges WHERE origin = 'correction' AND code = 'PAX'`), "what is taken back, too")
	lines, changed := b.correct(t, "E1")
	require.Zero(t, lines)
	require.False(t, changed)

	// A register alone is reason enough for one flight.
	b.exec(t, `UPDATE aircraft SET valid_to = '2026-03-04'`)
	lines, changed = b.correct(t, "E1")
	require.Equal(t, 2, lines)
	require.True(t, changed)
	require.Equal(t, "RUNWAY 71 142.00", get[string](t, b, standing, "E1"))
	b.requireSound(t)
}

// A stay that a tariff needs and that is not over is waited for.
func TestStayIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO tariffs (code, basis, unit, applies_to, unit_rate, currency, valid_from) VALUES ('PARKING', 'per_time', 60, 'arrival', 10, 'EUR', '2020-01-01')`)
	b.flight(t, "W1", "WEEK", landed(4, 9))
	b.exec(t, `UPDATE flights SET on_block_at = $1`, landed(4, 9).Add(10*time.Minute))
	b.enqueue(t, "W1")
	b.start(t)
	b.waitFor(t, "it is waited for", 1, `SELECT count(*) FROM flight_processing_queue WHERE reason = 'not_off_block' AND state IN ('scheduled', 'available')`)
	b.exec(t, `UPDATE flights SET off_block_at = $1`, landed(4, 11).Add(11*time.Minute))
	b.enqueue(t, "W1")
	b.exec(t, `UPDATE river_job SET scheduled_at = now(), state = 'available' WHERE state = 'scheduled'`)
	b.emptyQueue(t)
	require.Equal(t, "PARKING 3 30.00, RUNWAY 71 142.00", get[string](t, b, standing, "W1"))
}
