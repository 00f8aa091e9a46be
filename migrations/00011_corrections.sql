-- What becomes of an invoice after its issue: void with a credit note, billing its
-- flights again, correcting one flight. Nothing that was issued changes but in
-- status.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- A line of a correction, and where it goes.
CREATE TYPE flightbill.flight_line AS (
    customer_id bigint,
    closes_on   date,    -- of the customer's draft; null: billed per flight
    tariff_id   bigint,
    code        text,
    description text,
    quantity    numeric,
    unit_rate   numeric,
    amount      numeric,
    tax_rate    numeric,
    tax_amount  numeric,
    currency    text,
    flown_on    date,
    detail      jsonb,
    tax_category text,
    reversed    boolean -- it takes back what the flight was charged
);

-- +goose StatementBegin
-- void_invoice undoes an issued invoice: a credit note with the negative of each of
-- its lines, issued at once, and status VOID. It returns the credit note's number.
-- With rebill the invoice's flights go back to the queue, in the same transaction; payer
-- is as in rebill_invoice.
-- A credit note that stands for a period is undone by an invoice in the same way.
--
-- What is open on the original is set off against the credit note: one for an unpaid
-- invoice is PAID at once. What had been paid stays open on it, and it PENDING: it is the
-- customer's credit, until it is paid back or set off.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.void_invoice(invoice_number text, reason text, rebill boolean DEFAULT false, payer text DEFAULT 'billed') RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    original flightbill.invoices;
    note     flightbill.invoices; -- the credit note, or the invoice that undoes one
    today    date := (now() AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date;
    flights  text[];
    billed_elsewhere text;
    open     numeric;
BEGIN
    IF coalesce(btrim(void_invoice.reason), '') = '' THEN
        RAISE EXCEPTION 'invoice % cannot be voided without a reason', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why in a few words: they stand on the credit note.';
    END IF;
    SELECT * INTO original FROM flightbill.invoices i WHERE i.number = invoice_number;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'invoice % is not known', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'no_data_found',
                HINT = 'Give the number as it stands on the invoice, such as ACME-000123; a draft has none: it is no invoice yet, and there is nothing to void.';
    END IF;
    -- In the order of all: the customer, the invoice, its flights; each looked at
    -- in a statement after the one that locked it.
    PERFORM FROM flightbill.customers c WHERE c.id = original.customer_id FOR NO KEY UPDATE;
    PERFORM FROM flightbill.invoices i WHERE i.id = original.id FOR UPDATE;
    SELECT * INTO original FROM flightbill.invoices i WHERE i.id = original.id;
    IF original.kind = 'credit_note' AND original.closes_on IS NULL THEN
        RAISE EXCEPTION '% is a credit note and cannot be voided', invoice_number
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Have its flights billed again instead, or corrected.';
    END IF;
    IF original.status = 'VOID' THEN
        SELECT * INTO note FROM flightbill.invoices i WHERE i.credits_invoice_id = original.id;
        RAISE EXCEPTION 'invoice % is VOID already, by % of %', invoice_number, note.number, note.issued_on
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'To have its flights billed again, call flightbill.rebill_invoice.';
    END IF;

    SELECT array_agg(DISTINCT c.flight_id) INTO flights FROM flightbill.charges c WHERE c.invoice_id = original.id AND c.flight_id IS NOT NULL;
    PERFORM FROM flightbill.billed_flights b WHERE b.flight_id = ANY (flights) ORDER BY b.flight_id FOR UPDATE;
    IF NOT coalesce(void_invoice.rebill, false) THEN
        SELECT c.flight_id || ' (' || string_agg(DISTINCT coalesce(i.number, 'draft ' || i.id), ', ') || ')' INTO billed_elsewhere
        FROM flightbill.charges c JOIN flightbill.invoices i ON i.id = c.invoice_id
        WHERE c.flight_id = ANY (flights) AND i.id <> original.id AND i.currency = original.currency
        GROUP BY c.flight_id
        HAVING sum(c.amount) <> 0 OR sum(c.tax_amount) <> 0
        ORDER BY c.flight_id LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'invoice % cannot be voided without billing its flights again: flight % has charges elsewhere too', invoice_number, billed_elsewhere
                USING ERRCODE = 'object_not_in_prerequisite_state',
                    HINT = 'It was corrected. Void the invoice with rebill => true, which sets that right as well.';
        END IF;
    END IF;

    -- A rest that was written off was not paid, and is not owed back.
    INSERT INTO flightbill.payments (invoice_id, kind, amount, paid_on, reverses_id, reason)
    SELECT p.invoice_id, p.kind, -p.amount, today, p.id, btrim(void_invoice.reason)
    FROM flightbill.payments p
    WHERE p.invoice_id = original.id AND p.kind = 'rounding' AND p.reverses_id IS NULL
        AND NOT EXISTS (SELECT FROM flightbill.payments r WHERE r.reverses_id = p.id)
    ORDER BY p.id;

    INSERT INTO flightbill.invoices (customer_id, kind, currency, opened_at, credits_invoice_id, reason, outside_scope)
    VALUES (original.customer_id, CASE original.kind WHEN 'credit_note' THEN 'consolidated' ELSE 'credit_note' END, original.currency, now(), original.id, btrim(void_invoice.reason), original.outside_scope)
    RETURNING * INTO note;
    INSERT INTO flightbill.charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on, detail,
        tax_category, tax_reason, unit_code, account, interest_on, interest_through)
    SELECT note.id, c.flight_id, c.tariff_id, c.code, c.description, -c.quantity, c.unit_rate, -c.amount, c.tax_rate, -c.tax_amount, c.flown_on, c.detail,
        c.tax_category, c.tax_reason, c.unit_code, c.account, c.interest_on, c.interest_through
    FROM flightbill.charges c WHERE c.invoice_id = original.id ORDER BY c.id;
    PERFORM flightbill.issue_drafts(ARRAY[note.id], now(), today);
    UPDATE flightbill.invoices i SET status = 'VOID' WHERE i.id = original.id;
    open := flightbill.open_amount(original.id);
    IF open <> 0 THEN
        PERFORM flightbill.set_off_pair(original.id, note.id, open, now());
    END IF;
    SELECT * INTO note FROM flightbill.invoices i WHERE i.id = note.id;
    -- Interest on it that is on a draft still is taken back there.
    INSERT INTO flightbill.charges (invoice_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on, detail,
        tax_category, tax_reason, unit_code, account, interest_on, interest_through)
    SELECT c.invoice_id, c.code, c.description, -c.quantity, c.unit_rate, -c.amount, c.tax_rate, -c.tax_amount, c.flown_on, c.detail,
        c.tax_category, c.tax_reason, c.unit_code, c.account, c.interest_on, c.interest_through
    FROM flightbill.charges c JOIN flightbill.invoices d ON d.id = c.invoice_id
    WHERE c.interest_on = original.id AND d.status = 'DRAFT' AND c.amount > 0 ORDER BY c.id;

    UPDATE flightbill.billed_flights b SET revision = b.revision + 1 WHERE b.flight_id = ANY (flights);
    INSERT INTO flightbill.voided_flights (flight_id, credit_note_id, currency, rebill)
    SELECT f.id, note.id, original.currency, false FROM unnest(flights) AS f (id);
    IF void_invoice.rebill AND flights IS NOT NULL THEN
        PERFORM flightbill.rebill_invoice(original.number, void_invoice.payer);
    END IF;
    RETURN note.number;
