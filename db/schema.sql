SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE SCHEMA flightbill;

CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA flightbill;

COMMENT ON EXTENSION btree_gist IS 'support for indexing common datatypes in GiST';

CREATE DOMAIN flightbill.facts AS jsonb
	CONSTRAINT facts_are_an_object CHECK (((jsonb_typeof(VALUE) = 'object'::text) AND (octet_length((VALUE)::text) <= 20000)))
	CONSTRAINT facts_are_text_or_numbers CHECK (((VALUE @? '$.keyvalue()?(!(@."value".type() == "string" && @."value" like_regex "^.{0,200}$" flag "s" || ((@."value".type() == "number" && @."value" > -1000000000000000000000000000000) && @."value" < 1000000000000000000000000000000) && (@."value" * 1000000000000000000000000000000) % 1 == 0))'::jsonpath) IS FALSE))
	CONSTRAINT facts_have_names_of_their_own CHECK (((VALUE @? '$.keyvalue()?(!(@."key" like_regex "^[a-z][a-z0-9_]{0,62}$") || @."key" like_regex "^(flight_id|callsign|operator|registration|aircraft_type|mtow_kg|mtow_lb|origin|destination|departed_at|landed_at|distance_km|passengers|movement|on_block_at|off_block_at|tonnes|kg|units|facts)$")'::jsonpath) IS FALSE));

CREATE TYPE flightbill.flight_line AS (
	customer_id bigint,
	closes_on date,
	tariff_id bigint,
	code text,
	description text,
	quantity numeric,
	unit_rate numeric,
	amount numeric,
	tax_rate numeric,
	tax_amount numeric,
	currency text,
	flown_on date,
	detail jsonb,
	tax_category text,
	reversed boolean
);

CREATE TYPE flightbill.river_job_state AS ENUM (
    'available',
    'cancelled',
    'completed',
    'discarded',
    'pending',
    'retryable',
    'running',
    'scheduled'
);

