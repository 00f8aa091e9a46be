package db_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

func TestPriceBookVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const version = `SELECT version FROM price_book`
	changes := []struct {
		sql   string
		bumps bool
	}{
		{`UPDATE customers SET billing_frequency = 'monthly', week_ends_on = NULL WHERE code = 'WEEK'`, true},
		{`UPDATE customers SET billing_frequency = 'weekly', week_ends_on = 5 WHERE code = 'WEEK'`, true},
		{`UPDATE customers SET week_ends_on = 6 WHERE code = 'WEEK'`, true},
		{`UPDATE customers SET name = 'Other Air' WHERE code = 'MON'`, true},
		{`INSERT INTO customers (code, name, billing_frequency) VALUES ('NEW', 'New Air', 'monthly')`, true},
		{`DELETE FROM customers WHERE code = 'NEW'`, true},
		{`INSERT INTO customer_operators SELECT 'ABC', id FROM customers WHERE code = 'MON'`, true},
		{`UPDATE customer_operators SET operator = 'ABD' WHERE operator = 'ABC'`, true},
		{`DELETE FROM customer_operators WHERE operator = 'ABD'`, true},
		{`INSERT INTO customer_aircraft SELECT 'EI-ABC', id FROM customers WHERE code = 'MON'`, true},
		{`UPDATE customer_aircraft SET registration = 'EI-ABD'`, true},
		{`DELETE FROM customer_aircraft`, true},
		{`UPDATE tariffs SET unit_rate = 3`, true},
		{`UPDATE tariffs SET valid_to = '2030-01-01'`, true},
		{`UPDATE billing_settings SET timezone = 'Europe/Dublin'`, true},
		{`TRUNCATE customer_aircraft`, true},
		{`TRUNCATE customer_operators`, true},
		{`DELETE FROM tariffs`, true},
		{`TRUNCATE billing_settings`, true},

		{`UPDATE customers SET invoice_seq = invoice_seq + 1`, false},
		{`UPDATE customers SET billing_hold = NOT billing_hold`, false},
		{`UPDATE customers SET payment_terms_days = 7`, false},
		{`INSERT INTO flights (flight_id) VALUES ('F1')`, false},
		{`INSERT INTO billing_runs (closes_on, run_date, due_at, trigger, started_at) VALUES ('2026-03-08', '2026-03-08', now(), 'manual', now())`, false},
	}
	for _, change := range changes {
		before := get[int64](t, b, version)
		b.exec(t, change.sql)
		require.Equal(t, change.bumps, get[int64](t, b, version) > before, change.sql)
	}
}

