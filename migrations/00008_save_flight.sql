-- The save: the one transaction that bills a flight, in one round trip.

-- +goose Up
-- +goose StatementBegin

-- save_flight bills a flight that has been priced, and completes its job.
--
-- It returns 'billed'; 'already_billed' where the ledger had the flight (the
-- job is completed, nothing else changes); or, with nothing changed, 'voided',
-- where the ledger had it and its invoice was voided, and 'stale', where the
-- price was made from an older price book or under an older cut-off than are now
-- in force: price again and call again.
--
-- It fails with SQLSTATE FB001 where the job is no longer this attempt's: it
-- was rescued, and the attempt that has it now will save the flight. This does
-- what River's JobCompleteTx does and checks what that does not.
--
-- Locks are taken in one order: the run lock in a statement of its own (each
-- statement here reads what was committed before it began), customers, flights,
-- and job rows last.
CREATE FUNCTION save_flight(
    job_id bigint, job_attempt smallint, job_client text,  -- null: a save without a job
    price_book_version bigint, cutoff date,
    flight_id text, customer_id bigint, landed_on date, facts jsonb,
    closes_on date, late boolean,                          -- null, false: billed per flight
    at timestamptz, today date,                            -- now, and the local date it falls on
    tariff_ids bigint[], codes text[], descriptions text[], quantities numeric[], unit_rates numeric[],
    amounts numeric[], tax_rates numeric[], tax_amounts numeric[], currencies text[]
) RETURNS text
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
    SET enable_seqscan = off -- a plan made for empty tables stays while they fill
AS $$
#variable_conflict use_column
DECLARE
    payer         customers;
    line_currency text;
    invoice       bigint;
    outcome       text := 'billed';
BEGIN
    LOCK TABLE billing_run_lock IN SHARE MODE;

    -- A per-flight invoice takes its customer's next number. Before the look at
    -- the price book, which may change while this waits.
    IF save_flight.closes_on IS NULL AND cardinality(codes) > 0 THEN
        SELECT * INTO payer FROM customers c WHERE c.id = save_flight.customer_id FOR NO KEY UPDATE;
    END IF;

    IF save_flight.price_book_version IS DISTINCT FROM (SELECT version FROM price_book)
        OR save_flight.cutoff IS DISTINCT FROM (SELECT max(r.closes_on) FROM billing_runs r)
    THEN
        RETURN 'stale';
    END IF;

    INSERT INTO billed_flights AS b (flight_id, customer_id, landed_on, facts, billed_at)
    VALUES (save_flight.flight_id, save_flight.customer_id, save_flight.landed_on, save_flight.facts, at)
    ON CONFLICT (flight_id) DO NOTHING;

    IF NOT FOUND THEN
        IF EXISTS (SELECT FROM voided_flights v WHERE v.flight_id = save_flight.flight_id AND v.rebilled_at IS NULL) THEN
            RETURN 'voided';
        END IF;
        outcome := 'already_billed';
    ELSE
        FOR line_currency IN SELECT DISTINCT c FROM unnest(currencies) AS c ORDER BY c LOOP
            invoice := NULL;
            IF save_flight.closes_on IS NOT NULL THEN
                SELECT i.id INTO invoice FROM invoices i
                WHERE i.customer_id = save_flight.customer_id AND i.currency = line_currency
                    AND i.closes_on = save_flight.closes_on AND i.kind = 'consolidated' AND i.status <> 'VOID';
            END IF;
            IF invoice IS NULL THEN
                invoice := open_draft(save_flight.customer_id, save_flight.closes_on, line_currency, at);
            END IF;

            INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount,
                tax_rate, tax_amount, flown_on, late)
            SELECT invoice, save_flight.flight_id, l.tariff_id, l.code, l.description, l.quantity, l.unit_rate, l.amount,
                l.tax_rate, l.tax_amount, save_flight.landed_on, save_flight.late
            FROM unnest(tariff_ids, codes, descriptions, quantities, unit_rates, amounts, tax_rates, tax_amounts, currencies)
                AS l (tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, currency)
            WHERE l.currency = line_currency;

            IF save_flight.closes_on IS NULL AND NOT payer.billing_hold THEN
                PERFORM issue_drafts(ARRAY[invoice], at, today);
            END IF;
        END LOOP;
    END IF;

    PERFORM complete_flight_job(job_id, job_attempt, job_client, save_flight.flight_id);
    RETURN outcome;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- open_draft opens a customer's draft, or finds the one that another transaction
