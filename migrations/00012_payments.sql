-- What has been paid on invoices, and how another application says so, or that it was not after all.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- What settles an invoice or a credit note, each row for ever. What is open is its total
-- less these; an invoice with more than its total has the rest as its customer's credit.
CREATE TABLE flightbill.payments (
    id             bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    invoice_id     bigint  NOT NULL REFERENCES flightbill.invoices,
    kind           text    NOT NULL CHECK (kind IN (
                       'payment',   -- money that came; below 0: that went
                       'set_off',   -- against another document of the customer, which has the opposite
                       'rounding')), -- a small rest that nobody asks for
    amount         numeric NOT NULL CHECK (amount <> 0 AND abs(amount) < 1000000000000000), -- in the invoice's currency
    paid_on        date    NOT NULL,
    reference      text    CHECK (reference <> '' AND char_length(reference) <= 1000),  -- what the payer wrote
    bank_reference text    COLLATE "C" UNIQUE CHECK (bank_reference <> '' AND char_length(bank_reference) <= 200), -- the bank's, of a statement's entry
    other_id       bigint  REFERENCES flightbill.invoices,          -- of a set-off: the other document
    reverses_id    bigint  UNIQUE REFERENCES flightbill.payments,   -- what is taken back, once
    reason         text    CHECK (reason <> '' AND char_length(reason) <= 1000), -- of what takes back, or is written off
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    recorded_by    text    NOT NULL DEFAULT session_user,
    CHECK ((kind = 'set_off') = (other_id IS NOT NULL)),
    CHECK ((reverses_id IS NOT NULL OR kind = 'rounding') = (reason IS NOT NULL))
);
CREATE INDEX payments_invoice_idx ON flightbill.payments (invoice_id, id);

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION flightbill.payments_stay() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'payments are kept for ever: none can be changed or removed'
        USING HINT = 'flightbill.reverse_payment takes a payment back.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.payments_stay FROM PUBLIC;
-- +goose StatementEnd
CREATE TRIGGER stay BEFORE UPDATE OR DELETE ON flightbill.payments FOR EACH ROW EXECUTE FUNCTION flightbill.payments_stay();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.payments EXECUTE FUNCTION flightbill.payments_stay();
ALTER TABLE flightbill.payments ENABLE ALWAYS TRIGGER stay, ENABLE ALWAYS TRIGGER refuse_truncate;

-- What is open on each issued document. Below 0 it is the customer's credit.
CREATE VIEW flightbill.invoice_balances AS
SELECT i.id AS invoice_id, i.number, c.code AS customer, i.kind, i.currency, i.status, i.total, p.paid, i.total - p.paid AS open, i.due_on
FROM flightbill.invoices i
JOIN flightbill.customers c ON c.id = i.customer_id
CROSS JOIN LATERAL (SELECT coalesce(sum(p.amount), 0) AS paid FROM flightbill.payments p WHERE p.invoice_id = i.id) AS p
WHERE i.status <> 'DRAFT';

-- +goose StatementBegin
-- open_amount is what is left of an issued document: below 0 is its customer's credit.
CREATE OR REPLACE FUNCTION flightbill.open_amount(invoice bigint) RETURNS numeric
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
    SELECT i.total - coalesce((SELECT sum(p.amount) FROM flightbill.payments p WHERE p.invoice_id = i.id), 0)
    FROM flightbill.invoices i WHERE i.id = invoice
$$;
REVOKE ALL ON FUNCTION flightbill.open_amount FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- invoice_to_settle locks an issued document for a payment, which came on a day, or for
-- another change of what is open on it. What is open is to be read in a later statement.
CREATE OR REPLACE FUNCTION flightbill.invoice_to_settle(invoice_number text, paid_on date DEFAULT NULL) RETURNS flightbill.invoices
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
DECLARE
    invoice flightbill.invoices;
    zone    text := coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC');
