-- The save: the one transaction that bills flights, in one round trip.

-- +goose Up
-- +goose StatementBegin

-- save_flights bills flights that have been priced, and completes their jobs. It
-- works on all of them at once: for five, a statement each takes twice as long.
--
-- Its result has for each flight 'billed'; 'already_billed' where the ledger had the
-- flight (the job is completed, nothing else changes); or 'voided', with nothing
-- changed, where the ledger had it and its invoice was voided. All are 'stale', with
-- nothing changed, where the prices were made from an older price book or under an
-- older cut-off than are now in force: price again and call again. No flight may
-- come twice.
--
-- It fails with SQLSTATE FB001 where a job is no longer this attempt's: it was
-- rescued, and the attempt that has it now will save the flight. This does what
-- River's JobCompleteTx does and checks what that does not.
--
-- Locks are taken in one order: the run lock in a statement of its own (each
-- statement here reads what was committed before it began), customers, flights,
-- drafts, and job rows last, each sorted.
CREATE FUNCTION save_flights(
    price_book_version bigint, cutoff date, at timestamptz, today date, -- now, and the local date it falls on
    job_ids bigint[], job_attempts smallint[], job_client text,         -- 0: a save without a job
    flight_ids text[], customer_ids bigint[], landed_on date[], facts jsonb[],
    closes_on date[], late boolean[],                                   -- null, false: billed per flight
    -- Of each charge the flight, counted from 1, and the rest.
    line_of integer[], tariff_ids bigint[], codes text[], descriptions text[], quantities numeric[], unit_rates numeric[],
    amounts numeric[], tax_rates numeric[], tax_amounts numeric[], currencies text[]
) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
    SET enable_seqscan = off -- a plan made for empty tables stays while they fill
    SET plan_cache_mode = force_generic_plan -- arrays are planned anew each time else
AS $$
#variable_conflict use_variable
DECLARE
    outcomes      text[];
    added         text[]; -- flights new to the ledger
    draft         record;
    own_of        integer[]; -- invoices for single flights: the flight,
    own_currency  text[];
    own_invoice   bigint[];
    to_issue      bigint[];
