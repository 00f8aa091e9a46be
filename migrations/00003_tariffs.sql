-- Dated price rules.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- +goose StatementBegin
-- week_minutes is the minutes of a week, from Monday 00:00, that are in the windows of the
-- column during, as billing.During has them; null where they cannot be read. It reads what
-- billing.ParseDuring writes. All may call it: see code_form.
CREATE OR REPLACE FUNCTION flightbill.week_minutes(during text) RETURNS int4multirange
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    item text;
    m text[];
    first int;
    last int;
    begins int;
    ends int;
    minutes int4multirange := '{}';
BEGIN
    FOREACH item IN ARRAY string_to_array(during, ',') LOOP
        m := regexp_match(btrim(item, ' ') COLLATE "C",
            '^(?=.)(?:(Mo|Tu|We|Th|Fr|Sa|Su)(?:-(Mo|Tu|We|Th|Fr|Sa|Su))?(?: +|$))?(?:((?:[01][0-9]|2[0-3]):[0-5][0-9])-((?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00))?$');
        IF m IS NULL OR m[1] = m[2] OR m[3] = m[4] THEN
            RETURN NULL;
        END IF;
        first := (strpos('MoTuWeThFrSaSu', coalesce(m[1], 'Mo')) - 1) / 2;
        last := (strpos('MoTuWeThFrSaSu', coalesce(m[2], m[1], 'Su')) - 1) / 2;
        begins := coalesce(left(m[3], 2)::int * 60 + right(m[3], 2)::int, 0);
        ends := coalesce(left(m[4], 2)::int * 60 + right(m[4], 2)::int, 1440);
        IF ends < begins THEN -- past midnight
            ends := ends + 1440;
        END IF;
        FOR day IN first .. last + CASE WHEN last < first THEN 7 ELSE 0 END LOOP
            minutes := minutes + int4multirange(int4range(day % 7 * 1440 + begins, day % 7 * 1440 + ends));
        END LOOP;
    END LOOP;
    -- Of the week after there is a night at most, and that is this week's first.
    IF upper(minutes) > 10080 THEN
        minutes := minutes + int4multirange(int4range(0, upper(minutes) - 10080));
    END IF;
    RETURN minutes * int4multirange(int4range(0, 10080));
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- when_facts is the values of each fact that meet the conditions in the column when, as
-- billing.When has them: numbers; texts, or all others than those; or that there is no such
-- fact; codes in their form. A fact is null where a condition cannot be read, or no value meets all on it. It
-- reads what billing.ParseWhen writes. All may call it: see code_form.
CREATE OR REPLACE FUNCTION flightbill.when_facts(conditions text)
    RETURNS TABLE (fact text, numbers nummultirange, texts text[], others boolean, absent boolean)
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE ROWS 2
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part text;
    m text[];
    operator text;
    value text;
    number numeric;
    points nummultirange;
    words text[];
    -- What is known of each fact; the texts of one, which have no |, as one text.
    names text[] := '{}';
    all_numbers nummultirange[];
    all_texts text[];
    all_others boolean[];
    all_absent boolean[];
    is_code boolean;
    i int;
