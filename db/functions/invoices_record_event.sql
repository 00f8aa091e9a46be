-- It runs with its owner's rights: nobody else need write events, nor can forge one.
CREATE OR REPLACE FUNCTION flightbill.invoices_record_event() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO flightbill.invoice_events (invoice_id, at, from_status, to_status)
        SELECT id, opened_at, NULL, status FROM new_rows;
    ELSE
        INSERT INTO flightbill.invoice_events (invoice_id, at, from_status, to_status, note)
        SELECT n.id, CASE WHEN n.status = 'DRAFT' THEN coalesce(n.parked_at, now()) WHEN o.status = 'DRAFT' THEN n.issued_at ELSE now() END,
            o.status, n.status,
            CASE
                WHEN n.status = 'DRAFT' THEN coalesce('parked: ' || n.parked_reason, 'no longer parked')
                WHEN n.status = 'PAID' AND n.total = 0 THEN 'nothing due'
                WHEN n.status = 'PAID' AND n.credits_invoice_id IS NOT NULL AND n.paid_at = n.issued_at
                    THEN 'set against ' || (SELECT c.number FROM flightbill.invoices c WHERE c.id = n.credits_invoice_id)
                WHEN n.status = 'PENDING' AND o.status = 'PAID' THEN 'payment of ' || (o.paid_at AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date
                    || ' taken back: ' || coalesce(current_setting('flightbill.payment_taken_back', true), '')
                WHEN n.status = 'PAID' THEN coalesce((
                    SELECT CASE p.kind WHEN 'set_off' THEN 'set against ' || (SELECT c.number FROM flightbill.invoices c WHERE c.id = p.other_id) || ', settled on '
                        WHEN 'rounding' THEN 'rest of ' || p.amount || ' written off (' || p.reason || '), settled on ' END
                    FROM flightbill.payments p WHERE p.invoice_id = n.id ORDER BY p.invoice_id DESC, p.id DESC LIMIT 1), 'paid on ') || (n.paid_at AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date
                WHEN n.status = 'VOID' THEN (SELECT c.number || ': ' || c.reason FROM flightbill.invoices c WHERE c.credits_invoice_id = n.id)
                WHEN n.reason IS NOT NULL AND o.status = 'DRAFT' THEN coalesce((
                    SELECT 'voids ' || c.number || CASE WHEN p.paid = c.total AND p.paid <> 0 THEN ', which was paid: the amount is owed back'
                            WHEN p.paid <> 0 THEN ', of which ' || p.paid || ' was paid: that is owed back' ELSE '' END || ': '
                    FROM flightbill.invoices c CROSS JOIN LATERAL (SELECT coalesce(sum(p.amount), 0) AS paid FROM flightbill.payments p WHERE p.invoice_id = c.id) AS p
                    WHERE c.id = n.credits_invoice_id), '') || n.reason
                WHEN o.parked_at IS NOT NULL THEN 'no longer parked'
            END
        FROM new_rows n JOIN old_rows o USING (id)
        WHERE n.status <> o.status OR n.parked_reason IS DISTINCT FROM o.parked_reason;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.invoices_record_event FROM PUBLIC;