BEGIN
    SELECT * INTO invoice FROM flightbill.invoices i WHERE i.number = invoice_number FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'invoice % is not known', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'Give the number as it stands on the invoice, such as ACME-000123; a draft has none.';
    END IF;
    IF paid_on > (now() AT TIME ZONE zone)::date THEN
        RAISE EXCEPTION 'invoice % cannot be paid on %: that day is still to come in %', invoice_number, paid_on, zone
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the day on which the payment was received.';
    END IF;
    IF paid_on < invoice.issued_on THEN
        RAISE EXCEPTION 'invoice % cannot be paid on %: it was issued on %', invoice_number, paid_on, invoice.issued_on
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the day on which the payment was received; look at the year.';
    END IF;
    RETURN invoice;
END
$$;
REVOKE ALL ON FUNCTION flightbill.invoice_to_settle FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- check_payment refuses what is no amount of a document's currency.
CREATE OR REPLACE FUNCTION flightbill.check_payment(invoice flightbill.invoices, amount numeric) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF amount IS NULL OR amount = 0 OR NOT abs(amount) < 1000000000000000 THEN
        RAISE EXCEPTION '% cannot be paid on invoice %', coalesce(quote_literal(amount), 'NULL'), invoice.number
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the amount that was paid, in ' || invoice.currency || ', other than 0.';
    END IF;
    IF amount <> round(amount, flightbill.minor_units(invoice.currency)) THEN
        RAISE EXCEPTION '% cannot be paid on invoice %: amounts in % have % decimals', quote_literal(amount), invoice.number, invoice.currency, flightbill.minor_units(invoice.currency)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the amount as it was paid.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION flightbill.check_payment FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
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
-- +goose StatementEnd

-- +goose StatementBegin
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
            RAISE EXCEPTION '% cannot be paid out on invoice %: % % of it is the customer''s', -record_payment.amount, invoice.number, round(-least(open, 0), flightbill.minor_units(invoice.currency)), invoice.currency
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
-- +goose StatementEnd