BEGIN
    FOREACH part IN ARRAY string_to_array(conditions, ';') LOOP
        m := regexp_match(btrim(part, ' ') COLLATE "C", '^([a-z][a-z0-9_]{0,62})(?: *(!=|<=|>=|=|<|>) *(.*)| +(present|absent))$');
        IF m IS NULL OR m[1] IN ('tonnes', 'kg', 'units') THEN
            fact := NULL;
            RETURN NEXT;
            RETURN;
        END IF;
        operator := coalesce(m[2], m[4]);
        is_code := m[1] IN ('origin', 'destination', 'registration', 'operator');
        points := '{}';
        words := '{}';
        number := NULL;
        FOREACH value IN ARRAY CASE WHEN m[2] IS NULL THEN '{}' WHEN m[3] = '' THEN '{""}' ELSE string_to_array(m[3], '|') END LOOP
            value := btrim(value, ' ');
            IF value ~ '^([=!<>]|$)' OR char_length(value) > 200
                OR flightbill.clean_text(value) <> value AND NOT (m[1] ~ '(^|_)country$' AND upper(value COLLATE "C") = 'NA')
                OR operator IN ('<', '<=', '>', '>=') AND (is_code OR m[1] IN ('flight_id', 'callsign', 'aircraft_type', 'departed_at', 'landed_at', 'movement',
                    'on_block_at', 'off_block_at', 'origin_country', 'destination_country', 'international') OR strpos(m[3], '|') > 0 OR value !~ '^-?[0-9]{1,30}(\.[0-9]{1,30})?$') THEN
                fact := NULL;
                RETURN NEXT;
                RETURN;
            END IF;
            IF is_code THEN
                words := words || flightbill.code_form(value);
            ELSIF value ~ '^-?[0-9]{1,30}(\.[0-9]{1,30})?$' THEN
                number := value::numeric;
                points := points + nummultirange(numrange(number, number, '[]'));
            ELSE
                words := words || upper(value COLLATE "C");
            END IF;
        END LOOP;
        numbers := CASE operator
            WHEN '=' THEN points
            WHEN '!=' THEN '{(,)}' - points
            WHEN '<' THEN nummultirange(numrange(NULL, number))
            WHEN '<=' THEN nummultirange(numrange(NULL, number, '(]'))
            WHEN '>' THEN nummultirange(numrange(number, NULL, '()'))
            WHEN '>=' THEN nummultirange(numrange(number, NULL))
            WHEN 'present' THEN '{(,)}'
            ELSE '{}'
        END;
        others := operator IN ('!=', 'present');
        absent := operator = 'absent';
        i := array_position(names, m[1]);
        IF i IS NULL THEN
            i := cardinality(names) + 1;
            names[i] := m[1];
            all_numbers[i] := numbers;
        ELSE -- both must be met
            all_numbers[i] := all_numbers[i] * numbers;
            texts := string_to_array(all_texts[i], '|');
            words := CASE
                WHEN others AND all_others[i] THEN texts || words
                WHEN others THEN array(SELECT unnest(texts) EXCEPT SELECT unnest(words))
                WHEN all_others[i] THEN array(SELECT unnest(words) EXCEPT SELECT unnest(texts))
                ELSE array(SELECT unnest(words) INTERSECT SELECT unnest(texts))
            END;
            others := others AND all_others[i];
            absent := absent AND all_absent[i];
        END IF;
        all_texts[i] := array_to_string(words, '|');
        all_others[i] := others;
        all_absent[i] := absent;
    END LOOP;
    FOR i IN 1 .. cardinality(names) LOOP
        numbers := all_numbers[i];
        texts := string_to_array(all_texts[i], '|');
        others := all_others[i];
        absent := all_absent[i];
        fact := CASE WHEN others OR absent OR texts <> '{}' OR NOT isempty(numbers) THEN names[i] END;
        RETURN NEXT;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- when_is_readable says whether billing.ParseWhen reads conditions. All may call it: see
-- code_form.
CREATE OR REPLACE FUNCTION flightbill.when_is_readable(conditions text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM flightbill.when_facts(conditions) AS f WHERE f.fact IS NULL);
END
$$;
-- +goose StatementEnd

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
    unit_rate   numeric NOT NULL CONSTRAINT tariffs_unit_rate_check CHECK (abs(unit_rate) < 1000000000000 AND (unit_rate >= 0 OR basis = 'percent')),
    minimum     numeric CHECK (minimum >= 0 AND minimum < 1000000000000),
    currency    text    COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'), -- ISO 4217
    tax_rate    numeric NOT NULL DEFAULT 0 CHECK (tax_rate >= 0 AND tax_rate <= 1), -- 0.20 is 20 %
    valid_from  date    NOT NULL CHECK (isfinite(valid_from)),
    valid_to    date    CHECK (isfinite(valid_to)), -- excluded; null: no end
    -- The rest says more of how a price is made. Null is the default, which depends on
    -- the basis where billing.Tariff says so.
    "when"         text    CHECK (char_length("when") <= 1000 AND flightbill.when_is_readable("when")), -- conditions on facts, all of which must hold
    during         text    CHECK (during IS NULL OR char_length(during) <= 1000 AND flightbill.week_minutes(during) IS NOT NULL), -- local time of landing or take-off
    "of"           text[]  CHECK (cardinality("of") >= 1 AND cardinality("of") <= 50 AND array_position("of", NULL) IS NULL AND strpos(array_to_string("of", ''), '+') = 0), -- facts (per_unit, formula) or codes (percent, top_up)
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
    unit_code      text    COLLATE "C" CHECK (unit_code ~ '^[A-Z0-9]{2,3}$'),       -- UN/ECE recommendation 20; null: the basis' own
    account        text    COLLATE "C" CHECK (account <> '' AND char_length(account) <= 64), -- of the ledger; null: that of all revenue
    CHECK (tax_rate = 0 OR coalesce(tax_category, 'standard') = 'standard'),
    CHECK (band_to > coalesce(band_from, 0)),
    CHECK (valid_to > valid_from),
    CHECK (during IS NULL OR applies_to <> 'any'), -- of which of the two clocks?
    CONSTRAINT tariffs_key UNIQUE NULLS NOT DISTINCT
        (code, customer_id, airport, applies_to, "when", during, band_of, band_from, band_to, valid_from)
);
CREATE INDEX tariffs_code_form_idx ON flightbill.tariffs (flightbill.code_form(code));

