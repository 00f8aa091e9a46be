-- What is written of an invoice's taxes makes its totals: nothing is added later.
CREATE OR REPLACE FUNCTION flightbill.invoice_taxes_make_totals() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
DECLARE
    wrong text;
BEGIN
    SELECT coalesce(i.number, 'draft ' || i.id) INTO wrong
    FROM (SELECT DISTINCT n.invoice_id FROM new_rows n) AS d
    JOIN flightbill.invoices i ON i.id = d.invoice_id
    CROSS JOIN LATERAL (SELECT sum(t.base) AS base, sum(t.tax) AS tax FROM flightbill.invoice_taxes t WHERE t.invoice_id = i.id) AS s
    WHERE i.subtotal IS DISTINCT FROM s.base OR i.tax IS DISTINCT FROM s.tax
    LIMIT 1;
    IF FOUND AND NOT EXISTS (
        -- A subscription copies a table as it is, whatever comes first.
        SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%'
    ) THEN
        RAISE EXCEPTION 'the taxes of invoice % do not make its totals', wrong
            USING HINT = 'They are written when it is issued, by flightbill.issue_drafts, and never after.';
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.invoice_taxes_make_totals FROM PUBLIC;
