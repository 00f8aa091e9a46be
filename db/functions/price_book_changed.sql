-- It runs with its owner's rights: nobody else need write the version.
CREATE OR REPLACE FUNCTION flightbill.price_book_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    IF TG_LEVEL = 'ROW' THEN -- once a transaction: each UPDATE of one row walks past those before it
        IF current_setting('flightbill.price_book_changed', true) = pg_current_xact_id()::text THEN
            RETURN NULL;
        END IF;
        PERFORM set_config('flightbill.price_book_changed', pg_current_xact_id()::text, true);
    END IF;
    UPDATE flightbill.price_book SET version = version + 1;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.price_book_changed FROM PUBLIC;
