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
