-- void_invoice undoes an issued invoice: a credit note with the negative of each of
-- its lines, issued at once, and status VOID. It returns the credit note's number.
-- With rebill the invoice's flights go back to the queue, in the same transaction; payer
-- is as in rebill_invoice.
-- A credit note that stands for a period is undone by an invoice in the same way.
--
-- What is open on the original is set off against the credit note: one for an unpaid
-- invoice is PAID at once. What had been paid stays open on it, and it PENDING: it is the
-- customer's credit, until it is paid back or set off.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.void_invoice(invoice_number text, reason text, rebill boolean DEFAULT false, payer text DEFAULT 'billed') RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    original flightbill.invoices;
    note     flightbill.invoices; -- the credit note, or the invoice that undoes one
    today    date := (now() AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date;
    flights  text[];
    billed_elsewhere text;
    open     numeric;
BEGIN
    IF coalesce(btrim(void_invoice.reason), '') = '' THEN
        RAISE EXCEPTION 'invoice % cannot be voided without a reason', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why in a few words: they stand on the credit note.';
    END IF;
    SELECT * INTO original FROM flightbill.invoices i WHERE i.number = invoice_number;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'invoice % is not known', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'no_data_found',
                HINT = 'Give the number as it stands on the invoice, such as ACME-000123; a draft has none: it is no invoice yet, and there is nothing to void.';
    END IF;
    -- In the order of all: the customer, the invoice, its flights; each looked at
    -- in a statement after the one that locked it.
    PERFORM FROM flightbill.customers c WHERE c.id = original.customer_id FOR NO KEY UPDATE;
    PERFORM FROM flightbill.invoices i WHERE i.id = original.id FOR UPDATE;
    SELECT * INTO original FROM flightbill.invoices i WHERE i.id = original.id;
    IF original.kind = 'credit_note' AND original.closes_on IS NULL THEN
        RAISE EXCEPTION '% is a credit note and cannot be voided', invoice_number
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Have its flights billed again instead, or corrected.';
    END IF;
    IF original.status = 'VOID' THEN
        SELECT * INTO note FROM flightbill.invoices i WHERE i.credits_invoice_id = original.id;
        RAISE EXCEPTION 'invoice % is VOID already, by % of %', invoice_number, note.number, note.issued_on
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'To have its flights billed again, call flightbill.rebill_invoice.';
    END IF;

    SELECT array_agg(DISTINCT c.flight_id) INTO flights FROM flightbill.charges c WHERE c.invoice_id = original.id AND c.flight_id IS NOT NULL;
    PERFORM FROM flightbill.billed_flights b WHERE b.flight_id = ANY (flights) ORDER BY b.flight_id FOR UPDATE;
    IF NOT coalesce(void_invoice.rebill, false) THEN
        SELECT c.flight_id || ' (' || string_agg(DISTINCT coalesce(i.number, 'draft ' || i.id), ', ') || ')' INTO billed_elsewhere
        FROM flightbill.charges c JOIN flightbill.invoices i ON i.id = c.invoice_id
        WHERE c.flight_id = ANY (flights) AND i.id <> original.id AND i.currency = original.currency
        GROUP BY c.flight_id
        HAVING sum(c.amount) <> 0 OR sum(c.tax_amount) <> 0
        ORDER BY c.flight_id LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'invoice % cannot be voided without billing its flights again: flight % has charges elsewhere too', invoice_number, billed_elsewhere
                USING ERRCODE = 'object_not_in_prerequisite_state',
                    HINT = 'It was corrected. Void the invoice with rebill => true, which sets that right as well.';
        END IF;
    END IF;

    -- A rest that was written off was not paid, and is not owed back.
    INSERT INTO flightbill.payments (invoice_id, kind, amount, paid_on, reverses_id, reason)
    SELECT p.invoice_id, p.kind, -p.amount, today, p.id, btrim(void_invoice.reason)
    FROM flightbill.payments p
    WHERE p.invoice_id = original.id AND p.kind = 'rounding' AND p.reverses_id IS NULL
        AND NOT EXISTS (SELECT FROM flightbill.payments r WHERE r.reverses_id = p.id)
    ORDER BY p.id;

    INSERT INTO flightbill.invoices (customer_id, kind, currency, opened_at, credits_invoice_id, reason, outside_scope)
    VALUES (original.customer_id, CASE original.kind WHEN 'credit_note' THEN 'consolidated' ELSE 'credit_note' END, original.currency, now(), original.id, btrim(void_invoice.reason), original.outside_scope)
    RETURNING * INTO note;
    INSERT INTO flightbill.charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on, detail,
        tax_category, tax_reason, unit_code, account, interest_on, interest_through)
    SELECT note.id, c.flight_id, c.tariff_id, c.code, c.description, -c.quantity, c.unit_rate, -c.amount, c.tax_rate, -c.tax_amount, c.flown_on, c.detail,
        c.tax_category, c.tax_reason, c.unit_code, c.account, c.interest_on, c.interest_through
    FROM flightbill.charges c WHERE c.invoice_id = original.id ORDER BY c.id;
    PERFORM flightbill.issue_drafts(ARRAY[note.id], now(), today);
    UPDATE flightbill.invoices i SET status = 'VOID' WHERE i.id = original.id;
    open := flightbill.open_amount(original.id);
    IF open <> 0 THEN
        PERFORM flightbill.set_off_pair(original.id, note.id, open, now());
    END IF;
    SELECT * INTO note FROM flightbill.invoices i WHERE i.id = note.id;
    -- Interest on it that is on a draft still is taken back there.
    INSERT INTO flightbill.charges (invoice_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on, detail,
        tax_category, tax_reason, unit_code, account, interest_on, interest_through)
    SELECT c.invoice_id, c.code, c.description, -c.quantity, c.unit_rate, -c.amount, c.tax_rate, -c.tax_amount, c.flown_on, c.detail,
        c.tax_category, c.tax_reason, c.unit_code, c.account, c.interest_on, c.interest_through
    FROM flightbill.charges c JOIN flightbill.invoices d ON d.id = c.invoice_id
    WHERE c.interest_on = original.id AND d.status = 'DRAFT' AND c.amount > 0 ORDER BY c.id;

    UPDATE flightbill.billed_flights b SET revision = b.revision + 1 WHERE b.flight_id = ANY (flights);
    INSERT INTO flightbill.voided_flights (flight_id, credit_note_id, currency, rebill)
    SELECT f.id, note.id, original.currency, false FROM unnest(flights) AS f (id);
    IF void_invoice.rebill AND flights IS NOT NULL THEN
        PERFORM flightbill.rebill_invoice(original.number, void_invoice.payer);
    END IF;
    RETURN note.number;
END
$$;
REVOKE ALL ON FUNCTION flightbill.void_invoice FROM PUBLIC;
