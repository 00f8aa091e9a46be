package jobs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/jobs"
)

const changedFlights = `SELECT coalesce(string_agg(flight_id || ' ' || customer || ': ' || changed, '; ' ORDER BY flight_id), '') FROM changed_flights`

// Facts are corrected in the source after flights were billed: the view shows which, and
// all are corrected at once. What one of them has against it keeps back no other.
func TestCorrectChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, id := range []string{"W1", "W2", "W3", "W4", "W5", "W6"} {
		b.billed(t, id, "WEEK", landed(4, 9))
	}
	b.billed(t, "W7", "WEEK", landed(3, 9))
	b.run(t, march(8))
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.exec(t, `SELECT void_invoice('EACH-000001', 'not ours')`)
	require.Empty(t, get[string](t, b, changedFlights))
	b.exec(t, `ALTER TABLE flights ADD COLUMN remark text`)
	b.exec(t, `UPDATE flights SET distance_km = 449.00, callsign = '', remark = 'somebody else''s'`)
	require.Empty(t, get[string](t, b, changedFlights), "the same, written otherwise")

	b.exec(t, `UPDATE flights SET mtow_kg = 80000 WHERE flight_id IN ('W1', 'W7', 'E1')`)
	b.exec(t, `UPDATE flights SET callsign = 'WK2', landed_at = landed_at + interval '1 minute' WHERE flight_id = 'W2'`)
	b.exec(t, `UPDATE flights SET mtow_kg = -1 WHERE flight_id = 'W3'`)
	b.exec(t, `UPDATE flights SET landed_at = NULL WHERE flight_id = 'W4'`)
	b.exec(t, `DELETE FROM flights WHERE flight_id = 'W5'`)
	require.Equal(t, "W1 WEEK: mtow_kg; W2 WEEK: callsign, landed_at; W3 WEEK: mtow_kg; W4 WEEK: landed_at; W7 WEEK: mtow_kg", get[string](t, b, changedFlights))

	var compared int64
	correct := func(from, to billing.Date) jobs.Changes {
		changes, err := b.corrector().CorrectChanged(t.Context(), from, to, func(n int64) { compared = n })
		require.NoError(t, err)
		return changes
	}
	changes := correct(march(4), march(5))
	require.EqualValues(t, 6, compared)
	require.EqualValues(t, 5, changes.Compared)
	require.EqualValues(t, 1, changes.Gone)
	require.Len(t, changes.Corrected, 2)
	require.Equal(t, "W1", changes.Corrected[0].FlightID)
	require.Len(t, changes.Corrected[0].Lines, 2)
	require.Equal(t, "W2", changes.Corrected[1].FlightID)
	require.Empty(t, changes.Corrected[1].Lines)
	require.Len(t, changes.Refused, 2)
	require.ErrorContains(t, changes.Refused[0], "flight W3 has a maximum take-off mass (mtow_kg) of -1 kg")
	require.ErrorContains(t, changes.Refused[1], "flight W4 has not landed yet")
	require.Equal(t, "W3 WEEK: mtow_kg; W4 WEEK: landed_at; W7 WEEK: mtow_kg", get[string](t, b, changedFlights))

	changes = correct(billing.Date{}, march(3))
	require.Len(t, changes.Corrected, 1)
	require.Equal(t, "W7", changes.Corrected[0].FlightID)
	changes = correct(billing.Date{}, billing.Date{})
	require.EqualValues(t, 6, changes.Compared)
	require.Empty(t, changes.Corrected, "once")
	b.requireSound(t)
}

// NA as a country is Namibia, and elsewhere nothing.
func TestCorrectChangedCountry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.exec(t, `UPDATE flights SET facts = '{"origin_country": "NA", "stand": "NA"}'`)
	require.Equal(t, "W1 WEEK: origin_country", get[string](t, b, changedFlights))
	changes, err := b.corrector().CorrectChanged(t.Context(), billing.Date{}, billing.Date{}, func(int64) {})
	require.NoError(t, err)
	require.Len(t, changes.Corrected, 1)
	require.Empty(t, get[string](t, b, changedFlights))
	require.JSONEq(t, `{"origin_country": "NA"}`, get[string](t, b, `SELECT facts ->> 'facts' FROM billed_flights`))
}
