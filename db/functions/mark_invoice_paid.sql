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
