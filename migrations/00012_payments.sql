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
    reason         text    CHECK (reason <> '' AND char_length(reason) <= 1000), -- of what takes back
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    recorded_by    text    NOT NULL DEFAULT session_user,
    CHECK ((kind = 'set_off') = (other_id IS NOT NULL)),
    CHECK ((reverses_id IS NULL) = (reason IS NULL))
);
CREATE INDEX payments_invoice_idx ON flightbill.payments (invoice_id);

-- +goose StatementBegin
-- mark_invoice_paid marks an invoice paid on a day in the billing zone; none: now.
--
-- It runs with its owner's rights, in all its forms: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on date DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    invoice flightbill.invoices;
    zone    text;
    paid    timestamptz;
BEGIN
    SELECT timezone INTO zone FROM flightbill.billing_settings;
    zone := coalesce(zone, 'UTC');
    -- Where a day's midnight comes twice, Postgres takes the second.
    paid := coalesce(least(paid_on::timestamp AT TIME ZONE zone, now()), now());
    SELECT * INTO invoice FROM flightbill.invoices WHERE number = invoice_number FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'invoice % is not known', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'Give the number as it stands on the invoice, such as ACME-000123; a draft has none.';
    END IF;
    IF paid_on > (now() AT TIME ZONE zone)::date THEN
        RAISE EXCEPTION 'invoice % cannot be paid on %: that day is still to come in %', invoice_number, paid_on, zone
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the day on which the payment was received.';
    END IF;
    IF paid_on < (invoice.issued_at AT TIME ZONE zone)::date THEN
        RAISE EXCEPTION 'invoice % cannot be paid on %: it was issued on %', invoice_number, paid_on, (invoice.issued_at AT TIME ZONE zone)::date
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the day on which the payment was received; look at the year.';
    END IF;
    -- A day that a zone left out has its midnight on the next one.
    IF invoice.status = 'PAID' AND (paid_on IS NULL OR invoice.paid_at = paid OR (invoice.paid_at AT TIME ZONE zone)::date = paid_on) THEN
        RETURN;
    END IF;
    IF invoice.status NOT IN ('PENDING', 'OVERDUE') THEN
        RAISE EXCEPTION 'invoice % is % and cannot be marked paid', invoice_number,
            invoice.status || CASE WHEN invoice.status = 'PAID' THEN ' since ' || (invoice.paid_at AT TIME ZONE zone)::date ELSE '' END
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only a PENDING or OVERDUE invoice can be paid.';
    END IF;
    UPDATE flightbill.invoices SET status = 'PAID', paid_at = paid WHERE id = invoice.id;
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
-- +goose StatementEnd

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP FUNCTION flightbill.unmark_invoice_paid;
DROP FUNCTION flightbill.mark_invoice_paid(text, text);
DROP FUNCTION flightbill.mark_invoice_paid(text, timestamp);
DROP FUNCTION flightbill.mark_invoice_paid(text, timestamptz);
DROP FUNCTION flightbill.mark_invoice_paid(text, date);
DROP TABLE flightbill.payments;
