CREATE OR REPLACE FUNCTION flightbill.issuers_stay() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'a row of issuers stays as it is: invoices were issued with it'
        USING HINT = 'Insert a row with the change, as flightbill issuer set does: the last one counts.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.issuers_stay FROM PUBLIC;
