-- unmark_invoice_paid takes back all that was paid on a PAID invoice, and what was written
-- off, such as a payment that was marked by mistake: the invoice is PENDING again. The
-- reason stands in invoice_events.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.unmark_invoice_paid(invoice_number text, reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
DECLARE
    invoice flightbill.invoices;
    today   date := (now() AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date;
BEGIN
    IF coalesce(btrim(reason), '') = '' THEN
        RAISE EXCEPTION 'the payment of invoice % cannot be taken back without a reason', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why in a few words: they stand in the invoice''s story.';
    END IF;
    SELECT * INTO invoice FROM flightbill.invoice_to_settle(invoice_number);
    IF invoice.status <> 'PAID' THEN
        RAISE EXCEPTION 'invoice % is % and has no payment to take back', invoice_number, invoice.status
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only the payment of a PAID invoice can be taken back so; flightbill.reverse_payment takes any back by its id.';
    END IF;
    INSERT INTO flightbill.payments (invoice_id, kind, amount, paid_on, reverses_id, reason)
    SELECT p.invoice_id, p.kind, -p.amount, today, p.id, btrim(unmark_invoice_paid.reason)
    FROM flightbill.payments p
    WHERE p.invoice_id = invoice.id AND p.kind IN ('payment', 'rounding') AND p.reverses_id IS NULL
        AND NOT EXISTS (SELECT FROM flightbill.payments r WHERE r.reverses_id = p.id)
    ORDER BY p.id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'invoice % is PAID without a payment', invoice_number
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Nothing was due, or it was set against the document that it voids; another set-off is taken back by flightbill.reverse_payment.';
    END IF;
    PERFORM flightbill.settle_invoice(invoice.id, NULL, btrim(unmark_invoice_paid.reason));
END
$$;
REVOKE ALL ON FUNCTION flightbill.unmark_invoice_paid FROM PUBLIC;
