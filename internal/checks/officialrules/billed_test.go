//go:build unix

package officialrules_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/document"
	"github.com/flightbill/flightbill/jobs"
)

func TestMain(m *testing.M) { dbtest.Main(m, dbtest.Migrate) }

// An airport in Germany; its tax is declared in Swiss francs, so that there is a rate. WEEK is German and billed by week,
// EACH French, by flight, and taxed by itself.
const setUp = `
INSERT INTO issuers (since, name, street, city, postcode, country, vat_id, legal_id, electronic_address, electronic_address_scheme,
		contact_name, contact_phone, contact_email, iban, bic, tax_currency, language, note)
	VALUES ('2026-01-01', 'Flughafen Süd GmbH', 'Flughafenstraße 1', 'Memmingen', '87766', 'DE', 'DE123456789', 'HRB 12345', 'DE123456789', '9930',
		'Buchhaltung', '+49 8331 00000', 'rechnung@flughafen.example', 'DE89370400440532013000', 'COBADEFFXXX', 'CHF', 'de', 'Vielen Dank.');
INSERT INTO currency_rates SELECT 'EUR', 'CHF', day, 0.9371 FROM generate_series(timestamp '2026-03-01', '2026-03-31', '1 day') AS day;
INSERT INTO customers (code, name, billing_frequency, week_ends_on, payment_terms_days, legal_name, street, city, postcode, country, vat_id,
		electronic_address, electronic_address_scheme, buyer_reference) VALUES
	('WEEK', 'Weekly Air', 'weekly', 7, 30, 'Luftreederei Nord GmbH & Co. KG', 'Hafen 2', 'Kiel', '24103', 'DE', 'DE987654321', 'DE987654321', '9930', 'PO 7731'),
	('EACH', 'Single Air', 'per_flight', NULL, 14, NULL, 'Route 5', 'Lannion', '22300', 'FR', 'FR40303265045', 'FR40303265045', '9957', NULL);
INSERT INTO customer_operators SELECT code, id FROM customers;
INSERT INTO tariffs (code, description, basis, applies_to, unit_rate, minimum, currency, tax_rate, tax_category, tax_reason, valid_from) VALUES
	('RUNWAY', 'Runway use', 'per_tonne', 'departure', 2.013, 50.00, 'EUR', 0.19, NULL, NULL, '2020-01-01'),
	('LIGHTS', 'Lights', 'per_flight', 'departure', 12.33, NULL, 'EUR', 0.07, NULL, NULL, '2020-01-01'),
	('NAV', 'En-route charge', 'route', 'any', 58.127, NULL, 'EUR', 0, 'exempt', 'VATEX-EU-148-G', '2020-01-01'),
	('FINE', 'Noise penalty', 'per_flight', 'departure', 30, NULL, 'EUR', 0, 'outside', NULL, '2020-01-01');
INSERT INTO tariffs (code, description, basis, applies_to, customer_id, unit_rate, currency, tax_rate, tax_category, valid_from)
	SELECT code, 'of EACH', basis, applies_to, (SELECT id FROM customers WHERE code = 'EACH'), unit_rate, 'EUR', 0, 'reverse_charge', valid_from
	FROM tariffs WHERE tax_rate > 0;`

// billed bills flights as flightbill does, and returns all that was issued: for a period and for a flight, with late
// flights and corrections, below nothing, and taken back.
func billed(t *testing.T) map[string]*document.Invoice {
	t.Helper()
	pool, err := db.Open(t.Context(), dbtest.URL(t), db.Options{SearchPath: db.Schema, MaxConns: 20})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	b := &biller{pool: pool, logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) // a Wednesday
	b.now = func() time.Time { return now }
	b.exec(t, setUp)
	_, err = db.EnsureSettings(t.Context(), pool, db.Settings{BillingStart: billing.NewDate(2026, 3, 3)}, now)
	require.NoError(t, err)

	b.bill(t, "WEEK", "W1", "W2", "W3")
	b.bill(t, "EACH", "E1")
	now = now.AddDate(0, 0, 7)
	b.run(t, billing.NewDate(2026, 3, 8))

	// W4 is late, W1 turns out to be lighter.
	b.bill(t, "WEEK", "W4")
	b.exec(t, `UPDATE flights SET mtow_kg = 30000 WHERE flight_id = 'W1'`)
	b.correct(t, "W1")
	now = now.AddDate(0, 0, 7)
	b.run(t, billing.NewDate(2026, 3, 15))

	// The third week has nothing but a correction: it is a credit note.
	b.exec(t, `UPDATE flights SET mtow_kg = 30000 WHERE flight_id = 'W2'`)
	b.correct(t, "W2")
	now = now.AddDate(0, 0, 7)
	b.run(t, billing.NewDate(2026, 3, 22))

	b.exec(t, `SELECT void_invoice('EACH-000001', 'Billed to the wrong operator', true)`)

	rows, err := pool.Query(t.Context(), `SELECT number FROM invoices WHERE number IS NOT NULL`)
	require.NoError(t, err)
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	invoices := map[string]*document.Invoice{}
	for _, number := range numbers {
		invoices[number], err = db.ReadDocument(t.Context(), pool, number)
		require.NoError(t, err)
	}
	return invoices
}

type biller struct {
	pool   *pgxpool.Pool
	now    func() time.Time
	logger *slog.Logger
}

func (b *biller) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := b.pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// bill bills flights of 70.5 t, all landed on the fourth of March.
func (b *biller) bill(t *testing.T, operator string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		b.exec(t, `INSERT INTO flights (flight_id, operator, registration, mtow_kg, origin, destination, departed_at, landed_at, distance_km)
			VALUES ($1, $2, 'D-ABCD', 70500, 'EDJA', 'EGLL', '2026-03-04 08:00Z', '2026-03-04 09:30Z', 949)`, id, operator)
		b.exec(t, `INSERT INTO flight_processing_queue (flight_id) VALUES ($1)`, id)
	}
	service, err := jobs.New(jobs.Config{
		Pool: b.pool, Source: db.NewFlights(b.pool), Workers: 2, FlightWait: 24 * time.Hour, Schedules: jobs.NoSchedules,
		Now: b.now, Stats: jobs.NewStats(), Logger: b.logger,
	})
	require.NoError(t, err)
	require.NoError(t, service.Start(context.Background()))
	defer func() { require.NoError(t, service.Stop(context.Background())) }()
	require.Eventually(t, func() bool {
		var left int
		require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT count(*) FROM flight_processing_queue`).Scan(&left))
		return left == 0
	}, time.Minute, 10*time.Millisecond)
}

func (b *biller) run(t *testing.T, day billing.Date) {
	t.Helper()
	c := &jobs.Consolidator{Pool: b.pool, Books: db.NewPriceBooks(b.pool), Now: b.now, Logger: b.logger}
	_, err := c.Run(t.Context(), day, db.ByHand, nil)
	require.NoError(t, err)
}

func (b *biller) correct(t *testing.T, id string) {
	t.Helper()
	c := &jobs.Corrector{Pool: b.pool, Books: db.NewPriceBooks(b.pool), Source: db.NewFlights(b.pool), Now: b.now}
	_, err := c.Correct(t.Context(), id)
	require.NoError(t, err)
}
