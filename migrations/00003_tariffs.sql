-- Dated price rules.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE flightbill.tariffs (
    id          bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code        text    COLLATE "C" NOT NULL CHECK (code <> '' AND code = flightbill.clean_text(code) AND char_length(code) <= 200),
    description text    NOT NULL DEFAULT '' CHECK (char_length(description) <= 1000),
    basis       text    NOT NULL CHECK (basis IN ('per_flight', 'per_tonne', 'per_km', 'per_passenger', 'route', 'terminal')),
    customer_id bigint  REFERENCES flightbill.customers,      -- null: every customer
    airport     text    COLLATE "C" CHECK (airport <> '' AND airport = flightbill.clean_text(airport) AND char_length(airport) <= 200), -- null: every airport
    applies_to  text    NOT NULL CHECK (applies_to IN ('departure', 'arrival', 'any')),
    band_from   numeric CHECK (band_from >= 0 AND band_from <= 1000), -- tonnes, excluded; NaN counts above Infinity
    band_to     numeric CHECK (band_to > 0 AND band_to <= 1000),      -- tonnes, included; null: no upper end
    unit_rate   numeric NOT NULL CHECK (unit_rate >= 0 AND unit_rate < 1000000000000),
    minimum     numeric NOT NULL DEFAULT 0 CHECK (minimum >= 0 AND minimum < 1000000000000),
    currency    text    COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'), -- ISO 4217
    tax_rate    numeric NOT NULL DEFAULT 0 CHECK (tax_rate >= 0 AND tax_rate <= 1), -- 0.20 is 20 %
    valid_from  date    NOT NULL CHECK (isfinite(valid_from)),
    valid_to    date    CHECK (isfinite(valid_to)), -- excluded; null: no end
    CHECK (band_to > coalesce(band_from, 0)),
    CHECK (valid_to > valid_from),
    CONSTRAINT tariffs_key UNIQUE NULLS NOT DISTINCT (code, customer_id, airport, band_from, band_to, valid_from),
    -- Two rules of one code would both price the same flight. Deferrable, so
    -- that one import can end a rule and begin the next.
    CONSTRAINT tariffs_do_not_overlap EXCLUDE USING gist (
        flightbill.code_form(code) WITH =,
        coalesce(flightbill.code_form(airport), '') WITH =,
        coalesce(customer_id, 0) WITH =,
        numrange(coalesce(band_from, 0), band_to, '(]') WITH &&,
        daterange(valid_from, valid_to) WITH &&
    ) DEFERRABLE INITIALLY IMMEDIATE
);

CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE
    ON flightbill.tariffs FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();
CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE
    ON flightbill.tariffs FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();
ALTER TABLE flightbill.tariffs ENABLE ALWAYS TRIGGER price_book_changed, ENABLE REPLICA TRIGGER price_book_changed_by_replica;

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP TABLE flightbill.tariffs;
