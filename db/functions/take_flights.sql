-- take_flights takes the flights next in line for a River client, as River's own
-- query does, which is planned anew at each call: 0.3 ms. It takes at most `most`;
-- with `instead_of`, at most as many as there are completed ones among these jobs,
-- so that who takes in the transaction that completes never has more in work
-- than before. It looks behind one place in the line: those taken leave theirs in
-- the index until it is vacuumed, and to walk over 150,000 of them takes half as
-- long again as to take and complete 25 flights. Before them it takes the first of
-- those that are `read`.
CREATE OR REPLACE FUNCTION flightbill.take_flights(
    client text, most integer, instead_of bigint[] DEFAULT NULL,
    behind_priority smallint DEFAULT 0, behind_scheduled_at timestamptz DEFAULT '-infinity', behind_id bigint DEFAULT 0,
    read bigint[] DEFAULT NULL
) RETURNS SETOF flightbill.river_job
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
    IF instead_of IS NULL THEN
        PERFORM set_config('synchronous_commit', 'off', true); -- what a crash takes back is taken again
    ELSE
        most := least(most, (SELECT count(*) FROM flightbill.river_job j WHERE j.id = ANY (instead_of) AND j.state = 'completed'));
    END IF;
    IF read IS NOT NULL THEN
        ids := ARRAY(
            SELECT n.id FROM flightbill.river_job n
            -- The state as text: they are found by their ids.
            WHERE n.id = ANY (read[:most]) AND n.state::text = 'available' AND n.queue = 'flights' AND n.scheduled_at <= now()
            FOR UPDATE SKIP LOCKED);
    END IF;
    IF cardinality(ids) < most THEN
        ids := ids || ARRAY(
            SELECT n.id FROM flightbill.river_job n
            WHERE n.state = 'available' AND n.queue = 'flights' AND n.scheduled_at <= now()
                AND (n.priority, n.scheduled_at, n.id) > (behind_priority, behind_scheduled_at, behind_id)
                AND n.id <> ALL (ids)
            ORDER BY n.priority, n.scheduled_at, n.id
            LIMIT most - cardinality(ids)
            FOR UPDATE SKIP LOCKED);
    END IF;
    RETURN QUERY
    UPDATE flightbill.river_job j
    SET state = 'running', attempt = j.attempt + 1, attempted_at = now(),
        attempted_by = array_append(j.attempted_by[greatest(1, cardinality(j.attempted_by) - 98):], client) -- River keeps 100
    WHERE j.id = ANY (ids)
    RETURNING j.*;
END
$$;
REVOKE ALL ON FUNCTION flightbill.take_flights FROM PUBLIC;
