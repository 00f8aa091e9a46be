-- The SQL interface for other applications: enqueue, look, take back.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- +goose StatementBegin
DO $$
DECLARE
    wanted text;
BEGIN
    -- Roles belong to the whole server: another database's migration may make
    -- these at the same moment.
    FOREACH wanted IN ARRAY ARRAY['flightbill_enqueuer', 'flightbill_queue_admin', 'flightbill_queue_reader',
        'flightbill_server', 'flightbill_reporter', 'flightbill_accountant'] LOOP -- as in db.RoleNames
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'the role % is missing and % may not make it', wanted, current_user
                        USING HINT = format('Have an administrator run: CREATE ROLE %I NOLOGIN; then migrate again.', wanted);
            END;
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd
GRANT USAGE ON SCHEMA flightbill TO flightbill_enqueuer, flightbill_queue_admin;
-- +goose StatementBegin
DO $$
BEGIN
    -- Of somebody else's schema, Postgres grants nothing, with a warning.
    IF NOT has_schema_privilege('flightbill_enqueuer', 'flightbill', 'USAGE') THEN
        RAISE EXCEPTION 'schema flightbill does not belong to %, who cannot let flightbill_enqueuer use it', current_user
            USING HINT = format('Have its owner run: ALTER SCHEMA flightbill OWNER TO %I; then migrate again.', current_user);
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- queued_flight is the flight that a job is for, where it is an unfinished job of
-- that kind. One expression instead of three conditions, so that one index alone
-- answers it: given the choice, a plan that was made while the queue was empty
-- walks through all of it once it is full.
CREATE OR REPLACE FUNCTION flightbill.queued_flight(kind text, state flightbill.river_job_state, args jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN kind = 'ingest_flight' AND state <> 'completed' THEN args ->> 'flight_id' END;
-- +goose StatementEnd

-- The queue view, the revival of a cancelled job, and the save that clears away
-- a flight's other jobs. Written out, since every INSERT would take the function apart anew: queries
-- that call it find the index all the same.
CREATE INDEX river_job_flight_idx ON flightbill.river_job ((CASE WHEN kind = 'ingest_flight' AND state <> 'completed' THEN args ->> 'flight_id' END))
    WHERE (CASE WHEN kind = 'ingest_flight' AND state <> 'completed' THEN args ->> 'flight_id' END) IS NOT NULL;

-- Jobs that some client put in another queue: nearly always empty.
CREATE INDEX river_job_stray_flight_idx ON flightbill.river_job (id)
    WHERE kind = 'ingest_flight' AND queue <> 'flights' AND state IN ('available', 'retryable', 'scheduled');

-- +goose StatementBegin
-- is_queue_admin: whether the session's login looks after everybody's flights. SET ROLE
-- does not change that, nor does a function that runs with its owner's rights.
CREATE OR REPLACE FUNCTION flightbill.is_queue_admin() RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    RETURN pg_has_role(session_user, current_user, 'MEMBER') OR pg_has_role(session_user, 'flightbill_queue_admin', 'MEMBER');
END
$$;
-- +goose StatementEnd

-- Processes that cannot read the flight source, and why. They say so every 15 s. Logged:
-- the view below is read on standbys too.
CREATE TABLE flightbill.flight_source_outages (
    client text COLLATE "C" PRIMARY KEY, -- River's
    since timestamptz NOT NULL,
    reason text NOT NULL,
    told_at timestamptz NOT NULL
);

-- What is waiting or failing, and why. A completed job is not shown. A flight that is
-- ready, or in a worker's hand, and waits for the source with all others, has the reason
-- from a process that cannot read it. What the flight source, the database or Go say of a
-- failure may name hosts and users, and other words name customers and invoices: these are details,
-- for who looks after the queue; others see what was written for them.
-- The owner of the tables reads it; all others the view over it.
CREATE VIEW flightbill.queue_content AS
SELECT
    flightbill.queued_flight(kind, state, args) AS flight_id,
    state::text          AS state,
    attempt              AS attempts,
    CASE WHEN metadata ? 'waiting' AND state IN ('available', 'scheduled', 'running')
        THEN metadata ->> 'said'
        WHEN state IN ('available', 'running') AND EXISTS (SELECT FROM flightbill.flight_source_outages WHERE told_at > now() - interval '1 minute')
        THEN 'the flight source cannot be read; flights wait until it is back'
        WHEN array_upper(errors, 1) IS NULL
        THEN NULL
        WHEN errors[array_upper(errors, 1)] ->> 'error' = 'JobCancelError: job cancelled remotely'
        THEN 'the flight was cancelled by hand'
        WHEN metadata ? 'said' AND state NOT IN ('retryable', 'discarded')
        THEN metadata ->> 'said'
        ELSE 'something failed that should not; who looks after flightbill sees what'
    END                  AS last_error,
    CASE WHEN state IN ('available', 'running') AND NOT metadata ? 'waiting'
            AND EXISTS (SELECT FROM flightbill.flight_source_outages WHERE told_at > now() - interval '1 minute')
        THEN 'source_down'
        WHEN state IN ('available', 'scheduled', 'running', 'cancelled')
        THEN metadata ->> 'reason'
    END                  AS reason,
    priority,
    scheduled_at         AS process_after,
    created_at           AS enqueued_at,
    id                   AS job_id,
    metadata ->> 'enqueued_by' AS enqueued_by,
    CASE WHEN NOT (SELECT flightbill.is_queue_admin())
        THEN NULL
        WHEN metadata ? 'waiting' AND state IN ('available', 'scheduled', 'running')
        THEN metadata #>> '{waiting,reason}'
        ELSE coalesce(CASE WHEN state IN ('available', 'running') THEN
            (SELECT reason FROM flightbill.flight_source_outages WHERE told_at > now() - interval '1 minute' ORDER BY since, client LIMIT 1) END,
            regexp_replace(errors[array_upper(errors, 1)] ->> 'error', '^JobCancelError: ', ''))
    END                  AS details
FROM flightbill.river_job
WHERE flightbill.queued_flight(kind, state, args) IS NOT NULL;

-- The queue, for all: of another owner than what it shows, see below. A security barrier: else
-- a function in somebody's WHERE could be called with other jobs' rows before they are left out.
CREATE VIEW flightbill.flight_processing_queue WITH (security_barrier) AS
SELECT flight_id, state, attempts, last_error, reason, priority, process_after, enqueued_at, job_id, enqueued_by, details
FROM flightbill.queue_content;

-- A transaction that has gathered flights and not enqueued them yet: one row a
-- batch, while it lasts. It shows that the setting is ours, and enqueues them at
-- the commit where a statement was ended early, by a limit on the rows that its
-- client wanted. The jobs of the flights get these ids, in their order.
CREATE UNLOGGED TABLE flightbill.gathered_flights (transaction xid8 PRIMARY KEY, job_ids bigint[] NOT NULL);

-- Processes that look at the queue again later, and need no notices until then: see
-- promise_to_look. An index by time costs the HOT updates, one a second, and saves each
-- INSERT from reading what vacuum may not clear away: after an hour's transaction,
-- with three processes, that took 0.5 ms.
CREATE UNLOGGED TABLE flightbill.queue_promises (
    client text COLLATE "C" PRIMARY KEY,
    until timestamptz NOT NULL
);
CREATE INDEX queue_promises_until_idx ON flightbill.queue_promises (until);

-- +goose StatementBegin
-- flight_job_key is the unique key that River's client computes for kind
-- ingest_flight, unique by args. Ids are limited to characters that JSON
-- writes as they are, so the text can be put together by hand.
CREATE OR REPLACE FUNCTION flightbill.flight_job_key(flight_id text) RETURNS bytea
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN sha256(decode('&kind=ingest_flight&args={"flight_id":"' || flight_id || '"}', 'escape'));
REVOKE ALL ON FUNCTION flightbill.flight_job_key FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- flight_job_unique_states are the states in which a job keeps its flight from being
-- queued again: all but cancelled and discarded, as River's client has it.
CREATE OR REPLACE FUNCTION flightbill.flight_job_unique_states() RETURNS bit(8)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN B'11110101'::bit(8);
REVOKE ALL ON FUNCTION flightbill.flight_job_unique_states FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- flight_id_is_valid: what JSON, SQL and every client encode alike. The length is
-- counted by itself: a pattern ending in {0,127} takes 15 µs an id of 33
-- characters, this 0.5.
CREATE OR REPLACE FUNCTION flightbill.flight_id_is_valid(flight_id text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(octet_length(flight_id) <= 128 AND flight_id COLLATE "C" ~ '^[A-Za-z0-9][A-Za-z0-9 ._:/+#@~-]*$' AND right(flight_id, 1) <> ' ', false);
REVOKE ALL ON FUNCTION flightbill.flight_id_is_valid FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION flightbill.refuse_flight_id(flight_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'flight id % cannot be enqueued', coalesce(quote_literal(left(flight_id, 160)), 'NULL')
        USING ERRCODE = 'invalid_parameter_value',
            HINT = 'A flight id is 1 to 128 characters of A-Z a-z 0-9 space . _ : / + # @ ~ - and starts with a letter or digit; the last is no space.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.refuse_flight_id FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- Whoever may insert into the queue may call it.
CREATE OR REPLACE FUNCTION flightbill.refuse_replica() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'an INSERT into flight_processing_queue enqueues nothing where session_replication_role is replica'
        USING ERRCODE = 'feature_not_supported', HINT = 'Call flightbill.enqueue_flights(ARRAY[...]) instead, which works there too.';
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- revive_flight_jobs puts jobs that were cancelled or discarded back to work,
-- each in place of the new job that was inserted for its flight. The new rows
-- hold the unique keys until the transaction ends, so nobody else can take them
-- while the old rows come back. The flight stays with who enqueued it first: else anybody
-- could take over what others have enqueued, and then take it back. An old job that has been taken back or retried
-- meanwhile is left alone, and its flight keeps the new one. Returns how many
-- came back.
CREATE OR REPLACE FUNCTION flightbill.revive_flight_jobs(new_ids bigint[], old_ids bigint[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_custom_plan -- one made for few jobs goes through all of them once they are many
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
REVOKE ALL ON FUNCTION flightbill.revive_flight_jobs FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- voided_flight_message says why a flight is not billed again, and what to do: for_all, for
-- everybody who sees the queue, without invoice numbers and the reason of the void.
CREATE OR REPLACE FUNCTION flightbill.voided_flight_message(flight_id text, for_all boolean) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
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
REVOKE ALL ON FUNCTION flightbill.voided_flight_message FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- refuse_voided_flights has flights in the queue as given up, each with the
-- reason why it is not billed again. One that is queued already stays as it is.
-- Returns how many were refused.
CREATE OR REPLACE FUNCTION flightbill.refuse_voided_flights(flight_ids text[], priority smallint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
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
REVOKE ALL ON FUNCTION flightbill.refuse_voided_flights FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- hold_flight_jobs is enqueue_as_jobs' part in billing flights again: each is to have
-- a job that begins after this transaction. One that is running may end as billed
-- already, without having seen this transaction; one that is done is kept by River
-- for a day: both leave the unique key to a new one. One that waits is marked, and
-- held by that; its key is returned. Locks are taken by id, as a save takes them.
CREATE OR REPLACE FUNCTION flightbill.hold_flight_jobs(flight_ids text[]) RETURNS bytea[]
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
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
REVOKE ALL ON FUNCTION flightbill.hold_flight_jobs FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- promise_to_look: until so many seconds from now, no notice of new flights need be
-- sent, since this client looks at the queue after that. It keeps the promise so:
-- before the time has passed, by a clock that it read before it called this, it
-- promises anew, or it calls withdraw_promise and, once that is committed, looks.
-- A flight whose transaction has committed by then is found. One whose transaction
-- has seen the promise and commits later waits for River's poll, a second at most.
--
-- Neither function waits for the disk at its commit, as none does that writes an
-- unlogged table alone. After a crash the table is empty: no promise is in force.
CREATE OR REPLACE FUNCTION flightbill.promise_to_look(client text, seconds double precision) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
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
REVOKE ALL ON FUNCTION flightbill.promise_to_look FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- withdraw_promise: from its commit on, notices are sent again, unless another client
-- has promised to look. See promise_to_look.
CREATE OR REPLACE FUNCTION flightbill.withdraw_promise(client text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
BEGIN
    DELETE FROM flightbill.queue_promises p WHERE p.client = withdraw_promise.client;
END
$$;
REVOKE ALL ON FUNCTION flightbill.withdraw_promise FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- announce_flights sends the notice that River's workers listen for: once a
-- transaction, and not where a process has promised to look, or the caller wants none.
--
-- A commit with a notice takes a lock of the whole server, and keeps it while it waits
-- for the disk: 32 clients, one INSERT a transaction, enqueue 2.5 times as fast without.
CREATE OR REPLACE FUNCTION flightbill.announce_flights() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
    SET plan_cache_mode = force_generic_plan
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
REVOKE ALL ON FUNCTION flightbill.announce_flights FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- enqueue_as_jobs puts many flights in the queue in a few statements, each under the
-- job id that was promised to it; without job ids, under the next ones. A flight of a
-- voided invoice goes back to work where that was asked for; its job is marked,
-- since it is priced from the facts that were kept, and not from the flight
-- source. Else it is refused.
CREATE OR REPLACE FUNCTION flightbill.enqueue_as_jobs(flight_ids text[], job_ids bigint[], priority smallint, process_after timestamptz)
    RETURNS TABLE (enqueued bigint, revived bigint, already_queued bigint, already_billed bigint, refused bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
    SET work_mem = '64MB'    -- half a million flights, without a file
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
REVOKE ALL ON FUNCTION flightbill.enqueue_as_jobs FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- enqueue_flights puts many flights in the queue. Its priority is a bigint, so that an
-- integer of any size that a client sends is taken.
CREATE OR REPLACE FUNCTION flightbill.enqueue_flights(flight_ids text[], priority bigint DEFAULT 1, process_after timestamptz DEFAULT NULL)
    RETURNS TABLE (enqueued bigint, revived bigint, already_queued bigint, already_billed bigint, refused bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
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
REVOKE ALL ON FUNCTION flightbill.enqueue_flights FROM PUBLIC;
GRANT EXECUTE ON FUNCTION flightbill.enqueue_flights TO flightbill_enqueuer, flightbill_queue_admin;
-- +goose StatementEnd

-- +goose StatementBegin
-- flight_processing_queue_finish enqueues what the rows of a statement have
-- gathered, and lets the next statement begin anew. A statement that a limit on its
-- rows has ended early does not get here: the next goes on with what it left.
CREATE OR REPLACE FUNCTION flightbill.flight_processing_queue_finish() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    IF set_config('flightbill.singles_left', '', true) = '' AND current_setting('flightbill.gathered', true) <> '' THEN
        PERFORM flightbill.flight_processing_queue_flush();
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_finish FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- flight_processing_queue_flush enqueues the flights that a statement has
-- gathered. The setting that holds them, one a line, between line ends, is anybody's to
-- write; the ids of their jobs are not, or a transaction could use those of another.
CREATE OR REPLACE FUNCTION flightbill.flight_processing_queue_flush() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
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
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_flush FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION flightbill.gathered_flights_commit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    PERFORM flightbill.flight_processing_queue_flush();
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.gathered_flights_commit FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- A statement's first flights are enqueued one by one, which tells exactly how
-- many it has enqueued. Those after them are gathered and enqueued together, 120
-- at a time, which takes half as long: most of a job's own INSERT
-- is Postgres making River's five constraints ready. Where another transaction
-- enqueues one of these at the same moment, both count it. The job ids of those
-- gathered are taken at once, 120 for the first of them: RETURNING gives them, and what
-- the view will show. Those left over are not used.
CREATE OR REPLACE FUNCTION flightbill.flight_processing_queue_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
    SET plan_cache_mode = force_generic_plan
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
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_insert FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- Taken back is by whom it was enqueued, or by who looks after the queue.
CREATE OR REPLACE FUNCTION flightbill.flight_processing_queue_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
    SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    DELETE FROM flightbill.river_job WHERE id = OLD.job_id AND kind = 'ingest_flight' AND state NOT IN ('running', 'completed')
        AND (metadata ->> 'enqueued_by' = session_user OR flightbill.is_queue_admin());
    RETURN CASE WHEN FOUND THEN OLD END;
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_delete FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- Without this, Postgres would pass an UPDATE of the view on to River's rows,
-- running ones too.
CREATE OR REPLACE FUNCTION flightbill.flight_processing_queue_update() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'flight % is in the queue: what stands there cannot be changed', OLD.flight_id
        USING ERRCODE = 'feature_not_supported', HINT = 'Take it back with DELETE and INSERT it again.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_processing_queue_update FROM PUBLIC;
-- +goose StatementEnd

CREATE CONSTRAINT TRIGGER commit AFTER INSERT ON flightbill.gathered_flights DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION flightbill.gathered_flights_commit();
CREATE TRIGGER enqueue INSTEAD OF INSERT ON flightbill.flight_processing_queue
    FOR EACH ROW EXECUTE FUNCTION flightbill.flight_processing_queue_insert();
CREATE TRIGGER finish AFTER INSERT ON flightbill.flight_processing_queue
    FOR EACH STATEMENT EXECUTE FUNCTION flightbill.flight_processing_queue_finish();
CREATE TRIGGER take_back INSTEAD OF DELETE ON flightbill.flight_processing_queue
    FOR EACH ROW EXECUTE FUNCTION flightbill.flight_processing_queue_delete();
CREATE TRIGGER refuse_change INSTEAD OF UPDATE ON flightbill.flight_processing_queue
    FOR EACH ROW EXECUTE FUNCTION flightbill.flight_processing_queue_update();
-- A trigger of a view cannot be told to fire always: a replica's INSERT would say 1 and
-- enqueue nothing. Defaults are computed all the same.
ALTER VIEW flightbill.flight_processing_queue ALTER COLUMN job_id
    SET DEFAULT CASE WHEN current_setting('session_replication_role') = 'replica' THEN flightbill.refuse_replica() END;
GRANT SELECT, INSERT, DELETE ON flightbill.flight_processing_queue TO flightbill_enqueuer, flightbill_queue_admin;

-- LOCK TABLE of a view locks what it reads, by the rights of the view's owner. Of the
-- tables' owner that would be every lock, for whoever may delete from the view: this
-- one may only read. The triggers' functions have rights of their own, and do without this
-- view: who takes the tables over, takes no rights on it.
GRANT SELECT ON flightbill.queue_content TO flightbill_queue_reader;
-- +goose StatementBegin
DO $$
DECLARE
    migrator name := current_user;
    borrowed boolean := false;
BEGIN
    GRANT USAGE, CREATE ON SCHEMA flightbill TO flightbill_queue_reader;
    BEGIN
        ALTER VIEW flightbill.flight_processing_queue OWNER TO flightbill_queue_reader;
    EXCEPTION WHEN insufficient_privilege THEN
        BEGIN -- who has made a role may join it
            EXECUTE format('GRANT flightbill_queue_reader TO %I', migrator);
            borrowed := true;
            ALTER VIEW flightbill.flight_processing_queue OWNER TO flightbill_queue_reader;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE EXCEPTION '% may not hand the view flight_processing_queue over to flightbill_queue_reader', migrator
                USING HINT = format('Have an administrator run: GRANT flightbill_queue_reader TO %I; then migrate again.', migrator);
        END;
    END;
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = migrator) THEN
        SET LOCAL ROLE flightbill_queue_reader;
        EXECUTE format('GRANT ALL ON flightbill.flight_processing_queue TO %I WITH GRANT OPTION', migrator);
        EXECUTE format('SET LOCAL ROLE %I', migrator);
    END IF;
    IF borrowed THEN
        EXECUTE format('REVOKE flightbill_queue_reader FROM %I', migrator);
    END IF;
    REVOKE USAGE, CREATE ON SCHEMA flightbill FROM flightbill_queue_reader;
END
$$;
-- +goose StatementEnd

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP VIEW flightbill.flight_processing_queue;
DROP VIEW flightbill.queue_content;
DROP TABLE flightbill.flight_source_outages;
DROP TABLE flightbill.queue_promises;
DROP TABLE flightbill.gathered_flights;
DROP FUNCTION flightbill.flight_processing_queue_update;
DROP FUNCTION flightbill.flight_processing_queue_delete;
DROP FUNCTION flightbill.flight_processing_queue_insert;
DROP FUNCTION flightbill.gathered_flights_commit;
DROP FUNCTION flightbill.flight_processing_queue_flush;
DROP FUNCTION flightbill.flight_processing_queue_finish;
DROP FUNCTION flightbill.enqueue_flights;
DROP FUNCTION flightbill.enqueue_as_jobs;
DROP FUNCTION flightbill.announce_flights;
DROP FUNCTION flightbill.withdraw_promise;
DROP FUNCTION flightbill.promise_to_look;
DROP FUNCTION flightbill.hold_flight_jobs;
DROP FUNCTION flightbill.refuse_voided_flights;
DROP FUNCTION flightbill.voided_flight_message;
DROP FUNCTION flightbill.revive_flight_jobs;
DROP FUNCTION flightbill.refuse_replica;
DROP FUNCTION flightbill.refuse_flight_id;
DROP FUNCTION flightbill.flight_id_is_valid;
DROP FUNCTION flightbill.flight_job_unique_states;
DROP FUNCTION flightbill.flight_job_key;
DROP INDEX flightbill.river_job_stray_flight_idx;
DROP INDEX flightbill.river_job_flight_idx;
DROP FUNCTION flightbill.is_queue_admin;
DROP FUNCTION flightbill.queued_flight;
REVOKE USAGE ON SCHEMA flightbill FROM flightbill_enqueuer, flightbill_queue_admin;
