-- flightbill's queue is a River queue: River's own tables come first, from
-- River's own migrator. This step checks that they are there and fits their
-- indexes to what flightbill asks of them.

-- +goose Up

-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = to_regclass('public.river_job') AND attname = 'unique_states'
    ) OR to_regclass('public.river_notification') IS NULL THEN
        RAISE EXCEPTION 'the tables of River are missing from schema public, or are older than its migration 7'
            USING HINT = 'Run "flightbill migrate up", which makes them first; or River''s own tool: river migrate-up --line main --database-url "$DATABASE_URL"; then run this again.';
    END IF;
END
$$;
-- +goose StatementEnd

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- No query of River, of River UI or of flightbill reads these two; without them
-- an insert writes 469 instead of 838 bytes of WAL, a worked job 1,294 instead
-- of 1,997.
DROP INDEX IF EXISTS river_job_args_index;
DROP INDEX IF EXISTS river_job_metadata_index;

-- queued_flight is the flight that a job is for, where it is an unfinished job of
-- that kind. One expression instead of three conditions, so that one index alone
-- answers it: given the choice, a plan that was made while the queue was empty
-- walks through all of it once it is full.
CREATE FUNCTION queued_flight(kind text, state river_job_state, args jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN kind = 'ingest_flight' AND state <> 'completed' THEN args ->> 'flight_id' END;

-- The queue view, the revival of a cancelled job, and the save that clears away
-- a flight's other jobs. Written out, since every INSERT would take the function apart anew: queries
-- that call it find the index all the same.
CREATE INDEX river_job_flight_idx ON river_job ((CASE WHEN kind = 'ingest_flight' AND state <> 'completed' THEN args ->> 'flight_id' END))
    WHERE (CASE WHEN kind = 'ingest_flight' AND state <> 'completed' THEN args ->> 'flight_id' END) IS NOT NULL;

-- Jobs that some client put in another queue: nearly always empty.
CREATE INDEX river_job_stray_flight_idx ON river_job (id)
    WHERE kind = 'ingest_flight' AND queue <> 'flights' AND state IN ('available', 'retryable', 'scheduled');

-- +goose Down
DROP INDEX river_job_stray_flight_idx;
DROP INDEX river_job_flight_idx;
DROP FUNCTION queued_flight(text, river_job_state, jsonb);
CREATE INDEX IF NOT EXISTS river_job_args_index ON river_job USING gin (args);
CREATE INDEX IF NOT EXISTS river_job_metadata_index ON river_job USING gin (metadata);
