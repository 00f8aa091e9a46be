package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m, dbtest.Migrate) }

// What the others save by still fits flightbill's tables: a flight's charges are on its
// customer's draft, once.
func TestPeersSave(t *testing.T) {
	t.Parallel()
	pool, err := db.Open(t.Context(), dbtest.URL(t), db.Options{SearchPath: db.Schema})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, makeBilling(t.Context(), pool))
	_, err = pool.Exec(t.Context(), compareSQL)
	require.NoError(t, err)
	const bill = `(SELECT flight.id AS flight_id, c.id AS customer_id, date '2026-03-04' AS landed_on, '{}'::jsonb AS facts, date '2026-03-09' AS closes_on,
		ARRAY[1, 2]::bigint[] AS tariff_ids, ARRAY[70, 100]::numeric[] AS quantities, ARRAY[385, 725]::numeric[] AS amounts, ARRAY[77, 145]::numeric[] AS taxes
		FROM flightbill.customers c, (VALUES ($1)) AS flight (id) WHERE c.code = 'AIR1') AS b`
	for range 2 {
		_, err := pool.Exec(t.Context(), `SELECT public.save_by_peer(flight_id, customer_id, landed_on, facts, closes_on, tariff_ids, quantities, amounts, taxes) FROM `+bill, "F1")
		require.NoError(t, err)
		_, err = pool.Exec(t.Context(), `SELECT public.save_many_by_peer(jsonb_agg(b)) FROM `+bill, "F2")
		require.NoError(t, err)
	}
	var saved string
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT string_agg(concat_ws(' ', flight_id, charges, amount, tax, invoices), ', ' ORDER BY flight_id)
		FROM (SELECT c.flight_id, count(*) AS charges, sum(c.amount) AS amount, sum(c.tax_amount) AS tax, min((SELECT count(*) FROM invoices i WHERE i.closes_on = '2026-03-09')) AS invoices
			FROM charges c GROUP BY c.flight_id) AS f`).Scan(&saved))
	require.Equal(t, "F1 2 1110 222 1, F2 2 1110 222 1", saved)
}
