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
