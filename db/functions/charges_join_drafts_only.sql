CREATE OR REPLACE FUNCTION flightbill.charges_join_drafts_only() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    issued text;
BEGIN
    SELECT i.number INTO issued
    FROM new_rows n JOIN flightbill.invoices i ON i.id = n.invoice_id
    WHERE i.status <> 'DRAFT' LIMIT 1;
    IF FOUND AND NOT EXISTS (
        -- A subscription copies a table as it is, whatever comes first.
        SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%'
    ) THEN
        RAISE EXCEPTION 'invoice % has been issued: no charge can be added to it', issued
            USING HINT = 'A charge that comes late goes on the customer''s next draft.';
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.charges_join_drafts_only FROM PUBLIC;
