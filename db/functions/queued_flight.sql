-- queued_flight is the flight that a job is for, where it is an unfinished job of
-- that kind. One expression instead of three conditions, so that one index alone
-- answers it: given the choice, a plan that was made while the queue was empty
-- walks through all of it once it is full.
CREATE OR REPLACE FUNCTION flightbill.queued_flight(kind text, state flightbill.river_job_state, args jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN kind = 'ingest_flight' AND state <> 'completed' THEN args ->> 'flight_id' END;
