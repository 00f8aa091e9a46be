-- complete_flight_jobs completes jobs, each if it is still this attempt's, and clears
-- away what other jobs of the flights there are that are now billed. Id 0 is no job.
CREATE OR REPLACE FUNCTION flightbill.complete_flight_jobs(
    job_client text, job_ids bigint[], job_attempts smallint[], job_attempted_at timestamptz[], flight_ids text[], billed text[]
) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = off -- one that goes through the whole queue, where it was planned while that was short
    SET enable_mergejoin = off
    SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    completed bigint[];
    lost      record;
BEGIN
    PERFORM set_config('flightbill.completes', 'billed', true); -- see the trigger complete_when_billed
    WITH done AS (
        UPDATE flightbill.river_job j SET state = 'completed', finalized_at = now()
        -- Sorted, as the rows are locked in the order of this: 1.4 % of a save of five.
        FROM (SELECT u.* FROM unnest(job_ids, job_attempts, job_attempted_at) AS u (id, attempt, attempted_at) ORDER BY u.id) AS mine
        -- As text, so that the index on state is of no use: it has whatever was
        -- running since the last vacuum.
        WHERE j.id = mine.id AND j.state::text = 'running' AND j.attempt = mine.attempt AND j.attempted_at = mine.attempted_at
            AND j.attempted_by[array_upper(j.attempted_by, 1)] = job_client
        RETURNING j.id
    )
    SELECT array_agg(done.id) INTO completed FROM done;
    IF coalesce(cardinality(completed), 0) < cardinality(array_remove(job_ids, 0)) THEN
        SELECT mine.id, mine.attempt, mine.flight INTO lost
        FROM unnest(job_ids, job_attempts, flight_ids) AS mine (id, attempt, flight)
        WHERE mine.id <> 0 AND mine.id <> ALL (coalesce(completed, '{}')) LIMIT 1;
        RAISE EXCEPTION 'job % of flight % is no longer in the hands of attempt % by %', lost.id, lost.flight, lost.attempt, job_client
            USING ERRCODE = 'FB001', HINT = 'It was rescued or cancelled meanwhile; nothing was saved.';
    END IF;
    DELETE FROM flightbill.river_job j
    WHERE j.id = ANY (ARRAY(
        SELECT o.id FROM flightbill.river_job o
        WHERE flightbill.queued_flight(o.kind, o.state, o.args) = ANY (billed) AND o.state <> 'running'
        ORDER BY o.id FOR UPDATE));
END
$$;
REVOKE ALL ON FUNCTION flightbill.complete_flight_jobs FROM PUBLIC;
