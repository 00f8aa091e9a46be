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
