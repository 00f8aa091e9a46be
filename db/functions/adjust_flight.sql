-- adjust_flight changes what a flight that was billed before is charged: it adds
-- lines, puts the ledger right and, for a flight that is billed again, completes its
-- job. Lines of a customer billed per flight go on an invoice of their own, or on a
-- credit note where they come to less than nothing.
--
-- It returns 'billed'; or, with nothing changed, 'stale' as save_flights does, and
-- 'changed' where the ledger is no longer at the revision that the lines were
-- made from. It fails with FB001 as save_flights does, and locks in the same order.
--
-- It runs with its owner's rights: who calls it needs none to change the ledger. To call it
-- is the right to bill any flight that was billed before anything: the lines are the caller's.
CREATE OR REPLACE FUNCTION flightbill.adjust_flight(
    job_client text, job_id bigint, job_attempt smallint, job_attempted_at timestamptz, -- null: a correction
    price_book_version bigint, cutoff date,
    flight_id text, revision integer, customer_id bigint, landed_on date, facts jsonb, declared jsonb,
    origin text,                                           -- rebilled or correction
    at timestamptz, today date,
    lines jsonb                                            -- of flight_line
) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    part    record;
    invoice bigint;
    why     text;
    tax_by  text := (SELECT s.tax_by FROM flightbill.billing_settings s);
BEGIN
    LOCK TABLE flightbill.billing_run_lock IN ROW SHARE MODE;
    PERFORM set_config('lock_timeout', '1s', true); -- see save_flights
    PERFORM FROM flightbill.customers c
    WHERE c.id IN (SELECT l.customer_id FROM jsonb_populate_recordset(NULL::flightbill.flight_line, lines) AS l WHERE l.closes_on IS NULL)
    ORDER BY c.id FOR NO KEY UPDATE;
    IF adjust_flight.price_book_version IS DISTINCT FROM (SELECT version FROM flightbill.price_book)
        OR adjust_flight.cutoff IS DISTINCT FROM (SELECT max(r.closes_on) FROM flightbill.billing_runs r)
    THEN
        RETURN 'stale';
    END IF;

    UPDATE flightbill.billed_flights b
    SET customer_id = adjust_flight.customer_id, landed_on = adjust_flight.landed_on, facts = adjust_flight.facts, declared = adjust_flight.declared,
        revision = b.revision + 1
    WHERE b.flight_id = adjust_flight.flight_id AND b.revision = adjust_flight.revision;
    IF NOT FOUND THEN
        RETURN 'changed';
    END IF;
    IF adjust_flight.origin = 'rebilled' THEN
        UPDATE flightbill.voided_flights v SET rebilled_at = at
        WHERE v.flight_id = adjust_flight.flight_id AND v.rebill AND v.rebilled_at IS NULL;
    END IF;

    FOR part IN
        SELECT s.customer_id, s.closes_on, s.currency, s.outside,
            s.closes_on IS NULL AND sum(s.base + flightbill.tax_of(tax_by, s.currency, s.base, s.tax_rate, s.of_lines)) < 0 AS credit
        FROM (
            SELECT l.customer_id, l.closes_on, l.currency, l.tax_category = 'outside' AS outside, l.tax_rate, sum(l.amount) AS base, sum(l.tax_amount) AS of_lines
            FROM jsonb_populate_recordset(NULL::flightbill.flight_line, lines) AS l
            GROUP BY l.customer_id, l.closes_on, l.currency, l.tax_category, l.tax_rate
        ) AS s
        GROUP BY s.customer_id, s.closes_on, s.currency, s.outside
        ORDER BY s.customer_id, s.closes_on, s.currency, s.outside
    LOOP
        IF part.credit THEN
            SELECT 'flight ' || adjust_flight.flight_id || ' corrected; it was charged on ' || string_agg(DISTINCT i.number, ', ') INTO why
            FROM flightbill.charges c JOIN flightbill.invoices i ON i.id = c.invoice_id
            WHERE c.flight_id = adjust_flight.flight_id AND i.customer_id = part.customer_id AND i.currency = part.currency;
            INSERT INTO flightbill.invoices AS i (customer_id, kind, currency, opened_at, reason, outside_scope)
            VALUES (part.customer_id, 'credit_note', part.currency, at, coalesce(why, 'flight ' || adjust_flight.flight_id || ' corrected'), part.outside)
            RETURNING i.id INTO invoice;
        ELSE
            invoice := flightbill.open_draft(part.customer_id, part.closes_on, part.currency, at, part.outside);
        END IF;
        INSERT INTO flightbill.charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount,
            tax_rate, tax_amount, flown_on, late, origin, detail, tax_category, tax_reason, unit_code, account)
        SELECT invoice, adjust_flight.flight_id, l.tariff_id, l.code, l.description, l.quantity, l.unit_rate, l.amount,
            l.tax_rate, l.tax_amount, l.flown_on, true, adjust_flight.origin, l.detail, l.tax_category,
            CASE WHEN was.id IS NULL THEN t.tax_reason ELSE was.tax_reason END,
            CASE WHEN was.id IS NULL THEN flightbill.tariff_unit_code(t) ELSE was.unit_code END,
            CASE WHEN was.id IS NULL THEN t.account ELSE was.account END
        FROM ROWS FROM (jsonb_populate_recordset(NULL::flightbill.flight_line, lines)) WITH ORDINALITY AS l
        LEFT JOIN flightbill.tariffs t ON t.id = l.tariff_id
        LEFT JOIN LATERAL (
            SELECT c.id, c.tax_reason, c.unit_code, c.account
            FROM flightbill.charges c
            WHERE l.reversed AND c.flight_id = adjust_flight.flight_id AND c.tariff_id = l.tariff_id AND c.tax_category = l.tax_category AND c.tax_rate = l.tax_rate
            ORDER BY c.id DESC LIMIT 1
        ) AS was ON true
        WHERE l.customer_id = part.customer_id AND l.currency = part.currency AND l.closes_on IS NOT DISTINCT FROM part.closes_on
            AND (l.tax_category = 'outside') = part.outside
        ORDER BY l.ordinality;
        -- A hold keeps back what the customer is to pay, not what it gets back.
        IF part.credit OR part.closes_on IS NULL AND NOT (SELECT c.billing_hold FROM flightbill.customers c WHERE c.id = part.customer_id) THEN
            PERFORM flightbill.issue_drafts(ARRAY[invoice], at, today);
        END IF;
    END LOOP;
    IF job_id IS NOT NULL THEN
        -- Its caller may have no rights on jobs: it completes none but the flight's own.
        IF NOT EXISTS (SELECT FROM flightbill.river_job j WHERE j.id = job_id AND flightbill.queued_flight(j.kind, j.state, j.args) = adjust_flight.flight_id) THEN
            RAISE EXCEPTION 'job % is not of flight %, or is gone', job_id, adjust_flight.flight_id USING ERRCODE = 'FB001', HINT = 'Nothing was saved.';
        END IF;
        PERFORM flightbill.complete_flight_jobs(
            job_client, ARRAY[job_id], ARRAY[job_attempt], ARRAY[job_attempted_at], ARRAY[adjust_flight.flight_id], ARRAY[adjust_flight.flight_id]);
    END IF;
    RETURN 'billed';
END
$$;
REVOKE ALL ON FUNCTION flightbill.adjust_flight FROM PUBLIC;
