-- flight_processing_queue_finish enqueues what the rows of a statement have gathered.
CREATE OR REPLACE FUNCTION flightbill.flight_processing_queue_finish() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    IF current_setting('flightbill.gathered', true) <> '' THEN
        PERFORM flightbill.flight_processing_queue_flush();
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_finish FROM PUBLIC;
