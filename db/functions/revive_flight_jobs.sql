-- revive_flight_jobs puts jobs that were cancelled or discarded back to work,
-- each in place of the new job that was inserted for its flight. The new rows
-- hold the unique keys until the transaction ends, so nobody else can take them
-- while the old rows come back. The flight stays with who enqueued it first: else anybody
-- could take over what others have enqueued, and then take it back. An old job that has been taken back or retried
-- meanwhile is left alone, and its flight keeps the new one. Returns how many
-- came back.
CREATE OR REPLACE FUNCTION flightbill.revive_flight_jobs(new_ids bigint[], old_ids bigint[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan -- one made for few jobs goes through all of them once they are many
AS $$
DECLARE
    replaced bigint[];
    revived  bigint[];
BEGIN
    WITH back AS (
        UPDATE flightbill.river_job o
        SET state = n.state,
            finalized_at = NULL,
            scheduled_at = n.scheduled_at,
            priority = n.priority,
            queue = n.queue,
            attempt = 0, -- a run lets it have its first try like a new one
            max_attempts = n.max_attempts,
            created_at = n.created_at,
            metadata = (o.metadata - '{waiting,reason,snoozes,cancel_attempted_at,river:rescue_count}'::text[]) || (n.metadata - 'enqueued_by'),
            unique_key = NULL, -- until the new row is gone
            unique_states = n.unique_states
        FROM unnest(new_ids, old_ids) AS pair (new_id, old_id)
        JOIN flightbill.river_job n ON n.id = pair.new_id
        WHERE o.id = pair.old_id AND o.state::text IN ('cancelled', 'discarded') -- as text: they are found by their ids
        RETURNING n.id AS new_id, o.id AS old_id
    )
    SELECT array_agg(new_id), array_agg(old_id) INTO replaced, revived FROM back;
    DELETE FROM flightbill.river_job WHERE id = ANY (replaced);
    UPDATE flightbill.river_job SET unique_key = flightbill.flight_job_key(args ->> 'flight_id') WHERE id = ANY (revived);
    RETURN coalesce(cardinality(revived), 0);
END
$$;
REVOKE ALL ON FUNCTION flightbill.revive_flight_jobs FROM PUBLIC;
