-- enqueue_flights puts many flights in the queue. Its priority is a bigint, so that an
-- integer of any size that a client sends is taken.
CREATE OR REPLACE FUNCTION flightbill.enqueue_flights(flight_ids text[], priority bigint DEFAULT 1, process_after timestamptz DEFAULT NULL)
    RETURNS TABLE (enqueued bigint, revived bigint, already_queued bigint, already_billed bigint, refused bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    IF enqueue_flights.priority IS NULL OR enqueue_flights.priority NOT BETWEEN 1 AND 4 THEN
        RAISE EXCEPTION 'flights cannot be enqueued with priority %', coalesce(enqueue_flights.priority::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A priority is 1 (first) to 4 (last).';
    END IF;
    IF NOT isfinite(enqueue_flights.process_after) THEN
        RAISE EXCEPTION 'flights cannot be enqueued for %', enqueue_flights.process_after
            USING ERRCODE = 'invalid_parameter_value', HINT = 'process_after is a moment in time; leave it out for at once.';
    END IF;
    RETURN QUERY SELECT * FROM flightbill.enqueue_as_jobs(flight_ids, NULL, enqueue_flights.priority::smallint, enqueue_flights.process_after);
END
$$;
REVOKE ALL ON FUNCTION flightbill.enqueue_flights FROM PUBLIC;
GRANT EXECUTE ON FUNCTION flightbill.enqueue_flights TO flightbill_enqueuer, flightbill_queue_admin;