func TestPriceBooksRefresh(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO tariffs (code, basis, airport, customer_id, applies_to, unit_rate, currency, band_from, band_to, valid_from, valid_to)
		SELECT 'PARK', 'per_tonne', 'EGLL', id, 'arrival', 1.5, 'GBP', 10, 100, '2020-01-01', '2030-01-01' FROM customers WHERE code = 'MON'`)
	books := db.NewPriceBooks(b.pool)
	require.Nil(t, books.Kept())
	book, err := books.Current(t.Context())
	require.NoError(t, err)
	require.Same(t, book, books.Kept())
	require.Equal(t, billing.NewDate(2026, 3, 2), book.Cutoff)
	require.Equal(t, billing.NewDate(2026, 3, 3), book.Calendar.Start)

	codes := func(book *db.PriceBook) (codes []string) {
		for _, tariff := range book.Tariffs.All() {
			codes = append(codes, tariff.Code)
		}
		return codes
	}
	require.Equal(t, []string{"RUNWAY", "PARK"}, codes(book))
	park := book.Tariffs.All()[1]
	require.Equal(t, "1.5 10 100 2020-01-01 2030-01-01 arrival GBP", park.UnitRate.String()+" "+park.BandFrom.String()+" "+park.BandTo.String()+
		" "+park.ValidFrom.String()+" "+park.ValidTo.String()+" "+string(park.AppliesTo)+" "+park.Currency)
	require.Equal(t, get[int64](t, b, `SELECT id FROM customers WHERE code = 'MON'`), park.CustomerID)

	again, err := books.Refresh(t.Context())
	require.NoError(t, err)
	require.Same(t, book, again, "nothing has changed")
	b.exec(t, `UPDATE customers SET invoice_seq = 7, billing_hold = true`)
	again, err = books.Refresh(t.Context())
	require.NoError(t, err)
	require.Same(t, book, again, "nothing has changed that a price depends on")

	_, err = db.BeginRun(t.Context(), b.pool, book.Calendar, billing.NewDate(2026, 3, 8), db.ByHand, testNow)
	require.NoError(t, err)
	moved, err := books.Refresh(t.Context())
	require.NoError(t, err)
	require.NotSame(t, book, moved)
	require.Equal(t, billing.NewDate(2026, 3, 8), moved.Cutoff)
	require.Equal(t, billing.NewDate(2026, 3, 2), book.Cutoff, "a book stays what it was")
	require.Equal(t, book.Version, moved.Version)
	require.Equal(t, []string{"RUNWAY", "PARK"}, codes(moved))

	b.exec(t, `DELETE FROM tariffs WHERE code = 'PARK'; UPDATE billing_settings SET timezone = 'Asia/Tokyo'`)
	require.Same(t, moved, books.Kept(), "until someone asks")
	changed, err := books.Refresh(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"RUNWAY"}, codes(changed))
	require.Equal(t, "Asia/Tokyo", changed.Calendar.Location.String())
	require.Greater(t, changed.Version, moved.Version)
}

func TestPriceBooksBeforeTheFirstStart(t *testing.T) {
	t.Parallel()
	b := setupUnstarted(t)
	books := db.NewPriceBooks(b.pool)
	_, err := books.Current(t.Context())
	require.Error(t, err)
	require.Nil(t, books.Kept())
	_, err = db.EnsureSettings(t.Context(), b.pool, db.Settings{}, testNow)
	require.NoError(t, err)
	_, err = books.Current(t.Context())
	require.NoError(t, err)
}

// books returns a keeper of price books, and its first.
func (b *testBundle) books(t *testing.T) (*db.PriceBooks, *db.PriceBook) {
	t.Helper()
	books := db.NewPriceBooks(b.pool)
	book, err := books.Current(t.Context())
	require.NoError(t, err)
	return books, book
}

// landed is when the flights of these tests landed.
var landed = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// manyOperators are more than a book is read with.
const manyOperators = `INSERT INTO customer_operators SELECT 'M' || n, id FROM customers, generate_series(1, 2000) AS n WHERE code = 'MON'`

func TestPriceBooksCustomer(t *testing.T) {
	t.Parallel()
	for _, few := range []bool{true, false} {
		t.Run(fmt.Sprintf("few=%v", few), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.exec(t, `INSERT INTO customer_aircraft SELECT 'EI-ABC', id FROM customers WHERE code = 'MON'`)
			if !few {
				b.exec(t, manyOperators)
			}
			books, book := b.books(t)
			payer := func(book *db.PriceBook, registration, operator string) (string, error) {
				t.Helper()
				customer, known, err := books.Customer(t.Context(), book, billing.Flight{ID: "F1", LandedAt: &landed, Registration: registration, Operator: operator})
				require.Equal(t, known, customer.Code != "")
				return customer.Code + " " + string(customer.Frequency), err
			}
			expect := func(book *db.PriceBook, registration, operator, want string) {
				t.Helper()
				code, err := payer(book, registration, operator)
				require.NoError(t, err)
				require.Equal(t, want, code)
			}
			expect(book, "", "WEEK", "WEEK weekly")
			expect(book, "EI-ABC", "WEEK", "MON monthly") // the aircraft comes first
			expect(book, "EI-XYZ", "WEEK", "WEEK weekly")
			expect(book, "EI-XYZ", "MON", "MON monthly") // whose aircraft is known to have no payer of its own
			expect(book, "EI-ABC", "MON", "MON monthly")
			expect(book, "EI-ABC", "NOBODY", "MON monthly")
			expect(book, "EI-XYZ", "NOBODY", " ")
			expect(book, "", "NOBODY", " ")

			// The book is old: what it knows, it goes on saying, and a save will refuse
			// it; what it would have to ask for, the caller learns that it is old.
			b.exec(t, `UPDATE customers SET billing_frequency = 'per_flight', week_ends_on = NULL WHERE code = 'WEEK'`)
			expect(book, "", "WEEK", "WEEK weekly")
			_, err := payer(book, "EI-NEW", "WEEK")
			require.Equal(t, !few, db.BookChanged(err), err)
			_, err = payer(book, "EI-NEW", "WEEK")
			require.Equal(t, !few, db.BookChanged(err), "an answer of another version is not kept")
			book, err = books.Refresh(t.Context())
			require.NoError(t, err)
			expect(book, "", "WEEK", "WEEK per_flight")

			// That nobody pays is remembered, too: until there is another book.
			expect(book, "", "NOBODY", " ")
			b.exec(t, `INSERT INTO customer_operators SELECT 'NOBODY', id FROM customers WHERE code = 'MON'`)
			expect(book, "", "NOBODY", " ")
			book, err = books.Refresh(t.Context())
			require.NoError(t, err)
			expect(book, "", "NOBODY", "MON monthly")
		})
	}
}

// Where they are few, nobody asks who pays; where they are many, a new book of the
// same version remembers what the old one has learnt.
func TestPriceBooksCustomersRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO customer_aircraft SELECT 'EI-ABC', id FROM customers WHERE code = 'MON'`)
	books, book := b.books(t)
	payer := func(registration, operator string) string {
		t.Helper()
		customer, known, err := books.Customer(t.Context(), book, billing.Flight{ID: "F1", LandedAt: &landed, Registration: registration, Operator: operator})
		require.NoError(t, err)
		require.True(t, known)
		return fmt.Sprintf("%s %s %d", customer.Code, customer.Frequency, customer.WeekEndsOn)
	}
	week := get[string](t, b, `SELECT 'WEEK weekly ' || week_ends_on FROM customers WHERE code = 'WEEK'`)
	const away, back = `ALTER TABLE customer_operators RENAME TO away`, `ALTER TABLE away RENAME TO customer_operators`
	b.exec(t, away)
	require.Equal(t, "MON monthly 0", payer("EI-ABC", "WEEK"))
	require.Equal(t, week, payer("EI-NEW", "WEEK"))
	b.exec(t, back)

	b.exec(t, manyOperators)
	book, err := books.Refresh(t.Context())
	require.NoError(t, err)
	require.Equal(t, week, payer("EI-NEW", "WEEK"))
	_, err = db.BeginRun(t.Context(), b.pool, book.Calendar, billing.NewDate(2026, 3, 8), db.ByHand, testNow)
	require.NoError(t, err)
	moved, err := books.Refresh(t.Context())
	require.NoError(t, err)
	require.NotSame(t, book, moved)
	book = moved
	b.exec(t, away)
	require.Equal(t, week, payer("EI-NEW", "WEEK"))
	_, _, err = books.Customer(t.Context(), book, billing.Flight{ID: "F1", LandedAt: &landed, Registration: "EI-XYZ", Operator: "MON"})
	require.ErrorContains(t, err, "look up the customer of flight F1", "not learnt")
}

