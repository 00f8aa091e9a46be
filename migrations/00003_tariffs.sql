-- Dated price rules.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE flightbill.tariffs (
    id          bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code        text    COLLATE "C" NOT NULL CHECK (code <> '' AND code = flightbill.clean_text(code) AND char_length(code) <= 200
                AND strpos(code, '+') = 0), -- a tariff file has + between the codes of "of"
    description text    NOT NULL DEFAULT '' CHECK (char_length(description) <= 1000),
    basis       text    NOT NULL CHECK (basis IN ('per_flight', 'per_tonne', 'per_km', 'per_passenger', 'route', 'terminal',
        'per_unit', 'per_time', 'formula', 'percent', 'top_up')),
    customer_id bigint  REFERENCES flightbill.customers,      -- null: every customer
    airport     text    COLLATE "C" CHECK (airport <> '' AND airport = flightbill.clean_text(airport) AND char_length(airport) <= 200), -- null: every airport
    applies_to  text    NOT NULL CHECK (applies_to IN ('departure', 'arrival', 'any')),
    band_from   numeric CHECK (band_from >= 0 AND band_from < 1000000000000), -- excluded; NaN counts above Infinity
    band_to     numeric CHECK (band_to > 0 AND band_to < 1000000000000),      -- included; null: no upper end
    unit_rate   numeric NOT NULL CHECK (abs(unit_rate) < 1000000000000 AND (unit_rate >= 0 OR basis = 'percent')),
    minimum     numeric CHECK (minimum >= 0 AND minimum < 1000000000000),
    currency    text    COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'), -- ISO 4217
    tax_rate    numeric NOT NULL DEFAULT 0 CHECK (tax_rate >= 0 AND tax_rate <= 1), -- 0.20 is 20 %
    valid_from  date    NOT NULL CHECK (isfinite(valid_from)),
    valid_to    date    CHECK (isfinite(valid_to)), -- excluded; null: no end
    -- The rest says more of how a price is made. Null is the default, which depends on
    -- the basis where billing.Tariff says so.
    "when"         text    CHECK ("when" <> '' AND char_length("when") <= 1000),   -- conditions on facts, all of which must hold
    during         text    CHECK (during <> '' AND char_length(during) <= 1000),  -- local time of landing or take-off
    "of"           text[]  CHECK (cardinality("of") BETWEEN 1 AND 50 AND array_position("of", NULL) IS NULL AND strpos(array_to_string("of", ''), '+') = 0), -- facts (per_unit, formula) or codes (percent, top_up)
    unit           numeric CHECK (unit > 0 AND unit < 1000000000000),             -- of the basis, in one unit of quantity
    free           numeric CHECK (free >= 0 AND free < 1000000000000),            -- of the basis, without charge
    free_mode      text    CHECK (free_mode IN ('deduct', 'threshold')),
    rounding       text    CHECK (rounding IN ('up', 'nearest', 'down', 'none')),
    times          text    CHECK (times <> '' AND char_length(times) <= 63),      -- tonnes, or the fact that multiplies
    tonne_kg       numeric CHECK (tonne_kg IN (1000, 453.59237)),
    tonne_rounding text    CHECK (tonne_rounding IN ('up', 'nearest', 'down', 'none')),
    tonne_step     numeric CHECK (tonne_step > 0 AND tonne_step <= 1000),
    band_of        text    CHECK (band_of <> '' AND char_length(band_of) <= 63),  -- tonnes, kg, units, or a fact
    band_mode      text    CHECK (band_mode IN ('marginal', 'whole')),
    fixed          numeric CHECK (abs(fixed) < 1000000000000),                    -- in the currency, added once
    factor         numeric CHECK (factor >= 0 AND factor < 1000000000000),
    maximum        numeric CHECK (abs(maximum) < 1000000000000),
    minimum_at_zero boolean NOT NULL DEFAULT false,
    distance_less  numeric CHECK (distance_less >= 0 AND distance_less < 1000000),
    distance_unit  numeric CHECK (distance_unit > 0 AND distance_unit < 1000000),
    distance_power numeric CHECK (distance_power BETWEEN 0 AND 3),
    mass_unit      numeric CHECK (mass_unit > 0 AND mass_unit < 1000000),
    mass_power     numeric CHECK (mass_power BETWEEN 0 AND 3),
    decimals       smallint CHECK (decimals BETWEEN 0 AND 6),
    tax_category   text    CHECK (tax_category IN ('standard', 'zero', 'exempt', 'reverse_charge', 'export', 'outside')),
    tax_reason     text    CHECK (tax_reason <> '' AND char_length(tax_reason) <= 1000),
    CHECK (tax_rate = 0 OR coalesce(tax_category, 'standard') = 'standard'),
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
