package jobs

import (
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
	"github.com/flightbill/flightbill/db/dbtest"
)

// What a save takes goes through River where it is not a flight to be billed.
func TestTakenJobsForRiver(t *testing.T) {
	t.Parallel()
	w := &IngestFlight{} // that would bill nothing without a panic
	for _, row := range []*rivertype.JobRow{
		{Kind: "another_kind", EncodedArgs: []byte(`{"flight_id": "F1"}`)},
		{Kind: "ingest_flight", EncodedArgs: []byte(`{"flight_id": "?"}`)},
		{Kind: "ingest_flight", EncodedArgs: []byte(`{"flight_id": 1}`)},
		{Kind: "ingest_flight", EncodedArgs: []byte(`{"flight_id": "F1"}`), Metadata: []byte(`{"billed_before": true}`)},
	} {
		require.False(t, w.billTaken(t.Context(), row), "%s %s", row.Kind, row.EncodedArgs)
	}
}

func TestWantedSince(t *testing.T) {
	t.Parallel()
	made := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for due, want := range map[time.Time]time.Time{made.Add(-time.Hour): made, made.Add(time.Hour): made.Add(time.Hour)} {
		got := wantedSince(&rivertype.JobRow{CreatedAt: made, ScheduledAt: due})
		require.Equal(t, want, got, "due %s", due)
	}
}

// The save of a flight that is billed already completes its job, and may have taken
// another in its place: River must hear that it can have it.
func TestAlreadyBilledFreesItsSlot(t *testing.T) {
	t.Parallel()
	pool, err := db.Open(t.Context(), dbtest.URL(t), db.Options{SearchPath: db.Schema})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	now := func() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }
	_, err = db.EnsureSettings(t.Context(), pool, db.Settings{BillingStart: billing.NewDate(2026, 3, 3)}, now())
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		INSERT INTO customers (code, name, billing_frequency) VALUES ('MON', 'Monthly Air', 'monthly');
		INSERT INTO customer_operators SELECT code, id FROM customers;
		INSERT INTO tariffs (code, basis, applies_to, unit_rate, currency, valid_from) VALUES ('RUNWAY', 'per_flight', 'any', 20, 'EUR', '2020-01-01');
		INSERT INTO flights (flight_id, operator, origin, destination, departed_at, landed_at)
		VALUES ('F1', 'MON', 'EIDW', 'EGLL', '2026-03-04 08:00Z', '2026-03-04 09:00Z');
		INSERT INTO river_job (kind, args, queue, max_attempts, state, attempt, attempted_at, attempted_by)
		SELECT 'ingest_flight', '{"flight_id": "F1"}', 'flights', 25, 'running', 1, now(), '{me}' FROM generate_series(1, 2)`)
	require.NoError(t, err)

	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	source := db.NewFlights(pool)
	freed := 0
	w := &IngestFlight{
		Pool: pool, Books: db.NewPriceBooks(pool), Saver: db.NewSaver(pool, 1, nil), Source: source,
		Gate: newSourceGate(source, dbsqlc.New(pool).QueueCountReady, logger), Saved: func(int64) {}, Freed: func() { freed++ },
		Hand: newHand(pool, func() {}, logger), Now: now, Stats: NewStats(), Logger: logger,
	}
	work := func(id int64) {
		row := &rivertype.JobRow{ID: id, Kind: "ingest_flight", Attempt: 1, AttemptedBy: []string{"me"}, EncodedArgs: []byte(`{"flight_id": "F1"}`)}
		job := &river.Job[IngestFlightArgs]{JobRow: row}
		require.NoError(t, json.Unmarshal(row.EncodedArgs, &job.Args))
		require.NoError(t, w.Work(t.Context(), job))
	}
	work(1)
	require.Zero(t, freed, "nothing is known to wait")
	work(2)
	require.Equal(t, 1, freed)
	var completed int
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM river_job WHERE state = 'completed'`).Scan(&completed))
	require.Equal(t, 2, completed)
}