// Who pays for many flights is looked up at once, and as for each alone.
func TestPriceBooksLearn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO customer_aircraft SELECT 'EI-ABC', id FROM customers WHERE code = 'MON'`)
	b.exec(t, manyOperators)
	books, book := b.books(t)
	learn := func(flights ...billing.Flight) error { return books.Learn(t.Context(), book, flights) }
	require.NoError(t, learn())
	require.NoError(t, learn(
		billing.Flight{ID: "F1", LandedAt: &landed, Operator: "NOBODY"}, billing.Flight{ID: "F2", LandedAt: &landed, Registration: "EI-ABC", Operator: "WEEK"},
		billing.Flight{ID: "F3", LandedAt: &landed, Registration: "EI-XYZ", Operator: "WEEK"}, billing.Flight{ID: "F4", LandedAt: &landed, Registration: "EI-XYZ", Operator: "WEEK"},
		billing.Flight{ID: "F5", LandedAt: &landed, Registration: "EI-XYZ", Operator: "MON"},
	))
	b.exec(t, `ALTER TABLE customer_operators RENAME TO away`) // what has been learnt asks nobody
	for _, e := range []struct{ registration, operator, code string }{
		{"EI-ABC", "WEEK", "MON"}, {"EI-ABC", "NOBODY", "MON"}, {"EI-XYZ", "WEEK", "WEEK"}, {"EI-XYZ", "MON", "MON"},
	} {
		customer, known, err := books.Customer(t.Context(), book, billing.Flight{ID: "F1", LandedAt: &landed, Registration: e.registration, Operator: e.operator})
		require.NoError(t, err)
		require.True(t, known)
		require.Equal(t, e.code, customer.Code)
	}
	require.NoError(t, learn(billing.Flight{ID: "F2", LandedAt: &landed, Registration: "EI-ABC"}), "there is nothing to learn")
	require.ErrorContains(t, learn(
		billing.Flight{ID: "F2", LandedAt: &landed, Registration: "EI-ABC"}, billing.Flight{ID: "F6", LandedAt: &landed, Registration: "EI-NEW"}, billing.Flight{ID: "F7", LandedAt: &landed, Registration: "EI-NEW"},
	), "look up the customers of flight F6 and 1 others")
	b.exec(t, `ALTER TABLE away RENAME TO customer_operators`)
	b.exec(t, `UPDATE customers SET name = 'Weekly' WHERE code = 'WEEK'`)
	require.True(t, db.BookChanged(learn(billing.Flight{ID: "F6", LandedAt: &landed, Registration: "EI-NEW", Operator: "WEEK"})))
}

// An aircraft that was sold: the landing date in the billing zone says who pays,
// however the registration is written.
func TestPriceBooksCustomerOnADay(t *testing.T) {
	t.Parallel()
	for _, few := range []bool{true, false} {
		t.Run(fmt.Sprintf("few=%v", few), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.exec(t, `UPDATE billing_settings SET timezone = 'Europe/Berlin'`)
			b.exec(t, `INSERT INTO customer_aircraft SELECT 'G-OWN', id, NULL, '2026-03-05'::date FROM customers WHERE code = 'MON'`)
			b.exec(t, `INSERT INTO customer_aircraft SELECT 'GOWN', id, '2026-03-05'::date, '2026-03-07'::date FROM customers WHERE code = 'WEEK'`)
			b.exec(t, `INSERT INTO customer_operators SELECT 'OPS', id, '2026-03-08'::date FROM customers WHERE code = 'EACH'`)
			if !few {
				b.exec(t, manyOperators)
			}
			books, book := b.books(t)
			for _, e := range []struct{ landed, payer string }{
				{"2026-03-04T22:59:59Z", "MON"}, {"2026-03-04T23:00:00Z", "WEEK"}, {"2026-03-06T22:59:59Z", "WEEK"},
				{"2026-03-06T23:00:00Z", ""}, {"2026-03-07T23:00:00Z", "EACH"}, {"2036-03-07T23:00:00Z", "EACH"},
			} {
				at, err := time.Parse(time.RFC3339, e.landed)
				require.NoError(t, err)
				customer, known, err := books.Customer(t.Context(), book, billing.Flight{ID: "F1", Registration: "g own", Operator: "Ops", LandedAt: &at})
				require.NoError(t, err)
				require.Equal(t, e.payer, customer.Code, e.landed)
				require.Equal(t, e.payer != "", known)
			}
		})
	}
}
