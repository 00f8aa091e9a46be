-- How drafts are opened and issued.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- +goose StatementBegin
-- open_draft opens a customer's draft, or finds the one that another transaction
-- opened meanwhile. Without a closing date it opens a new one each time.
CREATE OR REPLACE FUNCTION flightbill.open_draft(customer_id bigint, closes_on date, currency text, at timestamptz) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    draft bigint;
BEGIN
    INSERT INTO flightbill.invoices AS i (customer_id, kind, closes_on, currency, opened_at)
    VALUES (open_draft.customer_id, CASE WHEN open_draft.closes_on IS NULL THEN 'flight' ELSE 'consolidated' END,
        open_draft.closes_on, open_draft.currency, at)
    ON CONFLICT (customer_id, currency, closes_on) WHERE kind = 'consolidated' AND status <> 'VOID' DO NOTHING
    RETURNING i.id INTO draft;
    IF draft IS NULL THEN
        SELECT i.id INTO STRICT draft FROM flightbill.invoices i
        WHERE i.customer_id = open_draft.customer_id AND i.currency = open_draft.currency
            AND i.closes_on = open_draft.closes_on AND i.kind = 'consolidated' AND i.status <> 'VOID';
    END IF;
    RETURN draft;
END
$$;
REVOKE ALL ON FUNCTION flightbill.open_draft FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- issue_drafts turns drafts into PENDING invoices: number, totals, due date. The
-- caller has locked their customers, and then the drafts, in statements before:
-- a sum taken in the statement that locks misses a charge that was committed
-- while it waited. A draft without charges is an error: its
-- totals cannot be null.
CREATE OR REPLACE FUNCTION flightbill.issue_drafts(drafts bigint[], at timestamptz, today date)
    RETURNS TABLE (invoice_id bigint, charges bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH due AS (
        SELECT i.id, i.customer_id,
            row_number() OVER (PARTITION BY i.customer_id ORDER BY i.closes_on NULLS FIRST, i.currency, i.id) AS nth
        FROM flightbill.invoices i
        WHERE i.id = ANY (drafts) AND i.status = 'DRAFT'
    ), sums AS (
        SELECT c.invoice_id, count(*) AS lines, sum(c.amount) AS subtotal, sum(c.tax_amount) AS tax
        FROM flightbill.charges c
        WHERE c.invoice_id = ANY (drafts)
        GROUP BY c.invoice_id
    ), numbers AS (
        UPDATE flightbill.customers c SET invoice_seq = c.invoice_seq + d.wanted
        FROM (SELECT customer_id, count(*) AS wanted FROM due GROUP BY customer_id) AS d
        WHERE c.id = d.customer_id
        RETURNING c.id, c.code, c.name, c.payment_terms_days, c.invoice_seq - d.wanted AS used
    ), issued AS (
        UPDATE flightbill.invoices i
        SET status = 'PENDING',
            number = n.code || '-' || lpad((n.used + due.nth)::text, greatest(6, length((n.used + due.nth)::text)), '0'),
            subtotal = s.subtotal, tax = s.tax, total = s.subtotal + s.tax,
            bill_to_name = n.name, issued_at = at, due_on = today + n.payment_terms_days,
            parked_at = NULL, parked_reason = NULL
        FROM due JOIN numbers n ON n.id = due.customer_id LEFT JOIN sums s ON s.invoice_id = due.id
        WHERE i.id = due.id
        RETURNING i.id, s.lines
    )
    SELECT issued.id, issued.lines FROM issued;
END
$$;
REVOKE ALL ON FUNCTION flightbill.issue_drafts FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP FUNCTION flightbill.issue_drafts;
DROP FUNCTION flightbill.open_draft;
