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
