package db_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// manyAircraft and manyTypes are more than a book is read with.
const (
	manyAircraft = `INSERT INTO aircraft (registration) SELECT 'M-' || n FROM generate_series(1, 2001) AS n`
	manyTypes    = `INSERT INTO aircraft_types (aircraft_type) SELECT 'M' || n FROM generate_series(1, 2001) AS n`
)

// registered is what a case has from the registers, as text.
func registered(c billing.Case) string {
	list := func(facts map[string]billing.Declared) string {
		var texts []string
		for _, name := range slices.Sorted(maps.Keys(facts)) {
			texts = append(texts, fmt.Sprintf("%s=%s (%s)", name, facts[name].Value, facts[name].From))
		}
		return strings.Join(texts, " ")
	}
	airport := func(a *billing.Airport) string {
		if a == nil {
			return "unknown"
		}
		if a.Location == nil {
			return fmt.Sprintf("%s %s no clock", a.Code, a.Country)
		}
		return fmt.Sprintf("%s %s %s", a.Code, a.Country, a.Location)
	}
	return strings.Join([]string{list(c.Aircraft), list(c.AircraftType), airport(c.Origin), airport(c.Destination)}, "; ")
}

// What the registers have counts on the movement date in the billing zone, however codes
// are written, and whether it is read or asked for.
func TestPriceBooksCase(t *testing.T) {
	t.Parallel()
	for name, many := range map[string]string{"read": "SELECT 1", "asked": manyAircraft + ";" + manyTypes, "types asked": manyTypes, "aircraft asked": manyAircraft} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.exec(t, `UPDATE billing_settings SET timezone = 'Asia/Tokyo'`)
			b.exec(t, many)
			b.exec(t, `INSERT INTO aircraft (registration, valid_from, valid_to, aircraft_type, mtow_kg, facts) VALUES
				('G-OWN', NULL, '2026-03-05', 'A320', 73500, '{"noise_class": "B", "owner": "-", "engines": "02"}'), ('gown', '2026-03-05', '2026-03-07', 'a-321', 89000, '{}')`)
			b.exec(t, `INSERT INTO aircraft_types (aircraft_type, mtow_kg, facts) VALUES ('A320', 78000, '{"seats": 180}'), ('A321', NULL, '{"seats": 220}')`)
			b.exec(t, `DELETE FROM airports`)
			b.exec(t, `INSERT INTO airports (code, other_codes, country, timezone) VALUES ('EGLL', '{LHR}', 'GB', 'Europe/London'), ('EIDW', '{DUB}', NULL, NULL)`)
			books, book := b.books(t)
			expect := func(f billing.Flight, at, want string) {
				t.Helper()
				moved, err := time.Parse(time.RFC3339, at)
				require.NoError(t, err)
				f.ID, f.LandedAt = "F1", &moved
				c, err := books.Case(t.Context(), book, f, nil)
				require.NoError(t, err)
				require.Equal(t, want, registered(c))
				require.Equal(t, billing.RegisterFirst{"mtow_kg"}, c.First)
				require.Equal(t, f, c.Flight)
			}
			const a320 = "aircraft_type=A320 (aircraft G-OWN) engines=2 (aircraft G-OWN) mtow_kg=73500 (aircraft G-OWN) noise_class=B (aircraft G-OWN)"
			flight := billing.Flight{Registration: "g own", Origin: "lhr", Destination: "DUB"}
			for range 2 { // the second time it is known
				expect(flight, "2026-03-04T14:59:59Z", a320+"; mtow_kg=78000 (aircraft type A320) seats=180 (aircraft type A320); EGLL GB Europe/London; EIDW  no clock")
				expect(flight, "2026-03-04T15:00:00Z", "aircraft_type=a-321 (aircraft gown) mtow_kg=89000 (aircraft gown); seats=220 (aircraft type A321); EGLL GB Europe/London; EIDW  no clock")
				expect(flight, "2026-03-06T15:00:00Z", "; ; EGLL GB Europe/London; EIDW  no clock")
				expect(billing.Flight{Registration: "GOWN", AircraftType: "a321", Origin: "QQQQ"}, "2026-03-04T12:00:00Z", a320+"; seats=220 (aircraft type A321); unknown; unknown")
				expect(billing.Flight{Registration: "N1", AircraftType: "B744"}, "2026-03-04T12:00:00Z", "; ; unknown; unknown")
				expect(billing.Flight{}, "2026-03-04T12:00:00Z", "; ; unknown; unknown")
				b.exec(t, `ALTER TABLE IF EXISTS aircraft RENAME TO away`) // nobody asks for what is known
			}
		})
	}
}

