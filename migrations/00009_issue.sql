-- How drafts are opened and issued.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- +goose StatementBegin
-- open_draft opens a customer's draft, or finds the one that another transaction
-- opened meanwhile. Without a closing date it opens a new one each time. What is outside
-- VAT's scope goes on drafts of its own.
CREATE OR REPLACE FUNCTION flightbill.open_draft(customer_id bigint, closes_on date, currency text, at timestamptz, outside_scope boolean DEFAULT false) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    draft bigint;
BEGIN
    INSERT INTO flightbill.invoices AS i (customer_id, kind, closes_on, currency, opened_at, outside_scope)
    VALUES (open_draft.customer_id, CASE WHEN open_draft.closes_on IS NULL THEN 'flight' ELSE 'consolidated' END,
        open_draft.closes_on, open_draft.currency, at, open_draft.outside_scope)
    ON CONFLICT (customer_id, currency, closes_on, outside_scope) WHERE closes_on IS NOT NULL AND status <> 'VOID' DO NOTHING
    RETURNING i.id INTO draft;
    IF draft IS NULL THEN
        SELECT i.id INTO STRICT draft FROM flightbill.invoices i
        WHERE i.customer_id = open_draft.customer_id AND i.currency = open_draft.currency
            AND i.closes_on = open_draft.closes_on AND i.outside_scope = open_draft.outside_scope AND i.status <> 'VOID';
    END IF;
    RETURN draft;
END
$$;
REVOKE ALL ON FUNCTION flightbill.open_draft FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- issue_drafts turns drafts into PENDING invoices: number, totals, due date. A period
-- that comes to less than nothing is a credit note. What has nothing to pay is PAID.
-- The caller has locked the customers, and then the drafts, in statements before:
-- a sum taken in the statement that locks misses a charge that was committed
-- while it waited. A draft without charges is an error: its
-- totals cannot be null.
--
-- It runs with its owner's rights: who calls it needs no right to write numbers and totals.
-- To call it is the right to issue any draft, on any day.
CREATE OR REPLACE FUNCTION flightbill.issue_drafts(drafts bigint[], at timestamptz, today date)
    RETURNS TABLE (invoice_id bigint, charges bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    settled bigint[];
BEGIN
    RETURN QUERY
    WITH sums AS (
        SELECT c.invoice_id, count(*) AS lines, sum(c.amount) AS subtotal, sum(c.tax_amount) AS tax
        FROM flightbill.charges c
        WHERE c.invoice_id = ANY (drafts)
        GROUP BY c.invoice_id
    ), due AS (
        SELECT d.*, row_number() OVER (PARTITION BY d.customer_id, d.credit ORDER BY d.closes_on NULLS FIRST, d.currency, d.id) AS nth
        FROM (
            SELECT i.id, i.customer_id, i.closes_on, i.currency, s.lines, s.subtotal, s.tax,
                i.closes_on IS NOT NULL AND coalesce(s.subtotal + s.tax < 0, false) AS credit
            FROM flightbill.invoices i LEFT JOIN sums s ON s.invoice_id = i.id
            WHERE i.id = ANY (drafts) AND i.status = 'DRAFT'
        ) AS d
    ), numbers AS (
        UPDATE flightbill.customers c SET invoice_seq = c.invoice_seq + d.invoices, credit_note_seq = c.credit_note_seq + d.credits
        FROM (SELECT customer_id, count(*) FILTER (WHERE NOT credit) AS invoices, count(*) FILTER (WHERE credit) AS credits FROM due GROUP BY customer_id) AS d
        WHERE c.id = d.customer_id
        RETURNING c.id, c.code, c.name, c.payment_terms_days, c.invoice_seq - d.invoices AS invoices_used, c.credit_note_seq - d.credits AS credits_used
    ), issued AS (
        UPDATE flightbill.invoices i
        SET status = 'PENDING',
            kind = CASE WHEN due.credit THEN 'credit_note' ELSE i.kind END,
            reason = CASE WHEN due.credit THEN 'what was taken back is more than what was charged' ELSE i.reason END,
            number = n.code || CASE WHEN due.credit THEN '-CN' ELSE '-' END || lpad(nr.nr::text, greatest(6, length(nr.nr::text)), '0'),
            subtotal = due.subtotal, tax = due.tax, total = due.subtotal + due.tax,
            bill_to_name = n.name, issued_at = at, due_on = today + CASE WHEN due.credit THEN 0 ELSE n.payment_terms_days END,
            parked_at = NULL, parked_reason = NULL
        FROM due JOIN numbers n ON n.id = due.customer_id
        CROSS JOIN LATERAL (SELECT due.nth + CASE WHEN due.credit THEN n.credits_used ELSE n.invoices_used END) AS nr (nr)
        WHERE i.id = due.id
        RETURNING i.id, due.lines
    )
    SELECT issued.id, issued.lines FROM issued;

    settled := ARRAY(SELECT i.id FROM flightbill.invoices i WHERE i.id = ANY (drafts) AND i.status = 'PENDING' AND i.total = 0);
    IF settled <> '{}' THEN
        UPDATE flightbill.invoices i SET status = 'PAID', paid_at = at WHERE i.id = ANY (settled);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION flightbill.issue_drafts FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP FUNCTION flightbill.issue_drafts;
DROP FUNCTION flightbill.open_draft;
