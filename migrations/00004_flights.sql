-- The built-in flight source: flights as they were imported, or as another
-- application writes them.

-- +goose Up
CREATE TABLE flights (
    flight_id     text PRIMARY KEY,
    callsign      text,
    operator      text,        -- designator of the operator
    registration  text,        -- tail number
    aircraft_type text,        -- ICAO type designator
    mtow_kg       bigint,      -- maximum take-off mass, kg
    origin        text,        -- airport code
    destination   text,        -- airport code
    departed_at   timestamptz CHECK (isfinite(departed_at)),
    landed_at     timestamptz CHECK (isfinite(landed_at)),
    distance_km   numeric CHECK (abs(distance_km) < 'Infinity'), -- great circle, km
    passengers    bigint       -- on board
);

-- +goose Down
DROP TABLE flights;
