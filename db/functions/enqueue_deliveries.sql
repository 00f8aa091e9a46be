-- enqueue_deliveries inserts the jobs of deliveries, each under the job id that its
-- delivery has, as River's own client does, and wakes its workers.
CREATE OR REPLACE FUNCTION flightbill.enqueue_deliveries(delivery_ids text[]) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
    INSERT INTO flightbill.river_job (id, kind, args, queue, priority, max_attempts, scheduled_at, state, metadata)
    SELECT d.job_id, 'deliver', jsonb_build_object('delivery_id', d.id), 'deliveries', 1, 25, now(), 'available', '{}'
    FROM flightbill.deliveries d WHERE d.id = ANY (delivery_ids);
    SELECT pg_notify('flightbill.river_insert', '{"queue": "deliveries"}') WHERE current_setting('flightbill.notify', true) IS DISTINCT FROM 'off';
$$;
REVOKE ALL ON FUNCTION flightbill.enqueue_deliveries FROM PUBLIC;