BEGIN
    LOCK TABLE billing_run_lock IN SHARE MODE;

    -- An invoice for a single flight takes its customer's next number. Before the
    -- look at the price book, which may change while this waits.
    IF array_position(closes_on, NULL) IS NOT NULL THEN
        PERFORM FROM customers c
        WHERE c.id IN (SELECT f.id FROM unnest(customer_ids, closes_on) AS f (id, closes) WHERE f.closes IS NULL)
        ORDER BY c.id FOR NO KEY UPDATE;
    END IF;

    IF price_book_version IS DISTINCT FROM (SELECT p.version FROM price_book p)
        OR cutoff IS DISTINCT FROM (SELECT max(r.closes_on) FROM billing_runs r)
    THEN
        RETURN array_fill('stale'::text, ARRAY[cardinality(flight_ids)]);
    END IF;

    -- A save that a crash of the server takes back takes its jobs' completion back
    -- too: the flights are billed again. So nobody need wait for the disk, but for
    -- an invoice, which may have been seen. A run's commit waits for all before it.
    IF array_position(closes_on, NULL) IS NULL THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;

    WITH ledger AS (
        INSERT INTO billed_flights AS b (flight_id, customer_id, landed_on, facts, billed_at)
        SELECT f.id, f.customer, f.landed, f.fact, at
        FROM unnest(flight_ids, customer_ids, landed_on, facts) AS f (id, customer, landed, fact)
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
                WHEN EXISTS (SELECT FROM voided_flights v WHERE v.flight_id = f.id AND v.rebilled_at IS NULL) THEN 'voided'
                ELSE 'already_billed'
            END
            FROM unnest(flight_ids) WITH ORDINALITY AS f (id, nr) ORDER BY f.nr);
    END IF;

    IF 'billed' = ANY (outcomes) AND cardinality(codes) > 0 THEN
        FOR draft IN
            SELECT DISTINCT customer_ids[l.nr] AS customer, closes_on[l.nr] AS closes, l.currency,
                CASE WHEN closes_on[l.nr] IS NULL THEN l.nr END AS own
            FROM unnest(line_of, currencies) AS l (nr, currency)
            WHERE outcomes[l.nr] = 'billed' AND (closes_on[l.nr] IS NULL OR NOT EXISTS (
                SELECT FROM invoices i
                WHERE i.customer_id = customer_ids[l.nr] AND i.currency = l.currency AND i.closes_on = closes_on[l.nr]
                    AND i.kind = 'consolidated' AND i.status <> 'VOID'))
            ORDER BY customer, closes, own, currency
        LOOP
            IF draft.own IS NULL THEN
                PERFORM open_draft(draft.customer, draft.closes, draft.currency, at);
            ELSE
                own_of := own_of || draft.own;
                own_currency := own_currency || draft.currency;
                own_invoice := own_invoice || open_draft(draft.customer, NULL, draft.currency, at);
            END IF;
        END LOOP;

        INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount,
            tax_rate, tax_amount, flown_on, late)
        SELECT CASE
                WHEN closes_on[l.nr] IS NULL THEN (
                    SELECT o.invoice FROM unnest(own_of, own_currency, own_invoice) AS o (nr, currency, invoice)
                    WHERE o.nr = l.nr AND o.currency = l.currency)
                ELSE (
                    SELECT i.id FROM invoices i
                    WHERE i.customer_id = customer_ids[l.nr] AND i.currency = l.currency AND i.closes_on = closes_on[l.nr]
                        AND i.kind = 'consolidated' AND i.status <> 'VOID')
            END,
            flight_ids[l.nr], l.tariff_id, l.code, l.description, l.quantity, l.unit_rate, l.amount,
            l.tax_rate, l.tax_amount, landed_on[l.nr], late[l.nr]
        FROM unnest(line_of, tariff_ids, codes, descriptions, quantities, unit_rates, amounts, tax_rates, tax_amounts, currencies)
            AS l (nr, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, currency)
        WHERE outcomes[l.nr] = 'billed';

        IF own_invoice IS NOT NULL THEN
            to_issue := ARRAY(
                SELECT o.invoice FROM unnest(own_of, own_invoice) AS o (nr, invoice)
                JOIN customers c ON c.id = customer_ids[o.nr] WHERE NOT c.billing_hold);
            IF to_issue <> '{}' THEN
                PERFORM issue_drafts(to_issue, at, today);
            END IF;
        END IF;
    END IF;

    PERFORM complete_flight_jobs(
        ARRAY(SELECT CASE WHEN outcomes[j.nr] = 'voided' THEN 0 ELSE j.id END FROM unnest(job_ids) WITH ORDINALITY AS j (id, nr) ORDER BY j.nr),
        job_attempts, job_client, flight_ids,
        -- Of a flight billed before, another job may be there to bill it again.
        added);
    RETURN outcomes;
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
-- complete_flight_jobs completes jobs, each if it is still this attempt's, and clears
-- away what other jobs of the flights there are that are now billed. Id 0 is no job.
CREATE FUNCTION complete_flight_jobs(job_ids bigint[], job_attempts smallint[], job_client text, flight_ids text[], billed text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
    SET enable_seqscan = off
    SET enable_hashjoin = off
    SET enable_mergejoin = off
    SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    completed bigint[];
    lost      record;
BEGIN
    WITH done AS (
        UPDATE river_job j SET state = 'completed', finalized_at = now()
        -- Sorted, as the rows are locked in the order of this: 1.4 % of a save of five.
        FROM (SELECT u.id, u.attempt FROM unnest(job_ids, job_attempts) AS u (id, attempt) ORDER BY u.id) AS mine
        -- As text, so that the index on state is of no use: it has whatever was
        -- running since the last vacuum.
        WHERE j.id = mine.id AND j.state::text = 'running' AND j.attempt = mine.attempt
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
    DELETE FROM river_job j
    WHERE queued_flight(j.kind, j.state, j.args) = ANY (billed) AND j.state <> 'running';
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

-- +goose StatementBegin
-- take_flights takes the flights next in line for a River client, as River's own
-- query does, which is planned anew at each call: 0.3 ms. It takes at most `most`;
-- with `instead_of`, at most as many as there are completed ones among these jobs,
-- so that who takes in the transaction that completes never has more in work
-- than before. It looks behind one place in the line: those taken leave theirs in
-- the index until it is vacuumed, and to walk over 150,000 of them takes half as
-- long again as to take and complete 25 flights. Before them it takes the first of
-- those that are `read`.
CREATE FUNCTION take_flights(
    client text, most integer, instead_of bigint[] DEFAULT NULL,
    behind_priority smallint DEFAULT 0, behind_scheduled_at timestamptz DEFAULT '-infinity', behind_id bigint DEFAULT 0,
    read bigint[] DEFAULT NULL
) RETURNS SETOF river_job
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
    SET enable_seqscan = off
    SET enable_sort = off -- the index has their order
    SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    ids bigint[] := '{}';
BEGIN
    IF instead_of IS NULL THEN
        PERFORM set_config('synchronous_commit', 'off', true); -- what a crash takes back is taken again
    ELSE
        most := least(most, (SELECT count(*) FROM river_job j WHERE j.id = ANY (instead_of) AND j.state = 'completed'));
    END IF;
    IF read IS NOT NULL THEN
        ids := ARRAY(
            SELECT n.id FROM river_job n
            -- The state as text: they are found by their ids.
            WHERE n.id = ANY (read[:most]) AND n.state::text = 'available' AND n.queue = 'flights' AND n.scheduled_at <= now()
            FOR UPDATE SKIP LOCKED);
    END IF;
    IF cardinality(ids) < most THEN
        ids := ids || ARRAY(
            SELECT n.id FROM river_job n
            WHERE n.state = 'available' AND n.queue = 'flights' AND n.scheduled_at <= now()
                AND (n.priority, n.scheduled_at, n.id) > (behind_priority, behind_scheduled_at, behind_id)
                AND n.id <> ALL (ids)
            ORDER BY n.priority, n.scheduled_at, n.id
            LIMIT most - cardinality(ids)
            FOR UPDATE SKIP LOCKED);
    END IF;
    RETURN QUERY
    UPDATE river_job j
    SET state = 'running', attempt = j.attempt + 1, attempted_at = now(),
        attempted_by = array_append(j.attempted_by[greatest(1, cardinality(j.attempted_by) - 98):], client) -- River keeps 100
    WHERE j.id = ANY (ids)
    RETURNING j.*;
END
$$;
-- +goose StatementEnd

-- Which flights each process is reading ahead, so that no two read the same. A hint
-- only: any process may take any flight.
CREATE UNLOGGED TABLE flights_being_read (
    client text PRIMARY KEY,
    job_ids bigint[] NOT NULL,
    until timestamptz NOT NULL
);

-- +goose StatementBegin
-- flights_to_read finds the flights next in line, behind one place in it, that no
-- other client is reading, and notes that this one is, beside those it has `kept`.
-- `shared`: another client reads as well. While none does it notes once a second:
-- what was noted stands in the way until it is vacuumed.
CREATE FUNCTION flights_to_read(
    client text, kept bigint[], most integer, behind_priority smallint, behind_scheduled_at timestamptz, behind_id bigint
) RETURNS TABLE (job_id bigint, flight_id text, priority smallint, scheduled_at timestamptz, since timestamptz, shared boolean)
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
    SET enable_seqscan = off
    SET enable_sort = off -- the index has their order
    SET plan_cache_mode = force_generic_plan
    SET lock_timeout = '200ms' -- then nothing is read ahead for a second
AS $$
#variable_conflict use_column
DECLARE
    others bigint[];
BEGIN
    -- One after the other: two at once would find the same.
    PERFORM pg_advisory_xact_lock('flights_being_read'::regclass::bigint);
    others := ARRAY(SELECT unnest(r.job_ids) FROM flights_being_read r WHERE r.client <> flights_to_read.client AND r.until > now());
    RETURN QUERY
    WITH next AS (
        SELECT n.id, coalesce(n.args ->> 'flight_id', ''), n.priority, n.scheduled_at, greatest(n.scheduled_at, n.created_at), others <> '{}'
        FROM river_job n
        WHERE n.state = 'available' AND n.queue = 'flights' AND n.kind = 'ingest_flight' AND n.scheduled_at <= now()
            AND (n.priority, n.scheduled_at, n.id) > (behind_priority, behind_scheduled_at, behind_id)
            AND n.id NOT IN (SELECT unnest(others)) -- hashed, which <> ALL is not
        ORDER BY n.priority, n.scheduled_at, n.id
        LIMIT most
    ), noted AS (
        INSERT INTO flights_being_read
        SELECT flights_to_read.client, ARRAY(SELECT unnest(kept) UNION SELECT next.id FROM next), now() + interval '5 seconds'
        WHERE others <> '{}' OR NOT EXISTS (
            SELECT FROM flights_being_read r WHERE r.client = flights_to_read.client AND r.until > now() + interval '4 seconds')
        ON CONFLICT ON CONSTRAINT flights_being_read_pkey DO UPDATE SET job_ids = excluded.job_ids, until = excluded.until
    )
    SELECT * FROM next;
    DELETE FROM flights_being_read r WHERE r.until < now();
END
$$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION take_flights(text, integer, bigint[], smallint, timestamptz, bigint, bigint[]),
    flights_to_read(text, bigint[], integer, smallint, timestamptz, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION issue_drafts(bigint[], timestamptz, date), open_draft(bigint, date, text, timestamptz),
    complete_flight_jobs(bigint[], smallint[], text, text[], text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION save_flights(bigint, date, timestamptz, date, bigint[], smallint[], text, text[], bigint[], date[], jsonb[], date[], boolean[],
    integer[], bigint[], text[], text[], numeric[], numeric[], numeric[], numeric[], numeric[], text[]) FROM PUBLIC;

-- +goose Down
DROP FUNCTION flights_to_read(text, bigint[], integer, smallint, timestamptz, bigint);
DROP TABLE flights_being_read;
DROP FUNCTION take_flights(text, integer, bigint[], smallint, timestamptz, bigint, bigint[]);
DROP FUNCTION save_flights(bigint, date, timestamptz, date, bigint[], smallint[], text, text[], bigint[], date[], jsonb[], date[], boolean[],
    integer[], bigint[], text[], text[], numeric[], numeric[], numeric[], numeric[], numeric[], text[]);
DROP FUNCTION issue_drafts(bigint[], timestamptz, date);
DROP FUNCTION complete_flight_jobs(bigint[], smallint[], text, text[], text[]);
DROP FUNCTION open_draft(bigint, date, text, timestamptz);
