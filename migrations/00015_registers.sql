-- What is known of aircraft, their types and airports beside the flights.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- Airports: LHR and EGLL are one.
CREATE TABLE flightbill.airports (
    code        text   COLLATE "C" PRIMARY KEY CHECK (code <> '' AND code = flightbill.clean_text(code) AND char_length(code) <= 200),
    other_codes text[] NOT NULL DEFAULT '{}',
    country     text   COLLATE "C" CHECK (country ~ '^[A-Z]{2}$'), -- ISO 3166
    timezone    text   CHECK (timezone <> '')                      -- IANA name
);

-- What is declared of a type of aircraft.
CREATE TABLE flightbill.aircraft_types (
    aircraft_type text   COLLATE "C" PRIMARY KEY CHECK (aircraft_type <> '' AND aircraft_type = flightbill.clean_text(aircraft_type) AND char_length(aircraft_type) <= 200),
    mtow_kg       bigint CHECK (mtow_kg > 0),
    facts         jsonb  NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(facts) = 'object' AND octet_length(facts::text) <= 20000)
);

-- What is declared of an aircraft, and when that holds.
CREATE TABLE flightbill.aircraft (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    registration  text   COLLATE "C" NOT NULL CHECK (registration <> '' AND registration = flightbill.clean_text(registration) AND char_length(registration) <= 200),
    valid_from    date   CHECK (isfinite(valid_from)), -- null: ever since
    valid_to      date   CHECK (isfinite(valid_to)),   -- excluded; null: no end
    aircraft_type text   COLLATE "C" CHECK (aircraft_type = flightbill.clean_text(aircraft_type) AND char_length(aircraft_type) <= 200),
    mtow_kg       bigint CHECK (mtow_kg > 0),
    facts         jsonb  NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(facts) = 'object' AND octet_length(facts::text) <= 20000),
    CHECK (valid_to > valid_from),
    CONSTRAINT aircraft_has_one_declaration_a_day EXCLUDE USING gist (
        flightbill.code_form(registration) WITH =, daterange(valid_from, valid_to) WITH &&) DEFERRABLE INITIALLY IMMEDIATE
);

-- Facts of a billed flight that are not the flight source's: {"mtow_kg": {"value": 73500, "from": "aircraft G-ABCD"}}.
ALTER TABLE flightbill.billed_flights ADD COLUMN declared jsonb NOT NULL DEFAULT '{}';
-- How the amount came about: a list of steps, for a clerk to do again by hand.
ALTER TABLE flightbill.charges ADD COLUMN detail jsonb;

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
ALTER TABLE flightbill.charges DROP COLUMN detail;
ALTER TABLE flightbill.billed_flights DROP COLUMN declared;
DROP TABLE flightbill.aircraft, flightbill.aircraft_types, flightbill.airports;
