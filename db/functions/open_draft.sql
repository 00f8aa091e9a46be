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
