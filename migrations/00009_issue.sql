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
-- minor_units is the number of decimals of a currency, as billing.MinorUnits has it; of one
-- that that does not know, 2. All who read draft_sums may call it.
CREATE OR REPLACE FUNCTION flightbill.minor_units(currency text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 0
        WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
        WHEN currency IN ('CLF', 'UYW') THEN 4
        ELSE 2
    END;
REVOKE ALL ON FUNCTION flightbill.minor_units FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- tax_of is the tax of charges of one category and rate: by invoice, on their sum, rounded
-- once, half away from zero; by line, the sum of the charges' own.
CREATE OR REPLACE FUNCTION flightbill.tax_of(tax_by text, currency text, base numeric, rate numeric, of_lines numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE tax_by WHEN 'line' THEN of_lines ELSE round(base * rate, flightbill.minor_units(currency)) END;
REVOKE ALL ON FUNCTION flightbill.tax_of FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- draft_sums is what a draft comes to, were it issued now. Postgres puts it in place of
-- the call.
CREATE OR REPLACE FUNCTION flightbill.draft_sums(draft bigint, currency text) RETURNS TABLE (charges bigint, subtotal numeric, tax numeric)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT coalesce(sum(g.charges), 0)::bigint, coalesce(sum(g.base), 0), coalesce(sum(
        flightbill.tax_of((SELECT s.tax_by FROM flightbill.billing_settings s), draft_sums.currency, g.base, g.tax_rate, g.of_lines)), 0)
    FROM (
        SELECT count(*) AS charges, c.tax_rate, sum(c.amount) AS base, sum(c.tax_amount) AS of_lines
        FROM flightbill.charges c
        WHERE c.invoice_id = draft_sums.draft
        GROUP BY c.tax_category, c.tax_rate
    ) AS g;
END;
REVOKE ALL ON FUNCTION flightbill.draft_sums FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- currency_rate is what one unit of a currency was last worth in another, on a day or in
-- the week before it; null: that is not known.
CREATE OR REPLACE FUNCTION flightbill.currency_rate(currency text, in_currency text, on_day date) RETURNS numeric
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN r.currency = currency_rate.currency THEN r.rate ELSE 1 / r.rate END
    FROM flightbill.currency_rates r
    WHERE r.day BETWEEN on_day - 7 AND on_day
        AND (r.currency = currency_rate.currency AND r.in_currency = currency_rate.in_currency
            OR r.currency = currency_rate.in_currency AND r.in_currency = currency_rate.currency)
    ORDER BY r.day DESC, r.currency = currency_rate.currency DESC
    LIMIT 1
$$;
REVOKE ALL ON FUNCTION flightbill.currency_rate FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- bill_to is what an invoice says of its customer, by the names of document.Party.
CREATE OR REPLACE FUNCTION flightbill.bill_to(customer flightbill.customers) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN jsonb_strip_nulls(jsonb_build_object(
        'code', customer.code, 'name', coalesce(customer.legal_name, customer.name),
        'street', customer.street, 'city', customer.city, 'postcode', customer.postcode, 'subdivision', customer.subdivision, 'country', customer.country,
        'vat_id', customer.vat_id, 'legal_id', customer.legal_id, 'legal_id_scheme', customer.legal_id_scheme,
        'electronic_address', customer.electronic_address, 'electronic_address_scheme', customer.electronic_address_scheme,
        'buyer_reference', customer.buyer_reference, 'emails', nullif(to_jsonb(customer.emails), '[]'), 'language', customer.language));
REVOKE ALL ON FUNCTION flightbill.bill_to FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- issue_drafts turns drafts into PENDING invoices and credit notes: number, taxes, totals,
-- due date, and who bills whom. A period that comes to less than nothing is a credit note.
-- What has nothing to pay is PAID. What voids another document has the negative of its
-- taxes, whatever the rule is now.
--
-- The caller has locked the customers, and then the drafts, in statements before:
-- a sum taken in the statement that locks misses a charge that was committed
-- while it waited. A draft without charges is an error: its
-- totals cannot be null.
--
-- Credit notes have a series of their own. What follows CODE- begins with letters: it
-- cannot be the invoice number of another customer.
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
    tax_by     text := (SELECT s.tax_by FROM flightbill.billing_settings s); -- null: by invoice
    issuer     bigint;
    declare_in text; -- the currency
    settled    bigint[];
BEGIN
    SELECT s.id, s.tax_currency INTO issuer, declare_in FROM flightbill.issuers s ORDER BY s.id DESC LIMIT 1;
    RETURN QUERY
    WITH sums AS MATERIALIZED (
        SELECT c.invoice_id, c.tax_category, c.tax_rate, count(*) AS lines, sum(c.amount) AS base, sum(c.tax_amount) AS of_lines,
            min(c.tax_reason) AS reason, max(c.tax_reason) AS other_reason
        FROM flightbill.charges c
        WHERE c.invoice_id = ANY (drafts)
        GROUP BY c.invoice_id, c.tax_category, c.tax_rate
    ), taxes AS MATERIALIZED (
        SELECT s.*, coalesce(-o.tax, flightbill.tax_of(tax_by, i.currency, s.base, s.tax_rate, s.of_lines)) AS tax
        FROM sums s
        JOIN flightbill.invoices i ON i.id = s.invoice_id
        LEFT JOIN flightbill.invoice_taxes o ON o.invoice_id = i.credits_invoice_id AND o.category = s.tax_category AND o.rate = s.tax_rate
    ), due AS (
        SELECT d.*, row_number() OVER (PARTITION BY d.customer_id, d.credit ORDER BY d.closes_on NULLS FIRST, d.currency, d.id) AS nth
        FROM (
            SELECT i.id, i.customer_id, i.closes_on, i.currency, i.credits_invoice_id, t.lines, t.subtotal, t.tax,
                i.kind = 'credit_note' OR i.closes_on IS NOT NULL AND coalesce(t.subtotal + t.tax < 0, false) AS credit
            FROM flightbill.invoices i
            LEFT JOIN (SELECT invoice_id, sum(lines)::bigint AS lines, sum(base) AS subtotal, sum(tax) AS tax FROM taxes GROUP BY invoice_id) AS t
                ON t.invoice_id = i.id
            WHERE i.id = ANY (drafts) AND i.status = 'DRAFT'
        ) AS d
    ), rates AS (
        SELECT c.currency, flightbill.currency_rate(c.currency, declare_in, today) AS rate
        FROM (SELECT DISTINCT currency FROM due) AS c WHERE c.currency <> declare_in
    ), numbers AS (
        UPDATE flightbill.customers c SET invoice_seq = c.invoice_seq + d.invoices, credit_note_seq = c.credit_note_seq + d.credits
        FROM (SELECT customer_id, count(*) FILTER (WHERE NOT credit) AS invoices, count(*) FILTER (WHERE credit) AS credits FROM due GROUP BY customer_id) AS d
        WHERE c.id = d.customer_id
        RETURNING c.id, c.code, c.name, c.payment_terms_days, c.invoice_seq - d.invoices AS invoices_used, c.credit_note_seq - d.credits AS credits_used,
            flightbill.bill_to(c) AS bill_to
    ), issued AS (
        UPDATE flightbill.invoices i
        SET status = 'PENDING',
            kind = CASE WHEN due.credit THEN 'credit_note' ELSE i.kind END,
            reason = CASE WHEN due.credit THEN coalesce(i.reason, 'what was taken back is more than what was charged') ELSE i.reason END,
            number = n.code || CASE WHEN due.credit THEN '-CN' ELSE '-' END || lpad(nr.nr::text, greatest(6, length(nr.nr::text)), '0'),
            subtotal = due.subtotal, tax = due.tax, total = due.subtotal + due.tax,
            bill_to_name = n.name, bill_to = n.bill_to, issuer_id = issuer,
            tax_currency = CASE WHEN o.id IS NOT NULL THEN o.tax_currency WHEN due.currency <> declare_in THEN declare_in END,
            tax_currency_rate = CASE WHEN o.id IS NOT NULL THEN o.tax_currency_rate ELSE r.rate END,
            issued_at = at, issued_on = today, due_on = today + CASE WHEN due.credit THEN 0 ELSE n.payment_terms_days END,
            parked_at = NULL, parked_reason = NULL
        FROM due JOIN numbers n ON n.id = due.customer_id
        LEFT JOIN rates r ON r.currency = due.currency
        LEFT JOIN flightbill.invoices o ON o.id = due.credits_invoice_id
        CROSS JOIN LATERAL (SELECT due.nth + CASE WHEN due.credit THEN n.credits_used ELSE n.invoices_used END) AS nr (nr)
        WHERE i.id = due.id
        RETURNING i.id, due.lines
    ), kept AS (
        INSERT INTO flightbill.invoice_taxes (invoice_id, category, rate, base, tax, reason)
        SELECT t.invoice_id, t.tax_category, t.tax_rate, t.base, t.tax, CASE WHEN t.reason IS NOT DISTINCT FROM t.other_reason THEN t.reason ELSE (
            SELECT string_agg(DISTINCT c.tax_reason, '; ') FROM flightbill.charges c
            WHERE c.invoice_id = t.invoice_id AND c.tax_category = t.tax_category AND c.tax_rate = t.tax_rate) END
        FROM taxes t JOIN issued ON issued.id = t.invoice_id
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
DROP FUNCTION flightbill.bill_to;
DROP FUNCTION flightbill.currency_rate;
DROP FUNCTION flightbill.draft_sums;
DROP FUNCTION flightbill.tax_of;
DROP FUNCTION flightbill.minor_units;
DROP FUNCTION flightbill.open_draft;