-- opened meanwhile. Without a closing date it opens a new one each time.
CREATE FUNCTION open_draft(customer_id bigint, closes_on date, currency text, at timestamptz) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
    SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
    draft bigint;
BEGIN
    INSERT INTO invoices AS i (customer_id, kind, closes_on, currency, opened_at)
    VALUES (open_draft.customer_id, CASE WHEN open_draft.closes_on IS NULL THEN 'flight' ELSE 'consolidated' END,
        open_draft.closes_on, open_draft.currency, at)
    ON CONFLICT (customer_id, currency, closes_on) WHERE kind = 'consolidated' AND status <> 'VOID' DO NOTHING
    RETURNING i.id INTO draft;
    IF draft IS NULL THEN
        SELECT i.id INTO STRICT draft FROM invoices i
        WHERE i.customer_id = open_draft.customer_id AND i.currency = open_draft.currency
            AND i.closes_on = open_draft.closes_on AND i.kind = 'consolidated' AND i.status <> 'VOID';
    END IF;
    RETURN draft;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- complete_flight_job completes a flight's job, where there is one and it is still
-- this attempt's, and clears away the flight's others.
CREATE FUNCTION complete_flight_job(job_id bigint, job_attempt smallint, job_client text, flight_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF job_id IS NOT NULL THEN
        UPDATE river_job j SET state = 'completed', finalized_at = now()
        WHERE j.id = job_id AND j.state = 'running' AND j.attempt = job_attempt
            AND j.attempted_by[array_upper(j.attempted_by, 1)] = job_client;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'job % of flight % is no longer in the hands of attempt % by %', job_id, flight_id, job_attempt, job_client
                USING ERRCODE = 'FB001', HINT = 'It was rescued or cancelled meanwhile; nothing was saved.';
        END IF;
    END IF;
    DELETE FROM river_job j
    WHERE queued_flight(j.kind, j.state, j.args) = flight_id AND j.state <> 'running';
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- issue_drafts turns drafts into PENDING invoices: number, totals, due date. The
-- caller has locked their customers, and then the drafts, in statements before:
-- a sum taken in the statement that locks misses a charge that was committed
-- while it waited. A draft without charges is an error: its
-- totals cannot be null.
CREATE FUNCTION issue_drafts(drafts bigint[], at timestamptz, today date)
    RETURNS TABLE (invoice_id bigint, charges bigint)
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
    SET enable_seqscan = off -- likewise
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH due AS (
        SELECT i.id, i.customer_id,
            row_number() OVER (PARTITION BY i.customer_id ORDER BY i.closes_on NULLS FIRST, i.currency, i.id) AS nth
        FROM invoices i
        WHERE i.id = ANY (drafts) AND i.status = 'DRAFT'
    ), sums AS (
        SELECT c.invoice_id, count(*) AS lines, sum(c.amount) AS subtotal, sum(c.tax_amount) AS tax
        FROM charges c
        WHERE c.invoice_id = ANY (drafts)
        GROUP BY c.invoice_id
    ), numbers AS (
        UPDATE customers c SET invoice_seq = c.invoice_seq + d.wanted
        FROM (SELECT customer_id, count(*) AS wanted FROM due GROUP BY customer_id) AS d
        WHERE c.id = d.customer_id
        RETURNING c.id, c.code, c.name, c.payment_terms_days, c.invoice_seq - d.wanted AS used
    ), issued AS (
        UPDATE invoices i
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
-- +goose StatementEnd

REVOKE ALL ON FUNCTION issue_drafts(bigint[], timestamptz, date), open_draft(bigint, date, text, timestamptz),
    complete_flight_job(bigint, smallint, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION save_flight(bigint, smallint, text, bigint, date, text, bigint, date, jsonb, date, boolean, timestamptz,
    date, bigint[], text[], text[], numeric[], numeric[], numeric[], numeric[], numeric[], text[]) FROM PUBLIC;

-- +goose Down
DROP FUNCTION save_flight(bigint, smallint, text, bigint, date, text, bigint, date, jsonb, date, boolean, timestamptz,
    date, bigint[], text[], text[], numeric[], numeric[], numeric[], numeric[], numeric[], text[]);
DROP FUNCTION issue_drafts(bigint[], timestamptz, date);
DROP FUNCTION complete_flight_job(bigint, smallint, text, text);
DROP FUNCTION open_draft(bigint, date, text, timestamptz);
