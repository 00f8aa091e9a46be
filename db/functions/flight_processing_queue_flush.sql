-- flight_processing_queue_flush enqueues the flights that a statement has
-- gathered: the setting holds one a line, between line ends, each with the id of its job
-- and the proof that this was taken for it.
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
            -- The setting is anybody's: a job id may be one that somebody else has taken, or will take.
            PERFORM flightbill.enqueue_as_jobs(array_agg(g.flight_id),
                array_agg(CASE WHEN g.proof = flightbill.job_id_proof(s.secret, g.flight_id, g.job_id) THEN g.job_id END), 1::smallint, NULL)
            FROM (
                SELECT split_part(u.line, E'\t', 1) AS flight_id, nullif(split_part(u.line, E'\t', 2), '')::bigint AS job_id, split_part(u.line, E'\t', 3) AS proof
                FROM unnest(string_to_array(btrim(gathered, E'\n'), E'\n')) AS u (line)
            ) AS g, flightbill.queue_secret AS s;
        END IF;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_flush FROM PUBLIC;
