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
