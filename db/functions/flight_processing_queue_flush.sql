-- flight_processing_queue_flush enqueues the flights that a statement has
-- gathered. The setting that holds them, one a line, between line ends, is anybody's to
-- write; the ids of their jobs are not, or a transaction could use those of another.
CREATE OR REPLACE FUNCTION flightbill.flight_processing_queue_flush() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
DECLARE
    gathered     text := current_setting('flightbill.gathered', true);
    promised_ids bigint[];
BEGIN
    IF gathered <> '' THEN
        PERFORM set_config('flightbill.gathered', '', true);
        DELETE FROM flightbill.gathered_flights WHERE transaction = pg_current_xact_id() RETURNING job_ids INTO promised_ids;
        IF FOUND THEN
            PERFORM flightbill.enqueue_as_jobs(string_to_array(btrim(gathered, E'\n'), E'\n'), promised_ids, 1::smallint, NULL);
        END IF;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_flush FROM PUBLIC;
