-- flight_processing_queue_prepare does once a statement what its rows need: it
-- looks whether any flight was given up before, and keeps the plans of the row
-- trigger off sequential scans (a plan made for an empty table stays while it
-- fills; as settings of the function itself, these take a fifth of its time). A
-- statement can begin within another, in a function that is called there: what the
-- caller's setting was is kept until the outermost has ended.
--
-- JIT stays as the caller has it: the row trigger's plans are too cheap for it.
--
-- On a new connection Postgres prepares each expression of a trigger first: for one
-- flight, the fewer there are the faster.
CREATE OR REPLACE FUNCTION flightbill.flight_processing_queue_prepare() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    IF current_setting('flightbill.gathered', true) <> '' THEN
        PERFORM flightbill.flight_processing_queue_flush();
    END IF;
    PERFORM set_config('flightbill.enable_seqscan',
            coalesce(nullif(current_setting('flightbill.enable_seqscan', true), ''), current_setting('enable_seqscan')), true),
        set_config('enable_seqscan', 'off', true),
        set_config('flightbill.singles_left', '100', true),
        set_config('flightbill.given_up', EXISTS (
            SELECT FROM flightbill.river_job WHERE state IN ('cancelled', 'discarded') AND finalized_at IS NOT NULL AND (kind = 'ingest_flight') IS TRUE
        )::text, true);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_prepare FROM PUBLIC;
