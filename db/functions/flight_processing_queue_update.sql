-- Without this, Postgres would pass an UPDATE of the view on to River's rows,
-- running ones too.
CREATE OR REPLACE FUNCTION flightbill.flight_processing_queue_update() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'flight % is in the queue: what stands there cannot be changed', OLD.flight_id
        USING ERRCODE = 'feature_not_supported', HINT = 'Take it back with DELETE and INSERT it again.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_update FROM PUBLIC;
