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
