-- The built-in flight source: flights as they were imported, or as another
-- application writes them. And what is declared of aircraft, their types and airports,
-- whatever the flight source.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- Facts by name, each text or a number, as billing.CheckFactName and billing.Fact have them.
CREATE DOMAIN flightbill.facts AS jsonb
    CONSTRAINT facts_are_an_object CHECK (jsonb_typeof(VALUE) = 'object' AND octet_length(VALUE::text) <= 20000)
    CONSTRAINT facts_have_names_of_their_own CHECK ((VALUE @? '$.keyvalue() ? (!(@.key like_regex "^[a-z][a-z0-9_]{0,62}$")
        || @.key like_regex "^(flight_id|callsign|operator|registration|aircraft_type|mtow_kg|mtow_lb|origin|destination|departed_at|landed_at|distance_km|passengers|movement|on_block_at|off_block_at|tonnes|kg|units|facts)$")') IS FALSE)
    CONSTRAINT facts_are_text_or_numbers CHECK ((VALUE @? '$.keyvalue() ? (!(
        @.value.type() == "string" && @.value like_regex "^.{0,200}$" flag "s"
        || @.value.type() == "number" && @.value > -1e30 && @.value < 1e30 && @.value * 1e30 % 1 == 0))') IS FALSE);

CREATE TABLE flightbill.flights (
    flight_id     text COLLATE "C" PRIMARY KEY,
    callsign      text,
    operator      text COLLATE "C",        -- designator of the operator
    registration  text COLLATE "C",        -- tail number
    aircraft_type text,        -- ICAO type designator
    mtow_kg       bigint,      -- maximum take-off mass, kg
    origin        text COLLATE "C",        -- airport code
    destination   text COLLATE "C",        -- airport code
    departed_at   timestamptz CHECK (isfinite(departed_at)),
    landed_at     timestamptz CHECK (isfinite(landed_at)),
    distance_km   numeric CHECK (abs(distance_km) < 'Infinity'), -- great circle, km
    passengers    bigint,      -- on board
    movement      text CHECK (movement IN ('arrival', 'departure')), -- null: a whole leg
    mtow_lb       bigint,      -- maximum take-off mass, lb
    on_block_at   timestamptz CHECK (isfinite(on_block_at)),  -- the stay on the stand that is billed with this movement
    off_block_at  timestamptz CHECK (isfinite(off_block_at)),
    facts         flightbill.facts NOT NULL DEFAULT '{}', -- all others
    CONSTRAINT flights_callsign_is_clean CHECK (callsign = flightbill.clean_text(callsign)),
    CONSTRAINT flights_operator_is_clean CHECK (operator = flightbill.clean_text(operator)),
    CONSTRAINT flights_registration_is_clean CHECK (registration = flightbill.clean_text(registration)),
    CONSTRAINT flights_aircraft_type_is_clean CHECK (aircraft_type = flightbill.clean_text(aircraft_type)),
    CONSTRAINT flights_origin_is_clean CHECK (origin = flightbill.clean_text(origin)),
    CONSTRAINT flights_destination_is_clean CHECK (destination = flightbill.clean_text(destination)),
    CONSTRAINT flights_text_is_short CHECK (greatest(char_length(callsign), char_length(operator), char_length(registration), char_length(aircraft_type),
        char_length(origin), char_length(destination)) <= 200), -- as flights.csv and Pinot's
    -- As flight_id_is_valid, which who writes here need not have the right to call.
    CONSTRAINT flights_can_be_enqueued CHECK (octet_length(flight_id) <= 128 AND flight_id ~ '^[A-Za-z0-9][A-Za-z0-9 ._:/+#@~-]*$' AND right(flight_id, 1) <> ' ')
);

-- What is declared of an aircraft, and when that holds.
CREATE TABLE flightbill.aircraft (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    registration  text   COLLATE "C" NOT NULL CHECK (registration <> '' AND registration = flightbill.clean_text(registration) AND char_length(registration) <= 200),
    valid_from    date   CHECK (isfinite(valid_from)), -- null: from the beginning
    valid_to      date   CHECK (isfinite(valid_to)),   -- excluded; null: no end
    aircraft_type text   COLLATE "C" CHECK (aircraft_type <> '' AND aircraft_type = flightbill.clean_text(aircraft_type) AND char_length(aircraft_type) <= 200),
    mtow_kg       bigint CHECK (mtow_kg > 0),
    facts         flightbill.facts NOT NULL DEFAULT '{}',
    CHECK (valid_to > valid_from),
    -- Deferrable, so that one import can end a declaration and begin the next.
    CONSTRAINT aircraft_have_one_declaration EXCLUDE USING gist (
        flightbill.code_form(registration) WITH =,
        daterange(valid_from, valid_to) WITH &&
    ) DEFERRABLE INITIALLY IMMEDIATE
);
CREATE INDEX aircraft_form_idx ON flightbill.aircraft (flightbill.code_form(registration));

-- What is declared of all aircraft of a type.
CREATE TABLE flightbill.aircraft_types (
    aircraft_type text   COLLATE "C" PRIMARY KEY CHECK (aircraft_type <> '' AND aircraft_type = flightbill.clean_text(aircraft_type) AND char_length(aircraft_type) <= 200),
    mtow_kg       bigint CHECK (mtow_kg > 0),
    facts         flightbill.facts NOT NULL DEFAULT '{}'
);
CREATE UNIQUE INDEX aircraft_types_form_idx ON flightbill.aircraft_types (flightbill.code_form(aircraft_type));

-- Airports. LHR and EGLL are one: they are compared by code, whichever of its codes a
-- flight or a tariff has.
CREATE TABLE flightbill.airports (
    code        text   COLLATE "C" PRIMARY KEY CHECK (code <> '' AND code = flightbill.clean_text(code) AND char_length(code) <= 200),
    other_codes text[] COLLATE "C" NOT NULL DEFAULT '{}',
    country     text   COLLATE "C" CHECK (country ~ '^[A-Z]{2}$'), -- ISO 3166
    -- IANA name. Postgres would take an abbreviation too, and a rule such as XYZ+3.
    timezone    text   COLLATE "C" CHECK (timezone ~ '^(UTC|[A-Za-z_]+(/[A-Za-z_-]+)+|Etc/GMT[+-][0-9]{1,2})$' AND 'epoch'::timestamptz AT TIME ZONE timezone > '1969-12-30'::timestamp)
);

-- Each code of each airport, in the form in which codes are compared. Nobody writes it
-- but airports_have_codes.
CREATE TABLE flightbill.airport_codes (
    form    text COLLATE "C" PRIMARY KEY,
    airport text COLLATE "C" NOT NULL -- the airport's code
);
CREATE INDEX airport_codes_airport_idx ON flightbill.airport_codes (airport);
-- Rules for two codes that become one airport's may overlap.
CREATE TRIGGER tariffs_changed AFTER INSERT ON flightbill.airport_codes
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.tariffs_changed();

-- +goose StatementBegin
-- airports_have_codes keeps airport_codes: a code is one airport's only. It runs with its
-- owner's rights: nobody else need write there.
CREATE OR REPLACE FUNCTION flightbill.airports_have_codes() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
DECLARE
    wrong record;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM flightbill.airport_codes;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM flightbill.airport_codes c WHERE c.airport IN (SELECT o.code FROM old_rows o);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        SELECT n.code, c.code AS other INTO wrong
        FROM new_rows n CROSS JOIN unnest(n.other_codes) AS c (code)
        WHERE c.code IS NULL OR c.code = '' OR c.code <> flightbill.clean_text(c.code) OR char_length(c.code) > 200 LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'airport %: % is no code', quote_literal(wrong.code), coalesce(quote_literal(wrong.other), 'NULL')
                USING ERRCODE = 'check_violation', HINT = 'Write each of other_codes without blanks around it, 200 characters at most.';
        END IF;
        SELECT min(c.code) AS code, min(c.airport) AS airport, max(c.airport) AS other INTO wrong
        FROM (
            SELECT n.code AS airport, c.code, flightbill.code_form(c.code) AS form FROM new_rows n CROSS JOIN unnest(n.code || n.other_codes) AS c (code)
            UNION ALL
            SELECT k.airport, k.form, k.form FROM flightbill.airport_codes k
            WHERE k.form IN (SELECT flightbill.code_form(c.code) FROM new_rows n CROSS JOIN unnest(n.code || n.other_codes) AS c (code))
        ) AS c
        GROUP BY c.form HAVING min(c.airport) <> max(c.airport) LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'code % is one of airport % and one of airport %', quote_literal(wrong.code), quote_literal(wrong.airport), quote_literal(wrong.other)
                USING ERRCODE = 'unique_violation', HINT = 'A code, in whatever case, is that of one airport only: take it from the other first.';
        END IF;
        INSERT INTO flightbill.airport_codes (form, airport)
        SELECT DISTINCT flightbill.code_form(c.code), n.code FROM new_rows n CROSS JOIN unnest(n.code || n.other_codes) AS c (code);
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.airports_have_codes FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- airport_form is the form in which airports are compared: that of the code under which
-- the register has an airport, and of any other code its own.
CREATE OR REPLACE FUNCTION flightbill.airport_form(code text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(
        (SELECT flightbill.code_form(c.airport) FROM flightbill.airport_codes c WHERE c.form = flightbill.code_form(airport_form.code)),
        flightbill.code_form(airport_form.code));
REVOKE ALL ON FUNCTION flightbill.airport_form FROM PUBLIC;
-- +goose StatementEnd

-- A transition table is of one event.
CREATE TRIGGER airports_have_codes_insert AFTER INSERT ON flightbill.airports
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.airports_have_codes();
CREATE TRIGGER airports_have_codes_update AFTER UPDATE ON flightbill.airports
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.airports_have_codes();
CREATE TRIGGER airports_have_codes_delete AFTER DELETE ON flightbill.airports
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.airports_have_codes();
CREATE TRIGGER airports_have_codes_truncate AFTER TRUNCATE ON flightbill.airports
    FOR EACH STATEMENT EXECUTE FUNCTION flightbill.airports_have_codes();

CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE
    ON flightbill.aircraft FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();
CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE
    ON flightbill.aircraft_types FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();
CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE
    ON flightbill.airports FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();
CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE
    ON flightbill.aircraft FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();
ALTER TABLE flightbill.aircraft ENABLE ALWAYS TRIGGER price_book_changed, ENABLE REPLICA TRIGGER price_book_changed_by_replica;
CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE
    ON flightbill.aircraft_types FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();
ALTER TABLE flightbill.aircraft_types ENABLE ALWAYS TRIGGER price_book_changed, ENABLE REPLICA TRIGGER price_book_changed_by_replica;
CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE
    ON flightbill.airports FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();
ALTER TABLE flightbill.airports ENABLE ALWAYS TRIGGER price_book_changed, ENABLE REPLICA TRIGGER price_book_changed_by_replica;

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP FUNCTION flightbill.airport_form;
DROP TABLE flightbill.airport_codes;
DROP TABLE flightbill.airports;
DROP FUNCTION flightbill.airports_have_codes;
DROP TABLE flightbill.aircraft_types;
DROP TABLE flightbill.aircraft;
DROP TABLE flightbill.flights;
DROP DOMAIN flightbill.facts;
