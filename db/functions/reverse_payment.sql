-- reverse_payment takes a payment, a set-off or a write-off back, as of today: a row of the
-- opposite amount, of a set-off on both documents. An invoice on which something is open
-- then is PENDING again, and OVERDUE with the next run. It returns the new row's id.
--
-- Money that was paid on an invoice that is VOID by now had become the credit of what voids
-- it: that is set off again, as far as it is there still.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.reverse_payment(payment_id bigint, reason text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    payment  flightbill.payments;
    partner  flightbill.payments; -- of a set-off
    invoice  flightbill.invoices;
    note     flightbill.invoices; -- what voids it
    today    date := (now() AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date;
    rest     numeric;
    reversal bigint;
BEGIN
    IF coalesce(btrim(reverse_payment.reason), '') = '' THEN
        RAISE EXCEPTION 'payment % cannot be taken back without a reason', coalesce(payment_id::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why in a few words: they stand in the invoice''s story.';
    END IF;
    SELECT * INTO payment FROM flightbill.payments p WHERE p.id = payment_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'payment % is not known', coalesce(payment_id::text, 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'flightbill payments list shows the ids.';
    END IF;
    IF payment.reverses_id IS NOT NULL THEN
        RAISE EXCEPTION 'payment % takes payment % back and cannot be taken back itself', payment.id, payment.reverses_id
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Record the payment anew.';
    END IF;
    PERFORM FROM flightbill.invoices i
    WHERE i.id IN (payment.invoice_id, payment.other_id) OR i.credits_invoice_id IN (payment.invoice_id, payment.other_id)
    ORDER BY i.id FOR NO KEY UPDATE;
    SELECT * INTO invoice FROM flightbill.invoices i WHERE i.id = payment.invoice_id;
    SELECT p.id INTO reversal FROM flightbill.payments p WHERE p.reverses_id = payment.id;
    IF FOUND THEN
        RAISE EXCEPTION 'payment % of invoice % has been taken back already, by %', payment.id, invoice.number, reversal
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Nothing is left to do.';
    END IF;
    SELECT * INTO note FROM flightbill.invoices i WHERE i.credits_invoice_id = invoice.id;
    IF payment.kind = 'set_off' THEN
        IF payment.other_id = note.id OR payment.other_id = invoice.credits_invoice_id THEN
            RAISE EXCEPTION 'payment % sets invoice % against the document that voids it, and stays', payment.id, coalesce((SELECT i.number FROM flightbill.invoices i WHERE i.id = invoice.credits_invoice_id), invoice.number)
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'An invoice that is VOID has nothing open. Have its flights billed again instead.';
        END IF;
        -- Of several in one transaction any will do: they are the same in all.
        SELECT * INTO STRICT partner FROM flightbill.payments p
        WHERE p.invoice_id = payment.other_id AND p.other_id = payment.invoice_id AND p.amount = -payment.amount AND p.recorded_at = payment.recorded_at
            AND p.reverses_id IS NULL AND NOT EXISTS (SELECT FROM flightbill.payments r WHERE r.reverses_id = p.id)
        ORDER BY abs(p.id - payment.id) LIMIT 1;
    END IF;
    INSERT INTO flightbill.payments AS p (invoice_id, kind, amount, paid_on, other_id, reverses_id, reason)
    VALUES (payment.invoice_id, payment.kind, -payment.amount, today, payment.other_id, payment.id, btrim(reverse_payment.reason))
    RETURNING p.id INTO reversal;
    PERFORM flightbill.settle_invoice(invoice.id, NULL, btrim(reverse_payment.reason));
    IF partner.id IS NOT NULL THEN
        INSERT INTO flightbill.payments (invoice_id, kind, amount, paid_on, other_id, reverses_id, reason)
        VALUES (partner.invoice_id, partner.kind, -partner.amount, today, partner.other_id, partner.id, btrim(reverse_payment.reason));
        PERFORM flightbill.settle_invoice(partner.invoice_id, NULL, btrim(reverse_payment.reason));
    END IF;
    FOR invoice IN
        SELECT i.* FROM flightbill.invoices i WHERE i.id IN (payment.invoice_id, payment.other_id) AND i.status = 'VOID' ORDER BY i.id
    LOOP
        SELECT * INTO note FROM flightbill.invoices i WHERE i.credits_invoice_id = invoice.id;
        rest := flightbill.open_amount(invoice.id);
        IF rest <> 0 AND sign(rest) <> -sign(invoice.total) AND sign(flightbill.open_amount(note.id)) = -sign(rest) THEN
            PERFORM flightbill.set_off_pair(invoice.id, note.id, sign(rest) * least(abs(rest), abs(flightbill.open_amount(note.id))));
        END IF;
    END LOOP;
    RETURN reversal;
END
$$;
REVOKE ALL ON FUNCTION flightbill.reverse_payment FROM PUBLIC;
