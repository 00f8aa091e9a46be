-- The save: the one transaction that bills flights, in one round trip.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- +goose StatementBegin
-- flight_jobs_complete_when_billed leaves a flight's job as it is, where it would be
-- completed though the ledger lacks the flight. River's client writes the end of what
-- it has handed out by itself, after the save: where a crash of the server or a failover
-- has taken the save back by then, the job is running again, and that end would lose
-- the flight. So it is given back like any that nobody holds.
CREATE OR REPLACE FUNCTION flightbill.flight_jobs_complete_when_billed() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM flightbill.billed_flights b WHERE b.flight_id = NEW.args ->> 'flight_id') THEN
        RETURN NEW;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_jobs_complete_when_billed FROM PUBLIC;
-- +goose StatementEnd
-- A save's own completion need not be looked at: that costs a tenth of the throughput.
CREATE TRIGGER complete_when_billed BEFORE UPDATE OF state ON flightbill.river_job FOR EACH ROW
    WHEN (NEW.state = 'completed' AND OLD.state = 'running' AND NEW.kind = 'ingest_flight'
        AND current_setting('flightbill.completes', true) IS DISTINCT FROM 'billed') EXECUTE FUNCTION flightbill.flight_jobs_complete_when_billed();

-- +goose StatementBegin
-- complete_flight_jobs completes jobs, each if it is still this attempt's, and clears
-- away what other jobs of the flights there are that are now billed. Id 0 is no job.
CREATE OR REPLACE FUNCTION flightbill.complete_flight_jobs(
    job_client text, job_ids bigint[], job_attempts smallint[], job_attempted_at timestamptz[], flight_ids text[], billed text[]
) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_hashjoin = off -- one that goes through the whole queue, where it was planned while that was short
    SET enable_mergejoin = off
    SET plan_cache_mode = force_generic_plan
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
REVOKE ALL ON FUNCTION flightbill.complete_flight_jobs FROM PUBLIC;
-- +goose StatementEnd

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
-- It fails with 55P03 where a lock but the run's is not to be had within a second.
--
-- It takes its locks in the order that package db's documentation gives.
CREATE OR REPLACE FUNCTION flightbill.save_flights(
    price_book_version bigint, cutoff date, at timestamptz, today date, -- now, and the local date it falls on
    job_client text, job_ids bigint[], job_attempts smallint[], job_attempted_at timestamptz[], -- 0: a save without a job
    flight_ids text[], customer_ids bigint[], landed_on date[], facts jsonb[], declared jsonb[],
    closes_on date[], late boolean[],                                   -- null, false: billed per flight
    -- Of each charge the flight, counted from 1, and the rest.
    line_of integer[], tariff_ids bigint[], codes text[], descriptions text[], quantities numeric[], unit_rates numeric[],
    amounts numeric[], tax_rates numeric[], tax_amounts numeric[], currencies text[], details jsonb[]
) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
    SET plan_cache_mode = force_generic_plan -- arrays are planned anew each time else
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
REVOKE ALL ON FUNCTION flightbill.save_flights FROM PUBLIC;
-- +goose StatementEnd

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP FUNCTION flightbill.save_flights;
DROP FUNCTION flightbill.complete_flight_jobs;
DROP TRIGGER complete_when_billed ON flightbill.river_job;
DROP FUNCTION flightbill.flight_jobs_complete_when_billed;