-- +goose StatementBegin
-- set_off_pair sets an amount of one document against another, both locked by the caller.
CREATE OR REPLACE FUNCTION flightbill.set_off_pair(invoice bigint, other bigint, amount numeric, at timestamptz DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    today date := (now() AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date;
BEGIN
    INSERT INTO flightbill.payments (invoice_id, kind, amount, paid_on, other_id)
    VALUES (invoice, 'set_off', set_off_pair.amount, today, other), (other, 'set_off', -set_off_pair.amount, today, invoice);
    PERFORM flightbill.settle_invoice(invoice, at);
    PERFORM flightbill.settle_invoice(other, at);
END
$$;
REVOKE ALL ON FUNCTION flightbill.set_off_pair FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- set_off uses a customer's credit, on a credit note or an invoice that was paid more than
-- once, for another invoice of his in the same currency: an amount, or as much as goes. It
-- returns how much.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.set_off(from_number text, to_number text, amount numeric DEFAULT NULL) RETURNS numeric
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    source flightbill.invoices;
    target flightbill.invoices;
    credit numeric;
    open   numeric;
BEGIN
    PERFORM FROM flightbill.invoices i WHERE i.number IN (from_number, to_number) ORDER BY i.id FOR NO KEY UPDATE;
    SELECT * INTO source FROM flightbill.invoice_to_settle(from_number);
    SELECT * INTO target FROM flightbill.invoice_to_settle(to_number);
    IF source.customer_id <> target.customer_id OR source.currency <> target.currency THEN
        RAISE EXCEPTION '% cannot be set off against %: they are of different customers or currencies', source.number, target.number
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A credit goes on an invoice of the same customer in the same currency.';
    END IF;
    credit := -flightbill.open_amount(source.id);
    open := flightbill.open_amount(target.id);
    IF credit <= 0 THEN
        RAISE EXCEPTION '% has no credit: % % is open on it', source.number, -credit, source.currency
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Name the credit first, and then the invoice that it is used for.';
    END IF;
    IF open <= 0 THEN
        RAISE EXCEPTION 'nothing is open on invoice %', target.number
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Name the credit first, and then the invoice that it is used for.';
    END IF;
    set_off.amount := coalesce(set_off.amount, least(credit, open));
    PERFORM flightbill.check_payment(target, set_off.amount);
    set_off.amount := round(set_off.amount, flightbill.minor_units(target.currency));
    IF set_off.amount < 0 OR set_off.amount > least(credit, open) THEN
        RAISE EXCEPTION '% of % cannot be set off against %: the credit is %, and % is open', set_off.amount, source.number, target.number, credit, open
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give at most the smaller of the two, above 0; or no amount.';
    END IF;
    PERFORM flightbill.set_off_pair(target.id, source.id, set_off.amount);
    RETURN set_off.amount;
END
$$;
REVOKE ALL ON FUNCTION flightbill.set_off FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
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
-- +goose StatementEnd

-- +goose StatementBegin
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
-- +goose StatementEnd

-- +goose StatementBegin
-- mark_invoice_paid records that what is open on an invoice was paid on a day in the billing
-- zone; none: now. Of a credit note, that it was paid out.
--
-- It runs with its owner's rights, in all its forms: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on date DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    invoice flightbill.invoices;
    zone    text := coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC');
BEGIN
    SELECT * INTO invoice FROM flightbill.invoice_to_settle(invoice_number, mark_invoice_paid.paid_on);
    -- A day that a zone left out has its midnight on the next one.
    IF invoice.status = 'PAID' AND (mark_invoice_paid.paid_on IS NULL OR (invoice.paid_at AT TIME ZONE zone)::date = mark_invoice_paid.paid_on
        OR invoice.paid_at = mark_invoice_paid.paid_on::timestamp AT TIME ZONE zone
        OR EXISTS (SELECT FROM flightbill.payments p WHERE p.invoice_id = invoice.id AND p.kind = 'payment' AND p.paid_on = mark_invoice_paid.paid_on AND p.reverses_id IS NULL)) THEN
        RETURN;
    END IF;
    IF invoice.status NOT IN ('PENDING', 'OVERDUE') THEN
        RAISE EXCEPTION 'invoice % is % and cannot be marked paid', invoice_number,
            invoice.status || CASE WHEN invoice.status = 'PAID' THEN ' since ' || (invoice.paid_at AT TIME ZONE zone)::date ELSE '' END
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only a PENDING or OVERDUE invoice can be paid.';
    END IF;
    INSERT INTO flightbill.payments (invoice_id, kind, amount, paid_on)
    VALUES (invoice.id, 'payment', flightbill.open_amount(invoice.id), coalesce(mark_invoice_paid.paid_on, (now() AT TIME ZONE zone)::date));
    PERFORM flightbill.settle_invoice(invoice.id, CASE WHEN mark_invoice_paid.paid_on IS NULL THEN now() END);
END
$$;
REVOKE ALL ON FUNCTION flightbill.mark_invoice_paid(text, date) FROM PUBLIC;

-- An instant is one of the day on which it falls in the billing zone.
CREATE OR REPLACE FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    PERFORM flightbill.mark_invoice_paid(invoice_number,
        (paid_on AT TIME ZONE coalesce((SELECT timezone FROM flightbill.billing_settings), 'UTC'))::date);
END
$$;
REVOKE ALL ON FUNCTION flightbill.mark_invoice_paid(text, timestamptz) FROM PUBLIC;

-- A time without a zone is one in the billing zone, as a day is. Without this, it would
-- be one in the session's.
CREATE OR REPLACE FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on timestamp) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    PERFORM flightbill.mark_invoice_paid(invoice_number, paid_on::date);
END
$$;
REVOKE ALL ON FUNCTION flightbill.mark_invoice_paid(text, timestamp) FROM PUBLIC;

-- Of a literal, and of a parameter whose type the client leaves open, Postgres makes
-- text where it can: else it would make an instant of a day, by the session's zone.
CREATE OR REPLACE FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    SET timezone = 'UTC' -- for this call; the billing zone follows
AS $$
DECLARE
    zone text := coalesce((SELECT timezone FROM flightbill.billing_settings), 'UTC');
    day  date;
BEGIN
    PERFORM set_config('timezone', zone, true);
    BEGIN
        paid_on := regexp_replace(paid_on, '( [+-]\d{4}) \S+( m=\S+)?$', '\1'); -- Go's 2026-11-23 10:00:00 +0900 JST
        -- A day may have a zone, as some drivers send it: 2026-11-23 +09.
        day := CASE WHEN regexp_replace(paid_on, '[+-][0-9:]+\s*$', '') ~* ':|[0-9]T[0-9]|now' THEN paid_on::timestamptz::date ELSE paid_on::date END;
    EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow THEN
        RAISE EXCEPTION 'invoice % cannot be paid on %: that is no day', coalesce(quote_literal(invoice_number), 'NULL'), quote_literal(paid_on)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the day on which the payment was received, such as 2026-11-23.';
    END;
    PERFORM flightbill.mark_invoice_paid(invoice_number, day);
END
$$;
REVOKE ALL ON FUNCTION flightbill.mark_invoice_paid(text, text) FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
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
-- +goose StatementEnd

-- +goose StatementBegin
-- charge_interest charges a customer interest on what it pays late: simple, actual/365, at its
-- late_interest_rate as it is now, on what was open at the end of each day after the due date,
-- or after the last day charged before, through a day that is over. Each late invoice makes a
-- line, rounded once, on the customer's next draft outside VAT's scope; of a customer billed per
-- flight on an invoice issued at once. A hold keeps either back. What comes to less than the
-- smallest coin is left to the next time.
--
-- There is no interest on interest: what is paid on an invoice that has both pays the rest first.
-- Nor on an invoice that is VOID. Days that were charged stay so, whatever is paid or taken back
-- for them later, and though the interest's own invoice is voided: that waives it.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.charge_interest(customer text, through date, at timestamptz, today date)
    RETURNS TABLE (number text, currency text, first_day date, last_day date, amount numeric, charged_on bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    payer  flightbill.customers;
    zone   text := coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC');
    next   date; -- the first closing date that has not been run
    part   text; -- a currency
    lines  jsonb;
    draft  bigint;
BEGIN
    IF charge_interest.through >= today OR charge_interest.through IS NULL THEN
        RAISE EXCEPTION 'interest through % cannot be charged on %', coalesce(charge_interest.through::text, 'no day'), today
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a day that is over: what is open at its end is known then.';
    END IF;
    LOCK TABLE flightbill.billing_run_lock IN ROW SHARE MODE;
    PERFORM FROM flightbill.customers c WHERE c.code = customer FOR NO KEY UPDATE;
    SELECT * INTO payer FROM flightbill.customers c WHERE c.code = customer;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'customer % is not known', coalesce(quote_literal(customer), 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'Give its code, such as ACME.';
    END IF;
    WITH late AS MATERIALIZED (
        SELECT l.*, i.total - CASE WHEN i.outside_scope
            THEN coalesce((SELECT sum(h.amount) FROM flightbill.charges h WHERE h.invoice_id = i.id AND h.interest_on IS NOT NULL), 0) ELSE 0 END AS base
        FROM (
            SELECT i.id, i.number, i.currency, greatest(i.due_on, (SELECT max(h.interest_through) FROM flightbill.charges h WHERE h.interest_on = i.id AND h.amount > 0)) + 1 AS first_day
            FROM flightbill.invoices i
            WHERE i.customer_id = payer.id AND i.status IN ('PENDING', 'OVERDUE', 'PAID') AND i.kind <> 'credit_note' AND i.due_on < charge_interest.through
                AND (i.status <> 'PAID' OR (i.paid_at AT TIME ZONE zone)::date > i.due_on + 1)
        ) AS l JOIN flightbill.invoices i USING (id)
        WHERE l.first_day <= charge_interest.through AND (i.status <> 'PAID' OR (i.paid_at AT TIME ZONE zone)::date > l.first_day)
    ), days AS (
        SELECT l.id, l.first_day AS day FROM late l
        UNION
        SELECT l.id, p.paid_on FROM late l JOIN flightbill.payments p ON p.invoice_id = l.id
        WHERE p.paid_on > l.first_day AND p.paid_on <= charge_interest.through
    ), spans AS (
        SELECT d.id, d.day, coalesce(lead(d.day) OVER (PARTITION BY d.id ORDER BY d.day) - 1, charge_interest.through) AS last_day,
            l.base - coalesce((SELECT sum(p.amount) FROM flightbill.payments p WHERE p.invoice_id = d.id AND p.paid_on <= d.day), 0) AS open
        FROM days d JOIN late l USING (id)
    ), sums AS (
        SELECT s.id, sum((s.last_day - s.day + 1) * s.open) AS day_amounts,
            jsonb_agg(jsonb_build_object('what', s.day || ' to ' || s.last_day, 'value', ((s.last_day - s.day + 1) * s.open)::text,
                'how', s.last_day - s.day + 1 || ' days * ' || s.open || ' open') ORDER BY s.day) AS steps
        FROM spans s WHERE s.open > 0 GROUP BY s.id
    ), due AS (
        -- Divided to so many decimals that rounding twice rounds as once does.
        SELECT s.*, round((s.day_amounts * payer.late_interest_rate)::numeric(140, 60) / 365, flightbill.minor_units(l.currency)) AS amount, l.number, l.currency, l.first_day
        FROM sums s JOIN late l USING (id)
    )
    SELECT jsonb_agg(jsonb_build_object('interest_on', d.id, 'number', d.number, 'currency', d.currency, 'first_day', d.first_day, 'amount', d.amount, 'detail',
        d.steps || jsonb_build_array(
            jsonb_build_object('what', 'late_interest_rate', 'value', trim_scale(payer.late_interest_rate)::text, 'from', 'customer ' || payer.code),
            jsonb_build_object('what', 'interest', 'value', d.amount::text, 'how', d.day_amounts || ' * ' || trim_scale(payer.late_interest_rate) || ' / 365, rounded'))))
    INTO lines FROM due d WHERE d.amount > 0;

    next := (SELECT max(r.closes_on) FROM flightbill.billing_runs r);
    next := coalesce(next + 1, today);
    next := CASE payer.billing_frequency
        WHEN 'weekly' THEN next + (payer.week_ends_on - extract(isodow FROM next)::int + 7) % 7
        WHEN 'monthly' THEN (date_trunc('month', next) + interval '1 month - 1 day')::date END;
    FOR part IN SELECT DISTINCT l ->> 'currency' FROM jsonb_array_elements(lines) AS l ORDER BY 1 LOOP
        draft := flightbill.open_draft(payer.id, next, part, at, true);
        RETURN QUERY
        WITH line AS (
            SELECT l.* FROM jsonb_to_recordset(lines) AS l (interest_on bigint, number text, currency text, first_day date, amount numeric, detail jsonb) WHERE l.currency = part
        ), charged AS (
            INSERT INTO flightbill.charges (invoice_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on,
                tax_category, tax_reason, unit_code, detail, interest_on, interest_through)
            SELECT draft, 'INTEREST', 'Interest at ' || trim_scale(payer.late_interest_rate * 100) || ' % on ' || l.number || ', ' || l.first_day || ' to ' || charge_interest.through,
                1, l.amount, l.amount, 0, 0, charge_interest.through, 'outside', 'VATEX-EU-O', 'C62', l.detail, l.interest_on, charge_interest.through
            FROM line l ORDER BY l.interest_on
        )
        SELECT l.number, l.currency, l.first_day, charge_interest.through, l.amount, draft FROM line l ORDER BY l.interest_on;
        IF next IS NULL AND NOT payer.billing_hold THEN
            PERFORM flightbill.issue_drafts(ARRAY[draft], at, today);
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION flightbill.charge_interest FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP FUNCTION flightbill.charge_interest;
DROP FUNCTION flightbill.unmark_invoice_paid;
DROP FUNCTION flightbill.mark_invoice_paid(text, text);
DROP FUNCTION flightbill.mark_invoice_paid(text, timestamp);
DROP FUNCTION flightbill.mark_invoice_paid(text, timestamptz);
DROP FUNCTION flightbill.mark_invoice_paid(text, date);
DROP FUNCTION flightbill.reverse_payment;
DROP FUNCTION flightbill.write_off_rounding;
DROP FUNCTION flightbill.set_off;
DROP FUNCTION flightbill.set_off_pair;
DROP FUNCTION flightbill.record_payment;
DROP FUNCTION flightbill.settle_invoice;
DROP FUNCTION flightbill.check_payment;
DROP FUNCTION flightbill.invoice_to_settle;
DROP FUNCTION flightbill.open_amount;
DROP VIEW flightbill.invoice_balances;
DROP TABLE flightbill.payments;
DROP FUNCTION flightbill.payments_stay;
