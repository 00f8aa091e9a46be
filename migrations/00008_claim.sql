-- How a process claims flights, and what becomes of those that are not saved.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- +goose StatementBegin
-- claim_flights claims the flights next in line for a River client, as River's own
-- fetch does: in the same order, with the same columns written. It leaves to River what
-- is not a flight's job, and claims nothing while the queue is paused.
--
-- It looks behind a keyset cursor for each priority (index 1 to 4): a claimed job leaves
-- its place in the index until that is vacuumed, and to walk over 150,000 dead places
-- costs as much as the half of a save. With a cursor a priority, an urgent flight is
-- found however far the others have got.
CREATE OR REPLACE FUNCTION flightbill.claim_flights(client text, most integer, behind_scheduled_at timestamptz[], behind_id bigint[])
    RETURNS SETOF flightbill.river_job
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
    SET enable_sort = off -- the index has their order
    SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    ids bigint[] := '{}';
BEGIN
    IF EXISTS (SELECT FROM flightbill.river_queue q WHERE q.name = 'flights' AND q.paused_at IS NOT NULL) THEN
        RETURN;
    END IF;
    FOR urgency IN 1..4 LOOP
        ids := ids || ARRAY(
            SELECT n.id FROM flightbill.river_job n
            WHERE n.state = 'available' AND n.queue = 'flights' AND n.priority = urgency AND n.scheduled_at <= now()
                AND (n.scheduled_at, n.id) > (behind_scheduled_at[urgency], behind_id[urgency])
                AND n.kind = 'ingest_flight' AND jsonb_typeof(n.args -> 'flight_id') = 'string' AND flightbill.flight_id_is_valid(n.args ->> 'flight_id')
            ORDER BY n.scheduled_at, n.id
            LIMIT most - cardinality(ids)
            FOR UPDATE SKIP LOCKED);
        EXIT WHEN cardinality(ids) >= most;
    END LOOP;
    IF ids = '{}' THEN
        RETURN;
    END IF;
    RETURN QUERY
    UPDATE flightbill.river_job j
    SET state = 'running', attempt = j.attempt + 1, attempted_at = now(),
        attempted_by = array_append(j.attempted_by[greatest(1, cardinality(j.attempted_by) - 98):], client) -- River keeps 100
    WHERE j.id = ANY (ids)
    RETURNING j.*;
END
$$;
REVOKE ALL ON FUNCTION flightbill.claim_flights FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
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
-- +goose StatementEnd

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP FUNCTION flightbill.end_flight_jobs;
DROP FUNCTION flightbill.claim_flights;
