package jobs_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/jobs"
)

// testBundle is a database of the test's own, with four customers and two
// tariffs, and a clock that the test sets.
type testBundle struct {
	pool   *pgxpool.Pool // with the rights of flightbill_server: what all of flightbill's code gets
	owner  *pgxpool.Pool // of the tables: what the test does itself
	clerk  *pgxpool.Pool // with the rights of flightbill_accountant
	url    string        // the owner's
	clock  *testClock
	stats  *jobs.Stats
	logger *slog.Logger
}

type testClock struct{ now atomic.Pointer[time.Time] }

func (c *testClock) Now() time.Time { return *c.now.Load() }

func (c *testClock) Set(t time.Time) { c.now.Store(&t) }

// Customers: WEEK weekly to Sunday, MON monthly, EACH per flight, HELD per
// flight and on hold; each flies under its own code. Every departure costs
// 2.00 EUR a tonne or part of one, 20 % tax, at least 10.00.
const testCustomers = `
INSERT INTO customers (code, name, billing_frequency, week_ends_on, payment_terms_days, billing_hold) VALUES
    ('WEEK', 'Weekly Air', 'weekly', 7, 30, false), ('MON', 'Monthly Air', 'monthly', NULL, 30, false),
    ('EACH', 'Single Air', 'per_flight', NULL, 14, false), ('HELD', 'Held Air', 'per_flight', NULL, 14, true);
INSERT INTO customer_operators SELECT code, id FROM customers;
INSERT INTO tariffs (code, description, basis, airport, applies_to, unit_rate, minimum, currency, tax_rate, valid_from)
VALUES ('RUNWAY', 'Runway use', 'per_tonne', NULL, 'departure', 2.00, 10.00, 'EUR', 0.20, '2020-01-01');`

func setup(t *testing.T) *testBundle {
	t.Helper()
	b := &testBundle{url: dbtest.URL(t), clock: &testClock{}, stats: jobs.NewStats(), logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	b.owner = jobs.OpenPool(t, b.url)
	b.pool = jobs.OpenPool(t, dbtest.As(t, b.url, "flightbill_server"))
	b.clerk = jobs.OpenPool(t, dbtest.As(t, b.url, "flightbill_accountant"))
	b.exec(t, testCustomers)

	// A Wednesday; the first run date is the day before.
	b.clock.Set(landed(4, 12))
	_, err := db.EnsureSettings(t.Context(), b.pool, db.Settings{BillingStart: billing.NewDate(2026, 3, 3)}, b.clock.Now())
	require.NoError(t, err)
	return b
}

// service makes a service, and does not start it.
func (b *testBundle) service(t *testing.T, change ...func(*jobs.Config)) *jobs.Service {
	t.Helper()
	config := jobs.Config{
		Pool: b.pool, Source: db.NewFlights(b.pool), Workers: 5, FlightWait: 24 * time.Hour, Schedules: jobs.NoSchedules,
		Now: b.clock.Now, Stats: b.stats, Logger: b.logger,
	}
	for _, c := range change {
		c(&config)
	}
	service, err := jobs.New(config)
	require.NoError(t, err)
	return service
}

// start runs a service until the test ends.
func (b *testBundle) start(t *testing.T, change ...func(*jobs.Config)) *jobs.Service {
	t.Helper()
	service := b.service(t, change...)
	require.NoError(t, service.Start(context.Background()))
	t.Cleanup(func() { require.NoError(t, service.Stop(context.Background())) })
	return service
}

func (b *testBundle) consolidator() *jobs.Consolidator {
	return &jobs.Consolidator{Pool: b.pool, Books: db.NewPriceBooks(b.pool), Now: b.clock.Now, Logger: b.logger}
}

// flight puts a landed flight of 70.5 t in the source.
func (b *testBundle) flight(t *testing.T, id, operator string, landed time.Time) {
	t.Helper()
	b.exec(t, `INSERT INTO flights (flight_id, operator, mtow_kg, origin, destination, departed_at, landed_at, distance_km)
		VALUES ($1, $2, 70500, 'EIDW', 'EGLL', $3, $4, 449)`, id, operator, landed.Add(-time.Hour), landed)
}

func (b *testBundle) enqueue(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		b.exec(t, `INSERT INTO flight_processing_queue (flight_id) VALUES ($1)`, id)
	}
}

func (b *testBundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := b.owner.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// get returns the one value that a query has.
func get[T any](t *testing.T, b *testBundle, sql string, args ...any) T {
	t.Helper()
	var value T
	require.NoError(t, b.owner.QueryRow(t.Context(), sql, args...).Scan(&value))
	return value
}

// waitFor waits until a query has a value.
func (b *testBundle) waitFor(t *testing.T, what string, value int, sql string, args ...any) {
	t.Helper()
	eventually(t, what, func() bool { return get[int](t, b, sql, args...) == value })
}

// eventually waits for what other goroutines bring about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 30*time.Second, 10*time.Millisecond, what)
}
