-- flight_processing_queue_restore enqueues what the rows have gathered, and gives the
-- caller its setting back.
CREATE OR REPLACE FUNCTION flightbill.flight_processing_queue_restore() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    IF current_setting('flightbill.gathered', true) <> '' THEN
        PERFORM flightbill.flight_processing_queue_flush();
    END IF;
    PERFORM set_config('enable_seqscan',
            coalesce(nullif(current_setting('flightbill.enable_seqscan', true), ''), current_setting('enable_seqscan')), true),
        set_config('flightbill.enable_seqscan', '', true);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_restore FROM PUBLIC;