CREATE FUNCTION flightbill.add_bank_entries(file text, entries jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    added bigint;
BEGIN
    LOCK TABLE flightbill.bank_entries IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO flightbill.bank_entries AS b (account, bank_reference, booked_on, amount, currency, nth, value_on, text, payer, numbers, reason, file)
    SELECT e.account, e.bank_reference, e.booked_on, e.amount, e.currency, e.nth, e.value_on, e.text, e.payer, e.numbers, e.reason, add_bank_entries.file
    FROM ROWS FROM (jsonb_to_recordset(entries) AS (account text, bank_reference text, booked_on date, amount numeric, currency text, nth integer,
        value_on date, text text, payer text, numbers text[], reason text)) WITH ORDINALITY AS e
    ORDER BY e.ordinality
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END
$$;

CREATE FUNCTION flightbill.adjust_flight(job_client text, job_id bigint, job_attempt smallint, job_attempted_at timestamp with time zone, price_book_version bigint, cutoff date, flight_id text, revision integer, customer_id bigint, landed_on date, facts jsonb, declared jsonb, origin text, at timestamp with time zone, today date, lines jsonb) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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

CREATE FUNCTION flightbill.code_form(code text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN translate(upper((code COLLATE "C")), unistr('\0009\000a\000b\000c\000d \0085\00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\200b\2028\2029\202f\205f\3000\feff-\00ad\2010\2011\2012\2013\2014\2015\2212'::text), ''::text);

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE flightbill.airport_codes (
    form text NOT NULL COLLATE pg_catalog."C",
    airport text NOT NULL COLLATE pg_catalog."C"
);

CREATE FUNCTION flightbill.airport_form(code text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN COALESCE((SELECT flightbill.code_form(c.airport) AS code_form FROM flightbill.airport_codes c WHERE (c.form = flightbill.code_form(airport_form.code))), flightbill.code_form(code));

CREATE FUNCTION flightbill.airports_have_codes() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    wrong record;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM flightbill.airport_codes;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM flightbill.airport_codes c WHERE c.airport IN (SELECT o.code FROM old_rows o);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        SELECT n.code, c.code AS other INTO wrong
        FROM new_rows n CROSS JOIN unnest(n.other_codes) AS c (code)
        WHERE c.code IS NULL OR c.code = '' OR c.code <> flightbill.clean_text(c.code) OR char_length(c.code) > 200 LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'airport %: % is no code', quote_literal(wrong.code), coalesce(quote_literal(wrong.other), 'NULL')
                USING ERRCODE = 'check_violation', HINT = 'Write each of other_codes without blanks around it, 200 characters at most.';
        END IF;
        SELECT min(c.code) AS code, min(c.airport) AS airport, max(c.airport) AS other INTO wrong
        FROM (
            SELECT n.code AS airport, c.code, flightbill.code_form(c.code) AS form FROM new_rows n CROSS JOIN unnest(n.code || n.other_codes) AS c (code)
            UNION ALL
            SELECT k.airport, k.form, k.form FROM flightbill.airport_codes k
            WHERE k.form IN (SELECT flightbill.code_form(c.code) FROM new_rows n CROSS JOIN unnest(n.code || n.other_codes) AS c (code))
        ) AS c
        GROUP BY c.form HAVING min(c.airport) <> max(c.airport) LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'code % is one of airport % and one of airport %', quote_literal(wrong.code), quote_literal(wrong.airport), quote_literal(wrong.other)
                USING ERRCODE = 'unique_violation', HINT = 'A code, in whatever case, is that of one airport only: take it from the other first.';
        END IF;
        INSERT INTO flightbill.airport_codes (form, airport)
        SELECT DISTINCT flightbill.code_form(c.code), n.code FROM new_rows n CROSS JOIN unnest(n.code || n.other_codes) AS c (code);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION flightbill.announce_flights() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
BEGIN
    IF current_setting('flightbill.notified', true) IS DISTINCT FROM pg_current_xact_id()::text
        AND current_setting('flightbill.notify', true) IS DISTINCT FROM 'off'
        -- now() is what the index can be searched by, and old in a long transaction.
        AND NOT EXISTS (SELECT FROM flightbill.queue_promises WHERE until > now() AND until > clock_timestamp())
    THEN
        PERFORM set_config('flightbill.notified', pg_current_xact_id()::text, true),
            pg_notify('flightbill.river_insert', '{"queue": "flights"}');
    END IF;
END
$$;

CREATE FUNCTION flightbill.bank_entries_stay() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_LEVEL = 'STATEMENT' THEN
        RAISE EXCEPTION 'rows of % are kept for ever: they are what shows that no entry of the bank is booked twice', TG_TABLE_NAME;
    END IF;
    RAISE EXCEPTION 'entry % of the bank, of %, cannot be changed or removed: it is what shows that it is not booked twice', OLD.id, OLD.booked_on
        USING HINT = 'What is not to be booked is ignored, with a reason: flightbill.ignore_bank_entry.';
END
$$;

CREATE TABLE flightbill.bank_entries (
    id bigint NOT NULL,
    account text NOT NULL COLLATE pg_catalog."C",
    bank_reference text NOT NULL COLLATE pg_catalog."C",
    booked_on date NOT NULL,
    amount numeric NOT NULL,
    currency text NOT NULL COLLATE pg_catalog."C",
    nth integer DEFAULT 1 NOT NULL,
    value_on date,
    text text NOT NULL,
    payer text NOT NULL,
    numbers text[] DEFAULT '{}'::text[] NOT NULL,
    state text DEFAULT 'unmatched'::text NOT NULL,
    payment_ids bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    reason text,
    file text NOT NULL,
    imported_at timestamp with time zone DEFAULT now() NOT NULL,
    imported_by text DEFAULT SESSION_USER NOT NULL,
    CONSTRAINT bank_entries_account_check CHECK ((char_length(account) <= 64)),
    CONSTRAINT bank_entries_amount_check CHECK (((amount <> (0)::numeric) AND (abs(amount) < ('1000000000000000'::bigint)::numeric))),
    CONSTRAINT bank_entries_bank_reference_check CHECK (((bank_reference <> ''::text) AND (char_length(bank_reference) <= 170))),
    CONSTRAINT bank_entries_booked_on_check CHECK (isfinite(booked_on)),
    CONSTRAINT bank_entries_check CHECK (((state <> 'booked'::text) OR ((payment_ids <> '{}'::bigint[]) AND (reason IS NULL)))),
    CONSTRAINT bank_entries_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT bank_entries_nth_check CHECK ((nth > 0)),
    CONSTRAINT bank_entries_payer_check CHECK ((char_length(payer) <= 200)),
    CONSTRAINT bank_entries_reason_check CHECK ((reason <> ''::text)),
    CONSTRAINT bank_entries_state_check CHECK ((state = ANY (ARRAY['booked'::text, 'unmatched'::text, 'ignored'::text]))),
    CONSTRAINT bank_entries_text_check CHECK ((char_length(text) <= 2000))
);

CREATE FUNCTION flightbill.bank_entry_left(entry flightbill.bank_entries) RETURNS numeric
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT entry.amount - coalesce((
        SELECT sum(p.amount) FROM flightbill.payments p
        WHERE p.id = ANY (entry.payment_ids) AND NOT EXISTS (SELECT FROM flightbill.payments r WHERE r.reverses_id = p.id)), 0)
$$;

CREATE FUNCTION flightbill.bank_entry_reference(entry flightbill.bank_entries, nth integer) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    RETURN concat_ws(' '::text, NULLIF("left"((entry).account, 34), ''::text), "left"((entry).bank_reference, 120), (('#'::text || (entry).id) || CASE WHEN (nth > 1) THEN ('.'::text || nth) ELSE ''::text END));

CREATE FUNCTION flightbill.clean_text(written text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (((written COLLATE "C") ~ '^[A-Z0-9][A-Z0-9-]*$'::text) AND (written <> ALL (ARRAY['NA'::text, 'NULL'::text, 'NONE'::text, 'NIL'::text]))) THEN written WHEN ((btrim(written, unistr('\0009\000a\000b\000c\000d \0085\00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\200b\2028\2029\202f\205f\3000\feff-\00ad\2010\2011\2012\2013\2014\2015\2212'::text)) = ''::text) OR (upper((btrim(written, unistr('\0009\000a\000b\000c\000d \0085\00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\200b\2028\2029\202f\205f\3000\feff'::text)) COLLATE "C")) = ANY (ARRAY['NA'::text, 'N/A'::text, 'N.A.'::text, '#N/A'::text, '#NA'::text, '<NA>'::text, 'NULL'::text, '(NULL)'::text, '<NULL>'::text, '\N'::text, 'NONE'::text, 'NIL'::text])) OR (btrim(written, unistr('\0009\000a\000b\000c\000d \0085\00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\200b\2028\2029\202f\205f\3000\feff'::text)) = ANY (ARRAY['NaN'::text, 'nan'::text]))) THEN ''::text ELSE btrim(written, unistr('\0009\000a\000b\000c\000d \0085\00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\200b\2028\2029\202f\205f\3000\feff'::text)) END;

CREATE TABLE flightbill.customers (
    id bigint NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    billing_frequency text NOT NULL,
    week_ends_on smallint,
    payment_terms_days integer DEFAULT 30 NOT NULL,
    billing_hold boolean DEFAULT false NOT NULL,
    invoice_seq bigint DEFAULT 0 NOT NULL,
    credit_note_seq bigint DEFAULT 0 NOT NULL,
    held_through date,
    legal_name text,
    street text,
    city text,
    postcode text,
    subdivision text,
    country text COLLATE pg_catalog."C",
    vat_id text COLLATE pg_catalog."C",
    legal_id text COLLATE pg_catalog."C",
    legal_id_scheme text COLLATE pg_catalog."C",
    electronic_address text COLLATE pg_catalog."C",
    electronic_address_scheme text COLLATE pg_catalog."C",
    buyer_reference text,
    emails text[] DEFAULT '{}'::text[] NOT NULL,
    language text COLLATE pg_catalog."C",
    late_interest_rate numeric,
    CONSTRAINT customers_billing_frequency_check CHECK ((billing_frequency = ANY (ARRAY['per_flight'::text, 'weekly'::text, 'monthly'::text]))),
    CONSTRAINT customers_buyer_reference_check CHECK (((buyer_reference <> ''::text) AND (char_length(buyer_reference) <= 200))),
    CONSTRAINT customers_city_check CHECK (((city <> ''::text) AND (char_length(city) <= 200))),
    CONSTRAINT customers_code_check CHECK ((code ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$'::text)),
    CONSTRAINT customers_country_check CHECK ((country ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT customers_electronic_address_check CHECK (((electronic_address <> ''::text) AND (char_length(electronic_address) <= 254))),
    CONSTRAINT customers_electronic_address_scheme_check CHECK ((electronic_address_scheme ~ '^([0-9]{4}|[A-Z]{2})$'::text)),
    CONSTRAINT customers_emails_check CHECK (((cardinality(emails) <= 20) AND (''::text <> ALL (emails)) AND (array_to_string(emails, ''::text, ';'::text) !~ '[;[:space:]]'::text) AND (char_length(array_to_string(emails, ';'::text)) <= 1000))),
    CONSTRAINT customers_language_check CHECK ((language = ANY (ARRAY['en'::text, 'de'::text, 'fr'::text, 'es'::text]))),
    CONSTRAINT customers_late_interest_rate_check CHECK (((late_interest_rate >= (0)::numeric) AND (late_interest_rate <= (1)::numeric))),
    CONSTRAINT customers_legal_id_check CHECK (((legal_id <> ''::text) AND (char_length(legal_id) <= 64))),
    CONSTRAINT customers_legal_id_scheme_check CHECK ((legal_id_scheme ~ '^[0-9]{4}$'::text)),
    CONSTRAINT customers_legal_name_check CHECK (((legal_name <> ''::text) AND (char_length(legal_name) <= 1000))),
    CONSTRAINT customers_name_check CHECK (((name <> ''::text) AND (name = flightbill.clean_text(name)) AND (char_length(name) <= 1000))),
    CONSTRAINT customers_payment_terms_days_check CHECK (((payment_terms_days >= 0) AND (payment_terms_days <= 3650))),
    CONSTRAINT customers_postcode_check CHECK (((postcode <> ''::text) AND (char_length(postcode) <= 64))),
    CONSTRAINT customers_street_check CHECK (((street <> ''::text) AND (char_length(street) <= 200))),
    CONSTRAINT customers_subdivision_check CHECK (((subdivision <> ''::text) AND (char_length(subdivision) <= 200))),
    CONSTRAINT customers_vat_id_check CHECK ((vat_id ~ '^[A-Z]{2}[A-Z0-9+*]{2,62}$'::text)),
    CONSTRAINT customers_week_ends_on_check CHECK (((week_ends_on >= 1) AND (week_ends_on <= 7))),
    CONSTRAINT customers_week_ends_on_exactly_when_weekly CHECK (((billing_frequency = 'weekly'::text) = (week_ends_on IS NOT NULL)))
);

CREATE FUNCTION flightbill.bill_to(customer flightbill.customers) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN jsonb_strip_nulls(jsonb_build_object('code', (customer).code, 'name', COALESCE((customer).legal_name, (customer).name), 'street', (customer).street, 'city', (customer).city, 'postcode', (customer).postcode, 'subdivision', (customer).subdivision, 'country', (customer).country, 'vat_id', (customer).vat_id, 'legal_id', (customer).legal_id, 'legal_id_scheme', (customer).legal_id_scheme, 'electronic_address', (customer).electronic_address, 'electronic_address_scheme', (customer).electronic_address_scheme, 'buyer_reference', (customer).buyer_reference, 'emails', NULLIF(to_jsonb((customer).emails), '[]'::jsonb), 'language', (customer).language));

CREATE FUNCTION flightbill.billing_runs_only_forward() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.closes_on <= (SELECT max(closes_on) FROM flightbill.billing_runs) AND NOT EXISTS (
            -- A subscription copies a table as it lies on the disk.
            SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%'
        ) THEN
            RAISE EXCEPTION 'closing date % has been run: the cut-off never moves back', NEW.closes_on;
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.closes_on = OLD.closes_on THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'closing dates have been run: their records cannot be removed';
    END IF;
    RAISE EXCEPTION 'closing date % has been run: its record cannot be changed or removed', OLD.closes_on;
END
$$;

CREATE FUNCTION flightbill.billing_runs_tell() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    told text[];
BEGIN
    WITH made AS (
        INSERT INTO flightbill.deliveries (kind, event, closes_on, webhook_id, target, payload)
        SELECT 'webhook', 'run.finished', NEW.closes_on, w.id, w.target,
            json_build_object('type', 'run.finished', 'timestamp', to_char(NEW.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                'data', json_build_object('closes_on', NEW.closes_on, 'run_date', NEW.run_date, 'trigger', NEW.trigger,
                    'invoices', NEW.invoices, 'charges', NEW.charges, 'held', NEW.held, 'parked', NEW.parked))
        FROM flightbill.webhooks w WHERE w.active AND 'run.finished' = ANY (w.events)
        RETURNING id
    )
    SELECT array_agg(id) INTO told FROM made;
    IF told IS NOT NULL THEN
        PERFORM flightbill.enqueue_deliveries(told);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION flightbill.book_bank_entry(entry_id bigint, invoice_number text, amount numeric DEFAULT NULL::numeric) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    entry    flightbill.bank_entries;
    rest     numeric;
    currency text;
    payment  bigint;
BEGIN
    LOCK TABLE flightbill.bank_entries IN ROW EXCLUSIVE MODE; -- what the update takes, before any invoice: see add_bank_entries
    SELECT * INTO entry FROM flightbill.bank_entries b WHERE b.id = entry_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'entry % of the bank is not known', coalesce(entry_id::text, 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'flightbill bank list shows the entries with their ids.';
    END IF;
    -- Somebody may have taken a payment back, or be doing so.
    PERFORM FROM flightbill.payments p JOIN flightbill.invoices i ON i.id = p.invoice_id
    WHERE p.id = ANY (entry.payment_ids) OR i.number = invoice_number ORDER BY i.id FOR NO KEY UPDATE OF i;
    SELECT i.currency INTO currency FROM flightbill.invoices i WHERE i.number = invoice_number;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'invoice % is not known', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'Give the number as it stands on the invoice, such as ACME-000123; a draft has none.';
    END IF;
    IF currency <> entry.currency THEN
        RAISE EXCEPTION 'entry % of the bank is of % %, and invoice % is in %', entry_id, entry.amount, entry.currency, invoice_number, currency
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Record what it came to in ' || currency || ' with flightbill.record_payment, and ignore the entry.';
    END IF;
    rest := flightbill.bank_entry_left(entry);
    book_bank_entry.amount := coalesce(book_bank_entry.amount, rest);
    IF rest = 0 THEN
        RAISE EXCEPTION 'entry % of the bank is booked already, as payment %', entry_id, array_to_string(entry.payment_ids, ', ')
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Take the payment back first.';
    END IF;
    IF book_bank_entry.amount = 0 OR sign(book_bank_entry.amount) <> sign(rest) OR abs(book_bank_entry.amount) > abs(rest) THEN
        RAISE EXCEPTION '% of entry % of the bank cannot be booked: % % of it is left', book_bank_entry.amount, entry_id, rest, entry.currency
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give at most what is left, with its sign; or no amount.';
    END IF;
    payment := flightbill.record_payment(invoice_number, book_bank_entry.amount, entry.booked_on, left(entry.text, 1000),
        flightbill.bank_entry_reference(entry, cardinality(entry.payment_ids) + 1));
    rest := rest - book_bank_entry.amount;
    UPDATE flightbill.bank_entries b
    SET payment_ids = b.payment_ids || payment, state = CASE WHEN rest = 0 THEN 'booked' ELSE 'unmatched' END,
        reason = CASE WHEN rest <> 0 THEN round(rest, greatest(flightbill.minor_units(currency), min_scale(rest))) || ' ' || currency || ' of it is left to book' END
    WHERE b.id = entry_id;
    RETURN payment;
END
$$;

CREATE FUNCTION flightbill.charge_interest(customer text, through date, at timestamp with time zone, today date) RETURNS TABLE(number text, currency text, first_day date, last_day date, amount numeric, charged_on bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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

CREATE FUNCTION flightbill.charges_join_drafts_only() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    issued text;
BEGIN
    SELECT i.number INTO issued
    FROM new_rows n JOIN flightbill.invoices i ON i.id = n.invoice_id
    WHERE i.status <> 'DRAFT' LIMIT 1;
    IF FOUND AND NOT EXISTS (
        -- A subscription copies a table as it is, whatever comes first.
        SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%'
    ) THEN
        RAISE EXCEPTION 'invoice % has been issued: no charge can be added to it', issued
            USING HINT = 'A charge that comes late goes on the customer''s next draft.';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION flightbill.charges_stay_as_issued() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    issued text;
BEGIN
    -- Locked, so that a draft is not issued, with the sums of before, while its
    -- charge is being changed; looked at in a later statement, which sees what
    -- was committed while this one waited.
    PERFORM FROM flightbill.invoices WHERE id = OLD.invoice_id OR TG_OP = 'UPDATE' AND id = NEW.invoice_id ORDER BY id FOR SHARE;
    SELECT number INTO issued FROM flightbill.invoices
    WHERE status <> 'DRAFT' AND (id = OLD.invoice_id OR TG_OP = 'UPDATE' AND id = NEW.invoice_id);
    IF FOUND THEN
        RAISE EXCEPTION 'charge % stands on invoice %, which has been issued: it cannot be changed or removed', OLD.id, issued
            USING HINT = 'An issued invoice is corrected by a credit note.';
    END IF;
    RETURN CASE TG_OP WHEN 'UPDATE' THEN NEW ELSE OLD END;
END
$$;

CREATE TABLE flightbill.invoices (
    id bigint NOT NULL,
    number text COLLATE pg_catalog."C",
    customer_id bigint NOT NULL,
    kind text NOT NULL,
    closes_on date,
    currency text NOT NULL COLLATE pg_catalog."C",
    status text DEFAULT 'DRAFT'::text NOT NULL,
    subtotal numeric,
    tax numeric,
    total numeric,
    bill_to_name text,
    outside_scope boolean DEFAULT false NOT NULL,
    issuer_id bigint,
    bill_to jsonb,
    tax_currency text COLLATE pg_catalog."C",
    tax_currency_rate numeric,
    opened_at timestamp with time zone DEFAULT now() NOT NULL,
    issued_at timestamp with time zone,
    issued_on date,
    due_on date,
    paid_at timestamp with time zone,
    parked_at timestamp with time zone,
    parked_reason text,
    parked_by_run date,
    credits_invoice_id bigint,
    reason text,
    CONSTRAINT invoices_check CHECK (
CASE kind
    WHEN 'consolidated'::text THEN ((closes_on IS NULL) = (credits_invoice_id IS NOT NULL))
    WHEN 'credit_note'::text THEN ((closes_on IS NULL) OR (credits_invoice_id IS NULL))
    ELSE (num_nonnulls(closes_on, credits_invoice_id) = 0)
END),
    CONSTRAINT invoices_check1 CHECK ((((kind = 'credit_note'::text) OR (credits_invoice_id IS NOT NULL)) = (reason IS NOT NULL))),
    CONSTRAINT invoices_check2 CHECK (((parked_at IS NULL) = (parked_reason IS NULL))),
    CONSTRAINT invoices_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT invoices_draft_has_no_number CHECK (
CASE
    WHEN (status = 'DRAFT'::text) THEN (num_nonnulls(number, subtotal, tax, total, bill_to_name, issuer_id, bill_to, tax_currency, tax_currency_rate, issued_at, issued_on, due_on, paid_at) = 0)
    ELSE ((num_nulls(number, subtotal, tax, total, bill_to_name, issued_at, issued_on, due_on) = 0) AND (total = (subtotal + tax)) AND (parked_at IS NULL))
END),
    CONSTRAINT invoices_kind_check CHECK ((kind = ANY (ARRAY['flight'::text, 'consolidated'::text, 'credit_note'::text]))),
    CONSTRAINT invoices_paid_at_exactly_when_paid CHECK ((((status = 'PAID'::text) = (paid_at IS NOT NULL)) OR (status = 'VOID'::text))),
    CONSTRAINT invoices_reason_check CHECK ((reason <> ''::text)),
    CONSTRAINT invoices_status_check CHECK ((status = ANY (ARRAY['DRAFT'::text, 'PENDING'::text, 'OVERDUE'::text, 'PAID'::text, 'VOID'::text])))
);

CREATE FUNCTION flightbill.check_payment(invoice flightbill.invoices, amount numeric) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF amount IS NULL OR amount = 0 OR NOT abs(amount) < 1000000000000000 THEN
        RAISE EXCEPTION '% cannot be paid on invoice %', coalesce(quote_literal(amount), 'NULL'), invoice.number
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the amount that was paid, in ' || invoice.currency || ', other than 0.';
    END IF;
    IF amount <> round(amount, flightbill.minor_units(invoice.currency)) THEN
        RAISE EXCEPTION '% cannot be paid on invoice %: amounts in % have % decimals', quote_literal(amount), invoice.number, invoice.currency, flightbill.minor_units(invoice.currency)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the amount as it was paid.';
    END IF;
END
$$;

CREATE TABLE flightbill.river_job (
    id bigint NOT NULL,
    state flightbill.river_job_state DEFAULT 'available'::flightbill.river_job_state NOT NULL,
    attempt smallint DEFAULT 0 NOT NULL,
    max_attempts smallint DEFAULT 25 NOT NULL,
    attempted_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finalized_at timestamp with time zone,
    scheduled_at timestamp with time zone DEFAULT now() NOT NULL,
    priority smallint DEFAULT 1 NOT NULL,
    args jsonb NOT NULL,
    attempted_by text[],
    errors jsonb[],
    kind text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    queue text DEFAULT 'default'::text NOT NULL,
    tags character varying(255)[] DEFAULT '{}'::character varying[] NOT NULL,
    unique_key bytea,
    unique_states bit(8),
    CONSTRAINT finalized_or_finalized_at_null CHECK ((((finalized_at IS NULL) AND (state <> ALL (ARRAY['cancelled'::flightbill.river_job_state, 'completed'::flightbill.river_job_state, 'discarded'::flightbill.river_job_state]))) OR ((finalized_at IS NOT NULL) AND (state = ANY (ARRAY['cancelled'::flightbill.river_job_state, 'completed'::flightbill.river_job_state, 'discarded'::flightbill.river_job_state]))))),
    CONSTRAINT kind_length CHECK (((char_length(kind) > 0) AND (char_length(kind) < 128))),
    CONSTRAINT max_attempts_is_positive CHECK ((max_attempts > 0)),
    CONSTRAINT priority_in_range CHECK (((priority >= 1) AND (priority <= 4))),
    CONSTRAINT queue_length CHECK (((char_length(queue) > 0) AND (char_length(queue) < 128)))
);

CREATE FUNCTION flightbill.claim_flights(client text, most integer, behind_scheduled_at timestamp with time zone[], behind_id bigint[]) RETURNS SETOF flightbill.river_job
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET enable_sort TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    ids bigint[] := '{}';
BEGIN
    IF EXISTS (SELECT FROM flightbill.river_queue q WHERE q.name = 'flights' AND q.paused_at IS NOT NULL) THEN
        RETURN;
    END IF;
    FOR urgency IN 1..4 LOOP
        ids := ids || ARRAY(
            SELECT n.id FROM flightbill.river_job n
            WHERE n.state = 'available' AND n.queue = 'flights' AND n.priority = urgency AND n.scheduled_at <= now()
                AND (n.scheduled_at, n.id) > (behind_scheduled_at[urgency], behind_id[urgency])
                AND n.kind = 'ingest_flight' AND jsonb_typeof(n.args -> 'flight_id') = 'string' AND flightbill.flight_id_is_valid(n.args ->> 'flight_id')
            ORDER BY n.scheduled_at, n.id
            LIMIT most - cardinality(ids)
            FOR UPDATE SKIP LOCKED);
        EXIT WHEN cardinality(ids) >= most;
    END LOOP;
    IF ids = '{}' THEN
        RETURN;
    END IF;
    RETURN QUERY
    UPDATE flightbill.river_job j
    SET state = 'running', attempt = j.attempt + 1, attempted_at = now(),
        attempted_by = array_append(j.attempted_by[greatest(1, cardinality(j.attempted_by) - 98):], client) -- River keeps 100
    WHERE j.id = ANY (ids)
    RETURNING j.*;
END
$$;

CREATE FUNCTION flightbill.complete_flight_jobs(job_client text, job_ids bigint[], job_attempts smallint[], job_attempted_at timestamp with time zone[], flight_ids text[], billed text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    completed bigint[];
    lost      record;
BEGIN
    PERFORM set_config('flightbill.completes', 'billed', true); -- see the trigger complete_when_billed
    WITH done AS (
        UPDATE flightbill.river_job j SET state = 'completed', finalized_at = now()
        -- Sorted, as the rows are locked in the order of this: 1.4 % of a save of five.
        FROM (SELECT u.* FROM unnest(job_ids, job_attempts, job_attempted_at) AS u (id, attempt, attempted_at) ORDER BY u.id) AS mine
        -- As text, so that the index on state is of no use: it has whatever was
        -- running since the last vacuum.
        WHERE j.id = mine.id AND j.state::text = 'running' AND j.attempt = mine.attempt AND j.attempted_at = mine.attempted_at
            AND j.attempted_by[array_upper(j.attempted_by, 1)] = job_client
        RETURNING j.id
    )
    SELECT array_agg(done.id) INTO completed FROM done;
    IF coalesce(cardinality(completed), 0) < cardinality(array_remove(job_ids, 0)) THEN
        SELECT mine.id, mine.attempt, mine.flight INTO lost
        FROM unnest(job_ids, job_attempts, flight_ids) AS mine (id, attempt, flight)
        WHERE mine.id <> 0 AND mine.id <> ALL (coalesce(completed, '{}')) LIMIT 1;
        RAISE EXCEPTION 'job % of flight % is no longer in the hands of attempt % by %', lost.id, lost.flight, lost.attempt, job_client
            USING ERRCODE = 'FB001', HINT = 'It was rescued or cancelled meanwhile; nothing was saved.';
    END IF;
    DELETE FROM flightbill.river_job j
    WHERE j.id = ANY (ARRAY(
        SELECT o.id FROM flightbill.river_job o
        WHERE flightbill.queued_flight(o.kind, o.state, o.args) = ANY (billed) AND o.state <> 'running'
        ORDER BY o.id FOR UPDATE));
END
$$;

CREATE FUNCTION flightbill.currency_rate(currency text, in_currency text, on_day date) RETURNS numeric
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE WHEN r.currency = currency_rate.currency THEN r.rate ELSE 1 / r.rate END
    FROM flightbill.currency_rates r
    WHERE r.day BETWEEN on_day - 7 AND on_day
        AND (r.currency = currency_rate.currency AND r.in_currency = currency_rate.in_currency
            OR r.currency = currency_rate.in_currency AND r.in_currency = currency_rate.currency)
    ORDER BY r.day DESC, r.currency = currency_rate.currency DESC
    LIMIT 1
$$;

CREATE FUNCTION flightbill.customers_keep_numbers() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF NEW.invoice_seq < OLD.invoice_seq OR NEW.credit_note_seq < OLD.credit_note_seq THEN
        RAISE EXCEPTION 'customer % has been given invoice numbers up to % and credit note numbers up to %, which cannot be given again',
            OLD.code, OLD.invoice_seq, OLD.credit_note_seq;
    END IF;
    IF NEW.code <> OLD.code AND EXISTS (SELECT FROM flightbill.invoices i WHERE i.customer_id = OLD.id AND i.number IS NOT NULL) THEN
        RAISE EXCEPTION 'customer % has issued invoices: its code cannot become %', OLD.code, quote_literal(NEW.code)
            USING HINT = 'The code begins the numbers of its invoices. Change the name, or make a new customer and give it the operators and aircraft.';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION flightbill.deliveries_stay() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'rows of deliveries are kept as they are: they show what was sent, to whom and when'
        USING HINT = 'Only how far a delivery has got changes; flightbill.retry_deliveries has one tried again.';
END
$$;

CREATE FUNCTION flightbill.documents_stay_as_given() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    retention text := coalesce(current_setting('flightbill.document_retention', true), '');
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF retention <> '' AND OLD.made_at < least(now() - retention::interval, now() - interval '1 year')
            AND pg_get_userbyid((SELECT t.relowner FROM pg_class t WHERE t.oid = TG_RELID)) = current_user
            -- A subscription repeats what was done elsewhere.
            OR EXISTS (SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%') THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the % of invoice % was given to somebody on % and stays as it was', upper(OLD.format),
            (SELECT i.number FROM flightbill.invoices i WHERE i.id = OLD.invoice_id), OLD.made_at::date
        USING HINT = 'flightbill.remove_documents removes what is older than it has to be kept.';
END
$$;

CREATE FUNCTION flightbill.minor_units(currency text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (currency = ANY (ARRAY['BIF'::text, 'CLP'::text, 'DJF'::text, 'GNF'::text, 'ISK'::text, 'JPY'::text, 'KMF'::text, 'KRW'::text, 'PYG'::text, 'RWF'::text, 'UGX'::text, 'UYI'::text, 'VND'::text, 'VUV'::text, 'XAF'::text, 'XOF'::text, 'XPF'::text])) THEN 0 WHEN (currency = ANY (ARRAY['BHD'::text, 'IQD'::text, 'JOD'::text, 'KWD'::text, 'LYD'::text, 'OMR'::text, 'TND'::text])) THEN 3 WHEN (currency = ANY (ARRAY['CLF'::text, 'UYW'::text])) THEN 4 ELSE 2 END;

CREATE FUNCTION flightbill.tax_of(tax_by text, currency text, base numeric, rate numeric, of_lines numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE tax_by WHEN 'line'::text THEN of_lines ELSE round((base * rate), flightbill.minor_units(currency)) END;

CREATE TABLE flightbill.billing_settings (
    singleton boolean DEFAULT true NOT NULL,
    timezone text NOT NULL,
    close text NOT NULL,
    billing_start date NOT NULL,
    tax_by text DEFAULT 'invoice'::text NOT NULL,
    CONSTRAINT billing_settings_close_check CHECK ((close = ANY (ARRAY['period_end'::text, 'next_day'::text]))),
    CONSTRAINT billing_settings_singleton_check CHECK (singleton),
    CONSTRAINT billing_settings_tax_by_check CHECK ((tax_by = ANY (ARRAY['invoice'::text, 'line'::text])))
);

CREATE TABLE flightbill.charges (
    id bigint NOT NULL,
    invoice_id bigint NOT NULL,
    flight_id text COLLATE pg_catalog."C",
    tariff_id bigint,
    code text NOT NULL COLLATE pg_catalog."C",
    description text NOT NULL,
    quantity numeric NOT NULL,
    unit_rate numeric NOT NULL,
    amount numeric NOT NULL,
    tax_rate numeric NOT NULL,
    tax_amount numeric NOT NULL,
    flown_on date NOT NULL,
    late boolean DEFAULT false NOT NULL,
    origin text,
    tax_category text DEFAULT 'standard'::text NOT NULL,
    tax_reason text,
    unit_code text COLLATE pg_catalog."C",
    account text COLLATE pg_catalog."C",
    detail jsonb,
    interest_on bigint,
    interest_through date,
    CONSTRAINT charges_check CHECK (
CASE
    WHEN (interest_on IS NULL) THEN ((num_nulls(flight_id, tariff_id) = 0) AND (interest_through IS NULL))
    ELSE ((num_nonnulls(flight_id, tariff_id) = 0) AND (interest_through IS NOT NULL))
END),
    CONSTRAINT charges_origin_check CHECK ((origin = ANY (ARRAY['rebilled'::text, 'correction'::text]))),
    CONSTRAINT charges_tax_category_check CHECK ((tax_category = ANY (ARRAY['standard'::text, 'zero'::text, 'exempt'::text, 'reverse_charge'::text, 'export'::text, 'outside'::text])))
);

CREATE FUNCTION flightbill.draft_sums(draft bigint, currency text) RETURNS TABLE(charges bigint, subtotal numeric, tax numeric)
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT (COALESCE(sum(g.charges), (0)::numeric))::bigint AS "coalesce",
     COALESCE(sum(g.base), (0)::numeric) AS "coalesce",
     COALESCE(sum(flightbill.tax_of(( SELECT s.tax_by
            FROM flightbill.billing_settings s), draft_sums.currency, g.base, g.tax_rate, g.of_lines)), (0)::numeric) AS "coalesce"
    FROM ( SELECT count(*) AS charges,
             c.tax_rate,
             sum(c.amount) AS base,
             sum(c.tax_amount) AS of_lines
            FROM flightbill.charges c
           WHERE (c.invoice_id = draft_sums.draft)
           GROUP BY c.tax_category, c.tax_rate) g;
END;

CREATE FUNCTION flightbill.end_flight_jobs(client text, job_ids bigint[], attempts smallint[], attempted_at timestamp with time zone[], states text[], scheduled_at timestamp with time zone[], spent boolean[], errors jsonb[], metadata jsonb[]) RETURNS bigint[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_variable
DECLARE
    ended bigint[];
BEGIN
    BEGIN
        PERFORM set_config('lock_timeout', '500ms', true);
        PERFORM FROM flightbill.river_job j WHERE j.id = ANY (job_ids) ORDER BY j.id FOR UPDATE;
    EXCEPTION WHEN lock_not_available THEN
        NULL;
    END;
    WITH mine AS (
        SELECT j.id, u.nr, states[u.nr] IN ('available', 'retryable', 'scheduled') AND j.metadata ? 'cancel_attempted_at' AS cancelled
        FROM unnest(job_ids) WITH ORDINALITY AS u (id, nr)
        JOIN flightbill.river_job j ON j.id = u.id
        WHERE j.state::text = 'running' AND j.attempt = attempts[u.nr] AND j.attempted_at = attempted_at[u.nr]
            AND j.attempted_by[array_upper(j.attempted_by, 1)] = client
        FOR UPDATE OF j SKIP LOCKED
    ), written AS (
        UPDATE flightbill.river_job j
        SET state = CASE WHEN m.cancelled THEN 'cancelled' ELSE states[m.nr] END::flightbill.river_job_state,
            finalized_at = CASE WHEN m.cancelled OR states[m.nr] IN ('cancelled', 'completed', 'discarded') THEN now() END,
            attempt = CASE WHEN m.cancelled OR spent[m.nr] THEN j.attempt ELSE j.attempt - 1 END,
            scheduled_at = CASE WHEN m.cancelled THEN j.scheduled_at ELSE coalesce(scheduled_at[m.nr], j.scheduled_at) END,
            errors = CASE
                WHEN errors[m.nr] IS NOT NULL THEN array_append(j.errors, errors[m.nr])
                WHEN m.cancelled THEN array_append(j.errors, jsonb_build_object(
                    'at', now(), 'attempt', j.attempt, 'error', 'JobCancelError: job cancelled remotely', 'trace', ''))
                ELSE j.errors
            END,
            metadata = CASE WHEN m.cancelled THEN j.metadata - 'reason' ELSE j.metadata || coalesce(metadata[m.nr], '{}') END
        FROM mine m
        WHERE j.id = m.id
        RETURNING j.id
    )
    SELECT array_agg(written.id) INTO ended FROM written;
    RETURN coalesce(ended, '{}');
END
$$;

CREATE FUNCTION flightbill.enqueue_as_jobs(flight_ids text[], job_ids bigint[], priority smallint, process_after timestamp with time zone) RETURNS TABLE(enqueued bigint, revived bigint, already_queued bigint, already_billed bigint, refused bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET work_mem TO '64MB'
    AS $$
#variable_conflict use_column
DECLARE
    bad      text;
    wanted   bigint;
    unbilled text[]; -- sorted, so that two callers with the same flights wait for each other instead of deadlocking
    again    text[]; -- billed before, and to be billed again
    voided   text[]; -- billed before, and neither to be billed again nor to be kept quiet about
    held     bytea[];
    given_up boolean;
    origin   jsonb := jsonb_build_object('enqueued_by', session_user);
    new_ids  bigint[]; -- inserted for flights that had been given up,
    old_ids  bigint[]; -- and their jobs of then
BEGIN
    SELECT f.id INTO bad FROM unnest(flight_ids) AS f (id) WHERE NOT flightbill.flight_id_is_valid(f.id) LIMIT 1;
    IF FOUND THEN
        PERFORM flightbill.refuse_flight_id(bad);
    END IF;

    SELECT count(*), count(b.flight_id), array_agg(f.id ORDER BY f.id COLLATE "C") FILTER (WHERE b.flight_id IS NULL)
    INTO wanted, already_billed, unbilled
    FROM (SELECT DISTINCT u.id FROM unnest(flight_ids) AS u (id)) AS f
    LEFT JOIN flightbill.billed_flights b ON b.flight_id = f.id;
    refused := 0;
    IF already_billed > 0 THEN
        SELECT array_agg(v.flight_id) FILTER (WHERE v.rebill), array_agg(v.flight_id) FILTER (WHERE NOT v.rebill)
        INTO again, voided
        FROM (SELECT flight_id, bool_or(rebill) AS rebill FROM flightbill.voided_flights
              WHERE rebilled_at IS NULL AND flight_id = ANY (flight_ids) GROUP BY flight_id ORDER BY flight_id COLLATE "C") AS v;
        already_billed := already_billed - coalesce(cardinality(again), 0) - coalesce(cardinality(voided), 0);
        unbilled := ARRAY(SELECT u.id FROM unnest(unbilled || again) AS u (id) ORDER BY u.id COLLATE "C");
        IF voided IS NOT NULL THEN
            refused := flightbill.refuse_voided_flights(voided, enqueue_as_jobs.priority);
        END IF;
    END IF;
    given_up := EXISTS (SELECT FROM flightbill.river_job WHERE state IN ('cancelled', 'discarded') AND finalized_at IS NOT NULL
        AND (kind = 'ingest_flight') IS TRUE); -- without IS TRUE, Postgres may walk all jobs of the kind

    enqueued := 0;
    LOOP
        IF again IS NOT NULL THEN
            held := flightbill.hold_flight_jobs(again);
        END IF;
        WITH inserted AS (
            INSERT INTO flightbill.river_job (id, kind, args, queue, priority, max_attempts, scheduled_at, state, unique_key, unique_states, metadata)
            SELECT coalesce(job_ids[array_position(flight_ids, f.flight_id)], nextval('flightbill.river_job_id_seq')),
                'ingest_flight', jsonb_build_object('flight_id', f.flight_id), 'flights', enqueue_as_jobs.priority, 25,
                coalesce(enqueue_as_jobs.process_after, now()),
                CASE WHEN enqueue_as_jobs.process_after > now() THEN 'scheduled'::flightbill.river_job_state ELSE 'available' END,
                flightbill.flight_job_key(f.flight_id), flightbill.flight_job_unique_states(),
                CASE WHEN f.flight_id = ANY (again) THEN origin || '{"billed_before": true}' ELSE origin END
            FROM unnest(unbilled) AS f (flight_id)
            ON CONFLICT (unique_key)
                WHERE unique_key IS NOT NULL AND unique_states IS NOT NULL AND flightbill.river_job_state_in_bitmask(unique_states, state)
                DO NOTHING
            RETURNING id, CASE WHEN again IS NOT NULL THEN unique_key END AS unique_key, CASE WHEN given_up THEN (
                -- Without IS TRUE, Postgres may go through all that River has finished in a day.
                SELECT o.id FROM flightbill.river_job o
                WHERE flightbill.queued_flight(o.kind, o.state, o.args) = river_job.args ->> 'flight_id' AND (o.finalized_at IS NOT NULL) IS TRUE
                ORDER BY o.finalized_at DESC LIMIT 1
            ) END AS given_up_id
        )
        SELECT enqueued + count(*), new_ids || array_agg(id) FILTER (WHERE given_up_id IS NOT NULL),
            old_ids || array_agg(given_up_id) FILTER (WHERE given_up_id IS NOT NULL), held || array_agg(unique_key) FILTER (WHERE again IS NOT NULL)
        INTO enqueued, new_ids, old_ids, held
        FROM inserted;
        -- A job that came between the two statements is neither held nor new.
        again := ARRAY(SELECT u.id FROM unnest(again) AS u (id) WHERE flightbill.flight_job_key(u.id) <> ALL (coalesce(held, '{}')));
        EXIT WHEN again = '{}';
        unbilled := again;
    END LOOP;

    revived := 0;
    IF old_ids IS NOT NULL THEN
        revived := flightbill.revive_flight_jobs(new_ids, old_ids);
    END IF;
    enqueued := enqueued - revived;
    already_queued := wanted - already_billed - enqueued - revived - refused;
    IF enqueued + revived > 0 AND (enqueue_as_jobs.process_after IS NULL OR enqueue_as_jobs.process_after <= now()) THEN
        PERFORM flightbill.announce_flights();
    END IF;
    RETURN NEXT;
END
$$;

CREATE FUNCTION flightbill.enqueue_deliveries(delivery_ids text[]) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
    INSERT INTO flightbill.river_job (id, kind, args, queue, priority, max_attempts, scheduled_at, state, metadata)
    SELECT d.job_id, 'deliver', jsonb_build_object('delivery_id', d.id), 'deliveries', 1, 25, now(), 'available', '{}'
    FROM flightbill.deliveries d WHERE d.id = ANY (delivery_ids);
    SELECT pg_notify('flightbill.river_insert', '{"queue": "deliveries"}') WHERE current_setting('flightbill.notify', true) IS DISTINCT FROM 'off';
$$;

CREATE FUNCTION flightbill.enqueue_flights(flight_ids text[], priority bigint DEFAULT 1, process_after timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS TABLE(enqueued bigint, revived bigint, already_queued bigint, already_billed bigint, refused bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
BEGIN
    IF enqueue_flights.priority IS NULL OR enqueue_flights.priority NOT BETWEEN 1 AND 4 THEN
        RAISE EXCEPTION 'flights cannot be enqueued with priority %', coalesce(enqueue_flights.priority::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A priority is 1 (first) to 4 (last).';
    END IF;
    IF NOT isfinite(enqueue_flights.process_after) THEN
        RAISE EXCEPTION 'flights cannot be enqueued for %', enqueue_flights.process_after
            USING ERRCODE = 'invalid_parameter_value', HINT = 'process_after is a moment in time; leave it out for at once.';
    END IF;
    RETURN QUERY SELECT * FROM flightbill.enqueue_as_jobs(flight_ids, NULL, enqueue_flights.priority::smallint, enqueue_flights.process_after);
END
$$;

CREATE FUNCTION flightbill.fact_form(name text, written text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (flightbill.clean_text(written) ~ '^-?[0-9]{1,30}([.][0-9]{1,30})?$'::text) THEN (trim_scale((flightbill.clean_text(written))::numeric))::text WHEN ((upper((written COLLATE "C")) = 'NA'::text) AND (name ~ '(^|_)country$'::text)) THEN written ELSE NULLIF(flightbill.clean_text(written), ''::text) END;

CREATE FUNCTION flightbill.flight_id_is_valid(flight_id text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN COALESCE(((octet_length(flight_id) <= 128) AND ((flight_id COLLATE "C") ~ '^[A-Za-z0-9][A-Za-z0-9 ._:/+#@~-]*$'::text) AND ("right"(flight_id, 1) <> ' '::text)), false);

CREATE FUNCTION flightbill.flight_job_key(flight_id text) RETURNS bytea
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN sha256(decode((('&kind=ingest_flight&args={"flight_id":"'::text || flight_id) || '"}'::text), 'escape'::text));

CREATE FUNCTION flightbill.flight_job_unique_states() RETURNS bit
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '11110101'::bit(8);

CREATE FUNCTION flightbill.flight_jobs_complete_when_billed() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF EXISTS (SELECT FROM flightbill.billed_flights b WHERE b.flight_id = NEW.args ->> 'flight_id') THEN
        RETURN NEW;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION flightbill.flight_processing_queue_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
BEGIN
    DELETE FROM flightbill.river_job WHERE id = OLD.job_id AND kind = 'ingest_flight' AND state NOT IN ('running', 'completed')
        AND (metadata ->> 'enqueued_by' = session_user OR flightbill.is_queue_admin());
    RETURN CASE WHEN FOUND THEN OLD END;
END
$$;

CREATE FUNCTION flightbill.flight_processing_queue_finish() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
BEGIN
    IF set_config('flightbill.singles_left', '', true) = '' AND current_setting('flightbill.gathered', true) <> '' THEN
        PERFORM flightbill.flight_processing_queue_flush();
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION flightbill.flight_processing_queue_flush() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    gathered     text := current_setting('flightbill.gathered', true);
    promised_ids bigint[];
BEGIN
    IF gathered <> '' THEN
        PERFORM set_config('flightbill.gathered', '', true);
        DELETE FROM flightbill.gathered_flights WHERE transaction = pg_current_xact_id() RETURNING job_ids INTO promised_ids;
        IF FOUND THEN
            PERFORM flightbill.enqueue_as_jobs(string_to_array(btrim(gathered, E'\n'), E'\n'), promised_ids, 1::smallint, NULL);
        END IF;
    END IF;
END
$$;

CREATE FUNCTION flightbill.flight_processing_queue_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    new_id       bigint;
    given_up_id  bigint;  -- its job of then, where the flight was given up before
    added        flightbill.flight_processing_queue; -- as the view shows it, for RETURNING
    given_up     flightbill.flight_processing_queue;
    promised     boolean; -- to be looked for
    gathered     text;
    promised_ids bigint[];
    ids_left     text; -- of these, for RETURNING
    begun        boolean; -- something has been gathered before
BEGIN
    IF NOT flightbill.flight_id_is_valid(NEW.flight_id) OR NEW.priority NOT BETWEEN 1 AND 4 OR NOT isfinite(NEW.process_after) THEN
        IF NOT flightbill.flight_id_is_valid(NEW.flight_id) THEN
            PERFORM flightbill.refuse_flight_id(NEW.flight_id);
        END IF;
        IF NEW.priority NOT BETWEEN 1 AND 4 THEN
            RAISE EXCEPTION 'flight % cannot be enqueued with priority %', NEW.flight_id, NEW.priority
                USING ERRCODE = 'invalid_parameter_value', HINT = 'A priority is 1 (first) to 4 (last).';
        END IF;
        RAISE EXCEPTION 'flight % cannot be enqueued for %', NEW.flight_id, NEW.process_after
            USING ERRCODE = 'invalid_parameter_value', HINT = 'process_after is a moment in time; leave it out for at once.';
    END IF;
    IF set_config('flightbill.singles_left', (coalesce(nullif(current_setting('flightbill.singles_left', true), ''), '100')::int - 1)::text, true)::int < 0 THEN
        gathered := current_setting('flightbill.gathered', true);
        IF position(E'\n' || NEW.flight_id || E'\n' IN gathered) > 0 THEN
            RETURN NULL;
        END IF;
        IF NEW.priority IS NULL AND NEW.process_after IS NULL
            AND NOT EXISTS (SELECT FROM flightbill.billed_flights b WHERE b.flight_id = NEW.flight_id)
            AND NOT EXISTS (SELECT FROM flightbill.river_job j WHERE j.unique_key = flightbill.flight_job_key(NEW.flight_id)
                AND j.unique_key IS NOT NULL AND j.unique_states IS NOT NULL AND flightbill.river_job_state_in_bitmask(j.unique_states, j.state))
        THEN
            added := (NEW.flight_id, 'available', 0, NULL, NULL, 1, now(), now(), NULL, session_user, NULL);
            SELECT o.id INTO given_up_id FROM flightbill.river_job o
            WHERE flightbill.queued_flight(o.kind, o.state, o.args) = NEW.flight_id AND (o.finalized_at IS NOT NULL) IS TRUE
            ORDER BY o.finalized_at DESC LIMIT 1;
            IF FOUND THEN
                SELECT q.* INTO given_up FROM flightbill.queue_content q WHERE q.job_id = given_up_id;
                added.last_error := given_up.last_error;
                added.enqueued_by := given_up.enqueued_by;
                added.details := given_up.details;
            END IF;
            begun := coalesce(gathered, '') <> '';
            IF begun THEN
                ids_left := current_setting('flightbill.job_ids', true);
            ELSE
                gathered := E'\n';
                promised_ids := ARRAY(SELECT nextval('flightbill.river_job_id_seq') FROM generate_series(1, 120));
                ids_left := (SELECT string_agg(lpad(p.id::text, 19), '' ORDER BY p.nr) FROM unnest(promised_ids) WITH ORDINALITY AS p (id, nr));
            END IF;
            added.job_id := coalesce(given_up_id, left(ids_left, 19)::bigint);
            ids_left := substr(ids_left, 20);
            PERFORM set_config('flightbill.gathered', gathered || NEW.flight_id || E'\n', true), set_config('flightbill.job_ids', ids_left, true);
            IF NOT begun THEN -- last: with SET CONSTRAINTS ALL IMMEDIATE its trigger enqueues at once
                INSERT INTO flightbill.gathered_flights VALUES (pg_current_xact_id(), promised_ids) ON CONFLICT DO NOTHING;
            END IF;
            IF ids_left = '' THEN
                PERFORM flightbill.flight_processing_queue_flush();
            END IF;
            RETURN added;
        END IF;
    END IF;
    INSERT INTO flightbill.river_job AS j (kind, args, queue, priority, max_attempts, scheduled_at, state, unique_key, unique_states, metadata)
    SELECT 'ingest_flight', jsonb_build_object('flight_id', NEW.flight_id), 'flights', coalesce(NEW.priority, 1), 25,
        coalesce(NEW.process_after, now()),
        CASE WHEN NEW.process_after > now() THEN 'scheduled' ELSE 'available' END::flightbill.river_job_state,
        flightbill.flight_job_key(NEW.flight_id), flightbill.flight_job_unique_states(), jsonb_build_object('enqueued_by', session_user)
    WHERE NOT EXISTS (SELECT FROM flightbill.billed_flights b WHERE b.flight_id = NEW.flight_id)
    ON CONFLICT (unique_key)
        WHERE unique_key IS NOT NULL AND unique_states IS NOT NULL AND flightbill.river_job_state_in_bitmask(unique_states, state)
        DO NOTHING
    RETURNING j.id, EXISTS (SELECT FROM flightbill.queue_promises WHERE until > now() AND until > clock_timestamp()),
        NEW.flight_id, j.state, j.attempt, j.priority, j.scheduled_at, j.created_at, j.id, session_user
    INTO new_id, promised,
        added.flight_id, added.state, added.attempts, added.priority, added.process_after, added.enqueued_at, added.job_id, added.enqueued_by;
    IF new_id IS NULL THEN -- queued or billed
        IF EXISTS (SELECT FROM flightbill.voided_flights v WHERE v.flight_id = NEW.flight_id AND v.rebilled_at IS NULL) THEN
            PERFORM FROM flightbill.enqueue_flights(ARRAY[NEW.flight_id], coalesce(NEW.priority, 1), NEW.process_after) AS e
            WHERE e.enqueued + e.revived + e.refused > 0;
            IF FOUND THEN
                SELECT q.* INTO added FROM flightbill.queue_content q
                WHERE q.flight_id = NEW.flight_id AND q.state <> 'running' ORDER BY q.enqueued_at DESC, q.job_id DESC LIMIT 1;
                RETURN added;
            END IF;
        END IF;
        RETURN NULL;
    END IF;
    SELECT o.id INTO given_up_id FROM flightbill.river_job o
    WHERE flightbill.queued_flight(o.kind, o.state, o.args) = NEW.flight_id AND (o.finalized_at IS NOT NULL) IS TRUE
    ORDER BY o.finalized_at DESC LIMIT 1; -- by id, Postgres would walk the primary key; IS TRUE: see enqueue_as_jobs
    IF FOUND THEN
        IF flightbill.revive_flight_jobs(ARRAY[new_id], ARRAY[given_up_id]) > 0 THEN
            SELECT q.* INTO added FROM flightbill.queue_content q WHERE q.job_id = given_up_id;
        END IF;
    END IF;
    -- The call would take 7 % of an INSERT's time, where it comes to nothing.
    IF NOT promised AND (NEW.process_after IS NULL OR NEW.process_after <= now()) THEN
        PERFORM flightbill.announce_flights();
    END IF;
    RETURN added;
END
$$;

CREATE FUNCTION flightbill.flight_processing_queue_update() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'flight % is in the queue: what stands there cannot be changed', OLD.flight_id
        USING ERRCODE = 'feature_not_supported', HINT = 'Take it back with DELETE and INSERT it again.';
END
$$;

CREATE FUNCTION flightbill.gathered_flights_commit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
BEGIN
    PERFORM flightbill.flight_processing_queue_flush();
    RETURN NULL;
END
$$;

CREATE FUNCTION flightbill.hold_flight_jobs(flight_ids text[]) RETURNS bytea[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    held bytea[];
BEGIN
    WITH jobs AS (
        UPDATE flightbill.river_job j
        SET unique_key = CASE WHEN j.state NOT IN ('running', 'completed') THEN j.unique_key END,
            metadata = j.metadata || CASE WHEN j.state IN ('running', 'completed') THEN '{}' ELSE '{"billed_before": true}' END::jsonb
        WHERE j.id = ANY (ARRAY(
            SELECT k.id FROM flightbill.river_job k
            WHERE k.unique_key = ANY (ARRAY(SELECT flightbill.flight_job_key(f.id) FROM unnest(flight_ids) AS f (id)))
                AND k.unique_key IS NOT NULL AND k.unique_states IS NOT NULL AND flightbill.river_job_state_in_bitmask(k.unique_states, k.state)
            ORDER BY k.id
            FOR UPDATE))
        RETURNING j.unique_key
    )
    SELECT array_agg(jobs.unique_key) FILTER (WHERE jobs.unique_key IS NOT NULL) INTO held FROM jobs;
    RETURN held;
END
$$;

CREATE FUNCTION flightbill.ignore_bank_entry(entry_id bigint, reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    entry flightbill.bank_entries;
BEGIN
    IF coalesce(btrim(ignore_bank_entry.reason), '') = '' THEN
        RAISE EXCEPTION 'entry % of the bank cannot be ignored without a reason', coalesce(entry_id::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why in a few words: they stand with the entry.';
    END IF;
    LOCK TABLE flightbill.bank_entries IN ROW EXCLUSIVE MODE; -- what the update takes, before any invoice: see add_bank_entries
    SELECT * INTO entry FROM flightbill.bank_entries b WHERE b.id = entry_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'entry % of the bank is not known', coalesce(entry_id::text, 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'flightbill bank list shows the entries with their ids.';
    END IF;
    IF flightbill.bank_entry_left(entry) <> entry.amount THEN
        RAISE EXCEPTION 'entry % of the bank is booked, as payment %', entry_id, array_to_string(entry.payment_ids, ', ')
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Take the payment back first.';
    END IF;
    UPDATE flightbill.bank_entries b SET state = 'ignored', reason = left(btrim(ignore_bank_entry.reason), 1000) WHERE b.id = entry_id;
END
$$;

CREATE FUNCTION flightbill.invoice_taxes_make_totals() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    wrong text;
BEGIN
    SELECT coalesce(i.number, 'draft ' || i.id) INTO wrong
    FROM (SELECT DISTINCT n.invoice_id FROM new_rows n) AS d
    JOIN flightbill.invoices i ON i.id = d.invoice_id
    CROSS JOIN LATERAL (SELECT sum(t.base) AS base, sum(t.tax) AS tax FROM flightbill.invoice_taxes t WHERE t.invoice_id = i.id) AS s
    WHERE i.subtotal IS DISTINCT FROM s.base OR i.tax IS DISTINCT FROM s.tax
    LIMIT 1;
    IF FOUND AND NOT EXISTS (
        -- A subscription copies a table as it is, whatever comes first.
        SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%'
    ) THEN
        RAISE EXCEPTION 'the taxes of invoice % do not make its totals', wrong
            USING HINT = 'They are written when it is issued, by flightbill.issue_drafts, and never after.';
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION flightbill.invoice_to_settle(invoice_number text, paid_on date DEFAULT NULL::date) RETURNS flightbill.invoices
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    invoice flightbill.invoices;
    zone    text := coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC');
BEGIN
    SELECT * INTO invoice FROM flightbill.invoices i WHERE i.number = invoice_number FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'invoice % is not known', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'Give the number as it stands on the invoice, such as ACME-000123; a draft has none.';
    END IF;
    IF paid_on > (now() AT TIME ZONE zone)::date THEN
        RAISE EXCEPTION 'invoice % cannot be paid on %: that day is still to come in %', invoice_number, paid_on, zone
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the day on which the payment was received.';
    END IF;
    IF paid_on < invoice.issued_on THEN
        RAISE EXCEPTION 'invoice % cannot be paid on %: it was issued on %', invoice_number, paid_on, invoice.issued_on
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the day on which the payment was received; look at the year.';
    END IF;
    RETURN invoice;
END
$$;

CREATE FUNCTION flightbill.invoices_record_event() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO flightbill.invoice_events (invoice_id, at, from_status, to_status)
        SELECT id, opened_at, NULL, status FROM new_rows;
    ELSE
        INSERT INTO flightbill.invoice_events (invoice_id, at, from_status, to_status, note)
        SELECT n.id, CASE WHEN n.status = 'DRAFT' THEN coalesce(n.parked_at, now()) WHEN o.status = 'DRAFT' THEN n.issued_at ELSE now() END,
            o.status, n.status,
            CASE
                WHEN n.status = 'DRAFT' THEN coalesce('parked: ' || n.parked_reason, 'no longer parked')
                WHEN n.status = 'PAID' AND n.total = 0 THEN 'nothing due'
                WHEN n.status = 'PAID' AND n.credits_invoice_id IS NOT NULL AND n.paid_at = n.issued_at
                    THEN 'set against ' || (SELECT c.number FROM flightbill.invoices c WHERE c.id = n.credits_invoice_id)
                WHEN n.status = 'PENDING' AND o.status = 'PAID' THEN 'payment of ' || (o.paid_at AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date
                    || ' taken back: ' || coalesce(current_setting('flightbill.payment_taken_back', true), '')
                WHEN n.status = 'PAID' THEN coalesce((
                    SELECT CASE p.kind WHEN 'set_off' THEN 'set against ' || (SELECT c.number FROM flightbill.invoices c WHERE c.id = p.other_id) || ', settled on '
                        WHEN 'rounding' THEN 'rest of ' || p.amount || ' written off (' || p.reason || '), settled on ' END
                    FROM flightbill.payments p WHERE p.invoice_id = n.id ORDER BY p.invoice_id DESC, p.id DESC LIMIT 1), 'paid on ') || (n.paid_at AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date
                WHEN n.status = 'VOID' THEN (SELECT c.number || ': ' || c.reason FROM flightbill.invoices c WHERE c.credits_invoice_id = n.id)
                WHEN n.reason IS NOT NULL AND o.status = 'DRAFT' THEN coalesce((
                    SELECT 'voids ' || c.number || CASE WHEN p.paid = c.total AND p.paid <> 0 THEN ', which was paid: the amount is owed back'
                            WHEN p.paid <> 0 THEN ', of which ' || p.paid || ' was paid: that is owed back' ELSE '' END || ': '
                    FROM flightbill.invoices c CROSS JOIN LATERAL (SELECT coalesce(sum(p.amount), 0) AS paid FROM flightbill.payments p WHERE p.invoice_id = c.id) AS p
                    WHERE c.id = n.credits_invoice_id), '') || n.reason
                WHEN o.parked_at IS NOT NULL THEN 'no longer parked'
            END
        FROM new_rows n JOIN old_rows o USING (id)
        WHERE n.status <> o.status OR n.parked_reason IS DISTINCT FROM o.parked_reason;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION flightbill.invoices_stay_as_issued() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    allowed flightbill.invoices;
    open    numeric;
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'invoice % has been issued and cannot be deleted', OLD.number
            USING HINT = 'An issued invoice is corrected by a credit note.';
    END IF;
    allowed := NEW;
    allowed.status := OLD.status;
    allowed.paid_at := OLD.paid_at;
    IF allowed IS DISTINCT FROM OLD OR NOT (CASE NEW.status
        WHEN 'DRAFT' THEN OLD.status = 'DRAFT'
        WHEN 'PENDING' THEN OLD.status IN ('DRAFT', 'PENDING')
            -- By reverse_payment and unmark_invoice_paid, with the reason and their owner's
            -- rights; or by a subscription, which repeats what was done elsewhere.
            OR OLD.status = 'PAID' AND (
                coalesce(current_setting('flightbill.payment_taken_back', true), '') <> ''
                    AND pg_get_userbyid((SELECT t.relowner FROM pg_class t WHERE t.oid = TG_RELID)) = current_user
                OR EXISTS (SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%'))
        WHEN 'OVERDUE' THEN OLD.status IN ('PENDING', 'OVERDUE') AND OLD.kind <> 'credit_note'
        WHEN 'PAID' THEN OLD.status IN ('PENDING', 'OVERDUE', 'PAID')
        WHEN 'VOID' THEN OLD.status <> 'DRAFT'
            AND EXISTS (SELECT FROM flightbill.invoices c WHERE c.credits_invoice_id = OLD.id AND c.status <> 'DRAFT')
    END) THEN
        RAISE EXCEPTION 'invoice % is % and cannot become what was asked (status %)',
            coalesce(OLD.number, 'draft ' || OLD.id), OLD.status, NEW.status
            USING HINT = 'An issued invoice never changes but in status: PENDING, OVERDUE, then PAID or, by flightbill.void_invoice, VOID; flightbill.reverse_payment takes a payment back.';
    END IF;
    IF NEW.status = 'PAID' AND OLD.status <> 'PAID' AND NEW.total <> 0 AND NOT EXISTS (
        SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%'
    ) THEN
        open := NEW.total - coalesce((SELECT sum(p.amount) FROM flightbill.payments p WHERE p.invoice_id = NEW.id), 0);
        IF sign(open) = sign(NEW.total) THEN
            RAISE EXCEPTION 'invoice % cannot become PAID: % % is open on it', NEW.number, open, NEW.currency
                USING HINT = 'flightbill.record_payment and flightbill.mark_invoice_paid record what was paid.';
        END IF;
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION flightbill.invoices_tell() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    wanted text[] := ARRAY(SELECT DISTINCT e.event FROM flightbill.webhooks w, unnest(w.events) AS e (event) WHERE w.active);
    issuer record;
    zone   text;
    told   text[];
BEGIN
    SELECT i.name, i.mail_from, i.language INTO issuer FROM flightbill.issuers i ORDER BY i.id DESC LIMIT 1;
    IF wanted = '{}' AND issuer.mail_from IS NULL THEN
        RETURN NULL;
    END IF;
    zone := coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC');
    WITH events AS (
        SELECT e.event, n.id, c.emails, c.language,
            to_char((CASE e.event WHEN 'invoice.issued' THEN n.issued_at ELSE now() END) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at,
            json_build_object('number', n.number, 'customer', c.code, 'kind', n.kind,
                'status', CASE e.event WHEN 'invoice.issued' THEN 'PENDING' ELSE n.status END, 'currency', n.currency,
                'subtotal', n.subtotal::text, 'tax', n.tax::text, 'total', n.total::text,
                'issued_on', n.issued_on, 'due_on', CASE WHEN n.kind <> 'credit_note' THEN n.due_on END, 'closes_on', n.closes_on,
                'paid_on', CASE e.event WHEN 'invoice.paid' THEN (n.paid_at AT TIME ZONE zone)::date END,
                'credits', (SELECT v.number FROM flightbill.invoices v WHERE v.id = n.credits_invoice_id),
                'voided_by', CASE e.event WHEN 'invoice.voided' THEN (SELECT v.number FROM flightbill.invoices v WHERE v.credits_invoice_id = n.id) END) AS data
        FROM new_rows n JOIN old_rows o USING (id) JOIN flightbill.customers c ON c.id = n.customer_id
        CROSS JOIN LATERAL (
            SELECT 'invoice.issued' WHERE o.status = 'DRAFT'
            UNION ALL
            SELECT CASE n.status WHEN 'OVERDUE' THEN 'invoice.overdue' WHEN 'PAID' THEN 'invoice.paid' WHEN 'VOID' THEN 'invoice.voided' END
        ) AS e (event)
        WHERE n.status <> o.status AND (e.event = ANY (wanted) OR e.event = 'invoice.issued' AND issuer.mail_from IS NOT NULL AND c.emails <> '{}')
    ), made AS (
        INSERT INTO flightbill.deliveries (kind, event, invoice_id, webhook_id, target, payload)
        SELECT 'webhook', e.event, e.id, w.id, w.target, json_build_object('type', e.event, 'timestamp', e.at, 'data', e.data)
        FROM events e JOIN flightbill.webhooks w ON w.active AND e.event = ANY (w.events)
        UNION ALL
        SELECT DISTINCT ON (e.id, address) 'mail', e.event, e.id, NULL, address, json_build_object('from', issuer.mail_from, 'from_name', issuer.name,
            'language', coalesce(e.language, issuer.language), 'data', e.data)
        FROM events e CROSS JOIN LATERAL unnest(e.emails) AS address
        WHERE e.event = 'invoice.issued' AND issuer.mail_from IS NOT NULL
        RETURNING id
    )
    SELECT array_agg(id) INTO told FROM made;
    IF told IS NOT NULL THEN
        PERFORM flightbill.enqueue_deliveries(told);
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION flightbill.is_queue_admin() RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
BEGIN
    RETURN pg_has_role(session_user, current_user, 'MEMBER') OR pg_has_role(session_user, 'flightbill_queue_admin', 'MEMBER');
END
$$;

CREATE FUNCTION flightbill.issue_drafts(drafts bigint[], at timestamp with time zone, today date) RETURNS TABLE(invoice_id bigint, charges bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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

CREATE FUNCTION flightbill.issuers_stay() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'a row of issuers stays as it is: invoices were issued with it'
        USING HINT = 'Insert a row with the change, as flightbill issuer set does: the last one counts.';
END
$$;

CREATE FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on date DEFAULT NULL::date) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    invoice flightbill.invoices;
    zone    text := coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC');
BEGIN
    SELECT * INTO invoice FROM flightbill.invoice_to_settle(invoice_number, mark_invoice_paid.paid_on);
    -- A day that a zone left out has its midnight on the next one.
    IF invoice.status = 'PAID' AND (mark_invoice_paid.paid_on IS NULL OR (invoice.paid_at AT TIME ZONE zone)::date = mark_invoice_paid.paid_on
        OR invoice.paid_at = mark_invoice_paid.paid_on::timestamp AT TIME ZONE zone
        OR EXISTS (SELECT FROM flightbill.payments p WHERE p.invoice_id = invoice.id AND p.kind = 'payment' AND p.paid_on = mark_invoice_paid.paid_on AND p.reverses_id IS NULL)) THEN
        RETURN;
    END IF;
    IF invoice.status NOT IN ('PENDING', 'OVERDUE') THEN
        RAISE EXCEPTION 'invoice % is % and cannot be marked paid', invoice_number,
            invoice.status || CASE WHEN invoice.status = 'PAID' THEN ' since ' || (invoice.paid_at AT TIME ZONE zone)::date ELSE '' END
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only a PENDING or OVERDUE invoice can be paid.';
    END IF;
    INSERT INTO flightbill.payments (invoice_id, kind, amount, paid_on)
    VALUES (invoice.id, 'payment', flightbill.open_amount(invoice.id), coalesce(mark_invoice_paid.paid_on, (now() AT TIME ZONE zone)::date));
    PERFORM flightbill.settle_invoice(invoice.id, CASE WHEN mark_invoice_paid.paid_on IS NULL THEN now() END);
END
$$;

CREATE FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    SET "TimeZone" TO 'UTC'
    AS $_$
DECLARE
    zone text := coalesce((SELECT timezone FROM flightbill.billing_settings), 'UTC');
    day  date;
BEGIN
    PERFORM set_config('timezone', zone, true);
    BEGIN
        paid_on := regexp_replace(paid_on, '( [+-]\d{4}) \S+( m=\S+)?$', '\1'); -- Go's 2026-11-23 10:00:00 +0900 JST
        -- A day may have a zone, as some drivers send it: 2026-11-23 +09.
        day := CASE WHEN regexp_replace(paid_on, '[+-][0-9:]+\s*$', '') ~* ':|[0-9]T[0-9]|now' THEN paid_on::timestamptz::date ELSE paid_on::date END;
    EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow THEN
        RAISE EXCEPTION 'invoice % cannot be paid on %: that is no day', coalesce(quote_literal(invoice_number), 'NULL'), quote_literal(paid_on)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the day on which the payment was received, such as 2026-11-23.';
    END;
    PERFORM flightbill.mark_invoice_paid(invoice_number, day);
END
$_$;

CREATE FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on timestamp without time zone) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
BEGIN
    PERFORM flightbill.mark_invoice_paid(invoice_number, paid_on::date);
END
$$;

CREATE FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on timestamp with time zone) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
BEGIN
    PERFORM flightbill.mark_invoice_paid(invoice_number,
        (paid_on AT TIME ZONE coalesce((SELECT timezone FROM flightbill.billing_settings), 'UTC'))::date);
END
$$;

CREATE FUNCTION flightbill.match_bank_entries() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    entry flightbill.bank_entries;
    doc   record;
    docs  integer;
    total numeric; -- open on all of them
    opens text;
    why   text;
    paid  bigint[];
BEGIN
    LOCK TABLE flightbill.bank_entries IN SHARE ROW EXCLUSIVE MODE;
    -- In the order in which all lock invoices.
    PERFORM FROM flightbill.invoices i
    WHERE i.number IN (SELECT unnest(b.numbers) FROM flightbill.bank_entries b WHERE b.state = 'unmatched' AND b.reason IS NULL)
    ORDER BY i.id FOR NO KEY UPDATE;
    FOR entry IN
        SELECT b.* FROM flightbill.bank_entries b
        WHERE b.state = 'unmatched' AND b.reason IS NULL
        ORDER BY b.id
    LOOP
        docs := 0;
        total := 0;
        opens := NULL;
        why := NULL;
        paid := '{}';
        FOR doc IN
            SELECT i.number, i.currency, i.status, i.total, i.issued_on, flightbill.open_amount(i.id) AS open
            FROM flightbill.invoices i WHERE i.number = ANY (entry.numbers) ORDER BY array_position(entry.numbers, i.number)
        LOOP
            docs := docs + 1;
            total := total + doc.open;
            opens := concat_ws(' and ', opens, doc.open || ' on ' || doc.number);
            why := coalesce(why, CASE
                WHEN doc.currency <> entry.currency THEN doc.number || ' is in ' || doc.currency
                WHEN doc.status = 'VOID' THEN doc.number || ' is VOID'
                WHEN doc.total < 0 THEN doc.number || ' is a credit note'
                WHEN doc.open <= 0 THEN 'nothing is open on ' || doc.number
                WHEN doc.issued_on > entry.booked_on THEN doc.number || ' was issued on ' || doc.issued_on || ', after the money came'
            END);
        END LOOP;
        why := coalesce(why, CASE
            WHEN docs = 0 THEN 'no number of an invoice is found in its text'
            WHEN EXISTS (SELECT FROM flightbill.bank_entries b WHERE b.bank_reference = entry.bank_reference AND b.amount = entry.amount AND b.currency = entry.currency AND b.id <> entry.id
                    AND CASE b.account WHEN entry.account THEN entry.bank_reference NOT LIKE 'none:%' ELSE b.booked_on = entry.booked_on END)
                THEN 'another entry has the same bank reference and amount: is it the same?'
            WHEN EXISTS (SELECT FROM flightbill.payments p WHERE p.bank_reference = entry.bank_reference)
                THEN 'a payment has this bank reference already: is it the same?'
            WHEN docs < cardinality(entry.numbers) THEN 'a number in it is none of an invoice, or stands there twice'
            WHEN docs = 1 AND entry.amount > total OR docs > 1 AND entry.amount <> total
                THEN round(entry.amount, greatest(flightbill.minor_units(entry.currency), min_scale(entry.amount))) || ' ' || entry.currency || ' came, and what is open is ' || opens
        END);
        IF why IS NULL THEN
            BEGIN
                FOR doc IN
                    SELECT n.number, n.nth, CASE WHEN docs = 1 THEN entry.amount ELSE flightbill.open_amount(i.id) END AS amount
                    FROM unnest(entry.numbers) WITH ORDINALITY AS n (number, nth) JOIN flightbill.invoices i ON i.number = n.number ORDER BY n.nth
                LOOP
                    paid := paid || flightbill.record_payment(doc.number, doc.amount, entry.booked_on, left(entry.text, 1000),
                        flightbill.bank_entry_reference(entry, doc.nth::integer));
                END LOOP;
            EXCEPTION WHEN raise_exception OR invalid_parameter_value OR object_not_in_prerequisite_state OR unique_violation THEN
                why := left(SQLERRM, 1000);
                paid := '{}';
            END;
        END IF;
        UPDATE flightbill.bank_entries b SET state = CASE WHEN why IS NULL THEN 'booked' ELSE 'unmatched' END, reason = why, payment_ids = paid WHERE b.id = entry.id;
    END LOOP;
END
$$;

CREATE FUNCTION flightbill.open_amount(invoice bigint) RETURNS numeric
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
    SELECT i.total - coalesce((SELECT sum(p.amount) FROM flightbill.payments p WHERE p.invoice_id = i.id), 0)
    FROM flightbill.invoices i WHERE i.id = invoice
$$;

CREATE FUNCTION flightbill.open_draft(customer_id bigint, closes_on date, currency text, at timestamp with time zone, outside_scope boolean DEFAULT false) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION flightbill.payments_stay() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'payments are kept for ever: none can be changed or removed'
        USING HINT = 'flightbill.reverse_payment takes a payment back.';
END
$$;

CREATE FUNCTION flightbill.price_book_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
BEGIN
    IF TG_LEVEL = 'ROW' THEN -- once a transaction: each UPDATE of one row walks past those before it
        IF current_setting('flightbill.price_book_changed', true) = pg_current_xact_id()::text THEN
            RETURN NULL;
        END IF;
        PERFORM set_config('flightbill.price_book_changed', pg_current_xact_id()::text, true);
    END IF;
    UPDATE flightbill.price_book SET version = version + 1;
    RETURN NULL;
END
$$;

CREATE FUNCTION flightbill.promise_to_look(client text, seconds double precision) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    expiry timestamptz := moment + make_interval(secs => seconds);
BEGIN
    UPDATE flightbill.queue_promises p SET until = expiry WHERE p.client = promise_to_look.client;
    IF NOT FOUND THEN
        INSERT INTO flightbill.queue_promises VALUES (client, expiry)
        ON CONFLICT ON CONSTRAINT queue_promises_pkey DO UPDATE SET until = excluded.until;
        DELETE FROM flightbill.queue_promises p WHERE p.until < moment - interval '1 minute'; -- of processes that were killed
    END IF;
END
$$;

CREATE FUNCTION flightbill.queued_flight(kind text, state flightbill.river_job_state, args jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN ((kind = 'ingest_flight'::text) AND (state <> 'completed'::flightbill.river_job_state)) THEN (args ->> 'flight_id'::text) ELSE NULL::text END;

CREATE FUNCTION flightbill.rebill_invoice(invoice_number text, payer text DEFAULT 'billed'::text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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

CREATE FUNCTION flightbill.record_payment(invoice_number text, amount numeric, paid_on date, reference text DEFAULT NULL::text, bank_reference text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    invoice flightbill.invoices;
    there   record;
    open    numeric;
    payment bigint;
BEGIN
    SELECT * INTO invoice FROM flightbill.invoice_to_settle(invoice_number, record_payment.paid_on);
    record_payment.bank_reference := nullif(btrim(record_payment.bank_reference), '');
    record_payment.reference := nullif(btrim(record_payment.reference), '');
    IF record_payment.paid_on IS NULL THEN
        RAISE EXCEPTION 'invoice % cannot be paid on no day', invoice.number
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the day on which the payment was received.';
    END IF;
    PERFORM flightbill.check_payment(invoice, record_payment.amount);
    record_payment.amount := round(record_payment.amount, flightbill.minor_units(invoice.currency));
    IF char_length(record_payment.reference) > 1000 OR char_length(record_payment.bank_reference) > 200 THEN
        RAISE EXCEPTION 'the payment of invoice % has a reference of % characters', invoice.number, greatest(char_length(record_payment.reference), char_length(record_payment.bank_reference))
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A reference has 1000 characters at most, the bank''s 200.';
    END IF;
    open := flightbill.open_amount(invoice.id);
    -- A reference that is there comes before what is open now: the payment may have used it up.
    IF NOT EXISTS (SELECT FROM flightbill.payments p WHERE p.bank_reference = record_payment.bank_reference) THEN
        IF record_payment.amount > 0 AND invoice.total < 0 THEN
            RAISE EXCEPTION '% is a credit note: its amount goes to the customer', invoice.number
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Money that is paid out is below 0: give ' || -record_payment.amount || '. A payment that came back is taken back by flightbill.reverse_payment.';
        END IF;
        IF record_payment.amount < least(open, 0) THEN
            RAISE EXCEPTION '% cannot be paid out on invoice %: % % of it is the customer''s', -record_payment.amount, invoice.number, round(-least(open, 0), flightbill.minor_units(invoice.currency)), invoice.currency
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'What is open below 0 on a credit note, or on an invoice that was paid more than once, can be paid out.';
        END IF;
    END IF;
    INSERT INTO flightbill.payments AS p (invoice_id, kind, amount, paid_on, reference, bank_reference)
    VALUES (invoice.id, 'payment', record_payment.amount, record_payment.paid_on, record_payment.reference, record_payment.bank_reference)
    ON CONFLICT (bank_reference) DO NOTHING
    RETURNING p.id INTO payment;
    IF payment IS NULL THEN
        SELECT p.id, p.invoice_id, p.amount, i.number, i.currency INTO STRICT there
        FROM flightbill.payments p JOIN flightbill.invoices i ON i.id = p.invoice_id WHERE p.bank_reference = record_payment.bank_reference;
        IF there.invoice_id <> invoice.id OR there.amount <> record_payment.amount THEN
            RAISE EXCEPTION 'the bank''s reference % is of payment %, of % % on invoice %, and cannot be of % on invoice %', quote_literal(record_payment.bank_reference),
                there.id, there.amount, there.currency, there.number, record_payment.amount, invoice.number
                USING ERRCODE = 'unique_violation', HINT = 'An entry of a bank statement is booked once. To move it, take that payment back with flightbill.reverse_payment, and record it anew without the bank''s reference.';
        END IF;
        RETURN there.id;
    END IF;
    PERFORM flightbill.settle_invoice(invoice.id);
    RETURN payment;
END
$$;

CREATE FUNCTION flightbill.refuse_flight_id(flight_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'flight id % cannot be enqueued', coalesce(quote_literal(left(flight_id, 160)), 'NULL')
        USING ERRCODE = 'invalid_parameter_value',
            HINT = 'A flight id is 1 to 128 characters of A-Z a-z 0-9 space . _ : / + # @ ~ - and starts with a letter or digit; the last is no space.';
END
$$;

CREATE FUNCTION flightbill.refuse_removal() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are kept for ever: they show what was billed, and that no flight is billed twice', TG_TABLE_NAME;
END
$$;

CREATE FUNCTION flightbill.refuse_replica() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'an INSERT into flight_processing_queue enqueues nothing where session_replication_role is replica'
        USING ERRCODE = 'feature_not_supported', HINT = 'Call flightbill.enqueue_flights(ARRAY[...]) instead, which works there too.';
END
$$;

CREATE FUNCTION flightbill.refuse_voided_flights(flight_ids text[], priority smallint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    before  jsonb; -- who had enqueued them
    refused bigint;
BEGIN
    WITH gone AS (
        DELETE FROM flightbill.river_job j
        WHERE j.id = ANY (ARRAY(
            SELECT o.id FROM flightbill.river_job o
            WHERE flightbill.queued_flight(o.kind, o.state, o.args) = ANY (flight_ids) AND o.state IN ('cancelled', 'discarded')
            ORDER BY o.id FOR UPDATE))
        RETURNING j.args ->> 'flight_id' AS flight_id, j.metadata -> 'enqueued_by' AS enqueued_by
    )
    SELECT coalesce(jsonb_object_agg(gone.flight_id, gone.enqueued_by), '{}') INTO before FROM gone;
    INSERT INTO flightbill.river_job (kind, args, queue, priority, max_attempts, state, finalized_at, errors, metadata, unique_key, unique_states)
    SELECT 'ingest_flight', jsonb_build_object('flight_id', f.flight_id), 'flights', refuse_voided_flights.priority, 25, 'cancelled', now(),
        ARRAY[jsonb_build_object('at', now(), 'attempt', 0, 'trace', '', 'error', 'JobCancelError: ' || flightbill.voided_flight_message(f.flight_id, false))],
        jsonb_build_object('billed_before', true, 'reason', 'invoice_voided',
            'enqueued_by', CASE WHEN before ? f.flight_id THEN before -> f.flight_id ELSE to_jsonb(session_user) END,
            'said', flightbill.voided_flight_message(f.flight_id, true)),
        flightbill.flight_job_key(f.flight_id), flightbill.flight_job_unique_states()
    FROM unnest(flight_ids) AS f (flight_id)
    WHERE NOT EXISTS (SELECT FROM flightbill.river_job j WHERE flightbill.queued_flight(j.kind, j.state, j.args) = f.flight_id);
    GET DIAGNOSTICS refused = ROW_COUNT;
    RETURN refused;
END
$$;

CREATE FUNCTION flightbill.remove_documents(retention interval) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    removed bigint;
BEGIN
    IF retention IS NULL OR now() - retention > now() - interval '1 year' THEN -- 360 days are as much, to Postgres
        RAISE EXCEPTION 'documents cannot be removed after %', coalesce(quote_literal(retention), 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give at least 1 year; the laws of most countries ask for 6 to 10.';
    END IF;
    PERFORM set_config('flightbill.document_retention', retention::text, true);
    DELETE FROM flightbill.invoice_documents WHERE made_at < now() - retention;
    GET DIAGNOSTICS removed = ROW_COUNT;
    PERFORM set_config('flightbill.document_retention', '', true);
    RETURN removed;
END
$$;

CREATE FUNCTION flightbill.retry_deliveries(delivery_ids text[] DEFAULT NULL::text[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    wanted    text[];
    given_up  text[]; -- of these; their job ends, though River may not have written so yet
    ended     text[]; -- of these, those whose job is over
    unknown   text;
    delivered record;
BEGIN
    SELECT u.id INTO unknown FROM unnest(delivery_ids) AS u (id) WHERE NOT EXISTS (SELECT FROM flightbill.deliveries d WHERE d.id = u.id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'delivery % is not known', coalesce(quote_literal(unknown), 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'Give its id as flightbill deliveries list shows it: msg_ and 32 letters and digits.';
    END IF;
    wanted := ARRAY(
        SELECT d.id FROM flightbill.deliveries d
        WHERE CASE WHEN delivery_ids IS NOT NULL THEN d.id = ANY (delivery_ids) ELSE d.state IN ('failed', 'given_up')
            AND (d.webhook_id IS NULL OR EXISTS (SELECT FROM flightbill.webhooks w WHERE w.id = d.webhook_id AND w.active)) END
        ORDER BY d.id FOR UPDATE);
    SELECT d.id, d.delivered_at INTO delivered FROM flightbill.deliveries d WHERE d.id = ANY (delivery_ids) AND d.state = 'delivered' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'delivery % was delivered at %', delivered.id, delivered.delivered_at
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only what was not delivered is tried again.';
    END IF;
    given_up := ARRAY(SELECT d.id FROM flightbill.deliveries d WHERE d.id = ANY (wanted) AND d.state = 'given_up');
    UPDATE flightbill.deliveries d SET state = 'pending', next_at = now() WHERE d.id = ANY (wanted);

    -- A job that waits goes at once; one at work, or next in line, is as good.
    UPDATE flightbill.river_job j SET state = 'available', scheduled_at = now()
    FROM (
        SELECT w.id FROM flightbill.river_job w
        WHERE w.id IN (SELECT d.job_id FROM flightbill.deliveries d WHERE d.id = ANY (wanted)) AND w.kind = 'deliver' AND w.state IN ('scheduled', 'retryable')
        ORDER BY w.id FOR UPDATE
    ) AS waits
    WHERE j.id = waits.id;
    ended := ARRAY(
        SELECT d.id FROM flightbill.deliveries d
        WHERE d.id = ANY (wanted) AND (d.id = ANY (given_up) OR NOT EXISTS (
            SELECT FROM flightbill.river_job j WHERE j.id = d.job_id AND j.kind = 'deliver' AND j.state IN ('available', 'running'))));
    UPDATE flightbill.deliveries d SET job_id = nextval('flightbill.river_job_id_seq') WHERE d.id = ANY (ended);
    PERFORM flightbill.enqueue_deliveries(ended);
    RETURN cardinality(wanted);
END
$$;

CREATE FUNCTION flightbill.reverse_payment(payment_id bigint, reason text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    payment  flightbill.payments;
    partner  flightbill.payments; -- of a set-off
    invoice  flightbill.invoices;
    note     flightbill.invoices; -- what voids it
    today    date := (now() AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date;
    rest     numeric;
    reversal bigint;
BEGIN
    IF coalesce(btrim(reverse_payment.reason), '') = '' THEN
        RAISE EXCEPTION 'payment % cannot be taken back without a reason', coalesce(payment_id::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why in a few words: they stand in the invoice''s story.';
    END IF;
    SELECT * INTO payment FROM flightbill.payments p WHERE p.id = payment_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'payment % is not known', coalesce(payment_id::text, 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'flightbill payments list shows the ids.';
    END IF;
    IF payment.reverses_id IS NOT NULL THEN
        RAISE EXCEPTION 'payment % takes payment % back and cannot be taken back itself', payment.id, payment.reverses_id
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Record the payment anew.';
    END IF;
    PERFORM FROM flightbill.invoices i
    WHERE i.id IN (payment.invoice_id, payment.other_id) OR i.credits_invoice_id IN (payment.invoice_id, payment.other_id)
    ORDER BY i.id FOR NO KEY UPDATE;
    SELECT * INTO invoice FROM flightbill.invoices i WHERE i.id = payment.invoice_id;
    SELECT p.id INTO reversal FROM flightbill.payments p WHERE p.reverses_id = payment.id;
    IF FOUND THEN
        RAISE EXCEPTION 'payment % of invoice % has been taken back already, by %', payment.id, invoice.number, reversal
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Nothing is left to do.';
    END IF;
    SELECT * INTO note FROM flightbill.invoices i WHERE i.credits_invoice_id = invoice.id;
    IF payment.kind = 'set_off' THEN
        IF payment.other_id = note.id OR payment.other_id = invoice.credits_invoice_id THEN
            RAISE EXCEPTION 'payment % sets invoice % against the document that voids it, and stays', payment.id, coalesce((SELECT i.number FROM flightbill.invoices i WHERE i.id = invoice.credits_invoice_id), invoice.number)
                USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'An invoice that is VOID has nothing open. Have its flights billed again instead.';
        END IF;
        -- Of several in one transaction any will do: they are the same in all.
        SELECT * INTO STRICT partner FROM flightbill.payments p
        WHERE p.invoice_id = payment.other_id AND p.other_id = payment.invoice_id AND p.amount = -payment.amount AND p.recorded_at = payment.recorded_at
            AND p.reverses_id IS NULL AND NOT EXISTS (SELECT FROM flightbill.payments r WHERE r.reverses_id = p.id)
        ORDER BY abs(p.id - payment.id) LIMIT 1;
    END IF;
    INSERT INTO flightbill.payments AS p (invoice_id, kind, amount, paid_on, other_id, reverses_id, reason)
    VALUES (payment.invoice_id, payment.kind, -payment.amount, today, payment.other_id, payment.id, btrim(reverse_payment.reason))
    RETURNING p.id INTO reversal;
    PERFORM flightbill.settle_invoice(invoice.id, NULL, btrim(reverse_payment.reason));
    IF partner.id IS NOT NULL THEN
        INSERT INTO flightbill.payments (invoice_id, kind, amount, paid_on, other_id, reverses_id, reason)
        VALUES (partner.invoice_id, partner.kind, -partner.amount, today, partner.other_id, partner.id, btrim(reverse_payment.reason));
        PERFORM flightbill.settle_invoice(partner.invoice_id, NULL, btrim(reverse_payment.reason));
    END IF;
    FOR invoice IN
        SELECT i.* FROM flightbill.invoices i WHERE i.id IN (payment.invoice_id, payment.other_id) AND i.status = 'VOID' ORDER BY i.id
    LOOP
        SELECT * INTO note FROM flightbill.invoices i WHERE i.credits_invoice_id = invoice.id;
        rest := flightbill.open_amount(invoice.id);
        IF rest <> 0 AND sign(rest) <> -sign(invoice.total) AND sign(flightbill.open_amount(note.id)) = -sign(rest) THEN
            PERFORM flightbill.set_off_pair(invoice.id, note.id, sign(rest) * least(abs(rest), abs(flightbill.open_amount(note.id))));
        END IF;
    END LOOP;
    RETURN reversal;
END
$$;

CREATE FUNCTION flightbill.revive_flight_jobs(new_ids bigint[], old_ids bigint[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
DECLARE
    replaced bigint[];
    revived  bigint[];
BEGIN
    WITH back AS (
        UPDATE flightbill.river_job o
        SET state = n.state,
            finalized_at = NULL,
            scheduled_at = n.scheduled_at,
            priority = n.priority,
            queue = n.queue,
            attempt = 0, -- a run lets it have its first try like a new one
            max_attempts = n.max_attempts,
            created_at = n.created_at,
            metadata = (o.metadata - '{waiting,reason,snoozes,cancel_attempted_at,river:rescue_count}'::text[]) || (n.metadata - 'enqueued_by'),
            unique_key = NULL, -- until the new row is gone
            unique_states = n.unique_states
        FROM unnest(new_ids, old_ids) AS pair (new_id, old_id)
        JOIN flightbill.river_job n ON n.id = pair.new_id
        WHERE o.id = pair.old_id AND o.state::text IN ('cancelled', 'discarded') -- as text: they are found by their ids
        RETURNING n.id AS new_id, o.id AS old_id
    )
    SELECT array_agg(new_id), array_agg(old_id) INTO replaced, revived FROM back;
    DELETE FROM flightbill.river_job WHERE id = ANY (replaced);
    UPDATE flightbill.river_job SET unique_key = flightbill.flight_job_key(args ->> 'flight_id') WHERE id = ANY (revived);
    RETURN coalesce(cardinality(revived), 0);
END
$$;

CREATE FUNCTION flightbill.river_job_state_in_bitmask(bitmask bit, state flightbill.river_job_state) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE state
        WHEN 'available' THEN get_bit(bitmask, 7)
        WHEN 'cancelled' THEN get_bit(bitmask, 6)
        WHEN 'completed' THEN get_bit(bitmask, 5)
        WHEN 'discarded' THEN get_bit(bitmask, 4)
        WHEN 'pending'   THEN get_bit(bitmask, 3)
        WHEN 'retryable' THEN get_bit(bitmask, 2)
        WHEN 'running'   THEN get_bit(bitmask, 1)
        WHEN 'scheduled' THEN get_bit(bitmask, 0)
        ELSE 0
    END = 1;
$$;

CREATE FUNCTION flightbill.save_flights(price_book_version bigint, cutoff date, at timestamp with time zone, today date, job_client text, job_ids bigint[], job_attempts smallint[], job_attempted_at timestamp with time zone[], flight_ids text[], customer_ids bigint[], landed_on date[], facts jsonb[], declared jsonb[], closes_on date[], late boolean[], line_of integer[], tariff_ids bigint[], codes text[], descriptions text[], quantities numeric[], unit_rates numeric[], amounts numeric[], tax_rates numeric[], tax_amounts numeric[], currencies text[], details jsonb[]) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_variable
DECLARE
    outcomes      text[];
    priced_from   boolean; -- what is now in force
    rules         flightbill.tariffs[];
    added         text[]; -- flights new to the ledger
    draft         record;
    own_of        integer[]; -- invoices for single flights: the flight,
    own_currency  text[];
    own_outside   boolean[];
    own_invoice   bigint[];
    to_issue      bigint[];
BEGIN
    LOCK TABLE flightbill.billing_run_lock IN ROW SHARE MODE;
    -- A customer whom somebody's transaction has locked holds up this one's flights: the
    -- caller then saves those of each customer apart.
    PERFORM set_config('lock_timeout', '1s', true);

    -- An invoice for a single flight takes its customer's next number. Before the
    -- look at the price book, which may change while this waits.
    IF array_position(closes_on, NULL) IS NOT NULL THEN
        PERFORM FROM flightbill.customers c
        WHERE c.id IN (SELECT f.id FROM unnest(customer_ids, closes_on) AS f (id, closes) WHERE f.closes IS NULL)
        ORDER BY c.id FOR NO KEY UPDATE;
    END IF;

    -- In one statement, so that these are the tariffs of that price book.
    SELECT price_book_version = (SELECT p.version FROM flightbill.price_book p)
            AND cutoff IS NOT DISTINCT FROM (SELECT max(r.closes_on) FROM flightbill.billing_runs r),
        ARRAY(SELECT t FROM flightbill.tariffs t WHERE t.id = ANY (tariff_ids))
    INTO priced_from, rules;
    IF priced_from IS NOT TRUE THEN
        RETURN array_fill('stale'::text, ARRAY[cardinality(flight_ids)]);
    END IF;

    -- A save that a crash of the server takes back takes its jobs' completion back
    -- too (see flight_jobs_complete_when_billed): the flights are billed again. So nobody need wait for the disk, but for
    -- an invoice, which may have been seen. A run's commit waits for all before it.
    IF array_position(closes_on, NULL) IS NULL THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;

    WITH ledger AS (
        INSERT INTO flightbill.billed_flights AS b (flight_id, customer_id, landed_on, facts, declared, billed_at)
        SELECT f.id, f.customer, f.landed, f.fact, f.declared, at
        FROM unnest(flight_ids, customer_ids, landed_on, facts, declared) AS f (id, customer, landed, fact, declared)
        ORDER BY f.id COLLATE "C"
        ON CONFLICT ON CONSTRAINT billed_flights_pkey DO NOTHING
        RETURNING b.flight_id
    )
    SELECT array_agg(ledger.flight_id) INTO added FROM ledger;
    IF cardinality(added) = cardinality(flight_ids) THEN
        outcomes := array_fill('billed'::text, ARRAY[cardinality(flight_ids)]);
    ELSE
        outcomes := ARRAY(
            SELECT CASE
                WHEN f.id = ANY (added) THEN 'billed'
                WHEN EXISTS (SELECT FROM flightbill.voided_flights v WHERE v.flight_id = f.id AND v.rebilled_at IS NULL) THEN 'voided'
                ELSE 'already_billed'
            END
            FROM unnest(flight_ids) WITH ORDINALITY AS f (id, nr) ORDER BY f.nr);
    END IF;

    IF 'billed' = ANY (outcomes) AND cardinality(codes) > 0 THEN
        FOR draft IN
            SELECT DISTINCT customer_ids[l.nr] AS customer, closes_on[l.nr] AS closes, l.currency,
                CASE WHEN closes_on[l.nr] IS NULL THEN l.nr END AS own, t.tax_category IS NOT DISTINCT FROM 'outside' AS outside
            FROM unnest(line_of, tariff_ids, currencies) AS l (nr, tariff_id, currency)
            LEFT JOIN unnest(rules) AS t ON t.id = l.tariff_id
            WHERE outcomes[l.nr] = 'billed' AND (closes_on[l.nr] IS NULL OR NOT EXISTS (
                SELECT FROM flightbill.invoices i
                WHERE i.customer_id = customer_ids[l.nr] AND i.currency = l.currency AND i.closes_on = closes_on[l.nr]
                    AND i.outside_scope = (t.tax_category IS NOT DISTINCT FROM 'outside') AND i.status <> 'VOID'))
            ORDER BY customer, closes, own, currency, outside
        LOOP
            IF draft.own IS NULL THEN
                PERFORM flightbill.open_draft(draft.customer, draft.closes, draft.currency, at, draft.outside);
            ELSE
                own_of := own_of || draft.own;
                own_currency := own_currency || draft.currency;
                own_outside := own_outside || draft.outside;
                own_invoice := own_invoice || flightbill.open_draft(draft.customer, NULL, draft.currency, at, draft.outside);
            END IF;
        END LOOP;

        INSERT INTO flightbill.charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount,
            tax_rate, tax_amount, flown_on, late, detail, tax_category, tax_reason, unit_code, account)
        SELECT CASE
                WHEN closes_on[l.nr] IS NULL THEN (
                    SELECT o.invoice FROM unnest(own_of, own_currency, own_outside, own_invoice) AS o (nr, currency, outside, invoice)
                    WHERE o.nr = l.nr AND o.currency = l.currency AND o.outside = (t.tax_category IS NOT DISTINCT FROM 'outside'))
                ELSE (
                    SELECT i.id FROM flightbill.invoices i
                    WHERE i.customer_id = customer_ids[l.nr] AND i.currency = l.currency AND i.closes_on = closes_on[l.nr]
                        AND i.outside_scope = (t.tax_category IS NOT DISTINCT FROM 'outside') AND i.status <> 'VOID')
            END,
            flight_ids[l.nr], l.tariff_id, l.code, l.description, l.quantity, l.unit_rate, l.amount,
            l.tax_rate, l.tax_amount, landed_on[l.nr], late[l.nr], l.detail,
            coalesce(t.tax_category, 'standard'), t.tax_reason, flightbill.tariff_unit_code(t), t.account
        FROM unnest(line_of, tariff_ids, codes, descriptions, quantities, unit_rates, amounts, tax_rates, tax_amounts, currencies, details) WITH ORDINALITY
            AS l (nr, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, currency, detail, line)
        LEFT JOIN unnest(rules) AS t ON t.id = l.tariff_id
        WHERE outcomes[l.nr] = 'billed'
        ORDER BY l.line;

        IF own_invoice IS NOT NULL THEN
            to_issue := ARRAY(
                SELECT o.invoice FROM unnest(own_of, own_invoice) AS o (nr, invoice)
                JOIN flightbill.customers c ON c.id = customer_ids[o.nr] WHERE NOT c.billing_hold);
            IF to_issue <> '{}' THEN
                PERFORM flightbill.issue_drafts(to_issue, at, today);
            END IF;
        END IF;
    END IF;

    PERFORM flightbill.complete_flight_jobs(
        job_client,
        ARRAY(SELECT CASE WHEN outcomes[j.nr] = 'voided' THEN 0 ELSE j.id END FROM unnest(job_ids) WITH ORDINALITY AS j (id, nr) ORDER BY j.nr),
        job_attempts, job_attempted_at, flight_ids,
        -- Of a flight billed before, another job may be there to bill it again.
        added);
    RETURN outcomes;
END
$$;

CREATE FUNCTION flightbill.set_off(from_number text, to_number text, amount numeric DEFAULT NULL::numeric) RETURNS numeric
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    source flightbill.invoices;
    target flightbill.invoices;
    credit numeric;
    open   numeric;
BEGIN
    PERFORM FROM flightbill.invoices i WHERE i.number IN (from_number, to_number) ORDER BY i.id FOR NO KEY UPDATE;
    SELECT * INTO source FROM flightbill.invoice_to_settle(from_number);
    SELECT * INTO target FROM flightbill.invoice_to_settle(to_number);
    IF source.customer_id <> target.customer_id OR source.currency <> target.currency THEN
        RAISE EXCEPTION '% cannot be set off against %: they are of different customers or currencies', source.number, target.number
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A credit goes on an invoice of the same customer in the same currency.';
    END IF;
    credit := -flightbill.open_amount(source.id);
    open := flightbill.open_amount(target.id);
    IF credit <= 0 THEN
        RAISE EXCEPTION '% has no credit: % % is open on it', source.number, -credit, source.currency
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Name the credit first, and then the invoice that it is used for.';
    END IF;
    IF open <= 0 THEN
        RAISE EXCEPTION 'nothing is open on invoice %', target.number
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Name the credit first, and then the invoice that it is used for.';
    END IF;
    set_off.amount := coalesce(set_off.amount, least(credit, open));
    PERFORM flightbill.check_payment(target, set_off.amount);
    set_off.amount := round(set_off.amount, flightbill.minor_units(target.currency));
    IF set_off.amount < 0 OR set_off.amount > least(credit, open) THEN
        RAISE EXCEPTION '% of % cannot be set off against %: the credit is %, and % is open', set_off.amount, source.number, target.number, credit, open
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give at most the smaller of the two, above 0; or no amount.';
    END IF;
    PERFORM flightbill.set_off_pair(target.id, source.id, set_off.amount);
    RETURN set_off.amount;
END
$$;

CREATE FUNCTION flightbill.set_off_pair(invoice bigint, other bigint, amount numeric, at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    today date := (now() AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date;
BEGIN
    INSERT INTO flightbill.payments (invoice_id, kind, amount, paid_on, other_id)
    VALUES (invoice, 'set_off', set_off_pair.amount, today, other), (other, 'set_off', -set_off_pair.amount, today, invoice);
    PERFORM flightbill.settle_invoice(invoice, at);
    PERFORM flightbill.settle_invoice(other, at);
END
$$;

CREATE FUNCTION flightbill.settle_invoice(invoice bigint, at timestamp with time zone DEFAULT NULL::timestamp with time zone, taken_back text DEFAULT ''::text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    open numeric := flightbill.open_amount(invoice);
    zone text := coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC');
BEGIN
    -- Where a day's midnight comes twice, Postgres takes the second.
    at := coalesce(at, (
        SELECT least(max(p.paid_on)::timestamp AT TIME ZONE zone, now()) FROM flightbill.payments p
        WHERE p.invoice_id = invoice AND p.reverses_id IS NULL AND NOT EXISTS (SELECT FROM flightbill.payments r WHERE r.reverses_id = p.id)));
    PERFORM set_config('flightbill.payment_taken_back', taken_back, true);
    UPDATE flightbill.invoices i
    SET status = CASE WHEN i.status = 'VOID' THEN 'VOID' WHEN s.settled THEN 'PAID' WHEN i.status = 'PAID' THEN 'PENDING' ELSE i.status END,
        paid_at = CASE WHEN i.status = 'VOID' THEN i.paid_at WHEN s.settled THEN coalesce(i.paid_at, at) END
    FROM (SELECT total = 0 OR sign(open) <> sign(total) AS settled FROM flightbill.invoices WHERE id = invoice) AS s
    WHERE i.id = invoice;
    PERFORM set_config('flightbill.payment_taken_back', '', true);
END
$$;

CREATE FUNCTION flightbill.week_minutes(during text) RETURNS int4multirange
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    item text;
    m text[];
    first int;
    last int;
    begins int;
    ends int;
    minutes int4multirange := '{}';
BEGIN
    FOREACH item IN ARRAY string_to_array(during, ',') LOOP
        m := regexp_match(btrim(item, ' ') COLLATE "C",
            '^(?=.)(?:(Mo|Tu|We|Th|Fr|Sa|Su)(?:-(Mo|Tu|We|Th|Fr|Sa|Su))?(?: +|$))?(?:((?:[01][0-9]|2[0-3]):[0-5][0-9])-((?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00))?$');
        IF m IS NULL OR m[1] = m[2] OR m[3] = m[4] THEN
            RETURN NULL;
        END IF;
        first := (strpos('MoTuWeThFrSaSu', coalesce(m[1], 'Mo')) - 1) / 2;
        last := (strpos('MoTuWeThFrSaSu', coalesce(m[2], m[1], 'Su')) - 1) / 2;
        begins := coalesce(left(m[3], 2)::int * 60 + right(m[3], 2)::int, 0);
        ends := coalesce(left(m[4], 2)::int * 60 + right(m[4], 2)::int, 1440);
        IF ends < begins THEN -- past midnight
            ends := ends + 1440;
        END IF;
        FOR day IN first .. last + CASE WHEN last < first THEN 7 ELSE 0 END LOOP
            minutes := minutes + int4multirange(int4range(day % 7 * 1440 + begins, day % 7 * 1440 + ends));
        END LOOP;
    END LOOP;
    -- Of the week after there is a night at most, and that is this week's first.
    IF upper(minutes) > 10080 THEN
        minutes := minutes + int4multirange(int4range(0, upper(minutes) - 10080));
    END IF;
    RETURN minutes * int4multirange(int4range(0, 10080));
END
$_$;

CREATE FUNCTION flightbill.when_is_readable(conditions text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM flightbill.when_facts(conditions) AS f WHERE f.fact IS NULL);
END
$$;

CREATE TABLE flightbill.tariffs (
    id bigint NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    description text DEFAULT ''::text NOT NULL,
    basis text NOT NULL,
    customer_id bigint,
    airport text COLLATE pg_catalog."C",
    applies_to text NOT NULL,
    band_from numeric,
    band_to numeric,
    unit_rate numeric NOT NULL,
    minimum numeric,
    currency text NOT NULL COLLATE pg_catalog."C",
    tax_rate numeric DEFAULT 0 NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    "when" text,
    during text,
    of text[],
    unit numeric,
    free numeric,
    free_mode text,
    rounding text,
    times text,
    tonne_kg numeric,
    tonne_rounding text,
    tonne_step numeric,
    band_of text,
    band_mode text,
    fixed numeric,
    factor numeric,
    maximum numeric,
    minimum_at_zero boolean DEFAULT false NOT NULL,
    distance_less numeric,
    distance_unit numeric,
    distance_power numeric,
    mass_unit numeric,
    mass_power numeric,
    decimals smallint,
    tax_category text,
    tax_reason text,
    unit_code text COLLATE pg_catalog."C",
    account text COLLATE pg_catalog."C",
    CONSTRAINT tariffs_account_check CHECK (((account <> ''::text) AND (char_length(account) <= 64))),
    CONSTRAINT tariffs_airport_check CHECK (((airport <> ''::text) AND (airport = flightbill.clean_text(airport)) AND (char_length(airport) <= 200))),
    CONSTRAINT tariffs_applies_to_check CHECK ((applies_to = ANY (ARRAY['departure'::text, 'arrival'::text, 'any'::text]))),
    CONSTRAINT tariffs_band_from_check CHECK (((band_from >= (0)::numeric) AND (band_from < ('1000000000000'::bigint)::numeric))),
    CONSTRAINT tariffs_band_mode_check CHECK ((band_mode = ANY (ARRAY['marginal'::text, 'whole'::text]))),
    CONSTRAINT tariffs_band_of_check CHECK (((band_of <> ''::text) AND (char_length(band_of) <= 63))),
    CONSTRAINT tariffs_band_to_check CHECK (((band_to > (0)::numeric) AND (band_to < ('1000000000000'::bigint)::numeric))),
    CONSTRAINT tariffs_basis_check CHECK ((basis = ANY (ARRAY['per_flight'::text, 'per_tonne'::text, 'per_km'::text, 'per_passenger'::text, 'route'::text, 'terminal'::text, 'per_unit'::text, 'per_time'::text, 'formula'::text, 'percent'::text, 'top_up'::text]))),
    CONSTRAINT tariffs_check CHECK (((tax_rate = (0)::numeric) OR (COALESCE(tax_category, 'standard'::text) = 'standard'::text))),
    CONSTRAINT tariffs_check1 CHECK ((band_to > COALESCE(band_from, (0)::numeric))),
    CONSTRAINT tariffs_check2 CHECK ((valid_to > valid_from)),
    CONSTRAINT tariffs_check3 CHECK (((during IS NULL) OR (applies_to <> 'any'::text))),
    CONSTRAINT tariffs_code_check CHECK (((code <> ''::text) AND (code = flightbill.clean_text(code)) AND (char_length(code) <= 200) AND (strpos(code, '+'::text) = 0))),
    CONSTRAINT tariffs_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT tariffs_decimals_check CHECK (((decimals >= 0) AND (decimals <= 6))),
    CONSTRAINT tariffs_description_check CHECK ((char_length(description) <= 1000)),
    CONSTRAINT tariffs_distance_less_check CHECK (((distance_less >= (0)::numeric) AND (distance_less < (1000000)::numeric))),
    CONSTRAINT tariffs_distance_power_check CHECK (((distance_power >= (0)::numeric) AND (distance_power <= (3)::numeric))),
    CONSTRAINT tariffs_distance_unit_check CHECK (((distance_unit > (0)::numeric) AND (distance_unit < (1000000)::numeric))),
    CONSTRAINT tariffs_during_check CHECK (((during IS NULL) OR ((char_length(during) <= 1000) AND (flightbill.week_minutes(during) IS NOT NULL)))),
    CONSTRAINT tariffs_factor_check CHECK (((factor >= (0)::numeric) AND (factor < ('1000000000000'::bigint)::numeric))),
    CONSTRAINT tariffs_fixed_check CHECK ((abs(fixed) < ('1000000000000'::bigint)::numeric)),
    CONSTRAINT tariffs_free_check CHECK (((free >= (0)::numeric) AND (free < ('1000000000000'::bigint)::numeric))),
    CONSTRAINT tariffs_free_mode_check CHECK ((free_mode = ANY (ARRAY['deduct'::text, 'threshold'::text]))),
    CONSTRAINT tariffs_mass_power_check CHECK (((mass_power >= (0)::numeric) AND (mass_power <= (3)::numeric))),
    CONSTRAINT tariffs_mass_unit_check CHECK (((mass_unit > (0)::numeric) AND (mass_unit < (1000000)::numeric))),
    CONSTRAINT tariffs_maximum_check CHECK ((abs(maximum) < ('1000000000000'::bigint)::numeric)),
    CONSTRAINT tariffs_minimum_check CHECK (((minimum >= (0)::numeric) AND (minimum < ('1000000000000'::bigint)::numeric))),
    CONSTRAINT tariffs_of_check CHECK (((cardinality(of) >= 1) AND (cardinality(of) <= 50) AND (array_position(of, NULL::text) IS NULL) AND (strpos(array_to_string(of, ''::text), '+'::text) = 0))),
    CONSTRAINT tariffs_rounding_check CHECK ((rounding = ANY (ARRAY['up'::text, 'nearest'::text, 'down'::text, 'none'::text]))),
    CONSTRAINT tariffs_tax_category_check CHECK ((tax_category = ANY (ARRAY['standard'::text, 'zero'::text, 'exempt'::text, 'reverse_charge'::text, 'export'::text, 'outside'::text]))),
    CONSTRAINT tariffs_tax_rate_check CHECK (((tax_rate >= (0)::numeric) AND (tax_rate <= (1)::numeric))),
    CONSTRAINT tariffs_tax_reason_check CHECK (((tax_reason <> ''::text) AND (char_length(tax_reason) <= 1000))),
    CONSTRAINT tariffs_times_check CHECK (((times <> ''::text) AND (char_length(times) <= 63))),
    CONSTRAINT tariffs_tonne_kg_check CHECK ((tonne_kg = ANY (ARRAY[(1000)::numeric, 453.59237]))),
    CONSTRAINT tariffs_tonne_rounding_check CHECK ((tonne_rounding = ANY (ARRAY['up'::text, 'nearest'::text, 'down'::text, 'none'::text]))),
    CONSTRAINT tariffs_tonne_step_check CHECK (((tonne_step > (0)::numeric) AND (tonne_step <= (1000)::numeric))),
    CONSTRAINT tariffs_unit_check CHECK (((unit > (0)::numeric) AND (unit < ('1000000000000'::bigint)::numeric))),
    CONSTRAINT tariffs_unit_code_check CHECK ((unit_code ~ '^[A-Z0-9]{2,3}$'::text)),
    CONSTRAINT tariffs_unit_rate_check CHECK (((abs(unit_rate) < ('1000000000000'::bigint)::numeric) AND ((unit_rate >= (0)::numeric) OR (basis = 'percent'::text)))),
    CONSTRAINT tariffs_valid_from_check CHECK (isfinite(valid_from)),
    CONSTRAINT tariffs_valid_to_check CHECK (isfinite(valid_to)),
    CONSTRAINT tariffs_when_check CHECK (((char_length("when") <= 1000) AND flightbill.when_is_readable("when")))
);

CREATE FUNCTION flightbill.tariff_unit_code(tariff flightbill.tariffs) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN COALESCE((tariff).unit_code, CASE WHEN ((tariff).times IS NOT NULL) THEN 'C62'::text WHEN ((tariff).basis = 'per_time'::text) THEN CASE COALESCE((tariff).unit, (1)::numeric) WHEN 1 THEN 'MIN'::text WHEN 60 THEN 'HUR'::text ELSE NULL::text END WHEN (((tariff).basis = 'per_unit'::text) AND (cardinality((tariff).of) = 1) AND ((tariff).of[1] ~~ '%\_kg'::text)) THEN CASE COALESCE((tariff).unit, (1)::numeric) WHEN 1 THEN 'KGM'::text WHEN 1000 THEN 'TNE'::text ELSE NULL::text END WHEN (COALESCE((tariff).unit, (1)::numeric) <> (1)::numeric) THEN 'C62'::text WHEN ((tariff).basis = 'per_km'::text) THEN 'KMT'::text WHEN (((tariff).basis = 'per_tonne'::text) AND (COALESCE((tariff).tonne_kg, (1000)::numeric) = (1000)::numeric)) THEN 'TNE'::text ELSE NULL::text END, 'C62'::text);

CREATE FUNCTION flightbill.tariffs_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
BEGIN
    IF TG_TABLE_NAME = 'tariffs' THEN
        INSERT INTO flightbill.changed_tariffs (ids) SELECT array_agg(n.id) FROM new_rows n HAVING count(*) > 0;
    ELSE
        INSERT INTO flightbill.changed_tariffs (ids)
        SELECT array_agg(t.id) FROM flightbill.tariffs t
        WHERE flightbill.code_form(t.airport) IN (SELECT n.form FROM new_rows n) OR t."when" ~ '\m(origin|destination)\M'
        HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END
$$;

CREATE FUNCTION flightbill.tariffs_do_not_overlap() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
DECLARE
    changed bigint[];
    pair record;
    rules text;
    rule_code text;
BEGIN
    WITH taken AS (DELETE FROM flightbill.changed_tariffs RETURNING ids)
    SELECT array_agg(id) INTO changed FROM taken CROSS JOIN unnest(taken.ids) AS id;
    IF changed IS NULL THEN
        RETURN NULL;
    END IF;
    -- Who changes tariffs or airports holds this row until the end, so that of two who do
    -- the second sees, in its next statement, what the first did. Nobody else can lock it.
    PERFORM FROM flightbill.price_book FOR NO KEY UPDATE;
    SELECT * INTO pair FROM flightbill.tariffs_overlapping(changed) ORDER BY 1, 2 LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT string_agg(format('%s (%s)', t.id, concat_ws(', ', coalesce('at ' || t.airport, 'at every airport'), 'applies_to ' || t.applies_to,
            'band above ' || t.band_from, 'band up to ' || t.band_to, 'band_of ' || t.band_of, 'when ' || t."when", 'during ' || t.during,
            'valid from ' || t.valid_from, 'to ' || t.valid_to)), ' and ' ORDER BY t.id), min(t.code)
    INTO rules, rule_code FROM flightbill.tariffs t WHERE t.id IN (pair.id, pair.other_id);
    RAISE EXCEPTION 'tariff %: rules % violate tariffs_do_not_overlap, since both would price the same flight', quote_literal(rule_code), rules
        USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'tariffs_do_not_overlap', SCHEMA = 'flightbill', TABLE = 'tariffs',
            HINT = 'End one where the other begins, or set them apart by band, during, or a fact in when that both name.';
END
$$;

CREATE FUNCTION flightbill.tariffs_overlapping(ids bigint[]) RETURNS TABLE(id bigint, other_id bigint)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_nestloop TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT DISTINCT asked.id FROM unnest(ids) AS asked (id)
    ), rules AS MATERIALIZED (
        SELECT t.id, asked.id IS NOT NULL AS asked, flightbill.code_form(t.code) AS code, coalesce(t.customer_id, 0) AS customer,
            coalesce(flightbill.airport_form(t.airport), '') AS airport, t.applies_to, daterange(t.valid_from, t.valid_to) AS validity,
            numrange(coalesce(t.band_from, 0), t.band_to, '(]') AS band,
            -- What the band limits, and how that is measured; bands of two measures cannot be compared.
            concat_ws(' ', coalesce(t.band_mode, CASE t.basis WHEN 'per_tonne' THEN 'marginal' ELSE 'whole' END), coalesce(t.band_of, 'tonnes'),
                CASE WHEN coalesce(t.band_of, 'tonnes') IN ('tonnes', 'units') THEN concat_ws(' ', trim_scale(coalesce(t.tonne_kg, 1000)),
                    coalesce(t.tonne_rounding, 'up'), trim_scale(coalesce(t.tonne_step, 1))) END,
                CASE WHEN t.band_of = 'units' THEN concat_ws(' ', t.basis, array_to_string(t."of", '+'), trim_scale(coalesce(t.unit, 1)),
                    trim_scale(coalesce(t.free, 0)), coalesce(t.free_mode, 'deduct'),
                    coalesce(t.rounding, CASE t.basis WHEN 'per_time' THEN 'up' ELSE 'none' END)) END) AS measure,
            flightbill.week_minutes(t.during) AS minutes, t."when"
        FROM flightbill.tariffs t LEFT JOIN asked ON asked.id = t.id
        WHERE flightbill.code_form(t.code) IN (SELECT flightbill.code_form(c.code) FROM flightbill.tariffs c JOIN asked USING (id))
    ), facts AS MATERIALIZED (
        SELECT r.id, f.fact, f.numbers, f.others, f.absent,
            CASE WHEN f.fact IN ('origin', 'destination') THEN array(SELECT flightbill.airport_form(code) FROM unnest(f.texts) AS code) ELSE f.texts END AS texts
        FROM rules r CROSS JOIN LATERAL flightbill.when_facts(r."when") AS f
    ), pairs AS MATERIALIZED (
        SELECT a.id, b.id AS other_id
        FROM rules a JOIN rules b ON b.code = a.code AND b.airport = a.airport AND b.customer = a.customer AND b.id > a.id
        WHERE (a.asked OR b.asked)
            AND a.validity && b.validity
            AND (a.measure <> b.measure OR a.band && b.band)
            AND CASE WHEN a.applies_to = b.applies_to THEN (a.minutes && b.minutes) IS NOT FALSE ELSE 'any' IN (a.applies_to, b.applies_to) END
    )
    SELECT p.id, p.other_id FROM pairs p
    EXCEPT
    SELECT p.id, p.other_id
    FROM pairs p JOIN facts a ON a.id = p.id JOIN facts b ON b.id = p.other_id AND b.fact = a.fact
    WHERE NOT (a.absent AND b.absent) AND NOT a.numbers && b.numbers
        AND CASE
            WHEN a.others AND b.others THEN false
            WHEN a.others THEN b.texts <@ a.texts
            WHEN b.others THEN a.texts <@ b.texts
            ELSE NOT a.texts && b.texts
        END;
END
$$;

CREATE FUNCTION flightbill.unmark_invoice_paid(invoice_number text, reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
DECLARE
    invoice flightbill.invoices;
    today   date := (now() AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date;
BEGIN
    IF coalesce(btrim(reason), '') = '' THEN
        RAISE EXCEPTION 'the payment of invoice % cannot be taken back without a reason', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why in a few words: they stand in the invoice''s story.';
    END IF;
    SELECT * INTO invoice FROM flightbill.invoice_to_settle(invoice_number);
    IF invoice.status <> 'PAID' THEN
        RAISE EXCEPTION 'invoice % is % and has no payment to take back', invoice_number, invoice.status
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only the payment of a PAID invoice can be taken back so; flightbill.reverse_payment takes any back by its id.';
    END IF;
    INSERT INTO flightbill.payments (invoice_id, kind, amount, paid_on, reverses_id, reason)
    SELECT p.invoice_id, p.kind, -p.amount, today, p.id, btrim(unmark_invoice_paid.reason)
    FROM flightbill.payments p
    WHERE p.invoice_id = invoice.id AND p.kind IN ('payment', 'rounding') AND p.reverses_id IS NULL
        AND NOT EXISTS (SELECT FROM flightbill.payments r WHERE r.reverses_id = p.id)
    ORDER BY p.id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'invoice % is PAID without a payment', invoice_number
            USING ERRCODE = 'object_not_in_prerequisite_state',
                HINT = 'Nothing was due, or it was set against the document that it voids; another set-off is taken back by flightbill.reverse_payment.';
    END IF;
    PERFORM flightbill.settle_invoice(invoice.id, NULL, btrim(unmark_invoice_paid.reason));
END
$$;

CREATE FUNCTION flightbill.void_invoice(invoice_number text, reason text, rebill boolean DEFAULT false, payer text DEFAULT 'billed'::text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
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

CREATE FUNCTION flightbill.voided_flight_message(flight_id text, for_all boolean) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    advice text := 'have who enqueued it, or flightbill_queue_admin, take it off the queue, or have the invoice''s flights billed again';
BEGIN
    IF for_all THEN
        RETURN format('flight %s is not billed again: its invoice was voided without that; %s', flight_id, advice);
    END IF;
    RETURN (
        SELECT format('flight %s is not billed again: its invoice %s was voided by %s without that (%s); %s: SELECT flightbill.rebill_invoice(%L)',
            v.flight_id, i.number, c.number, c.reason, advice, i.number)
        FROM flightbill.voided_flights v
        JOIN flightbill.invoices c ON c.id = v.credit_note_id
        JOIN flightbill.invoices i ON i.id = c.credits_invoice_id
        WHERE v.flight_id = voided_flight_message.flight_id AND v.rebilled_at IS NULL AND NOT v.rebill
        ORDER BY v.credit_note_id DESC LIMIT 1);
END
$$;

CREATE FUNCTION flightbill.when_facts(conditions text) RETURNS TABLE(fact text, numbers nummultirange, texts text[], others boolean, absent boolean)
    LANGUAGE plpgsql IMMUTABLE STRICT ROWS 2 PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
DECLARE
    part text;
    m text[];
    operator text;
    value text;
    number numeric;
    points nummultirange;
    words text[];
    -- What is known of each fact; the texts of one, which have no |, as one text.
    names text[] := '{}';
    all_numbers nummultirange[];
    all_texts text[];
    all_others boolean[];
    all_absent boolean[];
    is_code boolean;
    i int;
BEGIN
    FOREACH part IN ARRAY string_to_array(conditions, ';') LOOP
        m := regexp_match(btrim(part, ' ') COLLATE "C", '^([a-z][a-z0-9_]{0,62})(?: *(!=|<=|>=|=|<|>) *(.*)| +(present|absent))$');
        IF m IS NULL OR m[1] IN ('tonnes', 'kg', 'units') THEN
            fact := NULL;
            RETURN NEXT;
            RETURN;
        END IF;
        operator := coalesce(m[2], m[4]);
        is_code := m[1] IN ('origin', 'destination', 'registration', 'operator');
        points := '{}';
        words := '{}';
        number := NULL;
        FOREACH value IN ARRAY CASE WHEN m[2] IS NULL THEN '{}' WHEN m[3] = '' THEN '{""}' ELSE string_to_array(m[3], '|') END LOOP
            value := btrim(value, ' ');
            IF value ~ '^([=!<>]|$)' OR char_length(value) > 200
                OR flightbill.clean_text(value) <> value AND NOT (m[1] ~ '(^|_)country$' AND upper(value COLLATE "C") = 'NA')
                OR operator IN ('<', '<=', '>', '>=') AND (is_code OR m[1] IN ('flight_id', 'callsign', 'aircraft_type', 'departed_at', 'landed_at', 'movement',
                    'on_block_at', 'off_block_at', 'origin_country', 'destination_country', 'international') OR strpos(m[3], '|') > 0 OR value !~ '^-?[0-9]{1,30}(\.[0-9]{1,30})?$') THEN
                fact := NULL;
                RETURN NEXT;
                RETURN;
            END IF;
            IF is_code THEN
                words := words || flightbill.code_form(value);
            ELSIF value ~ '^-?[0-9]{1,30}(\.[0-9]{1,30})?$' THEN
                number := value::numeric;
                points := points + nummultirange(numrange(number, number, '[]'));
            ELSE
                words := words || upper(value COLLATE "C");
            END IF;
        END LOOP;
        numbers := CASE operator
            WHEN '=' THEN points
            WHEN '!=' THEN '{(,)}' - points
            WHEN '<' THEN nummultirange(numrange(NULL, number))
            WHEN '<=' THEN nummultirange(numrange(NULL, number, '(]'))
            WHEN '>' THEN nummultirange(numrange(number, NULL, '()'))
            WHEN '>=' THEN nummultirange(numrange(number, NULL))
            WHEN 'present' THEN '{(,)}'
            ELSE '{}'
        END;
        others := operator IN ('!=', 'present');
        absent := operator = 'absent';
        i := array_position(names, m[1]);
        IF i IS NULL THEN
            i := cardinality(names) + 1;
            names[i] := m[1];
            all_numbers[i] := numbers;
        ELSE -- both must be met
            all_numbers[i] := all_numbers[i] * numbers;
            texts := string_to_array(all_texts[i], '|');
            words := CASE
                WHEN others AND all_others[i] THEN texts || words
                WHEN others THEN array(SELECT unnest(texts) EXCEPT SELECT unnest(words))
                WHEN all_others[i] THEN array(SELECT unnest(words) EXCEPT SELECT unnest(texts))
                ELSE array(SELECT unnest(words) INTERSECT SELECT unnest(texts))
            END;
            others := others AND all_others[i];
            absent := absent AND all_absent[i];
        END IF;
        all_texts[i] := array_to_string(words, '|');
        all_others[i] := others;
        all_absent[i] := absent;
    END LOOP;
    FOR i IN 1 .. cardinality(names) LOOP
        numbers := all_numbers[i];
        texts := string_to_array(all_texts[i], '|');
        others := all_others[i];
        absent := all_absent[i];
        fact := CASE WHEN others OR absent OR texts <> '{}' OR NOT isempty(numbers) THEN names[i] END;
        RETURN NEXT;
    END LOOP;
END
$_$;

CREATE FUNCTION flightbill.withdraw_promise(client text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
BEGIN
    DELETE FROM flightbill.queue_promises p WHERE p.client = withdraw_promise.client;
END
$$;

CREATE FUNCTION flightbill.write_off_rounding(invoice_number text, reason text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    invoice flightbill.invoices;
    open    numeric;
    most    numeric;
    payment bigint;
BEGIN
    IF coalesce(btrim(write_off_rounding.reason), '') = '' THEN
        RAISE EXCEPTION 'nothing of invoice % can be written off without a reason', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why in a few words: they stand in the invoice''s story.';
    END IF;
    SELECT * INTO invoice FROM flightbill.invoice_to_settle(invoice_number);
    open := flightbill.open_amount(invoice.id);
    most := round(100 / 10::numeric ^ flightbill.minor_units(invoice.currency), flightbill.minor_units(invoice.currency));
    IF open = 0 OR abs(open) > most THEN
        RAISE EXCEPTION '% % is open on invoice % and cannot be written off', open, invoice.currency, invoice.number
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'A rest of at most ' || most || ' ' || invoice.currency || ' can be. An invoice that was wrong is voided.';
    END IF;
    INSERT INTO flightbill.payments AS p (invoice_id, kind, amount, paid_on, reason)
    VALUES (invoice.id, 'rounding', open, (now() AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date, btrim(write_off_rounding.reason))
    RETURNING p.id INTO payment;
    PERFORM flightbill.settle_invoice(invoice.id);
    RETURN payment;
END
$$;

CREATE TABLE flightbill.aircraft (
    id bigint NOT NULL,
    registration text NOT NULL COLLATE pg_catalog."C",
    valid_from date,
    valid_to date,
    aircraft_type text COLLATE pg_catalog."C",
    mtow_kg bigint,
    facts flightbill.facts DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT aircraft_aircraft_type_check CHECK (((aircraft_type <> ''::text) AND (aircraft_type = flightbill.clean_text(aircraft_type)) AND (char_length(aircraft_type) <= 200))),
    CONSTRAINT aircraft_check CHECK ((valid_to > valid_from)),
    CONSTRAINT aircraft_mtow_kg_check CHECK ((mtow_kg > 0)),
    CONSTRAINT aircraft_registration_check CHECK (((registration <> ''::text) AND (registration = flightbill.clean_text(registration)) AND (char_length(registration) <= 200))),
    CONSTRAINT aircraft_valid_from_check CHECK (isfinite(valid_from)),
    CONSTRAINT aircraft_valid_to_check CHECK (isfinite(valid_to))
);

ALTER TABLE flightbill.aircraft ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME flightbill.aircraft_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE flightbill.aircraft_types (
    aircraft_type text NOT NULL COLLATE pg_catalog."C",
    mtow_kg bigint,
    facts flightbill.facts DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT aircraft_types_aircraft_type_check CHECK (((aircraft_type <> ''::text) AND (aircraft_type = flightbill.clean_text(aircraft_type)) AND (char_length(aircraft_type) <= 200))),
    CONSTRAINT aircraft_types_mtow_kg_check CHECK ((mtow_kg > 0))
);

CREATE TABLE flightbill.airports (
    code text NOT NULL COLLATE pg_catalog."C",
    other_codes text[] DEFAULT '{}'::text[] NOT NULL COLLATE pg_catalog."C",
    country text COLLATE pg_catalog."C",
    timezone text COLLATE pg_catalog."C",
    CONSTRAINT airports_code_check CHECK (((code <> ''::text) AND (code = flightbill.clean_text(code)) AND (char_length(code) <= 200))),
    CONSTRAINT airports_country_check CHECK ((country ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT airports_timezone_check CHECK (((timezone ~ '^(UTC|[A-Za-z_]+(/[A-Za-z_-]+)+|Etc/GMT[+-][0-9]{1,2})$'::text) AND (('1970-01-01 00:00:00+00'::timestamp with time zone AT TIME ZONE timezone) > '1969-12-30 00:00:00'::timestamp without time zone)))
);

ALTER TABLE flightbill.bank_entries ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME flightbill.bank_entries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE flightbill.billed_flights (
    flight_id text NOT NULL COLLATE pg_catalog."C",
    customer_id bigint NOT NULL,
    landed_on date NOT NULL,
    facts jsonb NOT NULL,
    billed_at timestamp with time zone NOT NULL,
    revision integer DEFAULT 0 NOT NULL,
    declared jsonb DEFAULT '{}'::jsonb NOT NULL
);

CREATE TABLE flightbill.billing_runs (
    closes_on date NOT NULL,
    run_date date NOT NULL,
    due_at timestamp with time zone NOT NULL,
    trigger text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    invoices bigint DEFAULT 0 NOT NULL,
    charges bigint DEFAULT 0 NOT NULL,
    held bigint DEFAULT 0 NOT NULL,
    parked bigint DEFAULT 0 NOT NULL,
    CONSTRAINT billing_runs_trigger_check CHECK ((trigger = ANY (ARRAY['start'::text, 'schedule'::text, 'manual'::text])))
);

CREATE VIEW flightbill.billing_days AS
 WITH settings AS (
         SELECT billing_settings.timezone,
                CASE billing_settings.close
                    WHEN 'next_day'::text THEN 1
                    ELSE 0
                END AS days_after,
            (billing_settings.billing_start -
                CASE billing_settings.close
                    WHEN 'next_day'::text THEN 1
                    ELSE 0
                END) AS first,
            GREATEST(billing_settings.billing_start, ((now() AT TIME ZONE billing_settings.timezone))::date, ( SELECT max(billing_runs.closes_on) AS max
                   FROM flightbill.billing_runs)) AS known
           FROM flightbill.billing_settings
        ), days AS (
         SELECT (settings.first + n.n) AS closes_on
           FROM settings,
            LATERAL generate_series(0, ((settings.known - settings.first) + 32)) n(n)
        UNION
         SELECT billing_runs.closes_on
           FROM flightbill.billing_runs
        )
 SELECT day.closes_on,
    (day.closes_on >= s.first) AS counted,
    COALESCE(r.run_date, (day.closes_on + s.days_after)) AS run_date,
    COALESCE(r.due_at,
        CASE
            WHEN ((LEAST(candidates.early, candidates.late) AT TIME ZONE s.timezone) = local.clock) THEN LEAST(candidates.early, candidates.late)
            WHEN ((GREATEST(candidates.early, candidates.late) AT TIME ZONE s.timezone) = local.clock) THEN GREATEST(candidates.early, candidates.late)
            ELSE ( SELECT min(t.t) AS min
               FROM generate_series(LEAST(candidates.early, candidates.late), GREATEST(candidates.early, candidates.late), '00:01:00'::interval) t(t)
              WHERE ((t.t AT TIME ZONE s.timezone) >= local.clock))
        END) AS due_at
   FROM (((((settings s
     CROSS JOIN days day)
     LEFT JOIN flightbill.billing_runs r ON ((r.closes_on = day.closes_on)))
     CROSS JOIN LATERAL ( SELECT ((day.closes_on + s.days_after) + '01:00:00'::time without time zone) AS clock) local)
     CROSS JOIN LATERAL ( SELECT (local.clock AT TIME ZONE 'UTC'::text) AS shown) as_utc)
     CROSS JOIN LATERAL ( SELECT (as_utc.shown - (((as_utc.shown - '26:00:00'::interval) AT TIME ZONE s.timezone) - (local.clock - '26:00:00'::interval))) AS early,
            (as_utc.shown - (((as_utc.shown + '26:00:00'::interval) AT TIME ZONE s.timezone) - (local.clock + '26:00:00'::interval))) AS late) candidates);

CREATE VIEW flightbill.billing_calendar AS
 WITH state AS (
         SELECT max(billing_runs.closes_on) AS cutoff,
            max(billing_runs.closes_on) FILTER (WHERE (billing_runs.finished_at IS NOT NULL)) AS finished,
            min(billing_runs.started_at) FILTER (WHERE (billing_runs.finished_at IS NULL)) AS working_since,
            ( SELECT ((now() AT TIME ZONE billing_settings.timezone))::date AS timezone
                   FROM flightbill.billing_settings) AS today,
            '00:35:00'::interval AS grace
           FROM flightbill.billing_runs
        ), days AS MATERIALIZED (
         SELECT d.closes_on,
            d.run_date,
            d.due_at,
            d.counted,
                CASE
                    WHEN (d.closes_on <= s.cutoff) THEN 'empty'::text
                    WHEN (now() < d.due_at) THEN 'open'::text
                    WHEN (now() < (d.due_at + s.grace)) THEN 'due'::text
                    ELSE 'missed'::text
                END AS status
           FROM flightbill.billing_days d,
            state s
        ), closings AS (
         SELECT d.closes_on,
            d.run_date,
            d.due_at,
            d.counted,
            d.status,
            (EXTRACT(isodow FROM d.closes_on))::integer AS ends
           FROM days d,
            state s
          WHERE (d.counted AND ((d.closes_on - 7) <= GREATEST(s.today, s.cutoff)))
        UNION ALL
         SELECT d.closes_on,
            d.run_date,
            d.due_at,
            d.counted,
            d.status,
            0
           FROM days d,
            state s
          WHERE (d.counted AND (EXTRACT(day FROM (d.closes_on + 1)) = (1)::numeric) AND (((date_trunc('month'::text, (d.closes_on)::timestamp with time zone))::date - 1) <= GREATEST(s.today, s.cutoff)))
        )
 SELECT c.code AS customer,
    i.closes_on,
    d.run_date,
    d.due_at,
        CASE
            WHEN (i.status <> 'DRAFT'::text) THEN 'issued'::text
            WHEN (i.closes_on > s.cutoff) THEN d.status
            WHEN c.billing_hold THEN 'held'::text
            WHEN (i.parked_at IS NOT NULL) THEN 'parked'::text
            WHEN ((now() < (s.working_since + s.grace)) OR ((s.working_since IS NULL) AND (c.held_through >= s.finished))) THEN 'due'::text
            ELSE 'missed'::text
        END AS status,
    i.id AS invoice_id,
    i.number,
    i.currency,
    i.outside_scope,
    i.total,
    i.parked_reason AS reason
   FROM (((flightbill.invoices i
     JOIN flightbill.customers c ON ((c.id = i.customer_id)))
     CROSS JOIN state s)
     LEFT JOIN days d ON ((d.closes_on = i.closes_on)))
  WHERE (i.closes_on IS NOT NULL)
UNION ALL
 SELECT c.code AS customer,
    d.closes_on,
    d.run_date,
    d.due_at,
    d.status,
    NULL::bigint AS invoice_id,
    NULL::text AS number,
    NULL::text AS currency,
    NULL::boolean AS outside_scope,
    NULL::numeric AS total,
    NULL::text AS reason
   FROM (flightbill.customers c
     JOIN closings d ON ((d.ends =
        CASE c.billing_frequency
            WHEN 'weekly'::text THEN (c.week_ends_on)::integer
            WHEN 'monthly'::text THEN 0
            ELSE NULL::integer
        END)))
  WHERE (NOT (EXISTS ( SELECT
           FROM flightbill.invoices i
          WHERE ((i.customer_id = c.id) AND (i.closes_on = d.closes_on)))));

CREATE TABLE flightbill.billing_run_lock (
    never boolean NOT NULL,
    CONSTRAINT billing_run_lock_check CHECK (false)
);

CREATE TABLE flightbill.flights (
    flight_id text NOT NULL COLLATE pg_catalog."C",
    callsign text,
    operator text COLLATE pg_catalog."C",
    registration text COLLATE pg_catalog."C",
    aircraft_type text,
    mtow_kg bigint,
    origin text COLLATE pg_catalog."C",
    destination text COLLATE pg_catalog."C",
    departed_at timestamp with time zone,
    landed_at timestamp with time zone,
    distance_km numeric,
    passengers bigint,
    movement text,
    mtow_lb bigint,
    on_block_at timestamp with time zone,
    off_block_at timestamp with time zone,
    facts flightbill.facts DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT flights_aircraft_type_is_clean CHECK ((aircraft_type = flightbill.clean_text(aircraft_type))),
    CONSTRAINT flights_callsign_is_clean CHECK ((callsign = flightbill.clean_text(callsign))),
    CONSTRAINT flights_can_be_enqueued CHECK (((octet_length(flight_id) <= 128) AND (flight_id ~ '^[A-Za-z0-9][A-Za-z0-9 ._:/+#@~-]*$'::text) AND ("right"(flight_id, 1) <> ' '::text))),
    CONSTRAINT flights_departed_at_check CHECK (isfinite(departed_at)),
    CONSTRAINT flights_destination_is_clean CHECK ((destination = flightbill.clean_text(destination))),
    CONSTRAINT flights_distance_km_check CHECK ((abs(distance_km) < 'Infinity'::numeric)),
    CONSTRAINT flights_landed_at_check CHECK (isfinite(landed_at)),
    CONSTRAINT flights_movement_check CHECK ((movement = ANY (ARRAY['arrival'::text, 'departure'::text]))),
    CONSTRAINT flights_off_block_at_check CHECK (isfinite(off_block_at)),
    CONSTRAINT flights_on_block_at_check CHECK (isfinite(on_block_at)),
    CONSTRAINT flights_operator_is_clean CHECK ((operator = flightbill.clean_text(operator))),
    CONSTRAINT flights_origin_is_clean CHECK ((origin = flightbill.clean_text(origin))),
    CONSTRAINT flights_registration_is_clean CHECK ((registration = flightbill.clean_text(registration))),
    CONSTRAINT flights_text_is_short CHECK ((GREATEST(char_length(callsign), char_length(operator), char_length(registration), char_length(aircraft_type), char_length(origin), char_length(destination)) <= 200))
);

CREATE TABLE flightbill.voided_flights (
    flight_id text NOT NULL COLLATE pg_catalog."C",
    credit_note_id bigint NOT NULL,
    currency text NOT NULL COLLATE pg_catalog."C",
    rebill boolean NOT NULL,
    payer text DEFAULT 'billed'::text NOT NULL,
    rebilled_at timestamp with time zone,
    CONSTRAINT voided_flights_payer_check CHECK ((payer = ANY (ARRAY['billed'::text, 'register'::text])))
);

CREATE VIEW flightbill.changed_flights AS
 SELECT b.flight_id,
    c.code AS customer,
    b.landed_on,
    b.billed_at,
    d.changed
   FROM ((((flightbill.billed_flights b
     JOIN flightbill.flights f ON ((f.flight_id = b.flight_id)))
     JOIN flightbill.customers c ON ((c.id = b.customer_id)))
     CROSS JOIN LATERAL jsonb_to_record(b.facts) was(callsign text, operator text, registration text, aircraft_type text, mtow_kg numeric, origin text, destination text, departed_at timestamp with time zone, landed_at timestamp with time zone, distance_km numeric, passengers numeric, movement text, mtow_lb numeric, on_block_at timestamp with time zone, off_block_at timestamp with time zone, facts jsonb))
     CROSS JOIN LATERAL ( SELECT concat_ws(', '::text,
                CASE
                    WHEN (NULLIF(f.callsign, ''::text) IS DISTINCT FROM was.callsign) THEN 'callsign'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (NULLIF(f.operator, ''::text) IS DISTINCT FROM was.operator) THEN 'operator'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (NULLIF(f.registration, ''::text) IS DISTINCT FROM was.registration) THEN 'registration'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (NULLIF(f.aircraft_type, ''::text) IS DISTINCT FROM was.aircraft_type) THEN 'aircraft_type'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN ((f.mtow_kg)::numeric IS DISTINCT FROM was.mtow_kg) THEN 'mtow_kg'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (NULLIF(f.origin, ''::text) IS DISTINCT FROM was.origin) THEN 'origin'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (NULLIF(f.destination, ''::text) IS DISTINCT FROM was.destination) THEN 'destination'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (f.departed_at IS DISTINCT FROM was.departed_at) THEN 'departed_at'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (f.landed_at IS DISTINCT FROM was.landed_at) THEN 'landed_at'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (f.distance_km IS DISTINCT FROM was.distance_km) THEN 'distance_km'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN ((f.passengers)::numeric IS DISTINCT FROM was.passengers) THEN 'passengers'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (f.movement IS DISTINCT FROM was.movement) THEN 'movement'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN ((f.mtow_lb)::numeric IS DISTINCT FROM was.mtow_lb) THEN 'mtow_lb'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (f.on_block_at IS DISTINCT FROM was.on_block_at) THEN 'on_block_at'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN (f.off_block_at IS DISTINCT FROM was.off_block_at) THEN 'off_block_at'::text
                    ELSE NULL::text
                END,
                CASE
                    WHEN ((f.facts)::jsonb <> COALESCE(was.facts, '{}'::jsonb)) THEN ( SELECT string_agg(COALESCE(n.key, o.key), ', '::text ORDER BY (COALESCE(n.key, o.key) COLLATE "C")) AS string_agg
                       FROM (jsonb_each_text((f.facts)::jsonb) n(key, value)
                         FULL JOIN jsonb_each_text(was.facts) o(key, value) ON ((o.key = n.key)))
                      WHERE (flightbill.fact_form(n.key, n.value) IS DISTINCT FROM flightbill.fact_form(o.key, o.value)))
                    ELSE NULL::text
                END) AS changed) d)
  WHERE ((d.changed <> ''::text) AND (NOT (EXISTS ( SELECT
           FROM flightbill.voided_flights v
          WHERE ((v.flight_id = b.flight_id) AND (v.rebilled_at IS NULL))))));

CREATE UNLOGGED TABLE flightbill.changed_tariffs (
    id bigint NOT NULL,
    ids bigint[] NOT NULL
);

ALTER TABLE flightbill.changed_tariffs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME flightbill.changed_tariffs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE flightbill.charges ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME flightbill.charges_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE flightbill.currency_rates (
    currency text NOT NULL COLLATE pg_catalog."C",
    in_currency text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    rate numeric NOT NULL,
    CONSTRAINT currency_rates_check CHECK (((in_currency ~ '^[A-Z]{3}$'::text) AND (in_currency <> currency))),
    CONSTRAINT currency_rates_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT currency_rates_day_check CHECK (isfinite(day)),
    CONSTRAINT currency_rates_rate_check CHECK (((rate > (0)::numeric) AND (rate < ('1000000000000'::bigint)::numeric)))
);

CREATE TABLE flightbill.customer_aircraft (
    registration text NOT NULL COLLATE pg_catalog."C",
    customer_id bigint NOT NULL,
    valid_from date,
    valid_to date,
    id bigint NOT NULL,
    CONSTRAINT customer_aircraft_check CHECK ((valid_to > valid_from)),
    CONSTRAINT customer_aircraft_registration_check CHECK (((registration <> ''::text) AND (registration = flightbill.clean_text(registration)))),
    CONSTRAINT customer_aircraft_valid_from_check CHECK (isfinite(valid_from)),
    CONSTRAINT customer_aircraft_valid_to_check CHECK (isfinite(valid_to))
);

ALTER TABLE flightbill.customer_aircraft ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME flightbill.customer_aircraft_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE flightbill.customer_operators (
    operator text NOT NULL COLLATE pg_catalog."C",
    customer_id bigint NOT NULL,
    valid_from date,
    valid_to date,
    id bigint NOT NULL,
    CONSTRAINT customer_operators_check CHECK ((valid_to > valid_from)),
    CONSTRAINT customer_operators_operator_check CHECK (((operator <> ''::text) AND (operator = flightbill.clean_text(operator)))),
    CONSTRAINT customer_operators_valid_from_check CHECK (isfinite(valid_from)),
    CONSTRAINT customer_operators_valid_to_check CHECK (isfinite(valid_to))
);

ALTER TABLE flightbill.customer_operators ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME flightbill.customer_operators_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE flightbill.customers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME flightbill.customers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE SEQUENCE flightbill.river_job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE flightbill.river_job_id_seq OWNED BY flightbill.river_job.id;

CREATE TABLE flightbill.deliveries (
    id text DEFAULT ('msg_'::text || replace((gen_random_uuid())::text, '-'::text, ''::text)) NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL,
    event text NOT NULL,
    invoice_id bigint,
    closes_on date,
    webhook_id bigint,
    target text NOT NULL,
    payload json NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    last_error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    next_at timestamp with time zone DEFAULT now(),
    delivered_at timestamp with time zone,
    job_id bigint DEFAULT nextval('flightbill.river_job_id_seq'::regclass) NOT NULL,
    CONSTRAINT deliveries_check CHECK (((kind = 'webhook'::text) = (webhook_id IS NOT NULL))),
    CONSTRAINT deliveries_check1 CHECK (
CASE event
    WHEN 'run.finished'::text THEN ((invoice_id IS NULL) AND (closes_on IS NOT NULL))
    ELSE ((invoice_id IS NOT NULL) AND (closes_on IS NULL))
END),
    CONSTRAINT deliveries_check2 CHECK (((state = 'delivered'::text) = (delivered_at IS NOT NULL))),
    CONSTRAINT deliveries_check3 CHECK (((state = ANY (ARRAY['pending'::text, 'failed'::text])) = (next_at IS NOT NULL))),
    CONSTRAINT deliveries_event_check CHECK ((event = ANY (ARRAY['invoice.issued'::text, 'invoice.overdue'::text, 'invoice.paid'::text, 'invoice.voided'::text, 'run.finished'::text]))),
    CONSTRAINT deliveries_kind_check CHECK ((kind = ANY (ARRAY['webhook'::text, 'mail'::text]))),
    CONSTRAINT deliveries_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'failed'::text, 'delivered'::text, 'given_up'::text])))
);

CREATE TABLE flightbill.flight_source_outages (
    client text NOT NULL COLLATE pg_catalog."C",
    since timestamp with time zone NOT NULL,
    reason text NOT NULL,
    told_at timestamp with time zone NOT NULL
);

CREATE VIEW flightbill.queue_content AS
 SELECT flightbill.queued_flight(river_job.kind, river_job.state, river_job.args) AS flight_id,
    (river_job.state)::text AS state,
    river_job.attempt AS attempts,
        CASE
            WHEN ((river_job.metadata ? 'waiting'::text) AND (river_job.state = ANY (ARRAY['available'::flightbill.river_job_state, 'scheduled'::flightbill.river_job_state, 'running'::flightbill.river_job_state]))) THEN (river_job.metadata ->> 'said'::text)
            WHEN ((river_job.state = ANY (ARRAY['available'::flightbill.river_job_state, 'running'::flightbill.river_job_state])) AND (EXISTS ( SELECT
               FROM flightbill.flight_source_outages
              WHERE (flight_source_outages.told_at > (now() - '00:01:00'::interval))))) THEN 'the flight source cannot be read; flights wait until it is back'::text
            WHEN (array_upper(river_job.errors, 1) IS NULL) THEN NULL::text
            WHEN ((river_job.errors[array_upper(river_job.errors, 1)] ->> 'error'::text) = 'JobCancelError: job cancelled remotely'::text) THEN 'the flight was cancelled by hand'::text
            WHEN ((river_job.metadata ? 'said'::text) AND (river_job.state <> ALL (ARRAY['retryable'::flightbill.river_job_state, 'discarded'::flightbill.river_job_state]))) THEN (river_job.metadata ->> 'said'::text)
            ELSE 'something failed that should not; who looks after flightbill sees what'::text
        END AS last_error,
        CASE
            WHEN ((river_job.state = ANY (ARRAY['available'::flightbill.river_job_state, 'running'::flightbill.river_job_state])) AND (NOT (river_job.metadata ? 'waiting'::text)) AND (EXISTS ( SELECT
               FROM flightbill.flight_source_outages
              WHERE (flight_source_outages.told_at > (now() - '00:01:00'::interval))))) THEN 'source_down'::text
            WHEN (river_job.state = ANY (ARRAY['available'::flightbill.river_job_state, 'scheduled'::flightbill.river_job_state, 'running'::flightbill.river_job_state, 'cancelled'::flightbill.river_job_state])) THEN (river_job.metadata ->> 'reason'::text)
            ELSE NULL::text
        END AS reason,
    river_job.priority,
    river_job.scheduled_at AS process_after,
    river_job.created_at AS enqueued_at,
    river_job.id AS job_id,
    (river_job.metadata ->> 'enqueued_by'::text) AS enqueued_by,
        CASE
            WHEN (NOT ( SELECT flightbill.is_queue_admin() AS is_queue_admin)) THEN NULL::text
            WHEN ((river_job.metadata ? 'waiting'::text) AND (river_job.state = ANY (ARRAY['available'::flightbill.river_job_state, 'scheduled'::flightbill.river_job_state, 'running'::flightbill.river_job_state]))) THEN (river_job.metadata #>> '{waiting,reason}'::text[])
            ELSE COALESCE(
            CASE
                WHEN (river_job.state = ANY (ARRAY['available'::flightbill.river_job_state, 'running'::flightbill.river_job_state])) THEN ( SELECT flight_source_outages.reason
                   FROM flightbill.flight_source_outages
                  WHERE (flight_source_outages.told_at > (now() - '00:01:00'::interval))
                  ORDER BY flight_source_outages.since, flight_source_outages.client
                 LIMIT 1)
                ELSE NULL::text
            END, regexp_replace((river_job.errors[array_upper(river_job.errors, 1)] ->> 'error'::text), '^JobCancelError: '::text, ''::text))
        END AS details
   FROM flightbill.river_job
  WHERE (flightbill.queued_flight(river_job.kind, river_job.state, river_job.args) IS NOT NULL);

CREATE VIEW flightbill.flight_processing_queue WITH (security_barrier='true') AS
 SELECT queue_content.flight_id,
    queue_content.state,
    queue_content.attempts,
    queue_content.last_error,
    queue_content.reason,
    queue_content.priority,
    queue_content.process_after,
    queue_content.enqueued_at,
    queue_content.job_id,
    queue_content.enqueued_by,
    queue_content.details
   FROM flightbill.queue_content;

CREATE UNLOGGED TABLE flightbill.gathered_flights (
    transaction xid8 NOT NULL,
    job_ids bigint[] NOT NULL
);

CREATE TABLE flightbill.goose_db_version (
    id integer NOT NULL,
    version_id bigint NOT NULL,
    is_applied boolean NOT NULL,
    tstamp timestamp without time zone DEFAULT now() NOT NULL
);

ALTER TABLE flightbill.goose_db_version ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME flightbill.goose_db_version_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE flightbill.payments (
    id bigint NOT NULL,
    invoice_id bigint NOT NULL,
    kind text NOT NULL,
    amount numeric NOT NULL,
    paid_on date NOT NULL,
    reference text,
    bank_reference text COLLATE pg_catalog."C",
    other_id bigint,
    reverses_id bigint,
    reason text,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    recorded_by text DEFAULT SESSION_USER NOT NULL,
    CONSTRAINT payments_amount_check CHECK (((amount <> (0)::numeric) AND (abs(amount) < ('1000000000000000'::bigint)::numeric))),
    CONSTRAINT payments_bank_reference_check CHECK (((bank_reference <> ''::text) AND (char_length(bank_reference) <= 200))),
    CONSTRAINT payments_check CHECK (((kind = 'set_off'::text) = (other_id IS NOT NULL))),
    CONSTRAINT payments_check1 CHECK ((((reverses_id IS NOT NULL) OR (kind = 'rounding'::text)) = (reason IS NOT NULL))),
    CONSTRAINT payments_kind_check CHECK ((kind = ANY (ARRAY['payment'::text, 'set_off'::text, 'rounding'::text]))),
    CONSTRAINT payments_reason_check CHECK (((reason <> ''::text) AND (char_length(reason) <= 1000))),
    CONSTRAINT payments_reference_check CHECK (((reference <> ''::text) AND (char_length(reference) <= 1000)))
);

CREATE VIEW flightbill.invoice_balances AS
 SELECT i.id AS invoice_id,
    i.number,
    c.code AS customer,
    i.kind,
    i.currency,
    i.status,
    i.total,
    p.paid,
    (i.total - p.paid) AS open,
    i.due_on
   FROM ((flightbill.invoices i
     JOIN flightbill.customers c ON ((c.id = i.customer_id)))
     CROSS JOIN LATERAL ( SELECT COALESCE(sum(p_1.amount), (0)::numeric) AS paid
           FROM flightbill.payments p_1
          WHERE (p_1.invoice_id = i.id)) p)
  WHERE (i.status <> 'DRAFT'::text);

CREATE TABLE flightbill.invoice_documents (
    invoice_id bigint NOT NULL,
    format text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    bytes bytea NOT NULL,
    sha256 bytea NOT NULL,
    CONSTRAINT invoice_documents_bytes_check CHECK ((length(bytes) > 0)),
    CONSTRAINT invoice_documents_format_check CHECK ((format = ANY (ARRAY['pdf'::text, 'ubl'::text, 'cii'::text]))),
    CONSTRAINT invoice_documents_sha256_is_of_bytes CHECK ((sha256 = sha256(bytes))),
    CONSTRAINT invoice_documents_version_check CHECK ((version <> ''::text))
);
ALTER TABLE ONLY flightbill.invoice_documents ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE TABLE flightbill.invoice_events (
    id bigint NOT NULL,
    invoice_id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    from_status text,
    to_status text NOT NULL,
    note text
);

ALTER TABLE flightbill.invoice_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME flightbill.invoice_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE flightbill.invoice_taxes (
    invoice_id bigint NOT NULL,
    category text NOT NULL,
    rate numeric NOT NULL,
    base numeric NOT NULL,
    tax numeric NOT NULL,
    reason text,
    CONSTRAINT invoice_taxes_category_check CHECK ((category = ANY (ARRAY['standard'::text, 'zero'::text, 'exempt'::text, 'reverse_charge'::text, 'export'::text, 'outside'::text])))
);

ALTER TABLE flightbill.invoices ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME flightbill.invoices_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE flightbill.issuers (
    id bigint NOT NULL,
    since timestamp with time zone NOT NULL,
    name text NOT NULL,
    street text,
    city text,
    postcode text,
    subdivision text,
    country text COLLATE pg_catalog."C",
    vat_id text COLLATE pg_catalog."C",
    tax_registration text COLLATE pg_catalog."C",
    legal_id text COLLATE pg_catalog."C",
    legal_id_scheme text COLLATE pg_catalog."C",
    electronic_address text COLLATE pg_catalog."C",
    electronic_address_scheme text COLLATE pg_catalog."C",
    contact_name text,
    contact_phone text,
    contact_email text,
    mail_from text,
    iban text COLLATE pg_catalog."C",
    bic text COLLATE pg_catalog."C",
    account_name text,
    tax_currency text COLLATE pg_catalog."C",
    language text DEFAULT 'en'::text NOT NULL COLLATE pg_catalog."C",
    note text,
    logo bytea,
    CONSTRAINT issuers_account_name_check CHECK (((account_name <> ''::text) AND (char_length(account_name) <= 200))),
    CONSTRAINT issuers_bic_check CHECK ((bic ~ '^[A-Z0-9]{8}([A-Z0-9]{3})?$'::text)),
    CONSTRAINT issuers_city_check CHECK (((city <> ''::text) AND (char_length(city) <= 200))),
    CONSTRAINT issuers_contact_email_check CHECK (((contact_email ~ '@'::text) AND (char_length(contact_email) <= 254))),
    CONSTRAINT issuers_contact_name_check CHECK (((contact_name <> ''::text) AND (char_length(contact_name) <= 200))),
    CONSTRAINT issuers_contact_phone_check CHECK (((contact_phone <> ''::text) AND (char_length(contact_phone) <= 64))),
    CONSTRAINT issuers_country_check CHECK ((country ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT issuers_electronic_address_check CHECK (((electronic_address <> ''::text) AND (char_length(electronic_address) <= 254))),
    CONSTRAINT issuers_electronic_address_scheme_check CHECK ((electronic_address_scheme ~ '^([0-9]{4}|[A-Z]{2})$'::text)),
    CONSTRAINT issuers_iban_check CHECK ((iban ~ '^[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}$'::text)),
    CONSTRAINT issuers_language_check CHECK ((language = ANY (ARRAY['en'::text, 'de'::text, 'fr'::text, 'es'::text]))),
    CONSTRAINT issuers_legal_id_check CHECK (((legal_id <> ''::text) AND (char_length(legal_id) <= 64))),
    CONSTRAINT issuers_legal_id_scheme_check CHECK ((legal_id_scheme ~ '^[0-9]{4}$'::text)),
    CONSTRAINT issuers_logo_check CHECK (((octet_length(logo) >= 1) AND (octet_length(logo) <= 200000))),
    CONSTRAINT issuers_mail_from_check CHECK (((mail_from ~ '@'::text) AND (char_length(mail_from) <= 200))),
    CONSTRAINT issuers_name_check CHECK (((name <> ''::text) AND (char_length(name) <= 1000))),
    CONSTRAINT issuers_note_check CHECK (((note <> ''::text) AND (char_length(note) <= 1000))),
    CONSTRAINT issuers_postcode_check CHECK (((postcode <> ''::text) AND (char_length(postcode) <= 64))),
    CONSTRAINT issuers_street_check CHECK (((street <> ''::text) AND (char_length(street) <= 200))),
    CONSTRAINT issuers_subdivision_check CHECK (((subdivision <> ''::text) AND (char_length(subdivision) <= 200))),
    CONSTRAINT issuers_tax_currency_check CHECK ((tax_currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT issuers_tax_registration_check CHECK (((tax_registration <> ''::text) AND (char_length(tax_registration) <= 64))),
    CONSTRAINT issuers_vat_id_check CHECK ((vat_id ~ '^[A-Z]{2}[A-Z0-9+*]{2,62}$'::text))
);

ALTER TABLE flightbill.issuers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME flightbill.issuers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW flightbill.journal AS
SELECT
    NULL::text AS entry,
    NULL::date AS day,
    NULL::timestamp with time zone AS entered_at,
    NULL::text COLLATE pg_catalog."C" AS document,
    NULL::text COLLATE pg_catalog."C" AS customer,
    NULL::text AS what,
    NULL::text COLLATE pg_catalog."C" AS account,
    NULL::text COLLATE pg_catalog."C" AS code,
    NULL::text AS tax_category,
    NULL::numeric AS tax_rate,
    NULL::text COLLATE pg_catalog."C" AS currency,
    NULL::numeric AS debit,
    NULL::numeric AS credit;

CREATE TABLE flightbill.ledger_accounts (
    id bigint NOT NULL,
    what text NOT NULL,
    tax_category text,
    tax_rate numeric,
    account text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT ledger_accounts_account_check CHECK (((account <> ''::text) AND (char_length(account) <= 64))),
    CONSTRAINT ledger_accounts_check CHECK (((tax_category IS NULL) = (tax_rate IS NULL))),
    CONSTRAINT ledger_accounts_check1 CHECK (((tax_category IS NULL) OR (what = 'tax'::text))),
    CONSTRAINT ledger_accounts_tax_category_check CHECK ((tax_category = ANY (ARRAY['standard'::text, 'zero'::text, 'exempt'::text, 'reverse_charge'::text, 'export'::text, 'outside'::text]))),
    CONSTRAINT ledger_accounts_tax_rate_check CHECK (((tax_rate >= (0)::numeric) AND (tax_rate <= (1)::numeric))),
    CONSTRAINT ledger_accounts_what_check CHECK ((what = ANY (ARRAY['receivable'::text, 'revenue'::text, 'tax'::text, 'bank'::text, 'interest'::text, 'rounding'::text])))
);

ALTER TABLE flightbill.ledger_accounts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME flightbill.ledger_accounts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW flightbill.overlapping_flights AS
 WITH flown AS (
         SELECT b.flight_id,
            b.customer_id,
            (b.facts ->> 'registration'::text) AS registration,
            flightbill.code_form((b.facts ->> 'registration'::text)) AS aircraft,
            COALESCE((b.facts ->> 'movement'::text), ''::text) AS movement,
            ((b.facts ->> 'departed_at'::text))::timestamp with time zone AS departed_at,
            ((b.facts ->> 'landed_at'::text))::timestamp with time zone AS landed_at
           FROM flightbill.billed_flights b
          WHERE (((b.facts ->> 'registration'::text) <> ''::text) AND (NOT (EXISTS ( SELECT
                   FROM flightbill.voided_flights v
                  WHERE ((v.flight_id = b.flight_id) AND (v.rebilled_at IS NULL))))))
        ), ends AS (
         SELECT f_1.flight_id,
            f_1.customer_id,
            f_1.registration,
            f_1.aircraft,
            f_1.movement,
            f_1.departed_at,
            f_1.landed_at,
            f_1.landed_at AS moved_at,
            'landed'::text AS moved
           FROM flown f_1
          WHERE (f_1.movement <> 'departure'::text)
        UNION ALL
         SELECT f_1.flight_id,
            f_1.customer_id,
            f_1.registration,
            f_1.aircraft,
            f_1.movement,
            f_1.departed_at,
            f_1.landed_at,
            f_1.departed_at AS moved_at,
            'departed'::text AS moved
           FROM flown f_1
          WHERE (f_1.movement = 'departure'::text)
        UNION ALL
         SELECT f_1.flight_id,
            f_1.customer_id,
            f_1.registration,
            f_1.aircraft,
            f_1.movement,
            f_1.departed_at,
            f_1.landed_at,
            f_1.departed_at AS moved_at,
            'departed'::text AS moved
           FROM flown f_1
          WHERE ((f_1.movement = ''::text) AND (f_1.aircraft IN ( SELECT d.aircraft
                   FROM flown d
                  WHERE (d.movement = 'departure'::text))))
        ), compared AS (
         SELECT f_1.flight_id,
            f_1.customer_id,
            f_1.registration,
            f_1.aircraft,
            f_1.movement,
            f_1.departed_at,
            f_1.landed_at,
            f_1.moved_at,
            f_1.moved,
            lag(f_1.flight_id) OVER (PARTITION BY f_1.aircraft, f_1.moved, (date_trunc('minute'::text, COALESCE(f_1.moved_at, f_1.landed_at))) ORDER BY COALESCE(f_1.departed_at, f_1.landed_at), COALESCE(f_1.landed_at, f_1.departed_at), f_1.flight_id) AS same_minute,
            to_char((COALESCE(f_1.departed_at, f_1.landed_at) AT TIME ZONE 'UTC'::text), 'YYYYMMDDHH24MISSUS'::text) AS began,
            max((ARRAY[to_char((COALESCE(f_1.landed_at, f_1.departed_at) AT TIME ZONE 'UTC'::text), 'YYYYMMDDHH24MISSUS'::text), f_1.flight_id] COLLATE "C")) OVER (PARTITION BY f_1.aircraft, f_1.moved ORDER BY COALESCE(f_1.departed_at, f_1.landed_at), COALESCE(f_1.landed_at, f_1.departed_at), f_1.flight_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS last_landing
           FROM ends f_1
        ), met AS (
         SELECT DISTINCT ON (compared.flight_id) compared.flight_id,
            compared.customer_id,
            compared.registration,
            compared.aircraft,
            compared.movement,
            compared.departed_at,
            compared.landed_at,
            compared.moved_at,
            compared.moved,
            compared.same_minute,
            compared.began,
            compared.last_landing
           FROM compared
          WHERE ((compared.same_minute IS NOT NULL) OR (compared.began < compared.last_landing[1]))
          ORDER BY compared.flight_id, compared.moved DESC
        )
 SELECT f.registration,
    f.flight_id,
    c.code AS customer,
    f.departed_at,
    f.landed_at,
    o.flight_id AS other_flight_id,
    oc.code AS other_customer,
    ((o.facts ->> 'departed_at'::text))::timestamp with time zone AS other_departed_at,
    ((o.facts ->> 'landed_at'::text))::timestamp with time zone AS other_landed_at,
        CASE
            WHEN (f.same_minute IS NULL) THEN 'in_the_air'::text
            ELSE (f.moved || '_in_the_same_minute'::text)
        END AS overlap
   FROM (((met f
     JOIN flightbill.billed_flights o ON ((o.flight_id = COALESCE(f.same_minute, f.last_landing[2]))))
     JOIN flightbill.customers c ON ((c.id = f.customer_id)))
     JOIN flightbill.customers oc ON ((oc.id = o.customer_id)));

ALTER TABLE flightbill.payments ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME flightbill.payments_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE flightbill.price_book (
    singleton boolean DEFAULT true NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT price_book_singleton_check CHECK (singleton)
);

CREATE UNLOGGED TABLE flightbill.queue_promises (
    client text NOT NULL COLLATE pg_catalog."C",
    until timestamp with time zone NOT NULL
);

CREATE UNLOGGED TABLE flightbill.river_leader (
    elected_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    leader_id text NOT NULL,
    name text DEFAULT 'default'::text NOT NULL,
    CONSTRAINT leader_id_length CHECK (((char_length(leader_id) > 0) AND (char_length(leader_id) < 128))),
    CONSTRAINT name_length CHECK ((name = 'default'::text))
);

CREATE TABLE flightbill.river_migration (
    line text NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT line_length CHECK (((char_length(line) > 0) AND (char_length(line) < 128))),
    CONSTRAINT version_gte_1 CHECK ((version >= 1))
);

CREATE TABLE flightbill.river_notification (
    id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    payload text NOT NULL,
    topic text NOT NULL,
    CONSTRAINT topic_length CHECK (((length(topic) > 0) AND (length(topic) < 128)))
);

CREATE SEQUENCE flightbill.river_notification_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE flightbill.river_notification_id_seq OWNED BY flightbill.river_notification.id;

CREATE TABLE flightbill.river_queue (
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    paused_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);

ALTER TABLE flightbill.tariffs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME flightbill.tariffs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW flightbill.unmatched_codes AS
 WITH flight AS (
         SELECT ((b.facts ->> 'operator'::text) COLLATE "C") AS operator,
            ((b.facts ->> 'registration'::text) COLLATE "C") AS registration,
            ((b.facts ->> 'origin'::text) COLLATE "C") AS origin,
            ((b.facts ->> 'destination'::text) COLLATE "C") AS destination,
            b.landed_on
           FROM flightbill.billed_flights b
        UNION ALL
         SELECT f.operator,
            f.registration,
            f.origin,
            f.destination,
            ((
                CASE f.movement
                    WHEN 'departure'::text THEN f.departed_at
                    ELSE f.landed_at
                END AT TIME ZONE COALESCE(( SELECT s.timezone
                   FROM flightbill.billing_settings s), 'UTC'::text)))::date AS timezone
           FROM flightbill.flights f
          WHERE (NOT (EXISTS ( SELECT
                   FROM flightbill.billed_flights b
                  WHERE (b.flight_id = f.flight_id))))
        UNION ALL
         SELECT ((j.metadata #>> '{facts,operator}'::text[]) COLLATE "C"),
            ((j.metadata #>> '{facts,registration}'::text[]) COLLATE "C"),
            ((j.metadata #>> '{facts,origin}'::text[]) COLLATE "C"),
            ((j.metadata #>> '{facts,destination}'::text[]) COLLATE "C"),
            (((
                CASE (j.metadata #>> '{facts,movement}'::text[])
                    WHEN 'departure'::text THEN (j.metadata #>> '{facts,departed_at}'::text[])
                    ELSE (j.metadata #>> '{facts,landed_at}'::text[])
                END)::timestamp with time zone AT TIME ZONE COALESCE(( SELECT s.timezone
                   FROM flightbill.billing_settings s), 'UTC'::text)))::date AS timezone
           FROM flightbill.river_job j
          WHERE ((j.state = 'cancelled'::flightbill.river_job_state) AND (j.kind = 'ingest_flight'::text) AND (j.metadata ? 'facts'::text) AND ((j.metadata ->> 'reason'::text) = ANY (ARRAY['no_customer'::text, 'no_tariff'::text])) AND (NOT (EXISTS ( SELECT
                   FROM flightbill.billed_flights b
                  WHERE (b.flight_id = (j.args ->> 'flight_id'::text))))) AND (NOT (EXISTS ( SELECT
                   FROM flightbill.flights f
                  WHERE (f.flight_id = (j.args ->> 'flight_id'::text))))))
        ), grouped AS MATERIALIZED (
         SELECT (GROUPING(f.operator) = 1) AS is_route,
            f.operator,
            f.registration,
            f.origin,
            f.destination,
            count(*) AS flights,
            max(f.landed_on) AS last_seen
           FROM flight f
          GROUP BY GROUPING SETS ((f.operator, f.registration), (f.origin, f.destination))
        ), route AS (
         SELECT NULLIF(COALESCE(flightbill.code_form(o.airport), flightbill.code_form(g.origin)), ''::text) AS origin_form,
            NULLIF(COALESCE(flightbill.code_form(d.airport), flightbill.code_form(g.destination)), ''::text) AS destination_form,
            g.origin,
            g.destination,
            g.flights,
            g.last_seen
           FROM ((grouped g
             LEFT JOIN flightbill.airport_codes o ON ((o.form = flightbill.code_form(g.origin))))
             LEFT JOIN flightbill.airport_codes d ON ((d.form = flightbill.code_form(g.destination))))
          WHERE g.is_route
        ), party AS (
         SELECT NULLIF(flightbill.code_form(grouped.operator), ''::text) AS operator_form,
            NULLIF(flightbill.code_form(grouped.registration), ''::text) AS registration_form,
            grouped.operator,
            grouped.registration,
            grouped.flights,
            grouped.last_seen
           FROM grouped
          WHERE (NOT grouped.is_route)
        ), charged AS (
         SELECT COALESCE(flightbill.code_form(k.airport), flightbill.code_form(t.airport)) AS form,
            min(t.airport) AS code
           FROM (flightbill.tariffs t
             LEFT JOIN flightbill.airport_codes k ON ((k.form = flightbill.code_form(t.airport))))
          WHERE (t.airport IS NOT NULL)
          GROUP BY COALESCE(flightbill.code_form(k.airport), flightbill.code_form(t.airport))
        ), held_operator AS (
         SELECT DISTINCT flightbill.code_form(customer_operators.operator) AS form
           FROM flightbill.customer_operators
        ), held_registration AS (
         SELECT DISTINCT flightbill.code_form(customer_aircraft.registration) AS form
           FROM flightbill.customer_aircraft
        ), unpaid AS (
         SELECT p.operator_form,
            p.registration_form,
            p.operator,
            p.registration,
            p.flights,
            p.last_seen
           FROM party p
          WHERE ((NOT (EXISTS ( SELECT
                   FROM held_operator h
                  WHERE (h.form = p.operator_form)))) AND (NOT (EXISTS ( SELECT
                   FROM held_registration h
                  WHERE (h.form = p.registration_form)))))
        ), uncharged AS (
         SELECT r.origin_form,
            r.destination_form,
            r.origin,
            r.destination,
            r.flights,
            r.last_seen
           FROM route r
          WHERE ((EXISTS ( SELECT
                   FROM charged)) AND (NOT (EXISTS ( SELECT
                   FROM charged c
                  WHERE (c.form = r.origin_form)))) AND (NOT (EXISTS ( SELECT
                   FROM charged c
                  WHERE (c.form = r.destination_form)))))
        ), uncharged_end AS (
         SELECT uncharged.origin_form AS form,
            uncharged.origin AS code,
            uncharged.flights,
            uncharged.last_seen
           FROM uncharged
        UNION ALL
         SELECT uncharged.destination_form,
            uncharged.destination,
            uncharged.flights,
            uncharged.last_seen
           FROM uncharged
          WHERE (uncharged.destination_form IS DISTINCT FROM uncharged.origin_form)
        )
 SELECT 'flights'::text AS found_in,
    'airport'::text AS kind,
    min(uncharged_end.code) AS code,
    (sum(uncharged_end.flights))::bigint AS flights,
    max(uncharged_end.last_seen) AS last_seen
   FROM uncharged_end
  WHERE (uncharged_end.form IS NOT NULL)
  GROUP BY uncharged_end.form
UNION ALL
 SELECT 'flights'::text AS found_in,
    'operator'::text AS kind,
    min(unpaid.operator) AS code,
    (sum(unpaid.flights))::bigint AS flights,
    max(unpaid.last_seen) AS last_seen
   FROM unpaid
  WHERE (unpaid.operator_form IS NOT NULL)
  GROUP BY unpaid.operator_form
UNION ALL
 SELECT 'flights'::text AS found_in,
    'registration'::text AS kind,
    min(unpaid.registration) AS code,
    (sum(unpaid.flights))::bigint AS flights,
    max(unpaid.last_seen) AS last_seen
   FROM unpaid
  WHERE ((unpaid.operator_form IS NULL) AND (unpaid.registration_form IS NOT NULL))
  GROUP BY unpaid.registration_form
UNION ALL
 SELECT 'tariffs'::text AS found_in,
    'airport'::text AS kind,
    c.code,
    0 AS flights,
    NULL::date AS last_seen
   FROM charged c
  WHERE ((EXISTS ( SELECT
           FROM grouped)) AND (NOT (EXISTS ( SELECT
           FROM route r
          WHERE (r.origin_form = c.form)))) AND (NOT (EXISTS ( SELECT
           FROM route r
          WHERE (r.destination_form = c.form)))))
UNION ALL
 SELECT 'customers'::text AS found_in,
    'operator'::text AS kind,
    min(o.operator) AS code,
    0 AS flights,
    NULL::date AS last_seen
   FROM flightbill.customer_operators o
  WHERE ((EXISTS ( SELECT
           FROM grouped)) AND (NOT (EXISTS ( SELECT
           FROM party p
          WHERE (p.operator_form = flightbill.code_form(o.operator))))))
  GROUP BY (flightbill.code_form(o.operator))
UNION ALL
 SELECT 'customers'::text AS found_in,
    'registration'::text AS kind,
    min(a.registration) AS code,
    0 AS flights,
    NULL::date AS last_seen
   FROM flightbill.customer_aircraft a
  WHERE ((EXISTS ( SELECT
           FROM grouped)) AND (NOT (EXISTS ( SELECT
           FROM party p
          WHERE (p.registration_form = flightbill.code_form(a.registration))))))
  GROUP BY (flightbill.code_form(a.registration));

CREATE TABLE flightbill.webhook_secrets (
    webhook_id bigint NOT NULL,
    secret text NOT NULL COLLATE pg_catalog."C",
    until timestamp with time zone,
    CONSTRAINT webhook_secrets_secret_check CHECK ((secret ~ '^whsec_[A-Za-z0-9+/]{32,}={0,2}$'::text))
);

CREATE TABLE flightbill.webhooks (
    id bigint NOT NULL,
    url text NOT NULL COLLATE pg_catalog."C",
    target text GENERATED ALWAYS AS (regexp_replace(regexp_replace(url, '^(https?://)[^/?#]*@'::text, '\1'::text), '[?#].*$'::text, ''::text)) STORED NOT NULL COLLATE pg_catalog."C",
    events text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    stopped_at timestamp with time zone,
    stopped_reason text,
    removed_at timestamp with time zone,
    active boolean GENERATED ALWAYS AS (((stopped_at IS NULL) AND (removed_at IS NULL))) STORED NOT NULL,
    CONSTRAINT webhooks_check CHECK (((stopped_at IS NULL) = (stopped_reason IS NULL))),
    CONSTRAINT webhooks_events_check CHECK (((events <> '{}'::text[]) AND (events <@ '{invoice.issued,invoice.overdue,invoice.paid,invoice.voided,run.finished}'::text[]) AND (array_position(events, NULL::text) IS NULL))),
    CONSTRAINT webhooks_url_check CHECK (((url ~ '^https?://[!-~]+$'::text) AND (char_length(url) <= 2000)))
);

ALTER TABLE flightbill.webhooks ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME flightbill.webhooks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY flightbill.flight_processing_queue ALTER COLUMN job_id SET DEFAULT 
CASE
    WHEN (current_setting('session_replication_role'::text) = 'replica'::text) THEN flightbill.refuse_replica()
    ELSE NULL::bigint
END;

ALTER TABLE ONLY flightbill.river_job ALTER COLUMN id SET DEFAULT nextval('flightbill.river_job_id_seq'::regclass);

ALTER TABLE ONLY flightbill.river_notification ALTER COLUMN id SET DEFAULT nextval('flightbill.river_notification_id_seq'::regclass);

ALTER TABLE ONLY flightbill.aircraft
    ADD CONSTRAINT aircraft_have_one_declaration EXCLUDE USING gist (flightbill.code_form(registration) WITH =, daterange(valid_from, valid_to) WITH &&) DEFERRABLE;

ALTER TABLE ONLY flightbill.aircraft
    ADD CONSTRAINT aircraft_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.aircraft_types
    ADD CONSTRAINT aircraft_types_pkey PRIMARY KEY (aircraft_type);

ALTER TABLE ONLY flightbill.airport_codes
    ADD CONSTRAINT airport_codes_pkey PRIMARY KEY (form);

ALTER TABLE ONLY flightbill.airports
    ADD CONSTRAINT airports_pkey PRIMARY KEY (code);

ALTER TABLE ONLY flightbill.bank_entries
    ADD CONSTRAINT bank_entries_bank_reference_account_booked_on_amount_curren_key UNIQUE (bank_reference, account, booked_on, amount, currency, nth);

ALTER TABLE ONLY flightbill.bank_entries
    ADD CONSTRAINT bank_entries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.billed_flights
    ADD CONSTRAINT billed_flights_pkey PRIMARY KEY (flight_id);

ALTER TABLE ONLY flightbill.billing_run_lock
    ADD CONSTRAINT billing_run_lock_pkey PRIMARY KEY (never);

ALTER TABLE ONLY flightbill.billing_runs
    ADD CONSTRAINT billing_runs_pkey PRIMARY KEY (closes_on);

ALTER TABLE ONLY flightbill.billing_settings
    ADD CONSTRAINT billing_settings_pkey PRIMARY KEY (singleton);

ALTER TABLE ONLY flightbill.changed_tariffs
    ADD CONSTRAINT changed_tariffs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.charges
    ADD CONSTRAINT charges_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.currency_rates
    ADD CONSTRAINT currency_rates_pkey PRIMARY KEY (currency, in_currency, day);

ALTER TABLE ONLY flightbill.customer_aircraft
    ADD CONSTRAINT customer_aircraft_have_one_customer EXCLUDE USING gist (flightbill.code_form(registration) WITH =, daterange(valid_from, valid_to) WITH &&);

ALTER TABLE ONLY flightbill.customer_aircraft
    ADD CONSTRAINT customer_aircraft_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.customer_operators
    ADD CONSTRAINT customer_operators_have_one_customer EXCLUDE USING gist (flightbill.code_form(operator) WITH =, daterange(valid_from, valid_to) WITH &&);

ALTER TABLE ONLY flightbill.customer_operators
    ADD CONSTRAINT customer_operators_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.customers
    ADD CONSTRAINT customers_code_key UNIQUE (code);

ALTER TABLE ONLY flightbill.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.flight_source_outages
    ADD CONSTRAINT flight_source_outages_pkey PRIMARY KEY (client);

ALTER TABLE ONLY flightbill.flights
    ADD CONSTRAINT flights_pkey PRIMARY KEY (flight_id);

ALTER TABLE ONLY flightbill.gathered_flights
    ADD CONSTRAINT gathered_flights_pkey PRIMARY KEY (transaction);

ALTER TABLE ONLY flightbill.goose_db_version
    ADD CONSTRAINT goose_db_version_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.invoice_documents
    ADD CONSTRAINT invoice_documents_pkey PRIMARY KEY (invoice_id, format);

ALTER TABLE ONLY flightbill.invoice_events
    ADD CONSTRAINT invoice_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.invoice_taxes
    ADD CONSTRAINT invoice_taxes_pkey PRIMARY KEY (invoice_id, category, rate);

ALTER TABLE ONLY flightbill.invoices
    ADD CONSTRAINT invoices_number_key UNIQUE (number);

ALTER TABLE ONLY flightbill.invoices
    ADD CONSTRAINT invoices_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.issuers
    ADD CONSTRAINT issuers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.ledger_accounts
    ADD CONSTRAINT ledger_accounts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.ledger_accounts
    ADD CONSTRAINT ledger_accounts_what_tax_category_tax_rate_key UNIQUE NULLS NOT DISTINCT (what, tax_category, tax_rate);

ALTER TABLE ONLY flightbill.payments
    ADD CONSTRAINT payments_bank_reference_key UNIQUE (bank_reference);

ALTER TABLE ONLY flightbill.payments
    ADD CONSTRAINT payments_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.payments
    ADD CONSTRAINT payments_reverses_id_key UNIQUE (reverses_id);

ALTER TABLE ONLY flightbill.price_book
    ADD CONSTRAINT price_book_pkey PRIMARY KEY (singleton);

ALTER TABLE ONLY flightbill.queue_promises
    ADD CONSTRAINT queue_promises_pkey PRIMARY KEY (client);

ALTER TABLE ONLY flightbill.river_job
    ADD CONSTRAINT river_job_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.river_leader
    ADD CONSTRAINT river_leader_pkey PRIMARY KEY (name);

ALTER TABLE ONLY flightbill.river_migration
    ADD CONSTRAINT river_migration_pkey1 PRIMARY KEY (line, version);

ALTER TABLE ONLY flightbill.river_notification
    ADD CONSTRAINT river_notification_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.river_queue
    ADD CONSTRAINT river_queue_pkey PRIMARY KEY (name);

ALTER TABLE ONLY flightbill.tariffs
    ADD CONSTRAINT tariffs_key UNIQUE NULLS NOT DISTINCT (code, customer_id, airport, applies_to, "when", during, band_of, band_from, band_to, valid_from);

ALTER TABLE ONLY flightbill.tariffs
    ADD CONSTRAINT tariffs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY flightbill.voided_flights
    ADD CONSTRAINT voided_flights_pkey PRIMARY KEY (flight_id, credit_note_id);

ALTER TABLE ONLY flightbill.webhook_secrets
    ADD CONSTRAINT webhook_secrets_pkey PRIMARY KEY (webhook_id, secret);

ALTER TABLE ONLY flightbill.webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (id);

CREATE INDEX aircraft_form_idx ON flightbill.aircraft USING btree (flightbill.code_form(registration));

CREATE UNIQUE INDEX aircraft_types_form_idx ON flightbill.aircraft_types USING btree (flightbill.code_form(aircraft_type));

CREATE INDEX airport_codes_airport_idx ON flightbill.airport_codes USING btree (airport);

CREATE INDEX bank_entries_unmatched_idx ON flightbill.bank_entries USING btree (booked_on, id) WHERE (state = 'unmatched'::text);

CREATE INDEX billing_runs_unfinished_idx ON flightbill.billing_runs USING btree (closes_on) WHERE (finished_at IS NULL);

CREATE INDEX charges_flight_idx ON flightbill.charges USING btree (flight_id);

CREATE UNIQUE INDEX charges_interest_once ON flightbill.charges USING btree (interest_on, interest_through) WHERE ((interest_on IS NOT NULL) AND (amount > (0)::numeric));

CREATE INDEX charges_invoice_idx ON flightbill.charges USING btree (invoice_id);

CREATE INDEX customer_aircraft_customer_idx ON flightbill.customer_aircraft USING btree (customer_id);

CREATE INDEX customer_aircraft_form_idx ON flightbill.customer_aircraft USING btree (flightbill.code_form(registration));

CREATE INDEX customer_operators_customer_idx ON flightbill.customer_operators USING btree (customer_id);

CREATE INDEX customer_operators_form_idx ON flightbill.customer_operators USING btree (flightbill.code_form(operator));

CREATE UNIQUE INDEX customers_code_once_in_any_case ON flightbill.customers USING btree (upper(code));

CREATE INDEX deliveries_created_idx ON flightbill.deliveries USING btree (created_at, id);

CREATE INDEX deliveries_invoice_idx ON flightbill.deliveries USING btree (invoice_id) WHERE (invoice_id IS NOT NULL);

CREATE INDEX deliveries_open_idx ON flightbill.deliveries USING btree (state, kind) WHERE (state <> 'delivered'::text);

CREATE INDEX invoice_events_invoice_idx ON flightbill.invoice_events USING btree (invoice_id);

CREATE INDEX invoices_draft_closing_idx ON flightbill.invoices USING btree (closes_on) WHERE (status = 'DRAFT'::text);

CREATE INDEX invoices_drafts_idx ON flightbill.invoices USING btree (customer_id, closes_on) WHERE (status = 'DRAFT'::text);

CREATE UNIQUE INDEX invoices_one_per_period ON flightbill.invoices USING btree (customer_id, currency, closes_on, outside_scope) WHERE ((closes_on IS NOT NULL) AND (status <> 'VOID'::text));

CREATE INDEX invoices_unpaid_idx ON flightbill.invoices USING btree (due_on, id) WHERE ((status = 'PENDING'::text) AND (total > (0)::numeric) AND (kind <> 'credit_note'::text));

CREATE UNIQUE INDEX invoices_voided_once ON flightbill.invoices USING btree (credits_invoice_id) WHERE (credits_invoice_id IS NOT NULL);

CREATE INDEX payments_invoice_idx ON flightbill.payments USING btree (invoice_id, id);

CREATE INDEX queue_promises_until_idx ON flightbill.queue_promises USING btree (until);

CREATE INDEX river_job_flight_idx ON flightbill.river_job USING btree ((
CASE
    WHEN ((kind = 'ingest_flight'::text) AND (state <> 'completed'::flightbill.river_job_state)) THEN (args ->> 'flight_id'::text)
    ELSE NULL::text
END)) WHERE (
CASE
    WHEN ((kind = 'ingest_flight'::text) AND (state <> 'completed'::flightbill.river_job_state)) THEN (args ->> 'flight_id'::text)
    ELSE NULL::text
END IS NOT NULL);

CREATE INDEX river_job_kind ON flightbill.river_job USING btree (kind) WHERE (kind <> 'ingest_flight'::text);

CREATE INDEX river_job_prioritized_fetching_index ON flightbill.river_job USING btree (state, queue, priority, scheduled_at, id);

CREATE INDEX river_job_state_and_finalized_at_index ON flightbill.river_job USING btree (state, finalized_at) WHERE (finalized_at IS NOT NULL);

CREATE INDEX river_job_stray_flight_idx ON flightbill.river_job USING btree (id) WHERE ((kind = 'ingest_flight'::text) AND (queue <> 'flights'::text) AND (state = ANY (ARRAY['available'::flightbill.river_job_state, 'retryable'::flightbill.river_job_state, 'scheduled'::flightbill.river_job_state])));

CREATE UNIQUE INDEX river_job_unique_idx ON flightbill.river_job USING btree (unique_key) WHERE ((unique_key IS NOT NULL) AND (unique_states IS NOT NULL) AND flightbill.river_job_state_in_bitmask(unique_states, state));

CREATE INDEX river_notification_created_at_idx ON flightbill.river_notification USING btree (created_at);

CREATE INDEX river_notification_topic_id_idx ON flightbill.river_notification USING btree (topic, id);

CREATE INDEX tariffs_code_form_idx ON flightbill.tariffs USING btree (flightbill.code_form(code));

CREATE INDEX voided_flights_credit_note_idx ON flightbill.voided_flights USING btree (credit_note_id);

CREATE INDEX voided_flights_open_idx ON flightbill.voided_flights USING btree (flight_id) WHERE (rebilled_at IS NULL);

CREATE UNIQUE INDEX webhook_secrets_one_current ON flightbill.webhook_secrets USING btree (webhook_id) WHERE (until IS NULL);

CREATE OR REPLACE VIEW flightbill.journal AS
 SELECT l.entry,
    l.day,
    l.entered_at,
    l.document,
    c.code AS customer,
    l.what,
    COALESCE(l.account, t.account, a.account) AS account,
    l.code,
    l.tax_category,
    l.tax_rate,
    l.currency,
    GREATEST(l.amount, (0)::numeric) AS debit,
    GREATEST((- l.amount), (0)::numeric) AS credit
   FROM (((( SELECT ('invoice '::text || i.id) AS entry,
            i.issued_on AS day,
            i.issued_at AS entered_at,
            i.number AS document,
            i.customer_id,
            'receivable'::text AS what,
            (NULL::text COLLATE "C") AS account,
            (NULL::text COLLATE "C") AS code,
            NULL::text AS tax_category,
            NULL::numeric AS tax_rate,
            i.currency,
            i.total AS amount
           FROM flightbill.invoices i
          WHERE (i.status <> 'DRAFT'::text)
        UNION ALL
         SELECT ('invoice '::text || i.id) AS entry,
            i.issued_on AS day,
            i.issued_at AS entered_at,
            i.number AS document,
            i.customer_id,
                CASE
                    WHEN (h.flight_id IS NULL) THEN 'interest'::text
                    ELSE 'revenue'::text
                END AS what,
            h.account,
            h.code,
            NULL::text AS tax_category,
            NULL::numeric AS tax_rate,
            i.currency,
            (- sum(h.amount)) AS amount
           FROM (flightbill.invoices i
             JOIN flightbill.charges h ON ((h.invoice_id = i.id)))
          WHERE (i.status <> 'DRAFT'::text)
          GROUP BY i.id, (h.flight_id IS NULL), h.account, h.code
        UNION ALL
         SELECT ('invoice '::text || i.id) AS entry,
            i.issued_on AS day,
            i.issued_at AS entered_at,
            i.number AS document,
            i.customer_id,
            'tax'::text AS what,
            (NULL::text COLLATE "C") AS account,
            (NULL::text COLLATE "C") AS code,
            x.category AS tax_category,
            x.rate AS tax_rate,
            i.currency,
            (- x.tax) AS amount
           FROM (flightbill.invoices i
             JOIN flightbill.invoice_taxes x ON ((x.invoice_id = i.id)))
          WHERE (i.status <> 'DRAFT'::text)
        UNION ALL
         SELECT ('payment '::text || p.id) AS entry,
            p.paid_on AS day,
            p.recorded_at AS entered_at,
            i.number AS document,
            i.customer_id,
            side.what,
            (NULL::text COLLATE "C") AS account,
            (NULL::text COLLATE "C") AS code,
            NULL::text AS tax_category,
            NULL::numeric AS tax_rate,
            i.currency,
            side.amount
           FROM ((flightbill.payments p
             JOIN flightbill.invoices i ON ((i.id = p.invoice_id)))
             CROSS JOIN LATERAL ( VALUES (
                        CASE p.kind
                            WHEN 'payment'::text THEN 'bank'::text
                            ELSE 'rounding'::text
                        END,p.amount), ('receivable'::text,(- p.amount))) side(what, amount))
          WHERE (p.kind <> 'set_off'::text)
        UNION ALL
         SELECT ('payment '::text || p.id) AS entry,
            p.paid_on AS day,
            p.recorded_at AS entered_at,
            i.number AS document,
            i.customer_id,
            'receivable'::text AS what,
            (NULL::text COLLATE "C") AS account,
            (NULL::text COLLATE "C") AS code,
            NULL::text AS tax_category,
            NULL::numeric AS tax_rate,
            i.currency,
            side.amount
           FROM ((flightbill.payments p
             CROSS JOIN LATERAL ( VALUES (p.invoice_id,(- p.amount)), (p.other_id,p.amount)) side(invoice_id, amount))
             JOIN flightbill.invoices i ON ((i.id = side.invoice_id)))
          WHERE ((p.kind = 'set_off'::text) AND (p.amount > (0)::numeric))) l
     JOIN flightbill.customers c ON ((c.id = l.customer_id)))
     LEFT JOIN flightbill.ledger_accounts a ON (((a.what = l.what) AND (a.tax_category IS NULL))))
     LEFT JOIN flightbill.ledger_accounts t ON (((t.what = l.what) AND (t.tax_category = l.tax_category) AND (t.tax_rate = l.tax_rate))))
  WHERE (l.amount <> (0)::numeric);

CREATE TRIGGER airports_have_codes_delete AFTER DELETE ON flightbill.airports REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.airports_have_codes();

CREATE TRIGGER airports_have_codes_insert AFTER INSERT ON flightbill.airports REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.airports_have_codes();

CREATE TRIGGER airports_have_codes_truncate AFTER TRUNCATE ON flightbill.airports FOR EACH STATEMENT EXECUTE FUNCTION flightbill.airports_have_codes();

CREATE TRIGGER airports_have_codes_update AFTER UPDATE ON flightbill.airports REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.airports_have_codes();

CREATE CONSTRAINT TRIGGER commit AFTER INSERT ON flightbill.gathered_flights DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION flightbill.gathered_flights_commit();

CREATE TRIGGER complete_when_billed BEFORE UPDATE OF state ON flightbill.river_job FOR EACH ROW WHEN (((new.state = 'completed'::flightbill.river_job_state) AND (old.state = 'running'::flightbill.river_job_state) AND (new.kind = 'ingest_flight'::text) AND (current_setting('flightbill.completes'::text, true) IS DISTINCT FROM 'billed'::text))) EXECUTE FUNCTION flightbill.flight_jobs_complete_when_billed();

CREATE TRIGGER enqueue INSTEAD OF INSERT ON flightbill.flight_processing_queue FOR EACH ROW EXECUTE FUNCTION flightbill.flight_processing_queue_insert();

CREATE TRIGGER finish AFTER INSERT ON flightbill.flight_processing_queue FOR EACH STATEMENT EXECUTE FUNCTION flightbill.flight_processing_queue_finish();

CREATE TRIGGER join_drafts_only AFTER INSERT ON flightbill.charges REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.charges_join_drafts_only();

ALTER TABLE flightbill.charges ENABLE ALWAYS TRIGGER join_drafts_only;

CREATE TRIGGER keep_numbers BEFORE UPDATE OF code, invoice_seq, credit_note_seq ON flightbill.customers FOR EACH ROW WHEN (((old.code <> new.code) OR (new.invoice_seq < old.invoice_seq) OR (new.credit_note_seq < old.credit_note_seq))) EXECUTE FUNCTION flightbill.customers_keep_numbers();

ALTER TABLE flightbill.customers ENABLE ALWAYS TRIGGER keep_numbers;

CREATE TRIGGER make_totals AFTER INSERT ON flightbill.invoice_taxes REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.invoice_taxes_make_totals();

ALTER TABLE flightbill.invoice_taxes ENABLE ALWAYS TRIGGER make_totals;

CREATE TRIGGER only_forward BEFORE INSERT OR DELETE OR UPDATE OF closes_on ON flightbill.billing_runs FOR EACH ROW EXECUTE FUNCTION flightbill.billing_runs_only_forward();

ALTER TABLE flightbill.billing_runs ENABLE ALWAYS TRIGGER only_forward;

CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON flightbill.aircraft FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.aircraft ENABLE ALWAYS TRIGGER price_book_changed;

CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON flightbill.aircraft_types FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.aircraft_types ENABLE ALWAYS TRIGGER price_book_changed;

CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON flightbill.airports FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.airports ENABLE ALWAYS TRIGGER price_book_changed;

CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON flightbill.billing_settings FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.billing_settings ENABLE ALWAYS TRIGGER price_book_changed;

CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON flightbill.customer_aircraft FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.customer_aircraft ENABLE ALWAYS TRIGGER price_book_changed;

CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON flightbill.customer_operators FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.customer_operators ENABLE ALWAYS TRIGGER price_book_changed;

CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR UPDATE OF code, name, billing_frequency, week_ends_on OR TRUNCATE ON flightbill.customers FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.customers ENABLE ALWAYS TRIGGER price_book_changed;

CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON flightbill.tariffs FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.tariffs ENABLE ALWAYS TRIGGER price_book_changed;

CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE ON flightbill.aircraft FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.aircraft ENABLE REPLICA TRIGGER price_book_changed_by_replica;

CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE ON flightbill.aircraft_types FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.aircraft_types ENABLE REPLICA TRIGGER price_book_changed_by_replica;

CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE ON flightbill.airports FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.airports ENABLE REPLICA TRIGGER price_book_changed_by_replica;

CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE ON flightbill.billing_settings FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.billing_settings ENABLE REPLICA TRIGGER price_book_changed_by_replica;

CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE ON flightbill.customer_aircraft FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.customer_aircraft ENABLE REPLICA TRIGGER price_book_changed_by_replica;

CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE ON flightbill.customer_operators FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.customer_operators ENABLE REPLICA TRIGGER price_book_changed_by_replica;

CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE ON flightbill.customers FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.customers ENABLE REPLICA TRIGGER price_book_changed_by_replica;

CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE ON flightbill.tariffs FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();

ALTER TABLE flightbill.tariffs ENABLE REPLICA TRIGGER price_book_changed_by_replica;

CREATE TRIGGER record_change AFTER UPDATE ON flightbill.invoices REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.invoices_record_event();

CREATE TRIGGER record_opening AFTER INSERT ON flightbill.invoices REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.invoices_record_event();

CREATE TRIGGER refuse_change INSTEAD OF UPDATE ON flightbill.flight_processing_queue FOR EACH ROW EXECUTE FUNCTION flightbill.flight_processing_queue_update();

CREATE TRIGGER refuse_removal BEFORE DELETE OR UPDATE OF flight_id ON flightbill.billed_flights FOR EACH ROW EXECUTE FUNCTION flightbill.refuse_removal();

ALTER TABLE flightbill.billed_flights ENABLE ALWAYS TRIGGER refuse_removal;

CREATE TRIGGER refuse_removal BEFORE DELETE OR UPDATE ON flightbill.invoice_taxes FOR EACH ROW EXECUTE FUNCTION flightbill.refuse_removal();

ALTER TABLE flightbill.invoice_taxes ENABLE ALWAYS TRIGGER refuse_removal;

CREATE TRIGGER refuse_removal BEFORE DELETE OR UPDATE OF flight_id, credit_note_id ON flightbill.voided_flights FOR EACH ROW EXECUTE FUNCTION flightbill.refuse_removal();

ALTER TABLE flightbill.voided_flights ENABLE ALWAYS TRIGGER refuse_removal;

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.bank_entries FOR EACH STATEMENT EXECUTE FUNCTION flightbill.bank_entries_stay();

ALTER TABLE flightbill.bank_entries ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.billed_flights FOR EACH STATEMENT EXECUTE FUNCTION flightbill.refuse_removal();

ALTER TABLE flightbill.billed_flights ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.billing_runs FOR EACH STATEMENT EXECUTE FUNCTION flightbill.billing_runs_only_forward();

ALTER TABLE flightbill.billing_runs ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.charges FOR EACH STATEMENT EXECUTE FUNCTION flightbill.refuse_removal();

ALTER TABLE flightbill.charges ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.deliveries FOR EACH STATEMENT EXECUTE FUNCTION flightbill.deliveries_stay();

ALTER TABLE flightbill.deliveries ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.invoice_documents FOR EACH STATEMENT EXECUTE FUNCTION flightbill.refuse_removal();

ALTER TABLE flightbill.invoice_documents ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.invoice_taxes FOR EACH STATEMENT EXECUTE FUNCTION flightbill.refuse_removal();

ALTER TABLE flightbill.invoice_taxes ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.invoices FOR EACH STATEMENT EXECUTE FUNCTION flightbill.refuse_removal();

ALTER TABLE flightbill.invoices ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.issuers FOR EACH STATEMENT EXECUTE FUNCTION flightbill.issuers_stay();

ALTER TABLE flightbill.issuers ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.payments FOR EACH STATEMENT EXECUTE FUNCTION flightbill.payments_stay();

ALTER TABLE flightbill.payments ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.voided_flights FOR EACH STATEMENT EXECUTE FUNCTION flightbill.refuse_removal();

ALTER TABLE flightbill.voided_flights ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER stay BEFORE DELETE OR UPDATE OF id, account, bank_reference, booked_on, amount, currency, nth, value_on, text, payer, numbers, file, imported_at, imported_by ON flightbill.bank_entries FOR EACH ROW EXECUTE FUNCTION flightbill.bank_entries_stay();

ALTER TABLE flightbill.bank_entries ENABLE ALWAYS TRIGGER stay;

CREATE TRIGGER stay BEFORE DELETE OR UPDATE OF id, kind, event, invoice_id, closes_on, webhook_id, target, payload, created_at ON flightbill.deliveries FOR EACH ROW EXECUTE FUNCTION flightbill.deliveries_stay();

ALTER TABLE flightbill.deliveries ENABLE ALWAYS TRIGGER stay;

CREATE TRIGGER stay BEFORE DELETE OR UPDATE ON flightbill.issuers FOR EACH ROW EXECUTE FUNCTION flightbill.issuers_stay();

ALTER TABLE flightbill.issuers ENABLE ALWAYS TRIGGER stay;

CREATE TRIGGER stay BEFORE DELETE OR UPDATE ON flightbill.payments FOR EACH ROW EXECUTE FUNCTION flightbill.payments_stay();

ALTER TABLE flightbill.payments ENABLE ALWAYS TRIGGER stay;

CREATE TRIGGER stay_as_given BEFORE DELETE OR UPDATE ON flightbill.invoice_documents FOR EACH ROW EXECUTE FUNCTION flightbill.documents_stay_as_given();

ALTER TABLE flightbill.invoice_documents ENABLE ALWAYS TRIGGER stay_as_given;

CREATE TRIGGER stay_as_issued BEFORE DELETE OR UPDATE ON flightbill.charges FOR EACH ROW EXECUTE FUNCTION flightbill.charges_stay_as_issued();

ALTER TABLE flightbill.charges ENABLE ALWAYS TRIGGER stay_as_issued;

CREATE TRIGGER stay_as_issued BEFORE UPDATE ON flightbill.invoices FOR EACH ROW WHEN (((old.status <> 'DRAFT'::text) OR (new.status <> ALL (ARRAY['DRAFT'::text, 'PENDING'::text])))) EXECUTE FUNCTION flightbill.invoices_stay_as_issued();

ALTER TABLE flightbill.invoices ENABLE ALWAYS TRIGGER stay_as_issued;

CREATE TRIGGER stay_when_issued BEFORE DELETE ON flightbill.invoices FOR EACH ROW WHEN ((old.status <> 'DRAFT'::text)) EXECUTE FUNCTION flightbill.invoices_stay_as_issued();

ALTER TABLE flightbill.invoices ENABLE ALWAYS TRIGGER stay_when_issued;

CREATE TRIGGER take_back INSTEAD OF DELETE ON flightbill.flight_processing_queue FOR EACH ROW EXECUTE FUNCTION flightbill.flight_processing_queue_delete();

CREATE TRIGGER tariffs_changed AFTER INSERT ON flightbill.airport_codes REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.tariffs_changed();

CREATE TRIGGER tariffs_changed_insert AFTER INSERT ON flightbill.tariffs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.tariffs_changed();

CREATE TRIGGER tariffs_changed_update AFTER UPDATE ON flightbill.tariffs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.tariffs_changed();

CREATE CONSTRAINT TRIGGER tariffs_do_not_overlap AFTER INSERT ON flightbill.changed_tariffs DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION flightbill.tariffs_do_not_overlap();

CREATE TRIGGER tell AFTER UPDATE ON flightbill.billing_runs FOR EACH ROW WHEN (((old.finished_at IS NULL) AND (new.finished_at IS NOT NULL))) EXECUTE FUNCTION flightbill.billing_runs_tell();

CREATE TRIGGER tell AFTER UPDATE ON flightbill.invoices REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION flightbill.invoices_tell();

ALTER TABLE ONLY flightbill.billed_flights
    ADD CONSTRAINT billed_flights_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES flightbill.customers(id);

ALTER TABLE ONLY flightbill.charges
    ADD CONSTRAINT charges_flight_id_fkey FOREIGN KEY (flight_id) REFERENCES flightbill.billed_flights(flight_id);

ALTER TABLE ONLY flightbill.charges
    ADD CONSTRAINT charges_interest_on_fkey FOREIGN KEY (interest_on) REFERENCES flightbill.invoices(id);

ALTER TABLE ONLY flightbill.charges
    ADD CONSTRAINT charges_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES flightbill.invoices(id);

ALTER TABLE ONLY flightbill.charges
    ADD CONSTRAINT charges_tariff_id_fkey FOREIGN KEY (tariff_id) REFERENCES flightbill.tariffs(id);

ALTER TABLE ONLY flightbill.customer_aircraft
    ADD CONSTRAINT customer_aircraft_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES flightbill.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY flightbill.customer_operators
    ADD CONSTRAINT customer_operators_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES flightbill.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY flightbill.deliveries
    ADD CONSTRAINT deliveries_closes_on_fkey FOREIGN KEY (closes_on) REFERENCES flightbill.billing_runs(closes_on);

ALTER TABLE ONLY flightbill.deliveries
    ADD CONSTRAINT deliveries_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES flightbill.invoices(id);

ALTER TABLE ONLY flightbill.deliveries
    ADD CONSTRAINT deliveries_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES flightbill.webhooks(id);

ALTER TABLE ONLY flightbill.invoice_documents
    ADD CONSTRAINT invoice_documents_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES flightbill.invoices(id);

ALTER TABLE ONLY flightbill.invoice_events
    ADD CONSTRAINT invoice_events_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES flightbill.invoices(id) ON DELETE CASCADE;

ALTER TABLE ONLY flightbill.invoice_taxes
    ADD CONSTRAINT invoice_taxes_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES flightbill.invoices(id);

ALTER TABLE ONLY flightbill.invoices
    ADD CONSTRAINT invoices_credits_invoice_id_fkey FOREIGN KEY (credits_invoice_id) REFERENCES flightbill.invoices(id);

ALTER TABLE ONLY flightbill.invoices
    ADD CONSTRAINT invoices_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES flightbill.customers(id);

ALTER TABLE ONLY flightbill.invoices
    ADD CONSTRAINT invoices_issuer_id_fkey FOREIGN KEY (issuer_id) REFERENCES flightbill.issuers(id);

ALTER TABLE ONLY flightbill.payments
    ADD CONSTRAINT payments_invoice_id_fkey FOREIGN KEY (invoice_id) REFERENCES flightbill.invoices(id);

ALTER TABLE ONLY flightbill.payments
    ADD CONSTRAINT payments_other_id_fkey FOREIGN KEY (other_id) REFERENCES flightbill.invoices(id);

ALTER TABLE ONLY flightbill.payments
    ADD CONSTRAINT payments_reverses_id_fkey FOREIGN KEY (reverses_id) REFERENCES flightbill.payments(id);

ALTER TABLE ONLY flightbill.tariffs
    ADD CONSTRAINT tariffs_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES flightbill.customers(id);

ALTER TABLE ONLY flightbill.voided_flights
    ADD CONSTRAINT voided_flights_credit_note_id_fkey FOREIGN KEY (credit_note_id) REFERENCES flightbill.invoices(id);

ALTER TABLE ONLY flightbill.voided_flights
    ADD CONSTRAINT voided_flights_flight_id_fkey FOREIGN KEY (flight_id) REFERENCES flightbill.billed_flights(flight_id);

ALTER TABLE ONLY flightbill.webhook_secrets
    ADD CONSTRAINT webhook_secrets_webhook_id_fkey FOREIGN KEY (webhook_id) REFERENCES flightbill.webhooks(id);

GRANT USAGE ON SCHEMA flightbill TO flightbill_enqueuer;
GRANT USAGE ON SCHEMA flightbill TO flightbill_queue_admin;
GRANT USAGE ON SCHEMA flightbill TO flightbill_server;
GRANT USAGE ON SCHEMA flightbill TO flightbill_reporter;
GRANT USAGE ON SCHEMA flightbill TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.add_bank_entries(file text, entries jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.add_bank_entries(file text, entries jsonb) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.adjust_flight(job_client text, job_id bigint, job_attempt smallint, job_attempted_at timestamp with time zone, price_book_version bigint, cutoff date, flight_id text, revision integer, customer_id bigint, landed_on date, facts jsonb, declared jsonb, origin text, at timestamp with time zone, today date, lines jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.adjust_flight(job_client text, job_id bigint, job_attempt smallint, job_attempted_at timestamp with time zone, price_book_version bigint, cutoff date, flight_id text, revision integer, customer_id bigint, landed_on date, facts jsonb, declared jsonb, origin text, at timestamp with time zone, today date, lines jsonb) TO flightbill_server;
GRANT ALL ON FUNCTION flightbill.adjust_flight(job_client text, job_id bigint, job_attempt smallint, job_attempted_at timestamp with time zone, price_book_version bigint, cutoff date, flight_id text, revision integer, customer_id bigint, landed_on date, facts jsonb, declared jsonb, origin text, at timestamp with time zone, today date, lines jsonb) TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.airport_codes TO flightbill_server;
GRANT SELECT ON TABLE flightbill.airport_codes TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.airport_codes TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.airport_form(code text) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.airport_form(code text) TO flightbill_server;
GRANT ALL ON FUNCTION flightbill.airport_form(code text) TO flightbill_reporter;
GRANT ALL ON FUNCTION flightbill.airport_form(code text) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.airports_have_codes() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.announce_flights() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.bank_entries_stay() FROM PUBLIC;

GRANT SELECT ON TABLE flightbill.bank_entries TO flightbill_server;
GRANT SELECT ON TABLE flightbill.bank_entries TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.bank_entries TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.bank_entry_left(entry flightbill.bank_entries) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.bank_entry_reference(entry flightbill.bank_entries, nth integer) FROM PUBLIC;

GRANT SELECT ON TABLE flightbill.customers TO flightbill_server;
GRANT SELECT ON TABLE flightbill.customers TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.customers TO flightbill_accountant;

GRANT INSERT(code) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT INSERT(name),UPDATE(name) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT INSERT(billing_frequency),UPDATE(billing_frequency) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT INSERT(week_ends_on),UPDATE(week_ends_on) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(payment_terms_days) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(billing_hold) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(held_through) ON TABLE flightbill.customers TO flightbill_server;

GRANT UPDATE(legal_name) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(street) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(city) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(postcode) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(subdivision) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(country) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(vat_id) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(legal_id) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(legal_id_scheme) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(electronic_address) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(electronic_address_scheme) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(buyer_reference) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(emails) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(language) ON TABLE flightbill.customers TO flightbill_accountant;

GRANT UPDATE(late_interest_rate) ON TABLE flightbill.customers TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.bill_to(customer flightbill.customers) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.billing_runs_only_forward() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.billing_runs_tell() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.book_bank_entry(entry_id bigint, invoice_number text, amount numeric) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.book_bank_entry(entry_id bigint, invoice_number text, amount numeric) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.charge_interest(customer text, through date, at timestamp with time zone, today date) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.charge_interest(customer text, through date, at timestamp with time zone, today date) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.charges_join_drafts_only() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.charges_stay_as_issued() FROM PUBLIC;

GRANT SELECT ON TABLE flightbill.invoices TO flightbill_server;
GRANT SELECT ON TABLE flightbill.invoices TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.invoices TO flightbill_accountant;

GRANT INSERT(customer_id) ON TABLE flightbill.invoices TO flightbill_server;

GRANT INSERT(kind) ON TABLE flightbill.invoices TO flightbill_server;

GRANT INSERT(closes_on) ON TABLE flightbill.invoices TO flightbill_server;

GRANT INSERT(currency) ON TABLE flightbill.invoices TO flightbill_server;

GRANT UPDATE(status) ON TABLE flightbill.invoices TO flightbill_server;

GRANT INSERT(outside_scope) ON TABLE flightbill.invoices TO flightbill_server;

GRANT INSERT(opened_at) ON TABLE flightbill.invoices TO flightbill_server;

GRANT UPDATE(parked_at) ON TABLE flightbill.invoices TO flightbill_server;

GRANT UPDATE(parked_reason) ON TABLE flightbill.invoices TO flightbill_server;

GRANT UPDATE(parked_by_run) ON TABLE flightbill.invoices TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.check_payment(invoice flightbill.invoices, amount numeric) FROM PUBLIC;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flightbill.river_job TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.claim_flights(client text, most integer, behind_scheduled_at timestamp with time zone[], behind_id bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.claim_flights(client text, most integer, behind_scheduled_at timestamp with time zone[], behind_id bigint[]) TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.complete_flight_jobs(job_client text, job_ids bigint[], job_attempts smallint[], job_attempted_at timestamp with time zone[], flight_ids text[], billed text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.complete_flight_jobs(job_client text, job_ids bigint[], job_attempts smallint[], job_attempted_at timestamp with time zone[], flight_ids text[], billed text[]) TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.currency_rate(currency text, in_currency text, on_day date) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.customers_keep_numbers() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.deliveries_stay() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.documents_stay_as_given() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.minor_units(currency text) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.minor_units(currency text) TO flightbill_server;
GRANT ALL ON FUNCTION flightbill.minor_units(currency text) TO flightbill_reporter;
GRANT ALL ON FUNCTION flightbill.minor_units(currency text) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.tax_of(tax_by text, currency text, base numeric, rate numeric, of_lines numeric) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.tax_of(tax_by text, currency text, base numeric, rate numeric, of_lines numeric) TO flightbill_server;
GRANT ALL ON FUNCTION flightbill.tax_of(tax_by text, currency text, base numeric, rate numeric, of_lines numeric) TO flightbill_reporter;
GRANT ALL ON FUNCTION flightbill.tax_of(tax_by text, currency text, base numeric, rate numeric, of_lines numeric) TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.billing_settings TO flightbill_server;
GRANT SELECT ON TABLE flightbill.billing_settings TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.billing_settings TO flightbill_accountant;

GRANT INSERT(timezone) ON TABLE flightbill.billing_settings TO flightbill_server;

GRANT INSERT(close) ON TABLE flightbill.billing_settings TO flightbill_server;

GRANT INSERT(billing_start) ON TABLE flightbill.billing_settings TO flightbill_server;

GRANT INSERT(tax_by) ON TABLE flightbill.billing_settings TO flightbill_server;

GRANT SELECT ON TABLE flightbill.charges TO flightbill_server;
GRANT SELECT ON TABLE flightbill.charges TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.charges TO flightbill_accountant;

GRANT INSERT(invoice_id) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(flight_id) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(tariff_id) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(code) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(description) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(quantity) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(unit_rate) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(amount) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(tax_rate) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(tax_amount) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(flown_on) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(late) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(tax_category) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(tax_reason) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(unit_code) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(account) ON TABLE flightbill.charges TO flightbill_server;

GRANT INSERT(detail) ON TABLE flightbill.charges TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.draft_sums(draft bigint, currency text) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.draft_sums(draft bigint, currency text) TO flightbill_server;
GRANT ALL ON FUNCTION flightbill.draft_sums(draft bigint, currency text) TO flightbill_reporter;
GRANT ALL ON FUNCTION flightbill.draft_sums(draft bigint, currency text) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.end_flight_jobs(client text, job_ids bigint[], attempts smallint[], attempted_at timestamp with time zone[], states text[], scheduled_at timestamp with time zone[], spent boolean[], errors jsonb[], metadata jsonb[]) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.end_flight_jobs(client text, job_ids bigint[], attempts smallint[], attempted_at timestamp with time zone[], states text[], scheduled_at timestamp with time zone[], spent boolean[], errors jsonb[], metadata jsonb[]) TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.enqueue_as_jobs(flight_ids text[], job_ids bigint[], priority smallint, process_after timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.enqueue_deliveries(delivery_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.enqueue_flights(flight_ids text[], priority bigint, process_after timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.enqueue_flights(flight_ids text[], priority bigint, process_after timestamp with time zone) TO flightbill_enqueuer;
GRANT ALL ON FUNCTION flightbill.enqueue_flights(flight_ids text[], priority bigint, process_after timestamp with time zone) TO flightbill_queue_admin;
GRANT ALL ON FUNCTION flightbill.enqueue_flights(flight_ids text[], priority bigint, process_after timestamp with time zone) TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.flight_id_is_valid(flight_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.flight_id_is_valid(flight_id text) TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.flight_job_key(flight_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.flight_job_unique_states() FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.flight_job_unique_states() TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.flight_jobs_complete_when_billed() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_delete() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_finish() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_flush() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_insert() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_update() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.gathered_flights_commit() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.hold_flight_jobs(flight_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.ignore_bank_entry(entry_id bigint, reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.ignore_bank_entry(entry_id bigint, reason text) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.invoice_taxes_make_totals() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.invoice_to_settle(invoice_number text, paid_on date) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.invoices_record_event() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.invoices_stay_as_issued() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.invoices_tell() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.issue_drafts(drafts bigint[], at timestamp with time zone, today date) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.issue_drafts(drafts bigint[], at timestamp with time zone, today date) TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.issuers_stay() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on date) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on date) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on text) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on text) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on timestamp without time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on timestamp without time zone) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.mark_invoice_paid(invoice_number text, paid_on timestamp with time zone) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.match_bank_entries() FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.match_bank_entries() TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.open_amount(invoice bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.open_draft(customer_id bigint, closes_on date, currency text, at timestamp with time zone, outside_scope boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.open_draft(customer_id bigint, closes_on date, currency text, at timestamp with time zone, outside_scope boolean) TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.payments_stay() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.price_book_changed() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.promise_to_look(client text, seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.promise_to_look(client text, seconds double precision) TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.rebill_invoice(invoice_number text, payer text) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.rebill_invoice(invoice_number text, payer text) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.record_payment(invoice_number text, amount numeric, paid_on date, reference text, bank_reference text) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.record_payment(invoice_number text, amount numeric, paid_on date, reference text, bank_reference text) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.refuse_flight_id(flight_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.refuse_removal() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.refuse_voided_flights(flight_ids text[], priority smallint) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.remove_documents(retention interval) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.retry_deliveries(delivery_ids text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.retry_deliveries(delivery_ids text[]) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.reverse_payment(payment_id bigint, reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.reverse_payment(payment_id bigint, reason text) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.revive_flight_jobs(new_ids bigint[], old_ids bigint[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.save_flights(price_book_version bigint, cutoff date, at timestamp with time zone, today date, job_client text, job_ids bigint[], job_attempts smallint[], job_attempted_at timestamp with time zone[], flight_ids text[], customer_ids bigint[], landed_on date[], facts jsonb[], declared jsonb[], closes_on date[], late boolean[], line_of integer[], tariff_ids bigint[], codes text[], descriptions text[], quantities numeric[], unit_rates numeric[], amounts numeric[], tax_rates numeric[], tax_amounts numeric[], currencies text[], details jsonb[]) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.save_flights(price_book_version bigint, cutoff date, at timestamp with time zone, today date, job_client text, job_ids bigint[], job_attempts smallint[], job_attempted_at timestamp with time zone[], flight_ids text[], customer_ids bigint[], landed_on date[], facts jsonb[], declared jsonb[], closes_on date[], late boolean[], line_of integer[], tariff_ids bigint[], codes text[], descriptions text[], quantities numeric[], unit_rates numeric[], amounts numeric[], tax_rates numeric[], tax_amounts numeric[], currencies text[], details jsonb[]) TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.set_off(from_number text, to_number text, amount numeric) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.set_off(from_number text, to_number text, amount numeric) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.set_off_pair(invoice bigint, other bigint, amount numeric, at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.settle_invoice(invoice bigint, at timestamp with time zone, taken_back text) FROM PUBLIC;

GRANT SELECT ON TABLE flightbill.tariffs TO flightbill_server;
GRANT SELECT ON TABLE flightbill.tariffs TO flightbill_reporter;
GRANT SELECT,INSERT,UPDATE ON TABLE flightbill.tariffs TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.tariff_unit_code(tariff flightbill.tariffs) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.tariff_unit_code(tariff flightbill.tariffs) TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.tariffs_changed() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.tariffs_do_not_overlap() FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.tariffs_overlapping(ids bigint[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION flightbill.unmark_invoice_paid(invoice_number text, reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.unmark_invoice_paid(invoice_number text, reason text) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.void_invoice(invoice_number text, reason text, rebill boolean, payer text) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.void_invoice(invoice_number text, reason text, rebill boolean, payer text) TO flightbill_accountant;

REVOKE ALL ON FUNCTION flightbill.voided_flight_message(flight_id text, for_all boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.voided_flight_message(flight_id text, for_all boolean) TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.withdraw_promise(client text) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.withdraw_promise(client text) TO flightbill_server;

REVOKE ALL ON FUNCTION flightbill.write_off_rounding(invoice_number text, reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION flightbill.write_off_rounding(invoice_number text, reason text) TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.aircraft TO flightbill_server;
GRANT SELECT ON TABLE flightbill.aircraft TO flightbill_reporter;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flightbill.aircraft TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.aircraft_types TO flightbill_server;
GRANT SELECT ON TABLE flightbill.aircraft_types TO flightbill_reporter;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flightbill.aircraft_types TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.airports TO flightbill_server;
GRANT SELECT ON TABLE flightbill.airports TO flightbill_reporter;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flightbill.airports TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.billed_flights TO flightbill_server;
GRANT SELECT ON TABLE flightbill.billed_flights TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.billed_flights TO flightbill_accountant;

GRANT INSERT(flight_id) ON TABLE flightbill.billed_flights TO flightbill_server;

GRANT INSERT(customer_id) ON TABLE flightbill.billed_flights TO flightbill_server;

GRANT INSERT(landed_on) ON TABLE flightbill.billed_flights TO flightbill_server;

GRANT INSERT(facts) ON TABLE flightbill.billed_flights TO flightbill_server;

GRANT INSERT(billed_at) ON TABLE flightbill.billed_flights TO flightbill_server;

GRANT INSERT(declared) ON TABLE flightbill.billed_flights TO flightbill_server;

GRANT SELECT ON TABLE flightbill.billing_runs TO flightbill_server;
GRANT SELECT ON TABLE flightbill.billing_runs TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.billing_runs TO flightbill_accountant;

GRANT INSERT(closes_on) ON TABLE flightbill.billing_runs TO flightbill_server;

GRANT INSERT(run_date) ON TABLE flightbill.billing_runs TO flightbill_server;

GRANT INSERT(due_at) ON TABLE flightbill.billing_runs TO flightbill_server;

GRANT INSERT(trigger) ON TABLE flightbill.billing_runs TO flightbill_server;

GRANT INSERT(started_at) ON TABLE flightbill.billing_runs TO flightbill_server;

GRANT INSERT(finished_at),UPDATE(finished_at) ON TABLE flightbill.billing_runs TO flightbill_server;

GRANT UPDATE(invoices) ON TABLE flightbill.billing_runs TO flightbill_server;

GRANT UPDATE(charges) ON TABLE flightbill.billing_runs TO flightbill_server;

GRANT UPDATE(held) ON TABLE flightbill.billing_runs TO flightbill_server;

GRANT UPDATE(parked) ON TABLE flightbill.billing_runs TO flightbill_server;

GRANT SELECT ON TABLE flightbill.billing_days TO flightbill_server;
GRANT SELECT ON TABLE flightbill.billing_days TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.billing_days TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.billing_calendar TO flightbill_server;
GRANT SELECT ON TABLE flightbill.billing_calendar TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.billing_calendar TO flightbill_accountant;

GRANT UPDATE ON TABLE flightbill.billing_run_lock TO flightbill_server;

GRANT SELECT ON TABLE flightbill.flights TO flightbill_server;
GRANT SELECT ON TABLE flightbill.flights TO flightbill_reporter;
GRANT SELECT,INSERT,UPDATE ON TABLE flightbill.flights TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.voided_flights TO flightbill_server;
GRANT SELECT ON TABLE flightbill.voided_flights TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.voided_flights TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.changed_flights TO flightbill_server;
GRANT SELECT ON TABLE flightbill.changed_flights TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.changed_flights TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.currency_rates TO flightbill_server;
GRANT SELECT ON TABLE flightbill.currency_rates TO flightbill_reporter;
GRANT SELECT,INSERT,UPDATE ON TABLE flightbill.currency_rates TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.customer_aircraft TO flightbill_server;
GRANT SELECT ON TABLE flightbill.customer_aircraft TO flightbill_reporter;
GRANT SELECT,INSERT,DELETE ON TABLE flightbill.customer_aircraft TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.customer_operators TO flightbill_server;
GRANT SELECT ON TABLE flightbill.customer_operators TO flightbill_reporter;
GRANT SELECT,INSERT,DELETE ON TABLE flightbill.customer_operators TO flightbill_accountant;

GRANT USAGE ON SEQUENCE flightbill.river_job_id_seq TO flightbill_server;

GRANT SELECT ON TABLE flightbill.deliveries TO flightbill_server;
GRANT SELECT ON TABLE flightbill.deliveries TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.deliveries TO flightbill_accountant;

GRANT UPDATE(state) ON TABLE flightbill.deliveries TO flightbill_server;

GRANT UPDATE(attempts) ON TABLE flightbill.deliveries TO flightbill_server;

GRANT UPDATE(last_error) ON TABLE flightbill.deliveries TO flightbill_server;

GRANT UPDATE(next_at) ON TABLE flightbill.deliveries TO flightbill_server;

GRANT UPDATE(delivered_at) ON TABLE flightbill.deliveries TO flightbill_server;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flightbill.flight_source_outages TO flightbill_server;

GRANT SELECT ON TABLE flightbill.queue_content TO flightbill_queue_reader;

GRANT SELECT,INSERT,DELETE ON TABLE flightbill.flight_processing_queue TO flightbill_enqueuer;
GRANT SELECT,INSERT,DELETE ON TABLE flightbill.flight_processing_queue TO flightbill_queue_admin;
GRANT SELECT ON TABLE flightbill.flight_processing_queue TO flightbill_server;
GRANT SELECT ON TABLE flightbill.flight_processing_queue TO flightbill_reporter;
GRANT SELECT,DELETE ON TABLE flightbill.flight_processing_queue TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.goose_db_version TO flightbill_server;
GRANT SELECT ON TABLE flightbill.goose_db_version TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.goose_db_version TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.payments TO flightbill_server;
GRANT SELECT ON TABLE flightbill.payments TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.payments TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.invoice_balances TO flightbill_server;
GRANT SELECT ON TABLE flightbill.invoice_balances TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.invoice_balances TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.invoice_documents TO flightbill_server;
GRANT SELECT ON TABLE flightbill.invoice_documents TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.invoice_documents TO flightbill_accountant;

GRANT INSERT(invoice_id) ON TABLE flightbill.invoice_documents TO flightbill_server;
GRANT INSERT(invoice_id) ON TABLE flightbill.invoice_documents TO flightbill_accountant;

GRANT INSERT(format) ON TABLE flightbill.invoice_documents TO flightbill_server;
GRANT INSERT(format) ON TABLE flightbill.invoice_documents TO flightbill_accountant;

GRANT INSERT(version) ON TABLE flightbill.invoice_documents TO flightbill_server;
GRANT INSERT(version) ON TABLE flightbill.invoice_documents TO flightbill_accountant;

GRANT INSERT(made_at) ON TABLE flightbill.invoice_documents TO flightbill_server;
GRANT INSERT(made_at) ON TABLE flightbill.invoice_documents TO flightbill_accountant;

GRANT INSERT(bytes) ON TABLE flightbill.invoice_documents TO flightbill_server;
GRANT INSERT(bytes) ON TABLE flightbill.invoice_documents TO flightbill_accountant;

GRANT INSERT(sha256) ON TABLE flightbill.invoice_documents TO flightbill_server;
GRANT INSERT(sha256) ON TABLE flightbill.invoice_documents TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.invoice_events TO flightbill_server;
GRANT SELECT ON TABLE flightbill.invoice_events TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.invoice_events TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.invoice_taxes TO flightbill_server;
GRANT SELECT ON TABLE flightbill.invoice_taxes TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.invoice_taxes TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.issuers TO flightbill_server;
GRANT SELECT ON TABLE flightbill.issuers TO flightbill_reporter;
GRANT SELECT,INSERT ON TABLE flightbill.issuers TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.journal TO flightbill_server;
GRANT SELECT ON TABLE flightbill.journal TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.journal TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.ledger_accounts TO flightbill_server;
GRANT SELECT ON TABLE flightbill.ledger_accounts TO flightbill_reporter;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flightbill.ledger_accounts TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.overlapping_flights TO flightbill_server;
GRANT SELECT ON TABLE flightbill.overlapping_flights TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.overlapping_flights TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.price_book TO flightbill_server;
GRANT SELECT ON TABLE flightbill.price_book TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.price_book TO flightbill_accountant;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flightbill.queue_promises TO flightbill_server;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flightbill.river_leader TO flightbill_server;

GRANT SELECT ON TABLE flightbill.river_migration TO flightbill_server;
GRANT SELECT ON TABLE flightbill.river_migration TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.river_migration TO flightbill_accountant;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE flightbill.river_queue TO flightbill_server;

GRANT SELECT ON TABLE flightbill.unmatched_codes TO flightbill_server;
GRANT SELECT ON TABLE flightbill.unmatched_codes TO flightbill_reporter;
GRANT SELECT ON TABLE flightbill.unmatched_codes TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.webhook_secrets TO flightbill_server;
GRANT DELETE ON TABLE flightbill.webhook_secrets TO flightbill_accountant;

GRANT SELECT(webhook_id) ON TABLE flightbill.webhook_secrets TO flightbill_reporter;
GRANT SELECT(webhook_id),INSERT(webhook_id) ON TABLE flightbill.webhook_secrets TO flightbill_accountant;

GRANT INSERT(secret) ON TABLE flightbill.webhook_secrets TO flightbill_accountant;

GRANT SELECT(until) ON TABLE flightbill.webhook_secrets TO flightbill_reporter;
GRANT SELECT(until),UPDATE(until) ON TABLE flightbill.webhook_secrets TO flightbill_accountant;

GRANT SELECT ON TABLE flightbill.webhooks TO flightbill_server;

GRANT SELECT(id) ON TABLE flightbill.webhooks TO flightbill_reporter;
GRANT SELECT(id) ON TABLE flightbill.webhooks TO flightbill_accountant;

GRANT INSERT(url) ON TABLE flightbill.webhooks TO flightbill_accountant;

GRANT SELECT(target) ON TABLE flightbill.webhooks TO flightbill_reporter;
GRANT SELECT(target) ON TABLE flightbill.webhooks TO flightbill_accountant;

GRANT SELECT(events) ON TABLE flightbill.webhooks TO flightbill_reporter;
GRANT SELECT(events),INSERT(events) ON TABLE flightbill.webhooks TO flightbill_accountant;

GRANT SELECT(created_at) ON TABLE flightbill.webhooks TO flightbill_reporter;
GRANT SELECT(created_at) ON TABLE flightbill.webhooks TO flightbill_accountant;

GRANT UPDATE(stopped_at) ON TABLE flightbill.webhooks TO flightbill_server;
GRANT SELECT(stopped_at) ON TABLE flightbill.webhooks TO flightbill_reporter;
GRANT SELECT(stopped_at) ON TABLE flightbill.webhooks TO flightbill_accountant;

GRANT UPDATE(stopped_reason) ON TABLE flightbill.webhooks TO flightbill_server;
GRANT SELECT(stopped_reason) ON TABLE flightbill.webhooks TO flightbill_reporter;
GRANT SELECT(stopped_reason) ON TABLE flightbill.webhooks TO flightbill_accountant;

GRANT SELECT(removed_at) ON TABLE flightbill.webhooks TO flightbill_reporter;
GRANT SELECT(removed_at),UPDATE(removed_at) ON TABLE flightbill.webhooks TO flightbill_accountant;

GRANT SELECT(active) ON TABLE flightbill.webhooks TO flightbill_reporter;
GRANT SELECT(active) ON TABLE flightbill.webhooks TO flightbill_accountant;
