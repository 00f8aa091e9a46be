-- Taken back is by whom it was enqueued, or by who looks after the queue.
CREATE OR REPLACE FUNCTION flightbill.flight_processing_queue_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
    SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    DELETE FROM flightbill.river_job WHERE id = OLD.job_id AND kind = 'ingest_flight' AND state NOT IN ('running', 'completed')
        AND (metadata ->> 'enqueued_by' = session_user OR flightbill.is_queue_admin());
    RETURN CASE WHEN FOUND THEN OLD END;
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_delete FROM PUBLIC;