END
$$;
REVOKE ALL ON FUNCTION flightbill.void_invoice FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- rebill_invoice puts the flights of a voided invoice in the queue, to be billed
-- again from the facts that were kept, at the tariffs then in force for their
-- dates. payer says to whom: 'billed', to who was billed last; 'register', to whom
-- customer_aircraft and customer_operators then have for their dates. It returns how many.
CREATE OR REPLACE FUNCTION flightbill.rebill_invoice(invoice_number text, payer text DEFAULT 'billed') RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    original flightbill.invoices;
    flights  text[];
BEGIN
    IF rebill_invoice.payer NOT IN ('billed', 'register') OR rebill_invoice.payer IS NULL THEN
        RAISE EXCEPTION 'payer % is not known', quote_nullable(rebill_invoice.payer)
            USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Give ''billed'' for who was billed before, or ''register'' for whom customer_aircraft and customer_operators have for a flight''s date.';
    END IF;
    SELECT * INTO original FROM flightbill.invoices i WHERE i.number = invoice_number FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'invoice % is not known', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'Give the number as it stands on the invoice, such as ACME-000123.';
    END IF;
    IF original.status <> 'VOID' THEN
        RAISE EXCEPTION 'invoice % is % and its flights are billed', invoice_number, original.status
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Void it first: flightbill.void_invoice has its flights billed again with rebill => true.';
    END IF;
    -- Before voided_flights, as a re-billing that is at work takes them.
    PERFORM FROM flightbill.billed_flights b
    WHERE b.flight_id IN (SELECT v.flight_id FROM flightbill.voided_flights v JOIN flightbill.invoices c ON c.id = v.credit_note_id WHERE c.credits_invoice_id = original.id AND v.rebilled_at IS NULL)
    ORDER BY b.flight_id FOR UPDATE;
    WITH asked AS (
        UPDATE flightbill.voided_flights v SET rebill = true, payer = rebill_invoice.payer
        WHERE v.credit_note_id = (SELECT c.id FROM flightbill.invoices c WHERE c.credits_invoice_id = original.id)
            AND v.rebilled_at IS NULL AND (NOT v.rebill OR v.payer <> rebill_invoice.payer)
        RETURNING v.flight_id
    )
    SELECT array_agg(flight_id) INTO flights FROM asked;
    IF flights IS NULL THEN
        RAISE EXCEPTION 'the flights of invoice % have been sent to be billed again already', invoice_number
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'flight_processing_queue shows those that wait, and why; enqueue what was taken back; or give another payer.';
    END IF;
    UPDATE flightbill.billed_flights b SET revision = b.revision + 1 WHERE b.flight_id = ANY (flights);
    PERFORM FROM flightbill.enqueue_flights(flights);
    RETURN cardinality(flights);
