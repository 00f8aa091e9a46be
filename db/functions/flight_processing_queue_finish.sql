-- flight_processing_queue_finish enqueues what the rows of a statement have
-- gathered, and lets the next statement begin anew. A statement that a limit on its
-- rows has ended early does not get here: the next goes on with what it left.
CREATE OR REPLACE FUNCTION flightbill.flight_processing_queue_finish() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    IF set_config('flightbill.singles_left', '', true) = '' AND current_setting('flightbill.gathered', true) <> '' THEN
        PERFORM flightbill.flight_processing_queue_flush();
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_finish FROM PUBLIC;
