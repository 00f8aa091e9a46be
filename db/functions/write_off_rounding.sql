-- write_off_rounding settles a small rest that nobody asks for, or gives back: at most 100
-- of the currency's minor units, which is 1.00 EUR, 100 JPY or 0.100 KWD. It returns the
-- payment's id.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.write_off_rounding(invoice_number text, reason text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    invoice flightbill.invoices;
    open    numeric;
    most    numeric;
    payment bigint;
BEGIN
    IF coalesce(btrim(write_off_rounding.reason), '') = '' THEN
        RAISE EXCEPTION 'nothing of invoice % can be written off without a reason', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why in a few words: they stand in the invoice''s story.';
    END IF;
    SELECT * INTO invoice FROM flightbill.invoice_to_settle(invoice_number);
    open := flightbill.open_amount(invoice.id);
    most := round(100 / 10::numeric ^ flightbill.minor_units(invoice.currency), flightbill.minor_units(invoice.currency));
    IF open = 0 OR abs(open) > most THEN
        RAISE EXCEPTION '% % is open on invoice % and cannot be written off', open, invoice.currency, invoice.number
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'A rest of at most ' || most || ' ' || invoice.currency || ' can be. An invoice that was wrong is voided.';
    END IF;
    INSERT INTO flightbill.payments AS p (invoice_id, kind, amount, paid_on, reason)
    VALUES (invoice.id, 'rounding', open, (now() AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date, btrim(write_off_rounding.reason))
    RETURNING p.id INTO payment;
    PERFORM flightbill.settle_invoice(invoice.id);
    RETURN payment;
END
$$;
REVOKE ALL ON FUNCTION flightbill.write_off_rounding FROM PUBLIC;
