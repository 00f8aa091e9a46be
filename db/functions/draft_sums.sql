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