-- +goose StatementBegin
-- tariff_unit_code is the unit that a tariff's quantities are in, by UN/ECE recommendation
-- 20: its own, or else what its basis counts. C62 is one, of anything.
CREATE OR REPLACE FUNCTION flightbill.tariff_unit_code(tariff flightbill.tariffs) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(tariff.unit_code, CASE
        WHEN tariff.times IS NOT NULL THEN 'C62'
        WHEN tariff.basis = 'per_time' THEN CASE coalesce(tariff.unit, 1) WHEN 1 THEN 'MIN' WHEN 60 THEN 'HUR' END
        WHEN tariff.basis = 'per_unit' AND cardinality(tariff."of") = 1 AND tariff."of"[1] LIKE '%\_kg'
            THEN CASE coalesce(tariff.unit, 1) WHEN 1 THEN 'KGM' WHEN 1000 THEN 'TNE' END
        WHEN coalesce(tariff.unit, 1) <> 1 THEN 'C62'
        WHEN tariff.basis = 'per_km' THEN 'KMT'
        WHEN tariff.basis = 'per_tonne' AND coalesce(tariff.tonne_kg, 1000) = 1000 THEN 'TNE'
    END, 'C62');
REVOKE ALL ON FUNCTION flightbill.tariff_unit_code FROM PUBLIC;
-- +goose StatementEnd

CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE
    ON flightbill.tariffs FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();
CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE
    ON flightbill.tariffs FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();
ALTER TABLE flightbill.tariffs ENABLE ALWAYS TRIGGER price_book_changed, ENABLE REPLICA TRIGGER price_book_changed_by_replica;

-- What a transaction has changed, until that was looked at for overlaps.
CREATE UNLOGGED TABLE flightbill.changed_tariffs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ids bigint[] NOT NULL);

-- +goose StatementBegin
-- tariffs_overlapping is the pairs of rules of one code, airport and customer, one of them
-- with one of these ids, that are not provably apart. billing.Apart says the same of a pair.
--
-- Hash joins: of a code with 125 rules, 7,750 pairs are compared.
CREATE OR REPLACE FUNCTION flightbill.tariffs_overlapping(ids bigint[]) RETURNS TABLE (id bigint, other_id bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_nestloop = off
    SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT DISTINCT asked.id FROM unnest(ids) AS asked (id)
    ), rules AS MATERIALIZED (
        SELECT t.id, asked.id IS NOT NULL AS asked, flightbill.code_form(t.code) AS code, coalesce(t.customer_id, 0) AS customer,
            coalesce(flightbill.airport_form(t.airport), '') AS airport, t.applies_to, daterange(t.valid_from, t.valid_to) AS validity,
            numrange(coalesce(t.band_from, 0), t.band_to, '(]') AS band,
            -- What the band limits, and how that is measured; bands of two measures cannot be compared.
            concat_ws(' ', coalesce(t.band_mode, CASE t.basis WHEN 'per_tonne' THEN 'marginal' ELSE 'whole' END), coalesce(t.band_of, 'tonnes'),
                CASE WHEN coalesce(t.band_of, 'tonnes') IN ('tonnes', 'units') THEN concat_ws(' ', trim_scale(coalesce(t.tonne_kg, 1000)),
                    coalesce(t.tonne_rounding, 'up'), trim_scale(coalesce(t.tonne_step, 1))) END,
                CASE WHEN t.band_of = 'units' THEN concat_ws(' ', t.basis, array_to_string(t."of", '+'), trim_scale(coalesce(t.unit, 1)),
                    trim_scale(coalesce(t.free, 0)), coalesce(t.free_mode, 'deduct'),
                    coalesce(t.rounding, CASE t.basis WHEN 'per_time' THEN 'up' ELSE 'none' END)) END) AS measure,
            flightbill.week_minutes(t.during) AS minutes, t."when"
        FROM flightbill.tariffs t LEFT JOIN asked ON asked.id = t.id
        WHERE flightbill.code_form(t.code) IN (SELECT flightbill.code_form(c.code) FROM flightbill.tariffs c JOIN asked USING (id))
    ), facts AS MATERIALIZED (
        SELECT r.id, f.fact, f.numbers, f.others, f.absent,
            CASE WHEN f.fact IN ('origin', 'destination') THEN array(SELECT flightbill.airport_form(code) FROM unnest(f.texts) AS code) ELSE f.texts END AS texts
        FROM rules r CROSS JOIN LATERAL flightbill.when_facts(r."when") AS f
    ), pairs AS MATERIALIZED (
        SELECT a.id, b.id AS other_id
        FROM rules a JOIN rules b ON b.code = a.code AND b.airport = a.airport AND b.customer = a.customer AND b.id > a.id
        WHERE (a.asked OR b.asked)
            AND a.validity && b.validity
            AND (a.measure <> b.measure OR a.band && b.band)
            AND CASE WHEN a.applies_to = b.applies_to THEN (a.minutes && b.minutes) IS NOT FALSE ELSE 'any' IN (a.applies_to, b.applies_to) END
    )
    SELECT p.id, p.other_id FROM pairs p
    EXCEPT
    SELECT p.id, p.other_id
    FROM pairs p JOIN facts a ON a.id = p.id JOIN facts b ON b.id = p.other_id AND b.fact = a.fact
    WHERE NOT (a.absent AND b.absent) AND NOT a.numbers && b.numbers
        AND CASE
            WHEN a.others AND b.others THEN false
            WHEN a.others THEN b.texts <@ a.texts
            WHEN b.others THEN a.texts <@ b.texts
            ELSE NOT a.texts && b.texts
        END;
