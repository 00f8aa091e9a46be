-- unmark_invoice_paid takes back a payment that was marked by mistake: the invoice is
-- PENDING again. The reason stands in invoice_events.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.unmark_invoice_paid(invoice_number text, reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    invoice flightbill.invoices;
BEGIN
    IF coalesce(btrim(reason), '') = '' THEN
        RAISE EXCEPTION 'the payment of invoice % cannot be taken back without a reason', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why in a few words: they stand in the invoice''s story.';
    END IF;
    SELECT * INTO invoice FROM flightbill.invoices WHERE number = invoice_number FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'invoice % is not known', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'Give the number as it stands on the invoice, such as ACME-000123; a draft has none.';
    END IF;
    IF invoice.status <> 'PAID' THEN
        RAISE EXCEPTION 'invoice % is % and has no payment to take back', invoice_number, invoice.status
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only the payment of a PAID invoice can be taken back.';
    END IF;
    IF invoice.total = 0 OR invoice.credits_invoice_id IS NOT NULL AND invoice.paid_at = invoice.issued_at THEN
        RAISE EXCEPTION 'invoice % is PAID without a payment', invoice_number
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Nothing was due, or it was set against the document that it voids.';
    END IF;
    PERFORM set_config('flightbill.payment_taken_back', btrim(reason), true);
    UPDATE flightbill.invoices SET status = 'PENDING', paid_at = NULL WHERE id = invoice.id;
    PERFORM set_config('flightbill.payment_taken_back', '', true);
END
$$;
REVOKE ALL ON FUNCTION flightbill.unmark_invoice_paid FROM PUBLIC;
