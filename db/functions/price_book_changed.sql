CREATE OR REPLACE FUNCTION flightbill.price_book_changed() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE flightbill.price_book SET version = version + 1;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.price_book_changed FROM PUBLIC;
