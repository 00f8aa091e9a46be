-- The built-in flight source: flights as they were imported, or as another
-- application writes them.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

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
    -- All other facts, by name: each text or a number.
    facts         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(facts) = 'object' AND octet_length(facts::text) <= 20000),
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

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP TABLE flightbill.flights;
