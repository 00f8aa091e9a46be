CREATE OR REPLACE FUNCTION flightbill.refuse_flight_id(flight_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'flight id % cannot be enqueued', coalesce(quote_literal(left(flight_id, 160)), 'NULL')
        USING ERRCODE = 'invalid_parameter_value',
            HINT = 'A flight id is 1 to 128 characters of A-Z a-z 0-9 space . _ : / + # @ ~ - and starts with a letter or digit; the last is no space.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.refuse_flight_id FROM PUBLIC;
