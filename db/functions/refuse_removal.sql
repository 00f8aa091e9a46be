CREATE OR REPLACE FUNCTION flightbill.refuse_removal() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are kept for ever: they show what was billed, and that no flight is billed twice', TG_TABLE_NAME;
END
$$;
REVOKE ALL ON FUNCTION flightbill.refuse_removal FROM PUBLIC;
