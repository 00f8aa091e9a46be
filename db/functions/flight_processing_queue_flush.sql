-- flight_processing_queue_flush enqueues the flights that a statement has
-- gathered: the setting holds one a line, between line ends, each with the id of its job.
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
            -- The setting is anybody's: a job id that nobody has taken would be somebody else's later.
            PERFORM flightbill.enqueue_as_jobs(array_agg(split_part(g.line, E'\t', 1)),
                array_agg(CASE WHEN split_part(g.line, E'\t', 2)::bigint BETWEEN 1 AND s.last_value THEN split_part(g.line, E'\t', 2)::bigint END), 1::smallint, NULL)
            FROM unnest(string_to_array(btrim(gathered, E'\n'), E'\n')) AS g (line), flightbill.river_job_id_seq AS s;
        END IF;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_flush FROM PUBLIC;
