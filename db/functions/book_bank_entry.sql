-- book_bank_entry books an entry, or an amount of it, on an invoice; a debit as what was
-- paid out on a credit note or of an over-payment. It returns the payment's id.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.book_bank_entry(entry_id bigint, invoice_number text, amount numeric DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    entry    flightbill.bank_entries;
    rest     numeric;
    currency text;
    payment  bigint;
BEGIN
    LOCK TABLE flightbill.bank_entries IN ROW EXCLUSIVE MODE; -- what the update takes, before any invoice: see add_bank_entries
    SELECT * INTO entry FROM flightbill.bank_entries b WHERE b.id = entry_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'entry % of the bank is not known', coalesce(entry_id::text, 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'flightbill bank list shows the entries with their ids.';
    END IF;
    -- Somebody may have taken a payment back, or be doing so.
    PERFORM FROM flightbill.payments p JOIN flightbill.invoices i ON i.id = p.invoice_id
    WHERE p.id = ANY (entry.payment_ids) OR i.number = invoice_number ORDER BY i.id FOR NO KEY UPDATE OF i;
    SELECT i.currency INTO currency FROM flightbill.invoices i WHERE i.number = invoice_number;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'invoice % is not known', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'Give the number as it stands on the invoice, such as ACME-000123; a draft has none.';
    END IF;
    IF currency <> entry.currency THEN
        RAISE EXCEPTION 'entry % of the bank is of % %, and invoice % is in %', entry_id, entry.amount, entry.currency, invoice_number, currency
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Record what it came to in ' || currency || ' with flightbill.record_payment, and ignore the entry.';
    END IF;
    rest := flightbill.bank_entry_left(entry);
    book_bank_entry.amount := coalesce(book_bank_entry.amount, rest);
    IF rest = 0 THEN
        RAISE EXCEPTION 'entry % of the bank is booked already, as payment %', entry_id, array_to_string(entry.payment_ids, ', ')
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Take the payment back first.';
    END IF;
    IF book_bank_entry.amount = 0 OR sign(book_bank_entry.amount) <> sign(rest) OR abs(book_bank_entry.amount) > abs(rest) THEN
        RAISE EXCEPTION '% of entry % of the bank cannot be booked: % % of it is left', book_bank_entry.amount, entry_id, rest, entry.currency
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give at most what is left, with its sign; or no amount.';
    END IF;
    payment := flightbill.record_payment(invoice_number, book_bank_entry.amount, entry.booked_on, left(entry.text, 1000),
        flightbill.bank_entry_reference(entry, cardinality(entry.payment_ids) + 1));
    rest := rest - book_bank_entry.amount;
    UPDATE flightbill.bank_entries b
    SET payment_ids = b.payment_ids || payment, state = CASE WHEN rest = 0 THEN 'booked' ELSE 'unmatched' END,
        reason = CASE WHEN rest <> 0 THEN round(rest, greatest(flightbill.minor_units(currency), min_scale(rest))) || ' ' || currency || ' of it is left to book' END
    WHERE b.id = entry_id;
    RETURN payment;
END
$$;
REVOKE ALL ON FUNCTION flightbill.book_bank_entry FROM PUBLIC;
