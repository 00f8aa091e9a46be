-- flights_to_read finds the flights next in line, behind one place in it, that no
-- other client is reading, and notes that this one is, beside those it has `kept`.
-- `shared`: another client reads as well. While none does it notes once a second:
-- what was noted stands in the way until it is vacuumed.
CREATE OR REPLACE FUNCTION flightbill.flights_to_read(
    client text, kept bigint[], most integer, behind_priority smallint, behind_scheduled_at timestamptz, behind_id bigint
) RETURNS TABLE (job_id bigint, flight_id text, priority smallint, scheduled_at timestamptz, since timestamptz, shared boolean)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
    SET enable_sort = off -- the index has their order
    SET plan_cache_mode = force_generic_plan
    SET lock_timeout = '200ms' -- then nothing is read ahead for a second
AS $$
#variable_conflict use_column
DECLARE
    others bigint[];
BEGIN
    -- One after the other: two at once would find the same.
    PERFORM pg_advisory_xact_lock('flightbill.flights_being_read'::regclass::bigint);
    others := ARRAY(SELECT unnest(r.job_ids) FROM flightbill.flights_being_read r WHERE r.client <> flights_to_read.client AND r.until > now());
    RETURN QUERY
    WITH next AS (
        SELECT n.id, coalesce(n.args ->> 'flight_id', ''), n.priority, n.scheduled_at, greatest(n.scheduled_at, n.created_at), others <> '{}'
        FROM flightbill.river_job n
        WHERE n.state = 'available' AND n.queue = 'flights' AND n.kind = 'ingest_flight' AND n.scheduled_at <= now()
            AND (n.priority, n.scheduled_at, n.id) > (behind_priority, behind_scheduled_at, behind_id)
            AND n.id NOT IN (SELECT unnest(others)) -- hashed, which <> ALL is not
        ORDER BY n.priority, n.scheduled_at, n.id
        LIMIT most
    ), noted AS (
        INSERT INTO flightbill.flights_being_read
        SELECT flights_to_read.client, ARRAY(SELECT unnest(kept) UNION SELECT next.id FROM next), now() + interval '5 seconds'
        WHERE others <> '{}' OR NOT EXISTS (
            SELECT FROM flightbill.flights_being_read r WHERE r.client = flights_to_read.client AND r.until > now() + interval '4 seconds')
        ON CONFLICT ON CONSTRAINT flights_being_read_pkey DO UPDATE SET job_ids = excluded.job_ids, until = excluded.until
    )
    SELECT * FROM next;
    DELETE FROM flightbill.flights_being_read r WHERE r.until < now();
END
$$;
REVOKE ALL ON FUNCTION flightbill.flights_to_read FROM PUBLIC;
