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
