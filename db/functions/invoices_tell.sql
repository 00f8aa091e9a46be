-- invoices_tell writes a delivery for each webhook that wants to know of an invoice's new
-- status, and for each address to which an issued one is mailed. What they say is as of
-- now: a later try says the same. It costs nothing where nobody listens.
--
-- It runs with its owner's rights: nobody else need write deliveries, nor can forge one.
CREATE OR REPLACE FUNCTION flightbill.invoices_tell() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    wanted text[] := ARRAY(SELECT DISTINCT e.event FROM flightbill.webhooks w, unnest(w.events) AS e (event) WHERE w.active);
    issuer record;
    zone   text;
    told   text[];
BEGIN
    SELECT i.name, i.mail_from, i.language INTO issuer FROM flightbill.issuers i ORDER BY i.id DESC LIMIT 1;
    IF wanted = '{}' AND issuer.mail_from IS NULL THEN
        RETURN NULL;
    END IF;
    zone := coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC');
    WITH events AS (
        SELECT e.event, n.id, c.emails, c.language,
            to_char((CASE e.event WHEN 'invoice.issued' THEN n.issued_at ELSE now() END) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at,
            json_build_object('number', n.number, 'customer', c.code, 'kind', n.kind,
                'status', CASE e.event WHEN 'invoice.issued' THEN 'PENDING' ELSE n.status END, 'currency', n.currency,
                'subtotal', n.subtotal::text, 'tax', n.tax::text, 'total', n.total::text,
                'issued_on', n.issued_on, 'due_on', CASE WHEN n.kind <> 'credit_note' THEN n.due_on END, 'closes_on', n.closes_on,
                'paid_on', CASE e.event WHEN 'invoice.paid' THEN (n.paid_at AT TIME ZONE zone)::date END,
                'credits', (SELECT v.number FROM flightbill.invoices v WHERE v.id = n.credits_invoice_id),
                'voided_by', CASE e.event WHEN 'invoice.voided' THEN (SELECT v.number FROM flightbill.invoices v WHERE v.credits_invoice_id = n.id) END) AS data
        FROM new_rows n JOIN old_rows o USING (id) JOIN flightbill.customers c ON c.id = n.customer_id
        CROSS JOIN LATERAL (
            SELECT 'invoice.issued' WHERE o.status = 'DRAFT'
            UNION ALL
            SELECT CASE n.status WHEN 'OVERDUE' THEN 'invoice.overdue' WHEN 'PAID' THEN 'invoice.paid' WHEN 'VOID' THEN 'invoice.voided' END
        ) AS e (event)
        WHERE n.status <> o.status AND (e.event = ANY (wanted) OR e.event = 'invoice.issued' AND issuer.mail_from IS NOT NULL AND c.emails <> '{}')
    ), made AS (
        INSERT INTO flightbill.deliveries (kind, event, invoice_id, webhook_id, target, payload)
        SELECT 'webhook', e.event, e.id, w.id, w.target, json_build_object('type', e.event, 'timestamp', e.at, 'data', e.data)
        FROM events e JOIN flightbill.webhooks w ON w.active AND e.event = ANY (w.events)
        UNION ALL
        SELECT DISTINCT ON (e.id, address) 'mail', e.event, e.id, NULL, address, json_build_object('from', issuer.mail_from, 'from_name', issuer.name,
            'language', coalesce(e.language, issuer.language), 'data', e.data)
        FROM events e CROSS JOIN LATERAL unnest(e.emails) AS address
        WHERE e.event = 'invoice.issued' AND issuer.mail_from IS NOT NULL
        RETURNING id
    )
    SELECT array_agg(id) INTO told FROM made;
    IF told IS NOT NULL THEN
        PERFORM flightbill.enqueue_deliveries(told);
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.invoices_tell FROM PUBLIC;
