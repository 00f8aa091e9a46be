-- documents_stay_as_given refuses that a document which was given changes, or goes before
-- remove_documents may remove it.
CREATE OR REPLACE FUNCTION flightbill.documents_stay_as_given() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    retention text := coalesce(current_setting('flightbill.document_retention', true), '');
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF retention <> '' AND OLD.made_at < least(now() - retention::interval, now() - interval '1 year')
            AND pg_get_userbyid((SELECT t.relowner FROM pg_class t WHERE t.oid = TG_RELID)) = current_user
            -- A subscription repeats what was done elsewhere.
            OR EXISTS (SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%') THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the % of invoice % was given to somebody on % and stays as it was', upper(OLD.format),
            (SELECT i.number FROM flightbill.invoices i WHERE i.id = OLD.invoice_id), OLD.made_at::date
        USING HINT = 'flightbill.remove_documents removes what is older than it has to be kept.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.documents_stay_as_given FROM PUBLIC;