END
$$;
REVOKE ALL ON FUNCTION flightbill.tariffs_overlapping FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- tariffs_changed notes which rules may overlap others now: those that are new or changed,
-- and those that an airport's new code may concern.
CREATE OR REPLACE FUNCTION flightbill.tariffs_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    IF TG_TABLE_NAME = 'tariffs' THEN
        INSERT INTO flightbill.changed_tariffs (ids) SELECT array_agg(n.id) FROM new_rows n HAVING count(*) > 0;
    ELSE
        INSERT INTO flightbill.changed_tariffs (ids)
        SELECT array_agg(t.id) FROM flightbill.tariffs t
        WHERE flightbill.code_form(t.airport) IN (SELECT n.form FROM new_rows n) OR t."when" ~ '\m(origin|destination)\M'
        HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.tariffs_changed FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- tariffs_do_not_overlap refuses rules that would both price the same part of a flight. It
-- looks at all that the transaction has changed since it last did.
CREATE OR REPLACE FUNCTION flightbill.tariffs_do_not_overlap() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    changed bigint[];
    pair record;
    rules text;
    rule_code text;
BEGIN
    WITH taken AS (DELETE FROM flightbill.changed_tariffs RETURNING ids)
    SELECT array_agg(id) INTO changed FROM taken CROSS JOIN unnest(taken.ids) AS id;
    IF changed IS NULL THEN
        RETURN NULL;
    END IF;
    -- Who changes tariffs or airports holds this row until the end, so that of two who do
    -- the second sees, in its next statement, what the first did. Nobody else can lock it.
    PERFORM FROM flightbill.price_book FOR NO KEY UPDATE;
    SELECT * INTO pair FROM flightbill.tariffs_overlapping(changed) ORDER BY 1, 2 LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT string_agg(format('%s (%s)', t.id, concat_ws(', ', coalesce('at ' || t.airport, 'at every airport'), 'applies_to ' || t.applies_to,
            'band above ' || t.band_from, 'band up to ' || t.band_to, 'band_of ' || t.band_of, 'when ' || t."when", 'during ' || t.during,
            'valid from ' || t.valid_from, 'to ' || t.valid_to)), ' and ' ORDER BY t.id), min(t.code)
    INTO rules, rule_code FROM flightbill.tariffs t WHERE t.id IN (pair.id, pair.other_id);
    RAISE EXCEPTION 'tariff %: rules % violate tariffs_do_not_overlap, since both would price the same flight', quote_literal(rule_code), rules
        USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'tariffs_do_not_overlap', SCHEMA = 'flightbill', TABLE = 'tariffs',
            HINT = 'End one where the other begins, or set them apart by band, during, or a fact in when that both name.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.tariffs_do_not_overlap FROM PUBLIC;
-- +goose StatementEnd

-- Two rules of one code would both price the same flight. Deferrable, so that one import
-- can end a rule and begin the next.
CREATE CONSTRAINT TRIGGER tariffs_do_not_overlap AFTER INSERT ON flightbill.changed_tariffs DEFERRABLE INITIALLY IMMEDIATE
    FOR EACH ROW EXECUTE FUNCTION flightbill.tariffs_do_not_overlap();
-- A transition table is of one event.
CREATE TRIGGER tariffs_changed_insert AFTER INSERT ON flightbill.tariffs
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.tariffs_changed();
CREATE TRIGGER tariffs_changed_update AFTER UPDATE ON flightbill.tariffs
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.tariffs_changed();

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP FUNCTION flightbill.tariff_unit_code;
DROP TABLE flightbill.tariffs;
DROP TABLE flightbill.changed_tariffs;
DROP FUNCTION flightbill.tariffs_do_not_overlap, flightbill.tariffs_changed, flightbill.tariffs_overlapping,
    flightbill.when_is_readable, flightbill.when_facts, flightbill.week_minutes;
