-- issue_credit_note gives a draft of kind credit_note its number, from a series of
-- its own, and its totals. The caller has locked the customer. What follows CODE-
-- begins with letters: it cannot be the invoice number of another customer.
CREATE OR REPLACE FUNCTION flightbill.issue_credit_note(draft bigint, at timestamptz, today date) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    payer  flightbill.customers;
    issued text;
BEGIN
    UPDATE flightbill.customers c SET credit_note_seq = c.credit_note_seq + 1
    WHERE c.id = (SELECT i.customer_id FROM flightbill.invoices i WHERE i.id = draft)
    RETURNING * INTO payer;
    UPDATE flightbill.invoices i
    SET status = 'PENDING',
        number = payer.code || '-CN' || lpad(payer.credit_note_seq::text, greatest(6, length(payer.credit_note_seq::text)), '0'),
        subtotal = s.subtotal, tax = s.tax, total = s.subtotal + s.tax,
        bill_to_name = payer.name, issued_at = at, due_on = today
    FROM (SELECT sum(c.amount) AS subtotal, sum(c.tax_amount) AS tax FROM flightbill.charges c WHERE c.invoice_id = draft) AS s
    WHERE i.id = draft AND i.kind = 'credit_note' AND i.status = 'DRAFT'
    RETURNING i.number INTO STRICT issued;
    UPDATE flightbill.invoices i SET status = 'PAID', paid_at = at WHERE i.id = draft AND i.total = 0;
    RETURN issued;
END
$$;
REVOKE ALL ON FUNCTION flightbill.issue_credit_note FROM PUBLIC;
