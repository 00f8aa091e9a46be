-- flight_processing_queue_prepare does once a statement what its rows need: it
-- looks whether any flight was given up before. It leaves the caller's settings
-- alone: a function that the caller's statement calls would be planned by them, and
-- keep that plan.
--
-- On a new connection Postgres prepares each expression of a trigger first: for one
-- flight, the fewer there are the faster.
CREATE OR REPLACE FUNCTION flightbill.flight_processing_queue_prepare() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
BEGIN
    IF current_setting('flightbill.gathered', true) <> '' THEN
        PERFORM flightbill.flight_processing_queue_flush();
    END IF;
    PERFORM set_config('flightbill.singles_left', '100', true),
        set_config('flightbill.given_up', EXISTS (
            SELECT FROM flightbill.river_job WHERE state IN ('cancelled', 'discarded') AND finalized_at IS NOT NULL AND (kind = 'ingest_flight') IS TRUE
        )::text, true);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_prepare FROM PUBLIC;
