-- enqueue_as_jobs puts many flights in the queue in a few statements, each under the
-- job id that was promised to it; without job ids, under the next ones. A flight of a
-- voided invoice goes back to work where that was asked for; its job is marked,
-- since it is priced from the facts that were kept, and not from the flight
-- source. Else it is refused.
CREATE OR REPLACE FUNCTION flightbill.enqueue_as_jobs(flight_ids text[], job_ids bigint[], priority smallint, process_after timestamptz)
    RETURNS TABLE (enqueued bigint, revived bigint, already_queued bigint, already_billed bigint, refused bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
    SET work_mem = '64MB'    -- half a million flights, without a file
AS $$
#variable_conflict use_column
DECLARE
    bad      text;
    wanted   bigint;
    unbilled text[]; -- sorted, so that two callers with the same flights wait for each other instead of deadlocking
    again    text[]; -- billed before, and to be billed again
    voided   text[]; -- billed before, and neither to be billed again nor to be kept quiet about
    held     bytea[];
    given_up boolean;
    origin   jsonb := jsonb_build_object('enqueued_by', session_user);
    new_ids  bigint[]; -- inserted for flights that had been given up,
    old_ids  bigint[]; -- and their jobs of then
BEGIN
    SELECT f.id INTO bad FROM unnest(flight_ids) AS f (id) WHERE NOT flightbill.flight_id_is_valid(f.id) LIMIT 1;
    IF FOUND THEN
        PERFORM flightbill.refuse_flight_id(bad);
    END IF;

    SELECT count(*), count(b.flight_id), array_agg(f.id ORDER BY f.id COLLATE "C") FILTER (WHERE b.flight_id IS NULL)
    INTO wanted, already_billed, unbilled
    FROM (SELECT DISTINCT u.id FROM unnest(flight_ids) AS u (id)) AS f
    LEFT JOIN flightbill.billed_flights b ON b.flight_id = f.id;
    refused := 0;
    IF already_billed > 0 THEN
        SELECT array_agg(v.flight_id) FILTER (WHERE v.rebill), array_agg(v.flight_id) FILTER (WHERE NOT v.rebill)
        INTO again, voided
        FROM (SELECT flight_id, bool_or(rebill) AS rebill FROM flightbill.voided_flights
              WHERE rebilled_at IS NULL AND flight_id = ANY (flight_ids) GROUP BY flight_id ORDER BY flight_id COLLATE "C") AS v;
        already_billed := already_billed - coalesce(cardinality(again), 0) - coalesce(cardinality(voided), 0);
        unbilled := ARRAY(SELECT u.id FROM unnest(unbilled || again) AS u (id) ORDER BY u.id COLLATE "C");
        IF voided IS NOT NULL THEN
            refused := flightbill.refuse_voided_flights(voided, enqueue_as_jobs.priority);
        END IF;
    END IF;
    given_up := EXISTS (SELECT FROM flightbill.river_job WHERE state IN ('cancelled', 'discarded') AND finalized_at IS NOT NULL
        AND (kind = 'ingest_flight') IS TRUE); -- without IS TRUE, Postgres may walk all jobs of the kind

    enqueued := 0;
    LOOP
        IF again IS NOT NULL THEN
            held := flightbill.hold_flight_jobs(again);
        END IF;
        WITH inserted AS (
            INSERT INTO flightbill.river_job (id, kind, args, queue, priority, max_attempts, scheduled_at, state, unique_key, unique_states, metadata)
            SELECT coalesce(job_ids[array_position(flight_ids, f.flight_id)], nextval('flightbill.river_job_id_seq')),
                'ingest_flight', jsonb_build_object('flight_id', f.flight_id), 'flights', enqueue_as_jobs.priority, 25,
                coalesce(enqueue_as_jobs.process_after, now()),
                CASE WHEN enqueue_as_jobs.process_after > now() THEN 'scheduled'::flightbill.river_job_state ELSE 'available' END,
                flightbill.flight_job_key(f.flight_id), flightbill.flight_job_unique_states(),
                CASE WHEN f.flight_id = ANY (again) THEN origin || '{"billed_before": true}' ELSE origin END
            FROM unnest(unbilled) AS f (flight_id)
            ON CONFLICT (unique_key)
                WHERE unique_key IS NOT NULL AND unique_states IS NOT NULL AND flightbill.river_job_state_in_bitmask(unique_states, state)
                DO NOTHING
            RETURNING id, CASE WHEN again IS NOT NULL THEN unique_key END AS unique_key, CASE WHEN given_up THEN (
                -- Without IS TRUE, Postgres may go through all that River has finished in a day.
                SELECT o.id FROM flightbill.river_job o
                WHERE flightbill.queued_flight(o.kind, o.state, o.args) = river_job.args ->> 'flight_id' AND (o.finalized_at IS NOT NULL) IS TRUE
                ORDER BY o.finalized_at DESC LIMIT 1
            ) END AS given_up_id
        )
        SELECT enqueued + count(*), new_ids || array_agg(id) FILTER (WHERE given_up_id IS NOT NULL),
            old_ids || array_agg(given_up_id) FILTER (WHERE given_up_id IS NOT NULL), held || array_agg(unique_key) FILTER (WHERE again IS NOT NULL)
        INTO enqueued, new_ids, old_ids, held
        FROM inserted;
        -- A job that came between the two statements is neither held nor new.
        again := ARRAY(SELECT u.id FROM unnest(again) AS u (id) WHERE flightbill.flight_job_key(u.id) <> ALL (coalesce(held, '{}')));
        EXIT WHEN again = '{}';
        unbilled := again;
    END LOOP;

    revived := 0;
    IF old_ids IS NOT NULL THEN
        revived := flightbill.revive_flight_jobs(new_ids, old_ids);
    END IF;
    enqueued := enqueued - revived;
    already_queued := wanted - already_billed - enqueued - revived - refused;
    IF enqueued + revived > 0 AND (enqueue_as_jobs.process_after IS NULL OR enqueue_as_jobs.process_after <= now()) THEN
        PERFORM flightbill.announce_flights();
    END IF;
    RETURN NEXT;
END
$$;
REVOKE ALL ON FUNCTION flightbill.enqueue_as_jobs FROM PUBLIC;
