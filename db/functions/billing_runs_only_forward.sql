CREATE OR REPLACE FUNCTION flightbill.billing_runs_only_forward() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.closes_on <= (SELECT max(closes_on) FROM flightbill.billing_runs) AND NOT EXISTS (
            -- A subscription copies a table as it lies on the disk.
            SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%'
        ) THEN
            RAISE EXCEPTION 'closing date % has been run: the cut-off never moves back', NEW.closes_on;
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.closes_on = OLD.closes_on THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'closing dates have been run: their records cannot be removed';
    END IF;
    RAISE EXCEPTION 'closing date % has been run: its record cannot be changed or removed', OLD.closes_on;
END
$$;
REVOKE ALL ON FUNCTION flightbill.billing_runs_only_forward FROM PUBLIC;
