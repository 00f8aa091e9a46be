-- flight_processing_queue_flush enqueues the flights that a statement has
-- gathered: the setting holds one a line, between line ends.
CREATE OR REPLACE FUNCTION flightbill.flight_processing_queue_flush() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
DECLARE
    gathered text := current_setting('flightbill.gathered', true);
BEGIN
    IF gathered <> '' THEN
        PERFORM set_config('flightbill.gathered', '', true);
        DELETE FROM flightbill.gathered_flights WHERE transaction = pg_current_xact_id();
        IF FOUND THEN
            PERFORM flightbill.enqueue_flights(string_to_array(btrim(gathered, E'\n'), E'\n'));
        END IF;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_flush FROM PUBLIC;
