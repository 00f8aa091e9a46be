CREATE OR REPLACE FUNCTION flightbill.gathered_flights_commit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    PERFORM flightbill.flight_processing_queue_flush();
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.gathered_flights_commit FROM PUBLIC;
