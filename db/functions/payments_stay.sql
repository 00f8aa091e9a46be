CREATE OR REPLACE FUNCTION flightbill.payments_stay() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'payments are kept for ever: none can be changed or removed'
        USING HINT = 'flightbill.reverse_payment takes a payment back.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.payments_stay FROM PUBLIC;
