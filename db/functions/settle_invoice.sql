-- settle_invoice has a document's status follow from what is open on it, now that its
-- payments have changed. The caller has locked it. It is PAID as of a time; none: the day
-- of its last payment. taken_back is the reason where a payment was.
--
-- It writes the row each time: else two transactions of REPEATABLE READ would each miss
-- the other's payment.
CREATE OR REPLACE FUNCTION flightbill.settle_invoice(invoice bigint, at timestamptz DEFAULT NULL, taken_back text DEFAULT '') RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
DECLARE
    open numeric := flightbill.open_amount(invoice);
    zone text := coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC');
BEGIN
    -- Where a day's midnight comes twice, Postgres takes the second.
    at := coalesce(at, (
        SELECT least(max(p.paid_on)::timestamp AT TIME ZONE zone, now()) FROM flightbill.payments p
        WHERE p.invoice_id = invoice AND p.reverses_id IS NULL AND NOT EXISTS (SELECT FROM flightbill.payments r WHERE r.reverses_id = p.id)));
    PERFORM set_config('flightbill.payment_taken_back', taken_back, true);
    UPDATE flightbill.invoices i
    SET status = CASE WHEN i.status = 'VOID' THEN 'VOID' WHEN s.settled THEN 'PAID' WHEN i.status = 'PAID' THEN 'PENDING' ELSE i.status END,
        paid_at = CASE WHEN i.status = 'VOID' THEN i.paid_at WHEN s.settled THEN coalesce(i.paid_at, at) END
    FROM (SELECT total = 0 OR sign(open) <> sign(total) AS settled FROM flightbill.invoices WHERE id = invoice) AS s
    WHERE i.id = invoice;
    PERFORM set_config('flightbill.payment_taken_back', '', true);
END
$$;
REVOKE ALL ON FUNCTION flightbill.settle_invoice FROM PUBLIC;
