-- refuse_voided_flights has flights in the queue as given up, each with the
-- reason why it is not billed again. One that is queued already stays as it is.
-- Returns how many were refused.
CREATE OR REPLACE FUNCTION flightbill.refuse_voided_flights(flight_ids text[], priority smallint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    before  jsonb; -- who had enqueued them
    refused bigint;
BEGIN
    WITH gone AS (
        DELETE FROM flightbill.river_job j
        WHERE j.id = ANY (ARRAY(
            SELECT o.id FROM flightbill.river_job o
            WHERE flightbill.queued_flight(o.kind, o.state, o.args) = ANY (flight_ids) AND o.state IN ('cancelled', 'discarded')
            ORDER BY o.id FOR UPDATE))
        RETURNING j.args ->> 'flight_id' AS flight_id, j.metadata -> 'enqueued_by' AS enqueued_by
    )
    SELECT coalesce(jsonb_object_agg(gone.flight_id, gone.enqueued_by), '{}') INTO before FROM gone;
    INSERT INTO flightbill.river_job (kind, args, queue, priority, max_attempts, state, finalized_at, errors, metadata, unique_key, unique_states)
    SELECT 'ingest_flight', jsonb_build_object('flight_id', f.flight_id), 'flights', refuse_voided_flights.priority, 25, 'cancelled', now(),
        ARRAY[jsonb_build_object('at', now(), 'attempt', 0, 'trace', '', 'error', 'JobCancelError: ' || flightbill.voided_flight_message(f.flight_id, false))],
        jsonb_build_object('billed_before', true, 'reason', 'invoice_voided',
            'enqueued_by', CASE WHEN before ? f.flight_id THEN before -> f.flight_id ELSE to_jsonb(session_user) END,
            'said', flightbill.voided_flight_message(f.flight_id, true)),
        flightbill.flight_job_key(f.flight_id), flightbill.flight_job_unique_states()
    FROM unnest(flight_ids) AS f (flight_id)
    WHERE NOT EXISTS (SELECT FROM flightbill.river_job j WHERE flightbill.queued_flight(j.kind, j.state, j.args) = f.flight_id);
    GET DIAGNOSTICS refused = ROW_COUNT;
    RETURN refused;
END
$$;
REVOKE ALL ON FUNCTION flightbill.refuse_voided_flights FROM PUBLIC;
