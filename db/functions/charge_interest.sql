-- charge_interest charges a customer interest on what it pays late: simple, actual/365, at its
-- late_interest_rate as it is now, on what was open at the end of each day after the due date,
-- or after the last day charged before, through a day that is over. Each late invoice makes a
-- line, rounded once, on the customer's next draft outside VAT's scope; of a customer billed per
-- flight on an invoice issued at once. A hold keeps either back. What comes to less than the
-- smallest coin is left to the next time.
--
-- There is no interest on interest: what is paid on an invoice that has both pays the rest first.
-- Nor on an invoice that is VOID. Days that were charged stay so, whatever is paid or taken back
-- for them later, and though the interest's own invoice is voided: that waives it.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.charge_interest(customer text, through date, at timestamptz, today date)
    RETURNS TABLE (number text, currency text, first_day date, last_day date, amount numeric, charged_on bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    payer  flightbill.customers;
    zone   text := coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC');
    next   date; -- the first closing date that has not been run
    part   text; -- a currency
    lines  jsonb;
    draft  bigint;
BEGIN
    IF charge_interest.through >= today OR charge_interest.through IS NULL THEN
        RAISE EXCEPTION 'interest through % cannot be charged on %', coalesce(charge_interest.through::text, 'no day'), today
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give a day that is over: what is open at its end is known then.';
    END IF;
    LOCK TABLE flightbill.billing_run_lock IN ROW SHARE MODE;
    PERFORM FROM flightbill.customers c WHERE c.code = customer FOR NO KEY UPDATE;
    SELECT * INTO payer FROM flightbill.customers c WHERE c.code = customer;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'customer % is not known', coalesce(quote_literal(customer), 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'Give its code, such as ACME.';
    END IF;
    WITH late AS MATERIALIZED (
        SELECT l.*, i.total - CASE WHEN i.outside_scope
            THEN coalesce((SELECT sum(h.amount) FROM flightbill.charges h WHERE h.invoice_id = i.id AND h.interest_on IS NOT NULL), 0) ELSE 0 END AS base
        FROM (
            SELECT i.id, i.number, i.currency, greatest(i.due_on, (SELECT max(h.interest_through) FROM flightbill.charges h WHERE h.interest_on = i.id AND h.amount > 0)) + 1 AS first_day
            FROM flightbill.invoices i
            WHERE i.customer_id = payer.id AND i.status IN ('PENDING', 'OVERDUE', 'PAID') AND i.kind <> 'credit_note' AND i.due_on < charge_interest.through
                AND (i.status <> 'PAID' OR (i.paid_at AT TIME ZONE zone)::date > i.due_on + 1)
        ) AS l JOIN flightbill.invoices i USING (id)
        WHERE l.first_day <= charge_interest.through AND (i.status <> 'PAID' OR (i.paid_at AT TIME ZONE zone)::date > l.first_day)
    ), days AS (
        SELECT l.id, l.first_day AS day FROM late l
        UNION
        SELECT l.id, p.paid_on FROM late l JOIN flightbill.payments p ON p.invoice_id = l.id
        WHERE p.paid_on > l.first_day AND p.paid_on <= charge_interest.through
    ), spans AS (
        SELECT d.id, d.day, coalesce(lead(d.day) OVER (PARTITION BY d.id ORDER BY d.day) - 1, charge_interest.through) AS last_day,
            l.base - coalesce((SELECT sum(p.amount) FROM flightbill.payments p WHERE p.invoice_id = d.id AND p.paid_on <= d.day), 0) AS open
        FROM days d JOIN late l USING (id)
    ), sums AS (
        SELECT s.id, sum((s.last_day - s.day + 1) * s.open) AS day_amounts,
            jsonb_agg(jsonb_build_object('what', s.day || ' to ' || s.last_day, 'value', ((s.last_day - s.day + 1) * s.open)::text,
                'how', s.last_day - s.day + 1 || ' days * ' || s.open || ' open') ORDER BY s.day) AS steps
        FROM spans s WHERE s.open > 0 GROUP BY s.id
    ), due AS (
        -- Divided to so many decimals that rounding twice rounds as once does.
        SELECT s.*, round((s.day_amounts * payer.late_interest_rate)::numeric(140, 60) / 365, flightbill.minor_units(l.currency)) AS amount, l.number, l.currency, l.first_day
        FROM sums s JOIN late l USING (id)
    )
    SELECT jsonb_agg(jsonb_build_object('interest_on', d.id, 'number', d.number, 'currency', d.currency, 'first_day', d.first_day, 'amount', d.amount, 'detail',
        d.steps || jsonb_build_array(
            jsonb_build_object('what', 'late_interest_rate', 'value', trim_scale(payer.late_interest_rate)::text, 'from', 'customer ' || payer.code),
            jsonb_build_object('what', 'interest', 'value', d.amount::text, 'how', d.day_amounts || ' * ' || trim_scale(payer.late_interest_rate) || ' / 365, rounded'))))
    INTO lines FROM due d WHERE d.amount > 0;

    next := (SELECT max(r.closes_on) FROM flightbill.billing_runs r);
    next := coalesce(next + 1, today);
    next := CASE payer.billing_frequency
        WHEN 'weekly' THEN next + (payer.week_ends_on - extract(isodow FROM next)::int + 7) % 7
        WHEN 'monthly' THEN (date_trunc('month', next) + interval '1 month - 1 day')::date END;
    FOR part IN SELECT DISTINCT l ->> 'currency' FROM jsonb_array_elements(lines) AS l ORDER BY 1 LOOP
        draft := flightbill.open_draft(payer.id, next, part, at, true);
        RETURN QUERY
        WITH line AS (
            SELECT l.* FROM jsonb_to_recordset(lines) AS l (interest_on bigint, number text, currency text, first_day date, amount numeric, detail jsonb) WHERE l.currency = part
        ), charged AS (
            INSERT INTO flightbill.charges (invoice_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on,
                tax_category, tax_reason, unit_code, detail, interest_on, interest_through)
            SELECT draft, 'INTEREST', 'Interest at ' || trim_scale(payer.late_interest_rate * 100) || ' % on ' || l.number || ', ' || l.first_day || ' to ' || charge_interest.through,
                1, l.amount, l.amount, 0, 0, charge_interest.through, 'outside', 'VATEX-EU-O', 'C62', l.detail, l.interest_on, charge_interest.through
            FROM line l ORDER BY l.interest_on
        )
        SELECT l.number, l.currency, l.first_day, charge_interest.through, l.amount, draft FROM line l ORDER BY l.interest_on;
        IF next IS NULL AND NOT payer.billing_hold THEN
            PERFORM flightbill.issue_drafts(ARRAY[draft], at, today);
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION flightbill.charge_interest FROM PUBLIC;
