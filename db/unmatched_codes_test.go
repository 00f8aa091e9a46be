package db_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
)

func (b *testBundle) unmatched(t *testing.T) (list []string) {
	t.Helper()
	codes, err := db.UnmatchedCodes(t.Context(), b.pool)
	require.NoError(t, err)
	for _, c := range codes {
		line := fmt.Sprintf("%s %s %s %d", c.FoundIn, c.Kind, c.Code, c.Flights)
		if !c.LastSeen.IsZero() {
			line += " " + c.LastSeen.String()
		}
		list = append(list, line)
	}
	return list
}

// What a billing clerk has to look at, and nothing that is in order.
func TestUnmatchedCodes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Empty(t, b.unmatched(t), "where there are no flights, nothing is missing from them")
	b.exec(t, `DELETE FROM customer_operators WHERE operator <> 'WEEK'; UPDATE billing_settings SET timezone = 'Asia/Tokyo'`)
	flight := func(id string, operator, registration, origin, destination any, landedAt any) {
		t.Helper()
		b.exec(t, `INSERT INTO flights (flight_id, operator, registration, origin, destination, landed_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			id, operator, registration, origin, destination, landedAt)
	}
	flight("F1", "Week", "N1", "JFK", "EGLL", "2026-03-04 15:00Z")
	require.Empty(t, b.unmatched(t), "no tariff names an airport")
	b.exec(t, `UPDATE tariffs SET airport = 'QLH'`)
	require.Equal(t, []string{"flights airport EGLL 1 2026-03-05", "flights airport JFK 1 2026-03-05", "tariffs airport QLH 0"}, b.unmatched(t))
	flight("F2", "WEEK", nil, "qlh", "CDG", nil)
	flight("F3", "WEEK", nil, nil, "EGLL", "2026-03-03 15:00Z")
	require.Equal(t, []string{"flights airport EGLL 2 2026-03-05", "flights airport JFK 1 2026-03-05"}, b.unmatched(t), "CDG is the other end")
	b.exec(t, `INSERT INTO tariffs (code, basis, airport, applies_to, unit_rate, currency, valid_from) VALUES ('X', 'per_flight', 'e-gll', 'any', 1, 'EUR', '2020-01-01')`)
	require.Empty(t, b.unmatched(t))

	b.exec(t, `UPDATE tariffs SET airport = 'LHR' WHERE code = 'X'`)
	require.Empty(t, b.unmatched(t), "LHR and EGLL are one airport")

	// Nobody pays for these; of those that somebody does, aircraft without a customer of
	// their own are in order, and so are operators of aircraft that have one.
	flight("F4", "WEAK", "N2", "QLH", "CDG", "2026-03-04 12:00Z")
	flight("F5", "weak", nil, "QLH", "CDG", "2026-03-05 12:00Z")
	flight("F6", nil, "G-OWM", "QLH", "CDG", "2026-03-05 12:00Z")
	flight("F7", "OTHER", "gown", "QLH", "CDG", "2026-03-05 12:00Z")
	b.exec(t, `INSERT INTO customer_aircraft SELECT r, id FROM customers, unnest(ARRAY['G-OWN', 'G-NEVER']) AS r WHERE code = 'MON'`)
	b.exec(t, `INSERT INTO customer_operators SELECT 'NEVER', id FROM customers WHERE code = 'MON'`)
	require.Equal(t, []string{
		"flights operator WEAK 2 2026-03-05", "flights registration G-OWM 1 2026-03-05", "customers operator NEVER 0", "customers registration G-NEVER 0",
	}, b.unmatched(t))

	// Of a billed flight the facts count that it was billed from: once.
	b.exec(t, `DELETE FROM flights WHERE flight_id IN ('F4', 'F5', 'F6', 'F7')`)
	b.exec(t, `INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at)
		SELECT 'F1', id, '2026-03-04', '{"operator": "WEEK", "registration": "G-NEVER", "origin": "BER", "destination": "MUC"}', now() FROM customers WHERE code = 'WEEK'`)
	require.Equal(t, []string{
		"flights airport BER 1 2026-03-04", "flights airport MUC 1 2026-03-04", "customers operator NEVER 0", "customers registration G-OWN 0",
	}, b.unmatched(t))
	counts, err := db.CountUnmatchedCodes(t.Context(), b.pool)
	require.NoError(t, err)
	require.Equal(t, "[{flights airport 2} {customers operator 1} {customers registration 1}]", fmt.Sprint(counts))
}
