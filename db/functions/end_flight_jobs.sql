-- end_flight_jobs writes what attempts at flights came to that no save completes, as
-- River's executor writes it: each if the job is still this attempt's. It returns the
-- jobs that were. A job that was to be cancelled meanwhile does not go back into the
-- queue; it is cancelled. One that somebody has locked is passed over after half a
-- second, so that it holds up no others: housekeeping gives it back. Not at once, since
-- another worker's claim locks, for its transaction, what it finds to be claimed already.
CREATE OR REPLACE FUNCTION flightbill.end_flight_jobs(
    client text, job_ids bigint[], attempts smallint[], attempted_at timestamptz[],
    states text[], scheduled_at timestamptz[], -- null: as it was
    spent boolean[],                           -- whether the attempt counts
    errors jsonb[], metadata jsonb[]           -- to be added, or null
) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
    SET enable_hashjoin = off -- see complete_flight_jobs
    SET enable_mergejoin = off
    SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_variable
DECLARE
    ended bigint[];
BEGIN
    BEGIN
        PERFORM set_config('lock_timeout', '500ms', true);
        PERFORM FROM flightbill.river_job j WHERE j.id = ANY (job_ids) ORDER BY j.id FOR UPDATE;
    EXCEPTION WHEN lock_not_available THEN
        NULL;
    END;
    WITH mine AS (
        SELECT j.id, u.nr, states[u.nr] IN ('available', 'retryable', 'scheduled') AND j.metadata ? 'cancel_attempted_at' AS cancelled
        FROM unnest(job_ids) WITH ORDINALITY AS u (id, nr)
        JOIN flightbill.river_job j ON j.id = u.id
        WHERE j.state::text = 'running' AND j.attempt = attempts[u.nr] AND j.attempted_at = attempted_at[u.nr]
            AND j.attempted_by[array_upper(j.attempted_by, 1)] = client
        FOR UPDATE OF j SKIP LOCKED
    ), written AS (
        UPDATE flightbill.river_job j
        SET state = CASE WHEN m.cancelled THEN 'cancelled' ELSE states[m.nr] END::flightbill.river_job_state,
            finalized_at = CASE WHEN m.cancelled OR states[m.nr] IN ('cancelled', 'completed', 'discarded') THEN now() END,
            attempt = CASE WHEN m.cancelled OR spent[m.nr] THEN j.attempt ELSE j.attempt - 1 END,
            scheduled_at = CASE WHEN m.cancelled THEN j.scheduled_at ELSE coalesce(scheduled_at[m.nr], j.scheduled_at) END,
            errors = CASE
                WHEN errors[m.nr] IS NOT NULL THEN array_append(j.errors, errors[m.nr])
                WHEN m.cancelled THEN array_append(j.errors, jsonb_build_object(
                    'at', now(), 'attempt', j.attempt, 'error', 'JobCancelError: job cancelled remotely', 'trace', ''))
                ELSE j.errors
            END,
            metadata = CASE WHEN m.cancelled THEN j.metadata - 'reason' ELSE j.metadata || coalesce(metadata[m.nr], '{}') END
        FROM mine m
        WHERE j.id = m.id
        RETURNING j.id
    )
    SELECT array_agg(written.id) INTO ended FROM written;
    RETURN coalesce(ended, '{}');
END
$$;
REVOKE ALL ON FUNCTION flightbill.end_flight_jobs FROM PUBLIC;
