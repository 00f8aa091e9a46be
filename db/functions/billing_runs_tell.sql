-- billing_runs_tell writes a delivery of a finished run for each webhook that wants to
-- know.
CREATE OR REPLACE FUNCTION flightbill.billing_runs_tell() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    told text[];
BEGIN
    WITH made AS (
        INSERT INTO flightbill.deliveries (kind, event, closes_on, webhook_id, target, payload)
        SELECT 'webhook', 'run.finished', NEW.closes_on, w.id, w.target,
            json_build_object('type', 'run.finished', 'timestamp', to_char(NEW.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                'data', json_build_object('closes_on', NEW.closes_on, 'run_date', NEW.run_date, 'trigger', NEW.trigger,
                    'invoices', NEW.invoices, 'charges', NEW.charges, 'held', NEW.held, 'parked', NEW.parked))
        FROM flightbill.webhooks w WHERE w.active AND 'run.finished' = ANY (w.events)
        RETURNING id
    )
    SELECT array_agg(id) INTO told FROM made;
    IF told IS NOT NULL THEN
        PERFORM flightbill.enqueue_deliveries(told);
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.billing_runs_tell FROM PUBLIC;
