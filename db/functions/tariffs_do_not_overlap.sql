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
