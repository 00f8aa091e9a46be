-- How a process takes flights from the queue.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- Which flights each process is reading ahead, so that no two read the same. A hint
-- only: any process may take any flight.
CREATE UNLOGGED TABLE flightbill.flights_being_read (
    client text PRIMARY KEY,
    job_ids bigint[] NOT NULL,
    until timestamptz NOT NULL
);

-- +goose StatementBegin
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
-- +goose StatementEnd

-- +goose StatementBegin
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
-- +goose StatementEnd

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP FUNCTION flightbill.flights_to_read;
DROP FUNCTION flightbill.take_flights;
DROP TABLE flightbill.flights_being_read;