END
$$;
REVOKE ALL ON FUNCTION flightbill.rebill_invoice FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
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
-- +goose StatementEnd

-- Billed flights that one aircraft cannot have flown: in the air at the same time, or
-- landed, or departed, in the same minute. Mostly it is one flight under two ids, billed
-- twice. Each is listed once, with the earlier flight that it meets: of those in the air,
-- the one that landed last. Without its other end, a flight counts as the moment of the
-- one that it has. A departure and an arrival are no such pair: they are billed one by
-- one, of one flight too. What was voided and not billed again does not count.
--
-- Window functions, since to compare each flight with each other of its aircraft takes
-- the square of their number. 300,000 flights of 3,000 aircraft: 6 s, on 2
-- cores that others had too.
CREATE VIEW flightbill.overlapping_flights AS
WITH flown AS (
    SELECT b.flight_id, b.customer_id, b.facts ->> 'registration' AS registration,
        flightbill.code_form(b.facts ->> 'registration') AS aircraft, coalesce(b.facts ->> 'movement', '') AS movement,
        (b.facts ->> 'departed_at')::timestamptz AS departed_at, (b.facts ->> 'landed_at')::timestamptz AS landed_at
    FROM flightbill.billed_flights b
    WHERE b.facts ->> 'registration' <> ''
        AND NOT EXISTS (SELECT FROM flightbill.voided_flights v WHERE v.flight_id = b.flight_id AND v.rebilled_at IS NULL)
), ends AS ( -- whole flights meet departures and arrivals
    SELECT f.*, f.landed_at AS moved_at, 'landed' AS moved FROM flown f WHERE f.movement <> 'departure'
    UNION ALL
    SELECT f.*, f.departed_at AS moved_at, 'departed' AS moved FROM flown f WHERE f.movement = 'departure'
    UNION ALL
    SELECT f.*, f.departed_at AS moved_at, 'departed' AS moved FROM flown f
    WHERE f.movement = '' AND f.aircraft IN (SELECT d.aircraft FROM flown d WHERE d.movement = 'departure')
), compared AS (
    SELECT f.*,
        lag(flight_id) OVER (PARTITION BY aircraft, moved, date_trunc('minute', coalesce(moved_at, landed_at))
            ORDER BY coalesce(departed_at, landed_at), coalesce(landed_at, departed_at), flight_id) AS same_minute,
        to_char(coalesce(departed_at, landed_at) AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS') AS began,
        max(ARRAY[to_char(coalesce(landed_at, departed_at) AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS'), flight_id] COLLATE "C")
            OVER (PARTITION BY aircraft, moved ORDER BY coalesce(departed_at, landed_at), coalesce(landed_at, departed_at), flight_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS last_landing
    FROM ends f
), met AS (
    SELECT DISTINCT ON (flight_id) * FROM compared
    WHERE same_minute IS NOT NULL OR began < last_landing[1]
    ORDER BY flight_id, moved DESC
)
SELECT f.registration, f.flight_id, c.code AS customer, f.departed_at, f.landed_at,
    o.flight_id AS other_flight_id, oc.code AS other_customer,
    (o.facts ->> 'departed_at')::timestamptz AS other_departed_at, (o.facts ->> 'landed_at')::timestamptz AS other_landed_at,
    CASE WHEN f.same_minute IS NULL THEN 'in_the_air' ELSE f.moved || '_in_the_same_minute' END AS overlap
FROM met f
JOIN flightbill.billed_flights o ON o.flight_id = coalesce(f.same_minute, f.last_landing[2])
JOIN flightbill.customers c ON c.id = f.customer_id
JOIN flightbill.customers oc ON oc.id = o.customer_id;

-- +goose StatementBegin
-- fact_form is the form in which values of a fact are compared: 12, "12" and 12.0 are one,
-- and text that only says that there is nothing is null; as a country, NA is Namibia.
-- billing.NamedFact reads them so. All may call it: see code_form.
CREATE OR REPLACE FUNCTION flightbill.fact_form(name text, written text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN flightbill.clean_text(written) ~ '^-?[0-9]{1,30}([.][0-9]{1,30})?$'
        THEN trim_scale(flightbill.clean_text(written)::numeric)::text
        WHEN upper(written COLLATE "C") = 'NA' AND name ~ '(^|_)country$' THEN written
        ELSE nullif(flightbill.clean_text(written), '') END;
-- +goose StatementEnd

-- Billed flights whose facts in the table flights are others than those they were billed
-- from: they were corrected there since. Only facts that flightbill reads count, numbers
-- by their value. What was voided and not billed again does not count.
CREATE VIEW flightbill.changed_flights AS
SELECT b.flight_id, c.code AS customer, b.landed_on, b.billed_at, d.changed
FROM flightbill.billed_flights b
JOIN flightbill.flights f ON f.flight_id = b.flight_id
JOIN flightbill.customers c ON c.id = b.customer_id
CROSS JOIN LATERAL jsonb_to_record(b.facts) AS was (callsign text, operator text, registration text, aircraft_type text, mtow_kg numeric, origin text, destination text, departed_at timestamptz, landed_at timestamptz, distance_km numeric, passengers numeric,
    movement text, mtow_lb numeric, on_block_at timestamptz, off_block_at timestamptz, facts jsonb)
CROSS JOIN LATERAL (
    SELECT concat_ws(', ',
        CASE WHEN nullif(f.callsign, '') IS DISTINCT FROM was.callsign THEN 'callsign' END,
        CASE WHEN nullif(f.operator, '') IS DISTINCT FROM was.operator THEN 'operator' END,
        CASE WHEN nullif(f.registration, '') IS DISTINCT FROM was.registration THEN 'registration' END,
        CASE WHEN nullif(f.aircraft_type, '') IS DISTINCT FROM was.aircraft_type THEN 'aircraft_type' END,
        CASE WHEN f.mtow_kg IS DISTINCT FROM was.mtow_kg THEN 'mtow_kg' END,
        CASE WHEN nullif(f.origin, '') IS DISTINCT FROM was.origin THEN 'origin' END,
        CASE WHEN nullif(f.destination, '') IS DISTINCT FROM was.destination THEN 'destination' END,
        CASE WHEN f.departed_at IS DISTINCT FROM was.departed_at THEN 'departed_at' END,
        CASE WHEN f.landed_at IS DISTINCT FROM was.landed_at THEN 'landed_at' END,
        CASE WHEN f.distance_km IS DISTINCT FROM was.distance_km THEN 'distance_km' END,
        CASE WHEN f.passengers IS DISTINCT FROM was.passengers THEN 'passengers' END,
        CASE WHEN f.movement IS DISTINCT FROM was.movement THEN 'movement' END,
        CASE WHEN f.mtow_lb IS DISTINCT FROM was.mtow_lb THEN 'mtow_lb' END,
        CASE WHEN f.on_block_at IS DISTINCT FROM was.on_block_at THEN 'on_block_at' END,
        CASE WHEN f.off_block_at IS DISTINCT FROM was.off_block_at THEN 'off_block_at' END,
        CASE WHEN f.facts <> coalesce(was.facts, '{}') THEN (
            SELECT string_agg(coalesce(n.key, o.key), ', ' ORDER BY coalesce(n.key, o.key) COLLATE "C")
            FROM jsonb_each_text(f.facts) AS n FULL JOIN jsonb_each_text(was.facts) AS o ON o.key = n.key
            WHERE flightbill.fact_form(n.key, n.value) IS DISTINCT FROM flightbill.fact_form(o.key, o.value)) END) AS changed
) AS d
WHERE d.changed <> ''
    AND NOT EXISTS (SELECT FROM flightbill.voided_flights v WHERE v.flight_id = b.flight_id AND v.rebilled_at IS NULL);

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP VIEW flightbill.changed_flights;
DROP FUNCTION flightbill.fact_form;
DROP VIEW flightbill.overlapping_flights;
DROP FUNCTION flightbill.adjust_flight;
DROP FUNCTION flightbill.rebill_invoice;
DROP FUNCTION flightbill.void_invoice;
DROP TYPE flightbill.flight_line;
