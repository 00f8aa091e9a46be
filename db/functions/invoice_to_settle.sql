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
