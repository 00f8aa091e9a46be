CREATE OR REPLACE FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on date DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql
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
REVOKE ALL ON FUNCTION flightbill.mark_invoice_paid FROM PUBLIC;