// An airport whose zone this machine lacks has no clock, and is known for the rest.
func TestAirportWithAZoneThatIsNotHere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `ALTER TABLE airports DROP CONSTRAINT airports_timezone_check; UPDATE airports SET timezone = 'Mars/Olympus' WHERE code = 'EGLL'`)
	books, book := b.books(t)
	c, err := books.Case(t.Context(), book, billing.Flight{ID: "F1", LandedAt: &landed, Origin: "EGLL", Destination: "EIDW"}, nil)
	require.NoError(t, err)
	require.Equal(t, &billing.Airport{Code: "EGLL", Country: "GB"}, c.Origin)
	require.Equal(t, "Europe/Dublin", c.Destination.Location.String())
}

// What the registers have of many flights is asked for at once; an old book goes on
// saying what it knows, and what it would have to ask for tells that it is old.
func TestPriceBooksLearnRegisters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, manyAircraft)
	b.exec(t, `INSERT INTO aircraft (registration, mtow_kg) VALUES ('EI-ABC', 73500)`)
	books, book := b.books(t)
	flight := func(registration, origin string) billing.Flight {
		return billing.Flight{ID: "F1", LandedAt: &landed, Registration: registration, Origin: origin}
	}
	require.NoError(t, books.Learn(t.Context(), book, []billing.Flight{flight("EI-ABC", "EIDW"), flight("EI-NEW", "DUB"), {ID: "F2", Registration: "EI-XYZ"}}))
	b.exec(t, `ALTER TABLE aircraft RENAME TO away`)
	for _, f := range []billing.Flight{flight("EI-ABC", "DUB"), flight("EI-NEW", "EIDW")} {
		_, err := books.Case(t.Context(), book, f, nil)
		require.NoError(t, err)
	}
	_, err := books.Case(t.Context(), book, flight("EI-XYZ", "EIDW"), nil)
	require.ErrorContains(t, err, "look up aircraft and airports of flight F1")
	require.ErrorContains(t, books.Learn(t.Context(), book, []billing.Flight{flight("EI-ABC", "EIDW"), flight("EI-XYZ", "EIDW"), flight("EI-ZZZ", "EIDW")}),
		"look up aircraft and airports of 2 flights")
	b.exec(t, `ALTER TABLE away RENAME TO aircraft`)

	b.exec(t, `UPDATE aircraft SET mtow_kg = 75000 WHERE registration = 'EI-ABC'`)
	c, err := books.Case(t.Context(), book, flight("EI-ABC", "EIDW"), nil)
	require.NoError(t, err)
	require.Equal(t, "73500", c.Aircraft["mtow_kg"].Value.String())
	_, err = books.Case(t.Context(), book, flight("EI-XYZ", "EIDW"), nil)
	require.True(t, db.BookChanged(err), err)
	book, err = books.Refresh(t.Context())
	require.NoError(t, err)
	c, err = books.Case(t.Context(), book, flight("EI-ABC", "EIDW"), nil)
	require.NoError(t, err)
	require.Equal(t, "75000", c.Aircraft["mtow_kg"].Value.String())
}

// A price made before a register changed is not saved.
func TestSaveAfterARegisterChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	books := db.NewPriceBooks(b.pool)
	for _, change := range []string{
		`INSERT INTO aircraft (registration) VALUES ('EI-ABC')`, `INSERT INTO aircraft_types (aircraft_type) VALUES ('A320')`, `UPDATE airports SET country = 'IE' WHERE code = 'EGLL'`,
	} {
		bill := b.priced(t, books, "F1", "WEEK")
		b.exec(t, change)
		b.save(t, nil, bill, db.Stale)
		_, err := books.Refresh(t.Context())
		require.NoError(t, err)
	}
	b.save(t, nil, b.priced(t, books, "F1", "WEEK"), db.Billed)
}

// A row whose conditions cannot be read stops the flights that it may apply to, and no
// others.
func TestTariffThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `ALTER TABLE tariffs DISABLE TRIGGER USER; ALTER TABLE tariffs DROP CONSTRAINT tariffs_when_check`)
	b.exec(t, `INSERT INTO tariffs (code, basis, airport, applies_to, unit_rate, currency, valid_from, "when") VALUES ('X', 'per_flight', 'LHR', 'arrival', 1, 'EUR', '2020-01-01', 'noise~A')`)
	_, book := b.books(t)
	mass := int64(70500)
	price := func(destination string) error {
		_, err := billing.Price(billing.Case{
			Flight:  billing.Flight{ID: "F1", LandedAt: &landed, MTOWKg: &mass, Origin: "EIDW", Destination: destination},
			MovedOn: billing.NewDate(2026, 3, 4), Destination: &billing.Airport{Code: destination},
		}, book.Tariffs, billing.Bounds{})
		return err
	}
	require.NoError(t, price("EGKK"))
	require.ErrorContains(t, price("EGLL"), `tariff "X" is not fit for use: when: character 1: "noise~A"`)
}

// Airports in conditions are compared as those of flights are.
func TestConditionsKnowAirportsByEachCode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE tariffs SET "when" = 'destination=lhr|QQQ', airport = 'DUB' WHERE code = 'RUNWAY'`)
	books := db.NewPriceBooks(b.pool)
	require.Len(t, b.priced(t, books, "F1", "WEEK").Charges, 1)
}
