package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// moved bills a flight: departed and landed are the time of day; what is empty is not known.
func (b *testBundle) moved(t *testing.T, id, registration, movement, departed, landed string) {
	t.Helper()
	b.exec(t, `INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at)
		VALUES ($1, 1, '2026-03-04', jsonb_strip_nulls(jsonb_build_object('flight_id', $1::text, 'registration', nullif($2, ''), 'movement', nullif($3, ''),
			'departed_at', '2026-03-04T' || nullif($4, '') || 'Z', 'landed_at', '2026-03-04T' || nullif($5, '') || 'Z')), now())`, id, registration, movement, departed, landed)
}

func (b *testBundle) overlaps(t *testing.T) string {
	t.Helper()
	return get[string](t, b, `SELECT coalesce(string_agg(flight_id || ' ' || other_flight_id || ' ' || overlap, ', ' ORDER BY flight_id), '') FROM overlapping_flights`)
}

func TestOverlappingFlights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	flown := func(id, registration, departed, landed string) { b.moved(t, id, registration, "", departed, landed) }
	// A day of one aircraft: landed and off again in the same minute, and a circuit.
	flown("A1", "EI-ABC", "06:00:00", "08:00:00")
	flown("A2", "EI-ABC", "08:00:00", "10:00:20")
	flown("A3", "EI-ABC", "10:00:40", "10:05:00")
	flown("A4", "", "06:00:00", "08:00:00")
	flown("A5", "", "06:00:00", "08:00:00")
	flown("A6", "EI-XYZ", "06:00:00", "08:00:00")
	flown("A7", "EI-ABC", "", "12:00:00")
	flown("A8", "EI-ABC", "", "12:01:00")
	require.Empty(t, b.overlaps(t))

	flown("B1", "eiabc", "07:59:59", "07:59:59.5")    // while A1 was in the air
	flown("B2", "EI ABC", "10:01:00", "10:05:59.999") // in the same minute as A3
	flown("B3", "EI-ABC", "", "09:00:00")             // while A2 was in the air
	flown("B4", "EI-ABC", "", "12:00:30")             // in the same minute as A7
	flown("B5", "EI-ABC", "05:00:00", "06:00:00.001") // landed after A1 had taken off
	flown("C1", "EI-LNG", "00:00:00", "20:00:00")
	flown("C2", "EI-LNG", "01:00:00", "02:00:00")
	flown("C3", "EI-LNG", "03:00:00", "04:00:00") // while C1 was, though not C2
	require.Equal(t, "A1 B5 in_the_air, B1 A1 in_the_air, B2 A3 landed_in_the_same_minute, B3 A2 in_the_air, B4 A7 landed_in_the_same_minute, "+
		"C2 C1 in_the_air, C3 C1 in_the_air", b.overlaps(t))
	require.Equal(t, "EI ABC 2026-03-04 10:01:00+00 2026-03-04 10:00:40+00", get[string](t, b,
		`SELECT concat_ws(' ', registration, departed_at, other_departed_at) FROM overlapping_flights WHERE flight_id = 'B2'`))

	// One whose invoice was voided is no longer charged.
	b.exec(t, `INSERT INTO invoices (customer_id, kind, currency, reason) VALUES (1, 'credit_note', 'EUR', 'flown once')`)
	b.exec(t, `INSERT INTO voided_flights (flight_id, credit_note_id, currency, rebill) SELECT f.id, i.id, 'EUR', false FROM invoices i, unnest('{C1,B1,B2}'::text[]) AS f (id)`)
	require.Equal(t, "A1 B5 in_the_air, B3 A2 in_the_air, B4 A7 landed_in_the_same_minute", b.overlaps(t))
	b.exec(t, `UPDATE voided_flights SET rebilled_at = now() WHERE flight_id = 'B2'`)
	require.Contains(t, b.overlaps(t), "B2 A3")
}

// A departure and an arrival are the ends of one flight, each billed; two departures are
// not, nor a whole flight beside one of its ends.
func TestOverlappingMovements(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.moved(t, "A1", "EI-ABC", "arrival", "06:00:00", "08:00:00")
	b.moved(t, "D1", "EI-ABC", "departure", "06:00:00", "08:00:00")
	b.moved(t, "D2", "EI-ABC", "departure", "09:00:00", "")
	b.moved(t, "A2", "EI-ABC", "arrival", "", "10:00:00")
	b.moved(t, "L3", "EI-ABC", "", "11:00:00", "12:00:00")
	b.moved(t, "L4", "EI-ONE", "", "06:00:00", "08:00:00")
	b.moved(t, "D5", "EI-TWO", "departure", "06:00:00", "")
	require.Empty(t, b.overlaps(t))

	b.moved(t, "D6", "EI-ABC", "departure", "09:00:30", "") // in the same minute as D2
	b.moved(t, "D7", "EI-ABC", "departure", "07:00:00", "") // while D1 was in the air
	b.moved(t, "A8", "EI-ABC", "arrival", "", "11:30:00")   // while L3 was
	b.moved(t, "D9", "EI-ABC", "departure", "11:00:10", "") // as L3 took off
	b.moved(t, "L5", "EI-ONE", "", "07:00:00", "08:00:30")  // twice the same, listed once
	b.moved(t, "L6", "EI-TWO", "", "06:00:10", "08:00:00")  // as D5 took off
	require.Equal(t, "A8 L3 in_the_air, D6 D2 departed_in_the_same_minute, D7 D1 in_the_air, D9 L3 departed_in_the_same_minute, "+
		"L5 L4 landed_in_the_same_minute, L6 D5 departed_in_the_same_minute", b.overlaps(t))
}
