-- hold_flight_jobs is enqueue_as_jobs' part in billing flights again: each is to have
-- a job that begins after this transaction. One that is running may end as billed
-- already, without having seen this transaction; one that is done is kept by River
-- for a day: both leave the unique key to a new one. One that waits is marked, and
-- held by that; its key is returned. Locks are taken by id, as a save takes them.
CREATE OR REPLACE FUNCTION flightbill.hold_flight_jobs(flight_ids text[]) RETURNS bytea[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    held bytea[];
BEGIN
    WITH jobs AS (
        UPDATE flightbill.river_job j
        SET unique_key = CASE WHEN j.state NOT IN ('running', 'completed') THEN j.unique_key END,
            metadata = j.metadata || CASE WHEN j.state IN ('running', 'completed') THEN '{}' ELSE '{"billed_before": true}' END::jsonb
        WHERE j.id = ANY (ARRAY(
            SELECT k.id FROM flightbill.river_job k
            WHERE k.unique_key = ANY (ARRAY(SELECT flightbill.flight_job_key(f.id) FROM unnest(flight_ids) AS f (id)))
                AND k.unique_key IS NOT NULL AND k.unique_states IS NOT NULL AND flightbill.river_job_state_in_bitmask(k.unique_states, k.state)
            ORDER BY k.id
            FOR UPDATE))
        RETURNING j.unique_key
    )
    SELECT array_agg(jobs.unique_key) FILTER (WHERE jobs.unique_key IS NOT NULL) INTO held FROM jobs;
    RETURN held;
END
$$;
REVOKE ALL ON FUNCTION flightbill.hold_flight_jobs FROM PUBLIC;
