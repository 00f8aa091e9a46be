CREATE OR REPLACE FUNCTION flightbill.deliveries_stay() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'rows of deliveries are kept as they are: they show what was sent, to whom and when'
        USING HINT = 'Only how far a delivery has got changes; flightbill.retry_deliveries has one tried again.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.deliveries_stay FROM PUBLIC;
