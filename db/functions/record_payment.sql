-- record_payment records money that moved on a day in the billing zone, and returns the
-- payment's id. An amount above 0 came in; one below 0 went out: what is paid back of an
-- over-payment, and on a credit note. As much may come in as a customer sends: what is more
-- than the invoice is its customer's credit, for flightbill.set_off or to be paid back; and all
-- of what comes in on an invoice that is VOID. No more goes out than is the customer's.
--
-- The same bank_reference with the same amount on the same invoice again is the same
-- payment, though it has been taken back since.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.record_payment(invoice_number text, amount numeric, paid_on date, reference text DEFAULT NULL, bank_reference text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    invoice flightbill.invoices;
    there   record;
    open    numeric;
    payment bigint;
BEGIN
    SELECT * INTO invoice FROM flightbill.invoice_to_settle(invoice_number, record_payment.paid_on);
    record_payment.bank_reference := nullif(btrim(record_payment.bank_reference), '');
    record_payment.reference := nullif(btrim(record_payment.reference), '');
    IF record_payment.paid_on IS NULL THEN
        RAISE EXCEPTION 'invoice % cannot be paid on no day', invoice.number
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the day on which the payment was received.';
    END IF;
    PERFORM flightbill.check_payment(invoice, record_payment.amount);
    record_payment.amount := round(record_payment.amount, flightbill.minor_units(invoice.currency));
    IF char_length(record_payment.reference) > 1000 OR char_length(record_payment.bank_reference) > 200 THEN
        RAISE EXCEPTION 'the payment of invoice % has a reference of % characters', invoice.number, greatest(char_length(record_payment.reference), char_length(record_payment.bank_reference))
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A reference has 1000 characters at most, the bank''s 200.';
    END IF;
    open := flightbill.open_amount(invoice.id);
    -- A reference that is there comes before what is open now: the payment may have used it up.
    IF NOT EXISTS (SELECT FROM flightbill.payments p WHERE p.bank_reference = record_payment.bank_reference) THEN
        IF record_payment.amount > 0 AND invoice.total < 0 THEN
            RAISE EXCEPTION '% is a credit note: its amount goes to the customer', invoice.number
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Money that is paid out is below 0: give ' || -record_payment.amount || '. A payment that came back is taken back by flightbill.reverse_payment.';
        END IF;
        IF record_payment.amount < least(open, 0) THEN
            RAISE EXCEPTION '% cannot be paid out on invoice %: % % of it is the customer''s', -record_payment.amount, invoice.number, -least(open, 0), invoice.currency
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'What is open below 0 on a credit note, or on an invoice that was paid more than once, can be paid out.';
        END IF;
    END IF;
    INSERT INTO flightbill.payments AS p (invoice_id, kind, amount, paid_on, reference, bank_reference)
    VALUES (invoice.id, 'payment', record_payment.amount, record_payment.paid_on, record_payment.reference, record_payment.bank_reference)
    ON CONFLICT (bank_reference) DO NOTHING
    RETURNING p.id INTO payment;
    IF payment IS NULL THEN
        SELECT p.id, p.invoice_id, p.amount, i.number, i.currency INTO STRICT there
        FROM flightbill.payments p JOIN flightbill.invoices i ON i.id = p.invoice_id WHERE p.bank_reference = record_payment.bank_reference;
        IF there.invoice_id <> invoice.id OR there.amount <> record_payment.amount THEN
            RAISE EXCEPTION 'the bank''s reference % is of payment %, of % % on invoice %, and cannot be of % on invoice %', quote_literal(record_payment.bank_reference),
                there.id, there.amount, there.currency, there.number, record_payment.amount, invoice.number
                USING ERRCODE = 'unique_violation', HINT = 'An entry of a bank statement is booked once. To move it, take that payment back with flightbill.reverse_payment, and record it anew without the bank''s reference.';
        END IF;
        RETURN there.id;
    END IF;
    PERFORM flightbill.settle_invoice(invoice.id);
    RETURN payment;
END
$$;
REVOKE ALL ON FUNCTION flightbill.record_payment FROM PUBLIC;
